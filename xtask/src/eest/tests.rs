//! Blockchain fixtures, made here on the spot: right ones pass, and each alteration is found.
use super::{Tally, executors, run_case};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use executor::AnyExecutor;
use serde_json::{Value, json};
use t8n::{Alloc, Block, Chain, Fork, state_root};
use types::{Address, B256, U256};
use x_evm::{Envelope, SpecId};

/// Whose keys are 0x…01 and 0x…02.
const PAYERS: [&str; 2] = [
    "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf",
    "0x2b5ad5c4795c026514f8317c7a215e218dccd6cf",
];
/// Counts its calls in slot 0 and logs.
const COUNTER: &str = "0x00000000000000000000000000000000000000cc";
/// EIP-7002's and EIP-7251's.
const QUEUES: [&str; 2] = [
    "0x00000961ef480eb55e80d19ad83579a64c007002",
    "0x0000bbddc7ce488642fb579f8b00f3a590007251",
];
const NETWORKS: [&str; 4] = ["Berlin", "Shanghai", "Prague", "CancunToPragueAtTime15k"];

fn pre() -> Value {
    let rich = json!({ "balance": "0xde0b6b3a7640000", "nonce": "0x0", "code": "0x", "storage": {} });
    // Each returns one byte: a request.
    let queue = json!({ "balance": "0x0", "nonce": "0x1", "code": "0x600160005360016000f3", "storage": {} });
    json!({
        PAYERS[0]: rich, PAYERS[1]: rich, QUEUES[0]: queue, QUEUES[1]: queue,
        COUNTER: { "balance": "0x0", "nonce": "0x1", "code": "0x600160005401600055600080a000", "storage": {} },
    })
}

/// Of each payer, a call to the counter.
fn calls(nonce: u64) -> Vec<Envelope> {
    let call = |payer: u64| {
        json!({
            "nonce": nonce, "gas": 100_000, "gasPrice": "0xa", "to": COUNTER, "value": "0x0", "input": "0x",
            "secretKey": format!("0x{payer:064x}"),
        })
    };
    let txs = t8n::from_json(json!([call(1), call(2)]), 1).unwrap();
    txs.into_iter().map(Result::unwrap).collect()
}

/// A header for `network` at the number and the time, without a parent and results.
fn header(network: &str, number: u64, time: u64) -> Header {
    let fork = Fork::at(network, number, time).unwrap();
    let merged = fork.has(SpecId::MERGE);
    let cancun = fork.has(SpecId::CANCUN);
    Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        number,
        timestamp: time,
        gas_limit: 1_000_000,
        difficulty: U256::from(if merged { 0 } else { 0x20000 }),
        base_fee_per_gas: merged.then_some(7),
        withdrawals_root: fork.has(SpecId::SHANGHAI).then_some(B256::ZERO),
        blob_gas_used: cancun.then_some(0),
        excess_blob_gas: cancun.then_some(0),
        parent_beacon_block_root: cancun.then_some(B256::repeat_byte(1)),
        requests_hash: fork.has(SpecId::PRAGUE).then_some(B256::ZERO),
        ..Header::default()
    }
}

/// A block after `parent` that comes to what its header says.
fn mine(chain: &mut Chain, network: &str, parent: &Block, nonce: u64) -> Block {
    let before = &parent.header;
    let mut header = header(network, before.number + 1, before.timestamp + 10);
    header.parent_hash = parent.hash;
    header.base_fee_per_gas = before.base_fee_per_gas.map(|fee| {
        let next = x_evm::next_base_fee(before.gas_used, before.gas_limit, U256::from(fee), U256::ZERO);
        next.saturating_to()
    });
    let withdrawals = header.withdrawals_root.map(|_| {
        let to = Address::repeat_byte(9);
        let one = json!({ "index": "0x1", "validatorIndex": "0x2", "address": to, "amount": "0x3" });
        vec![serde_json::from_value(one).unwrap()]
    });
    let guess = Block::new(header, calls(nonce), Vec::new(), withdrawals);
    let output = t8n::run(&chain.input(&guess).unwrap(), &AnyExecutor::Serial).unwrap();
    let report = &output.result;
    assert!(report.rejected.is_empty(), "{:?}", report.rejected);
    let gas: U256 = serde_json::from_value(json!(report)["gasUsed"].clone()).unwrap();
    let header = Header {
        gas_used: gas.saturating_to(),
        state_root: report.state_root,
        transactions_root: report.tx_root,
        receipts_root: report.receipts_root,
        logs_bloom: report.logs_bloom,
        withdrawals_root: report.withdrawals_root,
        requests_hash: report.requests_hash,
        ..guess.header
    };
    let block = Block::new(header, guess.txs, guess.ommers, guess.withdrawals);
    chain.push(&block, output).unwrap();
    block
}

