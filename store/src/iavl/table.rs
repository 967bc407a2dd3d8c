//! A hash table that grows bucket by bucket and is read without a lock: entries of 32 bits, by their key's hash.
//!
//! Linear hashing (Litwin 1980): of `n` buckets, a hash's lowest bits pick one; adding a bucket divides the entries of
//! one other, so no growth takes longer than the last. A bucket is a cache line of seven entries and a link to a bucket
//! more, for what does not fit.
//!
//! One writer at a time. Readers take no lock: while an entry moves they may miss it, so a miss counts only where
//! nothing was being written ([`Table::quiet`]), and what they find may be gone already: they look at what it points to.
use super::arena::NIL;
use super::chunks::Chunks;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64, fence};

/// Buckets are split when they hold more than so many entries on the average: few then need a bucket more, and an entry
/// takes 13 bytes with everything.
const FULL: u64 = 5;
/// Where a bucket links to the one more.
const LINK: usize = 7;
/// Set in every used word; then 31 bits of the hash, then the entry.
const USED: u64 = 1 << 63;
const ENTRY_BITS: u32 = 32;
const ENTRIES: u64 = (1 << ENTRY_BITS) - 1;
/// Buckets, and as many more: beyond the leaves there can be.
const MAX_BUCKETS: u64 = 1 << 27;

pub(super) struct Table {
    buckets: Chunks<8, MAX_BUCKETS>,
    /// Those linked to.
    more: Chunks<8, MAX_BUCKETS>,
    count: AtomicU32,
    /// How often writing began and ended; odd while it goes on.
    writes: AtomicU64,
    /// What the newest writing made it hold; 0 before the first.
    at: AtomicU64,
}

/// What only the writer looks at.
#[derive(Default)]
pub(super) struct Writer {
    entries: u64,
    more: u32,
    free: Vec<u32>,
}

type Bucket = [AtomicU64; 8];

fn word(hash: u64, entry: u32) -> u64 {
    USED | hash << ENTRY_BITS | u64::from(entry)
}

/// Which of `count` buckets a hash or a word's part of it belongs to.
fn place(hash: u64, count: u32) -> u32 {
    let mask = count.next_power_of_two() - 1;
    let at = hash as u32 & mask;
    if at < count { at } else { at & mask >> 1 }
}

