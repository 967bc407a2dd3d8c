//! State sync: the store's snapshots for other nodes, and a snapshot from them in place of the chain's first blocks.
use crate::AppError;
use crate::app::App;
use state::{AppHash, Chunk, CommitStore, Offer, SyncSnapshot};
use types::Bytes;

impl<S: CommitStore> App<S> {
    /// ABCI `ListSnapshots`: newest first.
    pub fn snapshots(&self) -> Vec<SyncSnapshot> {
        self.store.sync_snapshots()
    }
    /// ABCI `LoadSnapshotChunk`; `None` where there is no such chunk any more.
    pub fn snapshot_chunk(&self, height: u64, format: u32, index: u32) -> Result<Option<Bytes>, AppError> {
        Ok(self.store.sync_chunk(height, format, index)?)
    }
    /// ABCI `OfferSnapshot`. `app_hash` is the one that consensus trusts for the snapshot's height.
    pub fn offer_snapshot(&self, snapshot: &SyncSnapshot, app_hash: &AppHash) -> Result<Offer, AppError> {
        Ok(self.store.sync_offer(snapshot, app_hash)?)
    }
    /// ABCI `ApplySnapshotChunk`. With the last chunk the app stands where it had after that block: all that execution
    /// needs is in state. Of the block itself, and those before it, there is no record.
    pub fn apply_snapshot_chunk(&self, index: u32, chunk: &[u8]) -> Result<Chunk, AppError> {
        let answer = self.store.sync_apply(index, chunk)?;
        if let Chunk::Done(version) = answer {
            self.start_over();
            self.publish(version)?;
        }
        Ok(answer)
    }
}
