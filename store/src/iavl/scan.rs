//! Ordered walks over a range of keys.
use super::Tree;
use super::node::Node;
use state::{Control, Value};

impl Tree {
    /// Visits the pairs from `start` (included) to `end` (excluded, `None` is the end of the tree), greatest first
    /// where `descending`, until told to break.
    pub fn scan(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        descending: bool,
        visit: &mut dyn FnMut(&[u8], &Value) -> Control,
    ) -> Control {
        match &self.root {
            Some(root) => walk(root, start, end, descending, visit),
            None => Control::Continue(()),
        }
    }
}

fn walk(
    node: &Node,
    start: &[u8],
    end: Option<&[u8]>,
    descending: bool,
    visit: &mut dyn FnMut(&[u8], &Value) -> Control,
) -> Control {
    let key = &node.key()[..];
    let Some((left, right)) = node.children() else {
        let inside = key >= start && end.is_none_or(|end| key < end);
        return match node.value() {
            Some(value) if inside => visit(key, value),
            _ => Control::Continue(()),
        };
    };
    // The left subtree lies below the node's key, the right one at or above it.
    let (low, high) = (start < key, end.is_none_or(|end| end > key));
    let order = if descending {
        [(high, right), (low, left)]
    } else {
        [(low, left), (high, right)]
    };
    for (wanted, child) in order {
        if wanted {
            walk(child, start, end, descending, visit)?;
        }
    }
    Control::Continue(())
}
