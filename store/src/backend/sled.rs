//! sled 0.34 as a journal's database.
//!
//! What sled does not do is done here (read from its source): `flush` is `sync_file_range`, so the file is synced by us;
//! values whose page passes a quarter of a segment go to blob files that are never synced, so chunks are small and
//! segments large; transactions of thousands of operations balloon, so they are bounded.
use super::{Backend, Caps, Result, Table, Write, guarded};
use sled::Transactional;
use sled::transaction::{ConflictableTransactionError, TransactionError, TransactionalTree};
use state::{Bytes, StoreError};
use std::fs::File;
use std::path::Path;

/// Sixteen of them (a sled leaf) stay under a quarter of a segment, so that none becomes a blob file.
const CHUNK_BYTES: usize = 32 << 10;
const SEGMENT_BYTES: usize = 4 << 20;
/// A transaction of at most this many changes: about 1 MiB of chunks.
const TRANSACTION: usize = 33;
/// sled's own cache. What is read often lies in our trees.
const CACHE_BYTES: u64 = 64 << 20;

#[derive(Debug)]
pub(crate) struct SledBackend {
    db: sled::Db,
    /// In the order of [`Table::ALL`].
    tables: [sled::Tree; 4],
    /// sled's file, to be synced.
    file: File,
}

fn database(e: sled::Error) -> StoreError {
    match e {
        sled::Error::Corruption { .. } => StoreError::Corrupt(format!("journal: {e}")),
        e => StoreError::Database(format!("journal: {e}")),
    }
}

impl SledBackend {
    /// Opens the database in the folder `path`, made where it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(CACHE_BYTES)
            .segment_size(SEGMENT_BYTES)
            .flush_every_ms(Some(1000))
            .mode(sled::Mode::HighThroughput);
        // sled panics on some damage. It also releases its lock a little after it is closed; the store's own lock is
        // held by now, so whoever has sled's is on the way out.
        let open = || match config.open() {
            Err(sled::Error::Io(e)) if e.to_string().contains("could not acquire lock") => {
                Err(StoreError::Locked(path.display().to_string()))
            }
            opened => opened.map_err(database),
        };
        let db = crate::open::patiently(|| guarded("open", open))?;
        let table = |table: Table| guarded("open", || db.open_tree(table.name()).map_err(database));
        let [log, meta, index, marks] = Table::ALL.map(table);
        let tables = [log?, meta?, index?, marks?];
        let file = File::open(path.join("db")).map_err(|e| StoreError::Database(format!("journal: {e}")))?;
        Ok(Self { db, tables, file })
    }
    fn table(&self, table: Table) -> &sled::Tree {
        &self.tables[table as usize]
    }
}

impl Backend for SledBackend {
    fn caps(&self) -> Caps {
        Caps {
            name: "sled",
            atomic: TRANSACTION,
            chunk: CHUNK_BYTES,
            // It is a log, and opening takes the first damage for its end.
            ordered: true,
            durable: true,
        }
    }
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>> {
        let value = guarded("read", || self.table(table).get(key).map_err(database))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }
    fn first(&self, table: Table) -> Result<Option<Vec<u8>>> {
        let pair = guarded("read", || self.table(table).first().map_err(database))?;
        Ok(pair.map(|(key, _)| key.to_vec()))
    }
    fn last(&self, table: Table) -> Result<Option<Vec<u8>>> {
        let pair = guarded("read", || self.table(table).last().map_err(database))?;
        Ok(pair.map(|(key, _)| key.to_vec()))
    }
    fn keys(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Vec<u8>>> {
        let key = |key: sled::Result<sled::IVec>| key.map(|key| key.to_vec()).map_err(database);
        guarded("read", || {
            let table = self.table(table);
            let found = match to {
                Some(to) if to <= from => return Ok(Vec::new()),
                Some(to) => table.range(from..to),
                None => table.range(from..),
            };
            found.keys().take(limit).map(key).collect()
        })
    }
    fn write(&self, changes: &[Write<'_>]) -> Result<()> {
        let (early, last) = changes.split_at(changes.len().saturating_sub(TRANSACTION));
        let apply = |tables: &Vec<TransactionalTree>| {
            for Write { table, key, value } in last {
                let table = &tables[*table as usize];
                match value {
                    Some(value) => table.insert(&key[..], *value)?,
                    None => table.remove(&key[..])?,
                };
            }
            Ok::<(), ConflictableTransactionError<()>>(())
        };
        guarded("write", || {
            for Write { table, key, value } in early {
                match value {
                    Some(value) => self.table(*table).insert(key, *value),
                    None => self.table(*table).remove(key),
                }
                .map_err(database)?;
            }
            self.tables[..].transaction(apply).map_err(|e| match e {
                TransactionError::Abort(()) => unreachable!("nothing aborts"),
                TransactionError::Storage(e) => database(e),
            })
        })
    }
    fn sync(&self) -> Result<()> {
        guarded("sync", || self.db.flush().map_err(database))?;
        self.file
            .sync_data()
            .map_err(|e| StoreError::Database(format!("journal: fdatasync: {e}")))
    }
    fn size(&self) -> Result<u64> {
        self.db.size_on_disk().map_err(database)
    }
}