fn good(block: &Block) -> Value {
    json!({ "rlp": rlp(block), "blockHeader": { "hash": block.hash } })
}
fn bad(block: &Block, why: &str) -> Value {
    json!({ "rlp": rlp(block), "expectException": why })
}
fn rlp(block: &Block) -> String {
    format!("0x{}", hex::encode(block.encode()))
}

/// Two blocks, the second of which begins a fork where the network has one.
fn fixture(network: &str) -> (Value, [Block; 2]) {
    let pre: Alloc = serde_json::from_value(pre()).unwrap();
    let mut first = header(network, 0, 14_985);
    first.state_root = state_root(&pre);
    // Half of it: the base fee stays.
    first.gas_used = 500_000;
    let withdrawals = first.withdrawals_root.map(|_| Vec::new());
    let genesis = Block::new(first, Vec::new(), Vec::new(), withdrawals);
    let mut chain = Chain::new(network, 1, genesis.clone(), pre.clone()).unwrap();
    let one = mine(&mut chain, network, &genesis, 0);
    let two = mine(&mut chain, network, &one, 1);
    let case = json!({
        "_info": { "fixture-format": "blockchain_test" },
        "network": network,
        "sealEngine": "NoProof",
        "genesisRLP": rlp(&genesis),
        "genesisBlockHeader": { "hash": genesis.hash },
        "pre": pre,
        "postState": chain.alloc(),
        "lastblockhash": two.hash,
        "blocks": [good(&one), good(&two)],
        "config": { "network": network, "chainid": "0x01", "blobSchedule": {
            "Cancun": { "target": "0x03", "max": "0x06", "baseFeeUpdateFraction": "0x32f0ed" },
            "Prague": { "target": "0x06", "max": "0x09", "baseFeeUpdateFraction": "0x4c6964" },
        } },
    });
    (case, [one, two])
}

fn tally(case: Value) -> Tally {
    x_evm::warm_up().unwrap();
    let mut tally = Tally::default();
    run_case("a case", case, &executors(&[1, 2]), &mut tally).unwrap();
    tally
}

fn passes(case: Value) -> bool {
    let tally = tally(case);
    assert_eq!(tally.passed + tally.failed, 1, "{:?}", tally.skipped);
    tally.passed == 1
}

fn skipped(case: Value) -> String {
    let tally = tally(case);
    assert_eq!((tally.passed, tally.failed), (0, 0));
    let (why, count) = tally.skipped.into_iter().next().unwrap();
    assert_eq!(count, 1);
    why
}

/// Why the case fails.
fn fails(case: Value) -> String {
    x_evm::warm_up().unwrap();
    let verdict = super::blockchain::run(case, &executors(&[1]), &mut Tally::default()).unwrap();
    format!("{:#}", verdict.unwrap().unwrap_err())
}

