//! Runs one Ethereum transaction.
use crate::db::Failed;
use crate::env::{Env, Fees};
use crate::invalid::Invalid;
use crate::machine::{self, EvmError, Scratch, Transfer};
use crate::tx::EvmTx;
use crate::{keys, revert, writes};
use alloy_primitives::Log;
use revm::context_interface::Transaction as _;
use revm::context_interface::result::{EVMError, ExecutionResult, Output};
use revm::handler::EthPrecompiles;
use revm::primitives::KECCAK_EMPTY;
use revm::state::EvmState;
use state::{Deferral, Delta, StateError, StateScan, WriteSet};
use types::{Address, Bytes, Coin, Event, U256, bech32_address};

/// What a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Changes to state; empty where the transaction was invalid.
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
pub fn execute(
    view: &dyn StateScan,
    env: &Env,
    tx: &EvmTx,
    scratch: &mut Scratch,
) -> Result<Executed, StateError> {
    let payee = payee(view, env, tx)?;
    let tx_env = tx.to_env();
    let price = tx_env.effective_gas_price(u128::from(env.block.basefee));
    let ran = match machine::run(view, env, tx_env, payee, scratch) {
        Ok(ran) => ran,
        Err(EVMError::Transaction(reason)) => {
            let outcome = Outcome::Invalid(Invalid::of(&reason, env, tx));
            return Ok(Executed {
                writes: WriteSet::new(),
                deferred: Vec::new(),
                outcome,
            });
        }
        Err(other) => return Err(fatal(other)),
    };
    let mut included = included(tx, &ran.result, price);
    let fee = U256::from(price)
        .checked_mul(U256::from(included.gas_used))
        .ok_or_else(overflow)?;
    let (collector, credit) = match env.fees {
        Fees::Collector(collector) => (collector, fee),
        // The tip is paid before the destroyed are swept, and goes with them.
        Fees::Beneficiary if died(&ran.state, &env.block.beneficiary) => (env.block.beneficiary, U256::ZERO),
        Fees::Beneficiary => (env.block.beneficiary, tip(env, price, included.gas_used)?),
    };
    let charged = matches!(env.fees, Fees::Collector(_)).then_some(fee);
    let writes = writes::of_changes(view, env, &ran.state, payee, charged)?;
    let deferred = if credit.is_zero() {
        Vec::new()
    } else {
        let key = x_bank::balance_key(&collector, &env.config.base_denom);
        vec![Deferral::Add(key, Delta::plus(credit))]
    };
    if charged.is_some() {
        included.events = events(env, tx, credit, &ran.transfers);
    }
    Ok(Executed {
        writes,
        deferred,
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
fn payee(view: &dyn StateScan, env: &Env, tx: &EvmTx) -> Result<Option<Address>, StateError> {
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
    Ok((keys::code_hash(view, &to)? == KECCAK_EMPTY).then_some(to))
}

fn included(tx: &EvmTx, result: &ExecutionResult, price: u128) -> Included {
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
        ExecutionResult::Success { logs, output, .. } => {
            let (Output::Call(data) | Output::Create(data, _)) = output;
            Included {
                success: true,
                logs: logs.clone(),
                output: revert::bytes(data),
                ..base
            }
        }
        ExecutionResult::Revert { output, .. } => Included {
            output: revert::bytes(output),
            vm_error: Some("execution reverted".into()),
            ..base
        },
        ExecutionResult::Halt { reason, .. } => Included {
            vm_error: Some(revert::halt_message(reason)),
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
