//! A stopped home's state as a file, and back: `braidd export` and `braidd import`.
use crate::start::settings;
use crate::{Home, NodeError};
use state::{AppHash, CommitStore};
use std::io::{Read, Write};
use store::DiskStore;

fn open(home: &Home) -> Result<DiskStore, NodeError> {
    let config = settings(home)?;
    let kept = config.retention(config.store.over(store::Config::new(app::stores())))?;
    Ok(DiskStore::open(home.database(), config.state_sync.over(kept))?)
}

/// Writes the state of `height`, the newest where none is given, to `out`. Gives the height and the
/// app hash. Fails where the node runs.
pub fn export_state(
    home: &Home,
    height: Option<u64>,
    out: &mut dyn Write,
) -> Result<(u64, AppHash), NodeError> {
    let store = open(home)?;
    let newest = store.latest().height;
    if newest == 0 {
        return Err(NodeError::Invalid(format!(
            "{} has no blocks yet",
            home.root().display()
        )));
    }
    let version = store.export(height.unwrap_or(newest), out)?;
    Ok((version.height, version.root))
}

/// Makes the state in `file` that of a home without blocks. `trusted` is the app hash it must have, where the file's
/// word does not suffice. Gives the height and the app hash. Fails where the node runs.
pub fn import_state(
    home: &Home,
    file: &mut dyn Read,
    trusted: Option<&AppHash>,
) -> Result<(u64, AppHash), NodeError> {
    let version = open(home)?.import(file, trusted)?;
    Ok((version.height, version.root))
}
