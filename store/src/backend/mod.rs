//! What a journal needs of a database: ordered tables, bounded atomic writes, a sync that reaches the disk.
//!
//! sled is the default. What a database can do is said by [`Caps`]; what it cannot do is done by its adapter or by the
//! journal, so that the same tests hold on all.

mod memory;
mod faulty;
mod sled;
mod redb;

pub use faulty::{Counts, Fault, FaultyBackend};
pub use memory::MemoryBackend;
pub(crate) use redb::RedbBackend;
pub(crate) use sled::SledBackend;

use state::{Bytes, StoreError};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The result of an operation on a database.
pub type Result<T> = std::result::Result<T, StoreError>;

/// An ordered table of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Chunks of records, by height, part and place.
    Log,
    /// Meta records, by height.
    Meta,
    /// Look-ups, by their key.
    Index,
    /// What the store notes of itself, by name.
    Marks,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Log, Self::Meta, Self::Index, Self::Marks];

    /// Its name in a database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Meta => "meta",
            Self::Index => "index",
            Self::Marks => "marks",
        }
    }
}

/// One change of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write<'a> {
    /// Which table.
    pub table: Table,
    /// Under which key.
    pub key: Vec<u8>,
    /// The new value; `None` removes the key.
    pub value: Option<&'a [u8]>,
}

/// What a database can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// As in configuration: `sled`, `memory` ...
    pub name: &'static str,
    /// How many changes one [`Backend::write`] applies atomically, tables together.
    pub atomic: usize,
    /// Longer values are not safe: the journal cuts them in chunks of at most this many bytes.
    pub chunk: usize,
    /// Whether a power cut takes unsynced writes from the end only. Otherwise it may take any of them, each as whole as
    /// it is atomic.
    pub ordered: bool,
    /// Whether [`Backend::sync`] survives a power cut.
    pub durable: bool,
}

/// A database: ordered tables, readable while it is written. One thread writes at a time.
pub trait Backend: fmt::Debug + Send + Sync {
    /// What it can do.
    fn caps(&self) -> Caps;
    /// The value under `key`.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>>;
    /// The smallest key of a table.
    fn first(&self, table: Table) -> Result<Option<Vec<u8>>>;
    /// The greatest key of a table.
    fn last(&self, table: Table) -> Result<Option<Vec<u8>>>;
    /// At most `limit` keys of a table from `from` on, below `to` where there is one, ascending.
    fn keys(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Vec<u8>>>;
    /// Applies changes in order. At most [`Caps::atomic`] of them are applied as one; of more, the last
    /// [`Caps::atomic`] are, after all others. Not durable before the next [`Backend::sync`].
    fn write(&self, changes: &[Write<'_>]) -> Result<()>;
    /// Puts on the disk what was written.
    fn sync(&self) -> Result<()>;
    /// Bytes on the disk.
    fn size(&self) -> Result<u64>;
}

/// Which database keeps the journal. A home stays with the one it was made with.
#[derive(Clone, Debug, Default)]
pub enum Database {
    /// sled 0.34, in the folder `journal`.
    #[default]
    Sled,
    /// redb 4, in the file `journal.redb`.
    Redb,
    /// This one: tests keep it in memory, or make it fail.
    Given(Arc<dyn Backend>),
}

impl Database {
    /// As in configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
            Self::Given(backend) => backend.caps().name,
        }
    }
    /// Opens it in the folder `home`, without the store's lock: for tests of the database itself.
    ///
    /// # Errors
    /// A home whose journal is in another database; a disk that fails; damaged files.
    pub fn open(&self, home: &Path) -> Result<Arc<dyn Backend>> {
        for other in [Self::Sled, Self::Redb] {
            let path = other.path(home);
            if other.name() != self.name() && path.exists() {
                let (have, want, path) = (other.name(), self.name(), path.display());
                let why = format!("{path} is a journal in {have}, opened with {want}");
                return Err(StoreError::Database(why));
            }
        }
        let backend: Arc<dyn Backend> = match self {
            Self::Sled => Arc::new(SledBackend::open(&self.path(home))?),
            Self::Redb => Arc::new(RedbBackend::open(&self.path(home))?),
            Self::Given(backend) => Arc::clone(backend),
        };
        note(&*backend, self.name())?;
        Ok(backend)
    }
    /// Where its files lie.
    pub(crate) fn path(&self, home: &Path) -> PathBuf {
        match self {
            Self::Sled | Self::Given(_) => home.join("journal"),
            Self::Redb => home.join("journal.redb"),
        }
    }
}

/// Under this name a database notes which one it is.
const NAME_MARK: &[u8] = b"database";

/// Notes which database this is; refuses one that says it is another.
fn note(backend: &dyn Backend, name: &str) -> Result<()> {
    match backend.get(Table::Marks, NAME_MARK)? {
        Some(have) if have == name.as_bytes() => Ok(()),
        Some(have) => Err(StoreError::Incompatible(format!(
            "journal: it says it is {:?}, opened with {name:?}",
            String::from_utf8_lossy(&have)
        ))),
        None => backend.write(&[Write {
            table: Table::Marks,
            key: NAME_MARK.to_vec(),
            value: Some(name.as_bytes()),
        }]),
    }
}

/// Runs an operation of a database that may panic where its files are damaged.
fn guarded<T>(what: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(StoreError::Corrupt(format!(
            "journal: {what}: the database panicked: its files are damaged, or the disk failed"
        )))
    })
}
