//! `cargo xtask bench …`: figures for people. Never a limit in a test.
mod abci;
mod pipeline;
mod store;
mod executor;
mod release;
mod http;
mod node;

pub(crate) use node::braidd;

use anyhow::Result;
use std::path::Path;

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// How long a synchronous `abci_query` takes through CometBFT.
    Abci(abci::Args),
    /// How long whole blocks take, from their bytes to their commit, beside one thread that does the same.
    Pipeline(pipeline::Args),
    Store(store::Args),
    /// How fast blocks run, against plain sequential revm.
    Executor(executor::Args),
}

/// Measures. What is measured in this very program is measured in a release build of it.
pub(crate) fn run(root: &Path, bench: &Bench) -> Result<()> {
    match bench {
        Bench::Pipeline(_) | Bench::Executor(_) if cfg!(debug_assertions) => release::again(root),
        Bench::Abci(args) => abci::run(root, args),
        Bench::Pipeline(args) => pipeline::run(args),
        Bench::Store(args) => store::run(root, args),
        Bench::Executor(args) => executor::run(root, args),
    }
}
