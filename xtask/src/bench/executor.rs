//! `cargo xtask bench executor`: blocks in parallel, each against plain sequential revm on the same state in memory.
//!
//! The baseline is one reused mainnet EVM over a preloaded `CacheDB`, `transact` and `commit`. Ours is timed from
//! "senders known" to "outputs and folded typed values". Both run in turns, so that a noisy machine is noisy for both.
use crate::blocks;
use anyhow::{Context as _, anyhow, bail};
use executor::simulate::{Policy, WINDOW, simulate, total};
use executor::trace::Tracing;
use executor::{Parallel, Stats};
use revm::context::TxEnv;
use revm::database::{CacheDB, EmptyDB};
use revm::handler::MainnetContext;
use revm::state::AccountInfo;
use revm::{Context, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _, MainnetEvm};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;
use types::U256;
use workload::loads::{self, Load};
use x_evm::replay::{PreAccount, RealBlock};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Workers of the parallel executor.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Only this load: raw, chain, hot-receiver, erc20, erc20-clustered, uniswap, uniswap-one-pool, hybrid, mainnet.
    #[arg(long)]
    only: Option<String>,
    /// Folder with mainnet fixtures, `N.json.gz`.
    #[arg(long, default_value = "../shared/vectors/mainnet")]
    blocks: PathBuf,
    /// Repetitions of each side.
    #[arg(long, default_value_t = 9)]
    reps: usize,
    /// Divides the number of transactions of the made loads.
    #[arg(long, default_value_t = 1)]
    smaller: usize,
}

/// Below this many milliseconds a mainnet block is judged by what it loses, not by its ratio.
const SHORT_MS: f64 = 1.0;

/// Measures each load.
pub(crate) fn run(root: &Path, args: &Args) -> anyhow::Result<()> {
    x_evm::warm_up()?;
    let npm = root.join("clients/node_modules/@uniswap");
    let n = |count: usize| (count / args.smaller).max(1);
    type Make<'a> = Box<dyn Fn() -> Result<Load, String> + 'a>;
    let made: [(&str, Make<'_>); 8] = [
        ("raw", Box::new(|| Ok(loads::raw(n(47_620))))),
        ("chain", Box::new(|| Ok(loads::chain(n(47_620))))),
        ("hot-receiver", Box::new(|| Ok(loads::hot_receiver(n(47_620))))),
        ("erc20", Box::new(|| loads::erc20(n(33_628)))),
        (
            "erc20-clustered",
            Box::new(|| loads::erc20_clustered(1_000, n(34))),
        ),
        ("uniswap", Box::new(|| loads::uniswap(&npm, n(6_413)))),
        (
            "uniswap-one-pool",
            Box::new(|| loads::uniswap_one_pool(&npm, n(6_400))),
        ),
        ("hybrid", Box::new(|| loads::hybrid(&npm, n(20_000)))),
    ];
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| only == name);
    let executors = Executors {
        many: Parallel::new(args.threads),
        one: Parallel::new(1),
    };
    for (name, make) in &made {
        if wanted(name) {
            let Load { db, txs } = make().map_err(|e| anyhow!(e))?;
            let block = RealBlock::made(loads::SPEC, txs, accounts(&db))?;
            let measured = measure(&block, db, &executors, args.reps).with_context(|| (*name).to_owned())?;
            println!("{}", measured.line(name));
        }
    }
    if wanted("mainnet") {
        mainnet(&root.join(&args.blocks), &executors, args.reps)?;
    }
    Ok(())
}

struct Executors {
    many: Parallel,
    one: Parallel,
}

fn mainnet(dir: &Path, executors: &Executors, reps: usize) -> anyhow::Result<()> {
    let mut sum = Measured::default();
    let mut bad = Vec::new();
    for (number, path) in blocks::fixtures(dir)? {
        let block = blocks::read(&path)?;
        let db = cache(&block.pre);
        let mut measured =
            measure(&block, db.clone(), executors, reps).with_context(|| number.to_string())?;
        measured.simulated = Some(simulated(&block, &db, executors.many.threads())?);
        println!("{}", measured.line(&number.to_string()));
        let [serial, many, _] = measured.least();
        if (serial >= SHORT_MS && serial < 0.95 * many) || (serial < SHORT_MS && many > serial + 0.05) {
            bad.push(format!("{number}: {serial:.3} ms, here {many:.3}"));
        }
        sum.add(measured);
    }
    println!("{}", sum.line("mainnet"));
    for block in bad {
        println!("slower than serial: {block}");
    }
    Ok(())
}

