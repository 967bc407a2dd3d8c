//! Where the newest version's leaves lie, by key: a read that walks no tree.
//!
//! Staging never touches the index; publishing a version does, before readers see it. So it may be ahead of a reader. A
//! hit counts only if the leaf is no newer than the reader's version: then it has not changed since, and the reader's
//! version pins it. A miss counts only if the index is at the reader's own version. In all other cases the reader walks
//! its tree.
use super::arena::{Arena, NIL, Place};
use super::hash::WINDOW;
use super::pin::Pinned;
use super::table::{Table, Writer};
use foldhash::quality::RandomState;
use parking_lot::Mutex;
use rayon::prelude::*;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// From twice this many moves on, they are shared among cores: 25 µs of looking up, more than sharing costs.
const SHARE: usize = 1024;

/// A key's entry in the version before, and in this one (`Record::entry`); `NIL` where there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) old: u32,
    pub(super) new: u32,
    /// The key's hash, where the store had an index by then.
    pub(super) hash: Option<u64>,
}

impl Move {
    pub(super) fn of(arena: &Arena, key: &[u8], old: u32, new: u32) -> Self {
        let hash = arena.index.get().map(|index| index.random.hash_one(key));
        Self { old, new, hash }
    }
}

/// The newest published version's leaves.
pub(super) struct Index {
    /// It decides no result, only where an entry lies: keys are chosen by strangers.
    random: RandomState,
    table: Table,
    writer: Mutex<Writer>,
    bytes: AtomicU64,
}

/// What the index says.
pub(super) enum Answer {
    Value(Place),
    Absent,
    Unknown,
}

impl Index {
    fn new() -> Self {
        Self {
            random: RandomState::default(),
            table: Table::new(),
            writer: Mutex::default(),
            bytes: AtomicU64::new(0),
        }
    }
    /// The value of `key` for a reader of `pinned`.
    pub(super) fn find(&self, pinned: &Pinned, key: &[u8]) -> Answer {
        let at = pinned.indexed.load(Acquire);
        if at == 0 || self.table.at() < at {
            return Answer::Unknown;
        }
        let quiet = self.table.quiet(at);
        let arena = &pinned.arena;
        let found = self.table.find(self.random.hash_one(key), |entry| {
            // A newer leaf may be on its way out, and another on its way in: it is not looked at any further.
            let (version, record) = arena.entry(entry);
            version <= pinned.version && arena.same(key, record.key)
        });
        match found {
            Some(entry) => Answer::Value(arena.entry(entry).1.value),
            None if quiet.is_some() && self.table.quiet(at) == quiet => Answer::Absent,
            None => Answer::Unknown,
        }
    }
    /// Bytes of memory.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
    /// Takes in a version's changes. The caller publishes one at a time.
    pub(super) fn take(&self, pinned: &Pinned, moves: &[Move]) {
        let mut writer = self.writer.lock();
        self.table.begin();
        let rest: Vec<_> = if moves.len() < 2 * SHARE {
            self.replace(&pinned.arena, moves)
        } else {
            let parts = moves.par_chunks(SHARE);
            parts
                .flat_map_iter(|moves| self.replace(&pinned.arena, moves))
                .collect()
        };
        for (hash, Move { old, new, .. }) in rest {
            self.table.change(&mut writer, hash, old, new);
        }
        let at = self.table.at() + 1;
        self.table.end(at);
        self.bytes.store(self.table.bytes(&writer), Relaxed);
        pinned.indexed.store(at, Release);
    }
    /// Takes in the moves that put an entry in another's place, which many can do at once. Returns the others, in order,
    /// with those whose turn has not come: a work may have changed a key more than once.
    fn replace(&self, arena: &Arena, moves: &[Move]) -> Vec<(u64, Move)> {
        let mut rest = Vec::new();
        for moves in moves.chunks(WINDOW) {
            let hashes = self.hashes(arena, moves);
            black_box(hashes.iter().fold(0, |sum, hash| sum ^ self.table.touch(*hash)));
            for (m, hash) in moves.iter().zip(hashes) {
                let both = m.old != NIL && m.new != NIL;
                if !(both && self.table.replace(hash, m.old, m.new)) {
                    rest.push((hash, *m));
                }
            }
        }
        rest
    }
    /// The hashes of at most `WINDOW` keys.
    fn hashes(&self, arena: &Arena, moves: &[Move]) -> [u64; WINDOW] {
        let mut hashes = [0; WINDOW];
        let entry = |m: &Move| if m.new == NIL { m.old } else { m.new };
        let unknown = moves.iter().filter(|m| m.hash.is_none());
        unknown.for_each(|m| arena.touch_entry(entry(m)));
        for (hash, m) in hashes.iter_mut().zip(moves) {
            let read = || {
                let (_, record) = arena.entry(entry(m));
                self.random.hash_one(&arena.read(record.key)[..])
            };
            *hash = m.hash.unwrap_or_else(read);
        }
        hashes
    }
}

