//! Which versions of a tree are in use, and when the nodes of those that are not can be used again.
//!
//! A version is *loose* when it is made: it pins the version it was made from and knows its own nodes, so dropping it
//! undoes it, however many were made from the same base. A version that is published joins the *line*: the versions in
//! order, each with the nodes that it no longer uses and the one before it did. Those are free once every earlier
//! version is dropped. In a store where nothing is published, the first version that another is made from joins. Where
//! a version cannot join, because its base is not the newest of the line, it stays loose: its base then lives as long
//! as it does. No tree is ever walked to free it.
use super::arena::Arena;
use super::index::Move;
use super::work::Pool;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Acquire;

/// A sealed version, alive while a reference is.
pub(super) struct Pinned {
    pub(super) arena: Arc<Arena>,
    pub(super) root: u32,
    /// No node is newer.
    pub(super) version: u32,
    /// When the index took it in; 0 where it has not.
    pub(super) indexed: AtomicU64,
    /// What the index has to take in.
    pub(super) moves: Mutex<Vec<Move>>,
    state: Mutex<State>,
}

enum State {
    Loose {
        base: Option<Arc<Pinned>>,
        made: Made,
        gone: Gone,
    },
    Line(u64),
}

/// The nodes of one version's making.
#[derive(Default)]
pub(super) struct Made {
    pub(super) inner: Vec<u32>,
    pub(super) leaves: Vec<u32>,
}

/// What a version does not use and the one before it did.
#[derive(Default)]
pub(super) struct Gone {
    pub(super) inner: Vec<u32>,
    pub(super) leaves: Vec<u32>,
}

/// The versions in order.
#[derive(Default)]
pub(super) struct Line {
    next: u64,
    live: BTreeMap<u64, (Made, Gone)>,
}

impl Made {
    pub(super) fn undo(&mut self, arena: &Arena) {
        arena.give_nodes(&take(&mut self.inner));
        arena.free_leaves(&take(&mut self.leaves));
    }
}

impl Gone {
    fn append(&mut self, mut other: Self) {
        self.inner.append(&mut other.inner);
        self.leaves.append(&mut other.leaves);
    }
    fn free(self, arena: &Arena) {
        arena.give_nodes(&self.inner);
        arena.free_leaves(&self.leaves);
    }
}

