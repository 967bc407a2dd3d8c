//! The newest acknowledged height, beside the journal.
//!
//! sled takes a damaged message for the torn end of its log: it drops that and all after it, and opens without a word.
//! This file tells that apart from a log that really ends there. It is written after the journal's record is on the
//! disk and is not synced itself, so it may lag after a power cut and is never ahead.
//!
//! ```text
//! two slots of 80 bytes, used in turn: height u64 | hash of its journal record | 8 zeros | blake3 of these
//! ```
use crate::record::Digest;
use state::StoreError;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const SLOT_BYTES: usize = 80;

#[derive(Debug)]
pub(crate) struct Head {
    file: File,
    path: PathBuf,
}

impl Head {
    pub(crate) fn open(home: &Path) -> Result<Self, StoreError> {
        let path = home.join("HEAD");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = file.map_err(|e| failed(&path, &e))?;
        Ok(Self { file, path })
    }
    /// Refuses a journal that ends before the height noted here.
    pub(crate) fn check(&self, last: u64) -> Result<(), StoreError> {
        match self.read().map_err(|e| failed(&self.path, &e))? {
            Some((height, _)) if height > last => Err(StoreError::Corrupt(format!(
                "the journal ends at height {last}, but height {height} was committed; to go on from {last} remove {}",
                self.path.display()
            ))),
            _ => Ok(()),
        }
    }
    /// Notes that `height` is durable.
    pub(crate) fn write(&self, height: u64, record: Digest) -> Result<(), StoreError> {
        let mut slot = [0; SLOT_BYTES];
        slot[..8].copy_from_slice(&height.to_be_bytes());
        slot[8..40].copy_from_slice(&record);
        let digest = blake3::hash(&slot[..48]);
        slot[48..].copy_from_slice(digest.as_bytes());
        let place = (height % 2) * SLOT_BYTES as u64;
        self.file
            .write_all_at(&slot, place)
            .map_err(|e| failed(&self.path, &e))
    }
    /// Puts on the disk what was noted: otherwise it may lag after a power cut.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_all().map_err(|e| failed(&self.path, &e))
    }
    /// Forgets the height noted: the journal is about to start anew.
    pub(crate) fn clear(&self) -> Result<(), StoreError> {
        let cleared = self.file.set_len(0).and_then(|()| self.file.sync_all());
        cleared.map_err(|e| failed(&self.path, &e))
    }
    /// The newest whole slot.
    fn read(&self) -> io::Result<Option<(u64, Digest)>> {
        let mut newest = None;
        for place in [0, SLOT_BYTES as u64] {
            let mut slot = [0; SLOT_BYTES];
            match self.file.read_exact_at(&mut slot, place) {
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => continue,
                result => result?,
            }
            if blake3::hash(&slot[..48]) == slot[48..] {
                let height = u64::from_be_bytes(slot[..8].try_into().expect("8 bytes"));
                let record = slot[8..40].try_into().expect("32 bytes");
                newest = newest.max(Some((height, record)));
            }
        }
        Ok(newest)
    }
}

fn failed(path: &Path, e: &io::Error) -> StoreError {
    StoreError::Database(format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_ends_early_is_refused_and_a_torn_slot_is_passed_over() {
        let home = tempfile::tempdir().unwrap();
        let head = Head::open(home.path()).unwrap();
        head.check(0).unwrap();
        for height in 1..=4 {
            head.write(height, [height as u8; 32]).unwrap();
            assert_eq!(head.read().unwrap(), Some((height, [height as u8; 32])));
        }
        head.check(4).unwrap();
        head.check(5).unwrap();
        assert!(
            head.check(3)
                .unwrap_err()
                .to_string()
                .contains("ends at height 3, but height 4 was committed")
        );
        // Height 4 lies in the first slot.
        head.file.write_all_at(&[9], 3).unwrap();
        assert_eq!(head.read().unwrap(), Some((3, [3; 32])));
        head.check(3).unwrap();
    }
}
