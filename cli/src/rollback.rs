//! `braidd rollback`: a stopped node goes back to an older height.
use crate::home::HomeArgs;
use anyhow::{Context as _, Result};
use clap::Args;
use node::{Home, RollbackOptions};
use std::path::PathBuf;

/// Roll back the app's and CometBFT's state of a stopped node.
///
/// Without --height both go one block back, as simd does it: no block is removed, so CometBFT plays the last one again
/// at the next start. With --height the app goes back to any height that it has state of, and CometBFT plays all blocks
/// above again.
#[derive(Debug, Args)]
pub(crate) struct RollbackCommand {
    /// Where to: any height that is kept [default: one block back].
    #[arg(long, value_name = "HEIGHT")]
    height: Option<u64>,
    /// Remove the blocks above from CometBFT as well.
    #[arg(long)]
    hard: bool,
    /// The cometbft program [default: found on the PATH].
    #[arg(long, value_name = "FILE")]
    comet_bin: Option<PathBuf>,
}

impl RollbackCommand {
    /// Runs it.
    pub(crate) fn run(&self, home: &HomeArgs) -> Result<()> {
        let options = RollbackOptions {
            home: Home::new(home.dir()?.path()),
            height: self.height,
            hard: self.hard,
            comet_bin: self.comet_bin.clone(),
        };
        let version = node::rollback(&options).context("failed to rollback to version")?;
        let hash = hex::encode_upper(version.root);
        println!("Rolled back state to height {} and hash {hash}", version.height);
        Ok(())
    }
}
