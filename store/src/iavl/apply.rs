//! A block's sorted changes, applied and hashed.
use super::Tree;
use super::node::Node;
use state::Value;
use std::sync::Arc;

/// From this many changes on, a block uses all cores: below, handing work over costs more than it saves.
const PARALLEL_CHANGES: usize = 256;
/// Subtrees up to this height are not split further among cores: about 2^10 nodes, 0.1 ms of hashing.
const SPLIT_ABOVE: u8 = 10;

/// An update of a key that exists, with its leaf still to be found.
pub(super) type Update<'a> = (&'a [u8], Value);

impl Tree {
    /// Applies `changes` as `version` and hashes. `changes` are sorted by key, one a key; `None` removes. Returns how
    /// many nodes are new: what keeping the version before this one costs.
    ///
    /// # Panics
    /// Where keys are not strictly ascending.
    pub fn apply(&mut self, changes: &[(&[u8], Option<Value>)], version: u64) -> u64 {
        assert!(
            changes.is_sorted_by(|a, b| a.0 < b.0),
            "changes come in key order, one a key"
        );
        let parallel = changes.len() >= PARALLEL_CHANGES;
        let mut there = vec![false; changes.len()];
        if let Some(root) = &self.root {
            find(root, changes, &mut there, parallel);
        }
        let mut updates: Vec<Update<'_>> = Vec::with_capacity(changes.len());
        let mut structural = Vec::new();
        for ((key, value), there) in changes.iter().zip(there) {
            match (value, there) {
                (Some(value), true) => updates.push((key, value.clone())),
                (None, false) => {}
                _ => structural.push((key, value)),
            }
        }
        for (key, value) in structural {
            match value {
                Some(value) => self.set(key, value.clone(), version),
                None => self.remove(key, version),
            };
        }
        match &mut self.root {
            Some(root) => seal(root, &mut updates, version, parallel),
            None => 0,
        }
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

/// Marks the changes whose key is below `node`.
fn find(node: &Node, changes: &[(&[u8], Option<Value>)], there: &mut [bool], parallel: bool) {
    let Some((left, right)) = node.children() else {
        for ((key, _), there) in changes.iter().zip(there) {
            *there = **node.key() == **key;
        }
        return;
    };
    let split = changes.partition_point(|(key, _)| node.goes_left(key));
    let ((low, high), (in_low, in_high)) = (changes.split_at(split), there.split_at_mut(split));
    if parallel && low.len().min(high.len()) > PARALLEL_CHANGES {
        rayon::join(
            || find(left, low, in_low, true),
            || find(right, high, in_high, true),
        );
        return;
    }
    if !low.is_empty() {
        find(left, low, in_low, parallel);
    }
    if !high.is_empty() {
        find(right, high, in_high, parallel);
    }
}

/// Carries `updates` to their leaves below `slot` and hashes what is new. Returns how many nodes that was.
pub(super) fn seal(slot: &mut Arc<Node>, updates: &mut [Update<'_>], version: u64, parallel: bool) -> u64 {
    if updates.is_empty() && !slot.dirty {
        return 0;
    }
    let node = Arc::make_mut(slot);
    if !updates.is_empty() {
        node.version = version;
    }
    let split = updates.partition_point(|(key, _)| node.goes_left(key));
    let wide = parallel && node.height > SPLIT_ABOVE;
    let mut count = 1;
    if let Some((left, right)) = node.children_mut() {
        let (low, high) = updates.split_at_mut(split);
        if wide && (left.dirty || !low.is_empty()) && (right.dirty || !high.is_empty()) {
            let (a, b) = rayon::join(
                || seal(left, low, version, true),
                || seal(right, high, version, true),
            );
            count += a + b;
        } else {
            count += seal(left, low, version, parallel) + seal(right, high, version, parallel);
        }
    } else if let [(key, value)] = updates {
        assert!(**key == **node.key(), "an update ends at its own leaf");
        node.set_value(std::mem::take(value));
    } else {
        assert!(updates.is_empty(), "one change a key");
    }
    node.rehash();
    count
}
