//! Where a tree's nodes, keys and values lie: 64-byte nodes, one cache line each, and words for keys and values.
//!
//! Every cell is an atomic word, read and written relaxed, which costs no more than plain memory and needs no unsafe
//! code. A node is written by the block that makes it, before its version can be seen, and not again while a version
//! that uses it is pinned (`pin.rs`); the locks through which versions are handed over order the rest.
//!
//! Limits of one store: 2^28 nodes (134 million keys, 16 GiB of nodes), 16 GiB of keys and values up to 4 KiB, and any
//! number of longer ones, which lie outside. [`Arena::room`] says when they come near.
use super::chunks::Chunks;
use super::index::Index;
use super::node::{Node, Slot};
use super::pin::Line;
use parking_lot::{Mutex, RwLock};
use state::Value;
use std::cmp::Ordering;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// No node.
pub(super) const NIL: u32 = u32::MAX;
/// Longer keys and values lie outside the words, by themselves.
const MAX_WORDS: u32 = 512;
/// Set in the place of what lies outside.
const OUTSIDE: u32 = 1 << 31;
/// Bytes never straddle a multiple of this many words, so they lie in one chunk.
const BLOCK: u32 = 1024;
/// How many nodes a task takes at a time.
const BATCH: u32 = 512;
const MAX_NODES: u64 = 1 << 28;
const MAX_BYTES_WORDS: u64 = 1 << 31;

/// One store's memory.
pub(super) struct Arena {
    nodes: Chunks<Slot, 16, MAX_NODES>,
    words: Chunks<AtomicU64, 18, MAX_BYTES_WORDS>,
    outside: RwLock<Vec<Value>>,
    space: Mutex<Space>,
    pub(super) line: Mutex<Line>,
    pub(super) index: OnceLock<Index>,
}

/// What is in use, and what is free again.
struct Space {
    next_node: u32,
    free_nodes: Vec<u32>,
    next_word: u32,
    /// By size in words.
    free_words: Vec<Vec<u32>>,
    free_outside: Vec<u32>,
}

/// Bytes in an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u32,
    pub(super) len: u32,
}

