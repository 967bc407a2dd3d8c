//! The versions held in RAM: the newest, on which blocks are staged, and a ring of older ones.
use crate::iavl::{MAX_KEY_BYTES, MAX_VALUE_BYTES, MAX_VERSION};
use crate::multistore::{Trees, app_hash};
use crate::{Config, Frozen};
use parking_lot::{Mutex, MutexGuard, RwLock};
use rayon::prelude::*;
use state::{AppHash, ChangeSet, EMPTY_ROOT, Key, Snapshot, StoreError, Value, Version};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// From this many changes on, stores are applied on all cores.
const PARALLEL_CHANGES: usize = 256;

/// A block that is hashed and not committed. Dropping it forgets the block.
#[derive(Debug)]
pub struct Staged {
    /// Which call of `stage` made it.
    ticket: u64,
    base: Version,
    pub(crate) next: Frozen,
    pub(crate) changes: ChangeSet,
    /// How many nodes the version before it keeps alive.
    nodes: u64,
    /// Bytes of the changes' keys and values.
    pub(crate) bytes: usize,
}

impl Staged {
    /// The height and app hash it would have.
    pub fn version(&self) -> Version {
        self.next.version()
    }
}

#[derive(Debug)]
pub(crate) struct Versions {
    ring: RwLock<Ring>,
    /// The newest call of `stage`.
    ticket: AtomicU64,
    /// What is done behind the commits.
    behind: Arc<Tidier>,
    /// Bytes that the trees may take; 0 is no limit.
    memory: u64,
}

/// What a version that was published leaves to do: reads, which walk the tree until then, find its leaves by key;
/// expired versions are freed; and the next block finds its memory ready.
#[derive(Debug)]
struct Rest {
    next: Frozen,
    dropped: Vec<(Frozen, u64)>,
}

impl Rest {
    fn run(self) {
        let trees = self.next.trees();
        trees.values().for_each(crate::iavl::Tree::publish);
        drop(self.dropped);
        trees.values().for_each(crate::iavl::Tree::prepare);
    }
}

/// Does these one after another, in the order of the commits.
#[derive(Debug, Default)]
struct Tidier {
    queue: Mutex<VecDeque<Rest>>,
    /// Held by who does them.
    running: Mutex<()>,
}

impl Tidier {
    /// Has `rest` done behind the commit. One that is not begun when the next comes is waited for: they never pile up.
    fn push(self: &Arc<Self>, rest: Rest) {
        let mut queue = self.queue.lock();
        queue.push_back(rest);
        let late = queue.len() > 1;
        drop(queue);
        if late {
            self.finish();
        } else {
            let this = Arc::clone(self);
            rayon::spawn(move || {
                // A thread of rayon's never waits for another.
                if let Some(running) = this.running.try_lock() {
                    this.run(running);
                }
            });
        }
    }
    /// Does all there is, and waits for what is being done.
    fn finish(&self) {
        self.run(self.running.lock());
    }
    fn run<'a>(&'a self, running: MutexGuard<'a, ()>) {
        let mut running = Some(running);
        while let Some(guard) = running {
            while let Some(rest) = self.pop() {
                rest.run();
            }
            drop(guard);
            // Who came in between found it held, and left its own to us.
            running = if self.queue.lock().is_empty() {
                None
            } else {
                self.running.try_lock()
            };
        }
    }
    fn pop(&self) -> Option<Rest> {
        self.queue.lock().pop_front()
    }
}

#[derive(Debug)]
struct Ring {
    /// Ascending, contiguous; never empty. With each, the nodes that its successor replaced.
    kept: VecDeque<(Frozen, u64)>,
    nodes: u64,
    max: usize,
    max_nodes: u64,
}

