//! State at a committed height, or genesis state before the first block.
use state::{Control, Key, KeyRange, MemoryState, StateError, StateRead, StateScan, Value};
use std::sync::Arc;

/// A frozen state: cheap to clone, readable while blocks commit.
#[derive(Clone, Debug)]
pub enum StateView<S> {
    /// What genesis wrote; committed with the first block.
    Genesis(Arc<MemoryState>),
    /// A committed version.
    At(S),
}

impl<S: StateScan> StateRead for StateView<S> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        match self {
            Self::Genesis(state) => state.get(key),
            Self::At(snapshot) => snapshot.get(key),
        }
    }
}

impl<S: StateScan> StateScan for StateView<S> {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        match self {
            Self::Genesis(state) => state.scan(range, visit),
            Self::At(snapshot) => snapshot.scan(range, visit),
        }
    }
}
