//! Going back to an older height, for good: what came after is forgotten as if it had never been.
//!
//! 1. Rebuild the version of the height, so that nothing is given up for one that cannot be had.
//! 2. Note what is going to be done, synced. From here on it is done, if need be at the next start.
//! 3. Remove newer checkpoints.
//! 4. Point look-ups of newer heights to what they were, from the sections that are kept.
//! 5. Remove newer meta records, then newer sections.
//! 6. Bring floors and the note of the newest acknowledged height down, synced.
//! 7. Forget the note, synced.
//!
//! Doing any step again changes nothing. Snapshots and history above the height go when the store is opened.
use crate::backend::{Table, Write};
use crate::head::Head;
use crate::journal::{Journal, height_of};
use crate::open::{checkpoints, failed, load, lock};
use crate::points::{Point, Points};
use crate::record::{Part, decode_index};
use crate::retain::Floors;
use crate::{Config, DiskStore, checkpoint, prune};
use state::{Bytes, StoreError, Version};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

type Result<T> = std::result::Result<T, StoreError>;

/// Under this name the height is noted that is being gone back to.
const ROLLBACK: &str = "rollback";
/// How many look-ups are put right with one walk over the kept sections.
const MAX_LOOK_UPS: usize = 1 << 20;
/// How many records are looked at, or look-ups removed, at a time.
const STEP: usize = 256;

impl DiskStore {
    /// The newest height of the closed store in the folder `home`; 0 where it has none.
    pub fn newest(home: impl AsRef<Path>, config: &Config) -> Result<u64> {
        let home = home.as_ref();
        let checkpoints = checkpoints(home)?;
        let _lock = lock(home)?;
        let journal = Journal::open(home, &config.database)?;
        finish(&journal, &Head::open(home)?, &checkpoints, &config.points)?;
        Ok(journal.bounds()?.map_or(0, |(_, last)| last))
    }
    /// Whether the closed store in the folder `home` could go back to `height`.
    ///
    /// # Errors
    /// As [`DiskStore::rollback`].
    pub fn can_roll_back(home: impl AsRef<Path>, config: &Config, height: u64) -> Result<()> {
        let home = home.as_ref();
        let checkpoints = checkpoints(home)?;
        let _lock = lock(home)?;
        let journal = Journal::open(home, &config.database)?;
        let head = Head::open(home)?;
        finish(&journal, &head, &checkpoints, &config.points)?;
        check(&journal, &head, height).map(drop)
    }

    /// Takes the closed store in the folder `home` back to `height`, any that it has state of. Returns what is newest
    /// then. Going back to the newest height changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`] for a height that is pruned or not there yet; what opening may fail with. A failure
    /// after the work began leaves a store that finishes it when it is opened.
    pub fn rollback(home: impl AsRef<Path>, config: &Config, height: u64) -> Result<Version> {
        let home = home.as_ref();
        let checkpoints = checkpoints(home)?;
        let _lock = lock(home)?;
        let journal = Journal::open(home, &config.database)?;
        let head = Head::open(home)?;
        finish(&journal, &head, &checkpoints, &config.points)?;
        let (floors, first, last) = check(&journal, &head, height)?;
        let mut files = checkpoint::list(&checkpoints)?;
        files.retain(|(of, _)| *of <= height);
        let loaded = load(&journal, &files, config, floors, first, height)?;
        let version = loaded.versions.latest();
        drop(loaded);
        if height < last {
            journal.set_mark(ROLLBACK, Some(&height.to_be_bytes()))?;
            journal.sync()?;
            config.points.at(Point::RollbackNoted);
            finish(&journal, &head, &checkpoints, &config.points)?;
        }
        Ok(version)
    }
}

/// Whether there is state of `height`. Returns the floors, the first height with a record, and the last.
fn check(journal: &Journal, head: &Head, height: u64) -> Result<(Floors, u64, u64)> {
    let (first, last) = journal.bounds()?.unwrap_or((0, 0));
    head.check(last)?;
    let floors = prune::floors(journal)?.capped(last);
    let first = first.max(floors.meta());
    let oldest = first.max(floors.state);
    if height < oldest || height > last || height == 0 {
        return Err(StoreError::NoVersion {
            height,
            oldest,
            latest: last,
        });
    }
    Ok((floors, first, last))
}

