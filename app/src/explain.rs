//! Why a block ran as parallel as it did: which keys its transactions met at, who waited for whom, and what schedulers
//! could make of it on how many cores.
//!
//! The block is run again over the state before it, one transaction after another, and traced. Nothing is kept.
use crate::api::{AppError, Block};
use crate::app::App;
use crate::block::{self, Machine};
use crate::chain::BlockParts;
use crate::record::{StoredBlock, StoredTx};
pub use executor::Stats;
use executor::simulate::{Policy, WINDOW, critical_path, simulate, total};
pub use executor::simulate::{Run, Schedule};
pub use executor::trace::NeedKind;
use executor::trace::{Trace, Tracing};
use module::KeyName;
use state::{CommitStore, Key, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use types::{Address, B256};

/// The numbers of cores that are told of.
pub const CORES: [usize; 5] = [2, 4, 8, 16, 64];

/// Conflicting keys told of, at most: those with the most waiting first.
const CONFLICTS_MAX: usize = 100;
/// The blocks whose execution is remembered, at most.
pub(crate) const REMEMBERED: usize = 1024;
/// Pairs of transactions told of one key, at most.
const PAIRS_MAX: usize = 32;

/// What became of a block's parallelism. Times are nanoseconds of one core.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The block.
    pub height: u64,
    /// Whether running it again gave every transaction the recorded code and gas.
    pub exact: bool,
    /// How the block's execution went on this node when it was committed; `None` where that is not remembered.
    pub executed: Option<Stats>,
    /// One transaction after another.
    pub serial_ns: u64,
    /// The most expensive chain of transactions that need each other.
    pub critical_ns: u64,
    /// The transactions on that chain.
    pub critical: Vec<u32>,
    /// What schedulers could make of it.
    pub scaling: Vec<Scaling>,
    /// The keys that made transactions wait, worst first.
    pub conflicts: Vec<Conflict>,
    /// How many such keys there are in all.
    pub conflicting_keys: usize,
    /// The transactions.
    pub txs: Vec<ExplainedTx>,
    trace: Trace,
}

/// What can be reached on some cores, by simulation without overhead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scaling {
    /// How many.
    pub cores: usize,
    /// A scheduler that knows everything beforehand: serial time over its time, in thousandths.
    pub ideal_milli: u64,
    /// The optimistic scheduler in block order, in thousandths.
    pub optimistic_milli: u64,
    /// How many of its runs were for nothing.
    pub reruns: usize,
    /// The gas of those.
    pub wasted_gas: u64,
}

/// A key at which transactions met.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// The key.
    pub key: Key,
    /// What it holds, where its module says.
    pub name: Option<KeyName>,
    /// Who waited for whom: earlier and later transaction, and how. The first ones.
    pub pairs: Vec<(u32, u32, NeedKind)>,
    /// How many pairs there are.
    pub count: usize,
}

/// A transaction of an explained block.
#[derive(Clone, Debug)]
pub struct ExplainedTx {
    /// The Ethereum hash, or CometBFT's of a native one.
    pub hash: B256,
    /// Who sent it, where it is Ethereum's.
    pub from: Option<Address>,
    /// The contract or account called, where it is Ethereum's and no creation.
    pub to: Option<Address>,
    /// Gas used.
    pub gas_used: u64,
    /// What its run took.
    pub cost_ns: u64,
    /// The earlier transactions that it needed.
    pub needs: Vec<u32>,
}

impl<S: CommitStore> App<S> {
    /// Explains the committed block `height`; `None` where there is no such block, or none is kept, and for the first
    /// one: the state before it was never committed. `clock` counts nanoseconds from any start.
    ///
    /// # Errors
    /// Where the state before the block is not kept.
    pub fn explain(
        &self,
        height: u64,
        clock: &(dyn Fn() -> u64 + Sync),
    ) -> Result<Option<Explanation>, AppError> {
        let Some(head) = self.head.load_full() else {
            return Ok(None);
        };
        if height <= head.info.initial_height {
            return Ok(None);
        }
        let Some(stored) = self.block(height)? else {
            return Ok(None);
        };
        let parent = self.store.snapshot(height - 1)?;
        let block = Block {
            height,
            time: stored.time,
            hash: stored.comet_hash,
            proposer: stored.proposer,
            txs: stored.txs.iter().map(|tx| tx.raw.clone()).collect(),
            votes: Vec::new(),
        };
        let parts = BlockParts::read(&parent)?;
        let ctx = block::context(&head.info, &parent, &parts, &parent.version().root, &block)?;
        let tracing = Tracing::new(clock);
        let machine = Machine {
            info: &head.info,
            modules: &self.modules,
            executor: &tracing,
            decoder: &self.decoder,
        };
        let outcome = block::execute(&machine, &parent, ctx, &block)?;
        let exact = outcome.outputs.iter().zip(&stored.txs).all(|(again, tx)| {
            (again.result.code, again.result.gas_used) == (tx.result.code, tx.result.gas_used)
        });
        Ok(Some(self.tell(&stored, tracing.into_trace(), exact, height)))
    }

