//! Where a tree's nodes, keys and values lie: 64-byte nodes, one cache line each, and a record for each leaf: a word with
//! its version and lengths, its key, its value. The index points to records, so a read looks at nothing else. The inner
//! node that is split by a leaf's key refers to the key in the leaf's record: it is on the path to the leaf, so it is
//! remade whenever the leaf is.
//!
//! Every cell is an atomic word, read and written relaxed, which costs no more than plain memory and needs no unsafe
//! code. A node is written by the block that makes it, before its version can be seen, and not again while a version
//! that uses it is pinned (`pin.rs`); the locks through which versions are handed over order the rest.
//!
//! Limits of one store: 2^28 nodes (134 million keys, 16 GiB of nodes), 16 GiB of records up to 4 KiB, and any number of
//! longer ones, which lie outside. [`Arena::room`] says when they come near.
use super::chunks::Chunks;
use super::hash::WINDOW;
use super::index::Index;
use super::node::{Node, Slot};
use super::pin::Line;
use super::space::{BATCH, MAX_BYTES_WORDS, MAX_NODES, MAX_WORDS, Space};
use parking_lot::{Mutex, RwLock};
use state::Value;
use std::cmp::Ordering;
use std::hint::black_box;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// No node.
pub(super) const NIL: u32 = u32::MAX;
/// Set in the place of what lies outside.
const OUTSIDE: u32 = 1 << 31;

/// One store's memory.
pub(super) struct Arena {
    nodes: Chunks<8, MAX_NODES>,
    words: Chunks<1, MAX_BYTES_WORDS>,
    outside: RwLock<Vec<Value>>,
    space: Mutex<Space>,
    pub(super) line: Mutex<Line>,
    pub(super) index: OnceLock<Index>,
}

/// Bytes in an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u32,
    pub(super) len: u32,
}

/// A leaf's key and value in an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: Place,
    pub(super) value: Place,
}

impl Place {
    fn words(self) -> usize {
        self.len.div_ceil(8) as usize
    }
}

impl Record {
    /// How many words it takes, with the one before the key.
    fn words(self) -> usize {
        1 + self.key.words() + self.value.words()
    }
    fn is_outside(self) -> bool {
        self.words() > MAX_WORDS
    }
    /// What the index has of leaf `id`, whose record this is: where the record begins, or the leaf where it lies outside.
    pub(super) fn entry(self, id: u32) -> u32 {
        if self.is_outside() {
            OUTSIDE | id
        } else {
            self.key.at - 1
        }
    }
}

