//! All locations that a block touches: found by key or by typed place, and in key order those that are written.
use crate::arena::{Apart, Arena, Shelf};
use crate::cell::{AccountCell, Bases, First, KeyCell, Loc, Memory, Site, SlotCell};
use crate::fold::Fold;
use crate::table::Table;
use crate::track::{Datum, Entry, Heap};
use crate::typed::{Account, Change, Layout, Place, To, numbers, slot_numbers};
use crate::{DeferredKeys, ExecError, Outcome};
use parking_lot::{Mutex, RwLock};
use state::{Key, KeyRange, Op, StateError, StateRead, StateScan, TxIndex};
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use types::{Address, U256};

/// Where a block's cells live. Kept from block to block for its memory.
#[derive(Debug)]
pub(crate) struct Store {
    keys: Shelf<KeyCell>,
    accounts: Arena<AccountCell>,
    slots: Arena<SlotCell>,
    bases: Bases,
    heap: Heap,
    by_key: Table,
    by_address: Table,
    by_slot: Table,
}

impl Store {
    /// For a block of `jobs`.
    pub(crate) fn new(jobs: usize) -> Self {
        Self {
            keys: Shelf::default(),
            accounts: Arena::default(),
            slots: Arena::default(),
            bases: Bases::default(),
            heap: Heap::default(),
            by_key: Table::new(64),
            by_address: Table::new(jobs * 2),
            by_slot: Table::new(jobs * 2),
        }
    }
    /// Empties it for a block of `jobs`, and keeps the memory.
    pub(crate) fn clear(&mut self, jobs: usize) {
        self.keys.clear();
        self.accounts.clear();
        self.slots.clear();
        self.bases.clear();
        self.heap.clear();
        self.by_key.clear(64);
        self.by_address.clear(jobs * 2);
        self.by_slot.clear(jobs * 2);
    }
    fn memory(&self) -> Memory<'_> {
        Memory {
            bases: &self.bases,
            heap: &self.heap,
        }
    }
    /// A location with all it takes to read it.
    pub(crate) fn site<'a, 'b>(
        &'a self,
        loc: Loc<'a>,
        base: &'b dyn StateRead,
        layout: Option<&'b dyn Layout>,
    ) -> Site<'a, 'b> {
        let memory = self.memory();
        Site {
            loc,
            memory,
            base,
            layout,
        }
    }
    /// All locations that someone writes, or is expected to, once no one makes any.
    pub(crate) fn each(&self) -> impl Iterator<Item = Loc<'_>> {
        self.part((0, 1))
    }
    /// A part of so many of them.
    fn part(&self, (part, of): (u32, u32)) -> impl Iterator<Item = Loc<'_>> {
        /// Neighbours that go to one part. Who shares decides by numbers alone: more may be made meanwhile.
        const TOGETHER: u32 = 256;
        let end = self.heap.tracks.end();
        let lots = (part..end.div_ceil(TOGETHER)).step_by(of as usize);
        let ids = lots.flat_map(move |lot| lot * TOGETHER..end.min((lot + 1) * TOGETHER));
        ids.filter_map(|id| {
            let loc = self.loc(self.heap.tracks.get(id)?.owner)?;
            // Two may have begun it at once.
            loc.trail().is(id).then_some(loc)
        })
    }
    /// The location called this.
    fn loc(&self, (kind, id): (u8, u32)) -> Option<Loc<'_>> {
        Some(match kind {
            0 => Loc::Key(self.keys.get(id)?),
            1 => Loc::Nonce(self.accounts.get(id)?),
            2 => Loc::Balance(self.accounts.get(id)?),
            3 => Loc::Code(self.accounts.get(id)?),
            _ => Loc::Slot(self.slots.get(id)?),
        })
    }
}

