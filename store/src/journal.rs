//! The journal: one atomic record a height in a database, hash-chained, and look-ups that follow from it.
//!
//! ```text
//! log    height | part | chunk  ->  a chunk of a section      u64, u8, u32, big endian
//! meta   height                 ->  the meta record (record.rs)
//! index  key                    ->  height u64 | value of the newest entry | 8 bytes of blake3 over key and these
//! marks  name                   ->  what the store notes of itself
//! ```
//! A height exists if and only if its meta record does. A record that fits is one atomic write; a bigger one's first
//! chunks are written before the atomic write that ends in the meta record, and are dropped at the next start where
//! that never came.
use crate::backend::{Backend, Database, Result, Table, Write};
use crate::record::{Digest, Draft, Meta, Part, Section};
use state::{Bytes, IndexEntry, StoreError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many keys are read or removed at a time.
const STEP: usize = 256;

#[derive(Debug)]
pub(crate) struct Journal {
    backend: Arc<dyn Backend>,
    /// A record was written since the last sync.
    unsynced: AtomicBool,
}

impl Journal {
    /// Opens the database in the folder `home`.
    pub(crate) fn open(home: &Path, database: &Database) -> Result<Self> {
        Ok(Self {
            backend: database.open(home)?,
            unsynced: AtomicBool::new(false),
        })
    }

    /// Writes a height's record; [`Journal::sync`] makes it durable. Returns the record's hash and how many bytes it has.
    pub(crate) fn append(&self, draft: &Draft, parts: [&[u8]; 3]) -> Result<(Digest, u64)> {
        let Draft {
            kind,
            height,
            root,
            previous,
            commit_info,
        } = draft.clone();
        let meta = Meta {
            kind,
            height,
            root,
            previous,
            sections: parts.map(Section::of),
            commit_info,
        };
        let (record, hash) = meta.encode();
        let size = self.backend.caps().chunk;
        let mut changes = Vec::new();
        for (part, bytes) in Part::ALL.into_iter().zip(parts) {
            let keyed = bytes.chunks(size).zip(0..);
            changes.extend(keyed.map(|(chunk, i)| Write {
                table: Table::Log,
                key: chunk_key(height, part, i).to_vec(),
                value: Some(chunk),
            }));
        }
        changes.push(Write {
            table: Table::Meta,
            key: height.to_be_bytes().to_vec(),
            value: Some(&record),
        });
        let caps = self.backend.caps();
        if !caps.ordered {
            // No record may survive a power cut that takes the one before it, or its own first chunks.
            if self.unsynced.load(Ordering::Relaxed) {
                self.sync()?;
            }
            if changes.len() > caps.atomic {
                let last = changes.split_off(changes.len() - caps.atomic);
                self.backend.write(&changes)?;
                self.backend.sync()?;
                changes = last;
            }
        }
        self.unsynced.store(true, Ordering::Relaxed);
        self.backend.write(&changes)?;
        let bytes = parts.iter().map(|part| part.len()).sum::<usize>() + record.len();
        Ok((hash, bytes as u64))
    }

    /// Puts on the disk what was written.
    pub(crate) fn sync(&self) -> Result<()> {
        self.backend.sync()?;
        self.unsynced.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// The first and last height, `None` before the first.
    pub(crate) fn bounds(&self) -> Result<Option<(u64, u64)>> {
        let end = |key: Option<Vec<u8>>| key.map(|key| height_of(&key)).transpose();
        let first = end(self.backend.first(Table::Meta)?)?;
        let last = end(self.backend.last(Table::Meta)?)?;
        Ok(first.zip(last))
    }

    /// The record of `height` and its hash.
    pub(crate) fn meta(&self, height: u64) -> Result<Option<(Meta, Digest)>> {
        let bytes = self.backend.get(Table::Meta, &height.to_be_bytes())?;
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
        for i in 0..u32::MAX {
            if bytes.len() as u64 >= want.len {
                break;
            }
            let chunk = self.backend.get(Table::Log, &chunk_key(meta.height, part, i))?;
            let chunk = chunk.filter(|chunk| !chunk.is_empty());
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
        self.remove(
            Table::Log,
            &chunk_key(height + 1, Part::Changes, 0),
            None,
            &mut || (),
        )
    }

    /// Removes the keys of a table from `from` on, below `to` where there is one, in bounded steps, and tells of each.
    pub(crate) fn remove(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        step: &mut dyn FnMut(),
    ) -> Result<()> {
        loop {
            let keys = self.backend.keys(table, from, to, STEP)?;
            if keys.is_empty() {
                return Ok(());
            }
            let gone = keys.into_iter().map(|key| Write {
                table,
                key,
                value: None,
            });
            self.backend.write(&gone.collect::<Vec<_>>())?;
            step();
        }
    }

    /// Makes the entries of the written `height` look-ups. Doing it again changes nothing; the next record's sync makes
    /// them durable, and opening does it again for the last height.
    pub(crate) fn put_index(&self, height: u64, index: &[IndexEntry]) -> Result<()> {
        // Neighbours one after another: they lie together. Of a key that comes twice the last one stays the last.
        let mut index: Vec<&IndexEntry> = index.iter().collect();
        index.sort_by(|a, b| a.key.cmp(&b.key));
        for some in index.chunks(STEP) {
            let values = some.iter().map(|entry| {
                let mut value = [&height.to_be_bytes()[..], &entry.value[..]].concat();
                let check = check(&entry.key, &value);
                value.extend_from_slice(&check);
                value
            });
            let values: Vec<_> = values.collect();
            let changes = some.iter().zip(&values).map(|(entry, value)| Write {
                table: Table::Index,
                key: entry.key.to_vec(),
                value: Some(value),
            });
            self.backend.write(&changes.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// The newest entry under `key`, with the height it is of.
    pub(crate) fn find(&self, key: &[u8]) -> Result<Option<(u64, Bytes)>> {
        let Some(mut value) = self.backend.get(Table::Index, key)? else {
            return Ok(None);
        };
        let damaged = || {
            StoreError::Corrupt(format!(
                "look-up {}: it does not match its hash",
                hex::encode(key)
            ))
        };
        let (content, have) = value.split_last_chunk::<CHECK_BYTES>().ok_or_else(damaged)?;
        if check(key, content) != *have {
            return Err(damaged());
        }
        let len = content.len();
        value.truncate(len);
        let height = height_of(value.get(..8).ok_or_else(damaged)?)?;
        Ok(Some((height, value.split_off(8))))
    }

    /// What the store noted of itself under `name`.
    pub(crate) fn mark(&self, name: &str) -> Result<Option<Bytes>> {
        self.backend.get(Table::Marks, name.as_bytes())
    }

    /// Notes something under `name`, or that there is nothing; [`Journal::sync`] makes it durable.
    pub(crate) fn set_mark(&self, name: &str, value: Option<&[u8]>) -> Result<()> {
        self.backend.write(&[Write {
            table: Table::Marks,
            key: name.as_bytes().to_vec(),
            value,
        }])
    }

    /// The database below.
    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// Bytes on the disk.
    pub(crate) fn size(&self) -> Result<u64> {
        self.backend.size()
    }
}

/// What tells a damaged look-up: no database's own checks are relied on.
fn check(key: &[u8], value: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_be_bytes());
    hasher.update(key).update(value);
    let digest = hasher.finalize();
    *digest.as_bytes().first_chunk().expect("a hash is longer")
}

const CHECK_BYTES: usize = 8;

/// Where a chunk of a record lies in the log.
pub(crate) fn chunk_key(height: u64, part: Part, chunk: u32) -> [u8; 13] {
    let mut key = [0; 13];
    key[..8].copy_from_slice(&height.to_be_bytes());
    key[8] = part as u8;
    key[9..].copy_from_slice(&chunk.to_be_bytes());
    key
}

pub(crate) fn height_of(key: &[u8]) -> Result<u64> {
    let bytes = key
        .try_into()
        .map_err(|_| StoreError::Corrupt("journal: a record's key is no height".into()))?;
    Ok(u64::from_be_bytes(bytes))
}
