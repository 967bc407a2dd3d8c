//! Rules 3, 14, 16, 17 and 18: single transactions.
use crate::common::{Node, accounts, chain, genesis};
use app::{Block, CheckKind, Query};
use cosmrs::proto::cosmos::tx::v1beta1::{SimulateRequest, SimulateResponse, TxRaw};
use prost::Message;
use types::{Address, Bytes, U256};
use workload::EthCall;

const GAS: i64 = 60_000_000;

#[test]
fn native_gas_does_not_depend_on_state() {
    let mut accounts = accounts(4);
    let mut node = Node::start(&genesis(&accounts, 1, GAS), 2);
    let chain = chain();
    let (rich, new) = (accounts[3].address, Address::repeat_byte(9));
    let mut used = Vec::new();
    for to in [rich, new, new] {
        let send = accounts[0].send(&chain, &to, 1);
        let (done, _) = node.run(vec![accounts[0].native_at(
            &chain,
            accounts[0].sequence,
            vec![send],
            300_000,
        )]);
        accounts[0].sequence += 1;
        assert_eq!(done.results[0].code, 0, "{}", done.results[0].log);
        used.push((done.results[0].gas_used, done.results[0].gas_wanted));
    }
    // The first shows the key and the sequence grows a byte: the bytes are all that may differ.
    assert!(
        used[1] == used[2] && used[0].0.abs_diff(used[1].0) < 100,
        "{used:?}"
    );
}

#[test]
fn what_cannot_run_leaves_no_trace_at_all() {
    let accounts = accounts(3);
    let chain = chain();
    let pay = EthCall::pay(Address::repeat_byte(9), 1);
    let wrap = |tx| x_evm::wrap(&tx, &chain.config);
    let send = vec![accounts[1].send(&chain, &Address::repeat_byte(9), 1)];
    let other = workload::Chain {
        id: "other-1".into(),
        ..chain.clone()
    };
    let cheap = workload::Chain {
        fee_cap: 1,
        tip: 0,
        ..chain.clone()
    };
    let txs: Vec<Bytes> = vec![
        wrap(accounts[0].eth_at(&chain, 1, &pay)),
        wrap(accounts[0].eth_at(
            &chain,
            0,
            &EthCall {
                value: U256::MAX >> 1,
                ..pay.clone()
            },
        )),
        wrap(accounts[0].eth_at(
            &chain,
            0,
            &EthCall {
                gas: 20_999,
                ..pay.clone()
            },
        )),
        wrap(accounts[0].eth_at(
            &chain,
            0,
            &EthCall {
                gas: GAS as u64 + 1,
                ..pay.clone()
            },
        )),
        wrap(accounts[0].eth_at(&cheap, 0, &pay)),
        accounts[1].native_at(&chain, 5, send.clone(), 300_000),
        accounts[1].native_at(&other, 0, send.clone(), 300_000),
        accounts[1].native_at(&cheap, 0, send.clone(), 300_000),
        accounts[1].native_at(&chain, 0, send.clone(), 100),
        accounts[2].native_at(&chain, 0, send, 300_000),
        "junk".into(),
    ];
    let mut node = Node::start(&genesis(&accounts, 1, GAS), 2);
    let mut empty = Node::start(&genesis(&accounts, 1, GAS), 2);
    let (done, block) = node.run(txs.clone());
    let (want, bare) = empty.run(Vec::new());
    // The same state, and the same Ethereum block, as without them.
    assert_eq!(done.app_hash, want.app_hash);
    assert_eq!((block.hash, block.txs.len()), (bare.hash, txs.len()));
    for (tx, result) in txs.iter().zip(&done.results) {
        assert!(
            result.code != 0 && result.gas_used == 0 && result.events.is_empty(),
            "{result:?}"
        );
        let cosmos = types::B256::from_slice(&<sha2::Sha256 as sha2::Digest>::digest(tx));
        assert_eq!(node.app.find_tx(&cosmos).unwrap(), None);
        if let Ok(Some(tx)) = x_evm::unwrap(tx, &chain.config) {
            assert_eq!(node.app.find_tx(&tx.hash).unwrap(), None);
        }
    }
}

