//! Calls that change nothing: `eth_call` and `eth_estimateGas`, over any state.
use crate::db::Failed;
use crate::env::Env;
use crate::execute::fatal;
use crate::machine::{self, EvmError};
use crate::revert;
use alloy_eips::eip2930::AccessList;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::hex;
use module::BlockContext;
use revm::context::TxEnv;
use revm::context_interface::either::Either;
use revm::context_interface::result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction, Output};
use revm::primitives::TxKind;
use state::{StateError, StateScan};
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{Address, Bytes, ChainConfig, Timestamp, U256};

/// A transaction that nobody signed. What is `None` is chosen as geth does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Who calls; the zero address where nobody is named.
    pub from: Option<Address>,
    /// Whom; `None` creates.
    pub to: Option<Address>,
    /// The most gas.
    pub gas: Option<u64>,
    /// Fee cap a gas (or gas price); zero where there is none, and then no fee is checked or charged.
    pub fee_cap: Option<u128>,
    /// Tip cap a gas.
    pub tip_cap: Option<u128>,
    /// Wei to transfer.
    pub value: U256,
    /// Input.
    pub data: Bytes,
    /// EIP-2930.
    pub access_list: AccessList,
    /// EIP-7702.
    pub authorizations: Vec<SignedAuthorization>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// Return data, or deployed code.
    pub output: Bytes,
    /// Gas used, after refunds.
    pub gas_used: u64,
    /// Logs.
    pub logs: Vec<alloy_primitives::Log>,
}

/// Why a call gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It reverted: JSON-RPC error 3, with the data.
    #[error("{}", revert::revert_message(data))]
    Reverted {
        /// Revert data.
        data: Bytes,
    },
    /// It could not run, or ran out of something: JSON-RPC error -32000, in geth's words.
    #[error("{0}")]
    Failed(String),
    /// State could not be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Loads what a precompile's first use would load: the point evaluation's setup takes seconds, which no block should
/// wait for. Call it once, on any thread, when a node starts.
///
/// # Errors
/// Where the precompile does not answer: then the build is broken.
pub fn warm_up() -> Result<(), CallError> {
    let block = BlockContext::plain(Arc::new(ChainConfig::braid()), "warm-up", 1, Timestamp::default());
    let env = &Env::chain(&block, Arc::new(BTreeSet::new()));
    // The proof that the zero polynomial is zero at zero (EIP-4844).
    let mut input = ZERO_COMMITMENT_HASH.to_vec();
    input.extend_from_slice(&[0; 64]);
    for _ in 0..2 {
        input.push(0xc0);
        input.extend_from_slice(&[0; 47]);
    }
    let to = Some(Address::with_last_byte(0x0a));
    call(
        &state::EmptyState,
        env,
        &Call {
            to,
            data: input.into(),
            ..Call::default()
        },
        1_000_000,
    )
    .map(drop)
}

/// Versioned hash of the commitment to the zero polynomial.
const ZERO_COMMITMENT_HASH: [u8; 32] =
    hex!("010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014");

/// Gas of a plain payment.
const TRANSFER_GAS: u64 = 21_000;

/// Runs `call` over `view`, with at most `gas_cap` gas: no nonce, code or signature check, and no fee unless the call
/// names one.
///
/// # Errors
/// Reverts with their data; halts and refusals in geth's words.
pub fn call(view: &dyn StateScan, env: &Env, call: &Call, gas_cap: u64) -> Result<Called, CallError> {
    let gas = call.gas.map_or(gas_cap, |gas| gas.min(gas_cap));
    let done = attempt(view, env, call, gas).map_err(|e| match e {
        CallError::Failed(why) => CallError::Failed(format!("err: {why} (supplied gas {gas})")),
        other => other,
    })?;
    match done {
        ExecutionResult::Success {
            logs, output, gas, ..
        } => {
            let (Output::Call(data) | Output::Create(data, _)) = output;
            Ok(Called {
                output: data.0,
                gas_used: gas.tx_gas_used(),
                logs,
            })
        }
        ExecutionResult::Revert { output, .. } => Err(CallError::Reverted { data: output.0 }),
        ExecutionResult::Halt { reason, .. } => Err(CallError::Failed(revert::halt_message(&reason))),
    }
}

