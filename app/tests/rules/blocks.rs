//! Rules 7, 8, 13 and 15: blocks as a whole.
use crate::common::{Node, accounts, chain, genesis, operators};
use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};
use app::Block;
use cosmrs::proto::Any;
use module::Vote;
use types::{Address, B256, Bytes, U256, keccak256};
use workload::{Account, EthCall};

const GAS: i64 = 60_000_000;

/// A native transaction around an Ethereum message.
fn nested(account: &Account) -> Bytes {
    let inner = account.eth_at(&chain(), 0, &EthCall::pay(Address::repeat_byte(9), 1));
    let message = x_evm::MsgEthereumTx {
        from: Bytes::copy_from_slice(account.address.as_slice()),
        raw: inner.raw.clone(),
    };
    let value = prost::Message::encode_to_vec(&message);
    account.native_at(
        &chain(),
        0,
        vec![Any {
            type_url: x_evm::MSG_TYPE.into(),
            value,
        }],
        300_000,
    )
}

#[test]
fn a_block_of_anything_is_executed() {
    let mut accounts = accounts(3);
    let mut nodes = [
        Node::start(&genesis(&accounts, 1, GAS), 0),
        Node::start(&genesis(&accounts, 1, GAS), 4),
    ];
    let chain = chain();
    let good = accounts[0].eth(&chain, &EthCall::pay(Address::repeat_byte(9), 1));
    let unknown = Any {
        type_url: "/cosmos.gov.v1.MsgVote".into(),
        value: vec![1, 2, 3],
    };
    let blob = {
        // EIP-4844's type byte before what is otherwise a transaction.
        let mut raw = accounts[1]
            .eth_at(&chain, 0, &EthCall::pay(Address::ZERO, 1))
            .raw
            .to_vec();
        raw[0] = 3;
        let message = x_evm::MsgEthereumTx {
            from: Bytes::copy_from_slice(accounts[1].address.as_slice()),
            raw: raw.into(),
        };
        let any = Any {
            type_url: x_evm::MSG_TYPE.into(),
            value: prost::Message::encode_to_vec(&message),
        };
        accounts[1].native_at(&chain, 0, vec![any], 300_000)
    };
    let bad: Vec<Bytes> = vec![
        Bytes::new(),
        "garbage".into(),
        vec![0xff; 100_000].into(),
        good.slice(..good.len() - 1),
        nested(&accounts[1]),
        blob,
        accounts[1].native_at(&chain, 0, vec![unknown], 300_000),
        accounts[1].native_at(&chain, 0, Vec::new(), 300_000),
        accounts[1].native_at(
            &chain,
            u64::MAX,
            vec![accounts[1].send(&chain, &Address::ZERO, 1)],
            u64::MAX,
        ),
        x_evm::wrap(
            &accounts[1].eth_at(
                &chain,
                u64::MAX,
                &EthCall {
                    gas: u64::MAX,
                    ..EthCall::pay(Address::ZERO, 1)
                },
            ),
            &chain.config,
        ),
    ];
    let mut txs = bad.clone();
    txs.push(good);
    let mut seen = Vec::new();
    for node in &mut nodes {
        let block = Block {
            proposer: Address::repeat_byte(0x77),
            votes: vec![
                Vote {
                    validator: Address::repeat_byte(0x66),
                    power: i64::MAX,
                    absent: true
                };
                3
            ],
            ..node.block(txs.clone())
        };
        for (i, tx) in bad.iter().enumerate() {
            // The last one's bytes are in order: what is wrong with it is a result (rule 13).
            let accepted = node.app.process_proposal(&Block {
                txs: vec![tx.clone()],
                ..block.clone()
            });
            assert_eq!(accepted.is_ok(), i + 1 == bad.len(), "{i}: {accepted:?}");
            assert_ne!(node.app.check_tx(tx, app::CheckKind::New).code, 0);
        }
        let done = node.app.finalize_block(&block).unwrap();
        node.app.commit().unwrap();
        node.height += 1;
        for (i, result) in done.results[..bad.len()].iter().enumerate() {
            assert!(
                result.code != 0 && result.gas_used == 0 && !result.log.is_empty(),
                "{i}: {result:?}"
            );
        }
        assert_eq!(done.results[bad.len()].code, 0);
        let stored = node.app.block(1).unwrap().unwrap();
        assert_eq!(
            (stored.header.beneficiary, stored.txs.len()),
            (Address::ZERO, txs.len())
        );
        assert_eq!(stored.evm_receipts().count(), 1);
        node.run(Vec::new());
        seen.push((done.results, done.app_hash));
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn code_sees_what_the_header_says() {
    let mut accounts = accounts(1);
    let mut node = Node::start(&genesis(&accounts, 2, GAS), 2);
    // Logs BLOCKHASH(NUMBER-1), PREVRANDAO, COINBASE, TIMESTAMP, GASLIMIT, BASEFEE, NUMBER.
    let code = "60014303405f524460205241604052426060524560805248 60a0524360c05260e05fa000".replace(' ', "");
    let code: Vec<u8> = (0..code.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&code[i..i + 2], 16).unwrap())
        .collect();
    let mut parent = node.app.block(0).unwrap().unwrap();
    for height in 1..=4u64 {
        let tx = accounts[0].eth(&chain(), &EthCall::create(code.clone(), 200_000));
        let (_, block) = node.run(vec![tx]);
        let log = block.evm_receipts().next().unwrap().logs[0].data.data.0.clone();
        let words: Vec<U256> = log.chunks(32).map(U256::from_be_slice).collect();
        let header = &block.header;
        let random = keccak256([parent.comet_hash.as_slice(), &height.to_be_bytes()].concat());
        let want = [
            U256::from_be_bytes(parent.hash.0),
            U256::from_be_bytes(random.0),
            U256::from_be_slice(operators(1)[0].as_slice()),
            U256::from(1_700_000_000 + 5 * height),
            U256::from(GAS),
            U256::from(header.base_fee_per_gas.unwrap()),
            U256::from(height),
        ];
        assert_eq!(words, want, "height {height}");
        // The header says the same, and a root of EIP-4788: the parent's CometBFT hash, zero at first.
        assert_eq!((header.mix_hash, header.beneficiary), (random, operators(1)[0]));
        assert_eq!(
            (header.timestamp, header.gas_limit, header.number),
            (1_700_000_000 + 5 * height, GAS as u64, height)
        );
        assert_eq!(header.parent_beacon_block_root, Some(parent.comet_hash));
        assert_eq!(parent.comet_hash.is_zero(), height == 1);
        assert_eq!(
            (header.state_root.0, block.hash),
            (node.app.info().unwrap().version.root, header.hash_slow())
        );
        parent = block;
    }
}

#[test]
fn an_ethereum_header_is_recomputed_by_any_client() {
    let (genesis, mut mix) = crate::common::mix(7, 8);
    let mut node = Node::start(&genesis, 4);
    node.run(mix.setup());
    let (_, block) = node.run(mix.block(60, &workload::Weights::ALL));
    let header = &block.header;
    let raws: Vec<Bytes> = block.evm_receipts().map(|r| r.raw.clone()).collect();
    let root = alloy_trie::root::ordered_trie_root_with_encoder(&raws, |raw, out| out.extend_from_slice(raw));
    assert_eq!((header.transactions_root, raws.is_empty()), (root, false));
    let mut used = 0;
    let receipts: Vec<_> = block
        .evm_receipts()
        .map(|r| {
            used += r.gas_used;
            assert_eq!(r.cumulative_gas_used, used);
            assert_eq!(r.hash, keccak256(&r.raw));
            x_evm::receipt(r.tx_type, r.success, used, r.logs.clone())
        })
        .collect();
    let root = alloy_trie::root::ordered_trie_root_with_encoder(&receipts, |r, out| {
        alloy_eips::eip2718::Encodable2718::encode_2718(r, out);
    });
    assert_eq!((header.receipts_root, header.gas_used), (root, used));
    let mut bloom = x_evm::Bloom::default();
    block
        .evm_receipts()
        .flat_map(|r| &r.logs)
        .for_each(|log| bloom.accrue_log(log));
    assert!(header.logs_bloom == bloom && !bloom.is_zero());
    assert_eq!(header.withdrawals_root, Some(alloy_consensus::EMPTY_ROOT_HASH));
    assert_eq!((header.blob_gas_used, header.excess_blob_gas), (Some(0), Some(0)));
    assert_eq!(
        (header.difficulty, header.nonce.0, header.extra_data.len()),
        (U256::ZERO, [0; 8], 0)
    );
    let sha = "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(header.requests_hash, Some(sha.parse::<B256>().unwrap()));
}

#[test]
fn native_transactions_are_not_in_the_ethereum_block() {
    let mut accounts = accounts(3);
    // Room for little: the natives share it.
    let mut node = Node::start(&genesis(&accounts, 1, 600_000), 2);
    let chain = chain();
    let to = Address::repeat_byte(9);
    let mut txs = vec![accounts[0].eth(&chain, &EthCall::pay(to, 1))];
    for _ in 0..3 {
        let send = accounts[1].send(&chain, &to, 1);
        txs.push(accounts[1].native(&chain, vec![send], 150_000));
    }
    txs.push(accounts[0].eth(&chain, &EthCall::pay(to, 1)));
    let (done, block) = node.run(txs);
    assert!(done.results.iter().all(|r| r.code == 0), "{:?}", done.results);
    let native: u64 = done.results[1..4].iter().map(|r| r.gas_used).sum();
    assert!(native > 100_000);
    let places: Vec<_> = block
        .evm_receipts()
        .map(|r| (r.index, r.cumulative_gas_used))
        .collect();
    assert_eq!(places, [(0, 21_000), (1, 42_000)]);
    assert_eq!(block.header.gas_used, 42_000);
    // The base fee follows the header alone.
    let parent = &block.header;
    let want = calc_next_block_base_fee(
        42_000,
        parent.gas_limit,
        parent.base_fee_per_gas.unwrap(),
        BaseFeeParams::ethereum(),
    );
    assert_eq!(
        node.app.next_base_fee().unwrap(),
        U256::from(want.max(1_000_000_000))
    );
    // And natives take room from what comes behind them: what is left is 600,000 less what they used.
    let send = accounts[1].send(&chain, &to, 1);
    let big = EthCall {
        gas: 600_000 - native / 3 + 1,
        ..EthCall::pay(to, 1)
    };
    let txs = vec![
        accounts[1].native(&chain, vec![send], 150_000),
        accounts[2].eth(&chain, &big),
    ];
    let (done, block) = node.run(txs);
    assert_eq!(
        (done.results[1].code, done.results[1].gas_used),
        (11, 0),
        "{:?}",
        done.results
    );
    assert_eq!(
        (block.header.gas_used, block.header.transactions_root),
        (0, alloy_consensus::EMPTY_ROOT_HASH)
    );
    // A limit above the block's has no room anywhere.
    let send = accounts[1].send(&chain, &to, 1);
    let wide = accounts[1].native_at(&chain, accounts[1].sequence, vec![send], 600_001);
    let (done, _) = node.run(vec![wide]);
    assert_eq!(
        (done.results[0].code, done.results[0].gas_used),
        (11, 0),
        "{:?}",
        done.results
    );
    assert_eq!(node.sequence(&accounts[1].address), accounts[1].sequence);
    // At least the base fee a gas, or refused.
    let cheap = workload::Chain {
        fee_cap: 999_999_999,
        ..chain.clone()
    };
    let send = accounts[1].send(&chain, &to, 1);
    let (done, _) = node.run(vec![accounts[1].native(&cheap, vec![send], 150_000)]);
    assert_eq!(
        (done.results[0].code, done.results[0].gas_used),
        (13, 0),
        "{:?}",
        done.results
    );
}

#[test]
fn what_has_no_room_is_not_run() {
    let accounts = accounts(60);
    let chain = chain();
    // Runs until its gas is gone: JUMPDEST PUSH0 JUMP.
    let burn = EthCall::create(vec![0x5b, 0x5f, 0x56], 2_000_000);
    let txs: Vec<_> = accounts
        .iter()
        .map(|a| x_evm::wrap(&a.eth_at(&chain, 0, &burn), &chain.config))
        .collect();
    let mut seen = Vec::new();
    for threads in [0, 1, 4] {
        let mut node = Node::start(&genesis(&accounts, 1, 5_000_000), threads);
        let (done, block) = node.run(txs.clone());
        let ran: Vec<_> = done.results.iter().map(|r| r.gas_used > 0).collect();
        assert_eq!(ran.iter().filter(|r| **r).count(), 2);
        assert!(ran[0] && ran[1] && done.results[2].code == 11);
        assert_eq!(block.header.gas_used, 4_000_000);
        // Several workers may have begun more by then.
        assert!(
            threads > 1 || done.stats.executions == 2,
            "{threads} threads: {:?}",
            done.stats
        );
        // Gas that nobody uses fills no block: CheckTx says what is expected.
        let next = x_evm::wrap(&accounts[9].eth_at(&chain, 0, &burn), &chain.config);
        let checked = node.app.check_tx(&next, app::CheckKind::New);
        assert!(checked.code == 0 && checked.gas_wanted < 60_000, "{checked:?}");
        seen.push((done.results, done.app_hash));
    }
    assert!(seen.windows(2).all(|w| w[0] == w[1]));
}

#[test]
fn a_proposal_of_refunded_gas_is_accepted() {
    // Each authorization costs 25,000 at first, of which an existing authority gets back 12,500: used is below intrinsic.
    let accounts = accounts(12);
    let chain = chain();
    let node = Node::start(&genesis(&accounts, 1, 400_000), 2);
    let txs: Vec<_> = accounts[..10]
        .iter()
        .map(|a| {
            let call = EthCall {
                to: Some(Address::repeat_byte(9)),
                value: U256::ZERO,
                data: Bytes::new(),
                gas: 46_000,
            };
            let authorizations = vec![a.authorize(&chain, Address::repeat_byte(7), 1)];
            x_evm::wrap(&a.delegating_at(&chain, 0, &call, authorizations), &chain.config)
        })
        .collect();
    let block = node.block(txs.clone());
    let proposed = node.app.prepare_proposal(&block, 1 << 20);
    assert!(proposed.len() >= 9, "{} of {}", proposed.len(), txs.len());
    let intrinsic = 46_000 * proposed.len();
    assert!(intrinsic > 400_000, "no test: {intrinsic}");
    assert_eq!(
        node.app.process_proposal(&Block {
            txs: proposed,
            ..block
        }),
        Ok(())
    );
    // So does one of messages of which the first fails: the others never run.
    let node = Node::start(&genesis(&accounts, 1, 2_000_000), 2);
    let refuses = x_auth::module_address("fee_collector");
    let txs: Vec<_> = accounts
        .iter()
        .map(|a| a.native_at(&chain, 0, vec![a.send(&chain, &refuses, 1); 40], 600_000))
        .collect();
    let block = node.block(txs.clone());
    let proposed = node.app.prepare_proposal(&block, 1 << 20);
    assert_eq!(proposed.len(), txs.len());
    assert_eq!(
        node.app.process_proposal(&Block {
            txs: proposed,
            ..block
        }),
        Ok(())
    );
}

#[test]
fn proposals_beyond_bytes_or_gas_are_refused() {
    let accounts = accounts(40);
    let chain = chain();
    let mut genesis = genesis(&accounts, 1, 500_000);
    genesis.params.max_bytes = 20_000;
    let node = Node::start(&genesis, 2);
    let pay = |a: &Account| {
        x_evm::wrap(
            &a.eth_at(&chain, 0, &EthCall::pay(Address::repeat_byte(9), 1)),
            &chain.config,
        )
    };
    let all: Vec<Bytes> = accounts.iter().map(pay).collect();
    let why = node.app.process_proposal(&node.block(all.clone())).unwrap_err();
    assert!(why.contains("block limit 500000"), "{why}");
    let big = |a: &Account| {
        let sends = vec![a.send(&chain, &Address::repeat_byte(9), 1); 100];
        a.native_at(&chain, 0, sends, 10_000)
    };
    let why = node
        .app
        .process_proposal(&node.block(accounts[..3].iter().map(big).collect()))
        .unwrap_err();
    assert!(why.contains("bytes of transactions, block limit 20000"), "{why}");
    // What a proposer makes of it fits both, and is accepted.
    let block = node.block(all);
    let proposed = node.app.prepare_proposal(&block, 4_000);
    let bytes: usize = proposed.iter().map(|tx| tx.len() + 6).sum();
    assert!(bytes <= 4_000 && bytes > 3_000, "{bytes}");
    let proposed = node.app.prepare_proposal(&block, 1 << 20);
    assert_eq!(proposed.len(), 500_000 / 21_000);
    assert_eq!(
        node.app.process_proposal(&Block {
            txs: proposed,
            ..block
        }),
        Ok(())
    );
}
