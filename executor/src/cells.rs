//! All locations that a block touches: found by key, and in key order those that are written.
use crate::DeferredKeys;
use crate::cell::{Cell, Mark};
use hashbrown::HashTable;
use parking_lot::RwLock;
use state::{Key, KeyRange, Op, StateError, StateScan, TxIndex, WriteSet};
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Cells of the first chunk; each next chunk doubles.
const FIRST_CHUNK: u32 = 64;
/// Chunks of 64, 128, …: together they hold 2³² − 64 cells, which no block can fill.
const CHUNKS: usize = 26;

/// Where a block's cells live: they never move, so a reference to one is all a read or a write has to keep.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    chunks: [OnceLock<Box<[OnceLock<Cell>]>>; CHUNKS],
    len: AtomicU32,
}

impl Arena {
    fn alloc(&self, make: impl FnOnce(u32) -> Cell) -> &Cell {
        let id = self.len.fetch_add(1, Ordering::Relaxed);
        let (chunk, at) = Self::place(id);
        let size = (FIRST_CHUNK as usize) << chunk;
        let slots = self.chunks[chunk].get_or_init(|| (0..size).map(|_| OnceLock::new()).collect());
        slots[at].get_or_init(|| make(id))
    }
    fn place(id: u32) -> (usize, usize) {
        let chunk = (id / FIRST_CHUNK + 1).ilog2();
        (chunk as usize, (id - FIRST_CHUNK * ((1 << chunk) - 1)) as usize)
    }
    /// All cells, once no one makes any.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Cell> {
        (0..self.len.load(Ordering::Acquire)).filter_map(|id| {
            let (chunk, at) = Self::place(id);
            self.chunks[chunk].get()?[at].get()
        })
    }
}

/// The cells of a block.
pub(crate) struct Cells<'a> {
    arena: &'a Arena,
    shards: Box<[Shard<'a>]>,
    /// Seeded afresh, so that nobody can choose keys that collide.
    hasher: foldhash::quality::RandomState,
    /// State at block start.
    pub(crate) base: &'a (dyn StateScan + Sync),
    /// Keys that settle late.
    pub(crate) deferred: &'a DeferredKeys,
    /// Whether writers tell the ordered index. They begin to when someone first scans: many blocks have no scan.
    ordered: AtomicBool,
    /// Set once the index knows the cells written before that.
    opened: OnceLock<()>,
}

#[derive(Default)]
struct Shard<'a> {
    table: RwLock<HashTable<&'a Cell>>,
    /// The cells that someone writes: what a scan must look at beside the base.
    index: RwLock<BTreeMap<&'a Key, &'a Cell>>,
}

