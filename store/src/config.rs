//! How a store is opened.
use crate::backend::Database;
use crate::{Points, Pruning};
use state::StoreId;

/// When a commit returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commit {
    /// When the height is durable.
    #[default]
    Sync,
    /// When it is published. Heights are written behind, several with one sync; a kill loses those that were not, and
    /// the chain replays them: `durable` says from where. A commit waits while eight heights or 64 MiB are unwritten.
    Async,
}

/// What opening does where the journal is damaged: unreadable, shorter than what was acknowledged, or not whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Damaged {
    /// Refuses, with the reason.
    #[default]
    Refuse,
    /// Sets the journal aside and starts a new one from the newest whole checkpoint, or from genesis. For a node whose
    /// consensus has the blocks since then and replays them (`aside.rs`).
    SetAside,
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Config {
    /// The module stores. Each one's name is part of the app hash from the first commit on, also while it is empty.
    pub stores: Vec<StoreId>,
    /// How many recent versions stay in RAM; `usize::MAX` keeps them all, 0 counts as 1.
    pub ring: usize,
    /// How many tree nodes that only old versions use may stay in RAM (about 130 bytes each, with their share of keys
    /// and values): whichever of the two limits is met first drops the oldest version from RAM.
    pub ring_nodes: u64,
    /// A checkpoint is written at every multiple of this height; 0 writes none for height's sake.
    pub checkpoint_interval: u64,
    /// A checkpoint is also written when the journal has grown by this many bytes, and by as many as the last checkpoint
    /// has, since then; 0 writes none for size's sake. So checkpoints at most double what is written.
    pub checkpoint_bytes: u64,
    /// How many checkpoints are kept at most; the newest two, and the one that old state is rebuilt from, are in any
    /// case.
    pub checkpoints: usize,
    /// Which heights' state is kept.
    pub pruning: Pruning,
    /// How many heights' bodies and look-ups are kept before the newest; 0 keeps all.
    pub keep_blocks: u64,
    /// What opening does where the journal is damaged.
    pub damaged: Damaged,
    /// Trees may take so many bytes of memory; a block that comes after is refused. 0 is no limit.
    pub memory_limit: u64,
    /// A snapshot for other nodes is written at every multiple of this height; 0 writes none. Nodes of a chain that
    /// agree on it have the same snapshots, so that a new node may fetch its chunks from all of them.
    pub snapshot_interval: u64,
    /// How many snapshots are kept; 0 counts as 1.
    pub snapshots: usize,
    /// Bytes of keys, values and nodes that a snapshot or a state file from outside may have at most. They are held in
    /// RAM before it is known whether they are the chain's.
    pub restore_bytes: u64,
    /// Whether flat history is kept, from which state at heights that left RAM is read. Without, such a height's trees are
    /// rebuilt from a checkpoint and the journal.
    pub history: bool,
    /// Pages of flat history may take so many bytes of RAM.
    pub history_cache: usize,
    /// So many heights of flat history are kept in memory before they become a file; the journal has them until then. 0
    /// counts as 1.
    pub history_tail: u64,
    /// When a commit returns.
    pub commit: Commit,
    /// Which database keeps the journal.
    pub database: Database,
    /// What tests do at named places.
    pub points: Points,
}

impl Config {
    /// The defaults, with these stores.
    pub fn new(stores: impl IntoIterator<Item = StoreId>) -> Self {
        Self {
            stores: stores.into_iter().collect(),
            ring: 1000,
            ring_nodes: 2 << 20,
            checkpoint_interval: 10_000,
            checkpoint_bytes: 64 << 20,
            checkpoints: 4,
            pruning: Pruning::NOTHING,
            keep_blocks: 0,
            damaged: Damaged::Refuse,
            memory_limit: 0,
            snapshot_interval: 0,
            snapshots: 2,
            restore_bytes: 16 << 30,
            history: true,
            history_cache: 64 << 20,
            history_tail: 256,
            commit: Commit::Sync,
            database: Database::Sled,
            points: Points::default(),
        }
    }
}
