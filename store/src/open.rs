//! Opening a store again: what was acknowledged is there, or it is said why not.
//!
//! 1. Lock the folder.
//! 2. Finish a rollback that was interrupted (`rollback.rs`).
//! 3. Refuse a journal that lost acknowledged heights; drop what an interrupted commit left.
//! 4. Take the newest checkpoint that is whole and belongs to this journal, else an older one, else genesis.
//! 5. Apply the records above it, each checked against its hash, its predecessor and its app hash.
//! 6. Make the newest heights' entries look-ups again, and load the last height's.
//!
//! Anything that does not fit refuses with the reason: an acknowledged block is never dropped in silence. Where the node
//! can get blocks again it may be told to set a damaged journal aside instead ([`Damaged::SetAside`], `aside.rs`).
use crate::aside::{SetAside, set_aside};
use crate::head::Head;
use crate::history::fits;
use crate::journal::Journal;
use crate::multistore::CommitInfo;
use crate::points::Point;
use crate::record::{Digest, Kind, Meta, Part, decode_changes, decode_index};
use crate::retain::Floors;
use crate::versions::{Versions, empty};
use crate::writer::{MAX_HEIGHTS, Published, Recent};
use crate::{Config, Damaged, Frozen, checkpoint, prune, rollback};
use prost::Message;
use state::{BlockRecord, Bytes, IndexEntry, StoreError, StoreId};
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
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

/// Where a store's checkpoints lie; the folder is made where it is missing.
pub(crate) fn checkpoints(home: &Path) -> Result<PathBuf> {
    let folder = home.join("checkpoints");
    fs::create_dir_all(&folder).map_err(|e| failed(&folder, &e))?;
    Ok(folder)
}

/// What opening found.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) journal: Journal,
    pub(crate) head: Head,
    pub(crate) loaded: Loaded,
    pub(crate) floors: Floors,
    /// The first height; 0 before the first commit.
    pub(crate) first: u64,
    pub(crate) recent: Recent,
    pub(crate) aside: Option<SetAside>,
}

/// Steps 2 to 6, in a folder that is locked.
pub(crate) fn open(home: &Path, config: &Config) -> Result<Opened> {
    match attempt(home, config) {
        Err(StoreError::Corrupt(why)) if config.damaged == Damaged::SetAside => {
            let aside = set_aside(home, config, why)?;
            let opened = attempt(home, config)?;
            Ok(Opened {
                aside: Some(aside),
                ..opened
            })
        }
        result => result,
    }
}

fn attempt(home: &Path, config: &Config) -> Result<Opened> {
    let checkpoints = checkpoints(home)?;
    let journal = Journal::open(home, &config.database)?;
    let head = Head::open(home)?;
    sync_folders(home, &config.database.path(home))?;
    config.points.at(Point::OpenStep);
    rollback::finish(&journal, &head, &checkpoints, &config.points)?;
    let bounds = journal.bounds()?;
    let last = bounds.map_or(0, |(_, last)| last);
    head.check(last)?;
    journal.drop_above(last)?;
    config.points.at(Point::OpenStep);
    checkpoint::drop_unfinished(&checkpoints)?;
    let Some((first, last)) = bounds else {
        return Ok(Opened {
            journal,
            head,
            loaded: Loaded {
                versions: Versions::new(config),
                last: Digest::default(),
                bytes: 0,
                size: 0,
            },
            floors: Floors::default(),
            first: 0,
            recent: Recent::new(),
            aside: None,
        });
    };
    // Floors are noted with a record: a power cut may have taken that and left the note.
    let floors = prune::floors(&journal)?.capped(last);
    let first = first.max(floors.meta());
    let files = checkpoint::list(&checkpoints)?;
    if let Some((height, _)) = files.last().filter(|(height, _)| *height > last) {
        // A checkpoint is written of durable heights only.
        let why = format!("there is a checkpoint of height {height}, but the journal ends at {last}");
        return Err(StoreError::Corrupt(why));
    }
    let loaded = load(&journal, &files, config, floors, first, last)?;
    let recent = look_ups(&journal, floors, first, last)?;
    config.points.at(Point::OpenStep);
    Ok(Opened {
        journal,
        head,
        loaded,
        floors,
        first,
        recent,
        aside: None,
    })
}