#[test]
fn bytes_that_come_again_do_not_hide_where_they_ran() {
    let mut accounts = accounts(2);
    let mut node = Node::start(&genesis(&accounts, 1, GAS), 2);
    let chain = chain();
    let eth = accounts[0].eth(&chain, &EthCall::pay(Address::repeat_byte(9), 1));
    let send = accounts[1].send(&chain, &Address::repeat_byte(9), 1);
    let native = accounts[1].native(&chain, vec![send], 300_000);
    // Twice in the block, and once more in the next.
    let (done, _) = node.run(vec![eth.clone(), native.clone(), eth.clone(), native.clone()]);
    assert_eq!(done.results.iter().filter(|r| r.code == 0).count(), 2);
    node.run(vec![native.clone(), eth.clone()]);
    for (i, tx) in [eth, native].iter().enumerate() {
        let hash = types::B256::from_slice(&<sha2::Sha256 as sha2::Digest>::digest(tx));
        let place = node.app.find_tx(&hash).unwrap().unwrap();
        assert_eq!((place.height, place.index), (1, i as u32));
    }
}

#[test]
fn what_fails_after_it_was_charged_has_a_receipt() {
    let mut accounts = accounts(2);
    let mut node = Node::start(&genesis(&accounts, 1, GAS), 2);
    let chain = chain();
    // INVALID; REVERT(0, 0).
    let halts = accounts[0].eth(&chain, &EthCall::create(vec![0xfe], 100_000));
    let reverts = accounts[0].eth(&chain, &EthCall::create(vec![0x5f, 0x5f, 0xfd], 100_000));
    let broke = accounts[1].send(&chain, &Address::repeat_byte(9), u64::MAX);
    let broke = {
        let mut messages = vec![accounts[1].send(&chain, &Address::repeat_byte(9), 1)];
        messages.extend(vec![broke; 200]);
        accounts[1].native(&chain, messages, 5_000_000)
    };
    let before = node.balance(&accounts[1].address);
    let (done, block) = node.run(vec![halts, reverts, broke]);
    let receipts: Vec<_> = block
        .evm_receipts()
        .map(|r| (r.success, r.gas_used == 100_000))
        .collect();
    assert_eq!(receipts, [(false, true), (false, false)]);
    assert!(done.results[..2].iter().all(|r| r.code == 0 && !r.log.is_empty()));
    assert_eq!(
        (
            node.sequence(&accounts[0].address),
            node.sequence(&accounts[1].address)
        ),
        (2, 1)
    );
    let failed = &done.results[2];
    assert!(
        failed.code != 0 && failed.gas_used > 0 && failed.gas_used <= failed.gas_wanted,
        "{failed:?}"
    );
    assert_eq!(
        before - node.balance(&accounts[1].address),
        U256::from(chain.fee_cap) * U256::from(5_000_000)
    );
    assert_eq!(node.balance(&Address::repeat_byte(9)), U256::ZERO);
    assert!(
        node.app
            .find_tx(&block.evm_receipts().next().unwrap().hash)
            .unwrap()
            .is_some()
    );
}

#[test]
fn another_envelope_is_refused_everywhere() {
    let mut accounts = accounts(1);
    let mut node = Node::start(&genesis(&accounts, 1, GAS), 2);
    let good = accounts[0].eth(&chain(), &EthCall::pay(Address::repeat_byte(9), 1));
    let open = TxRaw::decode(good.clone()).unwrap();
    let signed = TxRaw {
        signatures: vec![vec![1]],
        ..open.clone()
    };
    let mut longer = good.to_vec();
    // An unknown field behind it all.
    longer.extend([0x7a, 0x01, 0x00]);
    let mut auth = open.auth_info_bytes.clone();
    auth.extend([0x12, 0x00]);
    let padded = TxRaw {
        auth_info_bytes: auth,
        ..open
    };
    for bad in [signed.encode_to_vec(), longer, padded.encode_to_vec()].map(Bytes::from) {
        assert_ne!(bad, good);
        let checked = node.app.check_tx(&bad, CheckKind::New);
        assert!(
            checked.code != 0 && checked.log.contains("canonical"),
            "{checked:?}"
        );
        let block = node.block(vec![bad.clone()]);
        assert!(
            node.app
                .process_proposal(&block)
                .unwrap_err()
                .contains("canonical")
        );
        assert!(node.app.prepare_proposal(&block, 1 << 20).is_empty());
        let (done, stored) = node.run(vec![bad]);
        assert_eq!((done.results[0].gas_used, stored.evm_receipts().count()), (0, 0));
    }
    let (done, _) = node.run(vec![good]);
    assert_eq!(done.results[0].code, 0);
}

