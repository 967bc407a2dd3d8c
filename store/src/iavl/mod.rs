//! An IAVL tree, byte for byte that of cosmos/iavl v1: the same hashes, rotations, versions and proofs.
//!
//! The tree is persistent: nodes are shared between versions by reference count, and an edit copies the path it
//! touches. A clone of a [`Tree`] is one more reference to a root, so keeping an old version costs only the nodes that
//! newer versions replaced.
//!
//! A block is applied in three steps ([`Tree::apply`], in `apply.rs`):
//! 1. its sorted changes are split into *updates* of keys that exist and *structural* changes (inserts and removes);
//! 2. structural changes run one by one in key order: the order decides the shape, so it is part of consensus
//!    (`edit.rs`);
//! 3. one pass from the root down carries the updates to their leaves and hashes every new node on the way back up, on
//!    all cores where the block is big. Updates commute with structural changes: they move nothing, and a path node is
//!    remade at this version whichever comes first.

mod node;
mod edit;
mod apply;
mod scan;
mod proof;
mod export;

pub use export::{ExportNode, ImportError, Importer};

use node::Node;
pub(crate) use node::put_uvarint;
use state::{EMPTY_ROOT, Value};
use std::fmt;
use std::sync::Arc;

/// One module's tree at one version.
#[derive(Clone, Default)]
pub struct Tree {
    root: Option<Arc<Node>>,
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("size", &self.size())
            .field("height", &self.height())
            .finish_non_exhaustive()
    }
}

impl Tree {
    /// The tree without content.
    pub const fn new() -> Self {
        Self { root: None }
    }
    /// How many keys it has.
    pub fn size(&self) -> u64 {
        self.root.as_ref().map_or(0, |n| n.size)
    }
    /// Edges from the root to the deepest leaf; 0 for an empty tree as well.
    pub fn height(&self) -> u8 {
        self.root.as_ref().map_or(0, |n| n.height)
    }
    /// The root hash: sha256 of nothing where the tree is empty.
    ///
    /// # Panics
    /// Where edits were made with [`Tree::set`] or [`Tree::remove`] and not sealed since.
    pub fn hash(&self) -> [u8; 32] {
        let Some(root) = &self.root else { return EMPTY_ROOT };
        assert!(!root.dirty, "a tree is sealed before its hash is read");
        root.hash
    }
    /// The value under `key`.
    pub fn get(&self, key: &[u8]) -> Option<&Value> {
        let mut node = self.root.as_ref()?;
        while let Some((left, right)) = node.children() {
            node = if node.goes_left(key) { left } else { right };
        }
        if **node.key() == *key { node.value() } else { None }
    }
    /// Sets `key`, as part of `version`. Returns whether the key was there.
    pub fn set(&mut self, key: &[u8], value: Value, version: u64) -> bool {
        match &mut self.root {
            None => {
                self.root = Some(Node::leaf(key.into(), value, version));
                false
            }
            Some(root) => edit::set(root, key, value, version),
        }
    }
    /// Removes `key`, as part of `version`. Returns whether it was there; a miss leaves the tree untouched.
    pub fn remove(&mut self, key: &[u8], version: u64) -> bool {
        if self.get(key).is_none() {
            return false;
        }
        match &mut self.root {
            Some(root) if root.height > 0 => edit::remove(root, key, version),
            _ => self.root = None,
        }
        true
    }
    /// Hashes what [`Tree::set`] and [`Tree::remove`] changed, and returns the root hash.
    pub fn seal(&mut self) -> [u8; 32] {
        if let Some(root) = &mut self.root {
            apply::seal(root, &mut [], 0, true);
        }
        self.hash()
    }
}
