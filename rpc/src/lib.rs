//! Answer Ethereum JSON-RPC, gRPC and REST. The only crate that knows web servers.
