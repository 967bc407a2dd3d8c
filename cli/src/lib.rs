//! `braidd`: start a node, send transactions, ask questions. The only crate that reads files, env and clock for configuration.
//!
//! One file a command group. `args` names the groups, `init`, `run` and `dev` start nodes, `home` says where files lie, `chain` what the chain calls its
//! things, `keys` hold private keys, `client` talks to a node over CometBFT's RPC, `tx` builds, signs and broadcasts,
//! `query` asks and renders as the Cosmos SDK does.

mod args;
mod init;
mod run;
mod dev;
mod status;
mod testnet;
mod home;
mod chain;
mod amount;
mod output;
mod keys;
mod client;
mod render;
mod messages;
mod response;
mod tx;
mod query;

use clap::Parser as _;
use std::process::ExitCode;

pub use keys::{DEV_MNEMONIC, DevAccount, dev_accounts};

/// Runs the command line of this process: the exit code is 0 where it did what was asked, 1 where it failed, 2 where
/// the command line is not one.
pub fn main() -> ExitCode {
    let args = args::Args::parse();
    match args.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}