/// The cells of a block.
pub(crate) struct Cells<'a> {
    store: &'a Store,
    /// Seeded afresh, so that nobody can choose keys that collide.
    hasher: foldhash::fast::RandomState,
    /// State at block start.
    pub(crate) base: &'a (dyn StateScan + Sync),
    /// Which keys are typed places.
    pub(crate) layout: Option<&'a dyn Layout>,
    /// Keys that settle late.
    pub(crate) deferred: &'a DeferredKeys,
    /// Accounts whose balance settles late.
    late: Vec<Address>,
    /// Whether a prefix of the deferred keys might hold balances.
    late_prefix: bool,
    /// The values of deferred keys, as far as is committed. For the committer.
    pub(crate) side: Apart<Mutex<Fold>>,
    /// All in front of this one are committed.
    pub(crate) head: Apart<AtomicU32>,
    /// By transaction: whether a place it may have read was written to since it began. If not, all it has read is as it
    /// was.
    disturbed: Vec<AtomicBool>,
    /// Whether writers tell the ordered index. They begin to when someone first scans: many blocks have no scan.
    ordered: AtomicBool,
    /// Set once the index knows the cells written before that.
    opened: OnceLock<()>,
    /// The cells that someone writes: what a scan must look at beside the base.
    index: RwLock<BTreeMap<Key, Loc<'a>>>,
}

