//! What transactions do to state.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod common;

use alloy_consensus::{TxEip1559, TxEip7702};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::TxKind;
use common::*;
use types::{Address, U256};
use x_evm::{EvmTx, SpecId};

fn u(v: u64) -> U256 {
    U256::from(v)
}

#[test]
fn a_transfer_moves_value_and_pays_the_collector() {
    let mut chain = Chain::new();
    let (to, supply) = (Address::repeat_byte(0x77), chain.supply());
    let before = chain.balance(who(1));
    let done = chain.run(&sign(transfer(0, to, 5), 1));
    assert!(done.success && done.vm_error.is_none());
    // Base fee 1 gwei, tip 1 gwei.
    assert_eq!(
        (done.gas_used, done.effective_gas_price),
        (21_000, u128::from(2 * GWEI))
    );
    assert_eq!(chain.balance(to), u(5));
    assert_eq!(before - chain.balance(who(1)), u(5 + 21_000 * 2 * GWEI));
    assert_eq!((chain.nonce(who(1)), chain.nonce(to)), (1, 0));
    assert_eq!(chain.supply(), supply, "the base fee is not burnt");
    let kinds: Vec<&str> = done.events.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(kinds, ["coin_spent", "coin_received", "transfer", "tx"]);
    // To oneself, and of nothing.
    chain.run(&sign(transfer(1, who(1), 7), 1));
    chain.run(&sign(legacy(2, to, 0), 1));
    assert_eq!((chain.balance(to), chain.nonce(who(1))), (u(5), 3));
}

#[test]
fn a_create_deploys_and_a_call_runs_the_code() {
    let mut chain = Chain::new();
    let done = chain.run(&sign(creates(0, 3, deploys(&FORWARDS)), 1));
    let at = done.contract_address.unwrap();
    assert_eq!(at, who(1).create(0));
    assert_eq!(
        (chain.code(at), chain.balance(at), chain.nonce(at)),
        (FORWARDS.to_vec(), u(3), 1)
    );
    let to = Address::repeat_byte(0x55);
    let done = chain.run(&sign(calls(1, at, 9, word(to)), 1));
    assert!(done.success);
    assert_eq!(
        (chain.balance(to), chain.balance(at), chain.slot(at, 0)),
        (u(9), u(3), u(1))
    );
    let transfers = done.events.iter().filter(|e| e.kind == "transfer").count();
    assert_eq!(transfers, 2, "the inner transfer is an event too");
}

#[test]
fn failures_keep_fee_and_nonce_and_nothing_else() {
    let mut chain = Chain::new();
    let (reverts, loops, inner) = (
        Address::repeat_byte(1),
        Address::repeat_byte(2),
        Address::repeat_byte(3),
    );
    chain.install(reverts, &REVERTS, 0);
    chain.install(loops, &LOOPS, 0);
    chain.install(inner, &FORWARDS_AND_REVERTS, 0);
    let spent = |gas: u64| u(gas * 2 * GWEI);
    for (nonce, (to, error, all)) in [
        (reverts, "execution reverted", false),
        (loops, "out of gas", true),
        (inner, "execution reverted", false),
    ]
    .into_iter()
    .enumerate()
    {
        let before = chain.balance(who(1));
        let done = chain.run(&sign(
            calls(nonce as u64, to, 11, word(Address::repeat_byte(9))),
            1,
        ));
        assert!(!done.success);
        assert_eq!(done.vm_error.as_deref(), Some(error));
        assert_eq!(done.gas_used == 300_000, all, "{error}");
        assert_eq!(before - chain.balance(who(1)), spent(done.gas_used));
        assert_eq!(chain.nonce(who(1)), nonce as u64 + 1);
        assert!(chain.balance(to).is_zero() && done.logs.is_empty());
        assert!(
            done.events.iter().all(|e| e.kind != "transfer"),
            "{:?}",
            done.events
        );
    }
    // A create that fails still has an address in its receipt.
    let done = chain.run(&sign(creates(3, 1, REVERTS.to_vec()), 1));
    assert_eq!(done.contract_address, Some(who(1).create(3)));
    assert!(chain.code(who(1).create(3)).is_empty());
}

