//! One location: its value at block start, and what each transaction of the block makes of it.
use crate::fold::Folded;
use parking_lot::RwLock;
use smallvec::SmallVec;
use state::{Key, Op, StateError, StateRead, TxIndex, Value};
use std::sync::OnceLock;

/// One location that a block touches.
#[derive(Debug)]
pub(crate) struct Cell {
    /// Its place in the arena.
    pub(crate) id: u32,
    /// The key's hash: an index only, never compared for identity.
    pub(crate) hash: u64,
    /// The location.
    pub(crate) key: Key,
    /// Whether its changes settle late. Then it has no versions: its value is in the committer's fold.
    pub(crate) deferred: bool,
    base: OnceLock<Option<Value>>,
    chain: RwLock<Chain>,
}

#[derive(Debug, Default)]
struct Chain {
    /// By writer, ascending. Committed transactions' versions stand in front; only the last of them is ever read.
    versions: SmallVec<[Version; 2]>,
    /// Whether the ordered index knows the cell.
    indexed: bool,
}

#[derive(Debug)]
struct Version {
    writer: TxIndex,
    /// An estimate: the writer was declared to write here, or did so in a run that was thrown away.
    pending: bool,
    entry: Entry,
}

#[derive(Debug)]
enum Entry {
    /// Declared, never written so far.
    Declared,
    /// What a run did.
    Op(Op),
    /// The value once the writer is committed.
    Settled(Folded),
}

/// What a reader finds in a cell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing changed in front of the reader: the value at block start stands.
    Base,
    /// The value that the transactions in front of the reader leave.
    Value(Option<Value>),
    /// The value depends on this transaction, which has yet to run.
    Blocked(TxIndex),
}

/// What a run does to a cell.
#[derive(Debug)]
pub(crate) enum Mark<'a> {
    /// A write is expected.
    Declare,
    /// This was written.
    Write(&'a Op),
}

impl Cell {
    /// An untouched cell.
    pub(crate) fn new(id: u32, hash: u64, key: Key, deferred: bool) -> Self {
        Self {
            id,
            hash,
            key,
            deferred,
            base: OnceLock::new(),
            chain: RwLock::default(),
        }
    }

    /// The value at block start, read once a block.
    pub(crate) fn base(&self, base: &dyn StateRead) -> Result<Option<Value>, StateError> {
        if let Some(value) = self.base.get() {
            return Ok(value.clone());
        }
        // An error is not kept: only the one met at the head counts. Two readers may both ask; the answer is the same.
        let value = base.get(&self.key)?;
        Ok(self.base.get_or_init(|| value).clone())
    }

    /// What `reader` finds: the changes of all transactions in front of it, folded in order over the last absolute
    /// value.
    pub(crate) fn read(&self, reader: TxIndex, base: &dyn StateRead) -> Result<Seen, StateError> {
        loop {
            let chain = self.chain.read();
            let above = &chain.versions[..chain.position(reader)];
            let mut first_add = above.len();
            let mut bottom = None;
            for (at, version) in above.iter().enumerate().rev() {
                match &version.entry {
                    _ if version.pending => return Ok(Seen::Blocked(version.writer)),
                    Entry::Declared => return Ok(Seen::Blocked(version.writer)),
                    Entry::Op(Op::Add(_)) => first_add = at,
                    Entry::Op(Op::Put(value)) => bottom = Some(Folded::Value(Some(value.clone()))),
                    Entry::Op(Op::Delete) => bottom = Some(Folded::Value(None)),
                    Entry::Settled(folded) if first_add == above.len() => {
                        return Ok(Seen::Value(folded.value()));
                    }
                    Entry::Settled(folded) => bottom = Some(folded.clone()),
                }
                if bottom.is_some() {
                    break;
                }
            }
            let adds = &above[first_add..];
            let mut value = match (bottom, self.base.get()) {
                (Some(bottom), _) => bottom,
                (None, _) if adds.is_empty() => return Ok(Seen::Base),
                (None, Some(value)) => Folded::Value(value.clone()),
                (None, None) => {
                    // The database is not asked under the lock.
                    drop(chain);
                    self.base(base)?;
                    continue;
                }
            };
            for version in adds {
                if let Entry::Op(op) = &version.entry {
                    value = value.then(&self.key, op)?;
                }
            }
            return Ok(Seen::Value(value.value()));
        }
    }