    fn tell(&self, stored: &StoredBlock, trace: Trace, exact: bool, height: u64) -> Explanation {
        let (critical_ns, critical) = critical_path(&trace);
        let mut conflicts = self.conflicts(&trace);
        let conflicting_keys = conflicts.len();
        conflicts.truncate(CONFLICTS_MAX);
        let txs = stored.txs.iter().zip(&trace.jobs);
        Explanation {
            height,
            exact,
            executed: self.executed(height),
            serial_ns: total(&trace),
            critical_ns,
            critical,
            scaling: CORES
                .iter()
                .map(|cores| scaling(&trace, stored, *cores))
                .collect(),
            conflicts,
            conflicting_keys,
            txs: txs
                .map(|(tx, job)| {
                    let needs: BTreeSet<u32> = job.needs.iter().map(|need| need.on).collect();
                    ExplainedTx {
                        needs: needs.into_iter().collect(),
                        ..described(tx, job.cost)
                    }
                })
                .collect(),
            trace,
        }
    }

    /// The keys that made transactions wait, worst first.
    fn conflicts(&self, trace: &Trace) -> Vec<Conflict> {
        let mut by_key: BTreeMap<&Key, Vec<(u32, u32, NeedKind)>> = BTreeMap::new();
        for (index, job) in (0..).zip(&trace.jobs) {
            for need in &job.needs {
                by_key
                    .entry(&need.key)
                    .or_default()
                    .push((need.on, index, need.kind));
            }
        }
        let mut conflicts: Vec<Conflict> = by_key
            .into_iter()
            .map(|(key, mut pairs)| Conflict {
                key: key.clone(),
                name: self.key_name(key),
                count: pairs.len(),
                pairs: {
                    pairs.truncate(PAIRS_MAX);
                    pairs
                },
            })
            .collect();
        conflicts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.key.cmp(&b.key)));
        conflicts
    }

    fn key_name(&self, key: &Key) -> Option<KeyName> {
        let store = key.store();
        let mut owners = self.modules.iter().filter(|m| m.stores().contains(&store));
        owners.find_map(|module| module.key_name(key))
    }

    /// How the execution of a recent block went on this node.
    fn executed(&self, height: u64) -> Option<Stats> {
        let remembered = self.stats.lock();
        let mut all = remembered.iter();
        all.find(|(at, _)| *at == height).map(|(_, stats)| *stats)
    }
}

impl Explanation {
    /// The schedule that the optimistic scheduler makes of the block on so many cores, by simulation.
    pub fn schedule(&self, cores: usize) -> Schedule {
        simulate(&self.trace, cores, optimistic(cores))
    }
}

fn optimistic(cores: usize) -> Policy {
    Policy::Ordered {
        window: WINDOW as usize * cores,
    }
}

/// `serial` over `parallel` in thousandths; a block that takes no time is as fast on one core as on many.
fn milli(serial: u64, parallel: u64) -> u64 {
    serial.saturating_mul(1000).checked_div(parallel).unwrap_or(1000)
}

fn scaling(trace: &Trace, stored: &StoredBlock, cores: usize) -> Scaling {
    let serial = total(trace);
    let ours = simulate(trace, cores, optimistic(cores));
    let wasted = ours.runs.iter().filter(|run| run.wasted);
    let gas = |job: u32| stored.txs.get(job as usize).map_or(0, |tx| tx.result.gas_used);
    Scaling {
        cores,
        ideal_milli: milli(serial, simulate(trace, cores, Policy::Clairvoyant).end),
        optimistic_milli: milli(serial, ours.end),
        reruns: wasted.clone().count(),
        wasted_gas: wasted.map(|run| gas(run.job)).sum(),
    }
}

fn described(tx: &StoredTx, cost_ns: u64) -> ExplainedTx {
    let to = |raw: &types::Bytes| {
        use alloy_consensus::Transaction as _;
        use alloy_consensus::transaction::TxEnvelope;
        use alloy_eips::eip2718::Decodable2718 as _;
        TxEnvelope::decode_2718(&mut raw.as_ref()).ok()?.to()
    };
    ExplainedTx {
        hash: tx
            .evm
            .as_ref()
            .map_or_else(|| crate::tx::comet_hash(&tx.raw), |evm| evm.hash),
        from: tx.evm.as_ref().map(|evm| evm.sender),
        to: tx.evm.as_ref().and_then(|evm| to(&evm.raw)),
        gas_used: tx.result.gas_used,
        cost_ns,
        needs: Vec::new(),
    }
}