#[test]
fn invalid_transactions_leave_no_trace_and_say_why() {
    let mut chain = Chain::new();
    let to = Address::repeat_byte(0x77);
    chain.run(&sign(transfer(0, to, 1), 1));
    let base = transfer(1, to, 1);
    let coded = who(8);
    chain.install(coded, &LOOPS, 0);
    let at = |gas_limit| TxEip1559 {
        gas_limit,
        ..base.clone()
    };
    let cases: Vec<(EvmTx, u32, &str)> = vec![
        (
            sign(transfer(0, to, 1), 1),
            32,
            "nonce too low: next nonce 1, tx nonce 0",
        ),
        (
            sign(transfer(5, to, 1), 1),
            32,
            "nonce too high: next nonce 1, tx nonce 5",
        ),
        (
            sign(transfer(0, to, 1), 33),
            5,
            "insufficient funds for gas * price + value: balance 0, tx cost 63000000000001, overshot 63000000000001",
        ),
        (
            sign(at(20_999), 1),
            11,
            "intrinsic gas too low: gas 20999, minimum needed 21000",
        ),
        (
            sign(
                TxEip1559 {
                    max_fee_per_gas: 5,
                    max_priority_fee_per_gas: 0,
                    ..base.clone()
                },
                1,
            ),
            13,
            "max fee per gas less than block base fee: address ",
        ),
        (
            sign(
                TxEip1559 {
                    max_priority_fee_per_gas: u128::from(9 * GWEI),
                    ..base.clone()
                },
                1,
            ),
            13,
            "max priority fee per gas higher than max fee per gas",
        ),
        (
            sign(at(61_000_000), 1),
            41,
            "transaction gas limit too high (cap: 16777216, tx: 61000000)",
        ),
        (
            sign(
                TxEip1559 {
                    nonce: 1,
                    ..base.clone()
                },
                8,
            ),
            4,
            "sender not an eoa",
        ),
        (
            sign(
                TxEip1559 {
                    gas_limit: 10_000_000,
                    ..creates(1, 0, vec![0; 49_153])
                },
                1,
            ),
            18,
            "max initcode size exceeded: code size 49153, limit 49152",
        ),
        (
            sign(
                TxEip1559 {
                    input: vec![1; 1000].into(),
                    gas_limit: 40_000,
                    ..base.clone()
                },
                1,
            ),
            11,
            "insufficient gas for floor data gas cost: gas 40000, minimum needed 61000",
        ),
        (
            sign(
                TxEip7702 {
                    chain_id: 8118,
                    nonce: 1,
                    gas_limit: 90_000,
                    max_fee_per_gas: 3_000_000_000,
                    ..Default::default()
                },
                1,
            ),
            18,
            "EIP-7702 transaction with empty auth list",
        ),
    ];
    for (tx, code, message) in cases {
        let invalid = chain.refuse(&tx);
        assert!(
            invalid.message.starts_with(message),
            "have {:?}, want {message:?}",
            invalid.message
        );
        assert_eq!((invalid.codespace, invalid.code), ("sdk", code), "{message}");
    }
    chain.block.gas_limit = 20_000;
    let invalid = chain.refuse(&sign(base, 1));
    assert_eq!(invalid.message, "exceeds block gas limit: gas 21000, limit 20000");
}

#[test]
fn value_to_blocked_addresses_fails_the_frame() {
    let mut chain = Chain::new();
    for to in [blocked(), collector()] {
        let nonce = chain.nonce(who(1));
        let done = chain.run(&sign(calls(nonce, to, 1, Vec::new()), 1));
        assert!(!done.success, "top level");
        assert_eq!(done.gas_used, 21_000, "the rest of the gas comes back");
        let reason = x_evm::revert_reason(&done.output).unwrap();
        assert!(reason.contains("is not allowed to receive funds"), "{reason}");
    }
    let (forwards, dies) = (Address::repeat_byte(1), Address::repeat_byte(2));
    chain.install(forwards, &FORWARDS, 0);
    chain.install(dies, &DIES, 44);
    let done = chain.run(&sign(calls(2, forwards, 6, word(blocked())), 1));
    assert!(done.success, "only the inner frame fails");
    assert_eq!((chain.slot(forwards, 0), chain.balance(forwards)), (u(0), u(6)));
    let done = chain.run(&sign(calls(3, dies, 0, word(blocked())), 1));
    assert!(!done.success && chain.balance(dies) == u(44));
    assert!(chain.balance(blocked()).is_zero());
    // A call without value is no payment.
    assert!(chain.run(&sign(calls(4, blocked(), 0, Vec::new()), 1)).success);
}

#[test]
fn selfdestruct_pays_the_heir_and_burns_only_what_ethereum_burns() {
    let mut chain = Chain::new();
    let (dies, heir) = (Address::repeat_byte(2), Address::repeat_byte(0x42));
    chain.install(dies, &DIES, 44);
    let supply = chain.supply();
    let done = chain.run(&sign(calls(0, dies, 1, word(heir)), 1));
    assert!(done.success);
    assert_eq!((chain.balance(dies), chain.balance(heir)), (u(0), u(45)));
    assert_eq!(
        (chain.code(dies), chain.nonce(dies)),
        (DIES.to_vec(), 1),
        "EIP-6780: the contract stays"
    );
    // Created and destroyed at once, for itself: the value is gone, and so is it from the supply.
    let done = chain.run(&sign(creates(1, 10, vec![0x30, 0xff]), 1));
    assert!(done.success);
    let at = done.contract_address.unwrap();
    assert_eq!(supply - chain.supply(), u(10));
    assert_eq!(
        (chain.balance(at), chain.nonce(at), chain.code(at)),
        (u(0), 0, Vec::new())
    );
}

