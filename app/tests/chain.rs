//! What a block does, seen from outside.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;
use app::CheckKind;
use common::{Node, accounts, chain, genesis, mix};
use types::{Address, U256};
use workload::{EthCall, Weights, contracts};

#[test]
fn a_payment_is_checked_included_and_found() {
    let mut accounts = accounts(2);
    let mut node = Node::start(&genesis(&accounts, 1, 60_000_000), 2);
    let to = Address::repeat_byte(9);
    let tx = accounts[0].eth(&chain(), &EthCall::pay(to, 5));
    let checked = node.app.check_tx(&tx, CheckKind::New);
    assert_eq!((checked.code, checked.gas_wanted), (0, 21_000), "{}", checked.log);
    let again = node.app.check_tx(&tx, CheckKind::New);
    assert_eq!((again.code, again.log.as_str()), (19, "already known"));
    assert_eq!(node.app.pending_sequence(&accounts[0].address).unwrap(), 1);

    let (done, block) = node.run(vec![tx]);
    assert_eq!(done.results[0].code, 0, "{}", done.results[0].log);
    assert_eq!(node.balance(&to), U256::from(5));
    let receipt = block.evm_receipts().next().unwrap();
    let place = node.app.find_tx(&receipt.hash).unwrap().unwrap();
    assert_eq!((place.height, place.index), (1, 0));
    assert_eq!(node.app.find_block(&block.hash).unwrap(), Some(1));
    assert_eq!(node.app.pending_raw(&receipt.hash), None);
    // The new account has a record and a number of its own.
    let account = x_auth::account(&node.app.state_at(0).unwrap(), &to)
        .unwrap()
        .unwrap();
    assert!(account.number > 2, "{}", account.number);
}

#[test]
fn fees_go_to_the_collector_and_nothing_is_lost() {
    let (genesis, mut mix) = mix(3, 8);
    let mut node = Node::start(&genesis, 2);
    let denom = chain().config.base_denom.clone();
    let total = |node: &Node| {
        let state = node.app.state_at(0).unwrap();
        let mut sum = U256::ZERO;
        let all = state::KeyRange::prefix(x_bank::STORE, &[2]);
        state::StateScan::scan(&state, &all, &mut |key, value| {
            sum += state::decode_amount(key, Some(value)).unwrap();
            state::Control::Continue(())
        })
        .unwrap();
        (sum, x_bank::supply(&state, &denom).unwrap())
    };
    let before = total(&node);
    assert_eq!(before.0, before.1);
    node.run(mix.setup());
    for _ in 0..3 {
        let txs = mix.block(50, &Weights::ALL);
        node.run(txs);
        let (sum, supply) = total(&node);
        assert_eq!(sum, supply);
        assert!(supply <= before.1);
    }
    assert!(node.balance(&x_auth::module_address("fee_collector")) > U256::ZERO);
}

#[test]
fn headers_link_and_hash_as_any_client_computes_them() {
    let (genesis, mut mix) = mix(4, 6);
    let mut node = Node::start(&genesis, 2);
    let mut parent = node.app.block(0).unwrap().unwrap();
    node.run(mix.setup());
    node.run(mix.block(40, &Weights::ALL));
    node.run(Vec::new());
    for height in 1..=3 {
        let block = node.app.block(height).unwrap().unwrap();
        assert_eq!(block.header.parent_hash, parent.hash, "height {height}");
        assert_eq!(block.header.hash_slow(), block.hash);
        assert_eq!(block.header.number, height);
        assert_eq!(block.header.ommers_hash, alloy_consensus::EMPTY_OMMER_ROOT_HASH);
        let used: u64 = block.evm_receipts().map(|r| r.gas_used).sum();
        assert_eq!(block.header.gas_used, used);
        // EIP-1559 over the parent, as any client recomputes it.
        let fee = alloy_eips::eip1559::calc_next_block_base_fee(
            parent.header.gas_used,
            parent.header.gas_limit,
            parent.header.base_fee_per_gas.unwrap(),
            alloy_eips::eip1559::BaseFeeParams::ethereum(),
        );
        assert_eq!(block.header.base_fee_per_gas, Some(fee.max(1_000_000_000)));
        let mut logs = 0;
        for (i, receipt) in block.evm_receipts().enumerate() {
            assert_eq!((receipt.index, receipt.first_log), (i as u64, logs));
            logs += receipt.logs.len() as u64;
        }
        parent = block;
    }
}

