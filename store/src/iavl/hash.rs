//! How nodes are hashed (cosmos/iavl `node.go`, `writeHashBytes`), level by level.
//!
//! Nodes of one level do not depend on each other. So what they need is asked of memory all at once and answered
//! meanwhile, and their hashes are made two at a time (`sha.rs`): both is what a walk up single paths cannot do.
use super::arena::{Arena, NIL};
use super::node::Node;
use super::sha::{MAX_MESSAGE, Message, digest, digests};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// So many nodes are asked of memory at once: their cache lines and their children's fit the nearest cache.
pub(super) const WINDOW: usize = 32;
/// From twice this many nodes on, a level is shared among cores: 20 µs of hashing, more than sharing costs.
const SHARE: usize = 512;

/// `varint(height) | varint(size) | varint(version)`: what every hash starts with.
pub(super) fn prefix(node: &Node, to: &mut Message) {
    to.push_varint(node.height.into());
    to.push_varint(node.size.into());
    to.push_varint(node.version.into());
}

/// Hashes everything dirty at and below `root`.
pub(super) fn hash_dirty(arena: &Arena, root: u32) {
    let mut levels = Vec::new();
    let mut next = vec![root];
    next.retain(|id| *id != NIL && arena.slot(*id).is_dirty());
    while !next.is_empty() {
        let level = std::mem::take(&mut next);
        for ids in level.chunks(WINDOW) {
            let children = ids
                .iter()
                .map(|id| arena.node(*id))
                .filter(|node| !node.is_leaf());
            let first = next.len();
            next.extend(children.flat_map(|node| [node.left, node.right]));
            arena.touch(&next[first..]);
        }
        next.retain(|id| arena.slot(*id).is_dirty());
        levels.push(level);
    }
    for level in levels.iter().rev() {
        if level.len() < 2 * SHARE {
            hash_level(arena, level);
        } else {
            level.par_chunks(SHARE).for_each(|ids| hash_level(arena, ids));
        }
    }
}

/// Hashes these nodes, whose children are hashed.
pub(super) fn hash_level(arena: &Arena, ids: &[u32]) {
    let mut messages = [Message::new(), Message::new()];
    let mut values = [Message::new(), Message::new()];
    for ids in ids.chunks(WINDOW) {
        let mut below = [0; 2 * WINDOW];
        let mut count = 0;
        for id in ids {
            let node = arena.node(*id);
            if node.is_leaf() {
                arena.touch_bytes(node.key());
            } else {
                (below[count], below[count + 1]) = (node.left, node.right);
                count += 2;
            }
        }
        arena.touch(&below[..count]);
        let mut pairs = ids.chunks_exact(2);
        for pair in &mut pairs {
            let nodes = [arena.node(pair[0]), arena.node(pair[1])];
            let leaves = nodes.each_ref().map(Node::is_leaf);
            if leaves
                .iter()
                .zip(&nodes)
                .any(|(leaf, node)| *leaf && is_long(node))
            {
                pair.iter().for_each(|id| hash_one(arena, *id));
                continue;
            }
            let mut hashes = [[0; 32]; 2];
            if leaves == [true, true] {
                (0..2).for_each(|i| value(arena, &nodes[i], &mut values[i]));
                hashes = digests(&mut values);
            } else if let Some(i) = leaves.iter().position(|leaf| *leaf) {
                value(arena, &nodes[i], &mut values[i]);
                hashes[i] = digest(&mut values[i]);
            }
            (0..2).for_each(|i| whole(arena, &nodes[i], &hashes[i], &mut messages[i]));
            for (id, hash) in pair.iter().zip(digests(&mut messages)) {
                arena.slot(*id).set_hash(&hash);
            }
        }
        pairs.remainder().iter().for_each(|id| hash_one(arena, *id));
    }
}

/// A leaf with a key or value that does not fit a message.
fn is_long(leaf: &Node) -> bool {
    const REST: usize = 1 + 1 + 5 + 3 + 33;
    usize::from(leaf.key_len) > MAX_MESSAGE - REST || leaf.right as usize > MAX_MESSAGE
}

fn value(arena: &Arena, leaf: &Node, to: &mut Message) {
    to.clear();
    arena.copy(leaf.value(), to.more(leaf.right as usize));
}

/// What is hashed of a node; of a leaf, with the hash of its value.
fn whole(arena: &Arena, node: &Node, value: &[u8; 32], to: &mut Message) {
    to.clear();
    prefix(node, to);
    if node.is_leaf() {
        to.push_uvarint(node.key_len.into());
        arena.copy(node.key(), to.more(node.key_len.into()));
        to.push(32);
        to.extend(value);
    } else {
        for child in [node.left, node.right] {
            to.push(32);
            to.extend(&arena.slot(child).hash());
        }
    }
}

fn hash_one(arena: &Arena, id: u32) {
    let node = arena.node(id);
    let mut message = Message::new();
    let hash = if node.is_leaf() && is_long(&node) {
        prefix(&node, &mut message);
        message.push_uvarint(node.key_len.into());
        let hash = Sha256::new()
            .chain_update(message.bytes())
            .chain_update(arena.read(node.key()))
            .chain_update([32])
            .chain_update(Sha256::digest(arena.read(node.value())));
        hash.finalize().into()
    } else {
        let mut hash = [0; 32];
        if node.is_leaf() {
            value(arena, &node, &mut message);
            hash = digest(&mut message);
        }
        whole(arena, &node, &hash, &mut message);
        digest(&mut message)
    };
    arena.slot(id).set_hash(&hash);
}
