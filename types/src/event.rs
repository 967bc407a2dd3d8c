//! What happened, for indexers.
use serde::{Deserialize, Serialize};

/// An ABCI event: not hashed by consensus, but the same on every node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The SDK's event type, such as `transfer`.
    pub kind: String,
    /// Attributes, in the order emitted.
    pub attributes: Vec<(String, String)>,
}

impl Event {
    /// An event of `kind` with `attributes`.
    pub fn new<const N: usize>(kind: &str, attributes: [(&str, String); N]) -> Self {
        Self {
            kind: kind.into(),
            attributes: attributes.map(|(k, v)| (k.into(), v)).into(),
        }
    }
}
