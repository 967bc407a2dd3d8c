//! Snapshots that nodes hand to each other, so that a new one need not replay the chain: state sync's side of a store.
use crate::{AppHash, Bytes, StoreError, Version};

/// A version in chunks, as one node offers it to another (ABCI's `Snapshot`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncSnapshot {
    /// The version's height.
    pub height: u64,
    /// How the chunks are to be read.
    pub format: u32,
    /// How many chunks.
    pub chunks: u32,
    /// Names the content: equal on all nodes that have the same snapshot.
    pub hash: Bytes,
    /// What is needed to check each chunk by itself.
    pub metadata: Bytes,
}

/// What a store says to a snapshot it is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Its chunks may come, in order.
    Accept,
    /// Not this one, and why.
    Reject(String),
    /// None of this format.
    RejectFormat(u32),
    /// None at all: the store has blocks of its own.
    Abort(String),
}

/// What became of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Taken; more are needed.
    Accept,
    /// It was the last: the version is whole, verified against the trusted app hash, durable and published.
    Done(Version),
    /// Its bytes are not what the snapshot says: ask another node for it.
    Refetch(String),
    /// It is not the one that comes next: begin again with the first.
    Restart(String),
    /// All chunks are what the snapshot says, and it is not the version that it says.
    Reject(String),
    /// No snapshot was accepted.
    Abort(String),
}

/// State sync's side of a store. The defaults are those of a store that neither makes nor takes snapshots.
pub trait StateSync {
    /// The snapshots that are there, newest first.
    fn sync_snapshots(&self) -> Vec<SyncSnapshot> {
        Vec::new()
    }
    /// A chunk of one of them; `None` where it is not there, or not whole any more.
    fn sync_chunk(&self, _height: u64, _format: u32, _index: u32) -> Result<Option<Bytes>, StoreError> {
        Ok(None)
    }
    /// Offers a snapshot to a store without blocks. `app_hash` is the trusted one of its height. Offering again starts
    /// over. Fails only where the store itself does.
    fn sync_offer(&self, _snapshot: &SyncSnapshot, _app_hash: &AppHash) -> Result<Offer, StoreError> {
        Ok(Offer::Abort("this store takes no snapshots".into()))
    }
    /// Gives the chunk that comes next. Nothing can be read, and nothing is durable, before the last one is in and the
    /// app hash is the trusted one. Fails only where the store itself does.
    fn sync_apply(&self, _index: u32, _chunk: &[u8]) -> Result<Chunk, StoreError> {
        Ok(Chunk::Abort("no snapshot was accepted".into()))
    }
}