/// Heights that are durable and whose entries need not be look-ups yet: those that shared a sync, twice.
const UNSETTLED: u64 = 2 * MAX_HEIGHTS as u64;

/// Step 6. Returns the last height's entries, as if it were just published.
fn look_ups(journal: &Journal, floors: Floors, first: u64, last: u64) -> Result<Recent> {
    let mut index = Vec::new();
    for height in last.saturating_sub(UNSETTLED - 1).max(first).max(floors.blocks)..=last {
        let (meta, _) = journal.expect(height)?;
        index = decode_index(&journal.read(&meta, Part::Index)?, height)?;
        let mut missing: Vec<IndexEntry> = Vec::new();
        for entry in &index {
            // An entry that a later height replaced stays replaced.
            if !matches!(journal.find(&entry.key), Ok(Some((of, _))) if of >= height) {
                missing.push(entry.clone());
            }
        }
        journal.put_index(height, &missing)?;
    }
    let body = Bytes::new();
    let mut published = Published::new(last, &BlockRecord { body, index });
    published.body = None;
    Ok([published].into())
}

/// A journal's newest version.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) versions: Versions,
    /// The hash of the newest record.
    pub(crate) last: Digest,
    /// Journal bytes since the checkpoint it was loaded from,
    pub(crate) bytes: u64,
    /// and the size of that.
    pub(crate) size: u64,
}

/// The stores of the last record must be those the store is opened with: their names are in the app hash. A chain gets
/// another store by an upgrade only, which is a block's doing and not the configuration's.
fn check_stores(journal: &Journal, config: &Config, last: u64) -> Result<()> {
    let (meta, _) = journal.expect(last)?;
    let info = CommitInfo::decode(&meta.commit_info[..])
        .map_err(|e| StoreError::Corrupt(format!("commit info of height {last}: {e}")))?;
    same_stores(
        config,
        info.store_infos.iter().map(|store| store.name.as_str()).collect(),
    )
}

/// Refuses a home with other stores than it is opened with.
pub(crate) fn same_stores(config: &Config, have: BTreeSet<&str>) -> Result<()> {
    let want: BTreeSet<&str> = config.stores.iter().map(StoreId::name).collect();
    if have != want {
        let why = format!("the database has stores {have:?}, opened with {want:?}");
        return Err(StoreError::Incompatible(why));
    }
    Ok(())
}

/// The version of height `last`, from the newest of the checkpoints `files` that serves, else from genesis.
pub(crate) fn load(
    journal: &Journal,
    files: &[(u64, PathBuf)],
    config: &Config,
    floors: Floors,
    first: u64,
    last: u64,
) -> Result<Loaded> {
    check_stores(journal, config, last)?;
    let mut reasons = Vec::new();
    for (height, path) in files.iter().rev() {
        let base = checkpoint::read(path).and_then(|(frozen, hash)| {
            let hash = fits(&frozen, hash, journal)?;
            Ok((frozen, hash))
        });
        match base.and_then(|(frozen, hash)| {
            replay(
                journal,
                config,
                (frozen, hash),
                floors,
                (height + 1).max(first),
                last,
            )
        }) {
            Ok(loaded) => {
                return Ok(Loaded {
                    size: fs::metadata(path).map_or(0, |m| m.len()),
                    ..loaded
                });
            }
            Err(e @ (StoreError::Corrupt(_) | StoreError::Database(_))) => reasons.push(e.to_string()),
            Err(e) => return Err(e),
        }
    }
    let genesis = (empty(config), Digest::default());
    replay(journal, config, genesis, floors, first, last).map_err(|e| match e {
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
    (base, mut hash): (Frozen, Digest),
    floors: Floors,
    from: u64,
    to: u64,
) -> Result<Loaded> {
    let (versions, mut bytes) = (Versions::from(base, config), 0);
    for height in from..=to {
        let (meta, next) = chained(journal, height, hash)?;
        if meta.kind == Kind::Seed {
            let why = format!("the journal begins with a checkpoint of height {height}, which is not there");
            return Err(StoreError::Corrupt(why));
        }
        if height >= floors.blocks {
            for part in [Part::Body, Part::Index] {
                journal.read(&meta, part)?;
            }
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
    Ok(Loaded {
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