#[test]
fn a_block_beyond_its_gas_refuses_the_rest() {
    let mut accounts = accounts(3);
    let mut node = Node::start(&genesis(&accounts, 1, 100_000), 2);
    let to = Address::repeat_byte(9);
    let pay = |account: &mut workload::Account, gas| {
        account.eth(
            &chain(),
            &EthCall {
                gas,
                ..EthCall::pay(to, 1)
            },
        )
    };
    // Used so far counts, not limits: the second fits exactly, the third does not, a smaller fourth does.
    let txs = vec![
        pay(&mut accounts[0], 60_000),
        pay(&mut accounts[1], 79_000),
        pay(&mut accounts[2], 58_001),
        pay(&mut accounts[0], 58_000),
    ];
    let (done, block) = node.run(txs);
    let codes: Vec<_> = done.results.iter().map(|r| (r.code, r.gas_used)).collect();
    assert_eq!(codes, [(0, 21_000), (0, 21_000), (11, 0), (0, 21_000)]);
    assert_eq!(block.evm_receipts().count(), 3);
    assert_eq!(node.sequence(&accounts[2].address), 0);
    assert_eq!(node.balance(&to), U256::from(3));
}

#[test]
fn old_heights_are_answered() {
    let mut accounts = accounts(1);
    let mut node = Node::start(&genesis(&accounts, 1, 60_000_000), 1);
    let to = Address::repeat_byte(9);
    for _ in 0..3 {
        let tx = accounts[0].eth(&chain(), &EthCall::pay(to, 5));
        node.run(vec![tx]);
    }
    for height in 1..=3u64 {
        let state = node.app.state_at(height).unwrap();
        assert_eq!(
            x_bank::balance(&state, &to, "abraid").unwrap(),
            U256::from(5 * height)
        );
    }
    assert!(node.app.state_at(4).is_err());
}

#[test]
fn a_proposal_keeps_what_can_run_in_an_order_that_can() {
    let mut accounts = accounts(3);
    let node = Node::start(&genesis(&accounts, 1, 60_000_000), 2);
    let to = Address::repeat_byte(9);
    let first = accounts[0].eth(&chain(), &EthCall::pay(to, 1));
    let second = accounts[0].eth(&chain(), &EthCall::pay(to, 2));
    let gap = x_evm::wrap(
        &accounts[1].eth_at(&chain(), 5, &EthCall::pay(to, 3)),
        &chain().config,
    );
    let native = {
        let send = accounts[2].send(&chain(), &to, 4);
        accounts[2].native(&chain(), vec![send], 200_000)
    };
    let block = node.block(vec![
        second.clone(),
        gap,
        "junk".into(),
        native.clone(),
        first.clone(),
    ]);
    let txs = node.app.prepare_proposal(&block, 1 << 20);
    assert_eq!(txs.len(), 3);
    let place = |tx| txs.iter().position(|t| *t == tx).unwrap();
    assert!(place(first.clone()) < place(second));
    let accepted = app::Block { txs, ..block.clone() };
    assert_eq!(node.app.process_proposal(&accepted), Ok(()));
    let refused = app::Block {
        txs: vec!["junk".into()],
        ..block.clone()
    };
    assert!(node.app.process_proposal(&refused).is_err());
    assert_eq!(
        node.app.prepare_proposal(
            &app::Block {
                txs: vec![first.clone(), native],
                ..block
            },
            first.len() as i64 + 6
        ),
        [first]
    );
}

#[test]
fn a_block_not_committed_leaves_no_trace() {
    let mut accounts = accounts(1);
    let mut node = Node::start(&genesis(&accounts, 1, 60_000_000), 2);
    let to = Address::repeat_byte(9);
    let tx = accounts[0].eth(&chain(), &EthCall::pay(to, 5));
    let dropped = node.app.finalize_block(&node.block(vec![tx.clone()])).unwrap();
    assert_eq!(node.balance(&to), U256::ZERO);
    assert_eq!(node.app.height(), 0);
    let (empty, _) = node.run(Vec::new());
    assert_ne!(empty.app_hash, dropped.app_hash);
    assert_eq!(node.balance(&to), U256::ZERO);
    // Out of order: refused, and nothing is harmed.
    assert!(
        node.app
            .finalize_block(&app::Block {
                height: 9,
                ..node.block(Vec::new())
            })
            .is_err()
    );
    assert!(node.app.commit().is_err());
    let (done, _) = node.run(vec![tx]);
    assert_eq!(done.results[0].code, 0);
}

