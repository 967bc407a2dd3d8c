//! The contract a commit store keeps: stage at `FinalizeBlock`, commit at Commit, reopen at the last committed height.
use crate::{Bytes, ChangeSet, Key, StateScan, StateSync, Value};

/// The root over all stores.
pub type AppHash = [u8; 32];

/// sha256 of nothing: the hash of a store, and of a multistore, without content.
pub const EMPTY_ROOT: AppHash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// A height and its app hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Block height; 0 before the first commit.
    pub height: u64,
    /// App hash after that block; [`EMPTY_ROOT`] at height 0.
    pub root: AppHash,
}

/// What is kept of a block beside its state, in the same atomic record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockRecord {
    /// Header parts, transactions, receipts: the app's encoding.
    pub body: Bytes,
    /// Look-ups, such as transaction hash to place.
    pub index: Vec<IndexEntry>,
}

/// One look-up. A later entry under the same key replaces the earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// What is looked up.
    pub key: Bytes,
    /// What is found.
    pub value: Bytes,
}

/// Why the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Pruned, or not there yet.
    #[error("height {height} is not available: have {oldest} to {latest}")]
    NoVersion {
        /// The height asked for.
        height: u64,
        /// The oldest kept.
        oldest: u64,
        /// The newest.
        latest: u64,
    },
    /// A block out of order.
    #[error("cannot stage height {have}: want {want}")]
    Height {
        /// The height given.
        have: u64,
        /// The height that comes next.
        want: u64,
    },
    /// A store this database was not opened with.
    #[error("no such store: {0}")]
    NoStore(String),
    /// An earlier write failed: reopen to continue.
    #[error("store is poisoned by an earlier failure: {0}")]
    Poisoned(String),
    /// What is on disk is not what was written.
    #[error("corrupt store: {0}")]
    Corrupt(String),
    /// What is on disk was written by another program, or for other stores. It is whole.
    #[error("incompatible store: {0}")]
    Incompatible(String),
    /// Another process holds the database.
    #[error("database at {0} is in use by another process")]
    Locked(String),
    /// The database or the disk failed.
    #[error("database: {0}")]
    Database(String),
}

/// A frozen version: cheap to clone, readable while later blocks commit.
pub trait Snapshot: StateScan + Clone + Send + Sync + 'static {
    /// Which version.
    fn version(&self) -> Version;
}

/// One step of a Merkle proof, as `abci_query` returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofOp {
    /// `ics23:iavl` or `ics23:simple`.
    pub kind: String,
    /// The key this step proves: the raw key, then the store's name.
    pub key: Bytes,
    /// A protobuf `CommitmentProof`.
    pub data: Bytes,
}

/// A value, or its absence, with the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The value, if there is one.
    pub value: Option<Value>,
    /// Proof from the key to the store's root, then from the store's root to the app hash.
    pub ops: Vec<ProofOp>,
}

/// Versioned, hashed, durable state. `stage` answers `FinalizeBlock`, `commit` answers Commit; between the two nothing
/// is durable, and dropping what was staged forgets the block.
pub trait CommitStore: StateSync + Send + Sync + 'static {
    /// A frozen version.
    type Snapshot: Snapshot;
    /// A block that is hashed and not committed.
    type Staged: Send + 'static;

    /// The newest committed version.
    fn latest(&self) -> Version;
    /// Waits until every commit is durable, and returns the newest durable version: what `Info` reports.
    fn durable(&self) -> Result<Version, StoreError>;
    /// The oldest height that [`CommitStore::snapshot`] answers for.
    fn oldest(&self) -> u64;
    /// A version for reading: any height from [`CommitStore::oldest`] to the latest; 0 is empty state, before the
    /// first commit only.
    fn snapshot(&self, height: u64) -> Result<Self::Snapshot, StoreError>;
    /// Hashes state after `changes` on top of the latest version. `height` is the latest plus one; the first may be
    /// any from 1 (the genesis document's initial height). Staging again forgets what was staged before.
    fn stage(&self, height: u64, changes: ChangeSet) -> Result<(AppHash, Self::Staged), StoreError>;
    /// Makes a staged block and its record durable, atomically, and publishes it.
    fn commit(&self, staged: Self::Staged, record: BlockRecord) -> Result<Version, StoreError>;
    /// The record's body of a committed height.
    fn record(&self, height: u64) -> Result<Option<Bytes>, StoreError>;
    /// The newest index entry under `key`.
    fn find(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;
    /// Blocks from this height on must be kept by whoever can play them again: with them a store that lost everything but
    /// a checkpoint is made whole. 0: all blocks.
    fn retain(&self) -> u64 {
        0
    }
    /// The value under `key` at `height`, with its proof.
    fn prove(&self, height: u64, key: &Key) -> Result<Proven, StoreError>;
}