/// The least gas limit with which `call` succeeds over `view`, found as geth finds it (eth/gasestimator): the highest
/// limit first, then by halving, until the bounds are within 1.5 %.
///
/// # Errors
/// As [`call`]; `gas required exceeds allowance (N)` where no limit up to the caller's means is enough.
pub fn estimate_gas(view: &dyn StateScan, env: &Env, call: &Call, gas_cap: u64) -> Result<u64, CallError> {
    let mut high = call
        .gas
        .filter(|gas| *gas >= TRANSFER_GAS)
        .unwrap_or(env.block.gas_limit);
    if let Some(price) = call.fee_cap.filter(|price| *price > 0) {
        high = high.min(affordable(view, env, call, price)?);
    }
    high = high.min(gas_cap);
    // No transaction may have more (EIP-7825).
    high = high.min(revm::context_interface::Cfg::tx_gas_limit_cap(&env.cfg));
    // A plain payment needs no search.
    if let Some(to) = call.to
        && call.data.is_empty()
        && call.authorizations.is_empty()
        && call.access_list.is_empty()
        && high >= TRANSFER_GAS
        && crate::keys::code_hash(view, &to)? == revm::primitives::KECCAK_EMPTY
        && let ExecutionResult::Success { gas, .. } = attempt(view, env, call, TRANSFER_GAS)?
        && gas.tx_gas_used() == TRANSFER_GAS
    {
        return Ok(TRANSFER_GAS);
    }
    let allowance = || CallError::Failed(format!("gas required exceeds allowance ({high})"));
    let (used, refunded) = match try_limit(view, env, call, high)? {
        Some(ExecutionResult::Success { gas, .. }) => (gas.tx_gas_used(), gas.inner_refunded()),
        Some(ExecutionResult::Revert { output, .. }) => return Err(CallError::Reverted { data: output.0 }),
        Some(ExecutionResult::Halt {
            reason: HaltReason::OutOfGas(_),
            ..
        })
        | None => return Err(allowance()),
        Some(ExecutionResult::Halt { reason, .. }) => {
            return Err(CallError::Failed(revert::halt_message(&reason)));
        }
    };
    let (mut low, mut high) = (used.saturating_sub(1), high);
    let works = |limit: u64| -> Result<bool, CallError> {
        Ok(try_limit(view, env, call, limit)?.is_some_and(|r| r.is_success()))
    };
    // What it used, its refund and the call stipend, with the 1/64 that calls hold back: often enough at once.
    let optimistic = (used + refunded + 2_300).saturating_mul(64) / 63;
    if optimistic < high {
        if works(optimistic)? {
            high = optimistic;
        } else {
            low = optimistic;
        }
    }
    // At most 64 halvings: the bounds are 64-bit.
    while low + 1 < high {
        if (high - low).saturating_mul(1000) / high < 15 {
            break;
        }
        // geth leans low: most calls need little more than they use.
        let middle = (high / 2 + low / 2).min(low.saturating_mul(2).max(low + 1));
        if works(middle)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(high)
}

/// How much gas the caller can pay for.
fn affordable(view: &dyn StateScan, env: &Env, call: &Call, price: u128) -> Result<u64, CallError> {
    let from = call.from.unwrap_or(Address::ZERO);
    let balance = x_bank::balance(view, &from, &env.config.base_denom)?;
    let left = balance
        .checked_sub(call.value)
        .ok_or_else(|| CallError::Failed("insufficient funds for transfer".into()))?;
    Ok(u64::try_from(left / U256::from(price)).unwrap_or(u64::MAX))
}

/// `None` where `limit` is below what the transaction costs before it runs.
fn try_limit(
    view: &dyn StateScan,
    env: &Env,
    call: &Call,
    limit: u64,
) -> Result<Option<ExecutionResult>, CallError> {
    match run(view, env, call, limit) {
        Ok(result) => Ok(Some(result)),
        Err(EVMError::Transaction(
            InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
            | InvalidTransaction::GasFloorMoreThanGasLimit { .. },
        )) => Ok(None),
        Err(e) => match refusal(e, env, call) {
            CallError::Failed(why) => Err(CallError::Failed(format!("failed with {limit} gas: {why}"))),
            other => Err(other),
        },
    }
}

fn attempt(view: &dyn StateScan, env: &Env, call: &Call, gas: u64) -> Result<ExecutionResult, CallError> {
    run(view, env, call, gas).map_err(|e| refusal(e, env, call))
}

fn refusal(error: EvmError, env: &Env, call: &Call) -> CallError {
    let from = call.from.unwrap_or(Address::ZERO);
    match error {
        EVMError::Transaction(reason) => CallError::Failed(match reason {
            InvalidTransaction::CallGasCostMoreThanGasLimit {
                initial_gas,
                gas_limit,
            } => {
                format!("intrinsic gas too low: have {gas_limit}, want {initial_gas}")
            }
            InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
                format!(
                    "insufficient funds for gas * price + value: address {from} have {balance} want {fee}"
                )
            }
            InvalidTransaction::GasPriceLessThanBasefee => format!(
                "max fee per gas less than block base fee: address {from}, maxFeePerGas: {}, baseFee: {}",
                call.fee_cap.unwrap_or(0),
                env.block.basefee
            ),
            other => other.to_string(),
        }),
        other => CallError::State(fatal(other)),
    }
}

fn run(view: &dyn StateScan, env: &Env, call: &Call, gas: u64) -> Result<ExecutionResult, EvmError> {
    let from = call.from.unwrap_or(Address::ZERO);
    // geth asks for value and fee together, also where the fee is nothing.
    let balance = x_bank::balance(view, &from, &env.config.base_denom).map_err(Failed)?;
    if call.value > balance {
        let (fee, balance) = (Box::new(call.value), Box::new(balance));
        return Err(EVMError::Transaction(InvalidTransaction::LackOfFundForMaxFee {
            fee,
            balance,
        }));
    }
    let mut env = env.clone();
    let free = call.fee_cap.unwrap_or(0) == 0 && call.tip_cap.unwrap_or(0) == 0;
    env.cfg.disable_nonce_check = true;
    env.cfg.disable_eip3607 = true;
    env.cfg.disable_block_gas_limit = true;
    env.cfg.tx_gas_limit_cap = Some(u64::MAX);
    if free {
        // As geth: a call without a price pays nothing and sees no base fee.
        env.cfg.disable_fee_charge = true;
        env.cfg.disable_base_fee = true;
        env.block.basefee = 0;
    }
    let tx = TxEnv {
        tx_type: if call.authorizations.is_empty() { 2 } else { 4 },
        caller: from,
        gas_limit: gas,
        gas_price: call.fee_cap.unwrap_or(0),
        gas_priority_fee: Some(call.tip_cap.unwrap_or(0)),
        kind: call.to.map_or(TxKind::Create, TxKind::Call),
        value: call.value,
        data: call.data.clone().into(),
        nonce: x_auth::sequence(view, &from).map_err(Failed)?,
        chain_id: Some(env.cfg.chain_id),
        access_list: call.access_list.clone(),
        authorization_list: call.authorizations.iter().cloned().map(Either::Left).collect(),
        ..TxEnv::default()
    };
    Ok(machine::run_once(view, &env, tx)?.result)
}
