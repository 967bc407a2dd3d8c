//! What goes in and out of the app: the same for CometBFT's ABCI and for the solo engine, and free of protobuf.
use state::{AppHash, ProofOp, Version};
use std::sync::Arc;
use types::{Address, B256, Bytes, Event, Timestamp};

pub use module::{ValidatorUpdate, Vote};

/// The consensus parameters that the app cares about (genesis `consensus_params`).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ConsensusParams {
    /// Bytes of a block's transactions at most; CometBFT's `-1` is its own 100 MiB limit.
    pub max_bytes: i64,
    /// Gas of a block at most: above zero (chain.md rule 13).
    pub max_gas: i64,
    /// `version.app`.
    pub app_version: u64,
}

/// CometBFT's `InitChain`.
#[derive(Clone, Debug)]
pub struct InitChain {
    /// Cosmos chain id.
    pub chain_id: String,
    /// Genesis time.
    pub time: Timestamp,
    /// First block's height.
    pub initial_height: u64,
    /// Consensus parameters of the genesis document.
    pub params: ConsensusParams,
    /// The genesis document's validators; may be empty.
    pub validators: Vec<ValidatorUpdate>,
    /// The genesis document's `app_state`, as JSON.
    pub app_state: Bytes,
}

/// Answer to [`InitChain`].
#[derive(Clone, Debug)]
pub struct ChainInitialised {
    /// The validator set the chain starts with.
    pub validators: Vec<ValidatorUpdate>,
    /// The empty multistore's hash (chain.md rule 23).
    pub app_hash: AppHash,
}

/// A block as consensus proposes or decides it: all that it is executed from. Equal blocks on equal state give equal
/// results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Height.
    pub height: u64,
    /// Header time.
    pub time: Timestamp,
    /// The block's CometBFT hash; zero while it is only being prepared.
    pub hash: B256,
    /// The proposer's consensus address.
    pub proposer: Address,
    /// Raw transactions.
    pub txs: Vec<Bytes>,
    /// Who signed the parent block.
    pub votes: Vec<Vote>,
}

/// Who asks for a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A transaction seen for the first time.
    New,
    /// One that waits, after a block.
    Recheck,
}

/// What became of a transaction: in `CheckTx`, in a block, in a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxResult {
    /// Zero on success. EVM failures are code 0 with `vm_error` in `data`.
    pub code: u32,
    /// Whose code it is.
    pub codespace: String,
    /// For people; not hashed by consensus.
    pub log: String,
    /// `TxMsgData` in protobuf.
    pub data: Bytes,
    /// Gas limit (in `CheckTx`: gas expected).
    pub gas_wanted: u64,
    /// Gas used.
    pub gas_used: u64,
    /// What happened.
    pub events: Vec<Event>,
}

/// Answer to `FinalizeBlock`.
#[derive(Clone, Debug)]
pub struct Finalized {
    /// One result a transaction, in order.
    pub results: Vec<TxResult>,
    /// Block events, with attribute `mode` = `BeginBlock` or `EndBlock`.
    pub events: Vec<Event>,
    /// Changes to the validator set.
    pub validator_updates: Vec<ValidatorUpdate>,
    /// The root after the block.
    pub app_hash: AppHash,
    /// How the parallel execution went.
    pub stats: executor::Stats,
}

/// Answer to `Commit`.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// What was committed.
    pub version: Version,
    /// CometBFT may delete blocks below; 0 keeps all.
    pub retain_height: u64,
}

/// Answer to `Info`.
#[derive(Clone, Debug)]
pub struct Info {
    /// The newest durable version.
    pub version: Version,
    /// `version.app` from consensus parameters in state; 0 before the first commit.
    pub app_version: u64,
}

/// An ABCI query.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// `/store/<name>/key`, `/package.Service/Method`, …
    pub path: String,
    /// Key or request.
    pub data: Bytes,
    /// Height, or 0 for the latest.
    pub height: i64,
    /// Whether a Merkle proof is wanted (`/store/…/key` only).
    pub prove: bool,
}

/// Answer to a [`Query`].
#[derive(Clone, Debug, Default)]
pub struct QueryResult {
    /// Zero on success.
    pub code: u32,
    /// Whose code it is.
    pub codespace: String,
    /// For people.
    pub log: String,
    /// The key asked for, in store queries.
    pub key: Bytes,
    /// The answer.
    pub value: Bytes,
    /// Proof steps.
    pub proof: Vec<ProofOp>,
    /// The height answered for.
    pub height: u64,
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxPlace {
    /// Height of its block.
    pub height: u64,
    /// Place among all of the block's transactions (not the Ethereum index).
    pub index: u32,
}

/// Why the app cannot go on, or cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Execution failed below the transactions.
    #[error(transparent)]
    Exec(#[from] executor::ExecError),
    /// State failed.
    #[error(transparent)]
    State(#[from] state::StateError),
    /// The store failed or lacks the height.
    #[error(transparent)]
    Store(#[from] state::StoreError),
    /// A block hook failed: a bug, or state that cannot be.
    #[error("module {module} at height {height}: {why}")]
    Hook {
        /// Whose hook.
        module: &'static str,
        /// The block.
        height: u64,
        /// What it said.
        why: String,
    },
    /// Genesis is not usable.
    #[error("genesis: {0}")]
    Genesis(String),
    /// A request out of order.
    #[error("{0}")]
    Order(String),
    /// A stored record does not decode.
    #[error("corrupt record of height {height}: {why}")]
    Record {
        /// The block.
        height: u64,
        /// What is wrong.
        why: String,
    },
    /// The chain has not started.
    #[error("the chain has no genesis yet")]
    NotStarted,
}

/// How a node runs the app: node-local, without influence on results.
#[derive(Clone, Debug)]
pub struct Options {
    /// Serial or parallel.
    pub executor: Arc<executor::AnyExecutor>,
    /// Signatures remembered from `CheckTx`, at most.
    pub sender_cache: usize,
    /// Gas of `eth_call` and simulations, at most.
    pub call_gas_cap: u64,
}
