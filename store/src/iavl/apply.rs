//! A block's sorted changes, applied and hashed.
use super::Tree;
use super::arena::{Arena, NIL, Place};
use super::index::Move;
use super::node::{Node, head};
use super::work::{Pool, Work};
use state::Value;

/// From this many changes on, work is shared among cores: below, handing it over costs more than it saves.
const PARALLEL_CHANGES: usize = 256;
/// Subtrees up to this height are not split further among cores: about 2^10 nodes, 0.1 ms of hashing.
const SPLIT_ABOVE: u8 = 10;

/// A change, with its value in place.
struct Op<'a> {
    key: &'a [u8],
    head: u64,
    value: Option<(Place, &'a [u8])>,
    /// Inserts and removes of what is there, found on the way.
    structural: bool,
}

impl Tree {
    /// Applies `changes` as `version` and hashes. `changes` are sorted by key, one a key; `None` removes. Returns how
    /// many nodes are new: what keeping the version before this one costs.
    ///
    /// # Panics
    /// Where keys are not strictly ascending, keys are longer than 65,535 bytes, or `version` is beyond 32 bits.
    pub fn apply(&mut self, changes: &[(&[u8], Option<Value>)], version: u64) -> u64 {
        assert!(
            changes.is_sorted_by(|a, b| a.0 < b.0),
            "changes come in key order, one a key"
        );
        if changes.is_empty() {
            return 0;
        }
        let work = self.begin(version);
        let lens = changes
            .iter()
            .filter_map(|(_, value)| value.as_ref())
            .map(|v| v.len());
        let mut places = work.arena.reserve(lens).into_iter();
        let mut ops: Vec<Op<'_>> = changes
            .iter()
            .map(|(key, value)| Op {
                key,
                head: head(key),
                value: value
                    .as_deref()
                    .map(|value| (places.next().expect("one a value"), value)),
                structural: false,
            })
            .collect();
        let pass = Pass {
            arena: &work.arena,
            version: work.version,
        };
        if work.root == NIL {
            ops.iter_mut().for_each(|op| op.structural = op.value.is_some());
        } else {
            work.root = pass.update(&mut work.pool, work.root, &mut ops).0;
        }
        for op in ops.iter().filter(|op| op.structural) {
            match op.value {
                Some((place, value)) => {
                    work.arena.fill(place, value);
                    work.set(op.key, place);
                }
                None => work.remove(op.key),
            }
        }
        let made = work.pool.made.inner.len() + work.pool.made.leaves.len();
        if made == 0 && work.pool.gone.leaves.is_empty() {
            self.forget();
            return 0;
        }
        self.seal();
        made as u64
    }
    /// Applies `changes` one by one in the order given, without hashing: several versions may follow each other before
    /// one [`Tree::seal`].
    pub(crate) fn edit(&mut self, changes: &[(&[u8], Option<Value>)], version: u64) {
        for (key, value) in changes {
            match value {
                Some(value) => self.set(key, value.clone(), version),
                None => self.remove(key, version),
            };
        }
    }
}

impl Work {
    /// Hashes what is dirty.
    pub(super) fn hash(&self) {
        if self.root != NIL {
            hash(&self.arena, self.root);
        }
    }
}

struct Pass<'a> {
    arena: &'a Arena,
    version: u32,
}

impl Pass<'_> {
    /// Carries the updates among `ops` to their leaves below `id`, and hashes on the way back up what no structural
    /// change will touch; the rest is left dirty. Returns what takes the subtree's place, and whether structural
    /// changes come.
    fn update(&self, pool: &mut Pool, id: u32, ops: &mut [Op<'_>]) -> (u32, bool) {
        let node = self.arena.node(id);
        if node.is_leaf() {
            return self.update_leaf(pool, id, &node, ops);
        }
        let split = ops.partition_point(|op| self.arena.goes_left(op.key, op.head, &node));
        let (low, high) = ops.split_at_mut(split);
        let (left, right, structural);
        let (left_hash, right_hash);
        if low.is_empty() {
            // Loaded before the way down, so that memory answers meanwhile.
            (left, left_hash) = (node.left, self.arena.slot(node.left).hash());
            (right, structural) = self.update(pool, node.right, high);
            right_hash = self.arena.slot(right).hash();
        } else if high.is_empty() {
            (right, right_hash) = (node.right, self.arena.slot(node.right).hash());
            (left, structural) = self.update(pool, node.left, low);
            left_hash = self.arena.slot(left).hash();
        } else {
            let (a, b) = if low.len() + high.len() > PARALLEL_CHANGES {
                let mut other = Pool::default();
                let both = rayon::join(
                    || self.update(pool, node.left, low),
                    || self.update(&mut other, node.right, high),
                );
                pool.merge(other);
                both
            } else {
                (
                    self.update(pool, node.left, low),
                    self.update(pool, node.right, high),
                )
            };
            (left, right, structural) = (a.0, b.0, a.1 || b.1);
            left_hash = self.arena.slot(left).hash();
            right_hash = self.arena.slot(right).hash();
        }
        if (left, right) == (node.left, node.right) {
            return (id, structural);
        }
        let mut new = Node {
            left,
            right,
            version: self.version,
            dirty: true,
            ..node
        };
        if !structural {
            new.hash_inner(&left_hash, &right_hash);
        }
        pool.lose(id, &node);
        (pool.add(self.arena, &new), structural)
    }

    fn update_leaf(&self, pool: &mut Pool, id: u32, node: &Node, ops: &mut [Op<'_>]) -> (u32, bool) {
        let (mut new, mut structural) = (id, false);
        for op in ops {
            let here = self.arena.order(op.key, op.head, node).is_eq();
            match op.value {
                Some((place, value)) if here => {
                    self.arena.fill(place, value);
                    let leaf = Node::leaf(node.key(), op.head, place, self.version);
                    let mut leaf = Node {
                        inserted: false,
                        ..leaf
                    };
                    leaf.hash_leaf(op.key, value);
                    pool.lose(id, node);
                    new = pool.add(self.arena, &leaf);
                    pool.moves.push(Move::of(self.arena, op.key, id, new));
                }
                value => op.structural = value.is_some() || here,
            }
            structural |= op.structural;
        }
        (new, structural)
    }
}

/// Hashes what is dirty at and below `id`.
fn hash(arena: &Arena, id: u32) {
    let mut node = arena.node(id);
    if !node.dirty {
        return;
    }
    if node.is_leaf() {
        node.hash_leaf(&arena.read(node.key()), &arena.read(node.value()));
    } else {
        if node.height > SPLIT_ABOVE {
            rayon::join(|| hash(arena, node.left), || hash(arena, node.right));
        } else {
            hash(arena, node.left);
            hash(arena, node.right);
        }
        node.hash_inner(&arena.slot(node.left).hash(), &arena.slot(node.right).hash());
    }
    arena.slot(id).store(&node);
}
