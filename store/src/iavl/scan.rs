//! Ordered walks over a range of keys.
use super::Tree;
use super::arena::Arena;
use super::node::head;
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
        let Some((arena, root)) = self.place() else {
            return Control::Continue(());
        };
        let walk = Walk {
            arena,
            start: (start, head(start)),
            end: end.map(|end| (end, head(end))),
            descending,
        };
        walk.below(root, visit)
    }
}

struct Walk<'a> {
    arena: &'a Arena,
    start: (&'a [u8], u64),
    end: Option<(&'a [u8], u64)>,
    descending: bool,
}

impl Walk<'_> {
    fn below(&self, id: u32, visit: &mut dyn FnMut(&[u8], &Value) -> Control) -> Control {
        let node = self.arena.node(id);
        let start = self.arena.order(self.start.0, self.start.1, &node);
        let end = self.end.map(|(end, head)| self.arena.order(end, head, &node));
        // The left subtree lies below the node's key, the right one at or above it.
        let (low, high) = (start.is_lt(), end.is_none_or(|end| end.is_gt()));
        if node.is_leaf() {
            return if start.is_le() && high {
                visit(
                    &self.arena.read(node.key()),
                    &self.arena.read(node.value()).into(),
                )
            } else {
                Control::Continue(())
            };
        }
        let order = if self.descending {
            [(high, node.right), (low, node.left)]
        } else {
            [(low, node.left), (high, node.right)]
        };
        for (wanted, child) in order {
            if wanted {
                self.below(child, visit)?;
            }
        }
        Control::Continue(())
    }
}
