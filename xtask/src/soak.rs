//! `cargo xtask soak`: four real nodes that execute differently, under a load made to bring them apart, for many blocks.
//!
//! Hot keys, contracts that conflict, transactions that have become invalid, copies of old ones, blocks that run full,
//! delegations. At the end each node is asked for what it computed at each height itself: app hash, results, validator
//! updates. A node that differed would have stopped, too.
use crate::bench;
use crate::tools;
use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use node::{Execution, ExecutorKind, GenesisAccount};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use testnet::{Manifest, Member, Network, NodeManifest, Programs, Running, ask, eth, status};
use types::{Address, Bytes, ChainConfig, Coin, U256};
use workload::{Account, Chain, Mix, Random, Weights};

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Heights to compare.
    #[arg(long, default_value_t = 500)]
    blocks: u64,
    /// The load's seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The program to run [default: a release build of this checkout].
    #[arg(long, value_name = "FILE")]
    braidd: Option<PathBuf>,
    /// Pause after a block, in milliseconds.
    #[arg(long, default_value_t = 50)]
    block_time_ms: u64,
    /// Gas of a block at most: low, so that many blocks run full.
    #[arg(long, default_value_t = 3_000_000)]
    max_gas: i64,
}

const CHAIN: &str = "braid-soak-1";
const SENDERS: u64 = 40;
/// Transactions made at a time; their senders' sequences are asked for again afterwards.
const BATCH: usize = 160;
/// Old transactions sent again with each batch.
const REPLAYS: usize = 16;
/// Without a new block for so long, something is broken.
const PATIENCE: Duration = Duration::from_secs(120);
/// A batch is waited for so long, then the next one comes on top.
const DRAIN: Duration = Duration::from_secs(8);

/// Everything that may bring executors apart.
const LOAD: Weights = Weights {
    pay: 2,
    hot: 4,
    token: 4,
    probe: 8,
    bank: 3,
    stake: 4,
    invalid: 2,
    create: 3,
    odd: 6,
};

/// What became of the load.
#[derive(Debug, Default)]
struct Load {
    sent: u64,
    accepted: u64,
    refused: BTreeMap<u64, u64>,
    replayed: u64,
    replays_taken: u64,
}

/// Runs the network, loads it, and compares; fails where two nodes differ at any height.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let comet = tools::install(root)?.cometbft;
    let braidd = bench::braidd(root, args.braidd.as_deref())?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(network(args, braidd, comet))
}

async fn network(args: &Args, braidd: PathBuf, comet: PathBuf) -> Result<()> {
    let dir = tempfile::tempdir().context("make a temporary folder")?;
    let senders = senders();
    let manifest = manifest(args, &senders);
    let network = Network::create(&dir.path().join("net"), &manifest)?;
    let programs = Programs {
        braidd,
        comet: Some(comet),
    };
    let mut running = Running::new(network, programs);
    running.start_all()?;
    let members = running.network.members.clone();
    let result = tokio::select! {
        ended = running.ended() => Err(ended.into()),
        done = loaded(args, &members, senders) => done,
    };
    if result.is_err() {
        for member in &members {
            let log = std::fs::read_to_string(member.log()).unwrap_or_default();
            let from = log.len().saturating_sub(2_000);
            let tail = log.get(from..).unwrap_or(&log);
            eprintln!("node {}: …{tail}", member.index);
        }
    }
    running.stop_all().await?;
    result
}

/// The senders, with the numbers genesis gives them: by ascending address.
fn senders() -> Vec<Account> {
    let mut senders = Account::many(SENDERS);
    let mut order: Vec<Address> = senders.iter().map(|a| a.address).collect();
    order.sort_unstable();
    for sender in &mut senders {
        let place = order.partition_point(|a| *a < sender.address);
        sender.number = place as u64;
    }
    senders
}

