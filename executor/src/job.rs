//! What an executor is given and what it gives back.
use crate::typed::{Change, Layout, View};
use state::{Access, Deferral, Key, StateError, StateScan, StoreId, TxIndex, WriteSet};
use types::Address;

/// What one run of a job did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome<T> {
    /// Changes of typed places, each at most once, and none of them also among `writes`. Who settles the outcome may
    /// take them all away, and nothing else.
    pub changes: Vec<Change>,
    /// Other changes to state.
    pub writes: WriteSet,
    /// Changes to make when the job settles, in block order. Their keys must be [`DeferredKeys`].
    pub deferred: Vec<Deferral>,
    /// Receipt, or whatever else the caller wants back.
    pub output: T,
}

/// One transaction. What a run does depends on `self` and on what it reads through `view`, and on nothing else: it may
/// run many times, on any thread, over state that never was.
pub trait Job: Sync {
    /// What a run yields beside its writes.
    type Output: Send;
    /// What a worker keeps from job to job of a block to save set-up. It must not carry anything that a result could
    /// depend on. `'b` is as long as the worker works on the block, always over the same view.
    type Scratch<'b>: Default
    where
        Self: 'b;
    /// What the job is expected to touch. Orders work, never decides a result.
    fn access(&self) -> &Access;
    /// Whom jobs run for one after another, as those of one sender do. Orders work, never decides a result.
    fn lane(&self) -> Option<&[u8]> {
        None
    }
    /// How much work it is, in gas at most. Orders work, never decides a result.
    fn weight(&self) -> u64 {
        100_000
    }
    /// Visits the accounts that it is sure to look at, whatever they hold.
    fn announce(&self, _visit: &mut dyn FnMut(&Address)) {}
    /// Which keys are typed places: the same for all jobs of a block.
    fn layout(&self) -> Option<&dyn Layout> {
        None
    }
    /// Runs once against `view`.
    fn run<'b>(
        &'b self,
        view: &'b dyn View,
        scratch: &mut Self::Scratch<'b>,
    ) -> Result<Outcome<Self::Output>, StateError>;
}

/// What depends on the order of jobs: gas totals and the cut-off, log indexes, new accounts.
pub trait Settle<J: Job>: Send {
    /// Called once a job, in block order, when all earlier ones have settled: an outcome given here takes the place of
    /// the job's run, so that nothing is run to find that the block is full. Settled like any other.
    fn skip(&mut self, _index: TxIndex, _job: &J) -> Option<Outcome<J::Output>> {
        None
    }
    /// Called once a job, in block order, with the final outcome of its run: by `Serial` after each job, by `Parallel`
    /// at the head. It may change the outcome, even replace it (a transaction beyond the block's gas); later jobs
    /// see the outcome as changed.
    fn settle(&mut self, index: TxIndex, job: &J, outcome: &mut Outcome<J::Output>)
    -> Result<(), StateError>;
}

/// Keys whose changes are deferred. A job that reads one waits until all earlier jobs have settled, and then sees the
/// exact value.
#[derive(Clone, Debug, Default)]
pub struct DeferredKeys {
    /// Single keys, such as the fee collector's balance.
    pub keys: Vec<Key>,
    /// Key prefixes, such as a queue.
    pub prefixes: Vec<(StoreId, Vec<u8>)>,
}

impl DeferredKeys {
    /// Whether changes to `key` are deferred.
    pub fn contains(&self, key: &Key) -> bool {
        self.keys.contains(key)
            || self
                .prefixes
                .iter()
                .any(|(s, p)| key.store() == *s && key.bytes().starts_with(p))
    }
    /// Whether a read of `range` could meet a deferred key.
    pub fn meets(&self, range: &state::KeyRange) -> bool {
        self.keys.iter().any(|k| range.contains(k))
            || self.prefixes.iter().any(|(s, p)| {
                let prefix = state::KeyRange::prefix(*s, p);
                *s == range.store
                    && range.end.as_ref().is_none_or(|end| prefix.start < *end)
                    && prefix.end.as_ref().is_none_or(|end| range.start < *end)
            })
    }
}

/// A block's work.
pub struct BlockInput<'a, J> {
    /// State before the first job.
    pub base: &'a (dyn StateScan + Sync),
    /// The jobs, in block order.
    pub jobs: &'a [J],
    /// The keys that settle late.
    pub deferred: &'a DeferredKeys,
}

impl<'a, J: Job> BlockInput<'a, J> {
    /// Which keys are typed places.
    pub(crate) fn layout(&self) -> Option<&'a dyn Layout> {
        self.jobs.first().and_then(Job::layout)
    }
}

impl<J> std::fmt::Debug for BlockInput<'_, J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockInput")
            .field("jobs", &self.jobs.len())
            .finish_non_exhaustive()
    }
}

/// What a block's jobs did, as if one after another.
#[derive(Debug)]
pub struct Executed<T> {
    /// One output a job, in order.
    pub outputs: Vec<T>,
    /// The folded changes, deferred ones included.
    pub writes: WriteSet,
    /// How the work went. May differ from run to run: never let a result depend on it.
    pub stats: Stats,
}

/// How a block's execution went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Runs of jobs, repeats included.
    pub executions: u64,
    /// Runs that were thrown away because a value they had read changed.
    pub aborts: u64,
    /// Runs cut short, or not begun, because they need an earlier job's result.
    pub waits: u64,
    /// Checks of a read set.
    pub validations: u64,
    /// Blocks run again serially after a failure inside the parallel path.
    pub fallbacks: u64,
}

/// Why a block could not be executed: the node stops.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// State failed below the jobs.
    #[error(transparent)]
    State(#[from] StateError),
    /// A job deferred a change to a key that is not among [`DeferredKeys`]: a bug.
    #[error("transaction {index} deferred a change to {key:?}, which settles at once")]
    NotDeferred {
        /// Its place in the block.
        index: TxIndex,
        /// The key.
        key: Key,
    },
    /// A job panicked over valid state: a bug.
    #[error("transaction {index} panicked: {message}")]
    Panic {
        /// Its place in the block.
        index: TxIndex,
        /// What it said.
        message: String,
    },
}
