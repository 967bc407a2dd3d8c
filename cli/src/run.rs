//! `braidd start`, and what running a node needs: a runtime, logs, the executor's flags.
use crate::home::HomeArgs;
use anyhow::{Context as _, Result};
use clap::Args;
use node::{
    AppConfig, CommitKind, DatabaseKind, Endpoints, Execution, ExecutorKind, Home, KeepOptions, StartOptions,
    Stop, StoreConfig,
};
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;

/// How blocks are executed; changes speed, never results.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Execution")]
pub(crate) struct ExecutorArgs {
    /// serial; parallel; or optimistic: parallel also where that brings nothing, to compare.
    #[arg(long, value_name = "KIND")]
    executor: Option<ExecutorKind>,
    /// Worker threads; 0 is one a core.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl ExecutorArgs {
    /// The flags over `default`.
    pub(crate) fn over(&self, default: Execution) -> Execution {
        Execution {
            executor: self.executor.unwrap_or(default.executor),
            threads: self.threads.unwrap_or(default.threads),
        }
    }
    fn given(&self) -> bool {
        self.executor.is_some() || self.threads.is_some()
    }
}

/// How the commit store writes; changes speed and what a kill costs, never results.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct StoreArgs {
    /// When a block's commit returns: sync, when it is durable, or async, written behind [default: app.toml's].
    #[arg(long, value_name = "MODE")]
    pub(crate) commit: Option<CommitKind>,
    /// Which database keeps the journal, sled or redb. A home stays with the one it was made with [default: app.toml's].
    #[arg(long, value_name = "NAME")]
    pub(crate) app_db_backend: Option<DatabaseKind>,
}

impl StoreArgs {
    /// The flags over `default`.
    fn over(&self, default: StoreConfig) -> StoreConfig {
        StoreConfig {
            commit: self.commit.unwrap_or(default.commit),
            database: self.app_db_backend.unwrap_or(default.database),
            ..default
        }
    }
    fn given(&self) -> bool {
        self.commit.is_some() || self.app_db_backend.is_some()
    }
}

/// What is kept of state and blocks; by the SDK's names.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Pruning")]
pub(crate) struct KeepArgs {
    /// Which heights' state is kept: default, nothing, everything or custom [default: app.toml's].
    #[arg(long, value_name = "STRATEGY")]
    pruning: Option<String>,
    /// Number of recent heights to keep on disk (ignored if pruning is not 'custom').
    #[arg(long, value_name = "N")]
    pruning_keep_recent: Option<u64>,
    /// Height interval at which pruned heights are removed from disk (ignored if pruning is not 'custom').
    #[arg(long, value_name = "N")]
    pruning_interval: Option<u64>,
    /// How many blocks and receipts before the newest are kept, here and by CometBFT; 0 keeps all.
    #[arg(long, value_name = "N")]
    min_retain_blocks: Option<u64>,
}

impl KeepArgs {
    fn options(&self) -> KeepOptions {
        KeepOptions {
            pruning: self.pruning.clone(),
            pruning_keep_recent: self.pruning_keep_recent,
            pruning_interval: self.pruning_interval,
            min_retain_blocks: self.min_retain_blocks,
        }
    }
}

/// How much is logged.
#[derive(Clone, Debug, Args)]
pub(crate) struct LogArgs {
    /// Filter such as info, debug, or app=debug,warn.
    #[arg(
        long = "log-level",
        alias = "log_level",
        env = "BRAIDD_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    level: String,
    /// Log lines as JSON.
    #[arg(long = "log-json")]
    json: bool,
}

impl LogArgs {
    /// Starts logging on standard error. A filter that is none is an error.
    pub(crate) fn start(&self) -> Result<()> {
        let filter = tracing_subscriber::EnvFilter::try_new(&self.level)
            .with_context(|| format!("log level {:?}", self.level))?;
        let colours = std::io::stderr().is_terminal();
        let logs = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(colours);
        if self.json {
            logs.json().init();
        } else {
            logs.with_target(false).init();
        }
        Ok(())
    }
}

/// Run this home's node until Ctrl-C, with CometBFT beside it.
#[derive(Debug, Args)]
pub(crate) struct StartCommand {
    /// Serve ABCI only: CometBFT is run by someone else.
    #[arg(long)]
    abci_only: bool,
    /// The cometbft program [default: found on the PATH].
    #[arg(long, value_name = "FILE")]
    comet_bin: Option<PathBuf>,
    /// Where CometBFT finds the app: unix:///path or tcp://host:port [default: a socket in the home].
    #[arg(long = "abci.address", alias = "address", value_name = "URL")]
    abci: Option<String>,
    /// Where Ethereum JSON-RPC listens [default: app.toml's].
    #[arg(long = "json-rpc.address", value_name = "IP:PORT")]
    json_rpc: Option<SocketAddr>,
    #[command(flatten)]
    executor: ExecutorArgs,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    keep: KeepArgs,
    #[command(flatten)]
    log: LogArgs,
}

impl StartCommand {
    /// Runs it.
    pub(crate) fn run(&self, home: &HomeArgs) -> Result<()> {
        self.log.start()?;
        let home = Home::new(home.dir()?.path());
        let execution = if self.executor.given() {
            Some(self.executor.over(AppConfig::read(&home)?.execution))
        } else {
            None
        };
        let store = if self.store.given() {
            Some(self.store.over(AppConfig::read(&home)?.store))
        } else {
            None
        };
        let options = StartOptions {
            abci_only: self.abci_only,
            comet_bin: self.comet_bin.clone(),
            abci_address: self.abci.clone(),
            execution,
            store,
            json_rpc: self.json_rpc,
            keep: self.keep.options(),
            ..StartOptions::new(home)
        };
        runtime()?.block_on(async {
            let stop = Stop::new();
            stop.on_signals().context("listen for signals")?;
            Ok(node::start(options, stop, |ends| eprint!("{}", endpoints(ends))).await?)
        })
    }
}

/// A runtime for a node.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")
}

/// Where a node answers, for people.
pub(crate) fn endpoints(ends: &Endpoints) -> String {
    let mut text = String::new();
    if let Some(a) = &ends.json_rpc {
        text += &format!("Ethereum JSON-RPC  http://{a}  ws://{a}\n");
    }
    if let Some(a) = &ends.comet_rpc {
        text += &format!("CometBFT RPC       http://{a}\n");
    }
    if let Some(a) = &ends.abci {
        text += &format!("ABCI               {a}\n");
    }
    text += &format!("home               {}\n", ends.home.display());
    text
}