impl<'a> Cells<'a> {
    /// No cells yet.
    pub(crate) fn new(
        store: &'a Store,
        base: &'a (dyn StateScan + Sync),
        layout: Option<&'a dyn Layout>,
        deferred: &'a DeferredKeys,
        jobs: usize,
    ) -> Self {
        let balance = |key: &Key| match layout.and_then(|l| l.place(key)) {
            Some(Place::Balance(who)) => Some(who),
            _ => None,
        };
        let bank = layout.map(|l| l.key(&Place::Balance(Address::ZERO)).store());
        Self {
            store,
            hasher: foldhash::fast::RandomState::default(),
            base,
            layout,
            deferred,
            late: deferred.keys.iter().filter_map(balance).collect(),
            late_prefix: deferred.prefixes.iter().any(|(store, _)| Some(*store) == bank),
            side: Apart::default(),
            head: Apart(AtomicU32::new(0)),
            disturbed: (0..jobs).map(|_| AtomicBool::new(false)).collect(),
            ordered: AtomicBool::new(false),
            opened: OnceLock::new(),
            index: RwLock::default(),
        }
    }
    /// A location with all it takes to read it.
    pub(crate) fn site(&self, loc: Loc<'a>) -> Site<'a, '_> {
        self.store.site(loc, &self.base, self.layout)
    }
    /// Where the versions are.
    fn heap(&self) -> &'a Heap {
        &self.store.heap
    }
    /// What cells refer to by number.
    pub(crate) fn memory(&self) -> Memory<'a> {
        self.store.memory()
    }
    /// Says that `writer`'s versions there come from a run that was thrown away.
    pub(crate) fn estimate(&self, writer: TxIndex, written: &Written<'a>) {
        let tracks = written
            .locs
            .iter()
            .filter_map(|loc| loc.trail().track(self.heap()));
        tracks.for_each(|track| track.estimate(self.heap(), writer));
    }
    /// A hash in this block.
    pub(crate) fn hash(&self, of: &impl std::hash::Hash) -> u64 {
        self.hasher.hash_one(of)
    }
    /// The account of `who`, made on first sight.
    pub(crate) fn account(&self, who: &Address) -> &'a AccountCell {
        self.account_or(who, First::unread)
    }
    /// The same for one who knows something of it then.
    pub(crate) fn account_or(
        &self,
        who: &Address,
        first: impl FnOnce() -> First<Account>,
    ) -> &'a AccountCell {
        let accounts = &self.store.accounts;
        let id = self.store.by_address.find_or(
            self.hash(&numbers(who)),
            |id| accounts.get(id).is_some_and(|cell| cell.who == *who),
            || accounts.alloc(|id| AccountCell::new(id, *who, self.is_late(who), first())),
        );
        let cell = accounts.get(id).expect("found just now");
        cell.mark_found();
        cell
    }
    fn is_late(&self, who: &Address) -> bool {
        let key = |layout: &dyn Layout| layout.key(&Place::Balance(*who));
        self.late.contains(who)
            || (self.late_prefix && self.layout.is_some_and(|l| self.deferred.contains(&key(l))))
    }
    /// The account called `id`, where it is `who`'s; otherwise the one that is.
    pub(crate) fn account_by_id(&self, id: u32, who: &Address) -> &'a AccountCell {
        let same = |cell: &&AccountCell| cell.who == *who && cell.is_found();
        let found = self.store.accounts.get(id).filter(same);
        found.unwrap_or_else(|| self.account(who))
    }
    /// The slot of an account, made on first sight, by one who may know something of it then.
    pub(crate) fn slot_or(
        &self,
        who: &Address,
        account: u32,
        slot: &U256,
        first: impl FnOnce() -> First<U256>,
    ) -> &'a SlotCell {
        let account = self.account_by_id(account, who).id;
        let slots = &self.store.slots;
        let same = |cell: &SlotCell| cell.slot == *slot && cell.account == account;
        let id = self.store.by_slot.find_or(
            self.hash(&slot_numbers(account, slot)),
            |id| slots.get(id).is_some_and(same),
            || slots.alloc(|id| SlotCell::new(id, account, *who, *slot, first())),
        );
        slots.get(id).expect("found just now")
    }
    /// The location of `key`, made on first sight.
    pub(crate) fn locate(&self, key: &Key) -> Loc<'a> {
        if let Some(place) = self.layout.and_then(|layout| layout.place(key)) {
            return self.find(&place, u32::MAX);
        }
        self.locate_hashed(self.hash(key), key)
    }
    fn locate_hashed(&self, hash: u64, key: &Key) -> Loc<'a> {
        let keys = &self.store.keys;
        let id = self.store.by_key.find_or(
            hash,
            // Full keys are compared: two keys with one hash are two cells.
            |id| keys.get(id).is_some_and(|cell| cell.key == *key),
            || keys.alloc(|id| KeyCell::new(id, key.clone(), self.deferred.contains(key))),
        );
        Loc::Key(keys.get(id).expect("found just now"))
    }
    fn find(&self, place: &Place, id: u32) -> Loc<'a> {
        match place {
            Place::Nonce(who) => Loc::Nonce(self.account_by_id(id, who)),
            Place::Balance(who) => Loc::Balance(self.account_by_id(id, who)),
            Place::Code(who) => Loc::Code(self.account_by_id(id, who)),
            Place::Slot(who, slot) => Loc::Slot(self.slot_or(who, id, slot, First::unread)),
        }
    }
    /// Tells the ordered index of a location, where there is one. Under the location's lock.
    fn index(&self, loc: Loc<'a>) -> bool {
        let ordered = self.ordered.load(Ordering::SeqCst);
        if ordered {
            self.index.write().insert(loc.key(self.layout), loc);
        }
        ordered
    }
    /// Opens the ordered index. A write is in it whether it comes before or after: of a writer and this walk, whoever
    /// has the location's lock second sees what the first did, a version or the flag; and a location that the walk
    /// does not meet was made after the flag was set.
    pub(crate) fn open_index(&self) {
        self.opened.get_or_init(|| {
            self.ordered.store(true, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            let heap = self.heap();
            for loc in self.store.each() {
                if let Some(track) = loc.trail().track(heap) {
                    track.index(heap, || self.index(loc));
                }
            }
        });
    }
    /// Says that `index` begins a run, and has read nothing.
    pub(crate) fn begin(&self, index: TxIndex) {
        self.disturbed[index as usize].store(false, Ordering::SeqCst);
    }
    /// Whether a place that `index` may have read by its typed name was written to since it began.
    pub(crate) fn disturbed(&self, index: TxIndex) -> bool {
        self.disturbed[index as usize].load(Ordering::SeqCst)
    }
    /// Tells those who may have read what was in `loc` before `writer` wrote there.
    fn disturb(&self, writer: TxIndex, loc: Loc<'a>) {
        let end = self.disturbed.len().min(loc.trail().readers() as usize);
        if let Some(behind @ [_, ..]) = self.disturbed.get(writer as usize + 1..end) {
            // One who begins meanwhile either sees what was written, or takes back its word before this.
            fence(Ordering::SeqCst);
            behind.iter().for_each(|one| one.store(true, Ordering::Relaxed));
        }
    }
    /// Announces a write of `writer`.
    pub(crate) fn declare(&self, writer: TxIndex, loc: Loc<'a>) {
        let (heap, trail) = (self.heap(), loc.trail());
        trail
            .begin(heap, loc.id())
            .declare(heap, writer, || self.index(loc));
    }
    /// The written locations of `range`, in its order.
    pub(crate) fn written_in(&self, range: &KeyRange) -> Vec<Loc<'a>> {
        self.open_index();
        let index = self.index.read();
        let found = index.range::<Key, _>(range.bounds()).map(|(_, loc)| *loc);
        if range.descending {
            found.rev().collect()
        } else {
            found.collect()
        }
    }
    /// Shows what a run of `writer` wrote to those behind it. `written` are the locations that have a version of
    /// `writer`, and the run that left them; afterwards those of this run.
    pub(crate) fn publish<T>(&self, writer: TxIndex, outcome: &Outcome<T>, written: &mut Written<'a>) {
        let by = (writer, written.run.wrapping_add(1));
        let old = std::mem::take(&mut written.locs);
        let head = self.head.load(Ordering::Acquire);
        let mut new = Vec::with_capacity(outcome.changes.len() + outcome.writes.len());
        let mut late = false;
        let mut write = |loc: Loc<'a>, entry| {
            if loc.deferred() {
                late = true;
            } else {
                let first = self.site(loc).write(by, entry, head, || self.index(loc));
                if first && self.ordered.load(Ordering::SeqCst) {
                    let track = loc.trail().track(self.heap());
                    track
                        .into_iter()
                        .for_each(|track| track.index(self.heap(), || self.index(loc)));
                }
                self.disturb(writer, loc);
                new.push(loc);
            }
        };
        for Change { place, id, to } in &outcome.changes {
            let entry = match to {
                To::Set(word) => Entry::Is(Datum::Word(*word)),
                To::Add(delta) => Entry::Add(*delta),
            };
            write(self.find(place, *id), entry);
        }
        for (key, op) in &outcome.writes {
            let entry = match op {
                Op::Put(value) => Entry::Is(Datum::Bytes(Some(value.clone()))),
                Op::Delete => Entry::Is(Datum::Bytes(None)),
                Op::Add(delta) => Entry::Add(*delta),
            };
            write(self.locate(key), entry);
        }
        for loc in old {
            let track = loc.trail().track(self.heap());
            if track.is_some_and(|track| track.remove_other(self.heap(), writer, by.1)) {
                self.disturb(writer, loc);
            }
        }
        *written = Written {
            locs: new,
            run: by.1,
            late,
        };
    }
    /// Makes the changes of a committed outcome that settle late; `late` says whether any of its writes do.
    pub(crate) fn settle_late<T>(
        &self,
        index: TxIndex,
        outcome: &Outcome<T>,
        late: bool,
    ) -> Result<(), ExecError> {
        let mut side = self.side.lock();
        for Change { place, id, to } in outcome.changes.iter().filter(|_| late) {
            let Place::Balance(who) = place else { continue };
            if self.account_by_id(*id, who).deferred {
                side.change(&self.base, self.layout, place, to)?;
            }
        }
        for (key, op) in outcome.writes.iter().filter(|_| late) {
            if self.locate(key).deferred() {
                side.write(&self.base, key, op)?;
            }
        }
        for deferral in &outcome.deferred {
            side.defer(&self.base, self.deferred, index, deferral)?;
        }
        Ok(())
    }
    /// What those in front of `end` changed, all of them being committed.
    pub(crate) fn committed(&self, end: TxIndex) -> Result<Fold, StateError> {
        let mut fold = std::mem::take(&mut *self.side.lock());
        for loc in self.store.each() {
            if let Some(value) = self.site(loc).settled(end)? {
                fold.set(loc.key(self.layout), value);
            }
        }
        Ok(fold)
    }
    /// Folds each location's versions in front of `end` into what they leave together. The error, if any, is the
    /// first one that a serial run would have met.
    pub(crate) fn fold(&self, end: TxIndex) -> Result<(), StateError> {
        let mut errors = FoldErrors::new();
        self.fold_part(end, (0, 1), &mut errors);
        errors.into_values().next().map_or(Ok(()), Err)
    }
    /// Does the `part`th of so many parts of that.
    pub(crate) fn fold_part(&self, end: TxIndex, part: (u32, u32), errors: &mut FoldErrors) {
        for loc in self.store.part(part) {
            if let Err((index, error)) = self.site(loc).fold(end) {
                errors.insert((index, loc.key(self.layout)), error);
            }
        }
    }
}

