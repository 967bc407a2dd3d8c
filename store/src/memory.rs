//! A commit store in RAM: the same trees and proofs, nothing on disk. For tests of what stands above.
use crate::versions::{Staged, Versions};
use crate::{Config, Frozen};
use parking_lot::RwLock;
use state::{
    AppHash, BlockRecord, Bytes, ChangeSet, CommitStore, Key, Proven, StateSync, StoreError, Version,
};
use std::collections::BTreeMap;

/// A commit store in RAM. Versions older than the ring are gone; records and index entries stay.
#[derive(Debug)]
pub struct MemoryStore {
    versions: Versions,
    records: RwLock<Records>,
}

#[derive(Debug, Default)]
struct Records {
    bodies: BTreeMap<u64, Bytes>,
    index: BTreeMap<Bytes, Bytes>,
}

impl MemoryStore {
    /// A store without content.
    pub fn new(config: Config) -> Self {
        Self {
            versions: Versions::new(&config),
            records: RwLock::default(),
        }
    }
}

impl StateSync for MemoryStore {}

impl CommitStore for MemoryStore {
    type Snapshot = Frozen;
    type Staged = Staged;

    fn latest(&self) -> Version {
        self.versions.latest()
    }
    fn durable(&self) -> Result<Version, StoreError> {
        Ok(self.latest())
    }
    fn oldest(&self) -> u64 {
        self.versions.oldest()
    }
    fn snapshot(&self, height: u64) -> Result<Frozen, StoreError> {
        self.versions.get(height).ok_or_else(|| StoreError::NoVersion {
            height,
            oldest: self.oldest(),
            latest: self.latest().height,
        })
    }
    fn stage(&self, height: u64, changes: ChangeSet) -> Result<(AppHash, Staged), StoreError> {
        self.versions.stage(height, changes)
    }
    fn commit(&self, staged: Staged, record: BlockRecord) -> Result<Version, StoreError> {
        // Held throughout: commits are one after another, and index and state are published together.
        let mut records = self.records.write();
        self.versions.check(&staged)?;
        let version = staged.version();
        records.bodies.insert(version.height, record.body);
        for entry in record.index {
            records.index.insert(entry.key, entry.value);
        }
        self.versions.publish(&staged);
        Ok(version)
    }
    fn record(&self, height: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(self.records.read().bodies.get(&height).cloned())
    }
    fn find(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.records.read().index.get(key).cloned())
    }
    fn prove(&self, height: u64, key: &Key) -> Result<Proven, StoreError> {
        self.snapshot(height)?.prove(key)
    }
}
