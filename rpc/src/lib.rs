//! Answer Ethereum JSON-RPC, gRPC and REST. The only crate that knows web servers.
//!
//! Reading order: [`Chain`] is what the servers read; [`Submit`] is where transactions go; [`serve_json_rpc`] answers
//! Ethereum tools on one port; [`serve_comet_rpc`] answers Cosmos tools where there is no CometBFT (the solo engine).

mod chain;
mod submit;
mod serve;
mod gate;
mod eth;
mod comet;

pub use chain::{Chain, State};
pub use comet::{PoolView, SoloIdentity, SoloNode, SoloValidator, serve_comet_rpc};
pub use eth::{JsonRpcOptions, methods, serve_json_rpc};
pub use serve::{RpcError, ServerHandle};
pub use submit::{BoxFuture, Submit, SubmitError};
