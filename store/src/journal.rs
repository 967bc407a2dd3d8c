//! The journal: one atomic record a height in sled, hash-chained, and look-ups that follow from it.
//!
//! ```text
//! log    height | part | chunk  ->  at most 32 KiB of a section      u64, u8, u32, big endian
//! meta   height                 ->  the meta record (record.rs)
//! index  key                    ->  value of the newest entry
//! ```
//! A height exists if and only if its meta record does. A record that fits is one sled transaction; a bigger one's
//! first chunks are written before the transaction that ends in the meta record, and are dropped at the next start
//! where that never came.
//!
//! What sled does not do is done here (sled 0.34.7, read from its source): `flush` is `sync_file_range`, so the file is
//! synced by us; values whose page passes a quarter of a segment go to blob files that are never synced, so chunks are
//! small and segments large; transactions of thousands of operations balloon, so they are bounded.
use crate::record::{Digest, Draft, Meta, Part, Section};
use sled::Transactional;
use sled::transaction::TransactionError;
use state::{Bytes, IndexEntry, StoreError};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Sixteen of them (a sled leaf) stay under a quarter of a segment, so that none becomes a blob file.
const CHUNK_BYTES: usize = 32 << 10;
const SEGMENT_BYTES: usize = 4 << 20;
/// A transaction of at most this many chunks and a meta record: 1 MiB.
const TRANSACTION_CHUNKS: usize = 32;
/// sled's own cache. What is read often lies in our trees.
const CACHE_BYTES: u64 = 64 << 20;

#[derive(Debug)]
pub(crate) struct Journal {
    db: sled::Db,
    log: sled::Tree,
    meta: sled::Tree,
    index: sled::Tree,
    /// sled's file, to be synced.
    file: File,
}

type Result<T> = std::result::Result<T, StoreError>;

pub(crate) fn database(e: sled::Error) -> StoreError {
    match e {
        sled::Error::Corruption { .. } => StoreError::Corrupt(format!("journal: {e}")),
        e => StoreError::Database(format!("journal: {e}")),
    }
}