impl Arena {
    pub(super) fn new() -> Self {
        let space = Space {
            next_node: 0,
            free_nodes: Vec::new(),
            next_word: 0,
            free_words: vec![Vec::new(); MAX_WORDS as usize + 1],
            free_outside: Vec::new(),
        };
        Self {
            nodes: Chunks::new(),
            words: Chunks::new(),
            outside: RwLock::default(),
            space: Mutex::new(space),
            line: Mutex::default(),
            index: OnceLock::new(),
        }
    }
    pub(super) fn node(&self, id: u32) -> Node {
        self.nodes.get(id).load()
    }
    pub(super) fn slot(&self, id: u32) -> &Slot {
        self.nodes.get(id)
    }
    /// Nodes and words that can still be made.
    pub(super) fn room(&self) -> (u64, u64) {
        let space = self.space.lock();
        let nodes = MAX_NODES - u64::from(space.next_node) + space.free_nodes.len() as u64;
        (nodes, MAX_BYTES_WORDS - u64::from(space.next_word))
    }
    /// Bytes of memory in use or ready to be used again: nodes, and keys with values.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let outside = self.outside.read().iter().map(|v| v.len() as u64).sum::<u64>();
        let space = self.space.lock();
        (
            u64::from(space.next_node) * 64,
            u64::from(space.next_word) * 8 + outside,
        )
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
        let space = self.space.lock();
        let free: usize = space
            .free_words
            .iter()
            .enumerate()
            .map(|(size, list)| size * list.len())
            .sum();
        u64::from(space.next_word) - free as u64
    }
    /// Some nodes to be used.
    pub(super) fn take_nodes(&self, into: &mut Vec<u32>) {
        let mut space = self.space.lock();
        let free = space.free_nodes.len();
        if free > 0 {
            into.extend(space.free_nodes.drain(free.saturating_sub(BATCH as usize)..));
        } else {
            let first = space.next_node;
            self.nodes.grow(first);
            self.nodes.grow(first + BATCH - 1);
            space.next_node += BATCH;
            into.extend((first..first + BATCH).rev());
        }
    }
    pub(super) fn give_nodes(&self, ids: &[u32]) {
        if !ids.is_empty() {
            self.space.lock().free_nodes.extend_from_slice(ids);
        }
    }
    /// Makes leaves and their values free again, and their keys where `keys` says so.
    pub(super) fn free_leaves(&self, ids: &[u32], keys: impl Fn(&Node) -> bool) {
        if ids.is_empty() {
            return;
        }
        let mut outside = Vec::new();
        let mut space = self.space.lock();
        for id in ids {
            let node = self.node(*id);
            space.free(node.value(), &mut outside);
            if keys(&node) {
                space.free(node.key(), &mut outside);
            }
        }
        space.free_nodes.extend_from_slice(ids);
        drop(space);
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
        let at = if len == 0 {
            0
        } else if size > MAX_WORDS as usize {
            let free = space.free_outside.pop();
            OUTSIDE
                | free.unwrap_or_else(|| {
                    let mut outside = self.outside.write();
                    outside.push(Value::new());
                    outside.len() as u32 - 1
                })
        } else if let Some(at) = space.free_words[size].pop() {
            at
        } else {
            let size = size as u32;
            let mut at = space.next_word;
            if at % BLOCK + size > BLOCK {
                // Less than `size`, so it is a size of its own.
                let left = BLOCK - at % BLOCK;
                space.free_words[left as usize].push(at);
                at += left;
            }
            self.words.grow(at);
            space.next_word = at + size;
            at
        };
        Place { at, len }
    }
    /// Writes `bytes` where room was reserved for them.
    pub(super) fn fill(&self, place: Place, bytes: &[u8]) {
        if place.at & OUTSIDE > 0 {
            self.outside.write()[(place.at & !OUTSIDE) as usize] = Value::copy_from_slice(bytes);
            return;
        }
        for (at, chunk) in (place.at..).zip(bytes.chunks(8)) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.words.get(at).store(u64::from_be_bytes(word), Relaxed);
        }
    }
    pub(super) fn put(&self, bytes: &[u8]) -> Place {
        let place = self.reserve_one(&mut self.space.lock(), bytes.len());
        self.fill(place, bytes);
        place
    }
    /// A copy of the bytes.
    pub(super) fn read(&self, place: Place) -> Vec<u8> {
        if place.at & OUTSIDE > 0 {
            return self.outside.read()[(place.at & !OUTSIDE) as usize].to_vec();
        }
        let mut out = vec![0; place.len as usize];
        for (at, chunk) in (place.at..).zip(out.chunks_mut(8)) {
            let word = self.words.get(at).load(Relaxed).to_be_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        out
    }
    /// How `key`, whose first bytes are `head`, stands to the node's.
    pub(super) fn order(&self, key: &[u8], head: u64, node: &Node) -> Ordering {
        head.cmp(&node.head).then_with(|| {
            let place = node.key();
            if place.at & OUTSIDE > 0 {
                return key.cmp(&self.read(place)[..]);
            }
            // Words are big endian and filled up with zeros: they sort as their bytes do, up to the length.
            for (at, chunk) in (place.at..place.at + place.len.div_ceil(8))
                .zip(key.chunks(8))
                .skip(1)
            {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                let order = u64::from_be_bytes(word).cmp(&self.words.get(at).load(Relaxed));
                if order.is_ne() {
                    return order;
                }
            }
            key.len().cmp(&(place.len as usize))
        })
    }
    pub(super) fn goes_left(&self, key: &[u8], head: u64, node: &Node) -> bool {
        self.order(key, head, node).is_lt()
    }
}

impl Space {
    fn free(&mut self, place: Place, outside: &mut Vec<u32>) {
        if place.at & OUTSIDE > 0 {
            outside.push(place.at & !OUTSIDE);
        } else if place.len > 0 {
            self.free_words[place.len.div_ceil(8) as usize].push(place.at);
        }
    }
}
