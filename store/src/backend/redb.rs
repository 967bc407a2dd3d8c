//! redb 4 as a journal's database: one file, copy-on-write B-trees, one writer.
//!
//! A write is a transaction that is not yet durable; a sync is an empty one that is, and takes all before it along, with
//! one fdatasync. What a kill catches between the two is gone, all of it: redb comes back to its last durable
//! transaction. redb checks its pages' hashes only when it repairs; the journal checks its own at every read.
use super::{Backend, Caps, Result, Table, Write, guarded};
use redb::{
    CommitError, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
};
use state::{Bytes, StoreError};
use std::fs::File;
use std::path::{Path, PathBuf};

/// redb gives a long value pages of a power of two: this much and its key's and the page's share are 64 KiB.
const CHUNK_BYTES: usize = (64 << 10) - 256;
/// redb's own cache, as much as sled's.
const CACHE_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(crate) struct RedbBackend {
    db: Open,
    path: PathBuf,
}

/// An open database. Closing it writes, and in a debug build may panic where its file is damaged: whoever closes it is
/// spared that, since all that was synced is told already.
#[derive(Debug)]
struct Open(Option<redb::Database>);

impl std::ops::Deref for Open {
    type Target = redb::Database;
    fn deref(&self) -> &redb::Database {
        self.0.as_ref().expect("there until it is dropped")
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let db = self.0.take();
        let _ = guarded("close", || {
            drop(db);
            Ok(())
        });
    }
}

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

fn database(e: impl Into<redb::Error>) -> StoreError {
    match e.into() {
        e @ (redb::Error::Corrupted(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. }) => StoreError::Corrupt(format!("journal: {e}")),
        redb::Error::Io(e) if e.kind() == std::io::ErrorKind::InvalidData => {
            StoreError::Corrupt(format!("journal: {e}"))
        }
        e => StoreError::Database(format!("journal: {e}")),
    }
}

fn create(path: &Path) -> Result<redb::Database> {
    let opened = redb::Builder::new().set_cache_size(CACHE_BYTES).create(path);
    opened.map_err(|e| match e {
        DatabaseError::DatabaseAlreadyOpen => StoreError::Locked(path.display().to_string()),
        e => database(e),
    })
}

impl RedbBackend {
    /// Opens the database in the file `path`, made where it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            Self::make(path)?;
        }
        let db = crate::open::patiently(|| guarded("open", || create(path)))?;
        let path = path.to_path_buf();
        let db = Open(Some(db));
        Ok(Self { db, path })
    }
    /// Makes an empty database. It has its name once it is whole: redb does not open a file whose making was cut short.
    fn make(path: &Path) -> Result<()> {
        let temporary = path.with_extension("redb.new");
        let failed = |e: std::io::Error| StoreError::Database(format!("{}: {e}", temporary.display()));
        if temporary.exists() {
            std::fs::remove_file(&temporary).map_err(failed)?;
        }
        guarded("open", || {
            let db = create(&temporary)?;
            let txn = db.begin_write().map_err(database)?;
            for table in Table::ALL {
                txn.open_table(definition(table)).map_err(database)?;
            }
            txn.commit().map_err(database)
        })?;
        std::fs::rename(&temporary, path).map_err(failed)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)
    }
    fn begin(&self, durability: Durability) -> Result<redb::WriteTransaction> {
        let mut txn = self.db.begin_write().map_err(database)?;
        txn.set_durability(durability)
            .map_err(|e| StoreError::Database(format!("journal: {e}")))?;
        Ok(txn)
    }
    fn read<T>(
        &self,
        table: Table,
        ask: impl FnOnce(&Reading) -> std::result::Result<T, StorageError>,
    ) -> Result<T> {
        guarded("read", || {
            let txn = self.db.begin_read().map_err(database)?;
            let table = txn.open_table(definition(table)).map_err(database)?;
            ask(&table).map_err(database)
        })
    }
}

type Reading = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

impl Backend for RedbBackend {
    fn caps(&self) -> Caps {
        Caps {
            name: "redb",
            atomic: usize::MAX,
            chunk: CHUNK_BYTES,
            ordered: true,
            durable: true,
        }
    }
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>> {
        self.read(table, |table| {
            let value = table.get(key)?;
            Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
        })
    }
    fn first(&self, table: Table) -> Result<Option<Vec<u8>>> {
        self.read(table, |table| {
            Ok(table.first()?.map(|(key, _)| key.value().to_vec()))
        })
    }
    fn last(&self, table: Table) -> Result<Option<Vec<u8>>> {
        self.read(table, |table| {
            Ok(table.last()?.map(|(key, _)| key.value().to_vec()))
        })
    }
    fn keys(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Vec<u8>>> {
        self.read(table, |table| {
            let found = match to {
                Some(to) if to <= from => return Ok(Vec::new()),
                Some(to) => table.range(from..to)?,
                None => table.range(from..)?,
            };
            found
                .take(limit)
                .map(|pair| pair.map(|(key, _)| key.value().to_vec()))
                .collect()
        })
    }
    fn write(&self, changes: &[Write<'_>]) -> Result<()> {
        guarded("write", || {
            let txn = self.begin(Durability::None)?;
            for some in changes.chunk_by(|a, b| a.table == b.table) {
                let mut table = txn.open_table(definition(some[0].table)).map_err(database)?;
                for Write { key, value, .. } in some {
                    match value {
                        Some(value) => table.insert(&key[..], *value).map(drop),
                        None => table.remove(&key[..]).map(drop),
                    }
                    .map_err(database)?;
                }
            }
            txn.commit().map_err(|e: CommitError| database(e))
        })
    }
    fn sync(&self) -> Result<()> {
        guarded("sync", || {
            let txn = self.begin(Durability::Immediate)?;
            txn.commit().map_err(|e: CommitError| database(e))
        })
    }
    fn size(&self) -> Result<u64> {
        let file = std::fs::metadata(&self.path);
        let file = file.map_err(|e| StoreError::Database(format!("{}: {e}", self.path.display())))?;
        Ok(file.len())
    }
}
