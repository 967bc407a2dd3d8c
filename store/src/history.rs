//! Versions that the ring no longer holds, rebuilt from the nearest checkpoint, or genesis, and the journal.
use crate::journal::Journal;
use crate::open::chained;
use crate::record::{Digest, Kind, Part, decode_changes};
use crate::versions::{empty, split};
use crate::{Config, Frozen, checkpoint};
use parking_lot::Mutex;
use state::{Snapshot, StoreError};
use std::path::Path;

/// How many rebuilt versions are kept. Each may be as big as the whole state, where it shares nothing with the ring.
const KEPT: usize = 2;

/// Rebuilt versions, the most recently used last. The lock also makes rebuilding one at a time.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Vec<Frozen>>);

impl History {
    /// The version of `height`, which was committed.
    pub(crate) fn get(
        &self,
        height: u64,
        journal: &Journal,
        checkpoints: &Path,
        config: &Config,
    ) -> Result<Frozen, StoreError> {
        let mut kept = self.0.lock();
        if let Some(place) = kept.iter().position(|f| f.version().height == height) {
            let frozen = kept.remove(place);
            kept.push(frozen.clone());
            return Ok(frozen);
        }
        let near = kept
            .iter()
            .filter(|f| f.version().height < height)
            .max_by_key(|f| f.version().height);
        let base = base(height, near, journal, checkpoints, config)?;
        let frozen = advance(&base, height, journal)?;
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push(frozen.clone());
        Ok(frozen)
    }
}

/// The nearest version at or below `height` to start from. A damaged checkpoint is passed over: an older one, or
/// genesis, takes longer and gives the same.
fn base(
    height: u64,
    near: Option<&Frozen>,
    journal: &Journal,
    checkpoints: &Path,
    config: &Config,
) -> Result<Frozen, StoreError> {
    let above = near.map_or(0, |f| f.version().height);
    for (at, path) in checkpoint::list(checkpoints)?.into_iter().rev() {
        if (above + 1..=height).contains(&at)
            && let Ok((frozen, record)) = checkpoint::read(&path)
            && fits(&frozen, record, journal).is_ok()
        {
            return Ok(frozen);
        }
    }
    Ok(near.cloned().unwrap_or_else(|| empty(config)))
}

/// Whether a checkpoint is of this chain: the journal's record of its height is the one it names, or stands for it.
/// Returns the record's hash.
pub(crate) fn fits(frozen: &Frozen, record: Digest, journal: &Journal) -> Result<Digest, StoreError> {
    let version = frozen.version();
    let (meta, hash) = journal.expect(version.height)?;
    let named = match meta.kind {
        Kind::Block => hash,
        Kind::Seed => meta.previous,
    };
    if (meta.root, named) != (version.root, record) {
        let why = format!(
            "checkpoint of height {} does not belong to this journal",
            version.height
        );
        return Err(StoreError::Corrupt(why));
    }
    Ok(hash)
}

/// `base` with the journal's blocks up to `height` applied, hashed at the end.
fn advance(base: &Frozen, height: u64, journal: &Journal) -> Result<Frozen, StoreError> {
    let mut trees = base.trees().clone();
    let mut version = base.version();
    if version.height == 0 {
        // Only a journal that begins with genesis' successor leads on from nothing.
        let Some((first, _)) = journal.bounds()? else {
            return Err(StoreError::Corrupt("the journal is empty".into()));
        };
        let (meta, _) = chained(journal, first, Digest::default())?;
        if meta.kind == Kind::Seed {
            let why = format!("the journal begins with a checkpoint of height {first}, which is not there");
            return Err(StoreError::Corrupt(why));
        }
        version.height = first - 1;
    }
    for at in version.height + 1..=height {
        let (meta, _) = journal.expect(at)?;
        let changes = decode_changes(&journal.read(&meta, Part::Changes)?, at)?;
        for (tree, changes) in split(&mut trees, &changes)? {
            tree.edit(&changes, at);
        }
        version = state::Version {
            height: at,
            root: meta.root,
        };
    }
    trees.values_mut().for_each(|tree| {
        tree.seal();
    });
    let have = crate::multistore::app_hash(&trees);
    if have != version.root {
        let (have, want) = (hex::encode(have), hex::encode(version.root));
        return Err(StoreError::Corrupt(format!(
            "replay to height {height} gives app hash {have}, recorded {want}"
        )));
    }
    Ok(Frozen::new(version, trees))
}
