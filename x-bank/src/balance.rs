//! Balances and supply, in the SDK's layout. Every coin on the chain is here and nowhere else: the EVM reads and
//! writes these very keys.
use module::{Error, Result, codes};
use state::{Delta, Key, StateError, StateRead, StateWrite, StoreId, decode_amount, encode_amount};
use types::{Address, Coin, U256};

/// The bank module's store, by the SDK's name.
pub const STORE: StoreId = StoreId::new("bank");

/// Where `who`'s balance of `denom` is kept: 0x02 | len | address | denom.
///
/// The reverse index 0x03 | denom | 0x00 | len | address is derived when the block is folded (chain.md rule 6): no
/// transaction writes it.
pub fn balance_key(who: &Address, denom: &str) -> Key {
    Key::new(STORE, &[&[2, 20], who.as_slice(), denom.as_bytes()])
}

/// Whose balance of what a key is, if it is one.
pub fn parse_balance_key(key: &Key) -> Option<(Address, &str)> {
    let body = key.bytes();
    if key.store() != STORE || body.len() < 22 || body[..2] != [2, 20] {
        return None;
    }
    Some((
        Address::from_slice(&body[2..22]),
        std::str::from_utf8(&body[22..]).ok()?,
    ))
}

/// Where the total of `denom` is kept: 0x00 | denom.
pub fn supply_key(denom: &str) -> Key {
    Key::new(STORE, &[&[0], denom.as_bytes()])
}

fn amount(state: &dyn StateRead, key: &Key) -> Result<U256, StateError> {
    decode_amount(key, state.get(key)?.as_ref())
}

/// What `who` has of `denom`.
pub fn balance(state: &dyn StateRead, who: &Address, denom: &str) -> Result<U256, StateError> {
    amount(state, &balance_key(who, denom))
}

/// How much of `denom` there is.
pub fn supply(state: &dyn StateRead, denom: &str) -> Result<U256, StateError> {
    amount(state, &supply_key(denom))
}

/// Pays `coin` to `to` without reading its balance: payments to one account do not conflict.
pub fn credit(state: &mut dyn StateWrite, to: &Address, coin: &Coin) {
    state.add(balance_key(to, &coin.denom), Delta::plus(coin.amount));
}

/// Takes `coin` from `from`, which must have it.
pub fn debit(state: &mut dyn StateWrite, from: &Address, coin: &Coin) -> Result<()> {
    let key = balance_key(from, &coin.denom);
    let have = amount(state.as_scan(), &key)?;
    let left = have.checked_sub(coin.amount).ok_or_else(|| {
        Error::sdk(
            codes::INSUFFICIENT_FUNDS,
            format!(
                "spendable balance {have}{} is smaller than {coin}: insufficient funds",
                coin.denom
            ),
        )
    })?;
    match encode_amount(left) {
        Some(value) => state.put(key, value),
        None => state.delete(key),
    }
    Ok(())
}

/// Moves `coin`. No events, no checks on who may receive: those are the message's.
pub fn transfer(state: &mut dyn StateWrite, from: &Address, to: &Address, coin: &Coin) -> Result<()> {
    debit(state, from, coin)?;
    credit(state, to, coin);
    Ok(())
}

/// Makes `coin` out of nothing, for `to`.
pub fn mint(state: &mut dyn StateWrite, to: &Address, coin: &Coin) {
    state.add(supply_key(&coin.denom), Delta::plus(coin.amount));
    credit(state, to, coin);
}

/// Destroys `coin` of `from`'s.
pub fn burn(state: &mut dyn StateWrite, from: &Address, coin: &Coin) -> Result<()> {
    debit(state, from, coin)?;
    state.add(supply_key(&coin.denom), Delta::minus(coin.amount));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::{EmptyState, Overlay};

    #[test]
    fn a_transfer_keeps_the_sum() {
        let (a, b) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let coin = |n: u64| Coin::new(U256::from(n), "abraid");
        let mut s = Overlay::new(&EmptyState);
        mint(&mut s, &a, &coin(10));
        transfer(&mut s, &a, &b, &coin(4)).unwrap();
        transfer(&mut s, &b, &b, &coin(4)).unwrap();
        let err = transfer(&mut s, &b, &a, &coin(5)).unwrap_err();
        assert!(matches!(err, Error::Rejected { code: 5, .. }), "{err}");
        assert_eq!(balance(&s, &a, "abraid"), Ok(U256::from(6)));
        assert_eq!(balance(&s, &b, "abraid"), Ok(U256::from(4)));
        burn(&mut s, &b, &coin(4)).unwrap();
        assert_eq!(supply(&s, "abraid"), Ok(U256::from(6)));
        assert_eq!(parse_balance_key(&balance_key(&a, "abraid")), Some((a, "abraid")));
    }
}