/// Milliseconds of each repetition: of the baseline, of the parallel executor, and of it with one worker.
#[derive(Debug, Default)]
struct Measured {
    ms: [Vec<f64>; 3],
    /// CPU seconds of the parallel executor, of the baseline, and of one worker.
    cpu_s: [Vec<f64>; 3],
    txs: usize,
    stats: Stats,
    /// Milliseconds that the baseline's transactions take one after another, and what a scheduler without overhead of its
    /// own makes of them: ours, and one that knows all beforehand.
    simulated: Option<[f64; 3]>,
}

impl Measured {
    fn least(&self) -> [f64; 3] {
        [0, 1, 2].map(|i| least(&self.ms[i]))
    }
    fn line(&self, name: &str) -> String {
        let [serial, many, one] = self.least();
        let [s, m, o] = [0, 1, 2].map(|i| median(&self.ms[i]));
        let cpu = least(&self.cpu_s[0]);
        let simulated = self.simulated.map_or_else(String::new, |[whole, ordered, best]| {
            let (ours, ordered, best) = (serial / many, whole / ordered, whole / best);
            let of = 100.0 * ours / ordered;
            format!(" simulated={ordered:.2} of_simulated={of:.0}% clairvoyant={best:.2}")
        });
        let line = format!(
            "{name} serial_ms={serial:.2} parallel_ms={many:.2} ratio={:.2} cpu_s={cpu:.4} ratio_median={:.2} \
             one_ms={one:.2} one_ratio={:.2} one_ratio_median={:.2} cores={:.2} cpu_ratio={:.2} one_cpu_ratio={:.2} txs={} runs={} aborts={} waits={}",
            serial / many,
            s / m,
            serial / one,
            s / o,
            cpu * 1e3 / many,
            cpu / least(&self.cpu_s[1]),
            least(&self.cpu_s[2]) / least(&self.cpu_s[1]),
            self.txs,
            self.stats.executions,
            self.stats.aborts,
            self.stats.waits,
        );
        line + &simulated
    }
    fn add(&mut self, other: Self) {
        let sum = |to: &mut Vec<f64>, from: Vec<f64>| {
            to.resize(from.len(), 0.0);
            // The least of sums is the sum of leasts only if each list is in order.
            let mut from = from;
            from.sort_by(f64::total_cmp);
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        };
        for (to, from) in self.ms.iter_mut().zip(other.ms) {
            sum(to, from);
        }
        for (to, from) in self.cpu_s.iter_mut().zip(other.cpu_s) {
            sum(to, from);
        }
        self.txs += other.txs;
        let simulated = other.simulated.unwrap_or_default();
        let sums = self.simulated.get_or_insert_default();
        sums.iter_mut().zip(simulated).for_each(|(sum, one)| *sum += one);
        self.stats.executions += other.stats.executions;
        self.stats.aborts += other.stats.aborts;
        self.stats.waits += other.stats.waits;
    }
}

fn least(of: &[f64]) -> f64 {
    of.iter().copied().fold(f64::INFINITY, f64::min)
}
fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn measure(
    block: &RealBlock,
    db: CacheDB<EmptyDB>,
    executors: &Executors,
    reps: usize,
) -> anyhow::Result<Measured> {
    let envs: Vec<TxEnv> = block.txs.iter().map(x_evm::EvmTx::to_env).collect();
    let mut measured = Measured {
        txs: envs.len(),
        ..Measured::default()
    };
    let short = envs.len() < 2_000;
    let (warm_up, reps) = if short { (3, reps.max(9) * 3) } else { (1, reps) };
    for rep in 0..warm_up + reps {
        let (gas, serial, serial_cpu) = baseline(block, db.clone(), &envs)?;
        let (many, many_cpu, stats) = ours(block, &executors.many, gas)?;
        let (one, one_cpu, _) = ours(block, &executors.one, gas)?;
        if rep >= warm_up {
            for (to, ms) in measured.ms.iter_mut().zip([serial, many, one]) {
                to.push(ms);
            }
            measured.cpu_s[0].push(many_cpu);
            measured.cpu_s[1].push(serial_cpu);
            measured.cpu_s[2].push(one_cpu);
            measured.stats = stats;
        }
    }
    Ok(measured)
}

