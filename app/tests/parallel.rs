//! The law: a block run in parallel is the block run one transaction after another.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;
use common::{CHAIN_ID, Node, accounts, genesis_of, mix, operators, seen};
use executor::{AnyExecutor, Faults, Parallel};
use state::CommitStore;
use store::{Config, DiskStore};
use types::Bytes;
use workload::{Account, Chain, Mix, Weights};

/// Runs generated blocks on all executors side by side; panics with the seed where they part.
fn parallel_equals_serial(seed: u64, blocks: usize, size: usize, threads: &[usize]) {
    let (genesis, mut mix) = mix(seed, 12);
    let mut serial = Node::start(&genesis, 0);
    let mut others: Vec<(usize, Node)> = threads.iter().map(|t| (*t, Node::start(&genesis, *t))).collect();
    let (mut included, mut refused, mut failed) = (0, 0, 0);
    for block in 0..=blocks {
        let txs = if block == 0 {
            mix.setup()
        } else {
            mix.block(size, &Weights::ALL)
        };
        let (want, stored) = serial.run(txs.clone());
        for tx in &stored.txs {
            included += usize::from(tx.result.gas_used > 0);
            refused += usize::from(tx.result.gas_used == 0);
            failed += usize::from(tx.evm.as_ref().is_some_and(|e| !e.success));
        }
        for (threads, node) in &mut others {
            same(
                node,
                &txs,
                &want,
                &stored,
                &format!("BRAID_SEED={seed} block {block}, {threads} threads"),
            );
        }
        go_on(&mut mix.accounts, &serial);
    }
    assert!(
        included > blocks * size / 2,
        "seed {seed}: only {included} ran, {refused} were refused"
    );
    assert!(
        refused > 0 && failed > 0,
        "seed {seed}: {refused} refused, {failed} failed"
    );
}

/// Runs `txs` and compares all that anybody sees of them.
fn same<S: CommitStore>(
    node: &mut Node<S>,
    txs: &[Bytes],
    want: &app::Finalized,
    stored: &app::StoredBlock,
    at: &str,
) {
    let (have, other) = node.run(txs.to_vec());
    assert_eq!(seen(&have), seen(want), "{at}");
    assert_eq!(*other, *stored, "{at}");
    assert_eq!(have.stats.fallbacks, 0, "{at}");
}

/// Senders go on from what the chain says: refused transactions used no sequence.
fn go_on(accounts: &mut [Account], node: &Node) {
    for account in accounts {
        account.sequence = node.sequence(&account.address);
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a seed to replay comes from the environment"
)]
fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("BRAID_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=count).collect(),
    }
}

#[test]
fn generated_blocks_give_the_same_at_any_thread_count() {
    for seed in seeds(6) {
        parallel_equals_serial(seed, 4, 60, &[1, 2, 4, 8]);
    }
}

/// A chain whose proposer is among the senders, with blocks that run full.
fn odd_mix(seed: u64, max_gas: i64) -> (app::InitChain, Mix) {
    let accounts = accounts(10);
    let mut operators = operators(3);
    operators[0] = accounts[0].address;
    let genesis = genesis_of(&accounts, operators.clone(), max_gas);
    (genesis, Mix::new(Chain::new(CHAIN_ID), accounts, operators, seed))
}

#[test]
fn odd_blocks_near_the_gas_limit_give_the_same_on_disk_too() {
    for seed in seeds(4) {
        let (genesis, mut mix) = odd_mix(seed, 2_800_000);
        let home = tempfile::tempdir().unwrap();
        let disk = DiskStore::open(home.path(), Config::new(app::stores())).unwrap();
        let mut disk = Node::over(disk, &genesis, common::executor(4));
        let mut serial = Node::start(&genesis, 0);
        let mut others = [2, 8].map(|t| (t, Node::start(&genesis, t)));
        let (mut full, mut delegated) = (0, 0);
        for block in 0..5 {
            let txs: Vec<Bytes> = if block == 0 {
                mix.setup()
            } else {
                (0..70)
                    .map(|i| {
                        if i % 2 == 0 {
                            mix.odd().1
                        } else {
                            mix.block(1, &Weights::ALL)[0].clone()
                        }
                    })
                    .collect()
            };
            let (want, stored) = serial.run(txs.clone());
            full += usize::from(block > 0)
                * want
                    .results
                    .iter()
                    .filter(|r| r.code == 11 && r.gas_used == 0)
                    .count();
            delegated += stored.evm_receipts().filter(|r| r.tx_type == 4).count();
            let at = format!("BRAID_SEED={seed} block {block}");
            for (threads, node) in &mut others {
                same(node, &txs, &want, &stored, &format!("{at}, {threads} threads"));
            }
            same(&mut disk, &txs, &want, &stored, &format!("{at}, on disk"));
            go_on(&mut mix.accounts, &serial);
        }
        assert!(
            full > 0 && delegated > 3,
            "seed {seed}: {full} beyond the gas, {delegated} delegations"
        );
    }
}

#[test]
fn without_validation_parallel_is_not_serial() {
    // The property's own test: an executor that commits whatever was run first is found out. On one thread its order of
    // work follows from the seed, so that this is found each time or never.
    let found = (1..=20).find(|seed| {
        let faults = Faults {
            skip_validation: true,
            shuffle: Some(*seed),
            ..Faults::default()
        };
        let broken = AnyExecutor::Parallel(Parallel::new(1).with_faults(faults));
        let (genesis, mut mix) = mix(*seed, 6);
        let mut serial = Node::start(&genesis, 0);
        let mut other = Node::with(&genesis, broken);
        [mix.setup(), mix.block(80, &Weights::ALL)]
            .into_iter()
            .any(|txs| {
                let (want, _) = serial.run(txs.clone());
                // It may well fail altogether.
                let Ok(have) = other.app.finalize_block(&other.block(txs)) else {
                    return true;
                };
                other.app.commit().unwrap();
                other.height += 1;
                seen(&have) != seen(&want)
            })
    });
    assert!(found.is_some());
}
