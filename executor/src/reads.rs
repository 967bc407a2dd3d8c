//! What a run has read: its repeatable memory while it runs, and what must still be true when it is committed.
use crate::cell::{AccountCell, Loc, SlotCell};
use hashbrown::HashTable;
use state::{Control, Key, KeyRange, StateError, StateScan, Value};
use std::cmp::Ordering;
use types::{B256, U256};

/// What a run has read.
#[derive(Debug, Default)]
pub(crate) struct ReadSet<'a> {
    pub(crate) accounts: Vec<AccountRead<'a>>,
    pub(crate) slots: Vec<SlotRead<'a>>,
    points: Vec<Point<'a>>,
    /// Places in `points`, by key.
    by_key: HashTable<u32>,
    ranges: Vec<Span>,
}

/// What was read of an account.
#[derive(Debug)]
pub(crate) struct AccountRead<'a> {
    pub(crate) at: &'a AccountCell,
    pub(crate) nonce: Option<u64>,
    pub(crate) funds: Funds,
    pub(crate) code: B256,
}

/// What was read of a balance.
#[derive(Debug)]
pub(crate) enum Funds {
    /// Nothing.
    Unread,
    /// This is it.
    Exact(U256),
    /// It is not less.
    Least(U256),
}

/// What was read of a slot.
#[derive(Debug)]
pub(crate) struct SlotRead<'a> {
    pub(crate) at: &'a SlotCell,
    pub(crate) seen: U256,
}

#[derive(Debug)]
struct Point<'a> {
    hash: u64,
    key: Key,
    loc: Loc<'a>,
    seen: Option<Value>,
}

/// One range read.
#[derive(Debug)]
struct Span {
    range: KeyRange,
    /// The pairs the reader was shown, in order.
    seen: Vec<(Key, Value)>,
    /// Whether the reader went on to the end. If not, it knows nothing beyond the last pair it was shown.
    whole: bool,
}

impl Span {
    fn order(&self, a: &Key, b: &Key) -> Ordering {
        if self.range.descending { b.cmp(a) } else { a.cmp(b) }
    }
    /// What the reader knows of `key`: `None` where it has not been, `Some(None)` where there was nothing.
    fn recall(&self, key: &Key) -> Option<Option<&Value>> {
        if !self.range.contains(key) {
            return None;
        }
        match self.seen.binary_search_by(|(k, _)| self.order(k, key)) {
            Ok(at) => Some(Some(&self.seen[at].1)),
            Err(at) if at < self.seen.len() || self.whole => Some(None),
            Err(_) => None,
        }
    }
    /// Whether `now` shows the same.
    fn holds(&self, now: &dyn StateScan) -> bool {
        let mut left = self.seen.iter();
        if self.seen.is_empty() && !self.whole {
            return true;
        }
        let mut same = true;
        let result = now.scan(&self.range, &mut |key, value| {
            same = left.next().is_some_and(|(k, v)| k == key && v == value);
            if same && (self.whole || !left.as_slice().is_empty()) {
                Control::Continue(())
            } else {
                Control::Break(())
            }
        });
        result.is_ok() && same && left.as_slice().is_empty()
    }
}

impl<'a> ReadSet<'a> {
    /// What the run knows of `key`.
    pub(crate) fn recall(&self, hash: u64, key: &Key) -> Option<Option<Value>> {
        if let Some(point) = self.find(hash, key) {
            return Some(point.seen.clone());
        }
        self.ranges
            .iter()
            .find_map(|span| span.recall(key))
            .map(Option::<&Value>::cloned)
    }
    fn find(&self, hash: u64, key: &Key) -> Option<&Point<'a>> {
        let at = self
            .by_key
            .find(hash, |at| self.points[*at as usize].key == *key)?;
        Some(&self.points[*at as usize])
    }
    /// Notes a point read that `recall` knew nothing of.
    pub(crate) fn point(&mut self, hash: u64, key: &Key, loc: Loc<'a>, seen: Option<Value>) {
        let at = u32::try_from(self.points.len()).expect("gas bounds a run's reads far below 2^32");
        let key = key.clone();
        self.points.push(Point { hash, key, loc, seen });
        let points = &self.points;
        self.by_key
            .insert_unique(hash, at, |at| points[*at as usize].hash);
    }
    /// Begins a range read.
    pub(crate) fn open(&mut self, range: &KeyRange) -> usize {
        self.ranges.push(Span {
            range: range.clone(),
            seen: Vec::new(),
            whole: false,
        });
        self.ranges.len() - 1
    }
    /// Notes a pair of a range read; false where it contradicts an earlier read.
    pub(crate) fn saw(&mut self, span: usize, hash: u64, key: &Key, value: &Value) -> bool {
        let known = self.recall(hash, key);
        self.ranges[span].seen.push((key.clone(), value.clone()));
        known.is_none_or(|known| known.as_ref() == Some(value))
    }
    /// Ends a range read; false where it passed over a pair that an earlier read had seen.
    pub(crate) fn close(&mut self, span: usize, whole: bool) -> bool {
        self.ranges[span].whole = whole;
        let this = &self.ranges[span];
        let points = self.points.iter().filter(|p| p.seen.is_some()).map(|p| &p.key);
        let others = self.ranges.iter().enumerate().filter(|(at, _)| *at != span);
        let scanned = others.flat_map(|(_, other)| other.seen.iter().map(|(key, _)| key));
        !points.chain(scanned).any(|key| this.recall(key) == Some(None))
    }
    /// Whether something was read by key or by range: of such reads no writer is told.
    pub(crate) fn by_key(&self) -> bool {
        !(self.points.is_empty() && self.ranges.is_empty())
    }
    /// Whether what was read by key is what there is now: in locations as `value` says, in ranges as `now` shows.
    pub(crate) fn hold(
        &self,
        value: impl Fn(Loc<'a>) -> Result<Option<Value>, StateError>,
        now: &dyn StateScan,
    ) -> bool {
        self.points
            .iter()
            .all(|p| value(p.loc).is_ok_and(|value| value == p.seen))
            && self.ranges.iter().all(|span| span.holds(now))
    }
    /// Forgets everything, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
        self.points.clear();
        self.by_key.clear();
        self.ranges.clear();
    }
}
