//! Which of the chain's keys the executor's typed places are: sequence (auth), balance (bank), code hash and slots.
use crate::env::Env;
use crate::keys;
use executor::{Layout, Place};
use revm::primitives::KECCAK_EMPTY;
use state::{
    Control, Key, KeyRange, Op, Overlay, StateError, StateRead, StateScan, Value, decode_amount,
    encode_amount,
};
use types::{Address, B256, U256};

/// A state with one value in it.
struct One<'a>(Option<&'a Value>);

impl StateRead for One<'_> {
    fn get(&self, _: &Key) -> Result<Option<Value>, StateError> {
        Ok(self.0.cloned())
    }
}
impl StateScan for One<'_> {
    fn scan(&self, _: &KeyRange, _: &mut dyn FnMut(&Key, &Value) -> Control) -> Result<(), StateError> {
        Ok(())
    }
}

impl Layout for Env {
    fn place(&self, key: &Key) -> Option<Place> {
        let (store, bytes) = (key.store(), key.bytes());
        if store == keys::STORE {
            return match bytes {
                [2, rest @ ..] if rest.len() == 20 + 32 => Some(Place::Slot(
                    Address::from_slice(&rest[..20]),
                    U256::from_be_slice(&rest[20..]),
                )),
                [4, rest @ ..] if rest.len() == 20 => Some(Place::Code(Address::from_slice(rest))),
                _ => None,
            };
        }
        if store == x_auth::STORE {
            return match bytes {
                [1, rest @ ..] if rest.len() == 20 => Some(Place::Nonce(Address::from_slice(rest))),
                _ => None,
            };
        }
        let (who, denom) = x_bank::parse_balance_key(key)?;
        (denom == self.config.base_denom).then_some(Place::Balance(who))
    }
    fn key(&self, place: &Place) -> Key {
        match place {
            Place::Nonce(who) => x_auth::account_key(who),
            Place::Balance(who) => x_bank::balance_key(who, &self.config.base_denom),
            Place::Code(who) => keys::code_hash_key(who),
            Place::Slot(who, slot) => keys::slot_key(who, slot, 0),
        }
    }
    fn decode(&self, place: &Place, value: Option<&Value>) -> Result<U256, StateError> {
        let state = One(value);
        match place {
            Place::Nonce(who) => x_auth::sequence(&state, who).map(U256::from),
            Place::Balance(_) if value.is_none() => Ok(U256::ZERO),
            Place::Balance(_) => decode_amount(&self.key(place), value),
            Place::Code(who) => {
                let hash = keys::code_hash(&state, who)?;
                let none = hash == KECCAK_EMPTY;
                Ok(if none { B256::ZERO } else { hash }.into())
            }
            Place::Slot(who, slot) => keys::slot(&state, who, slot, 0),
        }
    }
    fn encode(&self, place: &Place, word: U256, under: Option<&Value>) -> Result<Option<Value>, StateError> {
        match place {
            Place::Nonce(who) => {
                let range = |_| StateError::Range { key: self.key(place) };
                let nonce = u64::try_from(word).map_err(range)?;
                let record = One(under);
                let mut out = Overlay::new(&record);
                x_auth::set_sequence(&mut out, &self.config, who, nonce)?;
                let written = out.finish()?.writes.into_values().next();
                Ok(match written {
                    Some(Op::Put(value)) => Some(value),
                    _ => None,
                })
            }
            Place::Balance(_) => Ok(encode_amount(word)),
            Place::Code(_) | Place::Slot(..) => {
                Ok((!word.is_zero()).then(|| Value::copy_from_slice(&word.to_be_bytes::<32>())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use module::BlockContext;
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use types::{ChainConfig, Timestamp};

    #[test]
    fn every_place_is_a_key_and_back_with_its_value() {
        let block = BlockContext::plain(Arc::new(ChainConfig::braid()), "c", 1, Timestamp::default());
        let env = Env::chain(&block, Arc::new(BTreeSet::new()));
        let who = Address::repeat_byte(7);
        for place in [
            Place::Nonce(who),
            Place::Balance(who),
            Place::Code(who),
            Place::Slot(who, U256::from(9)),
        ] {
            let key = env.key(&place);
            assert_eq!(env.place(&key), Some(place), "{key:?}");
            assert_eq!(env.decode(&place, None), Ok(U256::ZERO));
            let value = env.encode(&place, U256::from(77), None).unwrap();
            assert_eq!(
                env.decode(&place, value.as_ref()),
                Ok(U256::from(77)),
                "{place:?}"
            );
            if !matches!(place, Place::Nonce(_)) {
                assert_eq!(env.encode(&place, U256::ZERO, None), Ok(None));
            }
        }
        let other = x_bank::balance_key(&who, "other");
        for key in [other, keys::slot_key(&who, &U256::ZERO, 3), keys::epoch_key(&who)] {
            assert_eq!(env.place(&key), None, "{key:?}");
        }
    }
}
