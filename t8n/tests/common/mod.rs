//! Blocks in JSON, run on every executor.
#![allow(
    unreachable_pub,
    dead_code,
    reason = "shared by test files, none of which needs all"
)]

use executor::AnyExecutor;
use serde_json::Value;
use t8n::{Input, Output};

/// A block of chain 1, with system calls, that pays nothing.
pub fn input(fork: &str, alloc: Value, env: Value, txs: Value) -> Input {
    Input {
        alloc: serde_json::from_value(alloc).unwrap(),
        env: serde_json::from_value(env).unwrap(),
        txs: t8n::from_json(txs, 1).unwrap(),
        fork: fork.into(),
        chain_id: 1,
        reward: Some(types::U256::ZERO),
        hooks: true,
    }
}

/// Runs `input` on every executor; the results must be the same.
pub fn run(input: &Input) -> Output {
    let serial = t8n::run(input, &AnyExecutor::new("serial", 0).unwrap()).unwrap();
    for threads in [1, 2, 4] {
        let parallel = executor::Parallel::new(threads).with_faults(executor::Faults::default());
        let parallel = t8n::run(input, &parallel).unwrap();
        assert_eq!(parallel.result, serial.result, "{threads} threads");
        assert_eq!(parallel.alloc, serial.alloc, "{threads} threads");
        assert_eq!(parallel.body, serial.body, "{threads} threads");
    }
    serial
}