impl<'a> Cells<'a> {
    /// No cells yet, for `workers` threads.
    pub(crate) fn new(
        arena: &'a Arena,
        base: &'a (dyn StateScan + Sync),
        deferred: &'a DeferredKeys,
        workers: usize,
    ) -> Self {
        // Eight locks a worker: two workers seldom want the same one.
        let shards = (0..(8 * workers).next_power_of_two())
            .map(|_| Shard::default())
            .collect();
        Self {
            arena,
            shards,
            hasher: foldhash::quality::RandomState::default(),
            base,
            deferred,
            ordered: AtomicBool::new(false),
            opened: OnceLock::new(),
        }
    }
    /// The key's hash in this block.
    pub(crate) fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key)
    }
    fn shard(&self, hash: u64) -> &Shard<'a> {
        // The table itself uses the lowest and the highest bits.
        &self.shards[(hash >> 32) as usize & (self.shards.len() - 1)]
    }
    /// The cell of `key`, made on first sight.
    pub(crate) fn locate(&self, key: &Key) -> &'a Cell {
        self.locate_hashed(self.hash(key), key)
    }
    /// The same, where the hash is at hand.
    pub(crate) fn locate_hashed(&self, hash: u64, key: &Key) -> &'a Cell {
        let shard = self.shard(hash);
        // Full keys are compared: two keys with one hash are two cells.
        let same = |cell: &&Cell| cell.key == *key;
        if let Some(cell) = shard.table.read().find(hash, same) {
            return cell;
        }
        let mut table = shard.table.write();
        if let Some(cell) = table.find(hash, same) {
            return cell;
        }
        let cell = self
            .arena
            .alloc(|id| Cell::new(id, hash, key.clone(), self.deferred.contains(key)));
        table.insert_unique(hash, cell, |cell| cell.hash);
        cell
    }
    /// Tells the ordered index of `cell`, where there is one. Under the cell's lock.
    fn index(&self, cell: &'a Cell) -> bool {
        let ordered = self.ordered.load(Ordering::Acquire);
        if ordered {
            self.shard(cell.hash).index.write().insert(&cell.key, cell);
        }
        ordered
    }
    /// Opens the ordered index. A write is in it whether it comes before or after: of a writer and this walk, whoever
    /// has the cell's lock second sees what the first did, a version or the flag; and a cell that the walk over its
    /// shard does not meet was made after the flag was set.
    pub(crate) fn open_index(&self) {
        self.opened.get_or_init(|| {
            self.ordered.store(true, Ordering::Release);
            for shard in &self.shards {
                let cells: Vec<_> = shard.table.read().iter().copied().collect();
                cells.into_iter().for_each(|cell| cell.index(|| self.index(cell)));
            }
        });
    }
    /// Announces a write of `writer` to `cell`.
    pub(crate) fn declare(&self, writer: TxIndex, cell: &'a Cell) {
        cell.mark(writer, &Mark::Declare, || self.index(cell));
    }
    /// The written cells of `range`, in its order.
    pub(crate) fn written_in(&self, range: &KeyRange) -> Vec<&'a Cell> {
        self.open_index();
        let mut found = Vec::new();
        for shard in &self.shards {
            found.extend(
                shard
                    .index
                    .read()
                    .range::<Key, _>(range.bounds())
                    .map(|(_, cell)| *cell),
            );
        }
        found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        if range.descending {
            found.reverse();
        }
        found
    }
    /// The cells of `writes`, one each, in order; `known` is a guess at them.
    fn cells_of(&self, writes: &WriteSet, known: &[&'a Cell]) -> Option<Vec<&'a Cell>> {
        let right = known.len() == writes.len()
            && known
                .iter()
                .zip(writes.keys())
                .all(|(cell, key)| cell.key == *key);
        (!right).then(|| writes.keys().map(|key| self.locate(key)).collect())
    }
    /// Shows what a run of `writer` wrote to those behind it. `written`, in key order, are the cells that have a version
    /// of `writer`: those of its last run or those declared before, and afterwards those of this run.
    pub(crate) fn publish(&self, writer: TxIndex, writes: &WriteSet, written: &mut Vec<&'a Cell>) {
        let cells = self.cells_of(writes, written);
        for (cell, op) in cells.as_ref().unwrap_or(written).iter().zip(writes.values()) {
            if !cell.deferred {
                cell.mark(writer, &Mark::Write(op), || self.index(cell));
            }
        }
        self.replace(writer, cells, written);
    }
    /// Commits what `writer` wrote; what goes to deferred keys is left to `side`. `written` is as for `publish`.
    pub(crate) fn commit(
        &self,
        writer: TxIndex,
        writes: &WriteSet,
        mut written: Vec<&'a Cell>,
        side: &mut dyn FnMut(&Key, &Op) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let cells = self.cells_of(writes, &written);
        for (cell, (key, op)) in cells.as_ref().unwrap_or(&written).iter().zip(writes) {
            if cell.deferred {
                side(key, op)?;
            } else {
                cell.settle(writer, op, &self.base, || self.index(cell))?;
            }
        }
        self.replace(writer, cells, &mut written);
        Ok(())
    }
    /// Drops the versions of `written` that are not in `cells`, and makes `cells` the written ones.
    fn replace(&self, writer: TxIndex, cells: Option<Vec<&'a Cell>>, written: &mut Vec<&'a Cell>) {
        let Some(cells) = cells else { return };
        let mut kept = cells.iter().peekable();
        for old in written.iter() {
            while kept.next_if(|cell| cell.key < old.key).is_some() {}
            if kept.peek().is_none_or(|cell| cell.key != old.key) {
                old.remove(writer);
            }
        }
        *written = cells;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Seen;
    use state::{EmptyState, StoreId, Value};

    const STORE: StoreId = StoreId::new("t");

    fn check(test: impl FnOnce(Cells<'_>)) {
        let (arena, deferred) = (Arena::default(), DeferredKeys::default());
        test(Cells::new(&arena, &EmptyState, &deferred, 2));
    }
    fn key(n: u32) -> Key {
        Key::new(STORE, &[&n.to_be_bytes()])
    }

    #[test]
    fn keys_with_one_hash_are_two_cells() {
        check(|cells| {
            for n in 0..500 {
                assert_eq!(cells.locate_hashed(7, &key(n)).key, key(n));
            }
            assert_eq!(cells.locate_hashed(7, &key(3)).id, 3);
            assert_eq!(cells.arena.iter().count(), 500);
            // The same bytes in another store, and longer ones than a key holds inline, are other keys.
            assert_eq!(
                cells
                    .locate_hashed(7, &Key::new(StoreId::new("u"), &[&3u32.to_be_bytes()]))
                    .id,
                500
            );
            let (long, longer) = (Key::new(STORE, &[&[1; 100]]), Key::new(STORE, &[&[1; 101]]));
            assert_ne!(
                cells.locate_hashed(7, &long).id,
                cells.locate_hashed(7, &longer).id
            );
        });
    }

    #[test]
    fn hashes_differ_from_block_to_block() {
        check(|one| check(|other| assert_ne!(one.hash(&key(1)), other.hash(&key(1)))));
    }

    #[test]
    fn threads_agree_on_the_cell_of_a_key() {
        check(|cells| {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..1000).for_each(|n| assert_eq!(cells.locate(&key(n)).key, key(n))));
                }
            });
            assert_eq!(cells.arena.iter().count(), 1000);
        });
    }

    #[test]
    fn a_run_leaves_versions_only_where_it_wrote() {
        check(|cells| {
            let writes = |keys: &[u32]| {
                keys.iter()
                    .map(|n| (key(*n), Op::Put(Value::from("x"))))
                    .collect::<WriteSet>()
            };
            let seen = |n| cells.locate(&key(n)).read(9, &EmptyState).unwrap();
            let mut written: Vec<_> = [1, 2, 5].map(|n| cells.locate(&key(n))).into();
            written.iter().for_each(|cell| cells.declare(4, cell));
            assert_eq!([1, 2, 5].map(seen), [4, 4, 4].map(Seen::Blocked));
            cells.publish(4, &writes(&[0, 2, 6]), &mut written);
            // The index opens half way, and knows what was written before and after.
            cells.open_index();
            cells.publish(4, &writes(&[0, 2, 6, 7]), &mut written);
            cells.publish(4, &writes(&[0, 2, 6]), &mut written);
            let x = || Seen::Value(Some("x".into()));
            assert_eq!([0, 1, 2, 5, 6].map(seen), [x(), Seen::Base, x(), Seen::Base, x()]);
            cells.publish(4, &writes(&[5]), &mut written);
            assert_eq!(
                [0, 1, 2, 5, 6].map(seen),
                [Seen::Base, Seen::Base, Seen::Base, x(), Seen::Base]
            );
            cells
                .commit(4, &writes(&[]), written, &mut |_, _| Ok(()))
                .unwrap();
            assert_eq!(seen(5), Seen::Base);
            let range = KeyRange::prefix(STORE, &[0]).descending();
            let found: Vec<_> = cells
                .written_in(&range)
                .iter()
                .map(|cell| cell.key.clone())
                .collect();
            assert_eq!(found, [7, 6, 5, 2, 0].map(key), "1 was left before");
        });
    }
}
