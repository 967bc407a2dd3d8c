//! Where the newest version's leaves lie, by key: a read that walks no tree.
//!
//! Staging never touches the index; publishing a version does, before readers see it. So it may be ahead of a reader. A
//! hit counts only if the leaf is no newer than the reader's version: then it has not changed since, and the reader's
//! version pins it. A miss counts only if the index is at the reader's own version. In all other cases the reader walks
//! its tree.
use super::arena::{Arena, NIL};
use super::pin::Pinned;
use foldhash::quality::RandomState;
use hashbrown::HashTable;
use parking_lot::RwLock;
use std::hash::BuildHasher;
use std::sync::atomic::Ordering::{Acquire, Release};

/// Readers on different cores seldom meet, and growing a part takes a moment only.
const SHARDS: usize = 64;

/// A key's leaf in the version before, and in this one; `NIL` where there is none.
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
    shards: Vec<RwLock<Shard>>,
}

#[derive(Default)]
struct Shard {
    /// Counts publications.
    at: u64,
    /// Part of the key's hash, and the leaf.
    leaves: HashTable<(u32, u32)>,
}

/// What the index says.
pub(super) enum Answer {
    Leaf(u32),
    Absent,
    Unknown,
}

/// A table's hash of what is stored of a key's hash.
fn spread(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Index {
    fn new() -> Self {
        Self {
            random: RandomState::default(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
        }
    }
    fn place(hash: u64) -> (usize, u32) {
        ((hash >> 32) as usize % SHARDS, hash as u32)
    }
    /// The leaf of `key` for a reader of `pinned`.
    pub(super) fn find(&self, pinned: &Pinned, key: &[u8], head: u64) -> Answer {
        let at = pinned.indexed.load(Acquire);
        let (shard, tag) = Self::place(self.random.hash_one(key));
        let shard = self.shards[shard].read();
        if at == 0 || shard.at < at {
            return Answer::Unknown;
        }
        let arena = &pinned.arena;
        let same = |(t, id): &(u32, u32)| *t == tag && arena.order(key, head, &arena.node(*id)).is_eq();
        match shard.leaves.find(spread(tag), same) {
            Some((_, id)) if arena.slot(*id).version() <= pinned.version => Answer::Leaf(*id),
            None if shard.at == at => Answer::Absent,
            _ => Answer::Unknown,
        }
    }
    /// Bytes of memory.
    pub(super) fn bytes(&self) -> u64 {
        self.shards
            .iter()
            .map(|shard| shard.read().leaves.allocation_size() as u64)
            .sum()
    }
    /// Takes in a version's changes. The caller publishes one at a time.
    pub(super) fn take(&self, pinned: &Pinned, moves: &[Move]) {
        let arena = &pinned.arena;
        let mut parts: Vec<Vec<(u32, Move)>> = vec![Vec::new(); SHARDS];
        for change in moves {
            let hash = change.hash.unwrap_or_else(|| {
                let id = if change.new == NIL { change.old } else { change.new };
                self.random.hash_one(&arena.read(arena.node(id).key())[..])
            });
            let (shard, tag) = Self::place(hash);
            parts[shard].push((tag, *change));
        }
        let mut at = 0;
        for (shard, part) in self.shards.iter().zip(parts) {
            let mut shard = shard.write();
            shard.at += 1;
            at = shard.at;
            for (tag, Move { old, new, .. }) in part {
                let found = shard
                    .leaves
                    .find_entry(spread(tag), |(_, id)| *id == old && old != NIL);
                match found {
                    Ok(mut entry) if new != NIL => *entry.get_mut() = (tag, new),
                    Ok(entry) => drop(entry.remove()),
                    Err(_) if new != NIL => {
                        shard
                            .leaves
                            .insert_unique(spread(tag), (tag, new), |(tag, _)| spread(*tag));
                    }
                    Err(_) => {}
                }
            }
        }
        pinned.indexed.store(at, Release);
    }
}

impl Pinned {
    /// Makes this the version that the index is of. Versions are published one at a time, each made from the one
    /// before.
    pub(super) fn publish(&self) {
        if self.indexed.load(Acquire) > 0 {
            return;
        }
        self.join();
        let moves = std::mem::take(&mut *self.moves.lock());
        match self.arena.index.get() {
            Some(index) => index.take(self, &moves),
            None => {
                let mut all = Vec::new();
                leaves(&self.arena, self.root, &mut all);
                self.arena.index.get_or_init(Index::new).take(self, &all);
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
            new: id,
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
}
