//! `cargo xtask bench abci`: a point read of the newest state, through CometBFT's RPC, one after another.
//!
//! Every query of a Cosmos client goes this way. With tendermint-abci's own server it took 43 ms (see `abci`).
use super::http::Http;
use super::node::{Node, braidd, height};
use crate::tools;
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use workload::{Account, Chain, EthCall};

/// How to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The program to measure [default: a release build of this checkout].
    #[arg(long, value_name = "FILE")]
    braidd: Option<PathBuf>,
    /// Queries measured, at least, after a tenth as many to warm up.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(500..=1_000_000))]
    queries: u32,
    /// Send payments all the while, for ten blocks or so.
    #[arg(long)]
    load: bool,
}

const CHAIN: &str = "braid-bench-1";
/// Senders of the load; each waits for its own transactions only.
const SENDERS: u64 = 50;
/// Payments a second under load: below what CometBFT's mempool (5,000) holds between two blocks.
const PAYMENTS_S: u64 = 500;
/// Long enough for several blocks to be proposed, executed and committed while queries are answered.
const LOAD_LEAST: Duration = Duration::from_secs(10);

/// Measures and prints one line.
pub(super) fn run(root: &Path, args: &Args) -> Result<()> {
    let comet = tools::install(root)?.cometbft;
    let braidd = braidd(root, args.braidd.as_deref())?;
    let mut senders = Account::many(SENDERS);
    let funded: Vec<String> = senders.iter().map(|a| a.address.to_string()).collect();
    let mut node = Node::start(&braidd, &comet, CHAIN, &funded)?;
    let stop = AtomicBool::new(false);
    let (times, sent) = std::thread::scope(|scope| -> Result<_> {
        let load = args
            .load
            .then(|| scope.spawn(|| pay(&node.rpc, &mut senders, &stop)));
        let least = if args.load { LOAD_LEAST } else { Duration::ZERO };
        let times = measure(&node.rpc, args.queries, least);
        stop.store(true, Ordering::Relaxed);
        let sent = load
            .map(|l| l.join().expect("the load has no panics of its own"))
            .transpose()?;
        Ok((times?, sent))
    })?;
    let at = |permille: usize| times[(times.len() - 1) * permille / 1000].as_secs_f64() * 1e3;
    println!(
        "abci_query median_ms={:.3} p95_ms={:.3} p99_ms={:.3} n={}",
        at(500),
        at(950),
        at(990),
        times.len()
    );
    if let Some(Sent { payments, from, to }) = sent {
        let included = included(&mut node, from, to)?;
        println!(
            "load payments_sent={payments} payments_included={included} blocks={}",
            to.saturating_sub(from)
        );
        ensure!(
            included > 0,
            "none of {payments} payments was included: that was no load"
        );
    }
    Ok(())
}

/// The times of at least `queries` queries over at least `least`, sorted.
fn measure(rpc: &str, queries: u32, least: Duration) -> Result<Vec<Duration>> {
    let mut http = Http::connect(rpc)?;
    let (mut times, mut warm_up, start) = (Vec::new(), queries / 10, Instant::now());
    while times.len() < queries as usize || start.elapsed() < least {
        let begun = Instant::now();
        // The bank's parameters: every chain has them.
        let answer = http.get("/abci_query?path=%22/store/bank/key%22&data=0x05")?;
        let took = begun.elapsed();
        ensure!(
            answer["response"]["code"].as_u64().unwrap_or(0) == 0,
            "abci_query: {answer}"
        );
        match warm_up.checked_sub(1) {
            Some(left) => warm_up = left,
            None => times.push(took),
        }
    }
    times.sort_unstable();
    Ok(times)
}

/// What the load did, between which heights.
struct Sent {
    payments: u64,
    from: u64,
    to: u64,
}

/// Pays from everyone in turn until told to stop.
fn pay(rpc: &str, senders: &mut [Account], stop: &AtomicBool) -> Result<Sent> {
    let mut http = Http::connect(rpc)?;
    let chain = Chain::new(CHAIN);
    let from = height(&mut http)?;
    let (mut payments, begun) = (0u64, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        let sender = &mut senders[usize::try_from(payments % SENDERS).context("an index")?];
        let to = sender.address;
        let tx = sender.eth(&chain, &EthCall::pay(to, 1));
        http.get(&format!("/broadcast_tx_async?tx=0x{}", hex::encode(&tx)))?;
        payments += 1;
        let due = begun
            + Duration::from_secs(1) * u32::try_from(payments).context("a count")?
                / u32::try_from(PAYMENTS_S)?;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(Sent {
        payments,
        from,
        to: height(&mut http)? + 1,
    })
}

/// Transactions in the blocks after `from`, up to `to`.
fn included(node: &mut Node, from: u64, to: u64) -> Result<usize> {
    node.wait_height(to)?;
    let mut http = Http::connect(&node.rpc)?;
    let mut sum = 0;
    for height in from + 1..=to {
        let block = http.get(&format!("/block?height={height}"))?;
        sum += block["block"]["data"]["txs"].as_array().map_or(0, Vec::len);
    }
    Ok(sum)
}
