//! What a transaction or a block changes.
use crate::{Delta, Key, StateError, StateRead, decode_amount, encode_amount};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A stored value in its canonical encoding.
pub type Value = bytes::Bytes;

/// One change to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Replace the value.
    Put(Value),
    /// Remove the value.
    Delete,
    /// Add to the amount.
    Add(Delta),
}

/// The changes a transaction or block makes, in key order: iterating is deterministic.
pub type WriteSet = BTreeMap<Key, Op>;

/// A block's net changes: the final value of each key whose value at block end differs from that at block start.
pub type ChangeSet = BTreeMap<Key, Option<Value>>;

/// A change made when its transaction settles, in block order; kept out of the cells that transactions race for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deferral {
    /// Add to the amount (fees).
    Add(Key, Delta),
    /// Append to the value's bytes: protobuf's way to append to a repeated field (queues).
    Append(Key, Value),
}

impl Deferral {
    /// Where it will land.
    pub fn key(&self) -> &Key {
        match self {
            Self::Add(key, _) | Self::Append(key, _) => key,
        }
    }
}

/// The value under `key` once `op` is applied to `base`.
pub fn resolve(key: &Key, base: Option<Value>, op: &Op) -> Result<Option<Value>, StateError> {
    match op {
        Op::Put(value) => Ok(Some(value.clone())),
        Op::Delete => Ok(None),
        Op::Add(delta) => {
            let amount = delta
                .apply(decode_amount(key, base.as_ref())?)
                .ok_or_else(|| StateError::Range { key: key.clone() })?;
            Ok(encode_amount(amount))
        }
    }
}

/// Folds `op` into `writes`, after what is there.
pub fn merge(writes: &mut WriteSet, key: Key, op: Op) -> Result<(), StateError> {
    match writes.entry(key) {
        Entry::Vacant(slot) => {
            slot.insert(op);
        }
        Entry::Occupied(mut slot) => {
            let range = || StateError::Range {
                key: slot.key().clone(),
            };
            let folded = match (slot.get(), op) {
                (Op::Add(before), Op::Add(delta)) => Op::Add(before.then(delta).ok_or_else(range)?),
                (before @ (Op::Put(_) | Op::Delete), op @ Op::Add(_)) => {
                    let base = if let Op::Put(v) = before {
                        Some(v.clone())
                    } else {
                        None
                    };
                    resolve(slot.key(), base, &op)?.map_or(Op::Delete, Op::Put)
                }
                (_, op) => op,
            };
            slot.insert(folded);
        }
    }
    Ok(())
}

/// Folds deferrals into `writes`, over the values of `base`.
pub fn apply_deferrals(
    base: &dyn StateRead,
    writes: &mut WriteSet,
    deferrals: impl IntoIterator<Item = Deferral>,
) -> Result<(), StateError> {
    for deferral in deferrals {
        match deferral {
            Deferral::Add(key, delta) => merge(writes, key, Op::Add(delta))?,
            Deferral::Append(key, tail) => {
                let before = match writes.get(&key) {
                    None => base.get(&key)?,
                    Some(op) => resolve(&key, base.get(&key)?, op)?,
                };
                let mut value = before.map_or_else(Vec::new, |v| v.to_vec());
                value.extend_from_slice(&tail);
                writes.insert(key, Op::Put(value.into()));
            }
        }
    }
    Ok(())
}

/// A block's write set as net changes: a key counts as written if and only if its final value differs from the one
/// in `base` (re-setting an equal value would make a new IAVL leaf, and so another root).
pub fn normalise(base: &dyn StateRead, writes: WriteSet) -> Result<ChangeSet, StateError> {
    let mut changes = ChangeSet::new();
    for (key, op) in writes {
        let before = base.get(&key)?;
        let after = resolve(&key, before.clone(), &op)?;
        if after != before {
            changes.insert(key, after);
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryState, StoreId};
    use types::U256;

    fn key(b: u8) -> Key {
        Key::new(StoreId::new("t"), &[&[b]])
    }

    #[test]
    fn only_what_differs_counts_as_written() {
        let base = MemoryState([(key(1), Value::from("5")), (key(2), Value::from("5"))].into());
        let zero = Delta::plus(U256::ZERO);
        let mut writes = WriteSet::new();
        merge(&mut writes, key(1), Op::Put(Value::from("5"))).unwrap();
        merge(&mut writes, key(2), Op::Add(Delta::minus(U256::from(5)))).unwrap();
        merge(&mut writes, key(3), Op::Put(Value::from("x"))).unwrap();
        merge(&mut writes, key(3), Op::Delete).unwrap();
        merge(&mut writes, key(4), Op::Delete).unwrap();
        merge(&mut writes, key(5), Op::Add(zero)).unwrap();
        merge(&mut writes, key(6), Op::Put(Value::new())).unwrap();
        let changes = normalise(&base, writes).unwrap();
        assert_eq!(changes, [(key(2), None), (key(6), Some(Value::new()))].into());
    }

    #[test]
    fn adds_fold_over_what_is_there() {
        let mut w = WriteSet::new();
        merge(&mut w, key(1), Op::Delete).unwrap();
        merge(&mut w, key(1), Op::Add(Delta::plus(U256::from(7)))).unwrap();
        assert_eq!(w[&key(1)], Op::Put(Value::from("7")));
        let below = merge(&mut w, key(1), Op::Add(Delta::minus(U256::from(8))));
        assert_eq!(below, Err(StateError::Range { key: key(1) }));
        let append = |s: &'static str| Deferral::Append(key(2), Value::from(s));
        apply_deferrals(&MemoryState::default(), &mut w, [append("ab"), append("c")]).unwrap();
        assert_eq!(w[&key(2)], Op::Put(Value::from("abc")));
    }
}
