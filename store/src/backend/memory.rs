//! A journal's database in memory, for tests: it lives as long as someone holds it.
use super::{Backend, Caps, Result, Table, Write};
use parking_lot::RwLock;
use state::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;

/// A database in memory. Stores that are opened with the same one, one after another, find what was written.
#[derive(Debug, Default)]
pub struct MemoryBackend(RwLock<Tables>);

impl MemoryBackend {
    /// A database without content.
    pub fn new() -> Self {
        Self::default()
    }
}

/// All tables, in the order of [`Table::ALL`].
#[derive(Clone, Debug, Default)]
pub(super) struct Tables([BTreeMap<Vec<u8>, Bytes>; 4]);

impl Tables {
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Option<Bytes> {
        self.0[table as usize].get(key).cloned()
    }
    pub(super) fn first(&self, table: Table) -> Option<Vec<u8>> {
        self.0[table as usize].keys().next().cloned()
    }
    pub(super) fn last(&self, table: Table) -> Option<Vec<u8>> {
        self.0[table as usize].keys().next_back().cloned()
    }
    pub(super) fn keys(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Vec<Vec<u8>> {
        if to.is_some_and(|to| to <= from) {
            return Vec::new();
        }
        let to = to.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.0[table as usize].range::<[u8], _>((Bound::Included(from), to));
        found.take(limit).map(|(key, _)| key.clone()).collect()
    }
    pub(super) fn apply(&mut self, table: Table, key: Vec<u8>, value: Option<Bytes>) {
        let table = &mut self.0[table as usize];
        match value {
            Some(value) => table.insert(key, value),
            None => table.remove(&key),
        };
    }
    pub(super) fn size(&self) -> u64 {
        let pairs = self.0.iter().flatten();
        pairs.map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }
}

impl Backend for MemoryBackend {
    fn caps(&self) -> Caps {
        Caps {
            name: "memory",
            atomic: usize::MAX,
            chunk: usize::MAX,
            ordered: true,
            durable: false,
        }
    }
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.0.read().get(table, key))
    }
    fn first(&self, table: Table) -> Result<Option<Vec<u8>>> {
        Ok(self.0.read().first(table))
    }
    fn last(&self, table: Table) -> Result<Option<Vec<u8>>> {
        Ok(self.0.read().last(table))
    }
    fn keys(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Vec<u8>>> {
        Ok(self.0.read().keys(table, from, to, limit))
    }
    fn write(&self, changes: &[Write<'_>]) -> Result<()> {
        let mut tables = self.0.write();
        for Write { table, key, value } in changes {
            tables.apply(*table, key.clone(), value.map(Bytes::copy_from_slice));
        }
        Ok(())
    }
    fn sync(&self) -> Result<()> {
        Ok(())
    }
    fn size(&self) -> Result<u64> {
        Ok(self.0.read().size())
    }
}