#[test]
fn what_is_burnt_leaves_the_supply() {
    let mut accounts = accounts(2);
    let mut node = Node::start(&genesis(&accounts, 1, GAS), 4);
    let chain = chain();
    let supply =
        |node: &Node| x_bank::supply(&node.app.state_at(0).unwrap(), &chain.config.base_denom).unwrap();
    let before = supply(&node);
    // ADDRESS SELFDESTRUCT: made and destroyed in one transaction, in favour of itself.
    let burn = EthCall {
        value: U256::from(1000),
        ..EthCall::create(vec![0x30, 0xff], 100_000)
    };
    let (done, block) = node.run(vec![
        accounts[0].eth(&chain, &burn),
        accounts[1].eth(&chain, &burn),
    ]);
    assert!(block.evm_receipts().all(|r| r.success), "{:?}", done.results);
    assert_eq!(before - supply(&node), U256::from(2000));
    let made = block.evm_receipts().next().unwrap().contract.unwrap();
    assert_eq!((node.balance(&made), node.sequence(&made)), (U256::ZERO, 0));
}

#[test]
fn nobody_sends_value_to_a_blocked_address() {
    let mut accounts = accounts(2);
    let mut node = Node::start(&genesis(&accounts, 1, GAS), 2);
    let chain = chain();
    let pool = x_auth::module_address("bonded_tokens_pool");
    let held = node.balance(&pool);
    let die = [&[0x73][..], pool.as_slice(), &[0xff]].concat();
    let txs = vec![
        accounts[0].eth(
            &chain,
            &EthCall {
                gas: 60_000,
                ..EthCall::pay(pool, 1)
            },
        ),
        accounts[0].eth(
            &chain,
            &EthCall {
                value: U256::from(5),
                ..EthCall::create(die, 100_000)
            },
        ),
        // Nothing is no value.
        accounts[0].eth(
            &chain,
            &EthCall {
                gas: 60_000,
                ..EthCall::pay(pool, 0)
            },
        ),
        {
            let send = accounts[1].send(&chain, &pool, 1);
            accounts[1].native(&chain, vec![send], 300_000)
        },
    ];
    let (done, block) = node.run(txs);
    let receipts: Vec<_> = block.evm_receipts().map(|r| r.success).collect();
    assert_eq!(receipts, [false, false, true]);
    assert_eq!(
        (done.results[3].code, done.results[3].codespace.as_str()),
        (4, "sdk"),
        "{:?}",
        done.results[3]
    );
    assert_eq!(node.balance(&pool), held);
}

#[test]
fn a_check_that_passed_is_not_remembered() {
    let mut accounts = accounts(2);
    let mut node = Node::start(&genesis(&accounts, 1, GAS), 2);
    let chain = chain();
    let to = Address::repeat_byte(9);
    let send = |a: &workload::Account, n| a.native_at(&chain, 0, vec![a.send(&chain, &to, n)], 300_000);
    let (first, second) = (send(&accounts[0], 1), send(&accounts[0], 2));
    let all = node.balance(&accounts[1].address);
    let eth = accounts[1].eth(&chain, &EthCall::pay(to, 1));
    for tx in [&first, &eth] {
        assert_eq!(node.app.check_tx(tx, CheckKind::New).code, 0);
    }
    // Another with the same sequence is refused while the first waits, and both kinds count up together.
    assert_eq!(node.app.check_tx(&second, CheckKind::New).code, 32);
    let mixed = accounts[1].send(&chain, &to, 1);
    let mixed = accounts[1].native(&chain, vec![mixed], 300_000);
    assert_eq!(node.app.check_tx(&mixed, CheckKind::New).code, 0);
    let (done, _) = node.run(vec![second.clone(), first.clone(), eth.clone(), mixed]);
    let codes: Vec<_> = done.results.iter().map(|r| r.code).collect();
    assert_eq!(codes, [0, 32, 0, 0], "{:?}", done.results);
    assert!(node.balance(&accounts[1].address) < all);
    // Rechecked after the block: neither would run again.
    for tx in [&first, &eth] {
        assert_ne!(node.app.check_tx(tx, CheckKind::Recheck).code, 0);
    }
    assert_eq!(node.app.pending_sequence(&accounts[1].address).unwrap(), 2);
}

