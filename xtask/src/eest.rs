//! `cargo xtask eest`: run Ethereum's execution-spec tests on the chain's executor and compare what they come to.
//!
//! Each state test runs alone, as the specification has it, and once more behind transfers that touch its sender, its
//! recipient and who made the block: there every executor must give what serial gives. Blockchain tests are in
//! `eest/blockchain.rs`.
use anyhow::{Context as _, bail};
use executor::{AnyExecutor, Faults, Parallel, Stats};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use t8n::{Alloc, BlockEnv, Fork, Input, Output};
use types::{B256, U256};

mod blockchain;
#[cfg(test)]
mod tests;

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

/// What to run on, by name; the first is what the others must agree with.
type Executors = [(String, AnyExecutor)];

impl Tally {
    fn skip(&mut self, why: String, cases: u64) {
        *self.skipped.entry(why).or_insert(0) += cases;
    }
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
    let executors = executors(&args.threads);
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

fn executors(threads: &[usize]) -> Vec<(String, AnyExecutor)> {
    let mut out = vec![("serial".to_owned(), AnyExecutor::Serial)];
    for threads in threads {
        // Without the short cut for blocks that gain nothing from threads: the machinery is what is tested.
        let parallel = Parallel::new(*threads).with_faults(Faults::default());
        out.push((format!("{threads} threads"), AnyExecutor::Parallel(parallel)));
    }
    out
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

/// What the fixture says it is, or looks like: older ones do not say.
fn format(case: &Value) -> &str {
    let said = case["_info"]["fixture-format"]
        .as_str()
        .or_else(|| case["_info"]["fixture_format"].as_str());
    let looks = [
        ("engineNewPayloads", "blockchain_test_engine"),
        ("blocks", "blockchain_test"),
        ("post", "state_test"),
    ];
    let look = || looks.iter().find(|(field, _)| case.get(field).is_some());
    said.or_else(|| look().map(|(_, format)| *format))
        .unwrap_or("unknown")
}

fn run_case(name: &str, case: Value, executors: &Executors, tally: &mut Tally) -> anyhow::Result<()> {
    match format(&case) {
        "state_test" => run_state(name, case, executors, tally),
        "blockchain_test" => {
            match blockchain::run(case, executors, tally)? {
                Some(Ok(())) => tally.passed += 1,
                Some(Err(why)) => {
                    tally.failed += 1;
                    println!("FAIL {name}: {why:#}");
                }
                None => {}
            }
            Ok(())
        }
        other => {
            tally.skip(format!("{other} fixtures are not run"), 1);
            Ok(())
        }
    }
}

fn run_state(name: &str, case: Value, executors: &Executors, tally: &mut Tally) -> anyhow::Result<()> {
    let case: Case = serde_json::from_value(case)?;
    let env: BlockEnv = serde_json::from_value(case.env.clone())?;
    let env = env.without_withdrawals();
    for (fork, posts) in &case.post {
        if Fork::at(fork, env.number(), env.time()).is_none() {
            tally.skip(format!("fork {fork} is not known"), posts.len() as u64);
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
    executors: &Executors,
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
    let first = every(&alone, executors, tally)??;
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
    let output = every(&crowd, executors, tally)
        .context("behind transfers")?
        .context("behind transfers")?;
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
fn every(
    input: &Input,
    executors: &Executors,
    tally: &mut Tally,
) -> anyhow::Result<Result<Output, t8n::Error>> {
    let mut first: Option<Result<Output, t8n::Error>> = None;
    for (name, executor) in executors {
        let output = t8n::run(input, executor);
        let Some(first) = &first else {
            first = Some(output);
            continue;
        };
        match (&output, first) {
            (Ok(output), Ok(first)) => {
                tally.add(&output.stats);
                if output.result != first.result || output.alloc != first.alloc || output.body != first.body {
                    bail!(
                        "{name}: root {}, serial {}",
                        output.result.state_root,
                        first.result.state_root
                    );
                }
            }
            (Err(e), Err(first)) if e == first => {}
            (Err(e), _) => bail!("{name}: {e}, serial does not say that"),
            (Ok(_), Err(first)) => bail!("{name} ran, serial: {first}"),
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
