//! Turns what revm changed into a write set.
use crate::env::Env;
use crate::keys;
use revm::primitives::KECCAK_EMPTY;
use revm::primitives::hardfork::SpecId;
use revm::state::{Account, EvmState};
use state::{Delta, Overlay, StateError, StateScan, StateWrite, Value, WriteSet, encode_amount};
use std::collections::BTreeMap;
use types::{Address, U256};

/// The changes in `changes`, against `view`. `payee` was never read and is paid by an add. `charged` is the fee taken
/// from the sender where there is a supply to keep: what left the accounts beyond it was burnt, and leaves the supply.
pub(crate) fn of_changes(
    view: &dyn StateScan,
    env: &Env,
    changes: &EvmState,
    payee: Option<Address>,
    charged: Option<U256>,
) -> Result<WriteSet, StateError> {
    // revm's map is in random order: nothing may depend on it.
    let sorted: BTreeMap<&Address, &Account> = changes.iter().collect();
    let mut out = Overlay::new(view);
    // Beyond 256 bits only where there is no supply to keep.
    let (mut before, mut after) = (Some(U256::ZERO), Some(U256::ZERO));
    for (who, account) in sorted {
        let original = account.original_info();
        let gone = account.is_selfdestructed();
        let balance = if gone { U256::ZERO } else { account.info.balance };
        before = before.and_then(|sum| sum.checked_add(original.balance));
        after = after.and_then(|sum| sum.checked_add(balance));
        if balance != original.balance {
            let key = x_bank::balance_key(who, &env.config.base_denom);
            if payee == Some(*who) {
                out.add(key, Delta::plus(balance));
            } else {
                put_or_delete(&mut out, key, encode_amount(balance));
            }
        }
        let nonce = if gone { 0 } else { account.info.nonce };
        if nonce != original.nonce {
            x_auth::set_sequence(&mut out, &env.config, who, nonce)?;
        }
        code(&mut out, who, account, original.code_hash, gone);
        storage(&mut out, view, env, who, account, gone)?;
        if !env.spec().is_enabled_in(SpecId::SPURIOUS_DRAGON) {
            mark_empty(&mut out, who, account, gone, account.info != original);
        }
    }
    if let Some(charged) = charged {
        let key = x_bank::supply_key(&env.config.base_denom);
        let left = before
            .zip(after)
            .and_then(|(before, after)| before.checked_sub(after));
        // Wei out of nothing would be a bug of the machine: stop rather than mint.
        let burnt = left
            .and_then(|left| left.checked_sub(charged))
            .ok_or_else(|| StateError::Range { key: key.clone() })?;
        if !burnt.is_zero() {
            out.add(key, Delta::minus(burnt));
        }
    }
    Ok(out.finish()?.writes)
}

fn put_or_delete(out: &mut Overlay<'_>, key: state::Key, value: Option<Value>) {
    match value {
        Some(value) => out.put(key, value),
        None => out.delete(key),
    }
}

/// Code is kept by hash and never removed: other accounts may share it.
fn code(out: &mut Overlay<'_>, who: &Address, account: &Account, before: types::B256, gone: bool) {
    let hash = if gone {
        KECCAK_EMPTY
    } else {
        account.info.code_hash
    };
    if hash == before {
        return;
    }
    if hash == KECCAK_EMPTY {
        return out.delete(keys::code_hash_key(who));
    }
    out.put(keys::code_hash_key(who), Value::copy_from_slice(hash.as_slice()));
    if let Some(code) = &account.info.code {
        out.put(keys::code_key(&hash), code.original_bytes().0);
    }
}

fn storage(
    out: &mut Overlay<'_>,
    view: &dyn StateScan,
    env: &Env,
    who: &Address,
    account: &Account,
    gone: bool,
) -> Result<(), StateError> {
    let wipes = !env.spec().is_enabled_in(SpecId::CANCUN);
    if gone {
        // From Cancun on only what was created in the same transaction goes: its storage was never written.
        if wipes {
            let next = keys::epoch(view, who)?.saturating_add(1);
            out.put(keys::epoch_key(who), Value::copy_from_slice(&next.to_be_bytes()));
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
        let bytes = (!value.is_zero()).then(|| Value::copy_from_slice(&value.to_be_bytes::<32>()));
        put_or_delete(out, keys::slot_key(who, slot, epoch), bytes);
    }
    Ok(())
}

/// Before Spurious Dragon an empty account can exist, once touched, and calls to it are cheaper.
fn mark_empty(out: &mut Overlay<'_>, who: &Address, account: &Account, gone: bool, changed: bool) {
    let key = keys::empty_key(who);
    if gone || !account.info.is_empty() {
        out.delete(key);
    } else if account.is_touched() || changed {
        out.put(key, Value::from_static(&[1]));
    }
}
