//! `cargo xtask fuzz-blocks`: the law, looked for where it might not hold: generated blocks, run serially and in parallel.
//!
//! Each chain follows from a seed of its own: who has what, how large blocks are, what they are made of. Whatever anybody
//! can see of a block is compared: app hash, results, receipts, events, indexes, and the change set before it is hashed.
use crate::chain::{Node, Ran, accounts, chain, genesis};
use anyhow::{Context as _, Result, bail, ensure};
use executor::{AnyExecutor, Faults, Parallel, Stats};
use state::Bytes;
use std::time::{Duration, Instant};
use store::{Config, MemoryStore};
use types::Address;
use workload::{Account, Mix, Random, Weights};

/// What to run.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Stop after so many seconds, at the end of a chain [default: 60, unless --blocks is given].
    #[arg(long)]
    seconds: Option<u64>,
    /// Stop after so many blocks, at the end of a chain.
    #[arg(long)]
    blocks: Option<u64>,
    /// The first chain's seed; `BRAID_SEED` runs that chain alone.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Thread counts. With 1, several transactions are under way at a time on the one thread, in an order that follows
    /// from the seed.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16")]
    threads: Vec<usize>,
}

/// Blocks of one chain, after the one that sets it up.
const CHAIN_BLOCKS: u64 = 10;
/// Blocks after which the run says how far it is.
const PROGRESS: u64 = 1_000;
/// Transactions of a block at most.
const BLOCK_TXS: usize = 120;
/// Gas limits of blocks: one that nothing fills, and two that cut blocks off.
const GAS: [i64; 3] = [60_000_000, 2_800_000, 1_100_000];

/// What was seen.
#[derive(Debug, Default)]
struct Tally {
    chains: u64,
    blocks: u64,
    transactions: u64,
    refused: u64,
    failed: u64,
    cut_off: u64,
    /// Of all parallel runs of all blocks.
    all: Work,
    /// Of blocks of calls that all want the same.
    hot: Work,
}

#[derive(Debug, Default)]
struct Work {
    executions: u64,
    aborts: u64,
    waits: u64,
    fallbacks: u64,
}

impl Work {
    fn add(&mut self, stats: &Stats) {
        self.executions += stats.executions;
        self.aborts += stats.aborts;
        self.waits += stats.waits;
        self.fallbacks += stats.fallbacks;
    }
}

/// Runs chains until time or blocks are over; fails where two executors differ.
pub(crate) fn run(args: &Args) -> Result<()> {
    let replay = std::env::var("BRAID_SEED").ok();
    let replay: Option<u64> = replay
        .map(|seed| {
            seed.parse()
                .with_context(|| format!("BRAID_SEED={seed:?} is no number"))
        })
        .transpose()?;
    let seconds = args.seconds.or(args.blocks.is_none().then_some(60));
    let (begun, mut tally, mut told) = (Instant::now(), Tally::default(), 0);
    let over = |tally: &Tally| {
        seconds.is_some_and(|s| begun.elapsed() >= Duration::from_secs(s))
            || args.blocks.is_some_and(|most| tally.blocks >= most)
    };
    for seed in replay.unwrap_or(args.seed).. {
        one_chain(seed, &args.threads, &mut tally)
            .with_context(|| format!("BRAID_SEED={seed} replays this chain"))?;
        if tally.blocks >= told + PROGRESS {
            told = tally.blocks;
            println!("{told} blocks equal, the last chain's seed is {seed}");
        }
        if replay.is_some() || over(&tally) {
            break;
        }
    }
    report(&tally);
    ensure!(
        tally.all.fallbacks == 0,
        "the parallel path gave up {} times",
        tally.all.fallbacks
    );
    ensure!(
        tally.hot.aborts > 0 || tally.hot.executions == 0,
        "no run of a hot load was ever thrown away: nothing ran beside anything"
    );
    Ok(())
}

fn report(tally: &Tally) {
    let Tally {
        chains,
        blocks,
        transactions,
        refused,
        failed,
        cut_off,
        all,
        hot,
    } = tally;
    println!(
        "{transactions} transactions: {refused} refused, {failed} failed, {cut_off} beyond the block's gas"
    );
    println!(
        "hot loads: {} runs, {} aborted, {} waited",
        hot.executions, hot.aborts, hot.waits
    );
    println!(
        "{blocks} blocks of {chains} chains equal: {} runs in parallel, {} aborted, {} waited, {} fallbacks",
        all.executions, all.aborts, all.waits, all.fallbacks
    );
}

/// Without the short cut for blocks that gain nothing from threads, and without what adapts to the load.
fn executor(threads: usize, seed: u64) -> AnyExecutor {
    let faults = Faults {
        shuffle: (threads == 1).then_some(seed),
        ..Faults::default()
    };
    AnyExecutor::Parallel(Parallel::new(threads).with_faults(faults))
}

/// What a block is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The chain's first: contracts and tokens.
    Setup,
    Mixed,
    Hot,
    Native,
    Bad,
    /// One to four transactions.
    Tiny,
    /// Everything from one sender.
    Queue,
}

impl Kind {
    fn draw(random: &mut Random) -> Self {
        match random.below(10) {
            0..4 => Self::Mixed,
            4..6 => Self::Hot,
            6 => Self::Native,
            7 => Self::Bad,
            8 => Self::Tiny,
            _ => Self::Queue,
        }
    }
    fn block(self, mix: &mut Mix, random: &mut Random) -> Vec<Bytes> {
        let size = 1 + random.below(BLOCK_TXS);
        match self {
            Self::Setup => mix.setup(),
            Self::Mixed => mix.block(size, &Weights::FUZZ),
            Self::Hot => mix.block(size.max(20), &Weights::HOT),
            Self::Native => mix.block(size, &Weights::NATIVE),
            Self::Bad => mix.block(size, &Weights::BAD),
            Self::Tiny => mix.block(1 + size % 4, &Weights::FUZZ),
            Self::Queue => {
                // The others' transactions are not sent: their sequences come from the chain again afterwards.
                let who = random.below(mix.accounts.len());
                let txs = (0..4 * size).map(|_| mix.transaction(&Weights::FUZZ));
                txs.filter(|(from, _)| *from == who).map(|(_, tx)| tx).collect()
            }
        }
    }
}

