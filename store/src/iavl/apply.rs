//! A block's sorted changes, applied and hashed.
use super::Tree;
use super::arena::{Arena, NIL, Record};
use super::hash::{WINDOW, hash_level};
use super::index::Move;
use super::node::{Node, head};
use super::work::Pool;
use state::Value;

/// A task carries at most so many changes down together: what it works on then fits the second nearest cache, and the
/// tasks of a big block are still many more than cores.
const TASK_CHANGES: usize = 512;

/// A change, with its value in place.
struct Op<'a> {
    key: &'a [u8],
    head: u64,
    value: Option<(Record, &'a [u8])>,
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
            .filter_map(|(key, value)| Some((key.len(), value.as_ref()?.len())));
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
            work.root = pass.update(&mut work.pool, work.root, &mut ops).new;
        }
        for op in ops.iter().filter(|op| op.structural) {
            match op.value {
                Some((record, value)) => {
                    work.arena.fill(record, work.version, op.key, value);
                    work.set(op.key, record);
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

struct Pass<'a> {
    arena: &'a Arena,
    version: u32,
}

/// A node on the way of a task's changes.
struct Visit {
    id: u32,
    /// Its changes: a range of the task's.
    from: u32,
    to: u32,
    /// The visits of its children; 0 where the changes leave one alone.
    left: u32,
    right: u32,
    node: Node,
    done: Done,
}

/// What became of a node.
#[derive(Clone, Copy)]
struct Done {
    /// What takes its place.
    new: u32,
    /// Whether structural changes come to it or below it.
    structural: bool,
    /// Where the smallest key below lies now; `NIL` where that did not change.
    first: u32,
}

impl Done {
    fn unchanged(id: u32) -> Self {
        Self {
            new: id,
            structural: false,
            first: NIL,
        }
    }
}

impl Visit {
    fn new(id: u32, from: usize, to: usize) -> Self {
        let (from, to) = (from as u32, to as u32);
        Self {
            id,
            from,
            to,
            left: 0,
            right: 0,
            node: Node::default(),
            done: Done::unchanged(id),
        }
    }
}

impl Pass<'_> {
    /// Carries the updates among `ops` to their leaves below `id`, and hashes on the way back up what no structural
    /// change will touch; the rest is left dirty.
    fn update(&self, pool: &mut Pool, id: u32, ops: &mut [Op<'_>]) -> Done {
        let node = self.arena.node(id);
        if node.is_leaf() || ops.len() <= TASK_CHANGES {
            return self.task(pool, id, ops);
        }
        let split = ops.partition_point(|op| self.arena.goes_left(op.key, op.head, &node));
        let (low, high) = ops.split_at_mut(split);
        let (left, right) = if low.is_empty() {
            (Done::unchanged(node.left), self.update(pool, node.right, high))
        } else if high.is_empty() {
            (self.update(pool, node.left, low), Done::unchanged(node.right))
        } else {
            let mut other = pool.other();
            let both = rayon::join(
                || self.update(pool, node.left, low),
                || self.update(&mut other, node.right, high),
            );
            pool.merge(other);
            both
        };
        let done = self.renew(pool, id, &node, left, right);
        if !done.structural && done.new != id {
            hash_level(self.arena, &[done.new]);
        }
        done
    }

    /// The node with these children, unhashed; itself where they are its own.
    fn renew(&self, pool: &mut Pool, id: u32, node: &Node, left: Done, right: Done) -> Done {
        let mut done = Done {
            new: id,
            structural: left.structural || right.structural,
            first: left.first,
        };
        if (left.new, right.new) != (node.left, node.right) {
            let new = Node {
                left: left.new,
                right: right.new,
                key_at: if right.first == NIL {
                    node.key_at
                } else {
                    right.first
                },
                version: self.version,
                dirty: true,
                ..*node
            };
            pool.lose(id, node);
            done.new = pool.add(self.arena, &new);
        }
        done
    }

    /// Does the same level by level: first down, then up. Nodes of a level wait for memory together, and are hashed
    /// together (`hash.rs`).
    fn task(&self, pool: &mut Pool, id: u32, ops: &mut [Op<'_>]) -> Done {
        let mut visits = vec![Visit::new(id, 0, ops.len())];
        let mut levels = Vec::new();
        let mut from = 0;
        while from < visits.len() {
            levels.push(from);
            from = self.down(&mut visits, from, ops);
        }
        let mut to = visits.len();
        let mut made = Vec::new();
        for from in levels.into_iter().rev() {
            made.clear();
            for i in (from..to).rev() {
                let below = |at: u32, child: u32| match at {
                    0 => Done::unchanged(child),
                    at => visits[at as usize].done,
                };
                let visit = &visits[i];
                let node = &visit.node;
                let done = if node.is_leaf() {
                    let ops = &mut ops[visit.from as usize..visit.to as usize];
                    self.update_leaf(pool, visit.id, node, ops)
                } else {
                    let (left, right) = (below(visit.left, node.left), below(visit.right, node.right));
                    self.renew(pool, visit.id, node, left, right)
                };
                // A new leaf is complete, whatever comes beside it.
                if done.new != visit.id && (!done.structural || node.is_leaf()) {
                    made.push(done.new);
                }
                visits[i].done = done;
            }
            hash_level(self.arena, &made);
            to = from;
        }
        visits[0].done
    }

    /// Looks at the level that begins at `from`, and adds the visits of the next one. Returns where that begins.
    fn down(&self, visits: &mut Vec<Visit>, from: usize, ops: &[Op<'_>]) -> usize {
        let next = visits.len();
        let mut ids = [0; WINDOW];
        for window in (from..next).step_by(WINDOW) {
            let window = window..next.min(window + WINDOW);
            let count = window.len();
            ids.iter_mut()
                .zip(&visits[window.clone()])
                .for_each(|(id, visit)| *id = visit.id);
            self.arena.touch(&ids[..count]);
            for i in window {
                let visit = &mut visits[i];
                visit.node = self.arena.node(visit.id);
                let node = visit.node;
                if node.is_leaf() {
                    self.arena.touch_bytes(node.key());
                    continue;
                }
                let (from, to) = (visit.from as usize, visit.to as usize);
                let goes_left = |op: &Op<'_>| self.arena.goes_left(op.key, op.head, &node);
                let split = from + ops[from..to].partition_point(goes_left);
                if split > from {
                    visits[i].left = visits.len() as u32;
                    visits.push(Visit::new(node.left, from, split));
                }
                if split < to {
                    visits[i].right = visits.len() as u32;
                    visits.push(Visit::new(node.right, split, to));
                }
            }
        }
        next
    }

    fn update_leaf(&self, pool: &mut Pool, id: u32, node: &Node, ops: &mut [Op<'_>]) -> Done {
        let mut done = Done::unchanged(id);
        for op in ops {
            let here = self.arena.order(op.key, op.head, node).is_eq();
            match op.value {
                Some((record, value)) if here => {
                    self.arena.fill(record, self.version, op.key, value);
                    pool.lose(id, node);
                    done.new = pool.add(self.arena, &Node::leaf(record, op.head, self.version));
                    done.first = record.key.at;
                    let (old, new) = (node.record().entry(id), record.entry(done.new));
                    pool.moves.push(Move::of(self.arena, op.key, old, new));
                }
                value => op.structural = value.is_some() || here,
            }
            done.structural |= op.structural;
        }
        done
    }
}
