//! What the app tells of a block's parallelism.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;
use app::explain::Explanation;
use common::{Node, accounts, chain, genesis, mix};
use std::sync::atomic::{AtomicU64, Ordering};
use types::Address;
use workload::{EthCall, Weights, contracts};

/// Explains the newest block, with a clock that moves on by one a look: every run costs one.
fn explain(node: &Node) -> Explanation {
    let clock = AtomicU64::new(0);
    let tick = || clock.fetch_add(1, Ordering::Relaxed);
    node.app.explain(node.height, &tick).unwrap().unwrap()
}

#[test]
fn a_chain_of_nonces_is_told_from_payments_that_do_not_meet() {
    let mut accounts = accounts(10);
    let mut node = Node::start(&genesis(&accounts, 1, 60_000_000), 2);
    node.run(Vec::new());
    assert!(
        node.app.explain(1, &|| 0).unwrap().is_none(),
        "nothing before the first"
    );
    assert!(node.app.explain(9, &|| 0).unwrap().is_none(), "not there yet");

    // Five of one sender, five of five senders, all to one receiver.
    let to = Address::repeat_byte(9);
    let mut pay = |i: usize| accounts[i].eth(&chain(), &EthCall::pay(to, 1));
    let txs = [0, 0, 0, 0, 0, 1, 2, 3, 4, 5].map(&mut pay);
    node.run(txs.into());
    let told = explain(&node);
    assert!(told.exact);
    assert_eq!(told.executed.unwrap().fallbacks, 0);
    assert_eq!((told.serial_ns, told.critical_ns), (10, 5));
    assert_eq!(told.critical, [0, 1, 2, 3, 4]);
    let needs: Vec<&[u32]> = told.txs.iter().map(|tx| &tx.needs[..]).collect();
    assert_eq!(needs, [&[][..], &[0], &[1], &[2], &[3], &[], &[], &[], &[], &[]]);
    let account = told
        .conflicts
        .iter()
        .find(|c| c.name.as_ref().unwrap().kind == "account")
        .unwrap();
    assert_eq!(account.name.as_ref().unwrap().address, Some(accounts[0].address));
    assert_eq!((account.count, account.pairs[0].0, account.pairs[0].1), (4, 0, 1));
    // Ten units of work with a chain of five: two cores are enough for the best there is.
    let ideal: Vec<u64> = told.scaling.iter().map(|s| s.ideal_milli).collect();
    assert_eq!(ideal, [2000; 5]);
    assert_eq!(told.txs[0].to, Some(to));
}

#[test]
fn transfers_of_one_token_meet_at_their_slots_and_are_named() {
    let mut accounts = accounts(4);
    let mut node = Node::start(&genesis(&accounts, 1, 60_000_000), 2);
    let token = accounts[0].address.create(0);
    node.run(vec![accounts[0].eth(
        &chain(),
        &EthCall::create(contracts::token(1_000_000), 2_000_000),
    )]);
    let transfer = |to: &Address| EthCall::call(token, contracts::transfer(to, 5), 100_000);
    let (one, two) = (accounts[1].address, accounts[2].address);
    // The second needs what the first brings; the third meets neither.
    let txs = vec![
        accounts[0].eth(&chain(), &transfer(&one)),
        accounts[1].eth(&chain(), &transfer(&two)),
        accounts[3].eth(&chain(), &EthCall::pay(Address::repeat_byte(7), 1)),
    ];
    node.run(txs);
    let told = explain(&node);
    assert!(told.exact);
    assert_eq!(told.txs[1].needs, [0]);
    assert!(told.txs[2].needs.is_empty());
    let names: Vec<_> = told.conflicts.iter().map(|c| c.name.clone().unwrap()).collect();
    assert!(
        names
            .iter()
            .any(|n| n.kind == "storage" && n.address == Some(token)),
        "{names:?}"
    );
    let run = told.schedule(2);
    assert_eq!(run.runs.iter().filter(|r| !r.wasted).count(), 3);
}

#[test]
fn mixed_blocks_are_explained_exactly_and_every_conflict_has_a_name() {
    let (genesis, mut mix) = mix(5, 12);
    let mut node = Node::start(&genesis, 2);
    node.run(mix.setup());
    for _ in 0..4 {
        node.run(mix.block(40, &Weights::ALL));
        let told = explain(&node);
        assert!(told.exact, "height {}", node.height);
        for conflict in &told.conflicts {
            assert!(conflict.name.is_some(), "{:?}", conflict.key);
        }
        for step in told.scaling.windows(2) {
            assert!(step[0].ideal_milli <= step[1].ideal_milli + 50);
        }
        let (best, bound) = (
            told.scaling[4].ideal_milli,
            told.serial_ns * 1000 / told.critical_ns,
        );
        assert!(best <= bound, "{best} beyond the critical path's {bound}");
    }
}