impl Journal {
    /// Opens the sled database in the folder `path`, made where it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(CACHE_BYTES)
            .segment_size(SEGMENT_BYTES)
            .flush_every_ms(Some(1000))
            .mode(sled::Mode::HighThroughput);
        // sled panics on some damage. It also releases its lock a little after it is closed; ours is held by now, so
        // whoever has sled's is on the way out.
        let db = crate::open::patiently(|| match catch_unwind(AssertUnwindSafe(|| config.open())) {
            Err(_) => Err(StoreError::Corrupt(format!(
                "journal: sled cannot read {}",
                path.display()
            ))),
            Ok(Err(sled::Error::Io(e))) if e.to_string().contains("could not acquire lock") => {
                Err(StoreError::Locked(path.display().to_string()))
            }
            Ok(opened) => opened.map_err(database),
        })?;
        let tree = |name: &str| db.open_tree(name).map_err(database);
        let (log, meta, index) = (tree("log")?, tree("meta")?, tree("index")?);
        let file = File::open(path.join("db")).map_err(|e| StoreError::Database(format!("journal: {e}")))?;
        Ok(Self {
            db,
            log,
            meta,
            index,
            file,
        })
    }

    /// Writes a height's record; [`Journal::sync`] makes it durable. Returns the record's hash and how many bytes it has.
    pub(crate) fn append(&self, draft: &Draft, parts: [&[u8]; 3]) -> Result<(Digest, u64)> {
        let Draft {
            height,
            root,
            previous,
            commit_info,
        } = draft.clone();
        let meta = Meta {
            height,
            root,
            previous,
            sections: parts.map(Section::of),
            commit_info,
        };
        let (record, hash) = meta.encode();
        let mut chunks = Vec::new();
        for (part, bytes) in Part::ALL.into_iter().zip(parts) {
            let keyed = bytes.chunks(CHUNK_BYTES).zip(0..);
            chunks.extend(keyed.map(|(chunk, i)| (chunk_key(height, part, i), chunk)));
        }
        let (early, last) = chunks.split_at(chunks.len().saturating_sub(TRANSACTION_CHUNKS));
        for (key, chunk) in early {
            self.log.insert(key, *chunk).map_err(database)?;
        }
        (&self.log, &self.meta)
            .transaction(|(log, metas)| {
                for (key, chunk) in last {
                    log.insert(&key[..], *chunk)?;
                }
                metas.insert(&height.to_be_bytes(), &record[..])?;
                Ok(())
            })
            .map_err(|e| match e {
                TransactionError::Abort(()) => unreachable!("nothing aborts"),
                TransactionError::Storage(e) => database(e),
            })?;
        let bytes = parts.iter().map(|part| part.len()).sum::<usize>() + record.len();
        Ok((hash, bytes as u64))
    }

    /// Puts on the disk what was written.
    pub(crate) fn sync(&self) -> Result<()> {
        self.db.flush().map_err(database)?;
        self.file
            .sync_data()
            .map_err(|e| StoreError::Database(format!("journal: fdatasync: {e}")))
    }

    /// The first and last height, `None` before the first.
    pub(crate) fn bounds(&self) -> Result<Option<(u64, u64)>> {
        let end = |pair: Option<(sled::IVec, _)>| pair.map(|(key, _)| height_of(&key)).transpose();
        let first = end(self.meta.first().map_err(database)?)?;
        let last = end(self.meta.last().map_err(database)?)?;
        Ok(first.zip(last))
    }

    /// The record of `height` and its hash.
    pub(crate) fn meta(&self, height: u64) -> Result<Option<(Meta, Digest)>> {
        let bytes = self.meta.get(height.to_be_bytes()).map_err(database)?;
        bytes.map(|bytes| Meta::decode(&bytes, height)).transpose()
    }

    /// The record of `height`, which must be there, and its hash.
    pub(crate) fn expect(&self, height: u64) -> Result<(Meta, Digest)> {
        self.meta(height)?
            .ok_or_else(|| StoreError::Corrupt(format!("record of height {height} is missing")))
    }

    /// A section's bytes, checked against its hash.
    pub(crate) fn read(&self, meta: &Meta, part: Part) -> Result<Vec<u8>> {
        let want = meta.sections[part as usize];
        let corrupt = |why: String| StoreError::Corrupt(format!("{part:?} of height {}: {why}", meta.height));
        let mut bytes = Vec::new();
        for i in 0..want.len.div_ceil(CHUNK_BYTES as u64) {
            let i = u32::try_from(i).map_err(|_| corrupt(format!("{} bytes are too many", want.len)))?;
            let chunk = self.log.get(chunk_key(meta.height, part, i)).map_err(database)?;
            bytes.extend_from_slice(&chunk.ok_or_else(|| corrupt(format!("chunk {i} is missing")))?);
        }
        let have = Section::of(&bytes);
        if have != want {
            return Err(corrupt(format!(
                "its {} bytes do not match their hash ({} were written)",
                have.len, want.len
            )));
        }
        Ok(bytes)
    }

    /// Drops chunks above `height`: of a record that never got its meta record.
    pub(crate) fn drop_above(&self, height: u64) -> Result<()> {
        for key in self.log.range(chunk_key(height + 1, Part::Changes, 0)..).keys() {
            self.log.remove(key.map_err(database)?).map_err(database)?;
        }
        Ok(())
    }

    /// Makes the entries of a written height look-ups. Doing it again changes nothing; the next record's sync makes
    /// them durable, and opening does it again for the last height.
    pub(crate) fn put_index(&self, index: &[IndexEntry]) -> Result<()> {
        for entry in index {
            self.index
                .insert(&entry.key, &entry.value[..])
                .map_err(database)?;
        }
        Ok(())
    }

    pub(crate) fn find(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self
            .index
            .get(key)
            .map_err(database)?
            .map(|value| Bytes::copy_from_slice(&value)))
    }
}

fn chunk_key(height: u64, part: Part, chunk: u32) -> [u8; 13] {
    let mut key = [0; 13];
    key[..8].copy_from_slice(&height.to_be_bytes());
    key[8] = part as u8;
    key[9..].copy_from_slice(&chunk.to_be_bytes());
    key
}

fn height_of(key: &[u8]) -> Result<u64> {
    let bytes = key
        .try_into()
        .map_err(|_| StoreError::Corrupt("journal: a record's key is no height".into()))?;
    Ok(u64::from_be_bytes(bytes))
}
