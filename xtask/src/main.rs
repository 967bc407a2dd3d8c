//! Install the test tools, check the house rules and run the chores.
//!
//! One file a chore; each ends with a line that says what came of it.
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod test;
mod tools;
mod rules;
mod blocks;
mod chain;
mod fuzz;
mod soak;
mod torture;
mod eest;
mod vectors;
mod bench;
mod sizes;
mod files;

// As braidd has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Chores of this repository")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install the test tools, then run every test.
    Test(test::Args),
    /// Check the house rules that no compiler checks.
    Rules,
    /// Run real Ethereum blocks and compare gas, receipts and bloom with their headers.
    Blocks(blocks::Args),
    /// Run generated blocks serially and in parallel, and compare all that anybody sees of them.
    FuzzBlocks(fuzz::Args),
    /// Run four nodes that execute differently under a load made to bring them apart, and compare every height.
    Soak(soak::Args),
    /// Commit blocks in a process that is killed over and over, and check each time that nothing is lost or torn.
    Torture(torture::Args),
    /// The process that `torture` kills.
    #[command(hide = true)]
    TortureChild(torture::ChildArgs),
    /// Run Ethereum's execution-spec state and blockchain tests and compare roots.
    Eest(eest::Args),
    /// Replay trees and multistores recorded from the Cosmos SDK.
    Vectors(vectors::Args),
    /// Measure something: a running node, the store, the executor.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Print how long files, crates and functions are.
    Sizes,
    /// Install CometBFT and the clients that the tests run, pinned, into ignored folders.
    Tools,
}

/// The checkout that this program was built in.
fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask
        .parent()
        .expect("xtask lies in the checkout's root")
        .to_path_buf()
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Test(args) => test::run(&root(), args),
        Command::Rules => rules::run(&root()),
        Command::Blocks(args) => blocks::run(args),
        Command::FuzzBlocks(args) => fuzz::run(args),
        Command::Soak(args) => soak::run(&root(), args),
        Command::Torture(args) => torture::run(args),
        Command::TortureChild(args) => torture::child(args),
        Command::Eest(args) => eest::run(args),
        Command::Vectors(args) => vectors::run(args),
        Command::Bench(bench) => bench::run(&root(), bench),
        Command::Sizes => sizes::run(&root()),
        Command::Tools => tools::run(),
    }
}
