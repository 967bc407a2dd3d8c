//! What is derived once a block, from the sum of what its transactions did (chain.md rules 6 and 24).
use crate::{STORE, parse_balance_key};
use state::{Key, Op, StateError, StateRead, Value, WriteSet, decode_amount, resolve};
use std::collections::BTreeSet;
use types::Address;

/// The prefix of the reverse index of `denom`: 0x03 | denom | 0x00.
pub(crate) fn owners_prefix(denom: &str) -> Vec<u8> {
    [&[3], denom.as_bytes(), &[0]].concat()
}

/// Where it is noted that `who` has some of `denom`: 0x03 | denom | 0x00 | len | address. The value is empty.
pub fn owner_key(who: &Address, denom: &str) -> Key {
    Key::new(STORE, &[&owners_prefix(denom), &[20], who.as_slice()])
}

/// Brings the reverse index in line with the balances that `writes`, over `base`, ends up with: present if and only
/// if the balance is positive. Entries that are right already are not written. Run on the block's folded write set.
pub fn fold_reverse_index(base: &dyn StateRead, writes: &mut WriteSet) -> Result<(), StateError> {
    let mut index = Vec::new();
    for (key, op) in &*writes {
        let Some((who, denom)) = parse_balance_key(key) else {
            continue;
        };
        let before = base.get(key)?;
        let after = resolve(key, before.clone(), op)?;
        let had = !decode_amount(key, before.as_ref())?.is_zero();
        let has = !decode_amount(key, after.as_ref())?.is_zero();
        if had != has {
            let op = if has { Op::Put(Value::new()) } else { Op::Delete };
            index.push((owner_key(&who, denom), op));
        }
    }
    writes.extend(index);
    Ok(())
}

/// The addresses that a transaction's (or hook's) write set must leave with an auth record: those credited, and those
/// whose record was written (contracts). Ascending, as [`x_auth::assign_numbers`] wants them.
pub fn touched_accounts(writes: &WriteSet) -> BTreeSet<Address> {
    let mut out = BTreeSet::new();
    for (key, op) in writes {
        let credited = match op {
            Op::Add(delta) => !delta.negative && !delta.amount.is_zero(),
            Op::Put(_) => true,
            Op::Delete => false,
        };
        if !credited {
            continue;
        }
        if let Some((who, _)) = parse_balance_key(key) {
            out.insert(who);
        } else if key.store() == x_auth::STORE && key.bytes().len() == 21 && key.bytes()[0] == 1 {
            out.insert(Address::from_slice(&key.bytes()[1..]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{balance_key, credit, debit};
    use state::{MemoryState, Overlay, StateWrite, normalise};
    use types::{ChainConfig, Coin, U256};

    fn coin(n: u64) -> Coin {
        Coin::new(U256::from(n), "abraid")
    }

    #[test]
    fn the_index_has_who_has_something() {
        let at = Address::repeat_byte;
        let mut base = MemoryState::default();
        for b in [1, 2] {
            base.0.insert(balance_key(&at(b), "abraid"), "5".into());
            base.0.insert(owner_key(&at(b), "abraid"), Value::new());
        }
        let mut s = Overlay::new(&base);
        debit(&mut s, &at(1), &coin(5)).unwrap();
        debit(&mut s, &at(2), &coin(4)).unwrap();
        credit(&mut s, &at(3), &coin(9));
        credit(&mut s, &at(4), &coin(1));
        debit(&mut s, &at(4), &coin(1)).unwrap();
        let mut writes = s.settle().unwrap();
        fold_reverse_index(&base, &mut writes).unwrap();
        let changes = normalise(&base, writes).unwrap();
        let index: Vec<_> = changes.iter().filter(|(k, _)| k.bytes()[0] == 3).collect();
        let (gone, new) = (owner_key(&at(1), "abraid"), owner_key(&at(3), "abraid"));
        assert_eq!(index, [(&gone, &None), (&new, &Some(Value::new()))]);
        assert_eq!(new.bytes(), [&b"\x03abraid\x00\x14"[..], &[3; 20]].concat());
    }

    #[test]
    fn a_credit_or_a_record_makes_an_account() {
        let at = Address::repeat_byte;
        let mut base = MemoryState::default();
        base.0.insert(balance_key(&at(1), "abraid"), "5".into());
        let mut s = Overlay::new(&base);
        debit(&mut s, &at(1), &coin(5)).unwrap();
        credit(&mut s, &at(9), &coin(5));
        credit(&mut s, &at(4), &coin(0));
        x_auth::set_sequence(&mut s, &ChainConfig::braid(), &at(2), 1).unwrap();
        s.put(crate::supply_key("abraid"), "5".into());
        assert_eq!(touched_accounts(s.writes()), [at(2), at(9)].into());
    }
}
