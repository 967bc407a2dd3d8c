//! Blocks, and what is found in them.
use super::args::{Args, BlockId};
use super::convert;
use super::ctx::{Ctx, hex_u64, json};
use super::error::{RpcResult, app, internal};
use app::{EvmReceipt, StoredBlock};
use serde_json::Value;
use std::sync::Arc;

/// `eth_getBlockByNumber`, `eth_getBlockByHash`: the block, or null.
fn block(ctx: &Ctx, id: BlockId, full: bool) -> RpcResult<Value> {
    match ctx.block(id)? {
        None => Ok(Value::Null),
        Some(stored) => json(convert::block(&stored, full)?),
    }
}

/// `eth_getBlockByNumber(block, full)`.
pub(crate) fn block_by_number(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    block(ctx, args.block_number(0)?, args.flag(1)?)
}

/// `eth_getBlockByHash(hash, full)`.
pub(crate) fn block_by_hash(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    block(ctx, BlockId::Hash(args.hash(0)?), args.flag(1)?)
}

/// `eth_getBlockReceipts(block)`.
pub(crate) fn block_receipts(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    let Some(stored) = ctx.block(args.block(0)?)? else {
        return Ok(Value::Null);
    };
    let all: RpcResult<Vec<_>> = stored
        .evm_receipts()
        .map(|r| convert::receipt(&stored, r))
        .collect();
    json(all?)
}

fn count(ctx: &Ctx, id: BlockId) -> RpcResult<Value> {
    Ok(ctx
        .block(id)?
        .map_or(Value::Null, |b| hex_u64(b.evm_receipts().count() as u64)))
}

/// `eth_getBlockTransactionCountByNumber(block)`.
pub(crate) fn tx_count_by_number(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    count(ctx, args.block_number(0)?)
}

/// `eth_getBlockTransactionCountByHash(hash)`.
pub(crate) fn tx_count_by_hash(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    count(ctx, BlockId::Hash(args.hash(0)?))
}

fn uncles(ctx: &Ctx, id: BlockId) -> RpcResult<Value> {
    Ok(ctx.height(id)?.map_or(Value::Null, |_| hex_u64(0)))
}

/// `eth_getUncleCountByBlockNumber(block)`: there are none.
pub(crate) fn uncle_count_by_number(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    uncles(ctx, args.block_number(0)?)
}

/// `eth_getUncleCountByBlockHash(hash)`: there are none.
pub(crate) fn uncle_count_by_hash(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    uncles(ctx, BlockId::Hash(args.hash(0)?))
}

fn tx_at(ctx: &Ctx, id: BlockId, index: u64) -> RpcResult<Value> {
    let Some(stored) = ctx.block(id)? else {
        return Ok(Value::Null);
    };
    match stored.evm_receipts().find(|r| r.index == index) {
        None => Ok(Value::Null),
        Some(r) => json(convert::transaction(&stored, r)?),
    }
}

/// `eth_getTransactionByBlockNumberAndIndex(block, index)`.
pub(crate) fn tx_by_number_and_index(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    tx_at(ctx, args.block_number(0)?, args.quantity(1)?)
}

/// `eth_getTransactionByBlockHashAndIndex(hash, index)`.
pub(crate) fn tx_by_hash_and_index(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    tx_at(ctx, BlockId::Hash(args.hash(0)?), args.quantity(1)?)
}

/// The block and place of the Ethereum transaction with this hash, Ethereum's or CometBFT's.
fn included(ctx: &Ctx, args: &Args) -> RpcResult<Option<(Arc<StoredBlock>, usize)>> {
    let Some(place) = ctx.chain.find_tx(&args.hash(0)?).map_err(app)? else {
        return Ok(None);
    };
    let stored = ctx.known_block(place.height)?;
    let index = place.index as usize;
    let has_receipt = stored.txs.get(index).is_some_and(|tx| tx.evm.is_some());
    Ok(has_receipt.then_some((stored, index)))
}

fn evm((stored, index): &(Arc<StoredBlock>, usize)) -> Option<&EvmReceipt> {
    stored.txs.get(*index)?.evm.as_ref()
}

/// The transaction with this hash that is in a block.
fn included_json(ctx: &Ctx, args: &Args) -> RpcResult<Option<Value>> {
    let found = included(ctx, args)?;
    let Some((stored, receipt)) = found.as_ref().and_then(|place| Some((&place.0, evm(place)?))) else {
        return Ok(None);
    };
    json(convert::transaction(stored, receipt)?).map(Some)
}

/// `eth_getTransactionByHash(hash)`: also one that waits; null for native transactions.
pub(crate) fn tx_by_hash(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    if let Some(tx) = included_json(ctx, args)? {
        return Ok(tx);
    }
    let Some(raw) = ctx.chain.pending_raw(&args.hash(0)?) else {
        // It may have moved from the pool into a block between the two looks.
        return Ok(included_json(ctx, args)?.unwrap_or(Value::Null));
    };
    let tx = x_evm::EvmTx::decode_any(&raw).map_err(internal)?;
    json(convert::pending(tx))
}

/// `eth_getTransactionReceipt(hash)`.
pub(crate) fn tx_receipt(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    match included(ctx, args)?
        .as_ref()
        .and_then(|place| Some((&place.0, evm(place)?)))
    {
        None => Ok(Value::Null),
        Some((stored, receipt)) => json(convert::receipt(stored, receipt)?),
    }
}
