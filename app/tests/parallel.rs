//! The law: a block run in parallel is the block run one transaction after another.
mod common;
use common::{Node, mix, seen};
use workload::Weights;

/// Runs generated blocks on all executors side by side; panics with the seed where they part.
fn parallel_equals_serial(seed: u64, blocks: usize, size: usize, threads: &[usize]) {
    let (genesis, mut mix) = mix(seed, 12);
    let mut serial = Node::start(&genesis, 0);
    let mut others: Vec<(usize, Node)> = threads.iter().map(|t| (*t, Node::start(&genesis, *t))).collect();
    let (mut included, mut refused, mut failed) = (0, 0, 0);
    for block in 0..=blocks {
        let txs = if block == 0 { mix.setup() } else { mix.block(size, &Weights::ALL) };
        let (want, stored) = serial.run(txs.clone());
        for tx in &stored.txs {
            included += usize::from(tx.result.gas_used > 0);
            refused += usize::from(tx.result.gas_used == 0);
            failed += usize::from(tx.evm.as_ref().is_some_and(|e| !e.success));
        }
        for (threads, node) in &mut others {
            let (have, other) = node.run(txs.clone());
            let at = format!("BRAID_SEED={seed} block {block}, {threads} threads");
            assert_eq!(seen(&have), seen(&want), "{at}");
            assert_eq!(other, stored, "{at}");
            assert_eq!(have.stats.fallbacks, 0, "{at}");
        }
        // Senders go on from what the chain says: refused transactions used no sequence.
        for account in &mut mix.accounts {
            account.sequence = serial.sequence(&account.address);
        }
    }
    assert!(included > blocks * size / 2, "seed {seed}: only {included} ran, {refused} were refused");
    assert!(refused > 0 && failed > 0, "seed {seed}: {refused} refused, {failed} failed");
}

#[test]
fn generated_blocks_give_the_same_at_any_thread_count() {
    let seeds = match std::env::var("BRAID_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=6).collect(),
    };
    for seed in seeds {
        parallel_equals_serial(seed, 4, 60, &[1, 2, 4, 8]);
    }
}
