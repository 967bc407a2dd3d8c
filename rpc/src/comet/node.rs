//! What only the solo engine knows.
use crate::Submit;
use std::sync::Arc;
use types::Bytes;

/// Who the node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoloIdentity {
    /// Node id: 20 bytes, any (`node_info.id`).
    pub node_id: [u8; 20],
    /// The node's name.
    pub moniker: String,
    /// Its own consensus key, ed25519.
    pub pub_key: [u8; 32],
}

/// A validator in CometBFT's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoloValidator {
    /// Consensus key, ed25519.
    pub pub_key: [u8; 32],
    /// Voting power, above zero.
    pub power: i64,
}

/// What waits for a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolView {
    /// How many transactions wait.
    pub count: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The first of them.
    pub txs: Vec<Bytes>,
}

/// The solo engine, as CometBFT's RPC shows it. Everything else is read from [`Chain`](crate::Chain).
pub trait SoloNode: Submit {
    /// Who the node is.
    fn identity(&self) -> SoloIdentity;
    /// The validator set that block `height` is decided by. For the newest height and one above, the current sets; an
    /// older set that is no longer known may be an error.
    fn validators(&self, height: u64) -> Result<Vec<SoloValidator>, String>;
    /// What waits, with at most `limit` transactions in it.
    fn pool(&self, limit: usize) -> PoolView;
    /// The genesis document.
    fn genesis(&self) -> Arc<serde_json::Value>;
}
