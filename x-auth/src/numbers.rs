//! Account numbers: small, sequential, given out in an order that every node agrees on (chain.md rules 5 and 24).
use crate::{Account, STORE, account, put_account};
use module::Result;
use state::{Key, StateError, StateRead, StateWrite, Value};
use types::{Address, ChainConfig};

/// Where the next account number is kept: 0x02 (SDK `GlobalAccountNumberKey`), BE64.
pub fn next_number_key() -> Key {
    Key::new(STORE, &[&[2]])
}

/// Where the owner of a number is kept: "accountNumber" | BE64 number (the SDK's unique index), the address.
pub fn number_key(number: u64) -> Key {
    Key::new(STORE, &[b"accountNumber", &number.to_be_bytes()])
}

/// The number that the next account gets.
pub fn next_number(state: &dyn StateRead) -> Result<u64, StateError> {
    let key = next_number_key();
    let Some(value) = state.get(&key)? else {
        return Ok(0);
    };
    let bytes = <[u8; 8]>::try_from(&value[..]).map_err(|_| StateError::Corrupt {
        key,
        why: format!("{} bytes, want 8", value.len()),
    })?;
    Ok(u64::from_be_bytes(bytes))
}

/// Whose account has `number`.
pub fn owner_of(state: &dyn StateRead, number: u64) -> Result<Option<Address>, StateError> {
    let key = number_key(number);
    let Some(value) = state.get(&key)? else {
        return Ok(None);
    };
    match Address::try_from(&value[..]) {
        Ok(address) => Ok(Some(address)),
        Err(_) => Err(StateError::Corrupt {
            key,
            why: format!("{} bytes, want 20", value.len()),
        }),
    }
}

/// Whether an account has got its number. Zero is a number like any other once it is indexed.
pub fn is_numbered(state: &dyn StateRead, account: &Account) -> Result<bool, StateError> {
    Ok(account.number != 0 || owner_of(state, 0)? == Some(account.address))
}

/// Gives each of `addresses` that has none yet a record and the next number, in the order given; repeats are
/// harmless. Run when the block is folded: begin block's addresses, then each transaction's, then end block's,
/// ascending within each.
pub fn assign_numbers(
    state: &mut dyn StateWrite,
    config: &ChainConfig,
    addresses: impl IntoIterator<Item = Address>,
) -> Result<(), StateError> {
    let first = next_number(state.as_scan())?;
    let mut next = first;
    for address in addresses {
        let mut account = account(state.as_scan(), &address)?.unwrap_or_else(|| Account::new(address));
        if is_numbered(state.as_scan(), &account)? {
            continue;
        }
        account.number = next;
        put_numbered(state, config, &account);
        next += 1;
    }
    if next != first {
        put_next_number(state, next);
    }
    Ok(())
}

/// Stores an account under its number.
pub(crate) fn put_numbered(state: &mut dyn StateWrite, config: &ChainConfig, account: &Account) {
    put_account(state, config, account);
    state.put(
        number_key(account.number),
        Value::copy_from_slice(account.address.as_slice()),
    );
}

pub(crate) fn put_next_number(state: &mut dyn StateWrite, next: u64) {
    state.put(next_number_key(), Value::copy_from_slice(&next.to_be_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set_sequence;
    use state::{EmptyState, Overlay};

    #[test]
    fn numbers_follow_the_order_given_and_stay() {
        let config = ChainConfig::braid();
        let at = Address::repeat_byte;
        let mut s = Overlay::new(&EmptyState);
        assign_numbers(&mut s, &config, [at(3), at(1), at(3)]).unwrap();
        // A contract made inside the block: a sequence, no number yet.
        set_sequence(&mut s, &config, &at(2), 1).unwrap();
        let made = account(&s, &at(2)).unwrap().unwrap();
        assert!(!is_numbered(&s, &made).unwrap());
        assign_numbers(&mut s, &config, [at(1), at(2), at(3)]).unwrap();
        let number = |b| account(&s, &at(b)).unwrap().unwrap().number;
        assert_eq!([number(3), number(1), number(2)], [0, 1, 2]);
        assert_eq!(account(&s, &at(2)).unwrap().unwrap().sequence, 1);
        assert_eq!(next_number(&s), Ok(3));
        assert_eq!(owner_of(&s, 0), Ok(Some(at(3))));
        assert_eq!(owner_of(&s, 2), Ok(Some(at(2))));
        let before = s.writes().clone();
        assign_numbers(&mut s, &config, [at(3), at(2), at(1)]).unwrap();
        assert_eq!(s.writes(), &before);
    }
}
