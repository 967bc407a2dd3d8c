//! A tree as a stream of nodes in Go IAVL's export order (post-order: left, right, node), and back.
use super::Tree;
use super::node::Node;
use state::{Control, Value};
use std::sync::Arc;

/// One node of an export. Its size follows from the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportNode {
    /// A leaf's key; an inner node's smallest key of the right subtree.
    pub key: Arc<[u8]>,
    /// A leaf's value; `None` for an inner node.
    pub value: Option<Value>,
    /// The version that made it.
    pub version: u64,
    /// 0 for a leaf.
    pub height: u8,
}

/// Why a stream of nodes is not a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// An inner node without two subtrees before it.
    #[error("inner node at place {0} lacks its children")]
    Children(u64),
    /// A height that does not follow from the children, or breaks balance.
    #[error("node at place {place} has height {have}, its children make it {want}")]
    Height {
        /// The node's place in the stream.
        place: u64,
        /// Its height.
        have: u8,
        /// The height its children give.
        want: u8,
    },
    /// Keys that do not ascend.
    #[error("leaf at place {0} is not above the leaf before it")]
    Order(u64),
    /// Subtrees that nothing joins.
    #[error("the stream ends with {0} unjoined subtrees")]
    Loose(usize),
}

impl Tree {
    /// Visits every node in export order, until told to break.
    pub fn export(&self, visit: &mut dyn FnMut(ExportNode) -> Control) -> Control {
        fn walk(node: &Node, visit: &mut dyn FnMut(ExportNode) -> Control) -> Control {
            if let Some((left, right)) = node.children() {
                walk(left, visit)?;
                walk(right, visit)?;
            }
            let (key, value) = (Arc::clone(node.key()), node.value().cloned());
            visit(ExportNode {
                key,
                value,
                version: node.version,
                height: node.height,
            })
        }
        self.root
            .as_ref()
            .map_or(Control::Continue(()), |root| walk(root, visit))
    }
}

/// Builds a tree from its export. Inner keys are derived, so a stream may leave them out.
#[derive(Default)]
pub struct Importer {
    /// Subtrees to be joined, each with its smallest key. As deep as the tree is high.
    stack: Vec<(Arc<[u8]>, Arc<Node>)>,
    last: Option<Arc<[u8]>>,
    place: u64,
}

impl std::fmt::Debug for Importer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Importer")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Importer {
    /// Adds a leaf.
    pub fn leaf(&mut self, key: Arc<[u8]>, value: Value, version: u64) -> Result<(), ImportError> {
        if self.last.as_ref().is_some_and(|last| *last >= key) {
            return Err(ImportError::Order(self.place));
        }
        self.last = Some(Arc::clone(&key));
        self.stack
            .push((Arc::clone(&key), Node::leaf(key, value, version)));
        self.place += 1;
        Ok(())
    }
    /// Joins the two newest subtrees under a node of `height`.
    pub fn inner(&mut self, height: u8, version: u64) -> Result<(), ImportError> {
        let place = self.place;
        let (Some((split, right)), Some((smallest, left))) = (self.stack.pop(), self.stack.pop()) else {
            return Err(ImportError::Children(place));
        };
        let node = Node::inner(split, left, right, version);
        if node.height != height || node.balance().abs() > 1 {
            return Err(ImportError::Height {
                place,
                have: height,
                want: node.height,
            });
        }
        self.stack.push((smallest, node));
        self.place += 1;
        Ok(())
    }
    /// The whole tree, hashed. Its root hash vouches for everything in it.
    pub fn finish(mut self) -> Result<Tree, ImportError> {
        let root = self.stack.pop();
        if !self.stack.is_empty() {
            return Err(ImportError::Loose(self.stack.len() + 1));
        }
        let mut tree = Tree {
            root: root.map(|(_, node)| node),
        };
        tree.seal();
        Ok(tree)
    }
}
