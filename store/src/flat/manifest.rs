//! The list of files that are the history: a file that is not in it is no part of it.
//!
//! ```text
//! "braid-history-ls" | format u32 | per file: number u64, its trailer's hash | blake3 of all before
//! ```
use crate::codec::Reader;
use crate::open::failed;
use state::StoreError;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 16] = b"braid-history-ls";
const FORMAT: u32 = 1;

/// A file's number and its trailer's hash.
pub(super) type Entry = (u64, [u8; 32]);

fn path(folder: &Path) -> PathBuf {
    folder.join("LIST")
}

/// The file of segment `id`.
pub(super) fn segment_path(folder: &Path, id: u64) -> PathBuf {
    folder.join(format!("{id:010}.seg"))
}

/// What is listed; `None` where there is no list.
pub(super) fn read(folder: &Path) -> Result<Option<Vec<Entry>>, StoreError> {
    let path = path(folder);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(&path, &e)),
    };
    let what = format!("history {}", path.display());
    let corrupt = |why: &str| StoreError::Corrupt(format!("{what}: {why}"));
    let (content, hash) = bytes
        .split_last_chunk::<32>()
        .ok_or_else(|| corrupt("cut short"))?;
    if blake3::hash(content) != *hash {
        return Err(corrupt("its hash does not match its bytes"));
    }
    let mut reader = Reader::new(content, &what);
    if reader.array::<16>()? != *MAGIC || u32::from_be_bytes(reader.array()?) != FORMAT {
        return Err(corrupt("no list of this format"));
    }
    let mut list = Vec::new();
    while !reader.is_empty() {
        list.push((reader.u64()?, reader.array()?));
    }
    Ok(Some(list))
}

/// Writes the list, durably, in the place of the one before.
pub(super) fn write(folder: &Path, list: &[Entry]) -> Result<(), StoreError> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    for (id, digest) in list {
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.extend_from_slice(digest);
    }
    let hash = blake3::hash(&bytes);
    bytes.extend_from_slice(hash.as_bytes());
    let path = path(folder);
    let temporary = path.with_extension("tmp");
    File::create(&temporary)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, &path))
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|e| failed(&path, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_and_a_damaged_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()), Ok(None));
        let list = vec![(3, [7; 32]), (9, [8; 32])];
        write(folder.path(), &list).unwrap();
        assert_eq!(read(folder.path()), Ok(Some(list)));
        let whole = fs::read(path(folder.path())).unwrap();
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            fs::write(path(folder.path()), &bad).unwrap();
            assert!(read(folder.path()).is_err(), "byte {at}");
        }
    }
}
