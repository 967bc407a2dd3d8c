//! What is due at the end of a block: validators that have unbonded, coins that are paid out, redelegations that are
//! over. Queues are read here and nowhere else.
use crate::hooks::StakingHooks;
use crate::msg;
use crate::records::{redelegation, unbonding};
use crate::stake::remove_validator;
use crate::validator::{Status, Validator, operator_text, put_validator, validator};
use crate::{keys, pool};
use cosmrs::proto::cosmos::staking::v1beta1::{DvPair, DvPairs, DvvTriplet, DvvTriplets, ValAddresses};
use module::{Result, TxContext};
use prost::Message;
use state::{Key, KeyRange, StateError, Value};
use types::{Address, Coin, Event, U256, format_coins};

fn decode<M: Message + Default>(key: &Key, value: &Value) -> Result<M, StateError> {
    M::decode(value.as_ref()).map_err(|e| StateError::Corrupt {
        key: key.clone(),
        why: e.to_string(),
    })
}

/// An address that this module wrote into a queue.
fn written<T>(key: &Key, read: Result<T>) -> Result<T, StateError> {
    read.map_err(|e| StateError::Corrupt {
        key: key.clone(),
        why: e.to_string(),
    })
}

/// Queue entries up to now, each with its key.
fn due<M: Message + Default>(ctx: &TxContext<'_>, range: &KeyRange) -> Result<Vec<(Key, M)>, StateError> {
    crate::scan(ctx.state.as_scan(), range, |key, value| {
        Ok((key.clone(), decode(key, value)?))
    })
}

fn queued(ctx: &TxContext<'_>, key: &Key) -> Result<Vec<String>, StateError> {
    let value = ctx.state.get(key)?;
    let read = |v| Ok(decode::<ValAddresses>(key, &v)?.addresses);
    value.map_or(Ok(Vec::new()), read)
}

fn store_queue(ctx: &mut TxContext<'_>, key: Key, addresses: Vec<String>) {
    if addresses.is_empty() {
        ctx.state.delete(key);
    } else {
        ctx.state
            .put(key, ValAddresses { addresses }.encode_to_vec().into());
    }
}

/// Queues a validator that begins to unbond.
pub(crate) fn queue(ctx: &mut TxContext<'_>, v: &Validator) -> Result<()> {
    let key = keys::validator_queue(v.unbonding_time, v.unbonding_height);
    let mut addresses = queued(ctx, &key)?;
    addresses.push(operator_text(&ctx.block.config, &v.operator));
    store_queue(ctx, key, addresses);
    Ok(())
}

/// Takes a validator that bonds again out of the queue.
pub(crate) fn unqueue(ctx: &mut TxContext<'_>, v: &Validator) -> Result<()> {
    let key = keys::validator_queue(v.unbonding_time, v.unbonding_height);
    let text = operator_text(&ctx.block.config, &v.operator);
    let mut addresses = queued(ctx, &key)?;
    addresses.retain(|a| *a != text);
    store_queue(ctx, key, addresses);
    Ok(())
}

/// Validators whose unbonding time is over have unbonded; those without shares are forgotten.
pub(crate) fn validators(ctx: &mut TxContext<'_>, hooks: &dyn StakingHooks) -> Result<()> {
    for (key, queue) in due::<ValAddresses>(ctx, &keys::validators_until(ctx.block.time))? {
        let mut held = Vec::new();
        for text in queue.addresses {
            let operator = written(&key, msg::operator(&ctx.block.config, &text))?;
            let Some(mut v) = validator(ctx.state.as_scan(), &operator)? else {
                continue;
            };
            if v.status != Status::Unbonding {
                continue;
            }
            if v.on_hold > 0 {
                held.push(text);
                continue;
            }
            // The SDK clears the list too, but never stores the cleared one.
            for id in &v.unbonding_ids {
                ctx.state.delete(keys::unbonding_index(*id));
            }
            v.status = Status::Unbonded;
            put_validator(ctx.state, &ctx.block.config, &v);
            if v.shares.is_zero() {
                if !v.jailed {
                    let power = v.potential_power(&ctx.block.config);
                    ctx.state.delete(keys::by_power(power, &operator));
                }
                remove_validator(ctx, hooks, &v)?;
            }
        }
        store_queue(ctx, key, held);
    }
    Ok(())
}