fn manifest(args: &Args, senders: &[Account]) -> Manifest {
    let coins = U256::from(10u64.pow(18)) * U256::from(1_000);
    let config = ChainConfig::braid();
    let account = |a: &Account| GenesisAccount {
        address: a.address,
        coins: vec![Coin::new(coins, &config.base_denom)],
    };
    let node = [
        (ExecutorKind::Serial, 1),
        (ExecutorKind::Parallel, 1),
        (ExecutorKind::Optimistic, 2),
        (ExecutorKind::Optimistic, 8),
    ];
    Manifest {
        chain_id: CHAIN.into(),
        validators: node.len(),
        base_port: 33_650,
        block_time_ms: args.block_time_ms,
        max_gas: args.max_gas,
        node: node
            .into_iter()
            .map(|(executor, threads)| NodeManifest {
                execution: Execution { executor, threads },
            })
            .collect(),
        accounts: senders.iter().map(account).collect(),
        // The first four operate the validators and send, too: sender and COINBASE are the same.
        operators: senders.iter().take(node.len()).map(|a| a.address).collect(),
        config: Some(config),
        ..Manifest::default()
    }
}

/// Loads the network until it has the blocks asked for, then compares all heights.
async fn loaded(args: &Args, members: &[Member], senders: Vec<Account>) -> Result<()> {
    for member in members {
        until(member, 1).await?;
    }
    let operators = senders.iter().take(members.len()).map(|a| a.address).collect();
    let mut mix = Mix::new(Chain::new(CHAIN), senders, operators, args.seed);
    let mut random = Random::new(args.seed);
    let mut load = Load::default();
    let setup = mix.setup();
    // All by one sender, in order, so to one node.
    let mut queues = vec![Vec::new(); members.len()];
    queues[0] = setup;
    send(members, queues, &mut load).await?;
    drained(members).await;
    let (mut old, mut told): (Vec<Bytes>, u64) = (Vec::new(), 0);
    loop {
        let top = height(&members[0]).await?;
        if top >= args.blocks {
            break;
        }
        if top >= told + 50 {
            told = top;
            println!("height {top}: {} sent, {} accepted", load.sent, load.accepted);
        }
        resync(&members[0], &mut mix.accounts).await?;
        let mut queues = vec![Vec::new(); members.len()];
        for _ in 0..BATCH {
            let (sender, tx) = mix.transaction(&LOAD);
            queues[sender % members.len()].push(tx.clone());
            if random.chance(1, 8) && old.len() < 4_096 {
                old.push(tx);
            }
        }
        let fresh = send(members, queues, &mut load).await?;
        if !old.is_empty() {
            let mut queues = vec![Vec::new(); members.len()];
            for _ in 0..REPLAYS {
                let tx = old[random.below(old.len())].clone();
                queues[random.below(members.len())].push(tx);
            }
            let mut again = Load::default();
            send(members, queues, &mut again).await?;
            load.replayed += again.sent;
            load.replays_taken += again.accepted;
        }
        if fresh > 0 {
            drained(members).await;
        } else {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    for member in members {
        until(member, args.blocks).await?;
    }
    compare(args, members, &load).await
}

/// Sends each node its queue, all nodes at the same time. Gives how many were accepted.
async fn send(members: &[Member], queues: Vec<Vec<Bytes>>, load: &mut Load) -> Result<u64> {
    let tasks: Vec<_> = members
        .iter()
        .cloned()
        .zip(queues)
        .map(|(member, queue)| {
            tokio::spawn(async move {
                let mut codes = Vec::new();
                for tx in queue {
                    let params = json!({ "tx": STANDARD.encode(&tx) });
                    // An error is what CometBFT says to copies it knows.
                    let code = match ask(&member, "broadcast_tx_sync", params).await {
                        Ok(answer) => answer["code"].as_u64().context("an answer has a code")?,
                        Err(e) if e.to_string().contains("cache") => u64::MAX,
                        Err(e) => bail!("{e}"),
                    };
                    codes.push(code);
                }
                Ok(codes)
            })
        })
        .collect();
    let mut accepted = 0;
    for task in tasks {
        for code in task.await?? {
            load.sent += 1;
            if code == 0 {
                accepted += 1;
            } else {
                *load.refused.entry(code).or_default() += 1;
            }
        }
    }
    load.accepted += accepted;
    Ok(accepted)
}

/// Waits until nothing waits anywhere, or for a while.
async fn drained(members: &[Member]) {
    let begun = Instant::now();
    while begun.elapsed() < DRAIN {
        let mut waiting = false;
        for member in members {
            let answer = ask(member, "num_unconfirmed_txs", json!({})).await;
            waiting |= answer.is_ok_and(|a| a["n_txs"] != "0");
        }
        if !waiting {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Sequences as the chain has them.
async fn resync(member: &Member, accounts: &mut [Account]) -> Result<()> {
    for account in accounts {
        let params = json!([account.address, "latest"]);
        let count = eth(member, "eth_getTransactionCount", params).await?;
        let text = count.as_str().context("a count is text")?;
        account.sequence = u64::from_str_radix(text.trim_start_matches("0x"), 16)?;
    }
    Ok(())
}

async fn height(member: &Member) -> Result<u64> {
    Ok(status(member).await?.height)
}

/// Waits until `member` is at `want`; fails once its height stands still.
async fn until(member: &Member, want: u64) -> Result<()> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        // It may not answer yet.
        let now = height(member).await.unwrap_or(0);
        if now >= want {
            return Ok(());
        }
        if now > last {
            (last, since) = (now, Instant::now());
        }
        ensure!(
            since.elapsed() < PATIENCE,
            "node {} stands at height {last}, want {want}",
            member.index
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What a node computed at `height`, by its own account, and how many transactions, failures and gas are in it.
async fn computed(member: &Member, height: u64) -> Result<Value> {
    let at = json!({ "height": height.to_string() });
    let mut results = ask(member, "block_results", at.clone()).await?;
    if let Some(map) = results.as_object_mut() {
        map.remove("consensus_param_updates");
    }
    let block = ask(member, "block", at).await?;
    Ok(json!({ "results": results, "header": block["block"]["header"] }))
}

async fn compare(args: &Args, members: &[Member], load: &Load) -> Result<()> {
    let (mut txs, mut failed, mut full, mut updates) = (0usize, 0usize, 0u64, 0usize);
    for height in 1..=args.blocks {
        let want = computed(&members[0], height).await?;
        ensure!(
            want["results"]["app_hash"].is_string(),
            "height {height}: no app hash in {want}"
        );
        for member in &members[1..] {
            let have = computed(member, height).await?;
            for part in ["header", "results"] {
                ensure!(
                    have[part] == want[part],
                    "height {height}, node {}: {part} is {}, on node 0 {}",
                    member.index,
                    have[part],
                    want[part]
                );
            }
        }
        let results = want["results"]["txs_results"].as_array().cloned();
        let results = results.unwrap_or_default();
        let number = |v: &Value| v.as_str().and_then(|s| s.parse::<i64>().ok()).unwrap_or(0);
        let gas: i64 = results.iter().map(|r| number(&r["gas_used"])).sum();
        txs += results.len();
        failed += results.iter().filter(|r| r["code"] != 0).count();
        full += u64::from(gas * 10 >= args.max_gas * 8);
        updates += want["results"]["validator_updates"]
            .as_array()
            .map_or(0, Vec::len);
    }
    let Load {
        sent,
        accepted,
        refused,
        replayed,
        replays_taken,
    } = load;
    println!("{sent} sent, {accepted} accepted, refused by code {refused:?}");
    println!("{replayed} sent again, {replays_taken} of them taken");
    println!(
        "{txs} transactions, {failed} with a code, {full} blocks beyond 80 % of the gas, {updates} changes of power"
    );
    ensure!(txs > 0, "no transaction is in any block");
    println!(
        "{} heights equal on {} nodes: app hashes, results, headers",
        args.blocks,
        members.len()
    );
    Ok(())
}
