//! `braid_blockParallelism`: how parallel a block was, how parallel it could have been, and what kept it from that.
use super::args::Args;
use super::ctx::Ctx;
use super::error::{RpcResult, app, invalid};
use ::app::explain::{Conflict, ExplainedTx, Explanation, NeedKind, Run, Scaling};
use serde_json::{Value, json};
use std::time::Instant;

/// Cores of the schedule asked for, at most.
const CORES_MAX: u64 = 1024;

/// `braid_blockParallelism(block, cores)`: times in nanoseconds of one core, speed-ups in thousandths of serial
/// execution, transactions by their place in the block. `schedule` is a simulation of the optimistic scheduler on
/// `cores` (2 unless said otherwise). Null where there is no such block, and for the first one.
pub(crate) fn block_parallelism(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    let cores = match args.get(1) {
        Some(_) => args.count(1)?,
        None => 2,
    };
    if !(1..=CORES_MAX).contains(&cores) {
        return Err(invalid(format!("{cores} cores: want 1 to {CORES_MAX}")));
    }
    let Some(height) = ctx.height(args.block(0)?)? else {
        return Ok(Value::Null);
    };
    let start = Instant::now();
    let clock = || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let told = ctx.chain.explain(height, &clock).map_err(app)?;
    Ok(told.map_or(Value::Null, |told| explanation(&told, cores as usize)))
}

fn explanation(told: &Explanation, cores: usize) -> Value {
    let schedule = told.schedule(cores);
    json!({
        "height": told.height,
        "exact": told.exact,
        "executed": told.executed.map(|stats| json!({
            "executions": stats.executions,
            "aborts": stats.aborts,
            "waits": stats.waits,
            "validations": stats.validations,
            "fallbacks": stats.fallbacks,
        })),
        "serialNs": told.serial_ns,
        "criticalNs": told.critical_ns,
        "critical": told.critical,
        "scaling": told.scaling.iter().map(scaling).collect::<Vec<_>>(),
        "conflictingKeys": told.conflicting_keys,
        "conflicts": told.conflicts.iter().map(conflict).collect::<Vec<_>>(),
        "transactions": told.txs.iter().map(tx).collect::<Vec<_>>(),
        "schedule": {
            "cores": cores,
            "endNs": schedule.end,
            "runs": schedule.runs.iter().map(run).collect::<Vec<_>>(),
        },
    })
}

fn scaling(s: &Scaling) -> Value {
    json!({
        "cores": s.cores,
        "idealMilli": s.ideal_milli,
        "optimisticMilli": s.optimistic_milli,
        "reruns": s.reruns,
        "wastedGas": s.wasted_gas,
    })
}

fn conflict(c: &Conflict) -> Value {
    let how = |kind| match kind {
        NeedKind::Read => "read",
        NeedKind::Scan => "scan",
        NeedKind::Deferred => "deferred",
    };
    let pair = |(first, then, kind): &(u32, u32, NeedKind)| json!([first, then, how(*kind)]);
    json!({
        "store": c.key.store().name(),
        "key": format!("0x{}", hex::encode(c.key.bytes())),
        "kind": c.name.as_ref().map(|n| n.kind),
        "address": c.name.as_ref().and_then(|n| n.address),
        "detail": c.name.as_ref().map(|n| n.detail.clone()),
        "count": c.count,
        "pairs": c.pairs.iter().map(pair).collect::<Vec<_>>(),
    })
}

fn tx(tx: &ExplainedTx) -> Value {
    json!({
        "hash": tx.hash,
        "from": tx.from,
        "to": tx.to,
        "gasUsed": tx.gas_used,
        "costNs": tx.cost_ns,
        "needs": tx.needs,
    })
}

fn run(run: &Run) -> Value {
    json!([run.worker, run.job, run.start, run.end, run.wasted])
}
