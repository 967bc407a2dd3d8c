//! What a store has, in numbers.
use crate::flat::HistoryStats;
use crate::iavl::Usage;
use crate::{DiskStore, checkpoint};
use state::{CommitStore, StoreError, Version};
use std::path::Path;

/// What a store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The oldest height that can be read.
    pub oldest: u64,
    /// The newest height and its app hash.
    pub latest: Version,
    /// The records in the journal: first and last height.
    pub records: Option<(u64, u64)>,
    /// Bytes of what the journal's records say.
    pub journal_live: u64,
    /// Bytes that the journal's database takes.
    pub journal_disk: u64,
    /// Checkpoints, by height, with their bytes.
    pub checkpoints: Vec<(u64, u64)>,
    /// Flat history; `None` where it is switched off.
    pub history: Option<HistoryStats>,
    /// The module stores, by name.
    pub stores: Vec<TreeStats>,
}

/// A module store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeStats {
    /// Its name.
    pub name: String,
    /// Keys at the newest height.
    pub keys: u64,
    /// Nodes of its tree at the newest height.
    pub nodes: u64,
    /// Edges from the root to the deepest leaf.
    pub height: u8,
    /// The memory of all its versions in RAM.
    pub memory: Usage,
}

impl DiskStore {
    /// What the store has. Reads the record of every height.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        self.catch_up()?;
        let journal = &self.disk.journal;
        let (records, floors) = (journal.bounds()?, self.disk.floors());
        let mut journal_live = 0;
        if let Some((first, last)) = records {
            for height in first.max(floors.meta())..=last {
                let (meta, _) = journal.expect(height)?;
                let (record, _) = meta.encode();
                journal_live += record.len() as u64;
                for (section, floor) in
                    meta.sections
                        .iter()
                        .zip([floors.changes, floors.blocks, floors.blocks])
                {
                    journal_live += if height >= floor { section.len } else { 0 };
                }
            }
        }
        let size = |path: &Path| path.metadata().map_or(0, |m| m.len());
        let checkpoints = checkpoint::list(&self.disk.checkpoints)?;
        let head = self.versions.head();
        let stores = head.trees().iter().map(|(id, tree)| TreeStats {
            name: id.name().to_owned(),
            keys: tree.size(),
            nodes: (tree.size() * 2).saturating_sub(1),
            height: tree.height(),
            memory: tree.usage(),
        });
        Ok(Stats {
            oldest: self.oldest(),
            latest: self.latest(),
            records,
            journal_live,
            journal_disk: journal.size()?,
            checkpoints: checkpoints
                .iter()
                .map(|(height, path)| (*height, size(path)))
                .collect(),
            history: self.history_stats(),
            stores: stores.collect(),
        })
    }
}