impl Arena {
    pub(super) fn new() -> Self {
        Self {
            nodes: Chunks::new(),
            words: Chunks::new(),
            outside: RwLock::default(),
            space: Mutex::new(Space::new()),
            line: Mutex::default(),
            index: OnceLock::new(),
        }
    }
    pub(super) fn node(&self, id: u32) -> Node {
        self.slot(id).load()
    }
    pub(super) fn slot(&self, id: u32) -> Slot<'_> {
        Slot(self.nodes.get(id))
    }
    /// Asks memory for nodes that will be read soon. Reads that wait for nothing wait together.
    pub(super) fn touch(&self, ids: &[u32]) {
        let sum = ids
            .iter()
            .fold(0, |sum, id| sum ^ self.nodes.get(*id)[0].load(Relaxed));
        black_box(sum);
    }
    /// Asks memory for bytes that will be read soon.
    pub(super) fn touch_bytes(&self, place: Place) {
        if place.at & OUTSIDE == 0 && place.len > 0 {
            black_box(self.words.get(place.at)[0].load(Relaxed));
        }
    }
    /// Has the system hand out the memory that a block like the last one takes.
    pub(super) fn prepare(&self) {
        let [nodes, words] = self.space.lock().ahead();
        self.nodes.prepare(nodes.start, nodes.end);
        self.words.prepare(words.start, words.end);
    }
    /// Nodes and words that can still be made.
    pub(super) fn room(&self) -> (u64, u64) {
        self.space.lock().room()
    }
    /// Bytes of nodes, of keys and values, and how many of both are free to be used again.
    pub(super) fn bytes(&self) -> (u64, u64, u64) {
        self.space.lock().bytes()
    }
    /// Nodes in use: those of all pinned versions.
    #[cfg(test)]
    pub(super) fn live_nodes(&self) -> u64 {
        let space = self.space.lock();
        u64::from(space.next_node) - space.free_nodes.len() as u64
    }
    /// Words of keys and values in use, without what lies outside.
    #[cfg(test)]
    pub(super) fn live_words(&self) -> u64 {
        self.space.lock().live_words()
    }
    /// Some nodes to be used.
    pub(super) fn take_nodes(&self, into: &mut Vec<u32>) {
        let mut space = self.space.lock();
        let free = space.free_nodes.len();
        let first = into.len();
        if free > 0 {
            into.extend(space.free_nodes.drain(free.saturating_sub(BATCH as usize)..));
        } else {
            let first = space.next_node;
            self.nodes.grow(first);
            self.nodes.grow(first + BATCH - 1);
            space.next_node += BATCH;
            into.extend((first..first + BATCH).rev());
            // Never read before: reading it first would have the system map it twice.
            return;
        }
        drop(space);
        self.touch(&into[first..]);
    }
    pub(super) fn give_nodes(&self, ids: &[u32]) {
        if !ids.is_empty() {
            self.space.lock().free_nodes.extend_from_slice(ids);
        }
    }
    /// Makes leaves and their records free again.
    pub(super) fn free_leaves(&self, ids: &[u32]) {
        let mut outside = Vec::new();
        for ids in ids.chunks(WINDOW) {
            self.touch(ids);
            let mut space = self.space.lock();
            for id in ids {
                let record = self.node(*id).record();
                if record.is_outside() {
                    outside.extend([record.key, record.value]);
                } else {
                    space.free(record.key.at - 1, record.words());
                }
            }
            space.free_nodes.extend_from_slice(ids);
        }
        if outside.is_empty() {
            return;
        }
        let mut values = self.outside.write();
        for Place { at, .. } in &outside {
            values[(at & !OUTSIDE) as usize] = Value::new();
        }
        // Whoever reserves holds these two the other way round.
        drop(values);
        let mut space = self.space.lock();
        for Place { at, len } in outside {
            space.outside -= u64::from(len);
            space.free_outside.push(at & !OUTSIDE);
        }
    }
    /// Room for records with keys and values of these lengths.
    pub(super) fn reserve(&self, lens: impl Iterator<Item = (usize, usize)>) -> Vec<Record> {
        let mut space = self.space.lock();
        lens.map(|(key, value)| self.reserve_one(&mut space, key, value))
            .collect()
    }
    fn reserve_one(&self, space: &mut Space, key: usize, value: usize) -> Record {
        let len = |len| u32::try_from(len).expect("lengths are checked where changes come in");
        let place = |len| Place { at: 0, len };
        let mut record = Record {
            key: place(len(key)),
            value: place(len(value)),
        };
        if record.is_outside() {
            for place in [&mut record.key, &mut record.value] {
                space.outside += u64::from(place.len);
                place.at = OUTSIDE | space.free_outside.pop().unwrap_or_else(|| self.grow_outside());
            }
        } else {
            let at = space.take(record.words());
            self.words.grow(at);
            record.key.at = at + 1;
            record.value.at = at + 1 + record.key.words() as u32;
        }
        record
    }
    fn grow_outside(&self) -> u32 {
        let mut outside = self.outside.write();
        outside.push(Value::new());
        outside.len() as u32 - 1
    }
    /// Writes the record where room was reserved for it.
    pub(super) fn fill(&self, record: Record, version: u32, key: &[u8], value: &[u8]) {
        if record.is_outside() {
            let mut outside = self.outside.write();
            for (place, bytes) in [(record.key, key), (record.value, value)] {
                outside[(place.at & !OUTSIDE) as usize] = Value::copy_from_slice(bytes);
            }
            return;
        }
        // At most 4 KiB: both lengths fit 16 bits.
        let first = u64::from(version) << 32 | u64::from(record.key.len) << 16 | u64::from(record.value.len);
        let words = self.words.run(record.key.at - 1, record.words());
        words[0].store(first, Relaxed);
        let (keys, values) = words[1..].split_at(record.key.words());
        for (words, bytes) in [(keys, key), (values, value)] {
            let (whole, rest) = bytes.as_chunks::<8>();
            for (word, bytes) in words.iter().zip(whole) {
                word.store(u64::from_be_bytes(*bytes), Relaxed);
            }
            if !rest.is_empty() {
                words[whole.len()].store(super::node::head(rest), Relaxed);
            }
        }
    }
    pub(super) fn put(&self, version: u32, key: &[u8], value: &[u8]) -> Record {
        let record = self.reserve_one(&mut self.space.lock(), key.len(), value.len());
        self.fill(record, version, key, value);
        record
    }
    /// The version of the leaf behind an entry of the index, and its record. The entry may be out of date: then both
    /// are of something else.
    pub(super) fn entry(&self, entry: u32) -> (u32, Record) {
        if entry & OUTSIDE > 0 {
            let leaf = self.node(entry & !OUTSIDE);
            return (leaf.version, leaf.record());
        }
        let first = self.words.get(entry)[0].load(Relaxed);
        let key = Place {
            at: entry + 1,
            len: (first >> 16) as u32 & 0xffff,
        };
        let value = Place {
            at: key.at + key.words() as u32,
            len: first as u32 & 0xffff,
        };
        ((first >> 32) as u32, Record { key, value })
    }
    /// Asks memory for what is behind an entry of the index.
    pub(super) fn touch_entry(&self, entry: u32) {
        if entry & OUTSIDE == 0 {
            black_box(self.words.get(entry)[0].load(Relaxed));
        }
    }
    /// A copy of the bytes.
    pub(super) fn read(&self, place: Place) -> Vec<u8> {
        let mut out = vec![0; place.len as usize];
        self.copy(place, &mut out);
        out
    }
    /// Copies the bytes to `out`, which has their length.
    pub(super) fn copy(&self, place: Place, out: &mut [u8]) {
        if place.at & OUTSIDE > 0 {
            out.copy_from_slice(&self.outside.read()[(place.at & !OUTSIDE) as usize]);
        } else if place.len > 0 {
            let words = self.words.run(place.at, out.len().div_ceil(8));
            let (whole, rest) = out.as_chunks_mut::<8>();
            for (bytes, word) in whole.iter_mut().zip(words) {
                *bytes = word.load(Relaxed).to_be_bytes();
            }
            if !rest.is_empty() {
                rest.copy_from_slice(&words[whole.len()].load(Relaxed).to_be_bytes()[..rest.len()]);
            }
        }
    }
    /// Whether the bytes are these.
    pub(super) fn same(&self, bytes: &[u8], place: Place) -> bool {
        if bytes.len() != place.len as usize || place.at & OUTSIDE > 0 {
            return place.at & OUTSIDE > 0 && self.outside.read()[(place.at & !OUTSIDE) as usize] == bytes;
        }
        place.len == 0 || {
            let words = self.words.run(place.at, place.words());
            let different =
                |(bytes, word): (&[u8], &AtomicU64)| super::node::head(bytes) ^ word.load(Relaxed);
            bytes.chunks(8).zip(words).map(different).fold(0, |a, b| a | b) == 0
        }
    }
    /// How `key`, whose first bytes are `head`, stands to the node's.
    pub(super) fn order(&self, key: &[u8], head: u64, node: &Node) -> Ordering {
        head.cmp(&node.head)
            .then_with(|| self.order_in_full(key, node.key()))
    }
    fn order_in_full(&self, key: &[u8], place: Place) -> Ordering {
        if place.at & OUTSIDE > 0 {
            return key.cmp(&self.read(place)[..]);
        }
        if place.len == 0 {
            return key.len().cmp(&0);
        }
        // Words are big endian and filled up with zeros: they sort as their bytes do, up to the length.
        let words = self.words.run(place.at, place.words());
        for (word, bytes) in words.iter().zip(key.chunks(8)).skip(1) {
            let order = super::node::head(bytes).cmp(&word.load(Relaxed));
            if order.is_ne() {
                return order;
            }
        }
        key.len().cmp(&(place.len as usize))
    }
    pub(super) fn goes_left(&self, key: &[u8], head: u64, node: &Node) -> bool {
        self.order(key, head, node).is_lt()
    }
}
