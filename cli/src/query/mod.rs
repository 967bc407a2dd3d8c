//! `braidd query`: ask a node, print as the SDK does.

mod ask;
mod bank;
mod staking;
mod auth;
mod evm;
mod blocks;

use crate::client::NodeArgs;
use crate::home::HomeArgs;
use crate::output::OutputArgs;
use anyhow::Result;
use ask::Ask;
use clap::{Args, Subcommand};

/// Ask a node.
#[derive(Debug, Args)]
pub(crate) struct QueryCommand {
    #[command(subcommand)]
    group: Group,
    #[command(flatten)]
    flags: QueryFlags,
}

/// Flags of every query.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Query flags")]
pub(crate) struct QueryFlags {
    /// Ask about the state after this block [default: the newest].
    #[arg(long, global = true, value_name = "N")]
    height: Option<u64>,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Subcommand)]
enum Group {
    /// Balances and supply.
    #[command(subcommand)]
    Bank(bank::Bank),
    /// Validators and delegations.
    #[command(subcommand)]
    Staking(staking::Staking),
    /// Accounts: numbers, sequences, public keys.
    #[command(subcommand)]
    Auth(auth::Auth),
    /// Contracts: code, storage, calls.
    #[command(subcommand)]
    Evm(evm::EvmQuery),
    /// A transaction, by CometBFT's hash or by its Ethereum hash.
    Tx {
        /// 64 hex digits, with or without 0x.
        hash: String,
    },
    /// A block.
    Block {
        /// Its height [default: the newest].
        #[arg(id = "block_height", value_name = "HEIGHT")]
        height: Option<u64>,
    },
}

impl QueryCommand {
    /// Runs it.
    pub(crate) async fn run(&self, home: &HomeArgs) -> Result<()> {
        let ask = Ask::open(home, &self.flags).await?;
        match &self.group {
            Group::Bank(bank) => bank.run(&ask).await,
            Group::Staking(staking) => staking.run(&ask).await,
            Group::Auth(auth) => auth.run(&ask).await,
            Group::Evm(evm) => evm.run(&ask).await,
            Group::Tx { hash } => blocks::tx(&ask, hash).await,
            Group::Block { height } => blocks::block(&ask, height.or(self.flags.height)).await,
        }
    }
}
