//! Blocks after blocks: what a header may say, branches, ommers.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod common;

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_primitives::{B64, Bytes};
use t8n::{Alloc, Block, Chain, Refused, state_root};
use types::{Address, B256, U256};

const ETHER: u64 = 1_000_000_000_000_000_000;

/// A first block that used half its gas: the base fee stays.
fn genesis(merged: bool) -> Block {
    let header = Header {
        state_root: state_root(&Alloc::default()),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        gas_limit: 1_000_000,
        gas_used: 500_000,
        timestamp: 1000,
        difficulty: U256::from(if merged { 0 } else { 0x40000 }),
        base_fee_per_gas: merged.then_some(7),
        withdrawals_root: merged.then_some(B256::ZERO),
        ..Header::default()
    };
    Block::new(header, Vec::new(), Vec::new(), merged.then(Vec::new))
}

fn chain(network: &str) -> (Chain, Block) {
    let genesis = genesis(network != "Berlin");
    let chain = Chain::new(network, 1, genesis.clone(), Alloc::default()).unwrap();
    (chain, genesis)
}

/// An empty block after `parent`, ten seconds later: the difficulty stays.
fn after(parent: &Block) -> Block {
    let header = Header {
        parent_hash: parent.hash,
        number: parent.header.number + 1,
        timestamp: parent.header.timestamp + 10,
        gas_used: 0,
        beneficiary: Address::repeat_byte(0xaa),
        ..parent.header.clone()
    };
    Block::new(header, Vec::new(), Vec::new(), parent.withdrawals.clone())
}

/// Runs `block` after its parent, writes what it came to into its header, and adds it to the chain.
fn mine(chain: &mut Chain, block: Block) -> Block {
    let output = common::run(&chain.input(&block).unwrap());
    let report = &output.result;
    let header = Header {
        state_root: report.state_root,
        transactions_root: report.tx_root,
        receipts_root: report.receipts_root,
        withdrawals_root: report.withdrawals_root,
        ..block.header
    };
    let mined = Block::new(header, block.txs, block.ommers, block.withdrawals);
    chain.push(&mined, output).unwrap();
    mined
}

#[test]
fn a_block_is_read_as_it_was_written() {
    let (mut chain, first) = chain("Shanghai");
    let block = mine(&mut chain, after(&first));
    let mut rlp = block.encode();
    let read = Block::decode(&rlp).unwrap();
    assert_eq!((read.hash, &read.header), (block.hash, &block.header));
    assert_eq!((read.bytes, read.withdrawals), (rlp.len(), Some(Vec::new())));
    assert_eq!(chain.head(), block.hash);
    for cut in 0..rlp.len() {
        assert!(
            matches!(Block::decode(&rlp[..cut]), Err(Refused::Rlp(_))),
            "{cut} bytes"
        );
    }
    rlp.push(0);
    let refused = Block::decode(&rlp).unwrap_err();
    assert_eq!(refused.to_string(), "no block: 1 bytes behind it");
}

