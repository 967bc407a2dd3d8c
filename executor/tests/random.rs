//! Parallel equals serial over blocks made from seeds. `BRAID_SEED=n` replays one.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;

use common::*;
use executor::{Executor, Faults, Parallel, Serial};

fn check(count: u64, len: u64, heat: u8) {
    for seed in seeds(count) {
        let mut rng = Rng(seed ^ (u64::from(heat) << 32));
        let base = some_state(&mut rng);
        let len = 1 + rng.below(len) as usize;
        let jobs = some_block(&mut rng, len, heat);
        parallel_equals_serial(&base, &jobs, seed).expect("these blocks have no failures");
    }
}

#[test]
fn hot_blocks_give_the_same() {
    check(150, 40, 2);
}

#[test]
fn warm_blocks_give_the_same() {
    check(150, 80, 8);
}

#[test]
fn cool_long_blocks_give_the_same() {
    check(25, 600, 24);
}

#[test]
fn blocks_that_declare_nothing_give_the_same() {
    // The first scan, somewhere in the middle, opens the ordered index while others write.
    for seed in seeds(100) {
        let mut rng = Rng(seed);
        let base = some_state(&mut rng);
        let jobs: Vec<_> = some_block(&mut rng, 60, 12)
            .into_iter()
            .map(|job| Program::new(job.steps))
            .collect();
        parallel_equals_serial(&base, &jobs, seed).unwrap();
    }
}

/// Whether any of some blocks comes out wrong.
fn caught(faults: Faults) -> bool {
    (1..=40u64).any(|seed| {
        let mut rng = Rng(seed);
        let base = some_state(&mut rng);
        let jobs = some_block(&mut rng, 40, 4);
        let result = |executor: &dyn Fn() -> _| plain(executor()).0;
        let shuffled = Parallel::new(1).with_faults(Faults {
            shuffle: Some(seed),
            ..faults
        });
        result(&|| run(&Serial, &base, &jobs, &mut Nothing))
            != result(&|| run(&shuffled, &base, &jobs, &mut Nothing))
    })
}

#[test]
fn broken_validation_is_caught() {
    assert!(!caught(Faults::default()));
    assert!(caught(Faults {
        skip_validation: true,
        ..Faults::default()
    }));
}

#[test]
fn a_block_finishes_serially_when_the_machinery_fails() {
    let mut rng = Rng(11);
    let base = some_state(&mut rng);
    let jobs = some_block(&mut rng, 60, 6);
    let mut meter = Meter::new(100);
    let (want, _) = plain(run(&Serial, &base, &jobs, &mut meter));
    for (threads, at) in [(1, 0), (2, 30), (4, 59), (8, 7)] {
        let broken = Parallel::new(threads).with_faults(Faults {
            break_at: Some(at),
            ..Faults::default()
        });
        let mut other = Meter::new(100);
        let (got, stats) = plain(run(&broken, &base, &jobs, &mut other));
        assert_eq!(got, want);
        assert_eq!(other.seen, meter.seen, "each job is settled once");
        assert_eq!(stats.fallbacks, 1);
    }
    fn is_executor<E: Executor>(_: &E) {}
    is_executor(&Parallel::new(1));
}
