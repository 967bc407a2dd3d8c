//! Rules 1, 5, 6, 19, 23 and 24: what blocks write.
use crate::common::{Node, accounts, chain, genesis, mix, operators, shuffled};
use app::Query;
use prost::Message;
use state::{Control, EMPTY_ROOT, Key, KeyRange, StateRead, StateScan};
use types::{Address, Bytes, U256};
use workload::{EthCall, contracts};

const GAS: i64 = 60_000_000;

/// A leaf's prefix in its proof: it names the height that wrote the leaf.
fn leaf(node: &Node, key: &Key, height: u64) -> Vec<u8> {
    let query = Query {
        path: format!("/store/{}/key", key.store().name()),
        data: Bytes::copy_from_slice(key.bytes()),
        height: height as i64,
        prove: true,
    };
    let answer = node.app.query(&query);
    assert_eq!(answer.code, 0, "{}", answer.log);
    let proof = ics23::CommitmentProof::decode(&answer.proof[0].data[..]).unwrap();
    match proof.proof {
        Some(ics23::commitment_proof::Proof::Exist(e)) => e.leaf.unwrap().prefix,
        other => panic!("{key:?} at {height}: {other:?}"),
    }
}

#[test]
fn what_ends_where_it_began_is_not_written() {
    let (genesis, mut mix) = mix(1, 4);
    let mut node = Node::start(&genesis, 2);
    let (chain, token) = (chain(), mix.token);
    node.run(mix.setup());
    node.run(Vec::new());
    let (a, b) = (mix.accounts[1].address, mix.accounts[2].address);
    let give = |from: usize, to: Address, mix: &mut workload::Mix| {
        mix.accounts[from].eth(
            &chain,
            &EthCall::call(token, contracts::transfer(&to, 7), 100_000),
        )
    };
    // There and back, and on to somebody: two balances change, one does not.
    let txs = vec![
        give(1, b, &mut mix),
        give(2, a, &mut mix),
        give(1, mix.accounts[3].address, &mut mix),
    ];
    let (done, _) = node.run(txs);
    assert!(
        done.results.iter().all(|r| r.log.is_empty()),
        "{:?}",
        done.results
    );
    node.run(Vec::new());
    let first = x_evm::slot_key(&token, &U256::ZERO, 0);
    let mut slots = Vec::new();
    let all = KeyRange::prefix(x_evm::STORE, &first.bytes()[..first.bytes().len() - 32]);
    node.app
        .state_at(0)
        .unwrap()
        .scan(&all, &mut |key, _| {
            slots.push(key.clone());
            Control::Continue(())
        })
        .unwrap();
    assert!(slots.len() >= 4, "{}", slots.len());
    let rewritten = slots
        .iter()
        .filter(|k| leaf(&node, k, 2) != leaf(&node, k, 3))
        .count();
    assert_eq!(rewritten, 2);
}

#[test]
fn account_numbers_follow_phases_then_transactions_then_addresses() {
    let mut accounts = accounts(3);
    let mut node = Node::start(&genesis(&accounts, 1, GAS), 4);
    let next = x_auth::next_number(&node.app.state_at(0).unwrap()).unwrap();
    let (chain, at) = (chain(), Address::repeat_byte);
    // Descending across transactions, and within the second, which pays two.
    let txs = vec![
        accounts[0].eth(&chain, &EthCall::pay(at(0xee), 1)),
        {
            let sends = vec![
                accounts[1].send(&chain, &at(0xdd), 1),
                accounts[1].send(&chain, &at(0x11), 1),
            ];
            accounts[1].native(&chain, sends, 400_000)
        },
        // One that fails makes nobody.
        accounts[0].eth(
            &chain,
            &EthCall {
                value: U256::MAX >> 1,
                ..EthCall::pay(at(0x10), 1)
            },
        ),
        accounts[2].eth(&chain, &EthCall::pay(at(0x22), 1)),
        accounts[2].eth(&chain, &EthCall::pay(at(0xee), 1)),
    ];
    let (done, _) = node.run(txs);
    assert_eq!(
        done.results.iter().filter(|r| r.code == 0).count(),
        4,
        "{:?}",
        done.results
    );
    let state = node.app.state_at(0).unwrap();
    let number = |who| x_auth::account(&state, &who).unwrap().map(|a| a.number);
    let have = [0xee, 0x11, 0xdd, 0x22, 0x10].map(|b| number(at(b)));
    assert_eq!(
        have,
        [Some(next), Some(next + 1), Some(next + 2), Some(next + 3), None]
    );
    assert_eq!(x_auth::next_number(&state).unwrap(), next + 4);
    assert_eq!(x_auth::owner_of(&state, next + 1).unwrap(), Some(at(0x11)));
}