/// A name, what to write into a header, and part of what is said of it.
type Wrong = (fn(&mut Header), &'static str);

fn refuses(network: &str, wrongs: &[Wrong]) {
    let (chain, first) = chain(network);
    chain.input(&after(&first)).unwrap();
    for (wrong, want) in wrongs {
        let mut block = after(&first);
        wrong(&mut block.header);
        let refused = chain.input(&block).unwrap_err().to_string();
        assert!(refused.contains(want), "{network}: {refused}, want {want}");
    }
}

#[test]
fn a_header_that_does_not_follow_its_parent_is_refused() {
    let any: &[Wrong] = &[
        (|h| h.parent_hash = B256::ZERO, "is not known"),
        (|h| h.number = 2, "number"),
        (|h| h.number = 0, "number"),
        (|h| h.timestamp = 1000, "time 1000"),
        (
            |h| h.extra_data = Bytes::from(vec![0; 33]),
            "33 bytes of extra data",
        ),
        (|h| h.gas_used = 1_000_001, "gas used 1000001"),
        (|h| h.gas_limit = 1_000_976, "gas limit 1000976"),
        (|h| h.gas_limit = 4_999, "gas limit 4999"),
        (|h| h.ommers_hash = B256::ZERO, "ommers"),
        (|h| h.blob_gas_used = Some(0), "has blobGasUsed"),
        (|h| h.requests_hash = Some(B256::ZERO), "has requestsHash"),
    ];
    refuses("Berlin", any);
    refuses("Shanghai", any);
    refuses(
        "Berlin",
        &[
            (|h| h.difficulty = U256::from(0x40001), "difficulty"),
            (|h| h.base_fee_per_gas = Some(7), "has baseFeePerGas"),
        ],
    );
    refuses(
        "Shanghai",
        &[
            (|h| h.difficulty = U256::from(1), "difficulty"),
            (|h| h.nonce = B64::repeat_byte(1), "nonce"),
            (|h| h.base_fee_per_gas = Some(8), "base fee"),
            (|h| h.withdrawals_root = None, "lacks withdrawalsRoot"),
        ],
    );
}

#[test]
fn what_a_block_came_to_must_be_in_its_header() {
    let (mut chain, first) = chain("Shanghai");
    let mined = mine(&mut chain.clone(), after(&first));
    let output = common::run(&chain.input(&mined).unwrap());
    let wrongs: &[Wrong] = &[
        (|h| h.state_root = B256::ZERO, "state root"),
        (|h| h.receipts_root = B256::ZERO, "receipts root"),
        (|h| h.transactions_root = B256::ZERO, "transactions root"),
        (|h| h.withdrawals_root = Some(B256::ZERO), "withdrawals root"),
        (|h| h.gas_used = 1, "gas used"),
    ];
    for (wrong, want) in wrongs {
        let mut block = mined.clone();
        wrong(&mut block.header);
        let refused = chain.push(&block, output.clone()).unwrap_err();
        assert!(
            matches!(&refused, Refused::Outcome { what, .. } if what == want),
            "{refused}, want {want}"
        );
        assert_eq!(chain.head(), first.hash);
    }
    chain.push(&mined, output).unwrap();
    assert_eq!(chain.head(), mined.hash);
}

#[test]
fn the_heavier_branch_leads_and_after_the_merge_the_last_block() {
    for (network, leads) in [("Berlin", false), ("Shanghai", true)] {
        let (mut chain, first) = chain(network);
        let one = mine(&mut chain, after(&first));
        let two = mine(&mut chain, after(&one));
        let mut other = after(&first);
        other.header.beneficiary = Address::ZERO;
        let side = mine(&mut chain, other);
        assert_eq!(chain.head() == side.hash, leads, "{network}");
        let side = mine(&mut chain, after(&side));
        assert_eq!(
            chain.head() == side.hash,
            leads,
            "{network}: as heavy as {}",
            two.hash
        );
        let side = mine(&mut chain, after(&side));
        assert_eq!(chain.head(), side.hash, "{network}");
    }
}

#[test]
fn an_ommer_is_paid_once_and_only_near_the_chain() {
    let (mut chain, first) = chain("Berlin");
    let one = mine(&mut chain, after(&first));
    let mut ommer = after(&first).header;
    ommer.beneficiary = Address::repeat_byte(0xbb);
    let with = |parent: &Block, ommers: Vec<Header>| {
        let mut block = after(parent);
        block.header.ommers_hash = alloy_consensus::proofs::calculate_ommers_root(&ommers);
        block.ommers = ommers;
        block
    };
    let said = |chain: &Chain, block: &Block| chain.input(block).unwrap_err().to_string();
    let mut late = ommer.clone();
    late.timestamp += 100;
    for (ommers, want) in [
        (vec![ommer.clone(), ommer.clone()], "is in the chain"),
        (vec![one.header.clone()], "is in the chain"),
        (vec![after(&one).header], "which is not an ancestor"),
        (vec![late], "difficulty"),
        (vec![ommer.clone(); 3], "3 ommers"),
    ] {
        let refused = said(&chain, &with(&one, ommers));
        assert!(refused.contains(want), "{refused}, want {want}");
    }
    let block = mine(&mut chain, with(&one, vec![ommer.clone()]));
    let balance = |byte| chain.alloc().0[&Address::repeat_byte(byte)].balance;
    assert_eq!(balance(0xbb), U256::from(2 * ETHER / 8 * 7));
    assert_eq!(balance(0xaa), U256::from(4 * ETHER + 2 * ETHER / 32));
    let mut again = with(&block, vec![ommer]);
    // After ommers the difficulty stays for a block that takes twice as long (EIP-100).
    again.header.timestamp += 10;
    let again = said(&chain, &again);
    assert!(again.contains("is in the chain"), "{again}");
}

#[test]
fn a_block_is_at_most_eight_megabytes_from_osaka_on() {
    for (network, refused) in [("Prague", false), ("Osaka", true)] {
        let mut first = genesis(true);
        first.header.blob_gas_used = Some(0);
        first.header.excess_blob_gas = Some(0);
        first.header.parent_beacon_block_root = Some(B256::ZERO);
        first.header.requests_hash = Some(B256::ZERO);
        let chain = Chain::new(network, 1, first.clone(), Alloc::default()).unwrap();
        let mut block = after(&first);
        chain.input(&block).unwrap();
        block.bytes = (8 << 20) + 1;
        assert_eq!(chain.input(&block).is_err(), refused, "{network}");
    }
}

#[test]
fn a_chain_of_an_unknown_network_or_another_first_state_is_refused() {
    let refused = Chain::new("Atlantis", 1, genesis(false), Alloc::default()).unwrap_err();
    assert_eq!(refused.to_string(), "header: network Atlantis is not known");
    let mut first = genesis(false);
    first.header.state_root = B256::ZERO;
    let refused = Chain::new("Berlin", 1, first, Alloc::default()).unwrap_err();
    assert!(
        matches!(
            refused,
            Refused::Outcome {
                what: "state root",
                ..
            }
        ),
        "{refused}"
    );
}
