//! `braidd testnet`: a network of real nodes on this machine.
use crate::dev::store_dev_keys;
use crate::home::HomeArgs;
use crate::init::fund_dev_accounts;
use crate::keys::dev_accounts;
use crate::output::{self, OutputArgs};
use crate::run::{LogArgs, runtime};
use ::testnet::{Manifest, Network, NodeManifest, Programs, Running, status};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use node::{Execution, ExecutorKind, Stop};
use serde_json::json;
use std::fmt::Write as _;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
use types::ChainConfig;

/// Run a network of real nodes on this machine.
#[derive(Debug, Args)]
pub(crate) struct TestnetCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Start(StartArgs),
    /// How far each node is, and its app hash.
    Status(OutputArgs),
    Logs(LogsArgs),
    /// Stop a network that another `testnet start` runs.
    Stop,
}

/// Start the network in the home, made on first use, until Ctrl-C.
#[derive(Debug, Args)]
struct StartArgs {
    /// Validators [default: 4, or those of the network that is there].
    #[arg(long, alias = "v", value_name = "N")]
    validators: Option<usize>,
    /// A manifest, as in testnet/networks; flags go before it.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Cosmos chain id.
    #[arg(long, value_name = "ID")]
    chain_id: Option<String>,
    /// Node i listens on this port + 10 i: + 5 JSON-RPC, + 6 peers, + 7 CometBFT's RPC [default: 26650].
    #[arg(long, value_name = "PORT")]
    base_port: Option<u16>,
    /// serial, parallel or optimistic, for all nodes or one a node: serial,parallel,parallel.
    #[arg(long, value_delimiter = ',', value_name = "KIND,…")]
    executor: Vec<ExecutorKind>,
    /// Worker threads, for all nodes or one a node; 0 is one a core.
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    threads: Vec<usize>,
    /// Pause after a block, in milliseconds [default: 1000].
    #[arg(long, value_name = "MS")]
    block_time_ms: Option<u64>,
    /// The cometbft program [default: found on the PATH].
    #[arg(long, value_name = "FILE")]
    comet_bin: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
}

/// Print what nodes log.
#[derive(Debug, Args)]
struct LogsArgs {
    /// One node [default: all].
    node: Option<usize>,
    /// CometBFT's log instead of braidd's.
    #[arg(long)]
    comet: bool,
    /// Lines from the end, of each node.
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
    lines: usize,
}

/// The value of node `index`: one for all, or one a node.
fn nth<T: Copy>(list: &[T], index: usize) -> Option<T> {
    if list.len() == 1 {
        list.first().copied()
    } else {
        list.get(index).copied()
    }
}

impl TestnetCommand {
    /// Runs it.
    pub(crate) fn run(&self, home: &HomeArgs) -> Result<()> {
        let root = match &home.home {
            Some(dir) => dir.clone(),
            None => home.dir()?.path().join("testnet"),
        };
        // Children are given this path, and look for it from wherever they are.
        let root = std::path::absolute(&root).with_context(|| format!("{}", root.display()))?;
        match &self.command {
            Command::Start(args) => args.run(&root),
            Command::Status(output) => runtime()?.block_on(tell_status(&root, output)),
            Command::Logs(args) => args.run(&root),
            Command::Stop => runtime()?.block_on(async {
                let asked = ::testnet::stop(&Network::open(&root)?).await?;
                output::print_text(&format!("stopped {asked} nodes\n"))
            }),
        }
    }
}

impl StartArgs {
    fn run(&self, root: &Path) -> Result<()> {
        self.log.start()?;
        let network = if Network::exists(root) {
            self.reopen(root)?
        } else {
            self.create(root)?
        };
        let braidd = std::env::current_exe().context("find this program's file")?;
        let programs = Programs {
            braidd,
            comet: self.comet_bin.clone(),
        };
        runtime()?.block_on(async {
            let stop = Stop::new();
            stop.on_signals().context("listen for signals")?;
            let mut running = Running::new(network, programs);
            let result = watch(&mut running, &stop).await;
            running.stop_all().await?;
            result
        })
    }

    fn reopen(&self, root: &Path) -> Result<Network> {
        let network = Network::open(root)?;
        let have = network.manifest.validators;
        if let Some(want) = self.validators.filter(|want| *want != have) {
            bail!(
                "the network in {} has {have} validators, not {want}: choose another --home",
                root.display()
            );
        }
        Ok(network)
    }

