//! All stores as one stream of items, and back: what snapshots and state files have in common.
//!
//! An item is a length (LEB128) and a protobuf message `cosmos.store.snapshots.v1.SnapshotItem`: a store's name opens the
//! store; a node follows its children (cosmos-sdk `store/rootmulti/store.go`, `Snapshot`; format 3). Stores ascend by
//! name. An inner node's key is the smallest of its right subtree.
use crate::iavl::{ExportNode, Importer, Tree};
use crate::multistore::Trees;
use prost::Message;
use state::{Control, StoreId, Value};
use std::io;
use std::sync::Arc;

/// An item has at most so many bytes (cosmos-sdk `snapshotMaxItemSize`).
const MAX_ITEM_BYTES: usize = 64_000_000;
/// More than any chain has; a stream must not make us hold any number.
const MAX_STORES: usize = 1024;
/// Nodes of one store, at most: some fewer than a tree's memory takes (`iavl/arena.rs`).
const MAX_NODES: u64 = (1 << 28) - (1 << 16);
/// Words of 8 bytes for the keys and values of one store, at most: half of what a tree's memory takes, as some is lost
/// where they meet.
const MAX_WORDS: u64 = 1 << 30;

#[derive(Clone, PartialEq, Message)]
struct Item {
    #[prost(oneof = "Kind", tags = "1, 2")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(message, tag = "1")]
    Store(StoreItem),
    #[prost(message, tag = "2")]
    Node(NodeItem),
}

#[derive(Clone, PartialEq, Message)]
struct StoreItem {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct NodeItem {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
    #[prost(int64, tag = "3")]
    version: i64,
    #[prost(int32, tag = "4")]
    height: i32,
}

/// Writes all stores to `out`. Returns how many nodes they have.
pub(super) fn write(trees: &Trees, out: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
    let (mut nodes, mut bytes) = (0, Vec::with_capacity(256));
    for (id, tree) in trees {
        let name = id.name().to_owned();
        put(Kind::Store(StoreItem { name }), &mut bytes, out)?;
        let mut result = Ok(());
        let _ = tree.export(&mut |node| {
            nodes += 1;
            result = put(Kind::Node(item(node)), &mut bytes, out);
            if result.is_ok() {
                Control::Continue(())
            } else {
                Control::Break(())
            }
        });
        result?;
    }
    Ok(nodes)
}

fn item(node: ExportNode) -> NodeItem {
    NodeItem {
        key: node.key.to_vec(),
        value: node.value.map_or_else(Vec::new, Vec::from),
        version: node.version as i64,
        height: node.height.into(),
    }
}

fn put(kind: Kind, bytes: &mut Vec<u8>, out: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let item = Item { kind: Some(kind) };
    let len = item.encoded_len();
    if len > MAX_ITEM_BYTES {
        let why = format!("a node has {len} bytes, a snapshot takes {MAX_ITEM_BYTES}");
        return Err(io::Error::other(why));
    }
    bytes.clear();
    item.encode_length_delimited(bytes).map_err(io::Error::other)?;
    out(bytes)
}

/// Reads a stream as it comes and grows the trees. Holds no more of it than an item that is not whole yet.
#[derive(Debug)]
pub(super) struct Parser {
    /// No node is newer.
    height: u64,
    rest: Vec<u8>,
    whole: Trees,
    open: Option<Open>,
    nodes: u64,
}

/// The store that is being read.
#[derive(Debug)]
struct Open {
    id: StoreId,
    importer: Importer,
    /// The smallest key of each subtree that waits to be joined.
    smallest: Vec<Arc<[u8]>>,
    nodes: u64,
    words: u64,
}

/// Why a stream is no state.
type Bad = String;

impl Parser {
    pub(super) fn new(height: u64) -> Self {
        Self {
            height,
            rest: Vec::new(),
            whole: Trees::new(),
            open: None,
            nodes: 0,
        }
    }
    /// Takes the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Bad> {
        let mut buffer = std::mem::take(&mut self.rest);
        buffer.extend_from_slice(bytes);
        let mut at = 0;
        while let Some((start, end)) = next(&buffer[at..])? {
            let item = Item::decode(&buffer[at + start..at + end]).map_err(|e| format!("bad item: {e}"))?;
            self.take(item)?;
            at += end;
        }
        buffer.drain(..at);
        self.rest = buffer;
        Ok(())
    }
    /// How many nodes were read.
    pub(super) fn nodes(&self) -> u64 {
        self.nodes
    }
    /// All stores, hashed.
    pub(super) fn finish(mut self) -> Result<Trees, Bad> {
        if !self.rest.is_empty() {
            return Err(format!("it ends with {} bytes of an item", self.rest.len()));
        }
        self.close()?;
        Ok(self.whole)
    }
    fn take(&mut self, item: Item) -> Result<(), Bad> {
        match item.kind {
            Some(Kind::Store(store)) => self.begin(&store.name),
            Some(Kind::Node(node)) => self.node(node),
            None => Err("an item is neither a store nor a node".into()),
        }
    }
    fn begin(&mut self, name: &str) -> Result<(), Bad> {
        self.close()?;
        let id = StoreId::parse(name).ok_or_else(|| format!("bad store name {name:?}"))?;
        if self.whole.last_key_value().is_some_and(|(last, _)| *last >= id) {
            return Err(format!("store {name} does not ascend"));
        }
        if self.whole.len() >= MAX_STORES {
            return Err(format!("more than {MAX_STORES} stores"));
        }
        self.open = Some(Open {
            id,
            importer: Importer::default(),
            smallest: Vec::new(),
            nodes: 0,
            words: 0,
        });
        Ok(())
    }
    fn close(&mut self) -> Result<(), Bad> {
        if let Some(open) = self.open.take() {
            let name = open.id.name();
            let tree: Tree = open.importer.finish().map_err(|e| format!("store {name}: {e}"))?;
            self.whole.insert(open.id, tree);
        }
        Ok(())
    }
    fn node(&mut self, node: NodeItem) -> Result<(), Bad> {
        let open = self.open.as_mut().ok_or("a node before any store")?;
        let version = u64::try_from(node.version)
            .ok()
            .filter(|v| (1..=self.height).contains(v));
        let version = version.ok_or_else(|| {
            format!(
                "store {}: a node of version {}, at height {}",
                open.id.name(),
                node.version,
                self.height
            )
        })?;
        self.nodes += 1;
        open.add(node, version)
            .map_err(|e| format!("store {}: {e}", open.id.name()))
    }
}

