//! What a journal needs of a database: ordered tables, bounded atomic writes, a sync that reaches the disk.
//!
//! [`sled`](self) is the default. What a database can do is said by [`Caps`]; what it cannot do is done by its adapter or
//! by the journal, so that the same tests hold on all.

mod memory;
mod sled;

pub use memory::MemoryBackend;
pub(crate) use sled::SledBackend;

use state::{Bytes, StoreError};
use std::fmt;
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

/// Which database keeps the journal.
#[derive(Clone, Debug, Default)]
pub enum Database {
    /// sled 0.34, in the folder `journal`.
    #[default]
    Sled,
    /// This one: tests keep it in memory, or make it fail.
    Given(Arc<dyn Backend>),
}

impl Database {
    /// Opens it in the folder `home`.
    pub(crate) fn open(&self, home: &Path) -> Result<Arc<dyn Backend>> {
        match self {
            Self::Sled => Ok(Arc::new(SledBackend::open(&self.path(home))?)),
            Self::Given(backend) => Ok(Arc::clone(backend)),
        }
    }
    /// Where its files lie.
    pub(crate) fn path(&self, home: &Path) -> PathBuf {
        match self {
            Self::Sled | Self::Given(_) => home.join("journal"),
        }
    }
}
