//! A damaged journal is set aside, and a new one begins where the newest whole checkpoint is.
//!
//! For nodes whose consensus keeps the blocks since that checkpoint (`RetainHeight` never passes the oldest one) and plays
//! them again: the store comes back at the checkpoint's height, or empty where there is no whole one, and says so.
//!
//! 1. The journal, what vouches for its end and checkpoints that are not whole move to `journal.corrupt-<n>`, synced.
//! 2. A new journal gets one record: a seed, which stands for the checkpoint's height and names the record that the
//!    checkpoint names. Synced.
//! 3. The note of the newest acknowledged height is written anew.
//!
//! A kill after 1 leaves a journal that ends before what was acknowledged: the next start takes that for damage and goes
//! on with 2. Nothing is deleted: what only the old journal has (receipts below the checkpoint) can be looked for there.
use crate::backend::Database;
use crate::head::Head;
use crate::journal::Journal;
use crate::multistore::commit_info;
use crate::open::{checkpoints, failed, same_stores, sync_folders};
use crate::points::Point;
use crate::record::{Digest, Draft, Kind};
use crate::{Config, Frozen, checkpoint};
use prost::Message;
use state::{Snapshot, StoreError, StoreId};
use std::fs;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, StoreError>;

/// What was done about a damaged journal when the store was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where it lies now.
    pub folder: PathBuf,
    /// What was wrong with it.
    pub why: String,
    /// The height the store came back at: a checkpoint's, or 0. Consensus plays the blocks above again.
    pub height: u64,
}

/// More of them than anyone keeps.
const MAX_ASIDE: u32 = 10_000;

/// Sets the journal in `home` aside because of `why`.
pub(crate) fn set_aside(home: &Path, config: &Config, why: String) -> Result<SetAside> {
    if matches!(config.database, Database::Given(_)) {
        // It has no files of its own to move.
        return Err(StoreError::Corrupt(why));
    }
    let files = checkpoint::list(&checkpoints(home)?)?;
    let mut damaged = Vec::new();
    let mut base = None;
    for (_, path) in files.iter().rev() {
        match checkpoint::read(path) {
            Ok(whole) => {
                base = Some(whole);
                break;
            }
            Err(StoreError::Corrupt(_)) => damaged.push(path),
            Err(e) => return Err(e),
        }
    }
    if let Some((frozen, _)) = &base {
        same_stores(config, frozen.trees().keys().map(StoreId::name).collect())?;
    }
    let height = base.as_ref().map_or(0, |(frozen, _)| frozen.version().height);
    let folder = free_folder(home)?;
    let journal = config.database.path(home);
    for from in [&journal].into_iter().chain(damaged) {
        if let Some(name) = from.file_name().filter(|_| from.exists()) {
            fs::rename(from, folder.join(name)).map_err(|e| failed(from, &e))?;
        }
    }
    // Its own place keeps the old one until the new journal is there: see above.
    let head = home.join("HEAD");
    if head.exists() {
        fs::copy(&head, folder.join("HEAD")).map_err(|e| failed(&head, &e))?;
    }
    sync_folders(home, &folder)?;
    config.points.at(Point::SetAsideStep);
    seed(home, config, base)?;
    Ok(SetAside { folder, why, height })
}

/// A folder that was not there.
fn free_folder(home: &Path) -> Result<PathBuf> {
    for n in 1..=MAX_ASIDE {
        let folder = home.join(format!("journal.corrupt-{n}"));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(failed(&folder, &e)),
        }
    }
    let why = format!(
        "{}: {MAX_ASIDE} damaged journals were set aside: remove some",
        home.display()
    );
    Err(StoreError::Database(why))
}

/// Steps 2 and 3.
fn seed(home: &Path, config: &Config, base: Option<(Frozen, Digest)>) -> Result<()> {
    let journal = Journal::open(home, &config.database)?;
    let head = Head::open(home)?;
    sync_folders(home, &config.database.path(home))?;
    let Some((frozen, record)) = base else {
        return head.clear();
    };
    let version = frozen.version();
    let draft = Draft {
        kind: Kind::Seed,
        height: version.height,
        root: version.root,
        previous: record,
        commit_info: commit_info(version.height, frozen.trees()).encode_to_vec(),
    };
    let (hash, _) = journal.append(&draft, [&[], &[], &[]])?;
    journal.sync()?;
    config.points.at(Point::SetAsideStep);
    head.clear()?;
    head.write(version.height, hash)?;
    head.sync()?;
    config.points.at(Point::SetAsideStep);
    Ok(())
}
