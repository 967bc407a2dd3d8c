//! State as if: geth's state overrides for calls, written into a buffer over real state.
use crate::keys;
use state::{Control, KeyRange, Overlay, StateError, StateScan, StateWrite, Value, encode_amount};
use std::collections::BTreeMap;
use types::{Address, Bytes, ChainConfig, U256, keccak256};

/// How one account shall look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// Its balance.
    pub balance: Option<U256>,
    /// Its nonce.
    pub nonce: Option<u64>,
    /// Its code.
    pub code: Option<Bytes>,
    /// All of its storage.
    pub state: Option<BTreeMap<U256, U256>>,
    /// Some of its storage.
    pub state_diff: BTreeMap<U256, U256>,
}

/// Writes `overrides` into `out`, for calls over it. What they cost in supply is nobody's: never commit it.
pub fn apply_overrides(
    out: &mut Overlay<'_>,
    config: &ChainConfig,
    overrides: &BTreeMap<Address, Override>,
) -> Result<(), StateError> {
    for (who, wanted) in overrides {
        if let Some(balance) = wanted.balance {
            let key = x_bank::balance_key(who, &config.base_denom);
            match encode_amount(balance) {
                Some(value) => out.put(key, value),
                None => out.delete(key),
            }
        }
        if let Some(nonce) = wanted.nonce {
            x_auth::set_sequence(out, config, who, nonce)?;
        }
        if let Some(code) = &wanted.code {
            if code.is_empty() {
                out.delete(keys::code_hash_key(who));
            } else {
                let hash = keccak256(code);
                out.put(keys::code_key(&hash), code.clone());
                out.put(keys::code_hash_key(who), Value::copy_from_slice(hash.as_slice()));
            }
        }
        if let Some(all) = &wanted.state {
            let mut old = Vec::new();
            let slots = KeyRange::prefix(keys::STORE, &[&[2], who.as_slice()].concat());
            out.scan(&slots, &mut |key, _| {
                old.push(key.clone());
                Control::Continue(())
            })?;
            old.into_iter().for_each(|key| out.delete(key));
            put_slots(out, who, all);
        }
        put_slots(out, who, &wanted.state_diff);
    }
    Ok(())
}

fn put_slots(out: &mut Overlay<'_>, who: &Address, slots: &BTreeMap<U256, U256>) {
    for (slot, word) in slots {
        let key = keys::slot_key(who, slot, 0);
        if word.is_zero() {
            out.delete(key);
        } else {
            out.put(key, Value::copy_from_slice(&word.to_be_bytes::<32>()));
        }
    }
}