    /// Sets `writer`'s version. Calls `index` while the ordered index does not know the cell; it says whether it does now.
    pub(crate) fn mark(&self, writer: TxIndex, mark: &Mark<'_>, index: impl FnOnce() -> bool) {
        let (pending, entry) = match mark {
            Mark::Declare => (true, Entry::Declared),
            Mark::Write(op) => (false, Entry::Op((*op).clone())),
        };
        let mut chain = self.chain.write();
        chain.set(
            Version {
                writer,
                pending,
                entry,
            },
            index,
        );
    }

    /// Says that `writer`'s version comes from a run that was thrown away.
    pub(crate) fn estimate(&self, writer: TxIndex) {
        let mut chain = self.chain.write();
        let at = chain.position(writer);
        if let Some(version) = chain.versions.get_mut(at).filter(|v| v.writer == writer) {
            version.pending = true;
        }
    }

    /// Forgets `writer`'s version.
    pub(crate) fn remove(&self, writer: TxIndex) {
        let mut chain = self.chain.write();
        let at = chain.position(writer);
        if chain.versions.get(at).is_some_and(|v| v.writer == writer) {
            chain.versions.remove(at);
        }
    }

    /// Commits `op` of `writer`, in front of whom everyone is committed. `index` is as for `mark`.
    pub(crate) fn settle(
        &self,
        writer: TxIndex,
        op: &Op,
        base: &dyn StateRead,
        index: impl FnOnce() -> bool,
    ) -> Result<(), StateError> {
        let mut chain = self.chain.write();
        let adds = matches!(op, Op::Add(_));
        if adds && self.base.get().is_none() && chain.position(writer) == 0 {
            drop(chain);
            self.base(base)?;
            // Meanwhile nobody can have put a version in front of `writer`: they are all committed.
            chain = self.chain.write();
        }
        let at = chain.position(writer);
        let stored = || {
            self.base
                .get()
                .map_or(Folded::Value(None), |value| Folded::Value(value.clone()))
        };
        let settled = match at.checked_sub(1).map(|at| &chain.versions[at].entry) {
            // Only an add looks at what was there.
            _ if !adds => Folded::Value(None).then(&self.key, op)?,
            Some(Entry::Settled(before)) => before.then(&self.key, op)?,
            Some(other) => unreachable!("{:?} has {other:?} in front of {writer}", self.key),
            None => stored().then(&self.key, op)?,
        };
        chain.set(
            Version {
                writer,
                pending: false,
                entry: Entry::Settled(settled),
            },
            index,
        );
        // What stands in front is never read again. Dropping it when it is half of all keeps the cost constant a commit.
        if at * 2 >= chain.versions.len() {
            chain.versions.drain(..at);
        }
        Ok(())
    }

    /// Tells the index of the cell, if someone writes here and it does not know.
    pub(crate) fn index(&self, index: impl FnOnce() -> bool) {
        let mut chain = self.chain.write();
        chain.indexed = chain.indexed || (!chain.versions.is_empty() && index());
    }

    /// The change that the committed transactions make together.
    pub(crate) fn settled(&self) -> Option<Op> {
        let chain = self.chain.read();
        let settled = chain
            .versions
            .iter()
            .rev()
            .find_map(|version| match &version.entry {
                Entry::Settled(folded) => Some(folded.clone()),
                _ => None,
            });
        settled.map(Folded::into_op)
    }
}

