//! Opening a store again: what was acknowledged is there, or it is said why not.
//!
//! Lock the folder; refuse a journal that lost acknowledged heights; drop what an interrupted commit left; take the
//! newest checkpoint that is whole and belongs to this journal, else an older one, else genesis; apply the records above
//! it, each checked against its hash, its predecessor and its app hash; load the last height's index entries. Anything
//! that does not fit refuses with the reason: an acknowledged block is never dropped in silence.
use crate::history::fits;
use crate::journal::Journal;
use crate::multistore::CommitInfo;
use crate::record::{Digest, Meta, Part, decode_changes};
use crate::versions::{Versions, empty};
use crate::{Config, Frozen, checkpoint};
use prost::Message;
use state::{StoreError, StoreId};
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::Duration;

type Result<T> = std::result::Result<T, StoreError>;

pub(crate) fn failed(path: &Path, e: &std::io::Error) -> StoreError {
    StoreError::Database(format!("{}: {e}", path.display()))
}

/// Tries again for a moment while `open` finds a lock taken: a process that ends, or a child between fork and exec,
/// may hold it a little longer than it uses it.
pub(crate) fn patiently<T>(mut open: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 0..LOCK_TRIES {
        match open() {
            Err(StoreError::Locked(_)) => std::thread::sleep(LOCK_PAUSE),
            result => return result,
        }
    }
    open()
}

const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

pub(crate) fn lock(home: &Path) -> Result<File> {
    let path = home.join("LOCK");
    let file = File::create(&path).map_err(|e| failed(&path, &e))?;
    patiently(|| match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(home.display().to_string())),
        Err(TryLockError::Error(e)) => Err(failed(&path, &e)),
    })?;
    Ok(file)
}

/// New folders and files are found again after a power cut only once their folder is synced.
pub(crate) fn sync_folders(home: &Path, journal: &Path) -> Result<()> {
    for folder in [journal, home] {
        if folder.exists() {
            let synced = File::open(folder).and_then(|f| f.sync_all());
            synced.map_err(|e| failed(folder, &e))?;
        }
    }
    Ok(())
}

/// What opening found.
pub(crate) struct Opened {
    pub(crate) versions: Versions,
    pub(crate) last: Digest,
    pub(crate) bytes: u64,
    pub(crate) size: u64,
}

/// The stores of the last record must be those the store is opened with: their names are in the app hash.
fn check_stores(journal: &Journal, config: &Config, last: u64) -> Result<()> {
    let (meta, _) = journal.expect(last)?;
    let info = CommitInfo::decode(&meta.commit_info[..])
        .map_err(|e| StoreError::Corrupt(format!("commit info of height {last}: {e}")))?;
    let have: BTreeSet<&str> = info.store_infos.iter().map(|store| store.name.as_str()).collect();
    let want: BTreeSet<&str> = config.stores.iter().map(StoreId::name).collect();
    if have != want {
        return Err(StoreError::Corrupt(format!(
            "the database has stores {have:?}, opened with {want:?}"
        )));
    }
    Ok(())
}

/// The newest version, from the newest checkpoint that serves, else from genesis.
pub(crate) fn load(
    journal: &Journal,
    checkpoints: &Path,
    config: &Config,
    first: u64,
    last: u64,
) -> Result<Opened> {
    check_stores(journal, config, last)?;
    let mut reasons = Vec::new();
    for (height, path) in checkpoint::list(checkpoints)?.into_iter().rev() {
        if height > last {
            // A checkpoint is written of durable heights only.
            let why = format!("there is a checkpoint of height {height}, but the journal ends at {last}");
            return Err(StoreError::Corrupt(why));
        }
        let base = checkpoint::read(&path).and_then(|(frozen, hash)| {
            let hash = fits(&frozen, hash, journal)?;
            Ok((frozen, hash))
        });
        match base.and_then(|(frozen, hash)| replay(journal, config, frozen, hash, height + 1, last)) {
            Ok(opened) => {
                return Ok(Opened {
                    size: fs::metadata(&path).map_or(0, |m| m.len()),
                    ..opened
                });
            }
            Err(e) => reasons.push(e.to_string()),
        }
    }
    replay(journal, config, empty(config), Digest::default(), first, last).map_err(|e| match e {
        StoreError::Corrupt(why) => {
            reasons.insert(0, why);
            reasons.dedup();
            StoreError::Corrupt(reasons.join("; "))
        }
        e => e,
    })
}

/// Applies the records `from..=to` to `base`.
fn replay(
    journal: &Journal,
    config: &Config,
    base: Frozen,
    mut hash: Digest,
    from: u64,
    to: u64,
) -> Result<Opened> {
    let (versions, mut bytes) = (Versions::from(base, config), 0);
    for height in from..=to {
        let (meta, next) = chained(journal, height, hash)?;
        for part in [Part::Body, Part::Index] {
            journal.read(&meta, part)?;
        }
        let changes = decode_changes(&journal.read(&meta, Part::Changes)?, height)?;
        let (root, staged) = versions.stage(height, changes)?;
        if root != meta.root {
            let (have, want) = (hex::encode(root), hex::encode(meta.root));
            let why = format!("replay of height {height} gives app hash {have}, recorded {want}");
            return Err(StoreError::Corrupt(why));
        }
        versions.publish(&staged);
        bytes += meta.sections.iter().map(|section| section.len).sum::<u64>();
        hash = next;
    }
    Ok(Opened {
        versions,
        last: hash,
        bytes,
        size: 0,
    })
}

/// The record of `height`, which follows the one whose hash is `previous`.
pub(crate) fn chained(journal: &Journal, height: u64, previous: Digest) -> Result<(Meta, Digest)> {
    let (meta, hash) = journal.expect(height)?;
    if meta.previous != previous {
        let why = format!("record of height {height} does not follow the record before it");
        return Err(StoreError::Corrupt(why));
    }
    Ok((meta, hash))
}
