//! Work that messages leave for the end of the block, so that they do not conflict: the power index, which would
//! change its key with every delegation, and unbonding ids, which would be one counter for all.
//!
//! Messages append to two queues of ours through deferrals. [`settle`] reads them in block order, does what the SDK
//! does inside each message, and deletes them, so they never reach the tree and all that is left is the SDK's.
use crate::records::{Record, Redelegation, Unbonding, get};
use crate::{keys, validator, validator::Validator};
use module::TxContext;
use state::{Deferral, StateError, StateWrite, Value};
use std::collections::BTreeMap;
use types::{Address, ChainConfig};

/// operator | indexed (0, 1) | power before, 8 bytes big-endian.
const TOUCHED_LEN: usize = 29;
/// kind (1 unbonding, 2 redelegation) | a new entry (0, 1) | delegator | operator | target.
const FRESH_LEN: usize = 62;

/// What an unbonding id stands for (SDK `UnbondingType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Unbonding = 1,
    Redelegation = 2,
    Validator = 3,
}

/// Notes that `operator`'s stake or jail state changes from `before`, in a message.
pub(crate) fn touch(
    state: &mut dyn StateWrite,
    config: &ChainConfig,
    operator: &Address,
    before: Option<&Validator>,
) {
    let indexed = before.filter(|v| !v.jailed).map(|v| v.potential_power(config));
    let mut entry = Vec::with_capacity(TOUCHED_LEN);
    entry.extend_from_slice(operator.as_slice());
    entry.push(u8::from(indexed.is_some()));
    entry.extend_from_slice(&indexed.unwrap_or(0).to_be_bytes());
    state.defer(Deferral::Append(keys::touched(), entry.into()));
}

/// Asks for an id for an unbonding begun in a message. An entry that was merged into an older one uses up an id too,
/// as in the SDK.
pub(crate) fn ask_id(state: &mut dyn StateWrite, kind: Kind, new: bool, parties: [&Address; 3]) {
    let mut entry = Vec::with_capacity(FRESH_LEN);
    entry.extend([kind as u8, u8::from(new)]);
    parties.iter().for_each(|p| entry.extend_from_slice(p.as_slice()));
    state.defer(Deferral::Append(keys::fresh(), entry.into()));
}

/// Does what this block's messages left to do.
pub(crate) fn settle(ctx: &mut TxContext<'_>) -> Result<(), StateError> {
    give_ids(ctx)?;
    reindex(ctx)
}

fn take(state: &mut dyn StateWrite, key: state::Key) -> Result<Value, StateError> {
    let Some(value) = state.get(&key)? else {
        return Ok(Value::new());
    };
    state.delete(key);
    Ok(value)
}

fn reindex(ctx: &mut TxContext<'_>) -> Result<(), StateError> {
    let queue = take(ctx.state, keys::touched())?;
    // A validator's first entry tells what the index held before this block's messages.
    let mut first = BTreeMap::new();
    for entry in queue.chunks_exact(TOUCHED_LEN) {
        let power = u64::from_be_bytes(entry[21..].try_into().expect("8 bytes of 29"));
        first
            .entry(Address::from_slice(&entry[..20]))
            .or_insert((entry[20] == 1).then_some(power));
    }
    for (operator, power) in first {
        if let Some(power) = power {
            ctx.state.delete(keys::by_power(power, &operator));
        }
        if let Some(v) = validator(ctx.state.as_scan(), &operator)? {
            set(ctx.state, &ctx.block.config, &v);
        }
    }
    Ok(())
}

/// Puts a validator's entry into the power index, unless it is jailed.
pub(crate) fn set(state: &mut dyn StateWrite, config: &ChainConfig, v: &Validator) {
    if !v.jailed {
        let operator = Value::copy_from_slice(v.operator.as_slice());
        state.put(keys::by_power(v.potential_power(config), &v.operator), operator);
    }
}

/// The next unbonding id.
pub(crate) fn next_id(state: &mut dyn StateWrite) -> Result<u64, StateError> {
    let key = keys::unbonding_id();
    let last = match state.get(&key)? {
        None => 0,
        Some(v) => u64::from_be_bytes(v.as_ref().try_into().map_err(|_| StateError::Corrupt {
            key: key.clone(),
            why: "unbonding id is not 8 bytes".into(),
        })?),
    };
    let id = last + 1;
    state.put(key, Value::copy_from_slice(&id.to_be_bytes()));
    Ok(id)
}

/// Notes which record an id belongs to.
pub(crate) fn index_id(state: &mut dyn StateWrite, id: u64, kind: Kind, record: &state::Key) {
    state.put(keys::unbonding_index(id), Value::copy_from_slice(record.bytes()));
    state.put(
        keys::unbonding_type(id),
        Value::copy_from_slice(&(kind as u64).to_be_bytes()),
    );
}

fn give_ids(ctx: &mut TxContext<'_>) -> Result<(), StateError> {
    let height = crate::height(ctx.block);
    let queue = take(ctx.state, keys::fresh())?;
    for entry in queue.chunks_exact(FRESH_LEN) {
        let [delegator, operator, target] =
            std::array::from_fn(|i| Address::from_slice(&entry[2 + 20 * i..22 + 20 * i]));
        let id = next_id(ctx.state)?;
        if entry[1] == 0 {
            continue;
        }
        if entry[0] == Kind::Redelegation as u8 {
            let key = keys::redelegation(&delegator, &operator, &target);
            with(ctx, &key, |red: &mut Redelegation| {
                red.entries.iter_mut().find(|e| e.id == 0).map(|e| e.id = id)
            })?;
            index_id(ctx.state, id, Kind::Redelegation, &key);
        } else {
            let key = keys::unbonding(&delegator, &operator);
            // An entry that was cancelled and begun again in one block takes the later id.
            with(ctx, &key, |ubd: &mut Unbonding| {
                let mine = |e: &&mut crate::UnbondingEntry| e.id == 0 || e.height == height;
                ubd.entries.iter_mut().rev().find(mine).map(|e| e.id = id)
            })?;
            index_id(ctx.state, id, Kind::Unbonding, &key);
        }
    }
    Ok(())
}

/// Changes a record in place, where it is still there and `change` finds something to do.
fn with<T: Record + Store>(
    ctx: &mut TxContext<'_>,
    key: &state::Key,
    change: impl FnOnce(&mut T) -> Option<()>,
) -> Result<(), StateError> {
    if let Some(mut record) = get::<T>(ctx.state.as_scan(), key)?
        && change(&mut record).is_some()
    {
        record.store(ctx.state, &ctx.block.config);
    }
    Ok(())
}

trait Store {
    fn store(&self, state: &mut dyn StateWrite, config: &ChainConfig);
}
impl Store for Unbonding {
    fn store(&self, state: &mut dyn StateWrite, config: &ChainConfig) {
        self.put(state, config);
    }
}
impl Store for Redelegation {
    fn store(&self, state: &mut dyn StateWrite, config: &ChainConfig) {
        self.put(state, config);
    }
}
