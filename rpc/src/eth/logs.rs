//! `eth_getLogs`: blocks whose bloom cannot match are skipped unread.
use super::args::{Args, BlockId, quantity};
use super::convert;
use super::ctx::{Ctx, json};
use super::error::{RpcResult, invalid, server};
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use serde_json::Value;

/// Blocks a query may span: evmd's `block-range-cap`.
const BLOCKS_MAX: u64 = 10_000;
/// Logs a query may find: evmd's `logs-cap`.
const LOGS_MAX: usize = 10_000;
/// Addresses, or values of one topic, that a filter may list (geth `maxAddresses`, `maxSubTopics`: 1000).
const ALTERNATIVES_MAX: usize = 1_000;

/// What geth's decoder refuses and serde does not.
fn check(value: &Value) -> RpcResult<()> {
    let Some(fields) = value.as_object() else {
        return Err(invalid("invalid argument 0: want a filter object"));
    };
    for key in ["fromBlock", "toBlock"] {
        if let Some(text) = fields.get(key).and_then(Value::as_str)
            && text.starts_with("0x")
            && quantity(text).is_none()
        {
            return Err(invalid(format!(
                "invalid {key} {text:?}: want a block number in hex without leading zeros"
            )));
        }
    }
    let topics = fields
        .get("topics")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if topics.len() > 4 {
        return Err(invalid(format!(
            "exceed max topics: {} positions, want at most 4",
            topics.len()
        )));
    }
    let lists = topics
        .iter()
        .chain(fields.get("address"))
        .filter_map(Value::as_array);
    match lists.map(Vec::len).find(|n| *n > ALTERNATIVES_MAX) {
        Some(n) => Err(invalid(format!(
            "exceed max addresses or topics per search position: {n}, want at most {ALTERNATIVES_MAX}"
        ))),
        None => Ok(()),
    }
}

/// The heights a filter spans; `None` where there are none.
fn range(ctx: &Ctx, filter: &Filter) -> RpcResult<Option<(u64, u64)>> {
    use alloy_rpc_types_eth::BlockNumberOrTag as Tag;
    let (from, to) = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let height = ctx
                .height(BlockId::Hash(hash))?
                .ok_or_else(|| server("unknown block"))?;
            return Ok(Some((height, height)));
        }
        FilterBlockOption::Range { from_block, to_block } => (from_block, to_block),
    };
    let head = ctx.head();
    let height = |tag: Option<Tag>| match tag {
        Some(Tag::Number(n)) => n,
        Some(Tag::Earliest) => ctx.chain.initial_height().saturating_sub(1),
        _ => head,
    };
    let (from, to) = (height(from), height(to));
    if from > to {
        return Err(invalid(format!(
            "invalid block range params: from {from} to {to}"
        )));
    }
    if from > head {
        return Ok(None);
    }
    let to = to.min(head);
    let span = to - from + 1;
    if span > BLOCKS_MAX {
        return Err(server(format!(
            "block range too large: {span} blocks from {from} to {to}, at most {BLOCKS_MAX}"
        )));
    }
    Ok(Some((from, to)))
}

/// `eth_getLogs(filter)`.
pub(crate) fn logs(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    if let Some(value) = args.get(0) {
        check(value)?;
    }
    let filter: Filter = args.object(0)?;
    let Some((from, to)) = range(ctx, &filter)? else {
        return Ok(Value::Array(Vec::new()));
    };
    let mut found: Vec<Log> = Vec::new();
    for height in from..=to {
        // A node that joined by state sync has no blocks before, and one that prunes lets them go: to pass over them would
        // hide their logs.
        let Some(block) = ctx.chain.block(height).map_err(super::error::app)? else {
            return Err(server(format!("block {height} is not kept on this node")));
        };
        if !filter.matches_bloom(block.header.logs_bloom) {
            continue;
        }
        for receipt in block.evm_receipts() {
            found.extend(convert::logs(&block, receipt).filter(|log| filter.matches(&log.inner)));
        }
        if found.len() > LOGS_MAX {
            return Err(server(format!(
                "query returned more than {LOGS_MAX} results by block {height}: ask for fewer than the {} blocks from {from}",
                to - from + 1
            )));
        }
    }
    json(found)
}
