//! Runs one Ethereum transaction.
use crate::db::Failed;
use crate::env::{Env, Fees};
use crate::invalid::Invalid;
use crate::machine::{self, EvmError, Scratch, Transfer};
use crate::transfer::{self, Paid};
use crate::tx::EvmTx;
use crate::{revert, writes};
use alloy_primitives::Log;
use executor::{Change, Plain, View};
use revm::context_interface::Transaction as _;
use revm::context_interface::result::{EVMError, ExecutionResult, Output};
use revm::handler::EthPrecompiles;
use revm::state::EvmState;
use state::{Deferral, Delta, StateError, StateScan, WriteSet};
use types::{Address, Bytes, Coin, Event, U256, bech32_address};

/// What a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Changes of typed places; none where the transaction was invalid. In no particular order.
    pub changes: Vec<Change>,
    /// Other changes to state.
    pub writes: WriteSet,
    /// The fee, which lands when the transaction settles.
    pub deferred: Vec<Deferral>,
    /// Whether it ran, and how.
    pub outcome: Outcome,
}

/// Whether a transaction ran. It has a receipt if and only if it is `Included`: nonce consumed and fee charged
/// (chain.md rule 14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran, with success or without.
    Included(Box<Included>),
    /// It could not run, and left no trace.
    Invalid(Invalid),
}

/// A transaction that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Included {
    /// Whether it succeeded.
    pub success: bool,
    /// Gas used, after refunds.
    pub gas_used: u64,
    /// Logs; none where it failed.
    pub logs: Vec<Log>,
    /// The contract it created or, where it failed, would have created.
    pub contract_address: Option<Address>,
    /// Return data, deployed code or revert data.
    pub output: Bytes,
    /// Why it failed, in geth's words.
    pub vm_error: Option<String>,
    /// Wei paid a gas.
    pub effective_gas_price: u128,
    /// Bank events of the value it moved, and the fee.
    pub events: Vec<Event>,
}

/// Runs `tx` over `view` under `env`. The result depends on these alone.
///
/// # Errors
/// Only where state cannot be read; [`StateError::Blocked`] comes back unchanged.
pub fn execute<'a>(
    view: &'a dyn View,
    env: &'a Env,
    tx: &EvmTx,
    scratch: &mut Scratch<'a>,
) -> Result<Executed, StateError> {
    if let Some(paid) = transfer::pay(view, env, tx)? {
        return payment(env, tx, paid);
    }
    with_revm(view, env, tx, scratch)
}

/// Runs `tx` once, over any state.
///
/// # Errors
/// As [`execute`].
pub fn execute_once(state: &dyn StateScan, env: &Env, tx: &EvmTx) -> Result<Executed, StateError> {
    let plain = Plain { state, layout: env };
    execute(&plain, env, tx, &mut Scratch::default())
}

/// What a plain payment did.
fn payment(env: &Env, tx: &EvmTx, paid: Paid) -> Result<Executed, StateError> {
    let (gas_used, price) = (transfer::GAS, paid.price);
    let (collector, credit) = match env.fees {
        Fees::Collector(collector) => (collector, fee(price, gas_used)?),
        Fees::Beneficiary => (env.block.beneficiary, tip(env, price, gas_used)?),
    };
    let moved = Transfer {
        from: tx.sender,
        to: paid.to,
        value: tx.value(),
    };
    let events = match env.fees {
        Fees::Collector(_) => events(env, tx, credit, &[moved]),
        Fees::Beneficiary => Vec::new(),
    };
    Ok(Executed {
        changes: paid.changes,
        writes: WriteSet::new(),
        deferred: deferred(env, &collector, credit),
        outcome: Outcome::Included(Box::new(Included {
            success: true,
            gas_used,
            logs: Vec::new(),
            contract_address: None,
            output: Bytes::new(),
            vm_error: None,
            effective_gas_price: price,
            events,
        })),
    })
}

fn fee(price: u128, gas_used: u64) -> Result<U256, StateError> {
    U256::from(price)
        .checked_mul(U256::from(gas_used))
        .ok_or_else(overflow)
}