#[test]
fn a_signer_made_in_this_block_has_no_number_yet() {
    let mut all = accounts(2);
    let mut late = all.pop().unwrap();
    let chain = chain();
    let mut node = Node::start(&genesis(&all, 1, GAS), 2);
    let fund = EthCall {
        value: U256::from(10).pow(U256::from(18)),
        ..EthCall::pay(late.address, 0)
    };
    late.number = x_auth::next_number(&node.app.state_at(0).unwrap()).unwrap();
    let send = late.send(&chain, &Address::repeat_byte(9), 1);
    let tx = late.native_at(&chain, 0, vec![send], 300_000);
    // An Ethereum transaction has no number in it, and runs.
    let eth = x_evm::wrap(
        &late.eth_at(&chain, 0, &EthCall::pay(Address::repeat_byte(9), 1)),
        &chain.config,
    );
    let (done, _) = node.run(vec![all[0].eth(&chain, &fund), tx.clone(), eth]);
    let codes: Vec<_> = done
        .results
        .iter()
        .map(|r| (r.codespace.as_str(), r.code))
        .collect();
    assert_eq!(codes, [("", 0), ("sdk", 9), ("", 0)], "{:?}", done.results);
    late.sequence = 1;
    let send = late.send(&chain, &Address::repeat_byte(9), 1);
    let (done, _) = node.run(vec![late.native(&chain, vec![send], 300_000)]);
    assert_eq!(done.results[0].code, 0, "{}", done.results[0].log);
}

#[test]
fn payments_to_one_new_address_do_not_conflict() {
    for seed in 1..=3 {
        let mut accounts = accounts(64);
        let mut node = Node::with(&genesis(&accounts, 1, GAS), shuffled(seed));
        let (to, chain) = (Address::repeat_byte(9), chain());
        let txs = accounts.iter_mut().enumerate().map(|(i, a)| match i % 2 {
            0 => a.eth(&chain, &EthCall::pay(to, 1)),
            _ => {
                let send = a.send(&chain, &to, 1);
                a.native(&chain, vec![send], 300_000)
            }
        });
        let (done, _) = node.run(txs.collect());
        assert!(done.results.iter().all(|r| r.code == 0));
        assert_eq!(
            (done.stats.executions, done.stats.aborts, done.stats.waits),
            (64, 0, 0)
        );
        assert_eq!(node.balance(&to), U256::from(64));
    }
}

#[test]
fn the_reverse_index_is_there_if_and_only_if_there_is_a_balance() {
    let mut accounts = accounts(4);
    let mut node = Node::start(&genesis(&accounts, 2, GAS), 4);
    let (chain, denom) = (chain(), chain().config.base_denom.clone());
    let check = |node: &Node| {
        let state = node.app.state_at(0).unwrap();
        let mut seen = [0, 0];
        for (i, prefix) in [2u8, 3].into_iter().enumerate() {
            let all = KeyRange::prefix(x_bank::STORE, &[prefix]);
            state
                .scan(&all, &mut |_, _| {
                    seen[i] += 1;
                    Control::Continue(())
                })
                .unwrap();
        }
        assert_eq!(seen[0], seen[1], "balances and entries");
    };
    check(&node);
    let new = Address::repeat_byte(9);
    // One is emptied to the last wei: fee cap is what is paid at most, so the rest goes with a price that is exact.
    let base_fee = u128::try_from(node.app.next_base_fee().unwrap()).unwrap();
    let exact = workload::Chain {
        fee_cap: base_fee,
        tip: 0,
        ..chain.clone()
    };
    let all = node.balance(&accounts[0].address) - U256::from(base_fee * 21_000);
    let empty = accounts[0].eth(
        &exact,
        &EthCall {
            value: all,
            ..EthCall::pay(new, 0)
        },
    );
    let (done, _) = node.run(vec![
        empty,
        accounts[1].eth(&chain, &EthCall::pay(Address::repeat_byte(8), 3)),
    ]);
    assert!(done.results.iter().all(|r| r.code == 0), "{:?}", done.results);
    assert_eq!(node.balance(&accounts[0].address), U256::ZERO);
    check(&node);
    let state = node.app.state_at(0).unwrap();
    let entry = |who| state.get(&x_bank::owner_key(who, &denom)).unwrap();
    assert_eq!(entry(&accounts[0].address), None);
    assert_eq!(entry(&new), Some(Bytes::new()));
}

