//! What to pay: suggestions and history.
use super::args::{Args, BlockId};
use super::ctx::{Ctx, json};
use super::error::{RpcResult, app, header_not_found, invalid, server};
use alloy_rpc_types_eth::FeeHistory;
use app::StoredBlock;
use serde_json::Value;
use types::U256;

/// geth's limit on `eth_feeHistory`'s blocks (`maxHeaderHistory`).
const HISTORY_BLOCKS_MAX: u64 = 1024;
/// geth's limit on `eth_feeHistory`'s percentiles (`maxQueryLimit`).
const PERCENTILES_MAX: usize = 100;
/// Blocks whose tips are looked at (geth's gas price oracle: 20).
const SAMPLE_BLOCKS: u64 = 20;
/// The lowest tips taken from each (geth: 3).
const SAMPLE_TXS: usize = 3;
/// Which of the sampled tips is suggested, in percent (geth: 60).
const SAMPLE_PERCENTILE: usize = 60;
/// Suggested where nobody paid a tip lately: 1 gwei, as wallets expect to be above zero.
const TIP_DEFAULT: u128 = 1_000_000_000;
/// Suggested at most: 500 gwei (geth's `DefaultMaxPrice`).
const TIP_MAX: u128 = 500_000_000_000;
/// Tips below are not samples (geth's `DefaultIgnorePrice`).
const TIP_IGNORED: u128 = 2;

fn base_fee(block: &StoredBlock) -> u128 {
    u128::from(block.header.base_fee_per_gas.unwrap_or(0))
}

/// Tips per gas with the gas they were paid for, lowest first.
fn tips(block: &StoredBlock) -> Vec<(u128, u64)> {
    let base = base_fee(block);
    let tip = |price: U256| price.saturating_to::<u128>().saturating_sub(base);
    let mut all: Vec<_> = block
        .evm_receipts()
        .map(|r| (tip(r.effective_gas_price), r.gas_used))
        .collect();
    all.sort_unstable();
    all
}

fn suggested_tip(ctx: &Ctx) -> RpcResult<u128> {
    let head = ctx.head();
    let first = head
        .saturating_sub(SAMPLE_BLOCKS - 1)
        .max(ctx.chain.initial_height());
    let mut samples = Vec::new();
    for height in first..=head {
        // Older blocks may be gone: fewer samples then.
        let Ok(block) = ctx.known_block(height) else {
            continue;
        };
        samples.extend(
            tips(&block)
                .into_iter()
                .map(|(tip, _)| tip)
                .filter(|t| *t >= TIP_IGNORED)
                .take(SAMPLE_TXS),
        );
    }
    samples.sort_unstable();
    let at = samples.len().saturating_sub(1) * SAMPLE_PERCENTILE / 100;
    Ok(samples.get(at).copied().unwrap_or(TIP_DEFAULT).min(TIP_MAX))
}

/// `eth_maxPriorityFeePerGas()`.
pub(crate) fn max_priority_fee(ctx: &Ctx, _: &Args) -> RpcResult<Value> {
    json(U256::from(suggested_tip(ctx)?))
}

/// `eth_gasPrice()`: the next base fee and the suggested tip.
pub(crate) fn gas_price(ctx: &Ctx, _: &Args) -> RpcResult<Value> {
    json(
        ctx.chain
            .next_base_fee()
            .map_err(app)?
            .saturating_add(U256::from(suggested_tip(ctx)?)),
    )
}

/// The tips at `percentiles` of the block's gas; zeros where it is empty (geth `processBlock`).
fn rewards(block: &StoredBlock, percentiles: &[f64]) -> Vec<u128> {
    let tips = tips(block);
    let total: u64 = tips.iter().map(|(_, gas)| gas).sum();
    let mut row = Vec::with_capacity(percentiles.len());
    let (mut at, mut sum) = (0, tips.first().map_or(0, |t| t.1));
    for percentile in percentiles {
        let threshold = (total as f64 * percentile / 100.0) as u64;
        while sum < threshold && at + 1 < tips.len() {
            at += 1;
            sum += tips[at].1;
        }
        row.push(tips.get(at).map_or(0, |t| t.0));
    }
    row
}

fn check_percentiles(percentiles: &[f64]) -> RpcResult<()> {
    if percentiles.len() > PERCENTILES_MAX {
        return Err(invalid(format!(
            "over the query limit {PERCENTILES_MAX}: {} percentiles",
            percentiles.len()
        )));
    }
    if let Some(bad) = percentiles.iter().find(|p| !(0.0..=100.0).contains(*p)) {
        return Err(invalid(format!("invalid reward percentile: {bad}")));
    }
    match percentiles.windows(2).find(|w| w[0] >= w[1]) {
        Some(w) => Err(invalid(format!(
            "invalid reward percentile: {} does not follow {}",
            w[1], w[0]
        ))),
        None => Ok(()),
    }
}

/// `eth_feeHistory(count, newest, percentiles)`.
pub(crate) fn fee_history(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    let count = args.count(0)?.min(HISTORY_BLOCKS_MAX);
    args.get(1)
        .ok_or_else(|| invalid("missing value for required argument 1"))?;
    let percentiles: Option<Vec<f64>> = args.object_opt(2)?;
    check_percentiles(percentiles.as_deref().unwrap_or(&[]))?;
    let newest = match args.block_number(1)? {
        BlockId::Number(n) if n > ctx.head() => {
            return Err(server(format!(
                "request beyond head block: requested {n}, head {}",
                ctx.head()
            )));
        }
        id => ctx.height(id)?.ok_or_else(header_not_found)?,
    };
    let genesis = ctx.chain.initial_height().saturating_sub(1);
    let count = count.min(newest.saturating_sub(genesis) + 1);
    if count == 0 {
        return json(FeeHistory::default());
    }
    let oldest = newest + 1 - count;
    let mut history = FeeHistory {
        oldest_block: oldest,
        ..FeeHistory::default()
    };
    let mut rows = Vec::new();
    for height in oldest..=newest {
        let block = ctx.known_block(height)?;
        history.base_fee_per_gas.push(base_fee(&block));
        history
            .gas_used_ratio
            .push(block.header.gas_used as f64 / block.header.gas_limit.max(1) as f64);
        // There are no blobs: their gas is never used and costs the minimum of 1.
        history.base_fee_per_blob_gas.push(1);
        history.blob_gas_used_ratio.push(0.0);
        if let Some(percentiles) = percentiles.as_deref().filter(|p| !p.is_empty()) {
            rows.push(rewards(&block, percentiles));
        }
    }
    let next = match ctx.chain.block(newest + 1) {
        Ok(Some(block)) => base_fee(&block),
        _ => ctx.chain.next_base_fee().map_err(app)?.saturating_to(),
    };
    history.base_fee_per_gas.push(next);
    history.base_fee_per_blob_gas.push(1);
    history.reward = (!rows.is_empty()).then_some(rows);
    json(history)
}