impl Chain {
    /// Where `writer`'s version stands, or would.
    fn position(&self, writer: TxIndex) -> usize {
        self.versions.partition_point(|v| v.writer < writer)
    }
    /// Sets a version. The index is told under the cell's lock: else someone could commit here, see that the index
    /// knows the cell, and be followed by a scan before it really does.
    fn set(&mut self, version: Version, index: impl FnOnce() -> bool) {
        self.indexed = self.indexed || index();
        let at = self.position(version.writer);
        match self.versions.get_mut(at).filter(|v| v.writer == version.writer) {
            Some(old) => *old = version,
            None => self.versions.insert(at, version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::{Delta, MemoryState, StoreId};
    use types::U256;

    fn key() -> Key {
        Key::new(StoreId::new("t"), &[b"k"])
    }
    fn plus(n: u64) -> Op {
        Op::Add(Delta::plus(U256::from(n)))
    }
    fn minus(n: u64) -> Op {
        Op::Add(Delta::minus(U256::from(n)))
    }
    fn value(text: &str) -> Seen {
        Seen::Value(Some(Value::copy_from_slice(text.as_bytes())))
    }
    fn write(cell: &Cell, writer: TxIndex, op: &Op) {
        cell.mark(writer, &Mark::Write(op), || false);
    }

    #[test]
    fn a_reader_sees_what_stands_in_front_of_it_and_nothing_else() {
        let base = MemoryState([(key(), Value::from("7"))].into());
        let cell = Cell::new(0, 0, key(), false);
        assert_eq!(cell.read(9, &base), Ok(Seen::Base));
        write(&cell, 5, &plus(3));
        write(&cell, 2, &plus(1));
        assert_eq!(cell.read(2, &base), Ok(Seen::Base));
        assert_eq!(cell.read(3, &base), Ok(value("8")));
        assert_eq!(cell.read(6, &base), Ok(value("11")));
        write(&cell, 4, &Op::Put("100".into()));
        assert_eq!(cell.read(4, &base), Ok(value("8")));
        assert_eq!(cell.read(6, &base), Ok(value("103")));
        write(&cell, 3, &Op::Delete);
        assert_eq!(cell.read(4, &base), Ok(Seen::Value(None)));
        cell.remove(4);
        assert_eq!(cell.read(6, &base), Ok(value("3")));
    }

    #[test]
    fn a_reader_is_blocked_by_the_nearest_estimate_it_needs() {
        let cell = Cell::new(0, 0, key(), false);
        let base = MemoryState::default();
        for writer in [1, 3] {
            cell.mark(writer, &Mark::Declare, || false);
        }
        assert_eq!(cell.read(1, &base), Ok(Seen::Base));
        assert_eq!(cell.read(5, &base), Ok(Seen::Blocked(3)));
        write(&cell, 3, &plus(1));
        assert_eq!(
            cell.read(5, &base),
            Ok(Seen::Blocked(1)),
            "an add needs what lies under it"
        );
        write(&cell, 3, &Op::Put("1".into()));
        assert_eq!(cell.read(5, &base), Ok(value("1")), "a put does not");
        cell.estimate(3);
        assert_eq!(cell.read(5, &base), Ok(Seen::Blocked(3)));
    }

    #[test]
    fn an_amount_below_zero_is_an_error_even_if_a_later_add_mends_it() {
        let cell = Cell::new(0, 0, key(), false);
        let base = MemoryState([(key(), Value::from("7"))].into());
        write(&cell, 1, &minus(8));
        write(&cell, 2, &plus(8));
        assert_eq!(cell.read(3, &base), Err(StateError::Range { key: key() }));
        assert_eq!(
            cell.settle(1, &minus(8), &base, || false),
            Err(StateError::Range { key: key() })
        );
        assert_eq!(cell.settle(1, &minus(7), &base, || false), Ok(()));
        assert_eq!(cell.read(2, &base), Ok(Seen::Value(None)));
        assert_eq!(cell.settle(2, &plus(8), &base, || false), Ok(()));
        assert_eq!(cell.settled(), Some(Op::Put("8".into())));
        assert_eq!(
            cell.chain.read().versions.len(),
            1,
            "committed versions are dropped"
        );
    }
}
