//! An IAVL tree, byte for byte that of cosmos/iavl v1: the same hashes, rotations, versions and proofs.
//!
//! The tree is persistent: an edit copies the path it touches, into an arena that all versions of a store share
//! (`arena.rs`). A [`Tree`] pins a version, and a clone is one more reference to it, so keeping an old version costs
//! only the nodes that newer versions replaced (`pin.rs`).
//!
//! A block is applied in two steps ([`Tree::apply`], in `apply.rs`):
//! 1. one pass from the root down carries *updates* of keys that exist to their leaves and hashes new nodes on the way
//!    back up, on all cores where the block is big. It finds out which changes are *structural* (inserts and removes)
//!    and leaves what they will touch unhashed;
//! 2. structural changes run one by one in key order: the order decides the shape, so it is part of consensus
//!    (`work.rs`). What they made is hashed.
//!
//! Updates commute with structural changes: they move nothing, and a path node is remade at this version whichever
//! comes first.

mod machine;
mod chunks;
mod space;
mod node;
mod arena;
mod pin;
mod table;
mod index;
mod work;
mod sha;
mod hash;
mod apply;
mod scan;
mod proof;
mod export;

pub use export::{ExportNode, ImportError, Importer};
pub(crate) use node::put_uvarint;

use arena::{Arena, NIL};
use index::Answer;
use node::Node;
use pin::Pinned;
use state::{EMPTY_ROOT, Value};
use std::fmt;
use std::sync::Arc;
use work::{Pool, Work};

/// Longer keys are refused: a node has 16 bits for the length.
pub(crate) const MAX_KEY_BYTES: usize = u16::MAX as usize;
/// Longer values are refused: a node has 32 bits for the length.
pub(crate) const MAX_VALUE_BYTES: usize = u32::MAX as usize;
/// Later versions are refused: a node has 32 bits for its version (at a block a second, 136 years).
pub(crate) const MAX_VERSION: u64 = u32::MAX as u64;

/// One module's tree at one version.
#[derive(Default)]
pub struct Tree {
    pin: Option<Arc<Pinned>>,
    /// Edits since.
    work: Option<Box<Work>>,
}

impl Clone for Tree {
    /// One more reference to this version.
    ///
    /// # Panics
    /// Where edits were made with [`Tree::set`] or [`Tree::remove`] and not sealed since.
    fn clone(&self) -> Self {
        assert!(self.work.is_none(), "a tree is sealed before it is cloned");
        Self {
            pin: self.pin.clone(),
            work: None,
        }
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("size", &self.size())
            .field("height", &self.height())
            .finish_non_exhaustive()
    }
}

/// What a store's memory holds, all versions together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of nodes, free ones too.
    pub nodes: u64,
    /// Bytes of keys and values, free ones too.
    pub bytes: u64,
    /// Bytes of the index of the newest version.
    pub index: u64,
    /// Bytes among those of nodes, keys and values that no version uses: the next blocks will, before they take more.
    pub free: u64,
}

impl Usage {
    /// Bytes of memory taken, free ones too.
    pub fn total(&self) -> u64 {
        self.nodes + self.bytes + self.index
    }
}