#[test]
fn native_messages_of_different_accounts_run_once_and_never_wait() {
    let mut accounts = accounts(40);
    let mut node = Node::with(&genesis(&accounts, 3, 60_000_000), common::shuffled(1));
    let chain = chain();
    let txs: Vec<_> = (0..accounts.len())
        .map(|i| {
            let to = Address::repeat_byte(100 + i as u8);
            let message = accounts[i].send(&chain, &to, 7);
            accounts[i].native(&chain, vec![message], 300_000)
        })
        .collect();
    let (done, _) = node.run(txs);
    assert!(done.results.iter().all(|r| r.code == 0), "{:?}", done.results[0]);
    assert_eq!(
        (done.stats.executions, done.stats.aborts, done.stats.waits),
        (40, 0, 0)
    );

    let operators = common::operators(3);
    let txs: Vec<_> = (0..3)
        .map(|i| {
            let message = accounts[i].delegate(&chain, &operators[i], 1_000_000);
            accounts[i].native(&chain, vec![message], 600_000)
        })
        .collect();
    let (done, _) = node.run(txs);
    assert!(done.results.iter().all(|r| r.code == 0), "{:?}", done.results);
    assert_eq!(
        (done.stats.executions, done.stats.aborts, done.stats.waits),
        (3, 0, 0)
    );
}

#[test]
fn a_contract_reads_the_collectors_balance_exactly() {
    let (genesis, mut mix) = mix(8, 6);
    let mut nodes = [Node::start(&genesis, 0), Node::start(&genesis, 4)];
    let setup = mix.setup();
    let collector = x_auth::module_address("fee_collector");
    let (probe, chain) = (mix.probe, chain());
    let mut txs = Vec::new();
    for i in 0..6 {
        txs.push(mix.accounts[i].eth(&chain, &EthCall::pay(Address::repeat_byte(9), 1)));
        let look = contracts::input("balances(address)", &[contracts::word(&collector)]);
        txs.push(mix.accounts[i].eth(&chain, &EthCall::call(probe, look, 100_000)));
    }
    let mut seen = Vec::new();
    for node in &mut nodes {
        node.run(setup.clone());
        let before = node.balance(&collector);
        let (done, block) = node.run(txs.clone());
        let paid: Vec<U256> = block
            .evm_receipts()
            .map(|r| r.effective_gas_price * U256::from(r.gas_used))
            .collect();
        for (i, receipt) in block.evm_receipts().enumerate().filter(|(i, _)| i % 2 == 1) {
            let want = before + paid[..i].iter().fold(U256::ZERO, |a, b| a + b);
            assert_eq!(
                U256::from_be_slice(&receipt.logs[0].data.data),
                want,
                "transaction {i}"
            );
        }
        seen.push(done.app_hash);
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn checks_and_queries_do_not_wait_for_a_block() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let mut all = accounts(40);
    let mut waiting = all.split_off(36);
    let node = Node::start(&genesis(&accounts(40), 1, 700_000_000), 1);
    let chain = chain();
    // Each runs until its 16 million gas are gone: JUMPDEST PUSH0 JUMP.
    let burn = EthCall::create(vec![0x5b, 0x5f, 0x56], 16_000_000);
    let txs = all.iter_mut().map(|a| a.eth(&chain, &burn)).collect();
    let block = node.block(txs);
    let (begun, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut rounds = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            begun.store(true, Ordering::SeqCst);
            let result = node.app.finalize_block(&block).unwrap();
            done.store(true, Ordering::SeqCst);
            assert!(result.results.iter().all(|r| r.gas_used == 16_000_000));
        });
        while !begun.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let to = Address::repeat_byte(9);
        for i in 0.. {
            let who = &mut waiting[i % 4];
            let eth = who.eth(&chain, &EthCall::pay(to, 1));
            let send = who.send(&chain, &to, 1);
            let native = who.native(&chain, vec![send], 300_000);
            for tx in [eth, native] {
                let checked = node.app.check_tx(&tx, CheckKind::New);
                assert_eq!(checked.code, 0, "{}", checked.log);
            }
            let key = x_bank::balance_key(&who.address, "abraid");
            let query = app::Query {
                path: "/store/bank/key".into(),
                data: key.bytes().to_vec().into(),
                ..Default::default()
            };
            assert!(!node.app.query(&query).value.is_empty());
            assert_eq!(node.app.pending_sequence(&who.address).unwrap(), who.sequence);
            assert!(node.app.block(0).unwrap().is_some() && node.app.next_base_fee().is_ok());
            assert_eq!(
                (
                    node.app.height(),
                    node.app.find_tx(&common::hash(1)).unwrap().is_none()
                ),
                (0, true)
            );
            if done.load(Ordering::SeqCst) {
                break;
            }
            rounds += 1;
        }
    });
    println!("{rounds} rounds while the block was executed");
    // Each takes a few milliseconds, the block a second or more: whoever waits has but those before it began.
    assert!(rounds >= 50, "{rounds} rounds while the block was executed");
}