impl Pinned {
    pub(super) fn new(
        arena: Arc<Arena>,
        base: Option<Arc<Self>>,
        root: u32,
        version: u32,
        pool: Pool,
    ) -> Arc<Self> {
        let Pool {
            made, gone, moves, ..
        } = pool;
        Arc::new(Self {
            arena,
            root,
            version,
            indexed: AtomicU64::new(0),
            moves: Mutex::new(moves),
            state: Mutex::new(State::Loose { base, made, gone }),
        })
    }
    /// When the index took in the version this one was made from, where that is known.
    pub(super) fn base_indexed(&self) -> Option<u64> {
        match &*self.state.lock() {
            State::Loose { base: Some(base), .. } => Some(base.indexed.load(Acquire)),
            _ => None,
        }
    }
    /// Joins the line where it can.
    pub(super) fn join(&self) {
        let mut state = self.state.lock();
        let State::Loose { base, .. } = &*state else {
            return;
        };
        let before = match base {
            None => None,
            Some(base) => match *base.state.lock() {
                State::Line(place) => Some(place),
                State::Loose { .. } => return,
            },
        };
        let mut line = self.arena.line.lock();
        if line.live.last_key_value().map(|(place, _)| *place) != before {
            return;
        }
        let place = line.next;
        line.next += 1;
        let State::Loose { base, made, gone } = std::mem::replace(&mut *state, State::Line(place)) else {
            unreachable!("looked at above");
        };
        if let Some((made, _)) = before.and_then(|before| line.live.get_mut(&before)) {
            *made = Made::default();
        }
        line.live.insert(place, (made, gone));
        // The base may end here, and takes the line's lock then.
        drop((line, state));
        drop(base);
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        match self.state.get_mut() {
            State::Loose { made, .. } => made.undo(&self.arena),
            State::Line(place) => {
                let mut line = self.arena.line.lock();
                let Some((mut made, gone)) = line.live.remove(place) else {
                    return;
                };
                let oldest = line.live.range(..*place).next().is_none();
                let Some((_, (_, next))) = line.live.range_mut(*place..).next() else {
                    drop(line);
                    // The newest: what it made is used by nobody.
                    return made.undo(&self.arena);
                };
                next.append(gone);
                let free = if oldest { take(next) } else { Gone::default() };
                drop(line);
                free.free(&self.arena);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tree;
    use state::{Control, Value};
    use std::collections::{BTreeMap, VecDeque};

    /// Nodes and words in use are those of `tree`, the only version that is pinned.
    fn check_nothing_else_is_in_use(tree: &Tree) {
        let pin = tree.pin.as_ref().unwrap();
        // Lets go of the version it was made from.
        pin.join();
        let words = |key: &[u8], value: &[u8]| {
            let words = 1 + key.len().div_ceil(8) + value.len().div_ceil(8);
            if words > 512 { 0 } else { words as u64 }
        };
        let mut used = 0;
        let _ = tree.scan(&[], None, false, &mut |key, value| {
            used += words(key, value);
            Control::Continue(())
        });
        assert_eq!(pin.arena.live_nodes(), (tree.size() * 2).saturating_sub(1));
        assert_eq!(pin.arena.live_words(), used);
    }

    #[test]
    fn what_no_version_uses_is_free_again() {
        let mut seed = 7_u64;
        let mut below = |n: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        let (mut tree, mut kept, mut loose) = (Tree::new(), VecDeque::new(), Vec::new());
        for version in 1..=300 {
            let block: BTreeMap<Vec<u8>, Option<Value>> = (0..below(60))
                .map(|_| {
                    let key = vec![b'k'; below(3) as usize * 5];
                    let key = [&key[..], &below(200).to_be_bytes()[6..]].concat();
                    let len = if below(50) == 0 { 5000 } else { below(90) as usize };
                    (key, (below(3) > 0).then(|| Value::from(vec![7; len])))
                })
                .collect();
            let changes: Vec<_> = block.iter().map(|(k, v)| (&k[..], v.clone())).collect();
            // Blocks staged and not committed, on the newest version and on older ones; some outlive their base.
            for base in [Some(&tree), kept.get(below(5) as usize)].into_iter().flatten() {
                let mut other: Tree = base.clone();
                other.apply(&changes[..changes.len() / 2], version);
                other.set(b"other", Value::from("x"), version);
                other.seal();
                loose.push(other);
            }
            tree.apply(&changes, version);
            tree.publish();
            kept.push_back(tree.clone());
            if kept.len() > 4 {
                // Not always the oldest.
                let place = if below(4) == 0 { 2 } else { 0 };
                kept.remove(place);
            }
            if below(4) == 0 {
                loose.clear();
            }
            if version % 50 == 0 {
                (kept, loose) = (VecDeque::new(), Vec::new());
                check_nothing_else_is_in_use(&tree);
            }
        }
    }

    /// As old heights are rebuilt: what a work makes and replaces again is nobody's, whatever ends first.
    #[test]
    fn several_blocks_of_one_work_leave_nothing_and_free_nothing_twice() {
        let changes = |version: u64| -> Vec<(Vec<u8>, Option<Value>)> {
            let keys = (0..40).filter(|key: &u64| !(key * 7 + version).is_multiple_of(3));
            keys.map(|key| {
                let value =
                    (!(key + version).is_multiple_of(4)).then(|| Value::from(vec![version as u8; 20]));
                (key.to_be_bytes().to_vec(), value)
            })
            .collect()
        };
        let advance = |tree: &Tree, from: u64, to: u64| {
            let mut next = tree.clone();
            for version in from..=to {
                let block = changes(version);
                let block: Vec<_> = block.iter().map(|(k, v)| (&k[..], v.clone())).collect();
                next.edit(&block, version);
            }
            next
        };
        let mut first = advance(&Tree::new(), 1, 1);
        first.seal();
        let arena = std::sync::Arc::clone(&first.pin.as_ref().unwrap().arena);
        let mut second = advance(&first, 2, 5);
        second.seal();
        // In the line from here on, and the oldest in it once the first ends.
        drop(advance(&second, 6, 6));
        drop(first);
        let mut third = advance(&second, 6, 9);
        third.seal();
        drop((advance(&third, 10, 13), advance(&third, 10, 10)));
        let mut beside = advance(&second, 40, 43);
        beside.seal();
        drop((second, beside));
        check_nothing_else_is_in_use(&third);
        drop(third);
        assert_eq!((arena.live_nodes(), arena.live_words()), (0, 0));
    }

    #[test]
    fn an_undone_version_leaves_the_one_before_whole() {
        let mut tree = Tree::new();
        let set =
            |tree: &mut Tree, n: u64, version| tree.set(&n.to_be_bytes(), n.to_string().into(), version);
        (0..100).for_each(|n| assert!(!set(&mut tree, n, 1)));
        tree.seal();
        let hash = tree.hash();
        let mut next = tree.clone();
        (50..150).for_each(|n| assert_eq!(set(&mut next, n, 2), n < 100));
        next.seal();
        let mut after = next.clone();
        set(&mut after, 1000, 3);
        // Neither sealed nor kept.
        drop(after);
        drop(next);
        assert_eq!((tree.hash(), tree.size()), (hash, 100));
        (0..100).for_each(|n: u64| assert_eq!(tree.get(&n.to_be_bytes()).unwrap(), n.to_string()));
        check_nothing_else_is_in_use(&tree);
    }
}