impl Open {
    fn add(&mut self, node: NodeItem, version: u64) -> Result<(), Bad> {
        self.nodes += 1;
        self.words += (node.key.len().div_ceil(8) + node.value.len().div_ceil(8)) as u64;
        if self.nodes > MAX_NODES || self.words > MAX_WORDS {
            return Err(format!(
                "more than {MAX_NODES} nodes or {MAX_WORDS} words: no tree holds it"
            ));
        }
        let height = u8::try_from(node.height).map_err(|_| format!("a node of height {}", node.height))?;
        let key: Arc<[u8]> = node.key.into();
        if height == 0 {
            self.smallest.push(Arc::clone(&key));
            let leaf = self.importer.leaf(key, Value::from(node.value), version);
            return leaf.map_err(|e| e.to_string());
        }
        if self.smallest.pop().is_none_or(|right| right != key) || !node.value.is_empty() {
            let key = hex::encode(key);
            return Err(format!("inner node {key} is not what its children make it"));
        }
        self.importer.inner(height, version).map_err(|e| e.to_string())
    }
}

/// Where the first item's message starts and ends; `None` where it is not whole.
fn next(bytes: &[u8]) -> Result<Option<(usize, usize)>, Bad> {
    let mut len = 0;
    // A length within the limit has at most four bytes.
    for (i, byte) in bytes.iter().take(4).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * i);
        if *byte < 0x80 {
            if len > MAX_ITEM_BYTES {
                return Err(format!("an item of {len} bytes, at most {MAX_ITEM_BYTES}"));
            }
            let end = i + 1 + len;
            return Ok((end <= bytes.len()).then_some((i + 1, end)));
        }
    }
    if bytes.len() < 4 {
        return Ok(None);
    }
    Err(format!("an item has more than {MAX_ITEM_BYTES} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multistore::app_hash;

    fn trees() -> Trees {
        let mut bank = Tree::new();
        for version in 1..=9u64 {
            for i in 0..40u64 {
                let key = ((i * 7 + version) % 61).to_be_bytes();
                if (i + version) % 11 == 0 {
                    bank.remove(&key, version);
                } else {
                    bank.set(&key, Value::from(vec![i as u8; (i % 5) as usize]), version);
                }
            }
            bank.seal();
        }
        [(StoreId::new("bank"), bank), (StoreId::new("empty"), Tree::new())].into()
    }

    fn bytes(trees: &Trees) -> Vec<u8> {
        let mut all = Vec::new();
        write(trees, &mut |bytes| {
            all.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
        all
    }

    fn read(bytes: &[u8], step: usize) -> Result<Trees, Bad> {
        let mut parser = Parser::new(9);
        bytes.chunks(step).try_for_each(|chunk| parser.feed(chunk))?;
        parser.finish()
    }

    fn nodes(tree: &Tree) -> Vec<ExportNode> {
        let mut nodes = Vec::new();
        let _ = tree.export(&mut |node| {
            nodes.push(node);
            Control::Continue(())
        });
        nodes
    }

    #[test]
    fn trees_come_back_however_the_stream_is_cut() {
        let trees = trees();
        let all = bytes(&trees);
        for step in [1, 2, 7, 100, all.len()] {
            let back = read(&all, step).unwrap();
            assert_eq!(app_hash(&back), app_hash(&trees), "{step} bytes at a time");
            assert_eq!(bytes(&back), all);
        }
    }

    #[test]
    fn the_items_are_the_sdks_in_export_order() {
        let trees = trees();
        let all = bytes(&trees);
        let (mut rest, mut want) = (&all[..], nodes(&trees[&StoreId::new("bank")]).into_iter());
        // SnapshotItem{store: {name: "bank"}}: field 1, 6 bytes; field 1, 4 bytes.
        assert_eq!(rest[..9], *b"\x08\x0a\x06\x0a\x04bank");
        rest = &rest[9..];
        while let Some((start, end)) = next(rest).unwrap().filter(|_| !rest.is_empty()) {
            match Item::decode(&rest[start..end]).unwrap().kind.unwrap() {
                Kind::Store(store) => assert_eq!(store.name, "empty"),
                Kind::Node(node) => assert_eq!(node, item(want.next().unwrap())),
            }
            rest = &rest[end..];
        }
        assert!(rest.is_empty() && want.next().is_none());
    }

    #[test]
    fn a_stream_that_is_no_state_is_refused_and_no_flipped_bit_passes() {
        let trees = trees();
        let (all, root) = (bytes(&trees), app_hash(&trees));
        for at in 0..all.len() * 8 {
            let mut bad = all.clone();
            bad[at / 8] ^= 1 << (at % 8);
            assert!(
                read(&bad, 64).map_or(true, |trees| app_hash(&trees) != root),
                "bit {at}"
            );
        }
        for len in 0..all.len() - 9 {
            assert!(
                read(&all[..len], 64).map_or(true, |trees| app_hash(&trees) != root),
                "cut at {len}"
            );
        }
        let refused = |items: Vec<Kind>, why: &str| {
            let mut all = Vec::new();
            for kind in items {
                put(kind, &mut Vec::new(), &mut |bytes| {
                    all.extend_from_slice(bytes);
                    Ok(())
                })
                .unwrap();
            }
            let error = read(&all, 64).unwrap_err();
            assert!(error.contains(why), "{error}");
        };
        let store = |name: &str| Kind::Store(StoreItem { name: name.into() });
        let node = |key: &[u8], version, height| {
            let (key, value) = (key.to_vec(), Vec::new());
            Kind::Node(NodeItem {
                key,
                value,
                version,
                height,
            })
        };
        refused(vec![node(b"a", 1, 0)], "before any store");
        refused(vec![store("b"), store("a")], "does not ascend");
        refused(vec![store("a"), node(b"a", 10, 0)], "version 10, at height 9");
        refused(vec![store("a"), node(b"a", -1, 0)], "version -1");
        refused(vec![store("a"), node(b"b", 1, 0), node(b"a", 1, 0)], "not above");
        refused(
            vec![store("a"), node(b"a", 1, 0), node(b"b", 1, 0), node(b"a", 1, 1)],
            "inner node 61",
        );
        refused(vec![store("a"), node(b"a", 1, 300)], "height 300");
        assert!(read(&[0xff; 9], 9).unwrap_err().contains("64000000"));
    }
}
