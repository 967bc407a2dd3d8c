//! What ran before is expected again: it orders work, and changes nothing else.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;
use common::{Node, chain, mix, seen, shuffled};
use types::{Bytes, U256};
use workload::contracts::{input, transfer};
use workload::{EthCall, Mix, Weights};

/// A call from everybody: of the one counter, or a transfer of the token to one of three.
fn calls(mix: &mut Mix, hot: bool) -> Vec<Bytes> {
    let to: Vec<_> = mix.accounts.iter().take(3).map(|a| a.address).collect();
    let (token, probe) = (mix.token, mix.probe);
    let call = |(i, account): (usize, &mut workload::Account)| {
        let call = if hot {
            EthCall::call(probe, input("increment()", &[]), 100_000)
        } else {
            EthCall::call(token, transfer(&to[i % 3], 1), 100_000)
        };
        account.eth(&chain(), &call)
    };
    mix.accounts.iter_mut().enumerate().map(call).collect()
}

#[test]
fn a_slot_that_every_call_writes_is_waited_for_once_it_is_known() {
    let (genesis, mut mix) = mix(21, 40);
    let mut serial = Node::start(&genesis, 0);
    let mut node = Node::with(&genesis, shuffled(3));
    let mut aborts = Vec::new();
    for number in 0..4 {
        let txs = if number == 0 {
            mix.setup()
        } else {
            calls(&mut mix, true)
        };
        let (want, stored) = serial.run(txs.clone());
        let (have, other) = node.run(txs);
        assert_eq!(seen(&have), seen(&want));
        assert_eq!(other, stored);
        aborts.push(have.stats.aborts + have.stats.waits);
        println!("block {number}: {:?}", have.stats);
        if number > 1 {
            assert_eq!(have.stats.aborts, 0, "block {number}: {:?}", have.stats);
        }
    }
    assert!(
        aborts[1] > 0,
        "nothing met in the first block of calls: {aborts:?}"
    );
    let stats = node.app.learned_stats();
    assert!(stats.call_right > 40 && stats.call_wrong == 0, "{stats:?}");
    assert_eq!(serial.app.learned_stats(), app::LearnedStats::default());
}

#[test]
fn what_a_proposer_ran_is_expected_of_the_same_transactions_in_the_block() {
    let (genesis, mut mix) = mix(22, 40);
    let mut serial = Node::start(&genesis, 0);
    let mut node = Node::with(&genesis, shuffled(5));
    let setup = mix.setup();
    serial.run(setup.clone());
    node.run(setup);
    // Balances of a token: no slot that all calls share, but three that many do.
    let txs = node
        .app
        .prepare_proposal(&node.block(calls(&mut mix, false)), 1 << 20);
    assert_eq!(txs.len(), 40);
    let (want, _) = serial.run(txs.clone());
    let (have, _) = node.run(txs);
    assert_eq!(seen(&have), seen(&want));
    assert_eq!(have.stats.aborts, 0, "{:?}", have.stats);
    let stats = node.app.learned_stats();
    assert!(stats.tx_right >= 70 && stats.tx_wrong == 0, "{stats:?}");
    // Those that follow are not known, and share no slot with all others.
    let (want, _) = serial.run(calls(&mut mix, false));
    for account in &mut mix.accounts {
        account.sequence -= 1;
    }
    let (have, _) = node.run(calls(&mut mix, false));
    assert_eq!(seen(&have), seen(&want));
    assert_eq!(node.app.learned_stats(), stats);
}

#[test]
fn wrong_expectations_change_nothing() {
    let (genesis, mut mix) = mix(23, 8);
    let mut serial = Node::start(&genesis, 0);
    let mut node = Node::with(&genesis, shuffled(7));
    for number in 0..8 {
        let txs = match number {
            0 => mix.setup(),
            // Rehearsed on one state, and run on another: the slot that is written follows from the one that is read.
            n if n % 2 == 0 => {
                let hop = |account: &mut workload::Account| {
                    let data = input("hop(uint256)", &[U256::from(account.number % 7)]);
                    account.eth(&chain(), &EthCall::call(mix.probe, data, 150_000))
                };
                let mut txs: Vec<Bytes> = mix.accounts.iter_mut().map(hop).collect();
                node.app.prepare_proposal(&node.block(txs.clone()), 1 << 20);
                txs.reverse();
                txs
            }
            _ => mix.block(50, &Weights::FUZZ),
        };
        let (want, stored) = serial.run(txs.clone());
        let (have, other) = node.run(txs);
        assert_eq!(seen(&have), seen(&want));
        assert_eq!(other, stored);
        for account in &mut mix.accounts {
            account.sequence = serial.sequence(&account.address);
        }
    }
    let stats = node.app.learned_stats();
    assert!(stats.tx_wrong > 0, "nothing was expected wrongly: {stats:?}");
}