fn deferred(env: &Env, to: &Address, credit: U256) -> Vec<Deferral> {
    if credit.is_zero() {
        return Vec::new();
    }
    let key = x_bank::balance_key(to, &env.config.base_denom);
    vec![Deferral::Add(key, Delta::plus(credit))]
}

/// Runs `tx` on the machine, whatever it is.
fn with_revm<'a>(
    view: &'a dyn View,
    env: &'a Env,
    tx: &EvmTx,
    scratch: &mut Scratch<'a>,
) -> Result<Executed, StateError> {
    let payee = payee(view, env, tx)?;
    let tx_env = tx.to_env();
    let price = tx_env.effective_gas_price(u128::from(env.block.basefee));
    let ran = match machine::run(view, env, tx_env, payee, scratch) {
        Ok(ran) => ran,
        Err(EVMError::Transaction(reason)) => {
            let outcome = Outcome::Invalid(Invalid::of(&reason, env, tx));
            return Ok(Executed {
                changes: Vec::new(),
                writes: WriteSet::new(),
                deferred: Vec::new(),
                outcome,
            });
        }
        Err(other) => return Err(fatal(other)),
    };
    let mut included = included(tx, ran.result, price);
    let fee = fee(price, included.gas_used)?;
    let (collector, credit) = match env.fees {
        Fees::Collector(collector) => (collector, fee),
        // The tip is paid before the destroyed are swept, and goes with them.
        Fees::Beneficiary if died(&ran.state, &env.block.beneficiary) => (env.block.beneficiary, U256::ZERO),
        Fees::Beneficiary => (env.block.beneficiary, tip(env, price, included.gas_used)?),
    };
    let charged = matches!(env.fees, Fees::Collector(_)).then_some(fee);
    let written = writes::of_changes(&view, env, &ran.state, payee, charged)?;
    scratch.recycle(ran.state);
    if charged.is_some() {
        included.events = events(env, tx, credit, &ran.transfers);
    }
    Ok(Executed {
        changes: written.changes,
        writes: written.writes,
        deferred: deferred(env, &collector, credit),
        outcome: Outcome::Included(Box::new(included)),
    })
}

fn died(changes: &EvmState, who: &Address) -> bool {
    changes
        .get(who)
        .is_some_and(revm::state::Account::is_selfdestructed)
}

fn overflow() -> StateError {
    StateError::Storage("fee beyond 256 bits".into())
}

/// The node's fault, not the sender's.
pub(crate) fn fatal(error: EvmError) -> StateError {
    match error {
        EVMError::Database(Failed(e)) => e,
        other => StateError::Storage(format!("evm: {other}")),
    }
}

fn tip(env: &Env, price: u128, gas_used: u64) -> Result<U256, StateError> {
    let base = if env
        .spec()
        .is_enabled_in(revm::primitives::hardfork::SpecId::LONDON)
    {
        env.block.basefee
    } else {
        0
    };
    let tip = price.saturating_sub(u128::from(base));
    U256::from(tip)
        .checked_mul(U256::from(gas_used))
        .ok_or_else(overflow)
}

/// The recipient, where this is a plain payment whose recipient's balance nothing observes: it has no code and is
/// neither the sender, nor a precompile, nor paid the tip. Then it is paid by an add, unread, so that payments to one
/// account do not conflict.
fn payee(view: &dyn View, env: &Env, tx: &EvmTx) -> Result<Option<Address>, StateError> {
    let Some(to) = tx.to() else { return Ok(None) };
    // Zero value changes nothing; an authorization's refund depends on who exists.
    if tx.value().is_zero() || tx.tx_type() == 4 || to == tx.sender {
        return Ok(None);
    }
    // Existence of an empty account is a fact of its own before Spurious Dragon.
    if !env
        .spec()
        .is_enabled_in(revm::primitives::hardfork::SpecId::SPURIOUS_DRAGON)
    {
        return Ok(None);
    }
    if env.fees == Fees::Beneficiary && to == env.block.beneficiary {
        return Ok(None);
    }
    if env.blocked.contains(&to) || EthPrecompiles::new(env.spec()).contains(&to) {
        return Ok(None);
    }
    Ok(view.code_hash(&to)?.1.is_zero().then_some(to))
}

