//! Where the EVM keeps what neither auth nor bank has: code, code hashes, storage (cosmos/evm x/vm/types/key.go).
use ::module::KeyName;
use revm::primitives::KECCAK_EMPTY;
use state::{Control, Key, KeyRange, StateError, StateRead, StateScan, StoreId, Value};
use types::{Address, B256, U256};

/// The EVM's store, by cosmos/evm's name.
pub const STORE: StoreId = StoreId::new("evm");

/// Where the code with hash `hash` is kept: 0x01 | hash.
pub fn code_key(hash: &B256) -> Key {
    Key::new(STORE, &[&[1], hash.as_slice()])
}

/// Where slot `slot` of `who` is kept: 0x02 | address | slot, as a 32-byte big-endian word; zero is absence.
///
/// `epoch` counts how often the account's storage was wiped, which only forks before Cancun do; from the first wipe on
/// it follows the slot as eight big-endian bytes, so that a wipe leaves nothing to delete.
pub fn slot_key(who: &Address, slot: &U256, epoch: u64) -> Key {
    let slot = slot.to_be_bytes::<32>();
    if epoch == 0 {
        Key::new(STORE, &[&[2], who.as_slice(), &slot])
    } else {
        Key::new(STORE, &[&[2], who.as_slice(), &slot, &epoch.to_be_bytes()])
    }
}

/// Where the module's parameters are kept: 0x03.
pub fn params_key() -> Key {
    Key::new(STORE, &[&[3]])
}

/// Where the code hash of `who` is kept: 0x04 | address; absent where there is no code.
pub fn code_hash_key(who: &Address) -> Key {
    Key::new(STORE, &[&[4], who.as_slice()])
}

/// Where the number of storage wipes of `who` is kept: 0x05 | address, eight big-endian bytes. Before Cancun only.
pub fn epoch_key(who: &Address) -> Key {
    Key::new(STORE, &[&[5], who.as_slice()])
}

/// Where it is marked that an empty account exists: 0x06 | address. Before Spurious Dragon only: since then an empty
/// account is no account.
pub fn empty_key(who: &Address) -> Key {
    Key::new(STORE, &[&[6], who.as_slice()])
}

/// What a key of the store holds, for people.
pub(crate) fn key_name(key: &Key) -> Option<KeyName> {
    let (kind, body) = key.bytes().split_first()?;
    let who = |body: &[u8]| Some(Address::from_slice(body.get(..20)?));
    Some(match kind {
        1 => KeyName::shared("code", format!("{}", B256::try_from(body).ok()?)),
        2 => {
            let slot = U256::try_from_be_slice(body.get(20..52)?)?;
            KeyName::of("storage", who(body)?, format!("{slot:#x}"))
        }
        3 => KeyName::shared("parameters", ""),
        4 => KeyName::of("code hash", who(body)?, ""),
        5 => KeyName::of("storage wipes", who(body)?, ""),
        6 => KeyName::of("empty account", who(body)?, ""),
        _ => return None,
    })
}

fn corrupt(key: Key, why: impl Into<String>) -> StateError {
    StateError::Corrupt { key, why: why.into() }
}

/// The code hash of `who`; keccak of nothing where there is no code.
pub fn code_hash(state: &dyn StateRead, who: &Address) -> Result<B256, StateError> {
    let key = code_hash_key(who);
    let Some(value) = state.get(&key)? else {
        return Ok(KECCAK_EMPTY);
    };
    B256::try_from(value.as_ref()).map_err(|_| corrupt(key, format!("a hash of {} bytes", value.len())))
}

/// The code with hash `hash`, which some account has.
pub fn code(state: &dyn StateRead, hash: &B256) -> Result<Value, StateError> {
    if *hash == KECCAK_EMPTY || hash.is_zero() {
        return Ok(Value::new());
    }
    let key = code_key(hash);
    state
        .get(&key)?
        .ok_or_else(|| corrupt(key, "an account has this code, and it is not there"))
}

/// How often the storage of `who` was wiped.
pub fn epoch(state: &dyn StateRead, who: &Address) -> Result<u64, StateError> {
    let key = epoch_key(who);
    let Some(value) = state.get(&key)? else {
        return Ok(0);
    };
    let bytes = <[u8; 8]>::try_from(value.as_ref()).map_err(|_| corrupt(key, "want 8 bytes"))?;
    Ok(u64::from_be_bytes(bytes))
}

/// The word in `slot` of `who`, at `epoch`.
pub fn slot(state: &dyn StateRead, who: &Address, slot: &U256, epoch: u64) -> Result<U256, StateError> {
    let key = slot_key(who, slot, epoch);
    let Some(value) = state.get(&key)? else {
        return Ok(U256::ZERO);
    };
    let bytes = <[u8; 32]>::try_from(value.as_ref()).map_err(|_| corrupt(key, "want 32 bytes"))?;
    Ok(U256::from_be_bytes(bytes))
}

/// Whether `who` has a word of storage at `epoch`.
pub(crate) fn has_storage(state: &dyn StateScan, who: &Address, epoch: u64) -> Result<bool, StateError> {
    let tail = if epoch == 0 {
        Vec::new()
    } else {
        epoch.to_be_bytes().to_vec()
    };
    let mut found = false;
    let slots = KeyRange::prefix(STORE, &[&[2], who.as_slice()].concat());
    state.scan(&slots, &mut |key, _| {
        found = key.bytes().get(1 + 20 + 32..) == Some(tail.as_slice());
        if found {
            Control::Break(())
        } else {
            Control::Continue(())
        }
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::MemoryState;

    #[test]
    fn the_layout_is_cosmos_evms() {
        let who = Address::repeat_byte(0xaa);
        assert_eq!(
            format!("{:?}", code_hash_key(&who)),
            format!("evm/04{}", "aa".repeat(20))
        );
        let slot0 = slot_key(&who, &U256::from(1), 0);
        assert_eq!(
            format!("{slot0:?}"),
            format!("evm/02{}{}01", "aa".repeat(20), "00".repeat(31))
        );
        assert_eq!(
            slot_key(&who, &U256::from(1), 2).bytes().len(),
            slot0.bytes().len() + 8
        );
    }

    #[test]
    fn values_of_the_wrong_size_are_corrupt() {
        let who = Address::ZERO;
        for key in [
            code_hash_key(&who),
            epoch_key(&who),
            slot_key(&who, &U256::ZERO, 0),
        ] {
            let state = MemoryState([(key, Value::from_static(b"abc"))].into());
            let failed = code_hash(&state, &who).is_err()
                || epoch(&state, &who).is_err()
                || slot(&state, &who, &U256::ZERO, 0).is_err();
            assert!(failed);
        }
        let hash = B256::repeat_byte(1);
        assert!(code(&MemoryState::default(), &hash).is_err());
        assert_eq!(code(&MemoryState::default(), &KECCAK_EMPTY), Ok(Value::new()));
    }
}
