//! A version from outside becomes the store's first.
//!
//! The order of the steps makes a kill at any of them harmless: a checkpoint, synced, that nothing names yet; then the
//! journal's first record, which stands for the record of that height and has no block, synced; then the note that the
//! height is acknowledged; then readers see it.
//!
//! A store whose only version came from outside, with no block on top, takes another in its place: CometBFT notes that
//! it state-synced only after the app has, so a node killed in between asks again. The old record is unmade first.
use super::restore::{Restore, Step};
use crate::backend::Table;
use crate::multistore::commit_info;
use crate::open::failed;
use crate::record::{Digest, Draft, Kind};
use crate::{DiskStore, Frozen, checkpoint};
use prost::Message;
use state::{
    AppHash, Bytes, Chunk, CommitStore, Offer, Snapshot, StateSync, StoreError, SyncSnapshot, Version,
};
use std::fs;

type Result<T> = std::result::Result<T, StoreError>;

impl StateSync for DiskStore {
    fn sync_snapshots(&self) -> Vec<SyncSnapshot> {
        self.snapshots.list()
    }
    fn sync_chunk(&self, height: u64, format: u32, index: u32) -> Result<Option<Bytes>> {
        self.snapshots.load(height, format, index)
    }
    fn sync_offer(&self, snapshot: &SyncSnapshot, app_hash: &AppHash) -> Result<Offer> {
        let mut restore = self.snapshots.restore.lock();
        *restore = None;
        if !self.takes_another()? {
            let height = self.latest().height;
            return Ok(Offer::Abort(format!(
                "this store has blocks up to height {height}"
            )));
        }
        Ok(
            match Restore::begin(snapshot, app_hash, self.config.restore_bytes) {
                Ok(begun) => {
                    *restore = Some(begun);
                    Offer::Accept
                }
                Err(answer) => answer,
            },
        )
    }
    fn sync_apply(&self, index: u32, chunk: &[u8]) -> Result<Chunk> {
        let mut restore = self.snapshots.restore.lock();
        let Some(mut running) = restore.take() else {
            return Ok(Chunk::Abort(format!(
                "chunk {index} came, and no snapshot was accepted"
            )));
        };
        match running.take(index, chunk, &self.config) {
            Step::Whole(frozen) => self.adopt(frozen).map(Chunk::Done),
            Step::Answer(answer) => {
                *restore = match answer {
                    Chunk::Accept | Chunk::Refetch(_) => Some(running),
                    Chunk::Restart(_) => Some(running.restart()),
                    _ => None,
                };
                Ok(answer)
            }
        }
    }
}

impl DiskStore {
    /// Whether a version from outside may become this store's first: it has none, or none but such a one.
    pub(super) fn takes_another(&self) -> Result<bool> {
        let Version { height, .. } = self.durable()?;
        Ok(height == 0 || self.is_seed(height)? && self.disk.journal.bounds()? == Some((height, height)))
    }
    /// Whether the record of `height` stands for one that this store never had.
    pub(crate) fn is_seed(&self, height: u64) -> Result<bool> {
        let meta = self.disk.journal.meta(height)?;
        Ok(meta.is_some_and(|(meta, _)| meta.kind == Kind::Seed))
    }
    /// Makes `frozen` this store's first version, durably.
    pub(super) fn adopt(&self, frozen: Frozen) -> Result<Version> {
        let _commit = self.commit.lock();
        self.disk.poisoned()?;
        let mut writer = self.disk.writer.lock();
        writer.reap(true);
        self.unmake()?;
        let version = frozen.version();
        let (folder, points) = (&self.disk.checkpoints, &self.config.points);
        // Nobody knows the record before: its hash is that of no record, as for a first one.
        let size = checkpoint::write(folder, &frozen, Digest::default(), points)?;
        let draft = Draft {
            kind: Kind::Seed,
            height: version.height,
            root: version.root,
            previous: Digest::default(),
            commit_info: commit_info(version.height, frozen.trees()).encode_to_vec(),
        };
        let (hash, _) = self
            .disk
            .poison(self.disk.journal.append(&draft, [&[], &[], &[]]))?;
        self.disk.acknowledge(version.height, hash)?;
        (writer.last, writer.bytes, writer.size) = (hash, 0, size);
        drop(writer);
        let mut recent = self.disk.recent.write();
        recent.clear();
        *self.disk.first.write() = version.height;
        self.versions.restart(frozen);
        drop(recent);
        if let Some(behind) = &self.behind {
            behind.restart(version);
        }
        Ok(version)
    }
    /// Makes the store one without versions.
    fn unmake(&self) -> Result<()> {
        if let Some(history) = &self.disk.flat {
            history.truncate(0)?;
        }
        if self.disk.journal.bounds()?.is_some() {
            // The note first: a journal that ends before it is refused.
            self.disk.head.clear()?;
            self.disk
                .poison(self.disk.journal.remove(Table::Meta, &[], None, &mut || ()))?;
            self.disk.poison(self.disk.journal.sync())?;
        }
        self.drop_checkpoints()
    }
    /// Drops checkpoints of a store without versions: a kill left them behind, and they are in the way of others.
    pub(crate) fn drop_checkpoints(&self) -> Result<()> {
        for (_, path) in checkpoint::list(&self.disk.checkpoints)? {
            fs::remove_file(&path).map_err(|e| failed(&path, &e))?;
        }
        Ok(())
    }
}