fn included(tx: &EvmTx, result: ExecutionResult, price: u128) -> Included {
    let contract_address = tx.to().is_none().then(|| tx.sender.create(tx.nonce()));
    let base = Included {
        success: false,
        gas_used: result.tx_gas_used(),
        logs: Vec::new(),
        contract_address,
        output: Bytes::new(),
        vm_error: None,
        effective_gas_price: price,
        events: Vec::new(),
    };
    match result {
        ExecutionResult::Success { mut logs, output, .. } => {
            // They are kept: the room that they grew into is of use to the next transaction.
            logs.shrink_to_fit();
            let (Output::Call(data) | Output::Create(data, _)) = output;
            Included {
                success: true,
                logs,
                output: data.0,
                ..base
            }
        }
        ExecutionResult::Revert { output, .. } => Included {
            output: output.0,
            vm_error: Some("execution reverted".into()),
            ..base
        },
        ExecutionResult::Halt { reason, .. } => Included {
            vm_error: Some(revert::halt_message(&reason)),
            ..base
        },
    }
}

/// The bank's events (SDK x/bank/types/events.go), so that Cosmos indexers see value that the EVM moved.
fn events(env: &Env, tx: &EvmTx, fee: U256, transfers: &[Transfer]) -> Vec<Event> {
    let text = |who: &Address| bech32_address(&env.config.bech32_prefix, who);
    let coin = |amount| Coin::new(amount, env.config.base_denom.clone()).to_string();
    let mut out = Vec::with_capacity(3 * transfers.len() + 1);
    for Transfer { from, to, value } in transfers {
        let (from, to, amount) = (text(from), text(to), coin(*value));
        out.push(Event::new(
            "coin_spent",
            [("spender", from.clone()), ("amount", amount.clone())],
        ));
        out.push(Event::new(
            "coin_received",
            [("receiver", to.clone()), ("amount", amount.clone())],
        ));
        out.push(Event::new(
            "transfer",
            [("recipient", to), ("sender", from), ("amount", amount)],
        ));
    }
    out.push(Event::new(
        "tx",
        [("fee", coin(fee)), ("fee_payer", text(&tx.sender))],
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tx::Envelope;
    use alloy_consensus::{Signed, TxEip1559, TxLegacy};
    use alloy_primitives::{Signature, TxKind};
    use module::BlockContext;
    use state::{Key, MemoryState, Op, StateRead as _, StateWrite as _, Value};
    use std::sync::Arc;
    use types::{ChainConfig, Timestamp, keccak256};

    const FROM: Address = Address::repeat_byte(0xf0);
    const TO: Address = Address::repeat_byte(0x70);
    const BLOCKED: Address = Address::repeat_byte(0xb1);

    fn env(beneficiary: bool) -> Env {
        let mut block = BlockContext::plain(Arc::new(ChainConfig::braid()), "c", 1, Timestamp::default());
        block.base_fee = U256::from(7);
        block.gas_limit = 100_000;
        let mut env = Env::chain(&block, Arc::new([BLOCKED].into()));
        if beneficiary {
            env.fees = Fees::Beneficiary;
            env.blocked = Arc::default();
            env.block.beneficiary = Address::repeat_byte(0xcb);
        }
        env
    }
    fn state(env: &Env, balance: U256, code: Option<Address>) -> MemoryState {
        let empty = MemoryState::default();
        let mut out = state::Overlay::new(&empty);
        if let Some(value) = state::encode_amount(balance) {
            out.put(x_bank::balance_key(&FROM, "abraid"), value);
        }
        out.put(x_bank::balance_key(&TO, "abraid"), "5".into());
        x_auth::set_sequence(&mut out, &env.config, &FROM, 1).unwrap();
        if let Some(who) = code {
            let hash = keccak256([0]);
            out.put(crate::keys::code_hash_key(&who), hash.to_vec().into());
            out.put(crate::keys::code_key(&hash), vec![0].into());
        }
        let put = |(key, op)| match op {
            Op::Put(value) => Some((key, value)),
            _ => None,
        };
        let writes = out.finish().unwrap().writes;
        MemoryState(writes.into_iter().filter_map(put).collect())
    }
    /// Outcome, and each changed key's value afterwards.
    fn after(state: &MemoryState, env: &Env, done: Executed) -> (Outcome, Vec<(Key, Option<Value>)>) {
        let mut writes = writes::write_set(state, env, done.changes, done.writes).unwrap();
        state::apply_deferrals(state, &mut writes, done.deferred).unwrap();
        let value = |(key, op): (Key, Op)| {
            let value = state::resolve(&key, state.get(&key).unwrap(), &op).ok().flatten();
            (key, value)
        };
        (done.outcome, writes.into_iter().map(value).collect())
    }
    fn legacy(chain_id: Option<u64>, gas_price: u128, value: u64) -> TxLegacy {
        TxLegacy {
            chain_id,
            gas_price,
            value: U256::from(value),
            ..TxLegacy::default()
        }
    }
    fn dynamic(max_fee_per_gas: u128, max_priority_fee_per_gas: u128) -> TxEip1559 {
        TxEip1559 {
            chain_id: 8118,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            value: U256::from(3),
            ..TxEip1559::default()
        }
    }
    fn txs(to: Address, nonce: u64, gas_limit: u64) -> Vec<EvmTx> {
        let sign = Signature::test_signature;
        let old = [
            legacy(Some(8118), 9, 3),
            legacy(Some(8118), 6, 3),
            legacy(Some(1), 9, 3),
            legacy(None, 9, 3),
            legacy(Some(8118), 9, 0),
        ]
        .map(|tx| TxLegacy {
            nonce,
            gas_limit,
            to: TxKind::Call(to),
            ..tx
        });
        let new = [dynamic(9, 1), dynamic(8, 5), dynamic(9, 10)].map(|tx| TxEip1559 {
            nonce,
            gas_limit,
            to: TxKind::Call(to),
            ..tx
        });
        let old = old.map(|tx| Envelope::Legacy(Signed::new_unhashed(tx, sign())));
        let new = new.map(|tx| Envelope::Eip1559(Signed::new_unhashed(tx, sign())));
        let all = old.into_iter().chain(new);
        all.map(|envelope| EvmTx::new(envelope, FROM)).collect()
    }

    #[test]
    fn a_payment_without_the_machine_is_what_revm_makes_of_it() {
        let mut short = 0;
        for beneficiary in [false, true] {
            let env = env(beneficiary);
            let precompile = Address::with_last_byte(4);
            let mut all = Vec::new();
            for to in [TO, FROM, BLOCKED, env.block.beneficiary, precompile] {
                for nonce in [0, 1, 2] {
                    for gas_limit in [20_999, 21_000, 50_000, 100_001] {
                        all.extend(txs(to, nonce, gas_limit));
                    }
                }
            }
            for tx in all {
                let cost = tx.cost_max().unwrap();
                for (balance, code) in [
                    (cost, None),
                    (cost - U256::from(1), None),
                    (U256::from(u128::MAX), None),
                    (cost, Some(TO)),
                    (cost, Some(FROM)),
                ] {
                    let state = state(&env, balance, code);
                    let view = Plain {
                        state: &state,
                        layout: &env,
                    };
                    short += usize::from(transfer::pay(&view, &env, &tx).unwrap().is_some());
                    let quick = execute_once(&state, &env, &tx).unwrap();
                    let full = with_revm(&view, &env, &tx, &mut Scratch::default()).unwrap();
                    assert_eq!(
                        after(&state, &env, quick),
                        after(&state, &env, full),
                        "{tx:?} with {balance}, code at {code:?}"
                    );
                }
            }
        }
        assert!(short > 30, "the short way was taken {short} times");
    }
}
