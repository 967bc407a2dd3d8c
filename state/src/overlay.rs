//! A write buffer over state. Dropping it forgets the writes; nesting it gives rollback.
use crate::{
    Control, Deferral, Delta, Key, KeyRange, Op, StateError, StateRead, StateScan, StateWrite, Value,
    WriteSet, apply_deferrals, merge, resolve,
};
use std::fmt;

/// What an overlay buffered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buffered {
    /// The changes.
    pub writes: WriteSet,
    /// The changes left for settlement.
    pub deferred: Vec<Deferral>,
}

/// A write buffer over `base`.
pub struct Overlay<'a> {
    base: &'a dyn StateScan,
    buffered: Buffered,
    // `add` and `absorb` cannot fail where they are called, so the first overflow is kept and raised by `finish`.
    failed: Option<StateError>,
}

impl fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay")
            .field("buffered", &self.buffered)
            .finish_non_exhaustive()
    }
}

impl<'a> Overlay<'a> {
    /// An empty buffer over `base`.
    pub fn new(base: &'a dyn StateScan) -> Self {
        Self {
            base,
            buffered: Buffered::default(),
            failed: None,
        }
    }
    /// A buffer over `base` that starts with `writes`.
    pub fn with_writes(base: &'a dyn StateScan, writes: WriteSet) -> Self {
        Self {
            base,
            buffered: Buffered {
                writes,
                deferred: Vec::new(),
            },
            failed: None,
        }
    }
    /// The buffered changes, or the first arithmetic failure among them.
    pub fn finish(self) -> Result<Buffered, StateError> {
        match self.failed {
            Some(e) => Err(e),
            None => Ok(self.buffered),
        }
    }
    /// The buffered changes with the deferred ones applied: for hooks that run alone, in order.
    pub fn settle(self) -> Result<WriteSet, StateError> {
        let base = self.base;
        let Buffered { mut writes, deferred } = self.finish()?;
        apply_deferrals(&base, &mut writes, deferred)?;
        Ok(writes)
    }
    /// Takes over what an inner overlay buffered.
    pub fn absorb(&mut self, inner: Buffered) {
        for (key, op) in inner.writes {
            self.fold(key, op);
        }
        self.buffered.deferred.extend(inner.deferred);
    }
    /// The changes so far.
    pub fn writes(&self) -> &WriteSet {
        &self.buffered.writes
    }

    fn fold(&mut self, key: Key, op: Op) {
        if let Err(e) = merge(&mut self.buffered.writes, key, op) {
            self.failed.get_or_insert(e);
        }
    }
}

/// State with changes on top that are not made any more: what a block's transactions start from. Shared by threads.
#[derive(Clone, Copy)]
pub struct Layered<'a> {
    /// What lies under the changes.
    pub base: &'a (dyn StateScan + Sync),
    /// The changes.
    pub writes: &'a WriteSet,
}

impl fmt::Debug for Layered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layered")
            .field("writes", &self.writes)
            .finish_non_exhaustive()
    }
}

impl StateRead for Layered<'_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        read_through(self.base, self.writes, key)
    }
}
impl StateScan for Layered<'_> {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        scan_through(self.base, self.writes, range, visit)
    }
}

impl StateRead for Overlay<'_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        read_through(self.base, &self.buffered.writes, key)
    }
}

fn read_through(base: &dyn StateRead, writes: &WriteSet, key: &Key) -> Result<Option<Value>, StateError> {
    match writes.get(key) {
        None => base.get(key),
        Some(Op::Put(value)) => Ok(Some(value.clone())),
        Some(Op::Delete) => Ok(None),
        Some(op @ Op::Add(_)) => resolve(key, base.get(key)?, op),
    }
}

fn scan_through(
    base: &dyn StateScan,
    writes: &WriteSet,
    range: &KeyRange,
    visit: &mut dyn FnMut(&Key, &Value) -> Control,
) -> Result<(), StateError> {
    let own = writes.range(range.bounds());
    if range.descending {
        merge_scan(base, range, own.rev(), |a, b| a > b, visit)
    } else {
        merge_scan(base, range, own, |a, b| a < b, visit)
    }
}

impl StateScan for Overlay<'_> {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        scan_through(self.base, &self.buffered.writes, range, visit)
    }
}