    fn create(&self, root: &Path) -> Result<Network> {
        let mut manifest = match &self.manifest {
            Some(file) => Manifest::read(file)?,
            None => Manifest::default(),
        };
        let take = |to: &mut usize, from: Option<usize>| *to = from.unwrap_or(*to);
        take(&mut manifest.validators, self.validators);
        if let Some(id) = &self.chain_id {
            manifest.chain_id.clone_from(id);
        }
        manifest.base_port = self.base_port.unwrap_or(manifest.base_port);
        manifest.block_time_ms = self.block_time_ms.unwrap_or(manifest.block_time_ms);
        for list in [self.executor.len(), self.threads.len()] {
            if list > 1 && list != manifest.validators {
                bail!(
                    "{list} values for {} nodes: give one, or one a node",
                    manifest.validators
                );
            }
        }
        let nodes = (0..manifest.validators).map(|i| {
            let file = manifest.execution(i);
            let executor = nth(&self.executor, i).unwrap_or(file.executor);
            NodeManifest {
                execution: Execution {
                    executor,
                    threads: nth(&self.threads, i).unwrap_or(file.threads),
                },
            }
        });
        manifest.node = nodes.collect();
        let config = ChainConfig::braid();
        manifest.accounts = fund_dev_accounts(&config);
        manifest.operators = dev_accounts().iter().map(|a| a.address).collect();
        manifest.config = Some(config);
        let network = Network::create(root, &manifest)?;
        // So that `braidd tx … --home ROOT` finds keys, names and a node.
        store_dev_keys(root)?;
        let first = node::Home::new(&network.members[0].home);
        let client = node::Home::new(root);
        std::fs::create_dir_all(client.config()).with_context(|| format!("{}", client.config().display()))?;
        for (from, to) in [
            (first.genesis(), client.genesis()),
            (first.client_config(), client.client_config()),
        ] {
            std::fs::copy(&from, &to)
                .with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
        }
        Ok(network)
    }
}

/// Starts the nodes, says where they answer once they all do, and waits for Ctrl-C.
async fn watch(running: &mut Running, stop: &Stop) -> Result<()> {
    running.start_all()?;
    let members = running.network.members.clone();
    let up = async {
        for member in &members {
            while !matches!(status(member).await, Ok(s) if s.height > 0) {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    };
    tokio::select! {
        () = up => output::print_text(&endpoints(&running.network))?,
        e = running.ended() => return Err(e.into()),
        _ = stop.wait() => return Ok(()),
    }
    loop {
        tokio::select! {
            e = running.ended() => {
                tracing::error!("{e}");
                if running.running() == 0 {
                    return Err(e.into());
                }
            }
            _ = stop.wait() => return Ok(()),
        }
    }
}

fn endpoints(network: &Network) -> String {
    let mut text =
        String::from("node  JSON-RPC                CometBFT RPC            executor           home\n");
    for m in &network.members {
        let threads = if m.execution.threads == 0 {
            "cores".into()
        } else {
            m.execution.threads.to_string()
        };
        let executor = format!("{} ({threads})", m.execution.executor);
        let (eth, rpc) = (m.json_rpc_url(), m.rpc_url());
        let _ = writeln!(
            text,
            "{:<4}  {eth:<22}  {rpc:<22}  {executor:<17}  {}",
            m.index,
            m.home.display()
        );
    }
    let home = network.root.display();
    let _ = writeln!(
        text,
        "\nTry:\n  braidd testnet status --home {home}\n  braidd query staking validators --home {home}"
    );
    let _ = writeln!(text, "Ctrl-C stops the network.");
    text
}

async fn tell_status(root: &Path, output: &OutputArgs) -> Result<()> {
    let network = Network::open(root)?;
    let mut nodes = Vec::new();
    for m in &network.members {
        nodes.push(match status(m).await {
            Ok(s) => json!({
                "node": m.index, "running": true, "height": s.height.to_string(), "app_hash": s.app_hash,
                "catching_up": s.catching_up, "peers": s.peers, "json_rpc": m.json_rpc_url(), "rpc": m.rpc_url(),
            }),
            Err(e) => json!({ "node": m.index, "running": false, "error": e.to_string() }),
        });
    }
    output::print(output.format(None)?, &json!({ "nodes": nodes }))
}

/// Bytes read from the end of a log at most.
const TAIL_MAX: u64 = 4 << 20;

impl LogsArgs {
    fn run(&self, root: &Path) -> Result<()> {
        let network = Network::open(root)?;
        if let Some(i) = self.node.filter(|i| *i >= network.members.len()) {
            bail!("no node {i}: the network has {}", network.members.len());
        }
        let mut text = String::new();
        for m in network
            .members
            .iter()
            .filter(|m| self.node.is_none_or(|i| i == m.index))
        {
            let path = if self.comet {
                node::Home::new(&m.home).comet_log()
            } else {
                m.log()
            };
            let _ = writeln!(text, "==> {} <==", path.display());
            text += &tail(&path, self.lines).with_context(|| format!("{}", path.display()))?;
        }
        output::print_text(&text)
    }
}

fn tail(path: &Path, lines: usize) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL_MAX)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    let from = all.len().saturating_sub(lines);
    Ok(all[from..].iter().map(|l| format!("{l}\n")).collect())
}