impl Versions {
    /// State before the first block.
    pub(crate) fn new(config: &Config) -> Self {
        Self::from(empty(config), config)
    }
    /// `head` as the only version.
    pub(crate) fn from(head: Frozen, config: &Config) -> Self {
        head.trees().values().for_each(crate::iavl::Tree::publish);
        let kept = VecDeque::from([(head, 0)]);
        let ring = Ring {
            kept,
            nodes: 0,
            max: config.ring.max(1),
            max_nodes: config.ring_nodes,
        };
        Self {
            ring: RwLock::new(ring),
            ticket: AtomicU64::new(0),
            behind: Arc::default(),
            memory: config.memory_limit,
        }
    }
    pub(crate) fn head(&self) -> Frozen {
        self.ring.read().kept.back().expect("never empty").0.clone()
    }
    pub(crate) fn latest(&self) -> Version {
        self.head().version()
    }
    /// Makes `frozen` the only version. Blocks staged before cannot be committed.
    pub(crate) fn restart(&self, frozen: Frozen) {
        self.behind.finish();
        frozen.trees().values().for_each(crate::iavl::Tree::publish);
        let mut ring = self.ring.write();
        let old = std::mem::replace(&mut ring.kept, VecDeque::from([(frozen, 0)]));
        ring.nodes = 0;
        drop(ring);
        drop(old);
    }
    /// The oldest height in RAM.
    pub(crate) fn oldest(&self) -> u64 {
        self.ring
            .read()
            .kept
            .front()
            .expect("never empty")
            .0
            .version()
            .height
    }
    pub(crate) fn get(&self, height: u64) -> Option<Frozen> {
        let ring = self.ring.read();
        let first = ring.kept.front().expect("never empty").0.version().height;
        let place = usize::try_from(height.checked_sub(first)?).ok()?;
        ring.kept.get(place).map(|(frozen, _)| frozen.clone())
    }
    /// Hashes `changes` on top of the newest version.
    pub(crate) fn stage(&self, height: u64, changes: ChangeSet) -> Result<(AppHash, Staged), StoreError> {
        let ticket = self.ticket.fetch_add(1, Ordering::AcqRel) + 1;
        let head = self.head();
        let base = head.version();
        // The first block may have any height: the genesis document's initial height.
        if height != base.height + 1 && (base.height > 0 || height == 0) {
            return Err(StoreError::Height {
                have: height,
                want: base.height + 1,
            });
        }
        if height > MAX_VERSION {
            let why = format!("height {height} is beyond what a node can hold: at most {MAX_VERSION}");
            return Err(StoreError::Database(why));
        }
        let pair =
            |(key, value): (&Key, &Option<Value>)| key.bytes().len() + value.as_ref().map_or(0, Value::len);
        let bytes = changes.iter().map(pair).sum();
        self.check_memory(&head, changes.len(), bytes)?;
        let mut trees = head.trees().clone();
        let nodes = apply(&mut trees, &changes, height)?;
        let version = Version {
            height,
            root: app_hash(&trees),
        };
        Ok((
            version.root,
            Staged {
                ticket,
                base,
                next: Frozen::new(version, trees),
                changes,
                nodes,
                bytes,
            },
        ))
    }
    /// Refuses a block that would take more memory than the trees may have: better than a machine that has none left.
    fn check_memory(&self, head: &Frozen, changes: usize, bytes: usize) -> Result<(), StoreError> {
        /// What a change makes, a path of nodes among others, where nothing of it is shared.
        const CHANGE_BYTES: u64 = 2048;
        if self.memory == 0 {
            return Ok(());
        }
        let usage = head.trees().values().map(crate::iavl::Tree::usage);
        let used: u64 = usage.map(|usage| usage.nodes + usage.bytes + usage.index).sum();
        let more = bytes as u64 + CHANGE_BYTES * changes as u64;
        if used + more <= self.memory {
            return Ok(());
        }
        let limit = self.memory;
        Err(StoreError::Database(format!(
            "out of memory: the trees take {used} bytes, the block may take {more} more, the limit is {limit}: raise memory-limit, or use a machine with more memory"
        )))
    }
    /// Whether `staged` may be committed now.
    pub(crate) fn check(&self, staged: &Staged) -> Result<(), StoreError> {
        let latest = self.latest();
        if staged.base != latest {
            return Err(StoreError::Height {
                have: staged.version().height,
                want: latest.height + 1,
            });
        }
        if staged.ticket != self.ticket.load(Ordering::Acquire) {
            let height = staged.version().height;
            return Err(StoreError::Database(format!(
                "height {height} was staged again: what was staged before is forgotten"
            )));
        }
        Ok(())
    }
    /// Makes `staged` the newest version, and drops what the ring has no room for.
    pub(crate) fn publish(&self, staged: &Staged) {
        let mut dropped = Vec::new();
        let mut ring = self.ring.write();
        // Height 0 is there before the first commit only.
        if staged.base.height == 0 {
            dropped.extend(ring.kept.drain(..));
            ring.nodes = 0;
        }
        if let Some(last) = ring.kept.back_mut() {
            last.1 = staged.nodes;
            ring.nodes += staged.nodes;
        }
        ring.kept.push_back((staged.next.clone(), 0));
        while ring.kept.len() > ring.max || (ring.nodes > ring.max_nodes && ring.kept.len() > 1) {
            if let Some((frozen, nodes)) = ring.kept.pop_front() {
                ring.nodes -= nodes;
                dropped.push((frozen, nodes));
            }
        }
        drop(ring);
        let next = staged.next.clone();
        self.behind.push(Rest { next, dropped });
    }
}