/// Visits `base` and `own` in step, `own` winning.
fn merge_scan<'w>(
    base: &dyn StateScan,
    range: &KeyRange,
    own: impl Iterator<Item = (&'w Key, &'w Op)>,
    first: fn(&Key, &Key) -> bool,
    visit: &mut dyn FnMut(&Key, &Value) -> Control,
) -> Result<(), StateError> {
    let mut own = own.peekable();
    let mut failed = None;
    let mut broke = false;
    let mut emit = |key: &Key, base: Option<Value>, op: &Op, failed: &mut Option<StateError>| match resolve(
        key, base, op,
    ) {
        Ok(Some(value)) => visit(key, &value),
        Ok(None) => Control::Continue(()),
        Err(e) => {
            *failed = Some(e);
            Control::Break(())
        }
    };
    base.scan(range, &mut |key, value| {
        while let Some((k, op)) = own.next_if(|(k, _)| first(k, key)) {
            if emit(k, None, op, &mut failed).is_break() {
                broke = true;
                return Control::Break(());
            }
        }
        let flow = match own.next_if(|(k, _)| *k == key) {
            Some((k, op)) => emit(k, Some(value.clone()), op, &mut failed),
            None => emit(key, None, &Op::Put(value.clone()), &mut failed),
        };
        broke = flow.is_break();
        flow
    })?;
    if !broke {
        for (k, op) in own {
            if emit(k, None, op, &mut failed).is_break() {
                break;
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

impl StateWrite for Overlay<'_> {
    fn put(&mut self, key: Key, value: Value) {
        self.buffered.writes.insert(key, Op::Put(value));
    }
    fn delete(&mut self, key: Key) {
        self.buffered.writes.insert(key, Op::Delete);
    }
    fn add(&mut self, key: Key, delta: Delta) {
        self.fold(key, Op::Add(delta));
    }
    fn defer(&mut self, deferral: Deferral) {
        self.buffered.deferred.push(deferral);
    }
    fn as_scan(&self) -> &dyn StateScan {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryState, StoreId};
    use types::U256;

    const STORE: StoreId = StoreId::new("t");
    fn key(b: u8) -> Key {
        Key::new(STORE, &[&[b]])
    }
    fn seen(state: &dyn StateScan, range: &KeyRange, most: usize) -> Vec<(u8, String)> {
        let mut out = Vec::new();
        state
            .scan(range, &mut |k, v| {
                out.push((k.bytes()[0], String::from_utf8(v.to_vec()).unwrap()));
                if out.len() == most {
                    Control::Break(())
                } else {
                    Control::Continue(())
                }
            })
            .unwrap();
        out
    }

    #[test]
    fn a_scan_sees_own_writes_in_order() {
        let base = MemoryState([1, 3, 5, 7].map(|b| (key(b), Value::from(b.to_string()))).into());
        let mut o = Overlay::new(&base);
        o.put(key(2), "two".into());
        o.delete(key(3));
        o.add(key(5), Delta::plus(U256::from(10)));
        o.add(key(6), Delta::plus(U256::from(6)));
        o.put(key(9), "nine".into());
        let all = KeyRange::prefix(STORE, &[]);
        let want = [(1, "1"), (2, "two"), (5, "15"), (6, "6"), (7, "7"), (9, "nine")]
            .map(|(k, v)| (k, v.to_owned()));
        assert_eq!(seen(&o, &all, 99), want);
        assert_eq!(seen(&o, &all, 2), want[..2]);
        let mut back = want.to_vec();
        back.reverse();
        assert_eq!(seen(&o, &all.clone().descending(), 99), back);
        assert_eq!(seen(&o, &all.descending(), 3), back[..3]);
    }

    #[test]
    fn a_dropped_inner_overlay_leaves_no_trace() {
        let mut outer = Overlay::new(&crate::EmptyState);
        outer.put(key(1), "1".into());
        {
            let mut inner = Overlay::new(&outer);
            inner.delete(key(1));
            assert_eq!(inner.get(&key(1)), Ok(None));
        }
        assert!(outer.get(&key(1)).unwrap().is_some());
        let mut inner = Overlay::new(&outer);
        inner.add(key(1), Delta::plus(U256::from(2)));
        inner.defer(Deferral::Append(key(2), "q".into()));
        let buffered = inner.finish().unwrap();
        outer.absorb(buffered);
        assert_eq!(outer.get(&key(1)).unwrap().unwrap(), "3");
        assert_eq!(outer.settle().unwrap()[&key(2)], Op::Put("q".into()));
    }

    #[test]
    fn an_amount_below_zero_fails_the_overlay() {
        let mut o = Overlay::new(&crate::EmptyState);
        o.put(key(1), "1".into());
        o.add(key(1), Delta::minus(U256::from(2)));
        assert_eq!(o.finish(), Err(StateError::Range { key: key(1) }));
    }
}
