//! Install the test tools, check the house rules and run the chores.
use clap::{Parser, Subcommand};

mod blocks;
mod tools;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Chores of this repository")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run real Ethereum blocks and compare gas, receipts and bloom with their headers.
    Blocks(blocks::Args),
    /// Install CometBFT and the clients that the tests run, pinned, into ignored folders.
    Tools,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Blocks(args) => blocks::run(&args),
        Command::Tools => tools::run(),
    }
}
