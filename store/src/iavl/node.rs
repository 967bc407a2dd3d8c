//! A node of the tree, and how it is packed into a cache line.
use super::arena::{Place, Record};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A node as it lies in memory: hash, first key bytes, children or value, key and height, size and version.
#[derive(Clone, Copy)]
pub(super) struct Slot<'a>(pub(super) &'a [AtomicU64; 8]);

/// Changed since it was last hashed. A dirty node's ancestors are dirty, and one block's work owns them all.
const DIRTY: u64 = 1;

/// A node as it is worked with, without its hash.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Node {
    /// The key's first bytes: most comparisons end here, without a look at the key elsewhere in memory.
    pub(super) head: u64,
    /// A leaf's value lies here.
    pub(super) left: u32,
    /// The length of a leaf's value.
    pub(super) right: u32,
    /// A leaf's key; an inner node's smallest key of the right subtree, which is that leaf's.
    pub(super) key_at: u32,
    pub(super) key_len: u16,
    pub(super) height: u8,
    /// Its hash is yet to be made.
    pub(super) dirty: bool,
    /// How many leaves lie at or below.
    pub(super) size: u32,
    pub(super) version: u32,
}

impl Slot<'_> {
    pub(super) fn load(self) -> Node {
        let [head, link, key, rest] = [4, 5, 6, 7].map(|i| self.0[i].load(Relaxed));
        Node {
            head,
            left: (link >> 32) as u32,
            right: link as u32,
            key_at: (key >> 32) as u32,
            key_len: (key >> 16) as u16,
            height: (key >> 8) as u8,
            dirty: key & DIRTY > 0,
            size: (rest >> 32) as u32,
            version: rest as u32,
        }
    }
    /// Writes all but the hash.
    pub(super) fn store(self, node: &Node) {
        let key = (u64::from(node.key_at) << 32)
            | (u64::from(node.key_len) << 16)
            | (u64::from(node.height) << 8)
            | (u64::from(node.dirty) * DIRTY);
        self.0[4].store(node.head, Relaxed);
        self.0[5].store(u64::from(node.left) << 32 | u64::from(node.right), Relaxed);
        self.0[6].store(key, Relaxed);
        self.0[7].store(u64::from(node.size) << 32 | u64::from(node.version), Relaxed);
    }
    /// Meaningless while the node is dirty.
    pub(super) fn hash(self) -> [u8; 32] {
        let mut hash = [0; 32];
        for (to, word) in hash.chunks_exact_mut(8).zip(self.0) {
            to.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
        }
        hash
    }
    /// Writes the hash: the node is not dirty any more.
    pub(super) fn set_hash(self, hash: &[u8; 32]) {
        let (words, _) = hash.as_chunks::<8>();
        for (from, word) in words.iter().zip(self.0) {
            word.store(u64::from_ne_bytes(*from), Relaxed);
        }
        self.0[6].store(self.0[6].load(Relaxed) & !DIRTY, Relaxed);
    }
    pub(super) fn is_dirty(self) -> bool {
        self.0[6].load(Relaxed) & DIRTY > 0
    }
    pub(super) fn height(self) -> u8 {
        (self.0[6].load(Relaxed) >> 8) as u8
    }
}

impl Node {
    pub(super) fn leaf(Record { key, value }: Record, head: u64, version: u32) -> Self {
        Self {
            head,
            left: value.at,
            right: value.len,
            key_at: key.at,
            key_len: u16::try_from(key.len).expect("lengths are checked where changes come in"),
            height: 0,
            dirty: true,
            size: 1,
            version,
        }
    }
    pub(super) fn key(&self) -> Place {
        Place {
            at: self.key_at,
            len: self.key_len.into(),
        }
    }
    /// A leaf's value.
    pub(super) fn value(&self) -> Place {
        Place {
            at: self.left,
            len: self.right,
        }
    }
    /// A leaf's key and value.
    pub(super) fn record(&self) -> Record {
        Record {
            key: self.key(),
            value: self.value(),
        }
    }
    pub(super) fn is_leaf(&self) -> bool {
        self.height == 0
    }
}

/// The first 8 bytes as a number that sorts as they do; a shorter key is filled up with zeros, and so ties.
pub(super) fn head(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = key.len().min(8);
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(bytes)
}

/// Unsigned LEB128.
pub(crate) fn put_uvarint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}
