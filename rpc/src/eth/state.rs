//! Balances, nonces, code and storage, now and at older heights.
use super::args::{Args, BlockId};
use super::ctx::{Ctx, hex_u64, json};
use super::error::{RpcResult, app, state};
use serde_json::Value;
use types::{Bytes, U256};

/// `eth_getBalance(address, block)`.
pub(crate) fn balance(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    let (who, view) = (args.address(0)?, ctx.state(args.block(1)?)?);
    json(x_bank::balance(&*view, &who, &ctx.info()?.config.base_denom).map_err(state)?)
}

/// `eth_getTransactionCount(address, block)`: under `pending`, transactions that wait count too.
pub(crate) fn tx_count(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    let (who, id) = (args.address(0)?, args.block(1)?);
    let nonce = match id {
        BlockId::Pending => ctx.chain.pending_sequence(&who).map_err(app)?,
        other => x_auth::sequence(&*ctx.state(other)?, &who).map_err(state)?,
    };
    Ok(hex_u64(nonce))
}

/// `eth_getCode(address, block)`.
pub(crate) fn code(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    let (who, view) = (args.address(0)?, ctx.state(args.block(1)?)?);
    let hash = x_evm::code_hash(&*view, &who).map_err(state)?;
    Ok(hex_bytes(&x_evm::code(&*view, &hash).map_err(state)?))
}

/// `eth_getStorageAt(address, slot, block)`: a word of 32 bytes.
pub(crate) fn storage(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    let (who, slot, view) = (args.address(0)?, args.slot(1)?, ctx.state(args.block(2)?)?);
    // Storage is never wiped on this chain: only forks before Cancun do that.
    let word: U256 = x_evm::slot(&*view, &who, &slot, 0).map_err(state)?;
    Ok(format!("{word:#066x}").into())
}

/// Writes bytes as `0x` and hex.
pub(crate) fn hex_bytes(bytes: &Bytes) -> Value {
    format!("0x{}", hex::encode(bytes)).into()
}
