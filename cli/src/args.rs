//! The command line: one variant a command group.
use crate::debug::DebugCommand;
use crate::dev::DevCommand;
use crate::export::ExportCommand;
use crate::home::HomeArgs;
use crate::import::ImportCommand;
use crate::init::InitCommand;
use crate::keys::KeysCommand;
use crate::prune::PruneCommand;
use crate::query::QueryCommand;
use crate::rollback::RollbackCommand;
use crate::run::StartCommand;
use crate::status::{StatusCommand, VersionCommand};
use crate::store::StoreCommand;
use crate::t8n::EvmCommand;
use crate::testnet::TestnetCommand;
use crate::tx::TxCommand;
use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

/// Braid: an app chain with a parallel EVM and native modules, under CometBFT.
#[derive(Debug, Parser)]
#[command(
    name = "braidd",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    home: HomeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(DevCommand),
    Init(InitCommand),
    Start(StartCommand),
    Export(ExportCommand),
    Import(ImportCommand),
    Testnet(TestnetCommand),
    Status(StatusCommand),
    Store(StoreCommand),
    Keys(KeysCommand),
    Tx(Box<TxCommand>),
    #[command(visible_alias = "q")]
    Query(QueryCommand),
    Version(VersionCommand),
    Evm(EvmCommand),
    Rollback(RollbackCommand),
    Prune(PruneCommand),
    Debug(DebugCommand),
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self) -> Result<()> {
        match &self.command {
            Command::Dev(dev) => dev.run(&self.home),
            Command::Init(init) => init.run(&self.home),
            Command::Start(start) => start.run(&self.home),
            Command::Export(export) => export.run(&self.home),
            Command::Import(import) => import.run(&self.home),
            Command::Testnet(testnet) => testnet.run(&self.home),
            Command::Status(status) => client_runtime()?.block_on(status.run(&self.home)),
            Command::Store(store) => store.run(&self.home),
            Command::Version(version) => version.run(),
            Command::Evm(evm) => evm.run(),
            Command::Rollback(rollback) => rollback.run(&self.home),
            Command::Prune(prune) => prune.run(&self.home),
            Command::Debug(debug) => client_runtime()?.block_on(debug.run()),
            Command::Keys(keys) => keys.run(&self.home),
            Command::Tx(tx) => client_runtime()?.block_on(tx.run(&self.home)),
            Command::Query(query) => client_runtime()?.block_on(query.run(&self.home)),
        }
    }
}

fn client_runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn flags_stand_before_and_after_the_command() {
        let ok = [
            "braidd tx bank send a b 1braid --from c --wait -y -o json --home /x",
            "braidd --home /x tx --wait=5 evm send a b 1 --gas 21000",
            "braidd q bank balances a --height 3 -o json",
            "braidd query tx AB --node tcp://h:1",
            "braidd keys show a -a --bech val --keyring-backend file",
            "braidd dev --port 1 --block-time 500ms --executor serial --threads 2 --home /x",
            "braidd start --abci-only --executor parallel --json-rpc.address 127.0.0.1:1",
            "braidd start --commit async --app-db-backend redb",
            "braidd dev --commit sync --app-db-backend sled",
            "braidd init me --chain-id c-1 --evm-chain-id 7 --default-denom ucosm",
            "braidd start --pruning custom --pruning-keep-recent 100 --pruning-interval 10 --min-retain-blocks 5",
            "braidd rollback --height 7 --hard --home /x",
            "braidd prune everything --home /x",
            "braidd prune --pruning custom --pruning-keep-recent 100",
            "braidd status -o json",
            "braidd store stats -o json --home /x",
            "braidd store verify",
            "braidd export --height 5 --output-document state.braid",
            "braidd import - --app-hash 00",
            "braidd testnet start --validators 3 --executor serial,parallel,parallel --threads 1,2,4 --home /x",
            "braidd testnet logs 2 --comet -n 5 --home /x",
            "braidd tx bank multi-send a b c 1braid --split",
            "braidd evm t8n --input.alloc=stdin --input.txs stdin --output.body=b.rlp --state.reward -1 --state.fork Osaka",
        ];
        for line in ok {
            Args::try_parse_from(line.split(' ')).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
        let bad = [
            "braidd tx bank send a b",
            "braidd tx bank send a b 1braid --gas lots",
            "braidd tx bank send a b 1braid --fees 1abraid --gas-prices 1abraid",
            "braidd query bank balances a --height -1",
            "braidd keys export a --unarmored-hex",
            "braidd nothing",
            "braidd dev --port 99999",
            "braidd dev --executor fast",
            "braidd rollback --height -1",
            "braidd prune everything --pruning default",
            "braidd start --commit later",
            "braidd start --app-db-backend goleveldb",
            "braidd dev --block-time 0",
        ];
        for line in bad {
            assert!(Args::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
