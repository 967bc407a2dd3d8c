//! What a transaction is expected to touch.
use crate::{Key, KeyRange};

/// Declared access. It orders and prefetches; it never decides a result, so a wrong declaration costs time only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Keys it reads and does not write.
    pub reads: Vec<Key>,
    /// Keys it may replace or delete.
    pub writes: Vec<Key>,
    /// Keys it only adds to: adds do not order among themselves.
    pub adds: Vec<Key>,
    /// Neighbouring keys it reads or writes, no wider than one record type of one validator or delegator.
    pub ranges: Vec<KeyRange>,
    /// Whether nothing beyond the above is touched.
    pub complete: bool,
}

impl Access {
    /// Both accesses together.
    pub fn extend(&mut self, other: Self) {
        self.reads.extend(other.reads);
        self.writes.extend(other.writes);
        self.adds.extend(other.adds);
        self.ranges.extend(other.ranges);
        self.complete &= other.complete;
    }
}