#[test]
fn a_simulation_needs_no_signature() {
    let mut accounts = accounts(1);
    let node = Node::start(&genesis(&accounts, 1, GAS), 2);
    let chain = chain();
    let send = accounts[0].send(&chain, &Address::repeat_byte(9), 1);
    let signed = accounts[0].native(&chain, vec![send], 300_000);
    let bare = TxRaw {
        signatures: vec![Vec::new()],
        ..TxRaw::decode(signed).unwrap()
    };
    let request = SimulateRequest {
        tx_bytes: bare.encode_to_vec(),
        ..SimulateRequest::default()
    };
    let query = Query {
        path: "/cosmos.tx.v1beta1.Service/Simulate".into(),
        data: request.encode_to_vec().into(),
        ..Query::default()
    };
    let answer = node.app.query(&query);
    assert_eq!(answer.code, 0, "{}", answer.log);
    let gas = SimulateResponse::decode(answer.value).unwrap().gas_info.unwrap();
    assert!(gas.gas_used > 10_000);
    assert_eq!(node.sequence(&accounts[0].address), 0);
    // The same without a signature is refused where it counts.
    let refused = node.app.process_proposal(&Block {
        txs: vec![bare.encode_to_vec().into()],
        ..node.block(Vec::new())
    });
    let checked = node.app.check_tx(&bare.encode_to_vec().into(), CheckKind::New);
    assert!(checked.code == 4, "{checked:?} {refused:?}");
}

#[test]
fn what_waits_is_checked_again_on_the_new_state() {
    let mut accounts = accounts(2);
    let mut node = Node::start(&genesis(&accounts, 1, GAS), 2);
    let chain = chain();
    let to = Address::repeat_byte(9);
    let mut waits: Vec<Bytes> = (0..2)
        .map(|_| accounts[0].eth(&chain, &EthCall::pay(to, 1)))
        .collect();
    let send = accounts[0].send(&chain, &to, 1);
    waits.push(accounts[0].native(&chain, vec![send], 300_000));
    let check = |node: &Node, kind| {
        waits
            .iter()
            .map(|tx| node.app.check_tx(tx, kind).code)
            .collect::<Vec<_>>()
    };
    assert_eq!(check(&node, CheckKind::New), [0, 0, 0]);
    assert_eq!(node.app.pending_sequence(&accounts[0].address).unwrap(), 3);
    // A block without them: they wait as before. One with the first: the others do.
    node.run(vec![accounts[1].eth(&chain, &EthCall::pay(to, 1))]);
    assert_eq!(node.app.pending_sequence(&accounts[0].address).unwrap(), 0);
    assert_eq!(check(&node, CheckKind::Recheck), [0, 0, 0]);
    assert_eq!(node.app.pending_sequence(&accounts[0].address).unwrap(), 3);
    node.run(vec![waits[0].clone()]);
    let codes = check(&node, CheckKind::Recheck);
    assert!(codes[0] != 0 && codes[1..] == [0, 0], "{codes:?}");
    let hash = |tx: &Bytes| x_evm::unwrap(tx, &chain.config).unwrap().unwrap().hash;
    assert_eq!(node.app.pending_raw(&hash(&waits[0])), None);
    assert!(node.app.pending_raw(&hash(&waits[1])).is_some());
}
