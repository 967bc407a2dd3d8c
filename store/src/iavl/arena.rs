//! Where a tree's nodes, keys and values lie: 64-byte nodes, one cache line each, and words for keys and values.
//!
//! Every cell is an atomic word, read and written relaxed, which costs no more than plain memory and needs no unsafe
//! code. A node is written by the block that makes it, before its version can be seen, and not again while a version
//! that uses it is pinned (`pin.rs`); the locks through which versions are handed over order the rest.
//!
//! Limits of one store: 2^28 nodes (134 million keys, 16 GiB of nodes), 16 GiB of keys and values up to 4 KiB, and any
//! number of longer ones, which lie outside. [`Arena::room`] says when they come near.
use super::chunks::Chunks;
use super::hash::WINDOW;
use super::index::Index;
use super::node::{Node, Slot};
use super::pin::Line;
use super::space::{BATCH, Found, MAX_BYTES_WORDS, MAX_NODES, OUTSIDE, Space};
use parking_lot::{Mutex, RwLock};
use state::Value;
use std::cmp::Ordering;
use std::hint::black_box;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

/// No node.
pub(super) const NIL: u32 = u32::MAX;

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
        }
        drop(space);
        self.touch(&into[first..]);
    }
    pub(super) fn give_nodes(&self, ids: &[u32]) {
        if !ids.is_empty() {
            self.space.lock().free_nodes.extend_from_slice(ids);
        }
    }
    /// Makes leaves and their values free again, and their keys where `keys` says so.
    pub(super) fn free_leaves(&self, ids: &[u32], keys: impl Fn(&Node) -> bool) {
        let mut outside = Vec::new();
        for ids in ids.chunks(WINDOW) {
            self.touch(ids);
            let mut space = self.space.lock();
            for id in ids {
                let node = self.node(*id);
                space.free(node.value(), &mut outside);
                if keys(&node) {
                    space.free(node.key(), &mut outside);
                }
            }
            space.free_nodes.extend_from_slice(ids);
        }
        self.clear(outside);
    }
    pub(super) fn free_places(&self, places: &[Place]) {
        let mut outside = Vec::new();
        let mut space = self.space.lock();
        places.iter().for_each(|place| space.free(*place, &mut outside));
        drop(space);
        self.clear(outside);
    }
    /// Frees the memory of what lies outside, then its places.
    fn clear(&self, places: Vec<u32>) {
        if places.is_empty() {
            return;
        }
        let mut outside = self.outside.write();
        places.iter().for_each(|at| outside[*at as usize] = Value::new());
        drop(outside);
        self.space.lock().free_outside.extend(places);
    }
    /// Room for each of these lengths.
    pub(super) fn reserve(&self, lens: impl Iterator<Item = usize>) -> Vec<Place> {
        let mut space = self.space.lock();
        lens.map(|len| self.reserve_one(&mut space, len)).collect()
    }
    fn reserve_one(&self, space: &mut Space, len: usize) -> Place {
        let size = len.div_ceil(8);
        let len = u32::try_from(len).expect("lengths are checked where changes come in");
        if len == 0 {
            return Place { at: 0, len };
        }
        let at = match space.take(size) {
            Found::Words(at) => at,
            Found::New(at) => {
                self.words.grow(at);
                at
            }
            Found::Outside(free) => {
                space.outside += u64::from(len);
                OUTSIDE
                    | free.unwrap_or_else(|| {
                        let mut outside = self.outside.write();
                        outside.push(Value::new());
                        outside.len() as u32 - 1
                    })
            }
        };
        Place { at, len }
    }
    /// Writes `bytes` where room was reserved for them.
    pub(super) fn fill(&self, place: Place, bytes: &[u8]) {
        if place.at & OUTSIDE > 0 {
            self.outside.write()[(place.at & !OUTSIDE) as usize] = Value::copy_from_slice(bytes);
        } else if place.len > 0 {
            let words = self.words.run(place.at, bytes.len().div_ceil(8));
            let (whole, rest) = bytes.as_chunks::<8>();
            for (word, bytes) in words.iter().zip(whole) {
                word.store(u64::from_be_bytes(*bytes), Relaxed);
            }
            if !rest.is_empty() {
                let mut word = [0; 8];
                word[..rest.len()].copy_from_slice(rest);
                words[whole.len()].store(u64::from_be_bytes(word), Relaxed);
            }
        }
    }
    pub(super) fn put(&self, bytes: &[u8]) -> Place {
        let place = self.reserve_one(&mut self.space.lock(), bytes.len());
        self.fill(place, bytes);
        place
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
        let words = self.words.run(place.at, place.len.div_ceil(8) as usize);
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
