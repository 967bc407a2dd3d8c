//! What a traced run says of a block: the results of a serial run, and who needed whom.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;

use common::*;
use executor::Serial;
use executor::trace::{NeedKind, Trace, Tracing};
use state::{MemoryState, TxIndex, Value};
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs and traces a block with a clock that moves on by one a look.
fn traced(base: &MemoryState, jobs: &[Program], limit: u64) -> (Plain, Trace) {
    let clock = AtomicU64::new(0);
    let tick = || clock.fetch_add(1, Ordering::Relaxed);
    let tracing = Tracing::new(&tick);
    let (got, _) = plain(run(&tracing, base, jobs, &mut Meter::new(limit)));
    (got, tracing.into_trace())
}

#[test]
fn a_traced_run_gives_what_a_serial_run_gives() {
    for seed in seeds(40) {
        let mut rng = Rng(seed);
        let base = some_state(&mut rng);
        let jobs = some_block(&mut rng, 60, 8);
        for limit in [u64::MAX, 120] {
            let (want, _) = plain(run(&Serial, &base, &jobs, &mut Meter::new(limit)));
            let (got, trace) = traced(&base, &jobs, limit);
            assert_eq!(got, want, "BRAID_SEED={seed}");
            if got.is_ok() {
                assert_eq!(trace.jobs.len(), jobs.len());
            }
            for (i, job) in trace.jobs.iter().enumerate() {
                assert!(
                    job.needs.iter().all(|need| (need.on as usize) < i),
                    "BRAID_SEED={seed}"
                );
            }
        }
    }
}

#[test]
fn who_needed_whom_is_told_and_a_write_that_changes_nothing_is_not() {
    let mut base = MemoryState::default();
    base.0.insert(word(1), Value::from("same"));
    base.0.insert(amount(1), Value::from("5"));
    let jobs = [
        Program::new([Step::PutValue(word(1), Value::from("same"))]), // 0: changes nothing
        Program::new([Step::Get(word(1))]),                           // 1: needs nobody
        Program::new([Step::PutValue(word(1), Value::from("new"))]),  // 2
        Program::new([Step::Get(word(1))]),                           // 3: needs 2
        Program::new([Step::Add(amount(1), 1)]),                      // 4
        Program::new([Step::Add(amount(1), 1)]),                      // 5: needs nobody
        Program::new([Step::Increment(amount(1))]),                   // 6: needs 4 and 5
        Program::new([Step::Scan(words(0, 9), 9)]),                   // 7: needs 2
        Program::new([Step::DeferAdd(fees(), 1)]),                    // 8
        Program::new([Step::Get(fees())]),                            // 9: waits for all before it
    ];
    let clock = || 0;
    let tracing = Tracing::new(&clock);
    run(&tracing, &base, &jobs, &mut Nothing).unwrap();
    let needs: Vec<Vec<(TxIndex, NeedKind)>> = tracing
        .into_trace()
        .jobs
        .iter()
        .map(|job| job.needs.iter().map(|need| (need.on, need.kind)).collect())
        .collect();
    let none = Vec::new;
    let want = vec![
        none(),
        none(),
        none(),
        vec![(2, NeedKind::Read)],
        none(),
        none(),
        vec![(4, NeedKind::Read), (5, NeedKind::Read)],
        vec![(2, NeedKind::Scan)],
        none(),
        vec![(8, NeedKind::Deferred)],
    ];
    assert_eq!(needs, want);
}