impl Tree {
    /// The tree without content.
    pub const fn new() -> Self {
        Self {
            pin: None,
            work: None,
        }
    }
    /// Where it lies; `None` for an empty tree.
    fn place(&self) -> Option<(&Arena, u32)> {
        let (arena, root) = match (&self.work, &self.pin) {
            (Some(work), _) => (&work.arena, work.root),
            (None, Some(pin)) => (&pin.arena, pin.root),
            (None, None) => return None,
        };
        (root != NIL).then_some((arena, root))
    }
    fn root(&self) -> Option<Node> {
        self.place().map(|(arena, root)| arena.node(root))
    }
    /// How many keys it has.
    pub fn size(&self) -> u64 {
        self.root().map_or(0, |n| n.size.into())
    }
    /// Edges from the root to the deepest leaf; 0 for an empty tree as well.
    pub fn height(&self) -> u8 {
        self.root().map_or(0, |n| n.height)
    }
    /// The root hash: sha256 of nothing where the tree is empty.
    ///
    /// # Panics
    /// Where edits were made with [`Tree::set`] or [`Tree::remove`] and not sealed since.
    pub fn hash(&self) -> [u8; 32] {
        assert!(self.work.is_none(), "a tree is sealed before its hash is read");
        self.place()
            .map_or(EMPTY_ROOT, |(arena, root)| arena.slot(root).hash())
    }
    /// The value under `key`.
    pub fn get(&self, key: &[u8]) -> Option<Value> {
        let (arena, root) = self.place()?;
        let index = arena
            .index
            .get()
            .zip(self.pin.as_ref().filter(|_| self.work.is_none()));
        let value = match index.map_or(Answer::Unknown, |(index, pin)| index.find(pin, key)) {
            Answer::Value(value) => value,
            Answer::Absent => return None,
            Answer::Unknown => arena.node(work::find(arena, root, key)?).value(),
        };
        Some(arena.read(value).into())
    }
    /// Sets `key`, as part of `version`. Returns whether the key was there.
    ///
    /// # Panics
    /// Where `key` is longer than 65,535 bytes, `value` than 32 bits say, or `version` is beyond 32 bits.
    pub fn set(&mut self, key: &[u8], value: Value, version: u64) -> bool {
        let work = self.begin(version);
        let record = work.arena.put(work.version, key, &value);
        work.set(key, record)
    }
    /// Removes `key`, as part of `version`. Returns whether it was there; a miss leaves the tree untouched.
    pub fn remove(&mut self, key: &[u8], version: u64) -> bool {
        if self
            .place()
            .and_then(|(arena, root)| work::find(arena, root, key))
            .is_none()
        {
            return false;
        }
        self.begin(version).remove(key);
        true
    }
    /// Hashes what [`Tree::set`] and [`Tree::remove`] changed, and returns the root hash.
    pub fn seal(&mut self) -> [u8; 32] {
        if let Some(mut work) = self.work.take() {
            hash::hash_dirty(&work.arena, work.root);
            let mut pool = std::mem::take(&mut work.pool);
            pool.settle(&work.arena);
            work.arena.give_nodes(&pool.spare);
            let base = work.base.take();
            self.pin = Some(Pinned::new(
                Arc::clone(&work.arena),
                base,
                work.root,
                work.version,
                pool,
            ));
        }
        self.hash()
    }
    /// What its memory holds, all versions together. It takes the same short time however much that is.
    pub fn usage(&self) -> Usage {
        let Some(pin) = &self.pin else {
            return Usage::default();
        };
        let (nodes, bytes, free) = pin.arena.bytes();
        let index = pin.arena.index.get().map_or(0, index::Index::bytes);
        Usage {
            nodes,
            bytes,
            index,
            free,
        }
    }
    /// Whether its memory has room for `changes` with `bytes` of keys and values: every change may remake a path.
    pub(crate) fn has_room(&self, changes: u64, bytes: u64) -> bool {
        /// Nodes a change may make: a path and its rotations.
        const PATH: u64 = 128;
        /// What a change may waste: lengths are rounded up.
        const WASTE: u64 = 32;
        let (nodes, words) = self
            .pin
            .as_ref()
            .map_or((1 << 28, 1 << 31), |pin| pin.arena.room());
        // Tasks take nodes in batches, and the path to the root is shared: this is far more than is needed.
        changes.saturating_mul(PATH).saturating_add(1 << 20) < nodes
            && (bytes / 8).saturating_add(changes.saturating_mul(WASTE)) < words
    }
    /// Makes this version the one that latest reads are answered from. It is the one staged last on the version
    /// published before.
    pub(crate) fn publish(&self) {
        if let Some(pin) = &self.pin {
            pin.publish();
        }
    }
    /// Has the system hand out the memory that a block like the last one takes, at most 64 MiB: a block then need not
    /// wait for it. It may be called at any time.
    pub(crate) fn prepare(&self) {
        if let Some(pin) = &self.pin {
            pin.arena.prepare();
        }
    }
    /// The work under way, as part of `version`.
    fn begin(&mut self, version: u64) -> &mut Work {
        let version = u32::try_from(version).expect("versions are checked where blocks come in");
        let pin = &self.pin;
        let work = self.work.get_or_insert_with(|| {
            let (arena, root) = match pin {
                Some(pin) => {
                    if pin.arena.index.get().is_none() {
                        pin.join();
                    }
                    (Arc::clone(&pin.arena), pin.root)
                }
                None => (Arc::new(Arena::new()), NIL),
            };
            Box::new(Work {
                arena,
                base: pin.clone(),
                root,
                version,
                pool: Pool::new(pin.as_deref()),
            })
        });
        work.version = version;
        work
    }
    /// Undoes the work under way.
    fn forget(&mut self) {
        self.work = None;
    }
}
