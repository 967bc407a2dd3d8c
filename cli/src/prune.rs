//! `braidd prune`: a stopped node lets go of old state.
use crate::home::HomeArgs;
use anyhow::Result;
use clap::Args;
use node::{Home, Pruning};

/// Prune app history states by keeping the recent heights and deleting old heights.
///
/// default: the last 362880 states are kept; nothing: all are (an archive node); everything: the 2 latest; custom: as
/// many as --pruning-keep-recent says.
#[derive(Debug, Args)]
pub(crate) struct PruneCommand {
    /// Pruning strategy: default, nothing, everything or custom.
    #[arg(value_name = "STRATEGY")]
    strategy: Option<String>,
    /// The same as a flag, as simd has it.
    #[arg(long, value_name = "STRATEGY", conflicts_with = "strategy")]
    pruning: Option<String>,
    /// Number of recent heights to keep on disk (ignored if pruning is not 'custom').
    #[arg(long, value_name = "N", default_value_t = 0)]
    pruning_keep_recent: u64,
    /// Not used by this command, kept for compatibility with the complete pruning options.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pruning_interval: u64,
}

impl PruneCommand {
    /// Runs it.
    pub(crate) fn run(&self, home: &HomeArgs) -> Result<()> {
        let strategy = self
            .strategy
            .as_deref()
            .or(self.pruning.as_deref())
            .unwrap_or("default");
        let pruning = Pruning::named(strategy, self.pruning_keep_recent, self.pruning_interval)?;
        println!(
            "get pruning options from command flags, strategy: {}, keep-recent: {}",
            strategy.to_lowercase(),
            pruning.keep_recent().unwrap_or(0)
        );
        let home = Home::new(home.dir()?.path());
        node::prune(&home, pruning, &mut |height| {
            println!("pruning heights up to {height}");
        })?;
        println!("successfully pruned the application root multi stores");
        Ok(())
    }
}