/// What to write into a header, and what is said of it.
type Wrong = (fn(&mut Header), &'static str);
/// What only running the block shows.
const WRONG: &[Wrong] = &[
    (|h| h.state_root = B256::ZERO, "state root"),
    (|h| h.receipts_root = B256::ZERO, "receipts root"),
    (|h| h.transactions_root = B256::ZERO, "transactions root"),
    (|h| h.gas_used += 1, "gas used"),
    (|h| h.logs_bloom.0[0] ^= 1, "logs bloom"),
    (|h| h.withdrawals_root = Some(B256::ZERO), "withdrawals root"),
    (|h| h.requests_hash = Some(B256::ZERO), "requests hash"),
];
/// What shows before.
const UNFIT: &[Wrong] = &[
    (|h| h.base_fee_per_gas = Some(8), "base fee"),
    (|h| h.excess_blob_gas = Some(1), "excess blob gas"),
    (|h| h.parent_hash = B256::ZERO, "parent"),
];

fn altered(block: &Block, wrong: fn(&mut Header)) -> Block {
    let mut header = block.header.clone();
    wrong(&mut header);
    let block = block.clone();
    Block::new(header, block.txs, block.ommers, block.withdrawals)
}

#[test]
fn blocks_that_come_to_what_their_headers_say_pass() {
    for network in NETWORKS {
        let (mut case, _) = fixture(network);
        assert!(passes(case.clone()), "{network}");
        let root = state_root(&serde_json::from_value(case["postState"].take()).unwrap());
        case["postStateHash"] = json!(root);
        case["_info"] = json!({});
        assert!(passes(case), "{network}: older, with a root for the accounts");
    }
}

#[test]
fn an_altered_header_is_found() {
    let (case, [_, two]) = fixture("Prague");
    for (wrong, want) in WRONG.iter().chain(UNFIT) {
        let block = altered(&two, *wrong);
        let mut case = case.clone();
        case["blocks"][1] = good(&block);
        case["lastblockhash"] = json!(block.hash);
        assert!(!passes(case.clone()), "{want}");
        let why = fails(case);
        assert!(
            why.contains("block 1") && why.contains(want),
            "{why}, want {want}"
        );
    }
}

#[test]
fn a_refused_block_leaves_the_chain_where_it_was() {
    for network in NETWORKS {
        let (mut case, [one, two]) = fixture(network);
        let wrongs = WRONG.iter().chain(UNFIT);
        let wrongs = wrongs.map(|(wrong, _)| bad(&altered(&two, *wrong), "BlockException.INVALID"));
        let mut again = two.clone();
        again.txs = calls(0);
        let blocks: Vec<Value> = std::iter::once(good(&one))
            .chain(wrongs)
            .chain([
                bad(&again, "TransactionException.NONCE_MISMATCH_TOO_LOW"),
                json!({ "rlp": "0xc0", "expectException": "BlockException.RLP_STRUCTURES_ENCODING" }),
                json!({ "rlp": "no hex" }),
                good(&two),
            ])
            .collect();
        case["blocks"] = json!(blocks);
        assert!(passes(case), "{network}");
    }
}

#[test]
fn a_block_that_must_be_refused_and_runs_fails_the_case() {
    let (mut case, [one, two]) = fixture("Prague");
    case["blocks"] = json!([good(&one), bad(&two, "BlockException.INVALID_STATE_ROOT")]);
    let why = fails(case);
    assert_eq!(
        why,
        "block 1: accepted, want it refused: BlockException.INVALID_STATE_ROOT"
    );
}

#[test]
fn a_bad_transaction_must_be_found_before_what_it_does() {
    let (mut case, [one, two]) = fixture("Prague");
    let block = altered(&two, |h| h.state_root = B256::ZERO);
    case["blocks"] = json!([
        good(&one),
        bad(&block, "TransactionException.NONCE_MISMATCH_TOO_LOW")
    ]);
    let why = fails(case);
    assert!(
        why.starts_with("block 1: refused only for its outcome (state root"),
        "{why}"
    );
}

#[test]
fn an_altered_end_is_found() {
    let (case, _) = fixture("Prague");
    let alter = |at: &str, to: Value| {
        let mut case = case.clone();
        *case.pointer_mut(at).unwrap() = to;
        fails(case)
    };
    let zero = json!(B256::ZERO);
    assert!(alter("/lastblockhash", zero.clone()).starts_with("last block's hash"));
    assert!(alter("/genesisBlockHeader/hash", zero.clone()).starts_with("genesis hash"));
    assert!(alter("/blocks/1/blockHeader/hash", zero).starts_with("block 1: hash"));
    let balance = alter(&format!("/postState/{}/balance", PAYERS[0]), json!("0x1"));
    assert!(balance.contains("differs from the post state's"), "{balance}");
    let balance = alter(&format!("/pre/{}/balance", PAYERS[0]), json!("0x1"));
    assert!(balance.starts_with("genesis: state root"), "{balance}");
    assert_eq!(alter("/postState", Value::Null), "the fixture has no post state");
}

#[test]
fn what_is_not_covered_is_skipped_with_a_reason() {
    let (case, _) = fixture("Prague");
    let alter = |at: &str, to: Value| {
        let mut case = case.clone();
        *case.pointer_mut(at).unwrap() = to;
        skipped(case)
    };
    assert_eq!(
        alter("/network", json!("Atlantis")),
        "network Atlantis is not known"
    );
    assert_eq!(
        alter("/sealEngine", json!("Ethash")),
        "seals of Ethash are not checked"
    );
    assert_eq!(
        alter("/config/blobSchedule/Prague/max", json!("0x10")),
        "the blob schedule of Prague is not Ethereum's"
    );
    let engine = json!({ "engineNewPayloads": [], "network": "Prague" });
    assert_eq!(skipped(engine), "blockchain_test_engine fixtures are not run");
    assert_eq!(skipped(json!({})), "unknown fixtures are not run");
}