/// Why versions cannot be folded, by transaction and key.
pub(crate) type FoldErrors = BTreeMap<(TxIndex, Key), StateError>;

/// The locations that hold a version of a transaction, and which of its runs left them.
#[derive(Debug, Default)]
pub(crate) struct Written<'a> {
    pub(crate) locs: Vec<Loc<'a>>,
    pub(crate) run: u16,
    /// Whether that run also changed what settles late.
    pub(crate) late: bool,
}

impl<'a> Written<'a> {
    /// Where a write is expected.
    pub(crate) fn expected(locs: Vec<Loc<'a>>) -> Self {
        Self {
            locs,
            run: 0,
            late: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::{Delta, MemoryState, StoreId, Value, WriteSet};

    const STORE: StoreId = StoreId::new("t");

    fn check(base: &MemoryState, test: impl FnOnce(Cells<'_>)) {
        let (store, deferred) = (Store::new(4), DeferredKeys::default());
        test(Cells::new(&store, base, None, &deferred, 16));
    }
    fn key(n: u32) -> Key {
        Key::new(STORE, &[&n.to_be_bytes()])
    }
    fn outcome(writes: impl IntoIterator<Item = (u32, Op)>) -> Outcome<()> {
        let writes: WriteSet = writes.into_iter().map(|(n, op)| (key(n), op)).collect();
        Outcome {
            writes,
            ..Outcome::default()
        }
    }
    fn plus(n: u64) -> Op {
        Op::Add(Delta::plus(U256::from(n)))
    }
    fn minus(n: u64) -> Op {
        Op::Add(Delta::minus(U256::from(n)))
    }
    fn read(cells: &Cells<'_>, n: u32, reader: TxIndex) -> Result<Option<Value>, TxIndex> {
        cells.site(cells.locate(&key(n))).read_bytes(reader).unwrap()
    }
    fn text(text: &str) -> Result<Option<Value>, TxIndex> {
        Ok(Some(Value::copy_from_slice(text.as_bytes())))
    }

    #[test]
    fn keys_with_one_hash_are_two_cells() {
        check(&MemoryState::default(), |cells| {
            let id = |key: &Key| cells.locate_hashed(7, key).id().1;
            for n in 0..50 {
                assert_eq!(id(&key(n)), n);
            }
            assert_eq!(id(&key(3)), 3);
            // The same bytes in another store, and longer ones than a key holds inline, are other keys.
            assert_eq!(id(&Key::new(StoreId::new("u"), &[&3u32.to_be_bytes()])), 50);
            let (long, longer) = (Key::new(STORE, &[&[1; 100]]), Key::new(STORE, &[&[1; 101]]));
            assert_ne!(id(&long), id(&longer));
        });
    }

    #[test]
    fn hashes_differ_from_block_to_block() {
        let base = MemoryState::default();
        check(&base, |one| {
            check(&base, |other| assert_ne!(one.hash(&key(1)), other.hash(&key(1))));
        });
    }

    #[test]
    fn a_reader_sees_what_stands_in_front_of_it_and_nothing_else() {
        let base = MemoryState([(key(1), Value::from("7"))].into());
        check(&base, |cells| {
            let mut by = BTreeMap::<TxIndex, Written<'_>>::new();
            let mut write = |writer, op: Option<Op>| {
                cells.publish(
                    writer,
                    &outcome(op.map(|op| (1, op))),
                    by.entry(writer).or_default(),
                );
            };
            assert_eq!(read(&cells, 1, 9), text("7"));
            write(5, Some(plus(3)));
            write(2, Some(plus(1)));
            assert_eq!(read(&cells, 1, 2), text("7"));
            assert_eq!(read(&cells, 1, 3), text("8"));
            assert_eq!(read(&cells, 1, 6), text("11"));
            write(4, Some(Op::Put("100".into())));
            assert_eq!(read(&cells, 1, 4), text("8"));
            assert_eq!(read(&cells, 1, 6), text("103"));
            write(3, Some(Op::Delete));
            assert_eq!(read(&cells, 1, 4), Ok(None));
            write(4, None);
            assert_eq!(read(&cells, 1, 6), text("3"));
        });
    }

    #[test]
    fn a_reader_is_blocked_by_the_nearest_estimate_it_needs() {
        check(&MemoryState::default(), |cells| {
            let loc = cells.locate(&key(1));
            [1, 3].iter().for_each(|writer| cells.declare(*writer, loc));
            let mut written = Written::expected(vec![loc]);
            assert_eq!(read(&cells, 1, 1), Ok(None));
            assert_eq!(read(&cells, 1, 5), Err(3));
            cells.publish(3, &outcome([(1, plus(1))]), &mut written);
            assert_eq!(read(&cells, 1, 5), Err(1), "an add needs what lies under it");
            let guess = cells.site(loc).read_word(5, true);
            assert_eq!(guess, Ok(Ok(U256::from(1))), "a guess does not wait");
            cells.publish(3, &outcome([(1, Op::Put("1".into()))]), &mut written);
            assert_eq!(read(&cells, 1, 5), text("1"), "a put does not");
            cells.estimate(3, &written);
            assert_eq!(read(&cells, 1, 5), Err(3));
        });
    }

    #[test]
    fn an_amount_below_zero_is_an_error_even_if_a_later_add_mends_it() {
        let base = MemoryState([(key(1), Value::from("7")), (key(2), Value::from("7"))].into());
        check(&base, |cells| {
            let range = |n| StateError::Range { key: key(n) };
            cells.publish(
                1,
                &outcome([(1, minus(8)), (2, minus(7))]),
                &mut Written::default(),
            );
            cells.publish(2, &outcome([(1, plus(8)), (2, plus(8))]), &mut Written::default());
            assert_eq!(cells.site(cells.locate(&key(1))).read_bytes(3), Err(range(1)));
            assert_eq!(read(&cells, 2, 2), Ok(None));
            assert_eq!(cells.fold(9), Err(range(1)));
            let loc = cells.locate(&key(2));
            assert_eq!(cells.site(loc).settled(9), Ok(Some(Some("8".into()))));
        });
    }

    #[test]
    fn many_writers_of_one_key_leave_the_right_sum() {
        let base = MemoryState([(key(1), Value::from("7"))].into());
        check(&base, |cells| {
            for writer in 0..1000 {
                cells.head.store(writer, Ordering::Relaxed);
                cells.publish(writer, &outcome([(1, plus(2))]), &mut Written::default());
                let seen = read(&cells, 1, writer + 1);
                assert_eq!(seen, text(&(7 + 2 * (writer + 1)).to_string()));
            }
        });
    }

    #[test]
    fn a_run_leaves_versions_only_where_it_wrote() {
        check(&MemoryState::default(), |cells| {
            let writes = |keys: &[u32]| outcome(keys.iter().map(|n| (*n, Op::Put(Value::from("x")))));
            let seen = |n: u32| read(&cells, n, 9);
            let mut written = Written::expected([1, 2, 5].map(|n| cells.locate(&key(n))).into());
            written.locs.iter().for_each(|loc| cells.declare(4, *loc));
            assert_eq!([1, 2, 5].map(seen), [4, 4, 4].map(Err));
            cells.publish(4, &writes(&[0, 2, 6]), &mut written);
            // The index opens half way, and knows what was written before and after.
            cells.open_index();
            cells.publish(4, &writes(&[0, 2, 6, 7]), &mut written);
            cells.publish(4, &writes(&[0, 2, 6]), &mut written);
            let (x, none) = (|| text("x"), || Ok(None));
            assert_eq!([0, 1, 2, 5, 6].map(seen), [x(), none(), x(), none(), x()]);
            cells.publish(4, &writes(&[5]), &mut written);
            assert_eq!([0, 1, 2, 5, 6].map(seen), [none(), none(), none(), x(), none()]);
            cells.publish(4, &writes(&[]), &mut written);
            assert_eq!(seen(5), Ok(None));
            let range = KeyRange::prefix(STORE, &[0]).descending();
            let found: Vec<_> = cells.written_in(&range).iter().map(|loc| loc.key(None)).collect();
            assert_eq!(found, [7, 6, 5, 2, 0].map(key), "1 was left before");
        });
    }
}
