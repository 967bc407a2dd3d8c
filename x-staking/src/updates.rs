//! The validator set at the end of a block (SDK `ApplyAndReturnValidatorSetUpdates`).
//!
//! The set is the head of the power index. Who enters is bonded, who drops out begins to unbond, and CometBFT is told
//! every power that differs from the last one it was told.
use crate::hooks::StakingHooks;
use crate::index::{self, Kind};
use crate::validator::{MAX_TOTAL_POWER, Status, Validator, put_validator, validator};
use crate::{keys, mature, params::Params, pool};
use cosmrs::proto::cosmos::{base::v1beta1::IntProto, staking::v1beta1::ValidatorUpdates};
use cosmrs::proto::tendermint::{abci, crypto};
use module::{Result, TxContext, ValidatorUpdate};
use prost::Message as _;
use state::{Control, Key, StateError, StateScan, Value};
use std::collections::BTreeMap;
use types::{Address, Bytes, U256};

/// The power index from the top: at most `max` validators with power, as many as CometBFT can count.
fn head(state: &dyn StateScan, max: u32) -> Result<Vec<(Address, u64)>, StateError> {
    let mut head = Vec::new();
    let mut room = MAX_TOTAL_POWER;
    let mut failed = None;
    state.scan(&keys::powers().descending(), &mut |key, value| {
        let read = key
            .bytes()
            .get(1..9)
            .and_then(|b| b.try_into().ok())
            .map(u64::from_be_bytes);
        let (Some(power), Ok(operator)) = (read, Address::try_from(value.as_ref())) else {
            failed = Some(corrupt(key, "malformed power index"));
            return Control::Break(());
        };
        let power = power.min(room);
        if power == 0 || head.len() >= max as usize {
            return Control::Break(());
        }
        room -= power;
        head.push((operator, power));
        Control::Continue(())
    })?;
    failed.map_or(Ok(head), Err)
}

fn corrupt(key: &Key, why: &str) -> StateError {
    StateError::Corrupt {
        key: key.clone(),
        why: why.into(),
    }
}

/// Powers CometBFT was last told, by operator.
pub(crate) fn last_powers(state: &dyn StateScan) -> Result<BTreeMap<Address, i64>, StateError> {
    let read = |key: &Key, value: &Value| {
        let operator = key.bytes().get(2..).and_then(|b| Address::try_from(b).ok());
        let power = i64::decode(value.as_ref()).ok();
        operator
            .zip(power)
            .ok_or_else(|| corrupt(key, "malformed last power"))
    };
    Ok(crate::scan(state, &keys::last_powers(), read)?
        .into_iter()
        .collect())
}

/// A validator that an index names.
fn named(state: &dyn StateScan, operator: &Address) -> Result<Validator, StateError> {
    validator(state, operator)?.ok_or_else(|| corrupt(&keys::validator(operator), "indexed, but not there"))
}

fn update(v: &Validator, power: i64) -> ValidatorUpdate {
    ValidatorUpdate {
        pub_key: Bytes::copy_from_slice(&v.pubkey),
        power,
    }
}

/// Brings statuses, pools and last powers in line with the power index, and returns what CometBFT must be told:
/// changed powers from the greatest on, then removals by operator. No key occurs twice.
pub(crate) fn apply(ctx: &mut TxContext<'_>, hooks: &dyn StakingHooks) -> Result<Vec<ValidatorUpdate>> {
    let params = crate::params(ctx.state.as_scan())?;
    let mut last = last_powers(ctx.state.as_scan())?;
    let head = head(ctx.state.as_scan(), params.max_validators)?;
    let mut updates = Vec::new();
    if head.is_empty() {
        // CometBFT panics on an empty set. The last one goes on, bonded, until somebody can take over.
        store_updates(ctx, &updates);
        return Ok(updates);
    }
    let (mut entering, mut leaving) = (U256::ZERO, U256::ZERO);
    let mut total: i64 = 0;
    for (operator, power) in head {
        let mut v = named(ctx.state.as_scan(), &operator)?;
        if !v.is_bonded() {
            bond(ctx, hooks, &mut v)?;
            entering = sum(entering, v.tokens)?;
        }
        let power = i64::try_from(power).expect("at most an eighth of i64::MAX");
        if last.remove(&operator) != Some(power) {
            updates.push(update(&v, power));
            ctx.state
                .put(keys::last_power(&operator), power.encode_to_vec().into());
        }
        total += power;
    }
    for operator in last.into_keys() {
        let mut v = named(ctx.state.as_scan(), &operator)?;
        begin_unbonding(ctx, hooks, &params, &mut v)?;
        leaving = sum(leaving, v.tokens)?;
        ctx.state.delete(keys::last_power(&operator));
        updates.push(update(&v, 0));
    }
    net(ctx, &params, entering, leaving);
    if !updates.is_empty() {
        put_total(ctx, total);
    }
    store_updates(ctx, &updates);
    Ok(updates)
}

/// Stake is part of the supply, which fits 256 bits.
fn sum(a: U256, b: U256) -> Result<U256, StateError> {
    a.checked_add(b).ok_or_else(|| StateError::Range {
        key: keys::last_total_power(),
    })
}

/// One transfer for all who entered and left.
fn net(ctx: &mut TxContext<'_>, params: &Params, entering: U256, leaving: U256) {
    let denom = &params.bond_denom;
    if let Some(more) = entering.checked_sub(leaving) {
        pool::shift(ctx, Status::Unbonded, Status::Bonded, denom, more);
    } else {
        pool::shift(ctx, Status::Bonded, Status::Unbonded, denom, leaving - entering);
    }
}

pub(crate) fn put_total(ctx: &mut TxContext<'_>, total: i64) {
    let value = IntProto {
        int: total.to_string(),
    }
    .encode_to_vec();
    ctx.state.put(keys::last_total_power(), value.into());
}

fn store_updates(ctx: &mut TxContext<'_>, updates: &[ValidatorUpdate]) {
    let one = |u: &ValidatorUpdate| abci::ValidatorUpdate {
        pub_key: Some(crypto::PublicKey {
            sum: Some(crypto::public_key::Sum::Ed25519(u.pub_key.to_vec())),
        }),
        power: u.power,
    };
    let stored = ValidatorUpdates {
        updates: updates.iter().map(one).collect(),
    };
    ctx.state.put(keys::updates(), stored.encode_to_vec().into());
}

fn bond(ctx: &mut TxContext<'_>, hooks: &dyn StakingHooks, v: &mut Validator) -> Result<()> {
    if v.status == Status::Unbonding {
        mature::unqueue(ctx, v)?;
    }
    v.status = Status::Bonded;
    put_validator(ctx.state, &ctx.block.config, v);
    hooks.after_validator_bonded(ctx, &v.consensus(), &v.operator)
}

fn begin_unbonding(
    ctx: &mut TxContext<'_>,
    hooks: &dyn StakingHooks,
    params: &Params,
    v: &mut Validator,
) -> Result<()> {
    let id = index::next_id(ctx.state)?;
    v.status = Status::Unbonding;
    v.unbonding_time = params.unbonding_time.after(ctx.block.time);
    v.unbonding_height = crate::height(ctx.block);
    v.unbonding_ids.push(id);
    put_validator(ctx.state, &ctx.block.config, v);
    mature::queue(ctx, v)?;
    hooks.after_validator_begin_unbonding(ctx, &v.consensus(), &v.operator)?;
    index::index_id(ctx.state, id, Kind::Validator, &keys::validator(&v.operator));
    Ok(())
}
