//! Plain payments without the machine: 21,000 gas, nothing to run. All that is out of the ordinary is left to revm.
use crate::env::Env;
use crate::tx::EvmTx;
use alloy_consensus::Transaction as _;
use executor::{Change, Place, To, View};
use revm::context_interface::Cfg as _;
use revm::handler::EthPrecompiles;
use revm::primitives::hardfork::SpecId;
use state::{Delta, StateError};
use types::{Address, U256};

/// Gas of a plain payment.
pub(crate) const GAS: u64 = 21_000;

/// A payment that went through.
pub(crate) struct Paid {
    /// To whom.
    pub(crate) to: Address,
    /// Wei paid a gas.
    pub(crate) price: u128,
    /// What it changes; the fee has left the sender.
    pub(crate) changes: Vec<Change>,
}

/// Makes the payment that `tx` is; `None` where it is none, or something about it is special: then revm says what.
/// Of the sender's balance only that it is enough is looked at, of the recipient's nothing.
pub(crate) fn pay(view: &dyn View, env: &Env, tx: &EvmTx) -> Result<Option<Paid>, StateError> {
    let Some((to, price, cost)) = plain(env, tx) else {
        return Ok(None);
    };
    let from = view.payer(&tx.sender, cost)?;
    if !from.funded || from.nonce != tx.nonce() || from.nonce == u64::MAX || !from.code_hash.is_zero() {
        return Ok(None);
    }
    let (id, code_hash) = view.code_hash(&to)?;
    if !code_hash.is_zero() {
        return Ok(None);
    }
    // At most `cost`, which fits.
    let spent = tx.value() + U256::from(price) * U256::from(GAS);
    let change = |place, id, to| Change { place, id, to };
    let changes = vec![
        change(
            Place::Nonce(tx.sender),
            from.id,
            To::Set(U256::from(from.nonce + 1)),
        ),
        change(Place::Balance(tx.sender), from.id, To::Add(Delta::minus(spent))),
        change(Place::Balance(to), id, To::Add(Delta::plus(tx.value()))),
    ];
    Ok(Some(Paid { to, price, changes }))
}

/// Recipient, price of gas, and the most it can cost, where everything but the state says that it is a payment.
fn plain(env: &Env, tx: &EvmTx) -> Option<(Address, u128, U256)> {
    let (spec, envelope) = (env.spec(), &tx.envelope);
    let since = match tx.tx_type() {
        0 => SpecId::SPURIOUS_DRAGON,
        1 => SpecId::BERLIN,
        2 => SpecId::LONDON,
        _ => return None,
    };
    if !spec.is_enabled_in(since) || spec.is_enabled_in(SpecId::AMSTERDAM) {
        return None;
    }
    let to = tx.to()?;
    let (value, limit) = (tx.value(), tx.gas_limit());
    if !envelope.input().is_empty()
        || value.is_zero()
        || to == tx.sender
        || envelope.access_list().is_some_and(|list| !list.is_empty())
        || envelope.chain_id().is_some_and(|id| id != env.cfg.chain_id)
        || limit < GAS
        || limit > env.block.gas_limit
        || limit > env.cfg.tx_gas_limit_cap()
    {
        return None;
    }
    if env.blocked.contains(&to) || EthPrecompiles::new(spec).precompiles.contains(&to) {
        return None;
    }
    let (base_fee, cap) = (u128::from(env.block.basefee), tx.fee_cap());
    let tip = envelope.max_priority_fee_per_gas().unwrap_or(cap);
    if cap < base_fee || tip > cap {
        return None;
    }
    let price = if tx.tx_type() == 2 {
        cap.min(base_fee.checked_add(tip)?)
    } else {
        cap
    };
    Some((to, price, tx.cost_max()?))
}
