//! `braidd`: start a node, send transactions, ask questions. The only crate that reads files, env and clock for configuration.
//!
//! One file a command group. `args` names the groups, `init`, `run` and `dev` start nodes, `home` says where files lie, `chain` what the chain calls its
//! things, `keys` hold private keys, `client` talks to a node over CometBFT's RPC, `tx` builds, signs and broadcasts,
//! `query` asks and renders as the Cosmos SDK does.

mod args;
mod init;
mod run;
mod store;
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
mod t8n;
mod rollback;
mod prune;
mod debug;
mod picture;
mod export;
mod import;

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
            // Test tools read geth's words and codes.
            if let Some(failed) = e.downcast_ref::<::t8n::Error>() {
                eprintln!("{failed}");
                return ExitCode::from(failed.code());
            }
            eprintln!("error: {}", told(&e));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes in one line. Some libraries put a cause into their own words too: it is not said twice.
fn told(e: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in e.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_cause_is_told_twice() {
        let e = anyhow::anyhow!("in use")
            .context("cannot listen: in use")
            .context("dev");
        assert_eq!(super::told(&e), "dev: cannot listen: in use");
    }
}
