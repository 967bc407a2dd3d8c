//! A journal's database in memory, for tests: it lives as long as someone holds it.
use super::{Backend, Caps, Result, Table, Write};
use parking_lot::RwLock;
use state::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;

/// A database in memory. Stores that are opened with the same one, one after another, find what was written.
#[derive(Debug, Default)]
pub struct MemoryBackend(RwLock<[BTreeMap<Vec<u8>, Bytes>; 4]>);

impl MemoryBackend {
    /// A database without content.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Backend for MemoryBackend {
    fn caps(&self) -> Caps {
        Caps {
            name: "memory",
            atomic: usize::MAX,
            chunk: usize::MAX,
            durable: false,
        }
    }
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.0.read()[table as usize].get(key).cloned())
    }
    fn first(&self, table: Table) -> Result<Option<Vec<u8>>> {
        Ok(self.0.read()[table as usize].keys().next().cloned())
    }
    fn last(&self, table: Table) -> Result<Option<Vec<u8>>> {
        Ok(self.0.read()[table as usize].keys().next_back().cloned())
    }
    fn keys(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Vec<u8>>> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let range = (
            Bound::Included(from),
            to.map_or(Bound::Unbounded, Bound::Excluded),
        );
        let tables = self.0.read();
        let found = tables[table as usize].range::<[u8], _>(range);
        Ok(found.take(limit).map(|(key, _)| key.clone()).collect())
    }
    fn write(&self, changes: &[Write<'_>]) -> Result<()> {
        let mut tables = self.0.write();
        for Write { table, key, value } in changes {
            let table = &mut tables[*table as usize];
            match value {
                Some(value) => table.insert(key.clone(), Bytes::copy_from_slice(value)),
                None => table.remove(key),
            };
        }
        Ok(())
    }
    fn sync(&self) -> Result<()> {
        Ok(())
    }
    fn size(&self) -> Result<u64> {
        let tables = self.0.read();
        let pairs = tables.iter().flatten();
        Ok(pairs.map(|(key, value)| (key.len() + value.len()) as u64).sum())
    }
}
