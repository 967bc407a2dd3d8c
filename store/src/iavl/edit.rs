//! Inserts and removes with IAVL's rotations (cosmos/iavl `mutable_tree.go`): the order of edits decides the shape.
use super::node::{Node, own};
use state::Value;
use std::cmp::Ordering;
use std::sync::Arc;

const INNER: &str = "only inner nodes are taller than their sibling by two";

/// Sets `key` below `slot`. Returns whether it was there.
pub(super) fn set(slot: &mut Arc<Node>, key: &[u8], value: Value, version: u64) -> bool {
    if slot.height == 0 {
        let old = Arc::clone(slot);
        let order = old.order(key);
        *slot = match order {
            Ordering::Equal => Node::leaf(Arc::clone(old.key()), value, version),
            Ordering::Less => {
                let new = Node::leaf(key.into(), value, version);
                Node::inner(Arc::clone(old.key()), new, old, version)
            }
            Ordering::Greater => {
                let new = Node::leaf(key.into(), value, version);
                Node::inner(Arc::clone(new.key()), old, new, version)
            }
        };
        return order == Ordering::Equal;
    }
    let node = own(slot, version);
    let goes_left = node.goes_left(key);
    let (left, right) = node.children_mut().expect("height above 0");
    let was_there = set(if goes_left { left } else { right }, key, value, version);
    if !was_there {
        node.measure();
        rebalance(slot, version);
    }
    was_there
}

/// Removes `key`, which is there, from below `slot`, which is an inner node.
pub(super) fn remove(slot: &mut Arc<Node>, key: &[u8], version: u64) {
    remove_below(slot, key, version);
}

/// Returns the new smallest key of the subtree where it changed: the ancestor to whose right it lies takes it over.
fn remove_below(slot: &mut Arc<Node>, key: &[u8], version: u64) -> Option<Arc<[u8]>> {
    let goes_left = slot.goes_left(key);
    let (left, right) = slot.children().expect("the walk ends above the leaf");
    // A removed leaf's sibling takes the parent's place, with its old version and hash.
    if goes_left && left.height == 0 {
        let (sibling, smallest) = (Arc::clone(right), Arc::clone(slot.key()));
        *slot = sibling;
        return Some(smallest);
    }
    if !goes_left && right.height == 0 {
        let sibling = Arc::clone(left);
        *slot = sibling;
        return None;
    }
    let node = own(slot, version);
    let (left, right) = node.children_mut().expect("height above 0");
    let above = if goes_left {
        remove_below(left, key, version)
    } else {
        if let Some(smallest) = remove_below(right, key, version) {
            node.set_key(smallest);
        }
        None
    };
    node.measure();
    rebalance(slot, version);
    above
}

/// Restores balance at `slot`, which is owned by `version`. Every node of a rotation becomes part of `version`.
fn rebalance(slot: &mut Arc<Node>, version: u64) {
    match slot.balance() {
        2.. => {
            let (left, _) = Arc::make_mut(slot).children_mut().expect(INNER);
            if left.balance() < 0 {
                rotate_left(left, version);
            }
            rotate_right(slot, version);
        }
        ..=-2 => {
            let (_, right) = Arc::make_mut(slot).children_mut().expect(INNER);
            if right.balance() > 0 {
                rotate_right(right, version);
            }
            rotate_left(slot, version);
        }
        _ => {}
    }
}

fn rotate_right(slot: &mut Arc<Node>, version: u64) {
    let node = own(slot, version);
    let (left, _) = node.children_mut().expect(INNER);
    let middle = Arc::clone(left.children().expect(INNER).1);
    // Putting `middle` in place first leaves `top` with a single owner, so that it is not copied again.
    let mut top = std::mem::replace(left, middle);
    node.measure();
    let raised = own(&mut top, version);
    *raised.children_mut().expect(INNER).1 = Arc::clone(slot);
    raised.measure();
    *slot = top;
}

fn rotate_left(slot: &mut Arc<Node>, version: u64) {
    let node = own(slot, version);
    let (_, right) = node.children_mut().expect(INNER);
    let middle = Arc::clone(right.children().expect(INNER).0);
    let mut top = std::mem::replace(right, middle);
    node.measure();
    let raised = own(&mut top, version);
    *raised.children_mut().expect(INNER).0 = Arc::clone(slot);
    raised.measure();
    *slot = top;
}