/// Pays out unbondings that are over.
pub(crate) fn unbondings(ctx: &mut TxContext<'_>) -> Result<()> {
    let denom = crate::params(ctx.state.as_scan())?.bond_denom;
    for (key, queue) in due::<DvPairs>(ctx, &keys::unbondings_until(ctx.block.time))? {
        ctx.state.delete(key.clone());
        for pair in queue.pairs {
            let delegator = written(&key, msg::delegator(&ctx.block.config, &pair.delegator_address))?;
            let operator = written(&key, msg::operator(&ctx.block.config, &pair.validator_address))?;
            if let Some(paid) = pay(ctx, &delegator, &operator, &denom)? {
                ctx.events.push(completed(pair, paid));
            }
        }
    }
    Ok(())
}

/// Pays the due entries of one unbonding; `None` where there is none.
fn pay(
    ctx: &mut TxContext<'_>,
    delegator: &Address,
    operator: &Address,
    denom: &str,
) -> Result<Option<Vec<Coin>>> {
    let Some(mut ubd) = unbonding(ctx.state.as_scan(), delegator, operator)? else {
        return Ok(None);
    };
    let now = ctx.block.time;
    let (over, left) = ubd
        .entries
        .into_iter()
        .partition(|e| e.completion <= now && e.on_hold == 0);
    let over: Vec<_> = over;
    ubd.entries = left;
    let mut total = U256::ZERO;
    for entry in &over {
        ctx.state.delete(keys::unbonding_index(entry.id));
        if !entry.balance.is_zero() {
            pool::pay_out(ctx, delegator, &Coin::new(entry.balance, denom));
        }
        // Both are parts of the supply, which fits.
        total = total.saturating_add(entry.balance);
    }
    ubd.put(ctx.state, &ctx.block.config);
    Ok(Some(if total.is_zero() {
        Vec::new()
    } else {
        vec![Coin::new(total, denom)]
    }))
}

fn completed(pair: DvPair, paid: Vec<Coin>) -> Event {
    Event::new(
        "complete_unbonding",
        [
            ("amount", format_coins(&paid)),
            ("validator", pair.validator_address),
            ("delegator", pair.delegator_address),
        ],
    )
}

/// Forgets redelegations that are over.
pub(crate) fn redelegations(ctx: &mut TxContext<'_>) -> Result<()> {
    let denom = crate::params(ctx.state.as_scan())?.bond_denom;
    for (key, queue) in due::<DvvTriplets>(ctx, &keys::redelegations_until(ctx.block.time))? {
        ctx.state.delete(key.clone());
        for t in queue.triplets {
            let config = &ctx.block.config;
            let delegator = written(&key, msg::delegator(config, &t.delegator_address))?;
            let source = written(&key, msg::operator(config, &t.validator_src_address))?;
            let target = written(&key, msg::operator(config, &t.validator_dst_address))?;
            if let Some(moved) = finish(ctx, [&delegator, &source, &target], &denom)? {
                ctx.events.push(arrived(t, moved));
            }
        }
    }
    Ok(())
}

fn finish(ctx: &mut TxContext<'_>, parties: [&Address; 3], denom: &str) -> Result<Option<Vec<Coin>>> {
    let [delegator, source, target] = parties;
    let found = redelegation(ctx.state.as_scan(), delegator, source, target)?;
    let Some(mut red) = found else { return Ok(None) };
    let now = ctx.block.time;
    let (over, left) = red
        .entries
        .into_iter()
        .partition(|e| e.completion <= now && e.on_hold == 0);
    let over: Vec<_> = over;
    red.entries = left;
    let mut total = U256::ZERO;
    for entry in &over {
        ctx.state.delete(keys::unbonding_index(entry.id));
        total = total.saturating_add(entry.initial);
    }
    red.put(ctx.state, &ctx.block.config);
    Ok(Some(if total.is_zero() {
        Vec::new()
    } else {
        vec![Coin::new(total, denom)]
    }))
}

fn arrived(t: DvvTriplet, moved: Vec<Coin>) -> Event {
    Event::new(
        "complete_redelegation",
        [
            ("amount", format_coins(&moved)),
            ("delegator", t.delegator_address),
            ("source_validator", t.validator_src_address),
            ("destination_validator", t.validator_dst_address),
        ],
    )
}
