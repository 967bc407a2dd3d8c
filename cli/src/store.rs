//! `braidd store`: what a stopped node's store has, and whether it is as it should be.
use crate::home::HomeArgs;
use crate::output::{self, OutputArgs};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};

/// Look into the store of a node that is stopped.
#[derive(Debug, Args)]
pub(crate) struct StoreCommand {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Heights, checkpoints, journal, history, and each module's keys, nodes and memory.
    Stats,
    /// Check everything against everything else: records, look-ups, checkpoints, trees, index, history.
    Verify,
}

impl StoreCommand {
    /// Runs it.
    pub(crate) fn run(&self, home: &HomeArgs) -> Result<()> {
        let dir = home.dir()?;
        let format = self.output.format(dir.client_config()?.output.as_deref())?;
        let home = node::Home::new(dir.path());
        match self.command {
            Command::Stats => {
                let stats = node::store_stats(&home).context("store stats")?;
                output::print(format, &stats)
            }
            Command::Verify => {
                let tell = &mut |step: &str| eprintln!("checking: {step}");
                let found = node::verify_store(&home, tell).context("store verify")?;
                output::print(format, &found.checked)?;
                match &found.differences[..] {
                    [] => Ok(()),
                    [first, rest @ ..] => bail!("{first}{}", also(rest.len())),
                }
            }
        }
    }
}

/// How many more there are.
fn also(more: usize) -> String {
    match more {
        0 => String::new(),
        1 => " (and 1 more)".into(),
        more => format!(" (and {more} more)"),
    }
}