fn one_chain(seed: u64, threads: &[usize], tally: &mut Tally) -> Result<()> {
    let mut random = Random::new(seed ^ 0x00b1_0c55);
    let accounts: Vec<Account> = accounts(4 + random.below(12) as u64);
    let mut operators: Vec<Address> = (1..=3u8).map(|i| Address::repeat_byte(0xa0 + i)).collect();
    // In most chains the proposer's account is among the senders: sender and COINBASE are the same.
    if random.chance(2, 3) {
        operators[0] = accounts[0].address;
    }
    let genesis = genesis(&accounts, &operators, GAS[random.below(GAS.len())])?;
    let start = |executor| Node::start(MemoryStore::new(Config::new(app::stores())), &genesis, executor);
    let mut serial = start(AnyExecutor::Serial)?;
    let mut others = Vec::new();
    for count in threads {
        others.push((*count, start(executor(*count, seed))?));
    }
    let mut mix = Mix::new(chain(), accounts, operators, seed);
    for number in 0..=CHAIN_BLOCKS {
        let kind = if number == 0 {
            Kind::Setup
        } else {
            Kind::draw(&mut random)
        };
        let txs = kind.block(&mut mix, &mut random);
        let want = serial.run(&txs).context("serial")?;
        count(&want, tally);
        for (threads, node) in &mut others {
            let at = format!(
                "block {number} ({kind:?}, {} transactions), {threads} threads",
                txs.len()
            );
            let have = node.run(&txs).with_context(|| at.clone())?;
            tally.all.add(&have.answer.stats);
            if kind == Kind::Hot {
                tally.hot.add(&have.answer.stats);
            }
            same(&have, &want).context(at)?;
        }
        serial.resync(&mut mix.accounts)?;
    }
    tally.chains += 1;
    Ok(())
}

fn count(ran: &Ran, tally: &mut Tally) {
    tally.blocks += 1;
    tally.transactions += ran.stored.txs.len() as u64;
    for tx in &ran.stored.txs {
        let refused = tx.result.gas_used == 0;
        tally.refused += u64::from(refused);
        tally.cut_off += u64::from(refused && tx.result.codespace == "sdk" && tx.result.code == 11);
        tally.failed += u64::from(tx.evm.as_ref().is_some_and(|e| !e.success));
    }
}

/// Everything that consensus, clients and the store are given.
fn same(have: &Ran, want: &Ran) -> Result<()> {
    for (index, (have, want)) in have.stored.txs.iter().zip(&want.stored.txs).enumerate() {
        ensure!(
            have == want,
            "transaction {index}:\n  have {have:?}\n  want {want:?}"
        );
    }
    for (key, want) in &want.changes {
        let have = have.changes.get(key);
        ensure!(
            have == Some(want),
            "change of {key:?}: have {have:?}, want {want:?}"
        );
    }
    if let Some(key) = have.changes.keys().find(|key| !want.changes.contains_key(*key)) {
        bail!("{key:?} is written, and serially it is not");
    }
    ensure!(
        have.stored == want.stored,
        "stored block: have {:?}, want {:?}",
        have.stored,
        want.stored
    );
    let (a, b) = (&have.answer, &want.answer);
    ensure!(
        a.app_hash == b.app_hash,
        "app hash: have {:?}, want {:?}",
        a.app_hash,
        b.app_hash
    );
    ensure!(
        a.results == b.results && a.events == b.events && a.validator_updates == b.validator_updates,
        "answers to consensus differ: have {a:?}, want {b:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The suite's share of `cargo xtask fuzz-blocks`: about a minute of two cores.
    #[test]
    fn generated_chains_come_out_the_same_on_every_executor() {
        let args = Args {
            seconds: None,
            blocks: Some(800),
            seed: 1_000_000,
            threads: vec![1, 2, 4, 8, 16],
        };
        run(&args).unwrap();
    }

    #[test]
    fn a_difference_is_found_wherever_it_is() {
        let accounts = accounts(6);
        let genesis = genesis(&accounts, &[accounts[0].address], GAS[0]).unwrap();
        let mut mix = Mix::new(chain(), accounts, vec![Address::ZERO], 7);
        let ran = |txs: &[Bytes]| {
            let store = MemoryStore::new(Config::new(app::stores()));
            let mut node = Node::start(store, &genesis, AnyExecutor::Serial).unwrap();
            node.run(txs).unwrap()
        };
        let txs = mix.setup();
        let want = ran(&txs);
        same(&ran(&txs), &want).unwrap();
        let differs = |change: fn(&mut Ran)| {
            let mut other = ran(&txs);
            change(&mut other);
            same(&other, &want).unwrap_err().to_string()
        };
        assert!(differs(|r| r.answer.app_hash[0] ^= 1).contains("app hash"));
        assert!(differs(|r| r.answer.results[0].gas_used += 1).contains("answers"));
        assert!(differs(|r| drop(r.answer.results[0].events.pop())).contains("answers"));
        assert!(differs(|r| drop(r.changes.pop_first())).contains("change of"));
        let other = ran(&txs[..txs.len() - 1]);
        assert!(same(&want, &other).is_err());
    }
}
