//! A tree being changed: new nodes, and what they replace. Inserts and removes with IAVL's rotations (cosmos/iavl
//! `mutable_tree.go`): the order of edits decides the shape.
use super::arena::{Arena, NIL, Place, Record};
use super::index::Move;
use super::node::{Node, head};
use super::pin::{Gone, Made, Pinned};
use std::cmp::Ordering;
use std::sync::Arc;

/// A tree on the way to its next version. Dropped before it is sealed, it is undone.
pub(super) struct Work {
    pub(super) arena: Arc<Arena>,
    pub(super) base: Option<Arc<Pinned>>,
    pub(super) root: u32,
    pub(super) version: u32,
    pub(super) pool: Pool,
}

/// What setting a key did below a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    Inserted,
    /// The key lies elsewhere now, where it is the smallest below: the ancestor to whose right it lies refers to it.
    Replaced(Option<Place>),
}

/// One task's new nodes.
#[derive(Default)]
pub(super) struct Pool {
    /// Taken from the arena and not used yet.
    pub(super) spare: Vec<u32>,
    pub(super) made: Made,
    pub(super) gone: Gone,
    pub(super) moves: Vec<Move>,
    /// Nodes from this version on are of this work's making.
    since: u64,
    /// Those among `made` that the same work lost again.
    lost: Made,
}

impl Pool {
    /// For a work on `base`.
    pub(super) fn new(base: Option<&Pinned>) -> Self {
        Self::beside(base.map_or(0, |base| u64::from(base.version) + 1))
    }
    fn beside(since: u64) -> Self {
        Self {
            since,
            ..Self::default()
        }
    }
    /// For another task of the same work.
    pub(super) fn other(&self) -> Self {
        Self::beside(self.since)
    }
    pub(super) fn add(&mut self, arena: &Arena, node: &Node) -> u32 {
        if self.spare.is_empty() {
            arena.take_nodes(&mut self.spare);
        }
        let id = self.spare.pop().expect("just filled");
        arena.slot(id).store(node);
        if node.is_leaf() {
            self.made.leaves.push(id);
        } else {
            self.made.inner.push(id);
        }
        id
    }
    /// Takes note that this version does not use a node.
    pub(super) fn lose(&mut self, id: u32, node: &Node) {
        let Self { gone, lost, .. } = self;
        let own = node.dirty || u64::from(node.version) >= self.since;
        let (inner, leaves) = if own {
            (&mut lost.inner, &mut lost.leaves)
        } else {
            (&mut gone.inner, &mut gone.leaves)
        };
        if node.is_leaf() { leaves } else { inner }.push(id);
    }
    /// Frees what the work made and lost again.
    pub(super) fn settle(&mut self, arena: &Arena) {
        let Self { made, lost, .. } = self;
        for (made, lost) in [
            (&mut made.inner, &mut lost.inner),
            (&mut made.leaves, &mut lost.leaves),
        ] {
            lost.sort_unstable();
            made.retain(|id| lost.is_empty() || lost.binary_search(id).is_err());
        }
        lost.undo(arena);
    }
    /// Takes over what another task made.
    pub(super) fn merge(&mut self, mut other: Self) {
        self.spare.append(&mut other.spare);
        self.made.inner.append(&mut other.made.inner);
        self.made.leaves.append(&mut other.made.leaves);
        self.gone.inner.append(&mut other.gone.inner);
        self.gone.leaves.append(&mut other.gone.leaves);
        self.lost.inner.append(&mut other.lost.inner);
        self.lost.leaves.append(&mut other.lost.leaves);
        self.moves.append(&mut other.moves);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.arena.give_nodes(&self.pool.spare);
        self.pool.made.undo(&self.arena);
    }
}

impl Work {
    /// Sets `key`, whose record is written. Returns whether it was there.
    pub(super) fn set(&mut self, key: &[u8], record: Record) -> bool {
        let head = head(key);
        if self.root == NIL {
            self.root = self.leaf(key, head, record);
            return false;
        }
        let (root, done) = self.set_below(self.root, key, head, record);
        self.root = root;
        done != Set::Inserted
    }

    /// Removes `key`, which is there.
    pub(super) fn remove(&mut self, key: &[u8]) {
        self.root = self.remove_below(self.root, key, head(key)).0;
    }

    fn node(&self, id: u32) -> Node {
        self.arena.node(id)
    }

    /// A new leaf for a new key.
    fn leaf(&mut self, key: &[u8], head: u64, record: Record) -> u32 {
        let leaf = Node::leaf(record, head, self.version);
        let id = self.pool.add(&self.arena, &leaf);
        self.pool
            .moves
            .push(Move::of(&self.arena, key, NIL, record.entry(id)));
        id
    }

    /// The node as part of this version and writable: in place where it is this work's, else a copy.
    fn own(&mut self, id: u32) -> u32 {
        let node = self.node(id);
        let own = Node {
            version: self.version,
            dirty: true,
            ..node
        };
        if node.dirty {
            self.arena.slot(id).store(&own);
            return id;
        }
        self.pool.lose(id, &node);
        self.pool.add(&self.arena, &own)
    }

    fn write(&mut self, id: u32, change: impl FnOnce(&mut Node)) {
        let mut node = self.node(id);
        change(&mut node);
        self.arena.slot(id).store(&node);
    }

