//! `cargo xtask eest`: run Ethereum's execution-spec state tests on the chain's executor and compare the state roots.
//!
//! Each case runs alone, as the specification has it, and once more behind transfers that touch its sender, its
//! recipient and who made the block: there every executor must give what serial gives.
use anyhow::{Context as _, bail};
use executor::{AnyExecutor, Faults, Parallel, Stats};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use t8n::{Alloc, BlockEnv, Fork, Input, Output};
use types::{B256, U256};

/// Which tests, on what.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A folder of fixtures, at any depth.
    dir: PathBuf,
    /// Numbers of threads to run on beside the serial executor.
    #[arg(long, value_delimiter = ',', default_value = "1,4")]
    threads: Vec<usize>,
    /// Only cases with this in their name.
    #[arg(long)]
    only: Option<String>,
}

#[derive(Deserialize)]
struct Case {
    env: Value,
    pre: Alloc,
    post: BTreeMap<String, Vec<Post>>,
    config: Config,
}
#[derive(Deserialize)]
struct Config {
    chainid: String,
}
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    hash: B256,
    logs: B256,
    txbytes: String,
    expect_exception: Option<String>,
}

/// What came of all cases.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    skipped: BTreeMap<String, u64>,
    stats: Stats,
}

impl Tally {
    fn add(&mut self, stats: &Stats) {
        self.stats.executions += stats.executions;
        self.stats.aborts += stats.aborts;
        self.stats.waits += stats.waits;
        self.stats.fallbacks += stats.fallbacks;
    }
}

/// Runs every case; fails where one does not come out as the specification says.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut files = Vec::new();
    fixtures(&args.dir, &mut files)?;
    if files.is_empty() {
        bail!("no fixtures (.json) in {}", args.dir.display());
    }
    files.sort();
    x_evm::warm_up()?;
    let mut executors = vec![("serial".to_owned(), AnyExecutor::Serial)];
    for threads in &args.threads {
        // Without the short cut for blocks that gain nothing from threads: the machinery is what is tested.
        let parallel = Parallel::new(*threads).with_faults(Faults::default());
        executors.push((format!("{threads} threads"), AnyExecutor::Parallel(parallel)));
    }
    let mut tally = Tally::default();
    for path in files {
        let json = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let cases: BTreeMap<String, Value> =
            serde_json::from_slice(&json).with_context(|| format!("not a fixture: {}", path.display()))?;
        for (name, case) in cases {
            if args.only.as_ref().is_none_or(|only| name.contains(only)) {
                run_case(&name, case, &executors, &mut tally)
                    .with_context(|| format!("{}: {name}", path.display()))?;
            }
        }
    }
    finish(&tally)
}

fn finish(tally: &Tally) -> anyhow::Result<()> {
    let Stats {
        executions,
        aborts,
        waits,
        fallbacks,
        ..
    } = tally.stats;
    println!("{executions} runs in parallel, {aborts} aborted, {waits} waited, {fallbacks} fallbacks");
    for (why, count) in &tally.skipped {
        println!("skipped {count}: {why}");
    }
    let skipped: u64 = tally.skipped.values().sum();
    println!(
        "{} passed, {} failed, {skipped} skipped",
        tally.passed, tally.failed
    );
    if tally.failed > 0 {
        bail!("{} cases differ from the specification", tally.failed);
    }
    if tally.passed == 0 {
        bail!("no case ran");
    }
    Ok(())
}

fn fixtures(dir: &Path, out: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with(".meta") {
            fixtures(&path, out)?;
        } else if path.extension().is_some_and(|e| e == "json") {
            out.push(path);
        }
    }
    Ok(())
}

fn run_case(
    name: &str,
    case: Value,
    executors: &[(String, AnyExecutor)],
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let format = case["_info"]["fixture-format"].as_str().unwrap_or("state_test");
    if format != "state_test" {
        *tally
            .skipped
            .entry(format!("{format} fixtures are not run"))
            .or_insert(0) += 1;
        return Ok(());
    }
    let case: Case = serde_json::from_value(case)?;
    let env: BlockEnv = serde_json::from_value(case.env.clone())?;
    let env = env.without_withdrawals();
    for (fork, posts) in &case.post {
        if Fork::at(fork, env.number(), env.time()).is_none() {
            *tally
                .skipped
                .entry(format!("fork {fork} is not known"))
                .or_insert(0) += posts.len() as u64;
            continue;
        }
        for (index, post) in posts.iter().enumerate() {
            match check(&case, &env, fork, post, executors, tally) {
                Ok(()) => tally.passed += 1,
                Err(why) => {
                    tally.failed += 1;
                    println!("FAIL {name} {fork}/{index}: {why:#}");
                }
            }
        }
    }
    Ok(())
}

