//! A tree as a stream of nodes in Go IAVL's export order (post-order: left, right, node), and back.
use super::arena::{Arena, NIL};
use super::node::{Node, head};
use super::work::{Pool, Work};
use super::{MAX_KEY_BYTES, MAX_VALUE_BYTES, Tree};
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
    /// A key, value, version or count that is too big for a node.
    #[error("node at place {0} is beyond the tree's limits")]
    Limit(u64),
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
        fn walk(arena: &Arena, id: u32, visit: &mut dyn FnMut(ExportNode) -> Control) -> Control {
            let node = arena.node(id);
            if !node.is_leaf() {
                walk(arena, node.left, visit)?;
                walk(arena, node.right, visit)?;
            }
            visit(ExportNode {
                key: arena.read(node.key()).into(),
                value: node.is_leaf().then(|| arena.read(node.value()).into()),
                version: node.version.into(),
                height: node.height,
            })
        }
        self.place()
            .map_or(Control::Continue(()), |(arena, root)| walk(arena, root, visit))
    }
}

/// Builds a tree from its export. Inner keys are derived, so a stream may leave them out.
pub struct Importer {
    work: Box<Work>,
    /// Subtrees to be joined, each with its smallest leaf. As deep as the tree is high.
    stack: Vec<(u32, u32)>,
    last: Option<Arc<[u8]>>,
    place: u64,
}

impl Default for Importer {
    fn default() -> Self {
        let arena = Arc::new(Arena::new());
        let work = Work {
            arena,
            base: None,
            root: NIL,
            version: 0,
            pool: Pool::default(),
        };
        Self {
            work: Box::new(work),
            stack: Vec::new(),
            last: None,
            place: 0,
        }
    }
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
        if key.len() > MAX_KEY_BYTES || value.len() > MAX_VALUE_BYTES {
            return Err(ImportError::Limit(self.place));
        }
        let version = self.version(version)?;
        let Work { arena, pool, .. } = &mut *self.work;
        let record = arena.put(version, &key, &value);
        let id = pool.add(arena, &Node::leaf(record, head(&key), version));
        self.last = Some(key);
        self.stack.push((id, id));
        self.place += 1;
        Ok(())
    }
    /// Joins the two newest subtrees under a node of `height`.
    pub fn inner(&mut self, height: u8, version: u64) -> Result<(), ImportError> {
        let (place, version) = (self.place, self.version(version)?);
        let (Some((split, right)), Some((smallest, left))) = (self.stack.pop(), self.stack.pop()) else {
            return Err(ImportError::Children(place));
        };
        let Work { arena, pool, .. } = &mut *self.work;
        let (low, high) = (arena.node(left), arena.node(right));
        let want = low.height.max(high.height) + 1;
        if want != height || low.height.abs_diff(high.height) > 1 {
            return Err(ImportError::Height {
                place,
                have: height,
                want,
            });
        }
        let inner = Node {
            left,
            right,
            height,
            size: low.size.checked_add(high.size).ok_or(ImportError::Limit(place))?,
            version,
            ..arena.node(split)
        };
        let id = pool.add(arena, &inner);
        self.stack.push((smallest, id));
        self.place += 1;
        Ok(())
    }
    /// The whole tree, hashed. Its root hash vouches for everything in it.
    pub fn finish(mut self) -> Result<Tree, ImportError> {
        if self.stack.len() > 1 {
            return Err(ImportError::Loose(self.stack.len()));
        }
        let Some((_, root)) = self.stack.pop() else {
            return Ok(Tree::new());
        };
        self.work.root = root;
        let mut tree = Tree {
            pin: None,
            work: Some(self.work),
        };
        tree.seal();
        Ok(tree)
    }
    fn version(&mut self, version: u64) -> Result<u32, ImportError> {
        let version = u32::try_from(version).map_err(|_| ImportError::Limit(self.place))?;
        self.work.version = self.work.version.max(version);
        Ok(version)
    }
}
