//! Remember what is read, to compare with what was declared: for tests of access declarations.
use crate::{Access, Buffered, Control, Key, KeyRange, Op, StateError, StateRead, StateScan, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

/// A view of `base` that notes every key and range read through it. Lay an [`Overlay`](crate::Overlay) over it.
pub struct Recorder<'a> {
    base: &'a dyn StateScan,
    reads: RefCell<BTreeSet<Key>>,
    ranges: RefCell<BTreeSet<KeyRange>>,
}

impl fmt::Debug for Recorder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("reads", &self.reads)
            .field("ranges", &self.ranges)
            .finish_non_exhaustive()
    }
}

impl<'a> Recorder<'a> {
    /// A recorder over `base` that has seen nothing.
    pub fn new(base: &'a dyn StateScan) -> Self {
        Self {
            base,
            reads: RefCell::default(),
            ranges: RefCell::default(),
        }
    }
    /// The keys read so far.
    pub fn reads(&self) -> BTreeSet<Key> {
        self.reads.borrow().clone()
    }
    /// The ranges read so far.
    pub fn ranges(&self) -> BTreeSet<KeyRange> {
        self.ranges.borrow().clone()
    }
    /// What was read here, or written in `buffered`, and is missing from `access`: one line each, empty where the
    /// declaration covers everything. Deferred changes need no declaration: they settle in block order anyway.
    pub fn undeclared(&self, access: &Access, buffered: &Buffered) -> Vec<String> {
        let in_range = |k: &Key| access.ranges.iter().any(|r| r.contains(k));
        let written = |k: &Key| access.writes.contains(k) || in_range(k);
        let mut out = Vec::new();
        for key in self
            .reads
            .borrow()
            .iter()
            .filter(|k| !written(k) && !access.reads.contains(k))
        {
            out.push(format!("reads {key:?}"));
        }
        for range in &*self.ranges.borrow() {
            let within = |outer: &KeyRange| {
                outer.store == range.store
                    && outer.start <= range.start
                    && outer
                        .end
                        .as_ref()
                        .is_none_or(|o| range.end.as_ref().is_some_and(|r| r <= o))
            };
            if !access.ranges.iter().any(within) {
                out.push(format!("scans {range:?}"));
            }
        }
        for (key, op) in &buffered.writes {
            let added = matches!(op, Op::Add(_)) && access.adds.contains(key);
            if !added && !written(key) {
                out.push(format!("writes {key:?}"));
            }
        }
        out
    }
}

impl StateRead for Recorder<'_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        self.reads.borrow_mut().insert(key.clone());
        self.base.get(key)
    }
}

impl StateScan for Recorder<'_> {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        self.ranges.borrow_mut().insert(range.clone());
        self.base.scan(range, visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Delta, EmptyState, Overlay, StateWrite, StoreId};
    use types::U256;

    #[test]
    fn what_was_not_declared_is_named() {
        let key = |b: u8| Key::new(StoreId::new("t"), &[&[b]]);
        let recorder = Recorder::new(&EmptyState);
        let mut state = Overlay::new(&recorder);
        state.get(&key(1)).unwrap();
        state.put(key(2), "x".into());
        state.add(key(3), Delta::plus(U256::from(1)));
        state
            .scan(&KeyRange::prefix(StoreId::new("t"), &[9]), &mut |_, _| {
                Control::Continue(())
            })
            .unwrap();
        let buffered = state.finish().unwrap();
        assert_eq!(recorder.undeclared(&Access::default(), &buffered).len(), 4);
        let access = Access {
            reads: vec![key(1)],
            writes: vec![key(2)],
            adds: vec![key(3)],
            ranges: vec![KeyRange::prefix(StoreId::new("t"), &[9])],
            complete: true,
        };
        assert_eq!(recorder.undeclared(&access, &buffered), Vec::<String>::new());
    }
}
