//! A frozen version of all stores: what readers hold while later blocks commit.
use crate::multistore::{self, Trees};
use prost::Message;
use state::{
    Bytes, Control, Key, KeyRange, ProofOp, Proven, Snapshot, StateError, StateRead, StateScan, StoreError,
    Value, Version,
};
use std::fmt;
use std::sync::Arc;

/// A frozen version of all stores. A clone is one more reference.
#[derive(Clone)]
pub struct Frozen(Arc<Inner>);

struct Inner {
    version: Version,
    trees: Trees,
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frozen")
            .field("version", &self.0.version)
            .finish_non_exhaustive()
    }
}

impl Frozen {
    pub(crate) fn new(version: Version, trees: Trees) -> Self {
        Self(Arc::new(Inner { version, trees }))
    }
    /// The trees, by store.
    pub fn trees(&self) -> &Trees {
        &self.0.trees
    }
    /// The value under `key` with its proof: from the key to its store's root, then to the app hash.
    pub fn prove(&self, key: &Key) -> Result<Proven, StoreError> {
        let missing = || StoreError::NoStore(key.store().name().to_owned());
        let tree = self.0.trees.get(&key.store()).ok_or_else(missing)?;
        let store = multistore::prove(&self.0.trees, key.store()).ok_or_else(missing)?;
        let op = |kind: &str, key: &[u8], data: Vec<u8>| ProofOp {
            kind: kind.to_owned(),
            key: Bytes::copy_from_slice(key),
            data: data.into(),
        };
        Ok(Proven {
            value: tree.get(key.bytes()),
            ops: vec![
                op("ics23:iavl", key.bytes(), tree.prove(key.bytes()).encode_to_vec()),
                op(
                    "ics23:simple",
                    key.store().name().as_bytes(),
                    store.encode_to_vec(),
                ),
            ],
        })
    }
    fn tree(&self, store: state::StoreId) -> Result<&crate::iavl::Tree, StateError> {
        self.0
            .trees
            .get(&store)
            .ok_or_else(|| StateError::Storage(format!("no such store: {}", store.name())))
    }
}

impl Snapshot for Frozen {
    fn version(&self) -> Version {
        self.0.version
    }
}

impl StateRead for Frozen {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        Ok(self.tree(key.store())?.get(key.bytes()))
    }
}

impl StateScan for Frozen {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        let mut pair = |key: &[u8], value: &Value| visit(&Key::new(range.store, &[key]), value);
        // Whether the visitor broke off is its own business.
        let _ = self
            .tree(range.store)?
            .scan(&range.start, range.end.as_deref(), range.descending, &mut pair);
        Ok(())
    }
}