/// State before the first block.
pub(crate) fn empty(config: &Config) -> Frozen {
    let trees = config
        .stores
        .iter()
        .map(|id| (*id, crate::iavl::Tree::new()))
        .collect();
    Frozen::new(
        Version {
            height: 0,
            root: EMPTY_ROOT,
        },
        trees,
    )
}

/// A store's changes, in key order.
pub(crate) type Changes<'a> = Vec<(&'a [u8], Option<Value>)>;

/// Applies a block to all stores and hashes. Returns how many nodes are new.
pub(crate) fn apply(trees: &mut Trees, changes: &ChangeSet, height: u64) -> Result<u64, StoreError> {
    let mut work = split(trees, changes)?;
    let each = |(tree, changes): &mut (&mut crate::iavl::Tree, Changes<'_>)| tree.apply(changes, height);
    Ok(if changes.len() < PARALLEL_CHANGES {
        work.iter_mut().map(each).sum()
    } else {
        work.par_iter_mut().map(each).sum()
    })
}

/// Each touched tree with its changes.
pub(crate) fn split<'a, 'b>(
    trees: &'a mut Trees,
    changes: &'b ChangeSet,
) -> Result<Vec<(&'a mut crate::iavl::Tree, Changes<'b>)>, StoreError> {
    let mut by_store: Vec<(state::StoreId, Changes<'b>)> = Vec::new();
    for (key, value) in changes {
        // The tree copies what it keeps, so a value that is a slice of something big keeps that alive no longer.
        let pair = (key.bytes(), value.clone());
        match by_store.last_mut() {
            Some((store, list)) if *store == key.store() => list.push(pair),
            _ => by_store.push((key.store(), vec![pair])),
        }
    }
    if let Some((store, _)) = by_store.iter().find(|(store, _)| !trees.contains_key(store)) {
        return Err(StoreError::NoStore(store.name().to_owned()));
    }
    for (store, list) in &by_store {
        check(*store, list, &trees[store])?;
    }
    let mut rest = by_store.into_iter().peekable();
    let take = |(id, tree): (&state::StoreId, &'a mut crate::iavl::Tree)| {
        rest.next_if(|(store, _)| store == id)
            .map(|(_, changes)| (tree, changes))
    };
    Ok(trees.iter_mut().filter_map(take).collect())
}

/// Refuses what a tree cannot hold.
fn check(store: state::StoreId, changes: &Changes<'_>, tree: &crate::iavl::Tree) -> Result<(), StoreError> {
    let refuse = |why: String| Err(StoreError::Database(format!("store {}: {why}", store.name())));
    let mut bytes = 0;
    for (key, value) in changes {
        let len = value.as_ref().map_or(0, Value::len);
        if key.len() > MAX_KEY_BYTES {
            return refuse(format!("a key has {} bytes, at most {MAX_KEY_BYTES}", key.len()));
        }
        if len > MAX_VALUE_BYTES {
            return refuse(format!("a value has {len} bytes, at most {MAX_VALUE_BYTES}"));
        }
        bytes += (key.len() + len) as u64;
    }
    if !tree.has_room(changes.len() as u64, bytes) {
        return refuse(format!(
            "{} keys fill it: no room for {} changes",
            tree.size(),
            changes.len()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iavl::Tree;
    use state::{Key, StoreId};

    #[test]
    fn many_stores_on_all_cores_hash_as_each_by_itself() {
        let stores = ["a", "b", "c", "untouched"].map(StoreId::new);
        let versions = Versions::new(&Config::new(stores));
        let key = |store: usize, i: u32| Key::new(stores[store], &[&i.to_be_bytes()]);
        let value = |i: u32| Some(Value::from(i.to_string()));
        let mut alone: Trees = stores.map(|id| (id, Tree::new())).into();
        for height in 1..=3 {
            let sizes = [400 * height, 30, 700];
            let all = (0..3).flat_map(|s| (0..sizes[s]).map(move |i| (s, i * height)));
            let changes: ChangeSet = all
                .map(|(s, i)| (key(s, i), value(i).filter(|_| !(i + height).is_multiple_of(9))))
                .collect();
            for (key, value) in &changes {
                let tree = alone.get_mut(&key.store()).unwrap();
                match value {
                    Some(value) => tree.set(key.bytes(), value.clone(), height.into()),
                    None => tree.remove(key.bytes(), height.into()),
                };
            }
            for tree in alone.values_mut() {
                tree.seal();
            }
            let (root, staged) = versions.stage(height.into(), changes).unwrap();
            assert_eq!(root, app_hash(&alone), "height {height}");
            versions.publish(&staged);
        }
    }
}
