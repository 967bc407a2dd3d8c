//! `cargo xtask bench …`: figures of a real node, for people. Never a limit in a test.
mod abci;
mod release;
mod http;
mod node;

use anyhow::Result;
use std::path::Path;

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// How long a synchronous `abci_query` takes through CometBFT.
    Abci(abci::Args),
}

/// Measures.
pub(crate) fn run(root: &Path, bench: &Bench) -> Result<()> {
    match bench {
        Bench::Abci(args) => abci::run(root, args),
    }
}
