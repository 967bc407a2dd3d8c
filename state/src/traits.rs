//! What code above the store sees of state.
use crate::write_set::Deferral;
use crate::{Delta, Key, KeyRange, Value};
use std::collections::BTreeMap;

/// A transaction's place in its block.
pub type TxIndex = u32;

/// Whether a visitor wants more.
pub type Control = std::ops::ControlFlow<()>;

/// Why a read could not be answered. Never the sender's fault: a node that meets one (other than `Blocked`) stops.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The value depends on an earlier transaction that has not run. Raised and handled by the parallel executor
    /// only; everyone else passes it on with `?`.
    #[error("read depends on unfinished transaction {0}")]
    Blocked(TxIndex),
    /// The bytes under the key are not what its layout says.
    #[error("corrupt value under {key:?}: {why}")]
    Corrupt {
        /// The offending key.
        key: Key,
        /// What is wrong with it.
        why: String,
    },
    /// Adds took an amount below zero or beyond 256 bits.
    #[error("amount under {key:?} out of range")]
    Range {
        /// The offending key.
        key: Key,
    },
    /// The database failed.
    #[error("storage: {0}")]
    Storage(String),
}

/// Point reads.
pub trait StateRead {
    /// The value under `key`, or `None` where there is none. Repeatable: the same key gives the same value for as
    /// long as the reader writes nothing to it.
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError>;
}

/// Ordered reads.
pub trait StateScan: StateRead {
    /// Calls `visit` on each pair in `range`, in its order, until told to break.
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError>;
}

/// Buffered writes, which the writer reads back.
pub trait StateWrite: StateScan {
    /// Sets `key`.
    fn put(&mut self, key: Key, value: Value);
    /// Removes `key`; nothing happens where it is absent.
    fn delete(&mut self, key: Key);
    /// Adds to the amount under `key` (see [`encode_amount`](crate::encode_amount)) without reading it, so that two
    /// transactions that pay one account do not conflict.
    fn add(&mut self, key: Key, delta: Delta);
    /// Leaves a change to be made when the transaction settles, in block order. The transaction itself does not see
    /// it; later ones do.
    fn defer(&mut self, deferral: Deferral);
    /// This state as something to read.
    fn as_scan(&self) -> &dyn StateScan;
}

impl<T: StateRead + ?Sized> StateRead for &T {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        (**self).get(key)
    }
}
impl<T: StateScan + ?Sized> StateScan for &T {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        (**self).scan(range, visit)
    }
}

/// State with nothing in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyState;

impl StateRead for EmptyState {
    fn get(&self, _: &Key) -> Result<Option<Value>, StateError> {
        Ok(None)
    }
}
impl StateScan for EmptyState {
    fn scan(&self, _: &KeyRange, _: &mut dyn FnMut(&Key, &Value) -> Control) -> Result<(), StateError> {
        Ok(())
    }
}

/// State held in an ordered map: test fixtures and replayed blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState(pub BTreeMap<Key, Value>);

impl StateRead for MemoryState {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        Ok(self.0.get(key).cloned())
    }
}
impl StateScan for MemoryState {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        let mut each = |(k, v): (&Key, &Value)| visit(k, v);
        let pairs = self.0.range(range.bounds());
        let _ = if range.descending {
            pairs.rev().try_for_each(&mut each)
        } else {
            pairs.into_iter().try_for_each(&mut each)
        };
        Ok(())
    }
}