#[test]
fn an_authorization_delegates_and_another_ends_it() {
    let mut chain = Chain::new();
    let target = Address::repeat_byte(0x99);
    chain.install(target, &FORWARDS, 0);
    let to = Address::repeat_byte(0x55);
    let authorize = |chain: &mut Chain, nonce, authority_nonce, address| {
        let authorization = Authorization {
            chain_id: u(8118),
            address,
            nonce: authority_nonce,
        };
        let signed = authorization
            .clone()
            .into_signed(signature(&authorization.signature_hash(), 2));
        let tx = TxEip7702 {
            chain_id: 8118,
            nonce,
            gas_limit: 300_000,
            max_fee_per_gas: u128::from(3 * GWEI),
            max_priority_fee_per_gas: u128::from(GWEI),
            to: who(2),
            value: u(4),
            authorization_list: vec![signed],
            input: word(to).into(),
            ..TxEip7702::default()
        };
        chain.run(&sign(tx, 1))
    };
    let done = authorize(&mut chain, 0, 0, target);
    assert!(done.success, "{done:?}");
    assert_eq!(chain.nonce(who(2)), 1);
    assert_eq!(
        chain.code(who(2)),
        [&[0xef, 0x01, 0x00][..], target.as_slice()].concat()
    );
    assert_eq!(chain.balance(to), u(4), "the delegate's code ran");
    // A delegated account still sends transactions of its own.
    assert!(chain.run(&sign(transfer(1, to, 1), 2)).success);
    let done = authorize(&mut chain, 1, 2, Address::ZERO);
    assert!(done.success && chain.code(who(2)).is_empty());
    // An authorization with a stale nonce is skipped; the transaction runs.
    assert!(authorize(&mut chain, 2, 0, target).success);
    assert_eq!((chain.nonce(who(2)), chain.code(who(2))), (3, Vec::new()));
}

#[test]
fn blockhash_serves_what_the_history_contract_was_told() {
    use module::{HookContext, Module};
    let mut chain = Chain::new();
    chain.block.parent_hash = types::B256::repeat_byte(0xab);
    chain.edit(|state, block, evm| {
        let (mut events, mut updates) = (Vec::new(), Vec::new());
        evm.begin_block(&mut HookContext {
            block,
            state,
            events: &mut events,
            validator_updates: &mut updates,
        })
        .unwrap();
    });
    let at = Address::repeat_byte(0x31);
    // BLOCKHASH(NUMBER - 1)
    chain.install(
        at,
        &[0x60, 1, 0x43, 0x03, 0x40, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3],
        0,
    );
    let done = chain.run(&sign(calls(0, at, 0, Vec::new()), 1));
    assert_eq!(done.output, vec![0xab; 32]);
    assert_eq!(chain.env().spec(), SpecId::OSAKA);
}

#[test]
fn a_failed_read_comes_back_unchanged_from_wherever_it_happens() {
    let mut chain = Chain::new();
    let at = Address::repeat_byte(1);
    chain.install(at, &FORWARDS, 0);
    let tx = sign(calls(0, at, 5, word(Address::repeat_byte(9))), 1);
    let env = chain.env();
    let all = Spy::new(&chain.state, None);
    let want = execute(&all, &env, &tx).unwrap();
    let reads = all.seen.borrow().len();
    assert!(reads > 8, "{reads}");
    for n in 0..reads {
        let spy = Spy::new(&chain.state, Some(n));
        match execute(&spy, &env, &tx) {
            Err(e) => assert_eq!(e, state::StateError::Blocked(7)),
            // Code that is known saves reads: then the failing one is never reached.
            Ok(done) => assert!(spy.seen.borrow().len() <= n && done == want),
        }
        // And the next run is right.
        assert_eq!(execute(&chain.state, &env, &tx).unwrap(), want);
    }
}

#[test]
fn payments_to_one_account_do_not_read_it() {
    let chain = Chain::new();
    let to = Address::repeat_byte(0x66);
    let tx = sign(transfer(0, to, 5), 1);
    let env = chain.env();
    let spy = Spy::new(&chain.state, None);
    let done = execute(&spy, &env, &tx).unwrap();
    let (balance, account) = (x_bank::balance_key(&to, "abraid"), x_auth::account_key(&to));
    assert!(
        spy.seen.borrow().iter().all(|k| *k != balance && *k != account),
        "{:?}",
        spy.seen.borrow()
    );
    assert_eq!(done.writes[&balance], state::Op::Add(state::Delta::plus(u(5))));
    // What it declares covers what it touched.
    let access = x_evm::access(&tx, &env, Some(&chain.state));
    assert!(access.complete);
    let declared: Vec<_> = [&access.reads[..], &access.writes, &access.adds].concat();
    assert!(
        spy.seen
            .borrow()
            .iter()
            .chain(done.writes.keys())
            .all(|k| declared.contains(k))
    );
    let writes: Vec<_> = [&access.writes[..], &access.adds].concat();
    assert!(done.writes.keys().all(|k| writes.contains(k)));
}

#[test]
fn a_create_onto_an_account_with_a_nonce_fails() {
    let mut chain = Chain::new();
    let at = who(1).create(0);
    chain.install(at, &LOOPS, 0);
    let done = chain.run(&sign(
        TxEip1559 {
            to: TxKind::Create,
            ..creates(0, 0, deploys(&REVERTS))
        },
        1,
    ));
    assert_eq!(done.vm_error.as_deref(), Some("contract address collision"));
    assert_eq!(chain.code(at), LOOPS);
}