#[test]
fn unbonding_ids_follow_the_order_of_the_block() {
    let mut accounts = accounts(6);
    let (chain, operators) = (chain(), operators(3));
    let mut roots = Vec::new();
    let (mut bond, mut unbond) = (Vec::new(), Vec::new());
    for (i, account) in accounts.iter_mut().enumerate() {
        let message = account.delegate(&chain, &operators[i % 3], 1_000_000);
        bond.push(account.native(&chain, vec![message], 600_000));
        let message = account.undelegate(&chain, &operators[i % 3], 1_000 + i as u64);
        unbond.push(account.native(&chain, vec![message], 600_000));
    }
    for threads in [0, 1, 4] {
        let mut node = Node::start(&genesis(&accounts, 3, GAS), threads);
        node.run(bond.clone());
        let (done, _) = node.run(unbond.clone());
        assert!(done.results.iter().all(|r| r.code == 0), "{:?}", done.results);
        let state = node.app.state_at(0).unwrap();
        // SDK x/staking 0x38 | BE64 id: the key of the unbonding delegation.
        for (id, account) in (1u64..).zip(&accounts) {
            let key = Key::new(x_staking::STORE, &[&[0x38], &id.to_be_bytes()]);
            let entry = state.get(&key).unwrap().expect("an unbonding of this id");
            assert!(
                entry.windows(20).any(|w| w == account.address.as_slice()),
                "id {id}"
            );
        }
        roots.push(done.app_hash);
    }
    assert!(roots.windows(2).all(|w| w[0] == w[1]));
}

#[test]
fn genesis_is_committed_with_the_first_block() {
    let accounts = accounts(2);
    let mut genesis = genesis(&accounts, 1, GAS);
    genesis.initial_height = 10;
    let mut node = Node::start(&genesis, 2);
    // Asking again starts over.
    let again = node.app.init_chain(&genesis).unwrap();
    assert_eq!(again.app_hash, EMPTY_ROOT);
    let info = node.app.info().unwrap();
    assert_eq!(
        (info.version.height, info.version.root, info.app_version),
        (0, EMPTY_ROOT, 0)
    );
    let zero = node.app.block(9).unwrap().unwrap();
    assert_eq!((zero.header.number, zero.header.state_root.0), (9, EMPTY_ROOT));
    assert!(
        node.app
            .finalize_block(&app::Block {
                height: 1,
                ..node.block(Vec::new())
            })
            .is_err()
    );
    let (_, block) = node.run(Vec::new());
    assert_eq!((block.header.number, block.header.parent_hash), (10, zero.hash));
    assert_eq!(node.app.info().unwrap().version.height, 10);
    assert!(node.balance(&accounts[0].address) > U256::ZERO);
    assert!(node.app.state_at(9).is_err() && node.app.init_chain(&genesis).is_err());
    // A genesis that blocks cannot be counted under is refused.
    for max_gas in [0, -1] {
        let bad = app::InitChain {
            params: app::ConsensusParams {
                max_gas,
                ..genesis.params.clone()
            },
            ..genesis.clone()
        };
        let fresh = app::App::open(
            store::MemoryStore::new(store::Config::new(app::stores())),
            crate::common::options(1),
        );
        let why = fresh.unwrap().init_chain(&bad).unwrap_err().to_string();
        assert!(why.contains(&format!("max_gas is {max_gas}")), "{why}");
    }
}

#[test]
fn an_account_with_a_bare_record_does_not_exist_for_code() {
    let mut accounts = accounts(1);
    let mut node = Node::start(&genesis(&accounts, 1, GAS), 2);
    let (chain, pool) = (chain(), x_auth::module_address("not_bonded_tokens_pool"));
    assert!(
        x_auth::account(&node.app.state_at(0).unwrap(), &pool)
            .unwrap()
            .is_some()
    );
    assert_eq!(node.balance(&pool), U256::ZERO);
    // Logs EXTCODEHASH: zero of what does not exist, keccak of nothing of what has a balance and no code.
    let mut hash_of = |who: Address| {
        let code = [
            &[0x73][..],
            who.as_slice(),
            &[0x3f, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xa0, 0x00],
        ]
        .concat();
        let (_, block) = node.run(vec![accounts[0].eth(&chain, &EthCall::create(code, 100_000))]);
        U256::from_be_slice(&block.evm_receipts().next().unwrap().logs[0].data.data)
    };
    assert_eq!(hash_of(pool), U256::ZERO);
    let bonded = hash_of(x_auth::module_address("bonded_tokens_pool"));
    assert_eq!(bonded, U256::from_be_bytes(types::keccak256([]).0));
}
