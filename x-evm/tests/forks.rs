//! Rules of forks before the chain's own, which real blocks and state tests need.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod common;

use common::*;
use revm::context::CfgEnv;
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{Address, B256, U256};
use x_evm::{Env, EvmTx, Fees, Hashes, Included, Outcome, SpecId};

fn env(chain: &Chain, spec: SpecId) -> Env {
    let mut env = chain.env();
    env.cfg = CfgEnv::new_with_spec(spec);
    env.cfg.chain_id = 8118;
    env.fees = Fees::Beneficiary;
    env.blocked = Arc::new(BTreeSet::new());
    env.hashes = Hashes::Map([(4, B256::repeat_byte(4))].into());
    env.block.beneficiary = Address::repeat_byte(0xcb);
    if !spec.is_enabled_in(SpecId::LONDON) {
        env.block.basefee = 0;
    }
    env
}

fn run(chain: &mut Chain, env: &Env, tx: &EvmTx) -> Included {
    let done = execute(&chain.state, env, tx).unwrap();
    let Outcome::Included(included) = done.outcome else {
        panic!("{:?}", done.outcome)
    };
    chain.apply(done.writes, done.deferred);
    *included
}

fn legacy_call(nonce: u64, to: Address, value: u64, data: Vec<u8>) -> EvmTx {
    sign(
        alloy_consensus::TxLegacy {
            gas_limit: 300_000,
            input: data.into(),
            ..legacy(nonce, to, value)
        },
        1,
    )
}

#[test]
fn before_cancun_selfdestruct_wipes_code_nonce_and_storage() {
    let mut chain = Chain::new();
    let env = env(&chain, SpecId::LONDON);
    let (at, heir) = (Address::repeat_byte(2), Address::repeat_byte(0x42));
    // With input: destroys itself for whom it names. Without: adds one to slot 0 and returns it.
    let code = [
        &[0x36, 0x60, 0x11, 0x57][..], // CALLDATASIZE PUSH 17 JUMPI
        &[0x60, 0, 0x54, 0x60, 1, 0x01, 0x80, 0x60, 0, 0x55, 0x60, 0, 0x52], // SLOAD(0)+1 → SSTORE, MSTORE
    ]
    .concat();
    assert_eq!(code.len(), 17);
    let code = [
        &code[..],
        &[
            0x5b, 0x36, 0x15, 0x60, 0x1b, 0x57, 0x60, 0, 0x35, 0xff, 0x5b, 0x60, 0x20, 0x60, 0, 0xf3,
        ],
    ]
    .concat();
    chain.install(at, &code, 0);
    let count = |chain: &mut Chain, nonce| run(chain, &env, &legacy_call(nonce, at, 3, Vec::new())).output;
    assert_eq!(U256::from_be_slice(&count(&mut chain, 0)), U256::from(1));
    assert_eq!(U256::from_be_slice(&count(&mut chain, 1)), U256::from(2));
    assert!(run(&mut chain, &env, &legacy_call(2, at, 0, word(heir))).success);
    assert_eq!(
        (chain.balance(heir), chain.balance(at)),
        (U256::from(6), U256::ZERO)
    );
    assert!(chain.code(at).is_empty() && chain.nonce(at) == 0);
    assert!(
        x_auth::account(&chain.state, &at).unwrap().is_some(),
        "the auth record stays"
    );
    // The same code again at the same place starts from nothing, and so does the next life.
    for life in 0..2u64 {
        chain.install(at, &code, 0);
        assert_eq!(
            U256::from_be_slice(&count(&mut chain, 3 + 2 * life)),
            U256::from(1),
            "life {life}"
        );
        assert!(run(&mut chain, &env, &legacy_call(4 + 2 * life, at, 0, word(heir))).success);
    }
}

#[test]
fn the_beneficiary_gets_the_tip_and_nobody_the_base_fee() {
    let mut chain = Chain::new();
    for (nonce, spec, tip) in [
        (0, SpecId::BERLIN, 2),
        (1, SpecId::LONDON, 1),
        (2, SpecId::CANCUN, 1),
    ] {
        let env = env(&chain, spec);
        let miner = env.block.beneficiary;
        let before = (chain.balance(miner), chain.balance(who(1)));
        let done = run(
            &mut chain,
            &env,
            &sign(legacy(nonce, Address::repeat_byte(9), 1), 1),
        );
        assert_eq!(
            chain.balance(miner) - before.0,
            U256::from(tip * GWEI * done.gas_used),
            "{spec:?}"
        );
        assert_eq!(
            before.1 - chain.balance(who(1)),
            U256::from(2 * GWEI * done.gas_used + 1),
            "{spec:?}"
        );
        // Who is paid the tip may also be paid.
        let done = execute(&chain.state, &env, &sign(legacy(nonce + 1, miner, 5), 1));
        let done = done.unwrap();
        assert_eq!((done.writes.len(), done.deferred.len()), (3, 1));
    }
}

#[test]
fn before_spurious_dragon_an_empty_account_can_exist() {
    let mut chain = Chain::new();
    let env = env(&chain, SpecId::HOMESTEAD);
    let (at, nobody) = (Address::repeat_byte(2), Address::repeat_byte(0x42));
    // CALL without value costs 25,000 more where it makes the account.
    let code = [
        0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0x35, 0x60, 0, 0xf1, 0x00,
    ];
    chain.install(at, &code, 0);
    let mut gas = |nonce| run(&mut chain, &env, &legacy_call(nonce, at, 0, word(nobody))).gas_used;
    let (first, second) = (gas(0), gas(1));
    assert_eq!(first - second, 25_000);
}

#[test]
fn blob_transactions_run_where_they_are_replayed() {
    use alloy_consensus::TxEip4844;
    let mut chain = Chain::new();
    let env = env(&chain, SpecId::CANCUN);
    let mut blob = [0; 32];
    blob[0] = 1;
    let tx = TxEip4844 {
        chain_id: 8118,
        gas_limit: 21_000,
        max_fee_per_gas: u128::from(2 * GWEI),
        max_fee_per_blob_gas: 1,
        blob_versioned_hashes: vec![B256::from(blob)],
        to: Address::repeat_byte(9),
        ..Default::default()
    };
    let before = chain.balance(who(1));
    let done = run(&mut chain, &env, &sign(tx, 1));
    assert!(done.success);
    // Blob gas is burnt: 131,072 at the least price.
    assert_eq!(
        before - chain.balance(who(1)),
        U256::from(21_000 * GWEI + 131_072)
    );
}
