//! What readers of the durable store hold: a tree's version where it is in RAM, flat history where it is older.
use crate::Frozen;
use crate::flat::Flat;
use crate::multistore::Trees;
use state::{Control, Key, KeyRange, Snapshot, StateError, StateRead, StateScan, Value, Version};

/// State at a height. A clone is one more reference. Both kinds answer alike.
#[derive(Clone, Debug)]
pub enum View {
    /// The trees of a version in RAM: the newest, a recent one, or one that was rebuilt.
    Tree(Frozen),
    /// Rows of flat history.
    Flat(Flat),
}

impl View {
    /// The trees, by store: none where the view is flat. `DiskStore::frozen` has those of any height.
    pub fn trees(&self) -> &Trees {
        static NONE: Trees = Trees::new();
        match self {
            Self::Tree(frozen) => frozen.trees(),
            Self::Flat(_) => &NONE,
        }
    }
}

impl Snapshot for View {
    fn version(&self) -> Version {
        match self {
            Self::Tree(frozen) => frozen.version(),
            Self::Flat(flat) => flat.version(),
        }
    }
}

impl StateRead for View {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        match self {
            Self::Tree(frozen) => frozen.get(key),
            Self::Flat(flat) => flat.get(key),
        }
    }
}

impl StateScan for View {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        match self {
            Self::Tree(frozen) => frozen.scan(range, visit),
            Self::Flat(flat) => flat.scan(range, visit),
        }
    }
}
