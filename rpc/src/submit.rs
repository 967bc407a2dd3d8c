//! Where transactions go: the mempool, whoever keeps it.
use app::TxResult;
use std::future::Future;
use std::pin::Pin;
use types::Bytes;

/// A future that is stored somewhere.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a transaction did not get as far as `CheckTx`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The same bytes are in the mempool, or were in a block lately (CometBFT: `tx already exists in cache`).
    #[error("already known")]
    AlreadyKnown,
    /// No room. Carries CometBFT's text, or the pool's.
    #[error("{0}")]
    Full(String),
    /// More bytes than the mempool takes.
    #[error("{0}")]
    TooLarge(String),
    /// Nobody there to take it: consensus is not running or does not answer.
    #[error("transaction could not be handed to consensus: {0}")]
    Unavailable(String),
}

/// A way into the mempool. The node implements it for CometBFT's RPC and for the solo engine.
pub trait Submit: Send + Sync + 'static {
    /// Hands in a raw `TxRaw` and gives the answer of `CheckTx`: code 0 means that it waits for a block.
    fn submit(&self, tx: Bytes) -> BoxFuture<'_, Result<TxResult, SubmitError>>;

    /// How many peers the node has (`net_peerCount`).
    fn peers(&self) -> u64 {
        0
    }

    /// While the node catches up: the height it has and the height it is heading for (`eth_syncing`).
    fn syncing(&self) -> Option<(u64, u64)> {
        None
    }
}