impl Pinned {
    /// Makes this the version that the index is of. Versions are published one at a time, each made from the one
    /// before.
    pub(super) fn publish(&self) {
        if self.indexed.load(Acquire) > 0 {
            return;
        }
        let base = self.base_indexed();
        self.join();
        let moves = std::mem::take(&mut *self.moves.lock());
        match self.arena.index.get() {
            // Beside the line of published versions: its readers walk.
            Some(index) if base.is_some_and(|at| at != index.table.at()) => {}
            Some(index) => index.take(self, &moves),
            None => {
                let mut all = Vec::new();
                leaves(&self.arena, self.root, &mut all);
                let index = self.arena.index.get_or_init(Index::new);
                index.table.reserve(all.len() as u64);
                index.take(self, &all);
            }
        }
    }
}

fn leaves(arena: &Arena, id: u32, into: &mut Vec<Move>) {
    if id == NIL {
        return;
    }
    let node = arena.node(id);
    if node.is_leaf() {
        into.push(Move {
            old: NIL,
            new: node.record().entry(id),
            hash: None,
        });
    } else {
        leaves(arena, node.left, into);
        leaves(arena, node.right, into);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tree;
    use state::Value;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;

    fn block(version: u64) -> BTreeMap<[u8; 8], Option<Value>> {
        let value =
            |n: u64| (!(n + version).is_multiple_of(5)).then(|| Value::from(format!("{n} at {version}")));
        (0..400)
            .map(|i| (i * version) % 997)
            .map(|n| (n.to_be_bytes(), value(n)))
            .collect()
    }

    #[test]
    fn readers_of_old_and_new_versions_agree_with_a_map_while_blocks_are_published() {
        let stop = Arc::new(AtomicBool::new(false));
        let newest = Arc::new(parking_lot::RwLock::new((Tree::new(), BTreeMap::new())));
        let read = |seed: u64| {
            let (stop, newest) = (Arc::clone(&stop), Arc::clone(&newest));
            std::thread::spawn(move || {
                let mut reads = 0;
                while !stop.load(Relaxed) {
                    let (tree, model) = newest.read().clone();
                    for i in 0..2000 {
                        let key = ((i * 31 + seed) % 997).to_be_bytes();
                        assert_eq!(tree.get(&key).as_ref(), model.get(&key), "key {key:?}");
                        reads += 1;
                    }
                }
                reads
            })
        };
        let readers: Vec<_> = (0..3).map(read).collect();
        let (mut tree, mut model) = (Tree::new(), BTreeMap::new());
        for version in 1..=150 {
            let block = block(version);
            let changes: Vec<_> = block.iter().map(|(k, v)| (&k[..], v.clone())).collect();
            // Staged and forgotten.
            let mut other = tree.clone();
            other.apply(&changes[..changes.len() / 3], version);
            tree.apply(&changes, version);
            for (key, value) in block {
                match value {
                    Some(value) => model.insert(key, value),
                    None => model.remove(&key),
                };
            }
            // What is staged is read by walking: the index is not there yet.
            assert!(
                model
                    .iter()
                    .all(|(key, value)| tree.get(key).as_ref() == Some(value))
            );
            tree.publish();
            assert!((0..997_u64).all(|n| tree.get(&n.to_be_bytes()) == model.get(&n.to_be_bytes()).cloned()));
            assert!(other.size() <= 997);
            *newest.write() = (tree.clone(), model.clone());
        }
        stop.store(true, Relaxed);
        let reads: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        assert!(reads > 0);
    }

    #[test]
    fn a_version_published_beside_the_others_is_read_by_walking() {
        let set = |tree: &Tree, text: &str, version: u64| {
            let mut next = tree.clone();
            next.apply(&[(b"k", Some(Value::from(text.to_owned())))], version);
            next.publish();
            next
        };
        let first = set(&Tree::new(), "1", 1);
        let second = set(&first, "2", 2);
        let beside = set(&first, "beside", 2);
        let third = set(&second, "3", 3);
        let after = set(&beside, "after", 3);
        for (tree, text) in [
            (&first, "1"),
            (&second, "2"),
            (&beside, "beside"),
            (&third, "3"),
            (&after, "after"),
        ] {
            assert_eq!(tree.get(b"k").unwrap(), text);
            assert_eq!(tree.get(b"absent"), None);
        }
    }

    #[test]
    fn an_old_version_is_read_while_later_ones_expire_and_their_memory_is_used_again() {
        let name = |n: u64| [&n.to_be_bytes()[..], &vec![7; (n % 4) as usize * 20]].concat();
        let value = |n: u64, version: u64| -> Value {
            let len = if n % 50 == 3 { 5000 } else { (n * 7 + version) % 90 };
            vec![(n + version) as u8; len as usize].into()
        };
        let (mut tree, mut model) = (Tree::new(), BTreeMap::new());
        let mut advance = |tree: &mut Tree, version: u64| {
            let touched = (0..600).filter(|n: &u64| !(n * 13 + version).is_multiple_of(3));
            let block: BTreeMap<_, _> = touched
                .map(|n| {
                    (
                        name(n),
                        (!(n + version).is_multiple_of(5)).then(|| value(n, version)),
                    )
                })
                .collect();
            let changes: Vec<_> = block.iter().map(|(k, v)| (&k[..], v.clone())).collect();
            tree.apply(&changes, version);
            tree.publish();
            for (key, value) in block {
                match value {
                    Some(value) => model.insert(key, value),
                    None => model.remove(&key),
                };
            }
            model.clone()
        };
        let mut version = 0;
        for _ in 0..4 {
            let mut old_model = BTreeMap::new();
            for _ in 0..3 {
                version += 1;
                old_model = advance(&mut tree, version);
            }
            let old = tree.clone();
            let stop = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let readers = [0, 1].map(|_| {
                    scope.spawn(|| {
                        let mut rounds = 0;
                        while !stop.load(Relaxed) || rounds == 0 {
                            for n in 0..600 {
                                let key = name(n);
                                assert_eq!(old.get(&key), old_model.get(&key).cloned(), "key {n}");
                            }
                            rounds += 1;
                        }
                    })
                });
                for _ in 0..40 {
                    version += 1;
                    advance(&mut tree, version);
                }
                stop.store(true, Relaxed);
                readers.into_iter().for_each(|reader| reader.join().unwrap());
            });
        }
    }

    #[test]
    fn a_key_takes_at_most_260_bytes_once_nothing_older_is_kept() {
        let keys = 60_000_u64;
        let random = |n: u64, salt: u64| n.wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let key = |n: u64| [1, 2, 3, 4].map(|salt| random(n, salt).to_be_bytes()).concat();
        let value = |n: u64, version: u64| Some(Value::from(vec![(n + version) as u8; 64]));
        let mut tree = Tree::new();
        for version in 1..=8 {
            // Loaded in four blocks, updated in four.
            let range = (version % 4) * keys / 4..(version % 4 + 1) * keys / 4;
            let block: BTreeMap<_, _> = range.map(|n| (key(n), value(n, version))).collect();
            let changes: Vec<_> = block.iter().map(|(k, v)| (&k[..], v.clone())).collect();
            tree.apply(&changes, version);
            tree.publish();
            tree.prepare();
        }
        assert_eq!(tree.size(), keys);
        let usage = tree.usage();
        let each = (usage.total() - usage.free) / keys;
        assert!((240..=260).contains(&each), "{each} bytes a key: {usage:?}");
        assert!(usage.free < usage.nodes, "{usage:?}");
    }
}
