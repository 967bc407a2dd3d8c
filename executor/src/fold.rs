//! Settled changes, folded one transaction after another: what `Serial` runs over, and where deferred keys live.
use crate::typed::{Layout, Place, To, required};
use crate::{DeferredKeys, ExecError, Outcome};
use state::{
    Deferral, Delta, Key, KeyRange, Op, StateError, StateRead, TxIndex, Value, decode_amount, encode_amount,
};
use std::collections::BTreeMap;

/// A key's value after some changes.
#[derive(Clone, Debug)]
pub(crate) enum Folded {
    /// Bytes or absence.
    Value(Option<Value>),
    /// An amount (never negative), not encoded until someone looks: a hot balance is added to more often than read.
    Amount(Delta),
    /// Bytes still being appended to.
    Grown(Vec<u8>),
}

impl Folded {
    /// The value as stored.
    pub(crate) fn value(&self) -> Option<Value> {
        match self {
            Self::Value(value) => value.clone(),
            Self::Amount(amount) => encode_amount(amount.amount),
            Self::Grown(bytes) => Some(Value::copy_from_slice(bytes)),
        }
    }
    /// The change that sets it.
    pub(crate) fn into_op(self) -> Op {
        let value = match self {
            Self::Grown(bytes) => Some(bytes.into()),
            other => other.value(),
        };
        value.map_or(Op::Delete, Op::Put)
    }
    /// This, then `op`. An amount may not leave its range even for a moment: each transaction answers for itself.
    pub(crate) fn then(&self, key: &Key, op: &Op) -> Result<Self, StateError> {
        let delta = match op {
            Op::Put(value) => return Ok(Self::Value(Some(value.clone()))),
            Op::Delete => return Ok(Self::Value(None)),
            Op::Add(delta) => delta,
        };
        let before = match self {
            Self::Amount(amount) => amount.amount,
            other => decode_amount(key, other.value().as_ref())?,
        };
        let after = delta
            .apply(before)
            .ok_or_else(|| StateError::Range { key: key.clone() })?;
        Ok(Self::Amount(Delta::plus(after)))
    }
}

/// Changes since block start.
#[derive(Debug, Default)]
pub(crate) struct Fold(BTreeMap<Key, Folded>);

impl Fold {
    /// The value under `key`, where it was changed.
    pub(crate) fn get(&self, key: &Key) -> Option<&Folded> {
        self.0.get(key)
    }
    /// The changed keys of `range`, ascending.
    pub(crate) fn range(&self, range: &KeyRange) -> impl DoubleEndedIterator<Item = (&Key, &Folded)> {
        self.0.range(range.bounds())
    }
    /// Makes one change.
    pub(crate) fn write(&mut self, base: &dyn StateRead, key: &Key, op: &Op) -> Result<(), StateError> {
        if let Some(folded) = self.0.get_mut(key) {
            *folded = folded.then(key, op)?;
        } else {
            let before = Folded::Value(if matches!(op, Op::Add(_)) {
                base.get(key)?
            } else {
                None
            });
            self.0.insert(key.clone(), before.then(key, op)?);
        }
        Ok(())
    }
    /// Sets what stands under `key`.
    pub(crate) fn set(&mut self, key: Key, value: Option<Value>) {
        self.0.insert(key, Folded::Value(value));
    }
    /// The change of a typed place as one of its key. `now` is the state in front of it.
    pub(crate) fn as_op(
        now: &dyn StateRead,
        layout: Option<&dyn Layout>,
        place: &Place,
        to: &To,
    ) -> Result<(Key, Op), StateError> {
        let layout = required(layout)?;
        let key = layout.key(place);
        let op = match to {
            To::Add(delta) => Op::Add(*delta),
            To::Set(word) => layout
                .stored(now, &key, place, *word)?
                .map_or(Op::Delete, Op::Put),
        };
        Ok((key, op))
    }
    /// Makes one change of a typed place.
    pub(crate) fn change(
        &mut self,
        base: &dyn StateRead,
        layout: Option<&dyn Layout>,
        place: &Place,
        to: &To,
    ) -> Result<(), StateError> {
        // A balance is an amount, which is written out once someone looks.
        if let (Place::Balance(_), To::Set(word), Some(layout)) = (place, to, layout) {
            self.0
                .insert(layout.key(place), Folded::Amount(Delta::plus(*word)));
            return Ok(());
        }
        let (key, op) = Self::as_op(&Over(self, base), layout, place, to)?;
        self.write(base, &key, &op)
    }
    /// Makes one deferred change of transaction `index`.
    pub(crate) fn defer(
        &mut self,
        base: &dyn StateRead,
        keys: &DeferredKeys,
        index: TxIndex,
        deferral: &Deferral,
    ) -> Result<(), ExecError> {
        if !keys.contains(deferral.key()) {
            return Err(ExecError::NotDeferred {
                index,
                key: deferral.key().clone(),
            });
        }
        match deferral {
            Deferral::Add(key, delta) => self.write(base, key, &Op::Add(*delta))?,
            Deferral::Append(key, tail) => {
                if let Some(Folded::Grown(bytes)) = self.0.get_mut(key) {
                    bytes.extend_from_slice(tail);
                    return Ok(());
                }
                let before = match self.0.get(key) {
                    Some(folded) => folded.value(),
                    None => base.get(key)?,
                };
                let mut bytes = before.map_or_else(Vec::new, |v| v.to_vec());
                bytes.extend_from_slice(tail);
                self.0.insert(key.clone(), Folded::Grown(bytes));
            }
        }
        Ok(())
    }
    /// Makes all changes of transaction `index`: its own first, in key order, then those it deferred.
    pub(crate) fn absorb<T>(
        &mut self,
        base: &dyn StateRead,
        layout: Option<&dyn Layout>,
        keys: &DeferredKeys,
        index: TxIndex,
        outcome: &Outcome<T>,
    ) -> Result<(), ExecError> {
        let mut all = Vec::with_capacity(outcome.changes.len() + outcome.writes.len());
        for change in &outcome.changes {
            all.push(Self::as_op(&Over(self, base), layout, &change.place, &change.to)?);
        }
        all.extend(outcome.writes.iter().map(|(key, op)| (key.clone(), op.clone())));
        all.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, op) in &all {
            self.write(base, key, op)?;
        }
        outcome
            .deferred
            .iter()
            .try_for_each(|d| self.defer(base, keys, index, d))
    }
    /// The changes as a write set, each resolved to a value or a deletion.
    pub(crate) fn into_writes(self) -> impl Iterator<Item = (Key, Op)> {
        self.0.into_iter().map(|(key, folded)| (key, folded.into_op()))
    }
}

/// Changes over state.
struct Over<'a>(&'a Fold, &'a dyn StateRead);

impl StateRead for Over<'_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        let changed = self.0.get(key).map(Folded::value);
        changed.map_or_else(|| self.1.get(key), Ok)
    }
}
