//! Work on a stopped home: going back to an older height, and letting go of old state at once.
use crate::supervise::find;
use crate::{AppConfig, Home, NodeError};
use state::Version;
use std::path::PathBuf;
use std::process::Command;
use store::{DiskStore, Pruning};

/// What `rollback` is told.
#[derive(Clone, Debug)]
pub struct RollbackOptions {
    /// The node's folder; the node must not run.
    pub home: Home,
    /// Where to. One block back, as `simd rollback`, where absent.
    pub height: Option<u64>,
    /// Whether CometBFT forgets the blocks above, too.
    pub hard: bool,
    /// The `cometbft` program; looked for on the PATH where absent.
    pub comet_bin: Option<PathBuf>,
}

/// The settings of the store in `home`, which is opened by hand and set nothing aside.
pub(crate) fn settings(home: &Home) -> Result<(PathBuf, store::Config), NodeError> {
    let path = home.database();
    if !path.is_dir() {
        return Err(NodeError::Invalid(format!("no store at {}", path.display())));
    }
    let config = if home.app_config().exists() {
        AppConfig::read(home)?
    } else {
        AppConfig::default()
    };
    let settings = config.retention(config.store.over(store::Config::new(app::stores())))?;
    Ok((path, settings))
}

/// Goes back. Returns what is newest then.
///
/// Without a height, CometBFT's state goes one block back (`cometbft rollback`), then the app to where that is; on a
/// home without CometBFT's data the app alone. With a height the app goes there and CometBFT's state stays: at the next
/// start its handshake plays its blocks above to the app again. With `hard` CometBFT forgets these blocks: they
/// are fetched from peers again, or made anew where all validators did the same. Reads the disk: not for async threads.
pub fn rollback(options: &RollbackOptions) -> Result<Version, NodeError> {
    let home = &options.home;
    let (path, config) = settings(home)?;
    let newest = DiskStore::newest(&path, &config)?;
    let comet = home.data().join("blockstore.db").exists();
    let height = match options.height {
        Some(height) if height > newest => {
            let why = format!("cannot roll back to height {height}: the newest is {newest}");
            return Err(NodeError::Invalid(why));
        }
        Some(height) => {
            // A height that is not kept is refused before CometBFT forgets anything.
            DiskStore::can_roll_back(&path, &config, height)?;
            if options.hard {
                comet_back(options, height, newest)?;
            }
            height
        }
        None if comet => comet_once(options)?.min(newest),
        None => newest.saturating_sub(1),
    };
    Ok(DiskStore::rollback(&path, &config, height)?)
}

/// Takes CometBFT back block by block, from `newest` at most, until it is at `height`.
fn comet_back(options: &RollbackOptions, height: u64, newest: u64) -> Result<(), NodeError> {
    // Its state or its blocks may be one ahead of the app.
    for _ in height..newest.saturating_add(2) {
        if comet_once(options)? <= height {
            return Ok(());
        }
    }
    Err(NodeError::Invalid(format!(
        "cometbft did not come back to height {height}"
    )))
}

/// One `cometbft rollback`. Returns where its state is then.
fn comet_once(options: &RollbackOptions) -> Result<u64, NodeError> {
    let bin = find(options.comet_bin.as_deref())?;
    let mut command = Command::new(&bin);
    command.arg("rollback").arg("--home").arg(options.home.root());
    if options.hard {
        command.arg("--hard");
    }
    let out = command.output().map_err(NodeError::file(&bin))?;
    let said = String::from_utf8_lossy(&out.stdout);
    let height = said
        .split_once("to height ")
        .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    match height {
        Some(height) if out.status.success() => Ok(height),
        _ => {
            let why = String::from_utf8_lossy(&out.stderr);
            Err(NodeError::Invalid(format!(
                "failed to rollback CometBFT state: {} {}",
                said.trim(),
                why.trim()
            )))
        }
    }
}

/// Lets go of the state that `pruning` does not keep, at once; tells `up_to` which height is the newest that goes,
/// before it does. Nothing is done where all is kept. Reads the disk: not for async threads.
pub fn prune(home: &Home, pruning: Pruning, up_to: &mut dyn FnMut(u64)) -> Result<(), NodeError> {
    let (path, config) = settings(home)?;
    let newest = DiskStore::newest(&path, &config)?;
    if newest == 0 {
        let why = "the database has no valid heights to prune, the latest height: 0";
        return Err(NodeError::Invalid(why.into()));
    }
    let height = pruning
        .keep_recent()
        .map_or(0, |keep| newest.saturating_sub(keep));
    up_to(height);
    if height > 0 {
        DiskStore::open(&path, config)?.prune(height)?;
    }
    Ok(())
}
