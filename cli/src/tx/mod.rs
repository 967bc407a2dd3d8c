//! `braidd tx`: build, sign, broadcast.

mod flags;
mod fees;
mod session;
mod native;
mod bank;
mod staking;
mod evm;
mod broadcast;

use crate::home::HomeArgs;
use anyhow::Result;
use clap::{Args, Subcommand};
use flags::TxFlags;
use session::Session;

pub(crate) use evm::parse_hex;
pub(crate) use session::included;

/// Build, sign and broadcast a transaction.
#[derive(Debug, Args)]
pub(crate) struct TxCommand {
    #[command(subcommand)]
    group: Group,
    #[command(flatten)]
    flags: TxFlags,
}

#[derive(Debug, Subcommand)]
enum Group {
    /// Move coins.
    #[command(subcommand)]
    Bank(bank::Bank),
    /// Bond coins to validators.
    #[command(subcommand)]
    Staking(staking::Staking),
    /// Ethereum transactions: send, deploy, call.
    #[command(subcommand)]
    Evm(evm::EvmCommand),
    /// Broadcast a signed transaction: base64, hex, or a file with either.
    Broadcast(broadcast::BroadcastCommand),
}

impl TxCommand {
    /// Runs it.
    pub(crate) async fn run(&self, home: &HomeArgs) -> Result<()> {
        let session = Session::open(home, &self.flags).await?;
        match &self.group {
            Group::Bank(bank) => bank.run(&session).await,
            Group::Staking(staking) => staking.run(&session).await,
            Group::Evm(evm) => evm.run(&session).await,
            Group::Broadcast(broadcast) => broadcast.run(&session).await,
        }
    }
}

/// Asks a person; where nobody can answer, it is a yes, since scripts cannot.
pub(crate) fn confirm(what: &str) -> Result<bool> {
    use std::io::IsTerminal as _;
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    eprint!("{what}? [y/N]: ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
