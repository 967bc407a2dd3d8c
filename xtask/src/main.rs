//! Install the test tools, check the house rules and run the chores.
use clap::{Parser, Subcommand};

mod blocks;

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
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Blocks(args) => blocks::run(&args),
    }
}