/// The baseline: plain revm over a cache.
fn mainnet_evm(block: &RealBlock, mut db: CacheDB<EmptyDB>) -> MainnetEvm<MainnetContext<CacheDB<EmptyDB>>> {
    if let x_evm::Hashes::Map(hashes) = &block.env.hashes {
        let hashes = hashes.iter().map(|(n, hash)| (U256::from(*n), *hash));
        db.cache.block_hashes.extend(hashes);
    }
    let mut evm = Context::mainnet().with_db(db).build_mainnet();
    evm.ctx.cfg = block.env.cfg.clone();
    evm.ctx.block = block.env.block.clone();
    evm.ctx.build_mainnet()
}

/// Gas used, milliseconds, CPU seconds.
fn baseline(block: &RealBlock, db: CacheDB<EmptyDB>, envs: &[TxEnv]) -> anyhow::Result<(u64, f64, f64)> {
    let mut evm = mainnet_evm(block, db);
    let mut gas = 0;
    let (cpu, start) = (cpu_s(), Instant::now());
    for tx in envs {
        let done = evm
            .transact_commit(tx.clone())
            .map_err(|e| anyhow!("revm: {e:?}"))?;
        gas += done.tx_gas_used();
    }
    let ms = start.elapsed().as_secs_f64() * 1e3;
    Ok((gas, ms, cpu_s() - cpu))
}

/// See [`Measured::simulated`]: the needs of a traced run, with what each transaction cost the baseline.
fn simulated(block: &RealBlock, db: &CacheDB<EmptyDB>, workers: usize) -> anyhow::Result<[f64; 3]> {
    /// Each transaction's least of so many.
    const REPS: usize = 9;
    let envs: Vec<TxEnv> = block.txs.iter().map(x_evm::EvmTx::to_env).collect();
    let mut costs = vec![u64::MAX; envs.len()];
    for _ in 0..REPS {
        let mut evm = mainnet_evm(block, db.clone());
        for (tx, cost) in envs.iter().zip(&mut costs) {
            let start = Instant::now();
            evm.transact_commit(tx.clone())
                .map_err(|e| anyhow!("revm: {e:?}"))?;
            *cost = (*cost).min(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
    }
    let tracing = Tracing::new(&|| 0);
    block.execute(&tracing)?;
    let mut trace = tracing.into_trace();
    for (job, cost) in trace.jobs.iter_mut().zip(costs) {
        job.cost = cost;
    }
    let window = WINDOW as usize * workers;
    let ms = |ns: u64| ns as f64 / 1e6;
    Ok([
        ms(total(&trace)),
        ms(simulate(&trace, workers, Policy::Ordered { window }).end),
        ms(simulate(&trace, workers, Policy::Clairvoyant).end),
    ])
}

/// Milliseconds, CPU seconds, how it went.
fn ours(block: &RealBlock, executor: &Parallel, gas: u64) -> anyhow::Result<(f64, f64, Stats)> {
    let (cpu, start) = (cpu_s(), Instant::now());
    let done = block.execute_typed(executor)?;
    let ms = start.elapsed().as_secs_f64() * 1e3;
    let cpu = cpu_s() - cpu;
    let stats = done.stats;
    let have = block.gas_used(&done.outputs)?;
    if have != gas {
        bail!("gas used: {have}, revm alone {gas}");
    }
    Ok((ms, cpu, stats))
}

/// CPU time of all threads of this process, in seconds.
fn cpu_s() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return 0.0;
    };
    let ns = |task: PathBuf| -> Option<f64> {
        let text = std::fs::read_to_string(task.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    tasks.flatten().filter_map(|task| ns(task.path())).sum::<f64>() / 1e9
}

/// revm's state as accounts.
fn accounts(db: &CacheDB<EmptyDB>) -> BTreeMap<types::Address, PreAccount> {
    let cache = &db.cache;
    let account = |a: &revm::database::DbAccount| PreAccount {
        balance: a.info.balance,
        nonce: a.info.nonce,
        code: cache
            .contracts
            .get(&a.info.code_hash)
            .map_or_else(Default::default, revm::bytecode::Bytecode::original_bytes),
        storage: a.storage.iter().map(|(slot, word)| (*slot, *word)).collect(),
    };
    cache.accounts.iter().map(|(who, a)| (*who, account(a))).collect()
}

/// Accounts as revm's state.
fn cache(pre: &BTreeMap<types::Address, PreAccount>) -> CacheDB<EmptyDB> {
    let mut db = CacheDB::default();
    for (who, account) in pre {
        let code = revm::bytecode::Bytecode::new_raw(account.code.clone());
        db.insert_account_info(
            *who,
            AccountInfo::new(account.balance, account.nonce, code.hash_slow(), code),
        );
        for (slot, word) in &account.storage {
            db.insert_account_storage(*who, *slot, *word)
                .expect("memory does not fail");
        }
    }
    db
}