/// Steps 3 to 7 of a rollback that is noted.
pub(crate) fn finish(journal: &Journal, head: &Head, checkpoints: &Path, points: &Points) -> Result<()> {
    let Some(height) = journal.mark(ROLLBACK)? else {
        return Ok(());
    };
    let height = height_of(&height)?;
    for (of, path) in checkpoint::list(checkpoints)?.into_iter().rev() {
        if of > height {
            fs::remove_file(&path).map_err(|e| failed(&path, &e))?;
            points.at(Point::RollbackStep);
        }
    }
    File::open(checkpoints)
        .and_then(|f| f.sync_all())
        .map_err(|e| failed(checkpoints, &e))?;
    look_ups(journal, height, points)?;
    // Before the records go that say which look-ups these are.
    journal.sync()?;
    let above = (height + 1).to_be_bytes();
    journal.remove(Table::Meta, &above, None, &mut || points.at(Point::RollbackStep))?;
    // Before the sections go that the records name.
    journal.sync()?;
    journal.drop_above(height)?;
    points.at(Point::RollbackStep);
    prune::cap(journal, height)?;
    let (_, hash) = journal.expect(height)?;
    journal.sync()?;
    points.at(Point::RollbackStep);
    head.clear()?;
    head.write(height, hash)?;
    head.sync()?;
    points.at(Point::RollbackDone);
    journal.set_mark(ROLLBACK, None)?;
    journal.sync()
}

/// Step 4. What came before an entry that goes is not noted anywhere: it is the newest one below, if there is one.
fn look_ups(journal: &Journal, height: u64, points: &Points) -> Result<()> {
    let mut gone = BTreeSet::new();
    let pruned = prune::floors(journal)?.blocks;
    let mut from = (height + 1).to_be_bytes().to_vec();
    loop {
        let keys = journal.backend().keys(Table::Meta, &from, None, STEP)?;
        let Some(last) = keys.last() else { break };
        from = [&last[..], &[0]].concat();
        for key in keys {
            let at = height_of(&key)?;
            let entries = match index(journal, at) {
                // Pruned, after its look-ups.
                Err(StoreError::Corrupt(_)) if at < pruned => continue,
                entries => entries?,
            };
            for entry in entries {
                if journal.find(&entry.0)?.is_some_and(|(of, _)| of > height) {
                    gone.insert(entry.0);
                }
            }
            if gone.len() >= MAX_LOOK_UPS {
                put_right(journal, height, std::mem::take(&mut gone), points)?;
            }
        }
    }
    put_right(journal, height, gone, points)
}

fn index(journal: &Journal, height: u64) -> Result<Vec<(Bytes, Bytes)>> {
    let (meta, _) = journal.expect(height)?;
    let entries = decode_index(&journal.read(&meta, Part::Index)?, height)?;
    Ok(entries
        .into_iter()
        .map(|entry| (entry.key, entry.value))
        .collect())
}

fn put_right(journal: &Journal, height: u64, mut gone: BTreeSet<Bytes>, points: &Points) -> Result<()> {
    let Some((first, _)) = journal.bounds()? else {
        return Ok(());
    };
    let floor = prune::floors(journal)?.capped(height).blocks.max(first);
    for at in (floor..=height).rev() {
        if gone.is_empty() {
            return Ok(());
        }
        // Of one height's entries under a key the last counts.
        for (key, value) in index(journal, at)?.into_iter().rev() {
            if gone.remove(&key) {
                journal.put_index(at, &[state::IndexEntry { key, value }])?;
                points.at(Point::RollbackStep);
            }
        }
    }
    let keys: Vec<Bytes> = gone.into_iter().collect();
    for some in keys.chunks(STEP) {
        let changes = some.iter().map(|key| Write {
            table: Table::Index,
            key: key.to_vec(),
            value: None,
        });
        journal.backend().write(&changes.collect::<Vec<_>>())?;
        points.at(Point::RollbackStep);
    }
    Ok(())
}
