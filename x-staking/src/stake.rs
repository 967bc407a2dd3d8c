//! The moves that messages are made of (x/staking/keeper/delegation.go): put coins on a validator, take them off.
use crate::hooks::StakingHooks;
use crate::records::{Delegation, delegation};
use crate::validator::{Status, Validator, put_validator, validator};
use crate::{errors, index, keys, pool};
use module::{Error, Result, TxContext};
use types::{Address, Coin, Dec, U256};

/// Where delegated coins come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The delegator's balance.
    Balance,
    /// The pool of a validator with this status.
    Pool(Status),
}

/// Reads a validator that must be there.
pub(crate) fn existing(ctx: &TxContext<'_>, operator: &Address) -> Result<Validator> {
    validator(ctx.state.as_scan(), operator)?.ok_or_else(errors::no_validator)
}

/// Delegates `amount` to `v`, whose record is updated and stored. Returns the shares issued.
pub(crate) fn delegate(
    ctx: &mut TxContext<'_>,
    hooks: &dyn StakingHooks,
    delegator: &Address,
    v: &mut Validator,
    coin: &Coin,
    source: Source,
) -> Result<Dec> {
    if v.bad_rate() {
        return Err(errors::bad_rate());
    }
    let operator = v.operator;
    let before = delegation(ctx.state.as_scan(), delegator, &operator)?;
    match before {
        Some(_) => hooks.before_shares_modified(ctx, delegator, &operator)?,
        None => hooks.before_delegation_created(ctx, delegator, &operator)?,
    }
    match source {
        Source::Balance => pool::pay_in(ctx, delegator, v.status, coin)?,
        Source::Pool(from) => pool::shift(ctx, from, v.status, &coin.denom, coin.amount),
    }
    index::touch(ctx.state, &ctx.block.config, &operator, Some(v));
    let issued = v.add_tokens(coin.amount)?;
    if issued.is_zero() {
        // The SDK would take the coins and give nothing for them.
        return Err(errors::insufficient_shares());
    }
    put_validator(ctx.state, &ctx.block.config, v);
    let held = before.map_or(Dec::ZERO, |d| d.shares);
    let shares = crate::num::fits(held.checked_add(issued))?;
    Delegation {
        delegator: *delegator,
        operator,
        shares,
    }
    .put(ctx.state, &ctx.block.config);
    hooks.after_delegation_modified(ctx, delegator, &operator)?;
    Ok(issued)
}

/// The shares to take off for `amount`, if the delegation has them (SDK `ValidateUnbondAmount`).
pub(crate) fn shares_for(
    ctx: &TxContext<'_>,
    delegator: &Address,
    operator: &Address,
    amount: U256,
) -> Result<Dec> {
    let v = existing(ctx, operator)?;
    let held = delegation(ctx.state.as_scan(), delegator, operator)?.ok_or_else(errors::no_delegation)?;
    let shares = v.shares_from_tokens(amount)?;
    // Both of the SDK's roundings are down, so its cap never bites.
    if shares > held.shares {
        Err(errors::request("invalid shares amount"))
    } else {
        Ok(shares)
    }
}

/// Takes `shares` off a validator and returns what they are worth. The coins stay in the validator's pool.
pub(crate) fn unbond(
    ctx: &mut TxContext<'_>,
    hooks: &dyn StakingHooks,
    delegator: &Address,
    operator: &Address,
    shares: Dec,
) -> Result<U256> {
    let mut held = delegation(ctx.state.as_scan(), delegator, operator)?.ok_or_else(errors::no_delegator)?;
    hooks.before_shares_modified(ctx, delegator, operator)?;
    let left = held.shares.checked_sub(shares).ok_or_else(|| {
        Error::module(
            "staking",
            24,
            format!("{}: not enough delegation shares", held.shares),
        )
    })?;
    let mut v = existing(ctx, operator)?;
    index::touch(ctx.state, &ctx.block.config, operator, Some(&v));
    held.shares = left;
    let own = delegator == operator;
    if own && !v.jailed && v.tokens_from_shares(left)?.truncate() < v.min_self_delegation {
        v.jailed = true;
    }
    if left.is_zero() {
        hooks.before_delegation_removed(ctx, delegator, operator)?;
        held.put(ctx.state, &ctx.block.config);
    } else {
        held.put(ctx.state, &ctx.block.config);
        hooks.after_delegation_modified(ctx, delegator, operator)?;
    }
    let tokens = v.remove_shares(shares)?;
    put_validator(ctx.state, &ctx.block.config, &v);
    if v.shares.is_zero() && v.status == Status::Unbonded {
        remove_validator(ctx, hooks, &v)?;
    }
    Ok(tokens)
}

/// Forgets a validator without shares that has unbonded. Its power-index entry goes when the index is settled.
pub(crate) fn remove_validator(
    ctx: &mut TxContext<'_>,
    hooks: &dyn StakingHooks,
    v: &Validator,
) -> Result<()> {
    let consensus = v.consensus();
    ctx.state.delete(keys::validator(&v.operator));
    ctx.state.delete(keys::by_consensus(&consensus));
    hooks.after_validator_removed(ctx, &consensus, &v.operator)
}