    fn set_below(&mut self, id: u32, key: &[u8], head: u64, record: Record) -> (u32, Set) {
        let node = self.node(id);
        let order = self.arena.order(key, head, &node);
        if node.is_leaf() {
            if order.is_eq() {
                self.pool.lose(id, &node);
                let new = self
                    .pool
                    .add(&self.arena, &Node::leaf(record, head, self.version));
                let (old, entry) = (node.record().entry(id), record.entry(new));
                self.pool.moves.push(Move::of(&self.arena, key, old, entry));
                return (new, Set::Replaced(Some(record.key)));
            }
            let leaf = self.leaf(key, head, record);
            let (split, left, right) = match order {
                Ordering::Less => (node, leaf, id),
                _ => (self.node(leaf), id, leaf),
            };
            let inner = Node {
                left,
                right,
                size: 2,
                height: 1,
                dirty: true,
                version: self.version,
                ..split
            };
            return (self.pool.add(&self.arena, &inner), Set::Inserted);
        }
        // The way back up looks at both.
        self.arena.touch(&[node.left, node.right]);
        let id = self.own(id);
        if order.is_lt() {
            let (left, done) = self.set_below(node.left, key, head, record);
            if done == Set::Inserted {
                return (self.settle(id, |n| n.left = left), done);
            }
            self.write(id, |n| n.left = left);
            (id, done)
        } else {
            let (right, done) = self.set_below(node.right, key, head, record);
            if done == Set::Inserted {
                return (self.settle(id, |n| n.right = right), done);
            }
            self.write(id, |n| {
                n.right = right;
                if let Set::Replaced(Some(key)) = done {
                    n.key_at = key.at;
                }
            });
            (id, Set::Replaced(None))
        }
    }

    /// Returns what takes the subtree's place, and its new smallest key where that changed: the ancestor to whose
    /// right it lies takes it over.
    fn remove_below(&mut self, id: u32, key: &[u8], head: u64) -> (u32, Option<(Place, u64)>) {
        let node = self.node(id);
        if node.is_leaf() {
            self.pool.lose(id, &node);
            let entry = node.record().entry(id);
            self.pool.moves.push(Move::of(&self.arena, key, entry, NIL));
            return (NIL, None);
        }
        // The way back up looks at both.
        self.arena.touch(&[node.left, node.right]);
        // A removed leaf's sibling takes the parent's place, with its old version and hash.
        if self.arena.goes_left(key, head, &node) {
            let (left, above) = self.remove_below(node.left, key, head);
            if left == NIL {
                self.pool.lose(id, &node);
                return (node.right, Some((node.key(), node.head)));
            }
            let id = self.own(id);
            return (self.settle(id, |n| n.left = left), above);
        }
        let (right, above) = self.remove_below(node.right, key, head);
        if right == NIL {
            self.pool.lose(id, &node);
            return (node.left, None);
        }
        let id = self.own(id);
        let id = self.settle(id, |n| {
            n.right = right;
            if let Some((key, head)) = above {
                (n.key_at, n.key_len, n.head) = (key.at, key.len as u16, head);
            }
        });
        (id, None)
    }

    /// Changes a node that this work owns, and restores what follows from its children. Returns what takes its place.
    fn settle(&mut self, id: u32, change: impl FnOnce(&mut Node)) -> u32 {
        let mut node = self.node(id);
        change(&mut node);
        let (left, right) = (self.node(node.left), self.node(node.right));
        node.height = left.height.max(right.height) + 1;
        node.size = left.size + right.size;
        self.arena.slot(id).store(&node);
        if left.height.abs_diff(right.height) < 2 {
            return id;
        }
        self.rebalance(id)
    }

    /// Recomputes height and size from the children.
    fn measure(&mut self, id: u32) {
        let node = self.node(id);
        let (left, right) = (self.node(node.left), self.node(node.right));
        self.write(id, |n| {
            n.height = left.height.max(right.height) + 1;
            n.size = left.size + right.size;
        });
    }

    /// Left height minus right height.
    fn balance(&self, id: u32) -> i32 {
        let node = self.node(id);
        let height = |id| i32::from(self.arena.slot(id).height());
        height(node.left) - height(node.right)
    }

    /// Restores balance at `id`, which this work owns. Every node of a rotation becomes part of this version.
    fn rebalance(&mut self, id: u32) -> u32 {
        match self.balance(id) {
            2.. => {
                let left = self.node(id).left;
                if self.balance(left) < 0 {
                    let left = self.own(left);
                    let left = self.rotate_left(left);
                    self.write(id, |n| n.left = left);
                }
                self.rotate_right(id)
            }
            ..=-2 => {
                let right = self.node(id).right;
                if self.balance(right) > 0 {
                    let right = self.own(right);
                    let right = self.rotate_right(right);
                    self.write(id, |n| n.right = right);
                }
                self.rotate_left(id)
            }
            _ => id,
        }
    }

    fn rotate_right(&mut self, id: u32) -> u32 {
        let left = self.node(id).left;
        let top = self.own(left);
        let middle = self.node(top).right;
        self.write(id, |n| n.left = middle);
        self.write(top, |n| n.right = id);
        self.measure(id);
        self.measure(top);
        top
    }

    fn rotate_left(&mut self, id: u32) -> u32 {
        let right = self.node(id).right;
        let top = self.own(right);
        let middle = self.node(top).left;
        self.write(id, |n| n.right = middle);
        self.write(top, |n| n.left = id);
        self.measure(id);
        self.measure(top);
        top
    }
}

/// The leaf of `key` at or below `root`.
pub(super) fn find(arena: &Arena, root: u32, key: &[u8]) -> Option<u32> {
    let (mut id, head) = (root, head(key));
    if id == NIL {
        return None;
    }
    loop {
        let node = arena.node(id);
        let order = arena.order(key, head, &node);
        if node.is_leaf() {
            return order.is_eq().then_some(id);
        }
        id = if order.is_lt() { node.left } else { node.right };
    }
}