impl Table {
    pub(super) fn new() -> Self {
        let table = Self {
            buckets: Chunks::new(),
            more: Chunks::new(),
            count: AtomicU32::new(1),
            writes: AtomicU64::new(0),
            at: AtomicU64::new(0),
        };
        table.buckets.grow(0);
        table
    }
    /// Of which publication the table is, at least.
    pub(super) fn at(&self) -> u64 {
        self.at.load(Acquire)
    }
    /// A stamp of the table while nothing is written and it is of publication `at`: a miss between two equal ones is
    /// one.
    pub(super) fn quiet(&self, at: u64) -> Option<u64> {
        fence(Acquire);
        let writes = self.writes.load(Acquire);
        (writes.is_multiple_of(2) && self.at.load(Acquire) == at).then_some(writes)
    }
    /// Asks memory for the bucket that will be read soon.
    pub(super) fn touch(&self, hash: u64) -> u64 {
        self.bucket(hash)[LINK].load(Relaxed)
    }
    fn bucket(&self, hash: u64) -> &Bucket {
        self.buckets.get(place(hash, self.count.load(Acquire)))
    }
    fn next(&self, bucket: &Bucket) -> Option<&Bucket> {
        match bucket[LINK].load(Acquire) {
            0 => None,
            link => Some(self.more.get(link as u32 - 1)),
        }
    }
    /// The first entry under `hash` that `is` takes for its own, and is still there after that.
    pub(super) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let want = word(hash, 0);
        let mut bucket = Some(self.bucket(hash));
        while let Some(entries) = bucket {
            let mut same = 0_u32;
            for (i, word) in entries[..LINK].iter().enumerate() {
                same |= u32::from(word.load(Relaxed) & !ENTRIES == want) << i;
            }
            // What the entry's leaf was written with is seen.
            fence(Acquire);
            while same > 0 {
                let word = &entries[same.trailing_zeros() as usize];
                let found = word.load(Acquire);
                let entry = (found & ENTRIES) as u32;
                if found & !ENTRIES == want && is(entry) {
                    fence(Acquire);
                    if word.load(Relaxed) == found {
                        return Some(entry);
                    }
                }
                same &= same - 1;
            }
            bucket = self.next(entries);
        }
        None
    }
    /// Begins writing.
    pub(super) fn begin(&self) {
        self.writes.fetch_add(1, Relaxed);
        fence(Release);
    }
    /// Ends writing: the table is of publication `at`.
    pub(super) fn end(&self, at: u64) {
        self.at.store(at, Release);
        self.writes.fetch_add(1, Release);
    }
    /// Puts `new` in the place of `old`; either may be `NIL`.
    pub(super) fn change(&self, writer: &mut Writer, hash: u64, old: u32, new: u32) {
        if old == NIL {
            if new != NIL {
                self.insert(writer, word(hash, new));
                writer.entries += 1;
                self.split(writer);
            }
            return;
        }
        let place = self.place_of(hash, old);
        let place = place.expect("versions are published one after another: the one before had the entry");
        writer.entries -= u64::from(new == NIL);
        place.store(if new == NIL { 0 } else { word(hash, new) }, Release);
    }
    /// Puts `new` in the place of `old` where that is there. Returns whether it is. Many may do so at once while nobody
    /// else writes.
    pub(super) fn replace(&self, hash: u64, old: u32, new: u32) -> bool {
        let place = self.place_of(hash, old);
        place
            .inspect(|place| place.store(word(hash, new), Release))
            .is_some()
    }
    fn place_of(&self, hash: u64, entry: u32) -> Option<&AtomicU64> {
        let want = word(hash, entry);
        let mut bucket = Some(self.bucket(hash));
        while let Some(entries) = bucket {
            if let Some(place) = entries[..LINK].iter().find(|word| word.load(Relaxed) == want) {
                return Some(place);
            }
            bucket = self.next(entries);
        }
        None
    }
    /// Makes room for `entries` in an empty table.
    pub(super) fn reserve(&self, entries: u64) {
        let count = entries.div_ceil(FULL).clamp(1, MAX_BUCKETS) as u32;
        const STEP: usize = 1 << 10;
        (0..count).step_by(STEP).for_each(|at| self.buckets.grow(at));
        self.buckets.grow(count - 1);
        self.count.store(count, Release);
    }
    fn insert(&self, writer: &mut Writer, new: u64) {
        let mut entries = self.bucket(new >> ENTRY_BITS);
        loop {
            if let Some(word) = entries[..LINK].iter().find(|word| word.load(Relaxed) == 0) {
                return word.store(new, Release);
            }
            match self.next(entries) {
                Some(next) => entries = next,
                None => break,
            }
        }
        let at = writer.free.pop().unwrap_or_else(|| {
            self.more.grow(writer.more);
            writer.more += 1;
            writer.more - 1
        });
        self.more.get(at)[0].store(new, Release);
        entries[LINK].store(u64::from(at) + 1, Release);
    }
    /// Adds a bucket where there are too few.
    fn split(&self, writer: &mut Writer) {
        let count = self.count.load(Relaxed);
        if writer.entries <= u64::from(count) * FULL || u64::from(count) == MAX_BUCKETS {
            return;
        }
        self.buckets.grow(count);
        let from = place(count.into(), count);
        self.count.store(count + 1, Release);
        // All entries are taken out, then put where they belong: readers who miss one walk the tree.
        let mut out = Vec::new();
        let first = self.buckets.get(from);
        let mut bucket = Some(first);
        while let Some(entries) = bucket {
            out.extend(entries[..LINK].iter().map(|word| word.swap(0, Release)));
            bucket = self.next(entries);
            let link = entries[LINK].swap(0, Release);
            if link > 0 {
                writer.free.push(link as u32 - 1);
            }
        }
        for word in out {
            if word > 0 {
                self.insert(writer, word);
            }
        }
    }
    /// Bytes of memory.
    pub(super) fn bytes(&self, writer: &Writer) -> u64 {
        (u64::from(self.count.load(Relaxed)) + u64::from(writer.more)) * 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicBool;

    fn hash(key: u32) -> u64 {
        u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    }
    fn change(table: &Table, writer: &mut Writer, key: u32, old: Option<u32>, new: Option<u32>) {
        table.change(writer, hash(key), old.unwrap_or(NIL), new.unwrap_or(NIL));
    }

    #[test]
    fn entries_are_found_until_they_are_removed_while_the_table_grows() {
        let (table, mut writer, mut model) = (Table::new(), Writer::default(), BTreeMap::new());
        let mut seed = 1_u32;
        for step in 0..200_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = (seed >> 8) % 40_000;
            let old = model.get(&key).copied();
            let new = (seed.is_multiple_of(4) || old.is_none()).then_some(step);
            if let (Some(old), Some(new)) = (old, new) {
                assert!(table.replace(hash(key), old, new));
                assert!(!table.replace(hash(key), old, new), "it is not there any more");
            } else {
                change(&table, &mut writer, key, old, new);
            }
            match new {
                Some(new) => model.insert(key, new),
                None => model.remove(&key),
            };
        }
        for key in 0..40_000 {
            let found = table.find(hash(key), |entry| model.get(&key) == Some(&entry));
            assert_eq!(found, model.get(&key).copied(), "key {key}");
        }
        assert_eq!(writer.entries, model.len() as u64);
        assert!(table.bytes(&writer) > 20_000, "many buckets");
    }

    #[test]
    fn an_entry_takes_few_bytes() {
        let (table, mut writer) = (Table::new(), Writer::default());
        for key in 0..100_000 {
            change(&table, &mut writer, key, None, Some(key));
        }
        let each = table.bytes(&writer) / 100_000;
        assert!((12..=16).contains(&each), "{each} bytes");
    }

    #[test]
    fn readers_find_what_stays_and_trust_a_miss_only_where_nothing_was_written() {
        let (table, stop) = (Table::new(), AtomicBool::new(false));
        let mut writer = Writer::default();
        // Even keys stay; odd ones come and go.
        table.begin();
        (0..2000).for_each(|i| change(&table, &mut writer, i * 2, None, Some(i)));
        table.end(1);
        assert!(table.quiet(1).is_some() && table.quiet(2).is_none());
        std::thread::scope(|scope| {
            let read = || {
                let (mut found, mut missed) = (0_u64, 0_u64);
                while !stop.load(Relaxed) || found == 0 {
                    for i in 0..2000_u32 {
                        let quiet = table.quiet(1);
                        match table.find(hash(i * 2), |entry| entry == i) {
                            Some(_) => found += 1,
                            None if quiet.is_some() && table.quiet(1) == quiet => panic!("{i} is there"),
                            None => missed += 1,
                        }
                    }
                }
                (found, missed)
            };
            let readers = [scope.spawn(read), scope.spawn(read)];
            for round in 0..30 {
                table.begin();
                for i in 0..1500 {
                    let (old, new) = if round % 2 == 0 {
                        (None, Some(i))
                    } else {
                        (Some(i), None)
                    };
                    change(&table, &mut writer, i * 2 + 1 + 4096 * (round / 2), old, new);
                }
                table.end(1);
                std::thread::yield_now();
            }
            stop.store(true, Relaxed);
            for reader in readers {
                assert!(reader.join().unwrap().0 > 0);
            }
        });
    }
}
