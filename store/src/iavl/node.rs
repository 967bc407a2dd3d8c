//! A node of the tree, and how it is hashed (cosmos/iavl `node.go`, `writeHashBytes`).
use sha2::{Digest, Sha256};
use state::Value;
use std::cmp::Ordering;
use std::sync::Arc;

#[derive(Clone)]
pub(super) struct Node {
    /// Meaningless while `dirty`.
    pub(super) hash: [u8; 32],
    pub(super) version: u64,
    /// How many leaves lie at or below.
    pub(super) size: u64,
    pub(super) height: u8,
    /// Changed since it was last hashed. A dirty node's ancestors are dirty.
    pub(super) dirty: bool,
    /// A leaf's key; an inner node's smallest key of the right subtree.
    key: Arc<[u8]>,
    /// The key's first bytes: most comparisons end here, without a look at the key elsewhere in memory.
    head: u64,
    body: Body,
}

#[derive(Clone)]
enum Body {
    Leaf(Value),
    Inner(Arc<Node>, Arc<Node>),
}

impl Node {
    pub(super) fn leaf(key: Arc<[u8]>, value: Value, version: u64) -> Arc<Self> {
        let (head, body) = (head(&key), Body::Leaf(value));
        Arc::new(Self {
            hash: [0; 32],
            version,
            size: 1,
            height: 0,
            dirty: true,
            key,
            head,
            body,
        })
    }
    pub(super) fn inner(key: Arc<[u8]>, left: Arc<Self>, right: Arc<Self>, version: u64) -> Arc<Self> {
        let (head, body) = (head(&key), Body::Inner(left, right));
        let mut node = Self {
            hash: [0; 32],
            version,
            size: 0,
            height: 0,
            dirty: true,
            key,
            head,
            body,
        };
        node.measure();
        Arc::new(node)
    }
    pub(super) fn key(&self) -> &Arc<[u8]> {
        &self.key
    }
    pub(super) fn set_key(&mut self, key: Arc<[u8]>) {
        (self.head, self.key) = (head(&key), key);
    }
    /// How `key` stands to this node's.
    pub(super) fn order(&self, key: &[u8]) -> Ordering {
        head(key).cmp(&self.head).then_with(|| key.cmp(&self.key))
    }
    /// Whether the way to `key` leads left.
    pub(super) fn goes_left(&self, key: &[u8]) -> bool {
        self.order(key) == Ordering::Less
    }
    pub(super) fn value(&self) -> Option<&Value> {
        match &self.body {
            Body::Leaf(value) => Some(value),
            Body::Inner(..) => None,
        }
    }
    pub(super) fn children(&self) -> Option<(&Arc<Self>, &Arc<Self>)> {
        match &self.body {
            Body::Leaf(_) => None,
            Body::Inner(left, right) => Some((left, right)),
        }
    }
    pub(super) fn children_mut(&mut self) -> Option<(&mut Arc<Self>, &mut Arc<Self>)> {
        match &mut self.body {
            Body::Leaf(_) => None,
            Body::Inner(left, right) => Some((left, right)),
        }
    }
    pub(super) fn set_value(&mut self, value: Value) {
        self.body = Body::Leaf(value);
    }
    /// Recomputes height and size from the children.
    pub(super) fn measure(&mut self) {
        if let Body::Inner(left, right) = &self.body {
            self.height = left.height.max(right.height) + 1;
            self.size = left.size + right.size;
        }
    }
    /// Left height minus right height.
    pub(super) fn balance(&self) -> i32 {
        self.children().map_or(0, |(left, right)| {
            i32::from(left.height) - i32::from(right.height)
        })
    }
    /// `varint(height) | varint(size) | varint(version)`: what every hash starts with.
    pub(super) fn prefix(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        put_varint(&mut out, u64::from(self.height));
        put_varint(&mut out, self.size);
        put_varint(&mut out, self.version);
        out
    }
    /// Hashes this node; the children must be clean.
    pub(super) fn rehash(&mut self) {
        let mut bytes = self.prefix();
        match &self.body {
            Body::Leaf(value) => {
                put_uvarint(&mut bytes, self.key.len() as u64);
                bytes.extend_from_slice(&self.key);
                bytes.push(32);
                bytes.extend_from_slice(&Sha256::digest(value));
            }
            Body::Inner(left, right) => {
                bytes.push(32);
                bytes.extend_from_slice(&left.hash);
                bytes.push(32);
                bytes.extend_from_slice(&right.hash);
            }
        }
        self.hash = Sha256::digest(&bytes).into();
        self.dirty = false;
    }
}

/// The first 8 bytes as a number that sorts as they do; a shorter key is filled up with zeros, and so ties.
fn head(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = key.len().min(8);
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(bytes)
}

/// Makes the node under `slot` part of `version` and writable: in place where no other version uses it, else a copy.
pub(super) fn own(slot: &mut Arc<Node>, version: u64) -> &mut Node {
    let node = Arc::make_mut(slot);
    node.version = version;
    node.dirty = true;
    node
}

/// Unsigned LEB128.
pub(crate) fn put_uvarint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Go's `PutVarint` of a number that is not negative: zig-zag, then LEB128.
fn put_varint(out: &mut Vec<u8>, n: u64) {
    put_uvarint(out, n << 1);
}
