//! Turns what revm changed into a write set.
use crate::env::Env;
use crate::keys;
use executor::{Change, Layout as _, Place, To};
use revm::primitives::KECCAK_EMPTY;
use revm::primitives::hardfork::SpecId;
use revm::state::{Account, AccountInfo, EvmState};
use state::{Delta, Key, Op, StateError, StateRead, Value, WriteSet};
use types::{Address, U256};

/// What a run changed: typed places, and keys.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) changes: Vec<Change>,
    pub(crate) writes: WriteSet,
}

impl Written {
    fn set(&mut self, place: Place, id: u32, word: U256) {
        let to = To::Set(word);
        self.changes.push(Change { place, id, to });
    }
    fn put(&mut self, key: Key, value: Option<Value>) {
        self.writes.insert(key, value.map_or(Op::Delete, Op::Put));
    }
}

/// Changes of typed places and other writes as a write set alone. `state` is what they were made over.
pub fn write_set(
    state: &dyn StateRead,
    env: &Env,
    changes: Vec<Change>,
    writes: WriteSet,
) -> Result<WriteSet, StateError> {
    as_writes(state, env, Written { changes, writes })
}

/// The same as a write set alone. `state` is what the run saw.
pub(crate) fn as_writes(state: &dyn StateRead, env: &Env, written: Written) -> Result<WriteSet, StateError> {
    let Written { changes, mut writes } = written;
    for Change { place, to, .. } in changes {
        let key = env.key(&place);
        let op = match to {
            To::Add(delta) => Op::Add(delta),
            To::Set(word) => env.stored(state, &key, &place, word)?.map_or(Op::Delete, Op::Put),
        };
        writes.insert(key, op);
    }
    Ok(writes)
}

/// The changes in `changes`, against `view`. `payee` was never read and is paid by an add. `charged` is the fee taken
/// from the sender where there is a supply to keep: what left the accounts beyond it was burnt, and leaves the supply.
/// Their order is not determined: revm's map has none.
pub(crate) fn of_changes(
    view: &dyn StateRead,
    env: &Env,
    changes: &EvmState,
    payee: Option<Address>,
    charged: Option<U256>,
) -> Result<Written, StateError> {
    let mut out = Written::default();
    // Beyond 256 bits only where there is no supply to keep.
    let (mut before, mut after) = (Some(U256::ZERO), Some(U256::ZERO));
    for (who, account) in changes {
        let id = account
            .info
            .account_id
            .and_then(|id| u32::try_from(id.get()).ok())
            .unwrap_or(u32::MAX);
        let original = account.original_info();
        let gone = account.is_selfdestructed();
        let balance = if gone { U256::ZERO } else { account.info.balance };
        before = before.and_then(|sum| sum.checked_add(original.balance));
        after = after.and_then(|sum| sum.checked_add(balance));
        if balance != original.balance {
            let place = Place::Balance(*who);
            if payee == Some(*who) {
                let to = To::Add(Delta::plus(balance));
                out.changes.push(Change { place, id, to });
            } else {
                out.set(place, id, balance);
            }
        }
        let nonce = if gone { 0 } else { account.info.nonce };
        if nonce != original.nonce {
            out.set(Place::Nonce(*who), id, U256::from(nonce));
        }
        code(&mut out, (who, id), account, original.code_hash, gone);
        storage(&mut out, view, env, (who, id), account, gone)?;
        if !env.spec().is_enabled_in(SpecId::SPURIOUS_DRAGON) {
            mark_empty(&mut out, who, account, gone, &original);
        }
    }
    if let Some(charged) = charged {
        let left = before
            .zip(after)
            .and_then(|(before, after)| before.checked_sub(after));
        // Wei out of nothing would be a bug of the machine: stop rather than mint.
        let burnt = left.and_then(|left| left.checked_sub(charged));
        let key = || x_bank::supply_key(&env.config.base_denom);
        let burnt = burnt.ok_or_else(|| StateError::Range { key: key() })?;
        if !burnt.is_zero() {
            out.writes.insert(key(), Op::Add(Delta::minus(burnt)));
        }
    }
    Ok(out)
}

/// Code is kept by hash and never removed: other accounts may share it.
fn code(out: &mut Written, (who, id): (&Address, u32), account: &Account, before: types::B256, gone: bool) {
    let hash = if gone {
        KECCAK_EMPTY
    } else {
        account.info.code_hash
    };
    if hash == before {
        return;
    }
    if hash == KECCAK_EMPTY {
        return out.set(Place::Code(*who), id, U256::ZERO);
    }
    out.set(Place::Code(*who), id, hash.into());
    if let Some(code) = &account.info.code {
        out.put(keys::code_key(&hash), Some(code.original_bytes().0));
    }
}

fn storage(
    out: &mut Written,
    view: &dyn StateRead,
    env: &Env,
    (who, id): (&Address, u32),
    account: &Account,
    gone: bool,
) -> Result<(), StateError> {
    let wipes = !env.spec().is_enabled_in(SpecId::CANCUN);
    if gone {
        // From Cancun on only what was created in the same transaction goes: its storage was never written.
        if wipes {
            let next = keys::epoch(view, who)?.saturating_add(1);
            let next = Value::copy_from_slice(&next.to_be_bytes());
            out.put(keys::epoch_key(who), Some(next));
        }
        return Ok(());
    }
    let mut changed = account.changed_storage_slots().peekable();
    if changed.peek().is_none() {
        return Ok(());
    }
    let epoch = if wipes { keys::epoch(view, who)? } else { 0 };
    for (slot, word) in changed {
        let value = word.present_value();
        if epoch == 0 {
            out.set(Place::Slot(*who, *slot), id, value);
        } else {
            let bytes = (!value.is_zero()).then(|| Value::copy_from_slice(&value.to_be_bytes::<32>()));
            out.put(keys::slot_key(who, slot, epoch), bytes);
        }
    }
    Ok(())
}

/// Before Spurious Dragon an empty account can exist, once touched, and calls to it are cheaper.
fn mark_empty(out: &mut Written, who: &Address, account: &Account, gone: bool, original: &AccountInfo) {
    if gone || !account.info.is_empty() {
        // Only one that was empty is marked.
        if original.is_empty() {
            out.put(keys::empty_key(who), None);
        }
    } else if account.is_touched() || account.info != *original {
        out.put(keys::empty_key(who), Some(Value::from_static(&[1])));
    }
}
