//! `eth_sendRawTransaction`: into the mempool, with geth's words where it is refused.
use super::args::Args;
use super::ctx::{Ctx, json};
use super::error::{RpcResult, server};
use serde_json::Value;
use types::{B256, Bytes};
use x_evm::EvmTx;

/// Decodes, recovers the sender and wraps: the envelope for the mempool and the Ethereum hash.
pub(crate) fn wrap(ctx: &Ctx, args: &Args) -> RpcResult<(Bytes, B256)> {
    let raw = args.bytes(0)?;
    let info = ctx.info()?;
    let tx = EvmTx::decode(&raw, info.config.evm_chain_id).map_err(server)?;
    Ok((x_evm::wrap(&tx, &info.config), tx.hash))
}

/// Hands the envelope in. The hash comes back only where `CheckTx` accepted.
pub(crate) async fn submit(ctx: &Ctx, envelope: Bytes, hash: B256) -> RpcResult<Value> {
    let result = ctx.submit.submit(envelope).await.map_err(server)?;
    if result.code == 0 {
        json(hash)
    } else {
        Err(server(result.log))
    }
}