fn check(
    case: &Case,
    env: &BlockEnv,
    fork: &str,
    post: &Post,
    executors: &[(String, AnyExecutor)],
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let raw = hex::decode(post.txbytes.trim_start_matches("0x")).context("txbytes")?;
    let alone = Input {
        alloc: case.pre.clone(),
        env: env.clone(),
        txs: vec![t8n::from_raw(&raw)],
        fork: fork.to_owned(),
        chain_id: number(&case.config.chainid)?.saturating_to(),
        reward: Some(U256::ZERO),
        hooks: false,
    };
    let first = every(&alone, executors, tally)?;
    match (&post.expect_exception, first.result.rejected.first()) {
        (Some(want), None) => bail!("ran, want {want}"),
        (None, Some(rejected)) => bail!("rejected: {}", rejected.error),
        _ => {}
    }
    if first.result.state_root != post.hash {
        bail!("state root: have {}, want {}", first.result.state_root, post.hash);
    }
    if first.result.logs_hash != post.logs {
        bail!("logs: have {}, want {}", first.result.logs_hash, post.logs);
    }
    let crowd = behind_transfers(alone, case, &raw)?;
    let output = every(&crowd, executors, tally).context("behind transfers")?;
    if output.result.receipts.len() + output.result.rejected.len() != crowd.txs.len() {
        bail!("behind transfers: transactions are missing");
    }
    if output.result.receipts.len() + 1 < crowd.txs.len() {
        bail!(
            "behind transfers: a transfer was rejected: {:?}",
            output.result.rejected
        );
    }
    Ok(())
}

/// Runs `input` on every executor; the results must be the first one's.
fn every(input: &Input, executors: &[(String, AnyExecutor)], tally: &mut Tally) -> anyhow::Result<Output> {
    let mut first: Option<Output> = None;
    for (name, executor) in executors {
        let output = t8n::run(input, executor).with_context(|| name.clone())?;
        let Some(first) = &first else {
            first = Some(output);
            continue;
        };
        tally.add(&output.stats);
        if output.result != first.result || output.alloc != first.alloc || output.body != first.body {
            bail!(
                "{name}: root {}, serial {}",
                output.result.state_root,
                first.result.state_root
            );
        }
    }
    first.context("no executor")
}

fn number(text: &str) -> anyhow::Result<U256> {
    text.parse().with_context(|| format!("{text:?} is no number"))
}

/// The case behind one transfer each to its sender, its recipient and who made the block, by an account of its own.
fn behind_transfers(mut input: Input, case: &Case, raw: &[u8]) -> anyhow::Result<Input> {
    const KEY: &str = "0xb71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291";
    const PAYER: &str = "0x71562b71999873db5b286df957af199ec94617f7";
    /// Enough for code, too.
    const GAS: u64 = 1_000_000;
    let mut touched = vec![case.env["currentCoinbase"].clone()];
    if let Ok(tx) = x_evm::EvmTx::decode_any(raw) {
        touched.push(json!(tx.sender));
        touched.extend(tx.to().map(|to| json!(to)));
    }
    let price = case.env["currentBaseFee"].as_str().unwrap_or("0x1");
    let transfers: Vec<Value> = touched
        .iter()
        .enumerate()
        .map(|(nonce, to)| {
            json!({
                "nonce": nonce, "gas": GAS, "gasPrice": price, "to": to, "value": "0x1", "input": "0x",
                "secretKey": KEY,
            })
        })
        .collect();
    input.env = input.env.with_room(GAS * transfers.len() as u64);
    let transfers = t8n::from_json(Value::Array(transfers), input.chain_id)?;
    input.txs.splice(0..0, transfers);
    let balance = U256::from(1) << 200;
    input.alloc.0.insert(
        PAYER.parse()?,
        t8n::Account {
            balance,
            ..t8n::Account::default()
        },
    );
    Ok(input)
}
