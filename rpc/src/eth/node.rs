//! The node itself: `web3_*`, `net_*`, and what `eth_*` says of the chain as a whole.
use super::args::Args;
use super::ctx::{Ctx, hex_u64, json};
use super::error::RpcResult;
use serde_json::{Value, json as object};
use types::keccak256;

/// `web3_clientVersion()`.
pub(crate) fn client_version(ctx: &Ctx, _: &Args) -> RpcResult<Value> {
    Ok(ctx.options.client_version.clone().into())
}

/// `web3_sha3(bytes)`: keccak-256.
pub(crate) fn sha3(_: &Ctx, args: &Args) -> RpcResult<Value> {
    json(keccak256(args.bytes(0)?))
}

/// `net_version()`: the EVM chain id in decimal.
pub(crate) fn net_version(ctx: &Ctx, _: &Args) -> RpcResult<Value> {
    Ok(ctx.info()?.config.evm_chain_id.to_string().into())
}

/// `net_listening()`.
pub(crate) fn net_listening(_: &Ctx, _: &Args) -> RpcResult<Value> {
    Ok(true.into())
}

/// `net_peerCount()`.
pub(crate) fn net_peer_count(ctx: &Ctx, _: &Args) -> RpcResult<Value> {
    Ok(hex_u64(ctx.submit.peers()))
}

/// `eth_chainId()`.
pub(crate) fn chain_id(ctx: &Ctx, _: &Args) -> RpcResult<Value> {
    Ok(hex_u64(ctx.info()?.config.evm_chain_id))
}

/// `eth_blockNumber()`.
pub(crate) fn block_number(ctx: &Ctx, _: &Args) -> RpcResult<Value> {
    Ok(hex_u64(ctx.head()))
}

/// `eth_accounts()`: the node keeps no keys.
pub(crate) fn accounts(_: &Ctx, _: &Args) -> RpcResult<Value> {
    Ok(object!([]))
}

/// `eth_syncing()`: false, or how far.
pub(crate) fn syncing(ctx: &Ctx, _: &Args) -> RpcResult<Value> {
    Ok(match ctx.submit.syncing() {
        None => false.into(),
        Some((current, highest)) => object!({
            "startingBlock": hex_u64(ctx.chain.initial_height()),
            "currentBlock": hex_u64(current),
            "highestBlock": hex_u64(highest),
        }),
    })
}
