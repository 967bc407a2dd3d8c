//! On several threads: guess ahead, check in order.
//!
//! # How a block runs
//!
//! *The law.* A transaction is committed only if everything its last run has read is, by value, what the committed
//! transactions in front of it leave. Its outcome is a function of what it read, so by induction the result is that of
//! `serial.rs`. All else here decides when something runs, never what comes of it.
//!
//! *Locations* (`cell.rs`, `cells.rs`, `track.rs`). Each key, account or slot that the block touches has one cell: the
//! value at block start, read once, and a version from each transaction that wrote there. A version is a change (put,
//! delete, add) that may still be guesswork, an estimate (someone is expected to write here), or a settled value. A reader
//! takes the versions in front of it: adds are summed, in order, over the first absolute value below them. A table finds
//! cells by full key; its hash is seeded, so that nobody can choose keys that collide. A second, ordered index knows the
//! cells that someone writes, for scans.
//!
//! *Views* (`view.rs`, `reads.rs`, `scan.rs`). A run reads through its view, which writes down every read, absence and
//! early ends included: a key with the value seen, a range with the pairs seen and where the reader stopped. Within one
//! run the first read of a key decides. A run that meets an estimate is cut short and parked until the writer has run.
//!
//! *Order of work* (`plan.rs`, `scheduler.rs`). What transactions declare is swept once: expected writes become
//! estimates, and whoever reads or replaces what another is declared to write waits for it before its first run. So
//! chains on one key run in order and nothing is thrown away. Adds wait for nobody. Workers take the lowest transaction
//! that may run, at most a window beyond the head, and before that what is much gas, so that it does not come last. The
//! window narrows where much is thrown away.
//!
//! *The head* (`commit.rs`). There is no coordinator: a worker that finds the first uncommitted transaction idle becomes
//! the committer and goes on until someone else is running the head. If nobody wrote to a place that the run there has
//! read by its typed name since it began, that run is right: readers leave marks, and writers tell those who left one
//! (`Cells::disturbed`). Otherwise it is validated; if it is stale, or there is none, the committer runs the transaction
//! itself. All in front is final then, so this run cannot be stale: at most two runs of a transaction lie on the critical
//! path, each turn at the head commits one, and even a single worker gets to the end. Then the outcome is settled (gas,
//! cut-off, indexes), which may change it, and its changes become settled versions. Who has read otherwise fails its own
//! check, by value, when its turn comes.
//!
//! *One worker* (`solo.rs`). Where threads bring nothing, a block is run by one, without versions; and where it turns out
//! that they bring nothing, the committer runs the rest that way, over what the cells say.
//!
//! *Deferred keys* (`fold.rs`) have no versions. Their changes go, at the head, into the committer's fold. A run that
//! reads such a key, or scans over one, is parked until it is the head, where the fold is exact.
//!
//! *Failures.* An error or a panic ahead of the head may come from values that never were: the run is dropped and the
//! head decides. At the head both are real. If this machinery itself fails, the block is finished by `serial.rs` from
//! what the cells say is committed, and `Stats::fallbacks` says so.
use crate::arena::Apart;
use crate::cells::{Cells, FoldErrors, Store, Written};
use crate::commit::{Committer, Remains};
use crate::fold::Fold;
use crate::plan::Plan;
use crate::reads::ReadSet;
use crate::scheduler::{Report, Scheduler, Task};
use crate::solo::{self, Ledger, Solo, Under};
use crate::typed::Layout;
use crate::view::Window;
use crate::{
    BlockInput, ExecError, Executed, Executor, Job, Outcome, Serial, Settle, Stats, attempt, serial,
};
use parking_lot::Mutex;
use state::{Layered, Op, StateError, StateRead, TxIndex, WriteSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Workers beyond this bring nothing: each would have less than a transaction of the window to itself.
const WORKERS_MAX: usize = 256;

/// A worker's stack, as large as a main thread's: what a transaction may nest must not depend on who runs it.
const STACK: usize = 8 << 20;

/// Runs a block's jobs on several threads. Its threads live as long as it does, and sleep between blocks. Clones share
/// them; two blocks at a time get in each other's way but both finish.
#[derive(Clone)]
pub struct Parallel {
    workers: usize,
    /// One thread less than there are workers: the caller's is the last. `None` where none are needed, or the system
    /// gave none.
    pool: Option<Arc<rayon::ThreadPool>>,
    /// The last block's memory, by how it was run.
    spare: Spare<Box<Store>>,
    ledger: Spare<Ledger>,
    faults: Option<Faults>,
}

impl std::fmt::Debug for Parallel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parallel")
            .field("workers", &self.workers)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// Ways to break or bend the executor, for tests of the tests.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Commit whatever was run first.
    pub skip_validation: bool,
    /// Pick among all that may be done at random, from this seed: with one thread a schedule that replays.
    pub shuffle: Option<u64>,
    /// Fail once this transaction is settled.
    pub break_at: Option<TxIndex>,
}

impl Parallel {
    /// With `threads` workers (at most 256), the calling thread being one of them; 0 means one a core.
    pub fn new(threads: usize) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let workers = if threads == 0 { cores() } else { threads }.min(WORKERS_MAX);
        let pool = (workers > 1).then(|| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(workers - 1)
                .thread_name(|i| format!("executor-{}", i + 1))
                .stack_size(STACK)
                .build()
        });
        Self {
            workers,
            pool: pool.and_then(Result::ok).map(Arc::new),
            spare: Arc::default(),
            ledger: Arc::default(),
            faults: None,
        }
    }
    /// How many workers.
    pub fn threads(&self) -> usize {
        self.workers
    }
    /// Whether it has short cuts for blocks that gain nothing from threads.
    pub(crate) fn shortens(&self) -> bool {
        self.faults.is_none()
    }
    /// The same with faults, and without its short cut for blocks that gain nothing from threads.
    #[doc(hidden)]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }
}

impl Executor for Parallel {
    fn execute<J: Job>(
        &self,
        input: &BlockInput<'_, J>,
        settle: &mut dyn Settle<J>,
    ) -> Result<Executed<J::Output>, ExecError> {
        self.execute_typed(input, settle)?.into_executed(input)
    }
}

/// What a block's jobs did, with its changes still as typed values.
pub struct Folded<T> {
    /// One output a job, in order.
    pub outputs: Vec<T>,
    /// How the work went.
    pub stats: Stats,
    changes: Changes,
}

enum Changes {
    Writes(WriteSet),
    /// Cells, up to the transaction given; what settles late; and what was changed after that.
    Cells(Borrowed<Box<Store>>, TxIndex, Fold, Borrowed<Ledger>),
    Ledger(Borrowed<Ledger>),
}

/// Where what was of use to a block waits for the next one, for its memory.
type Spare<T> = Arc<Mutex<Option<T>>>;

/// What goes back there.
struct Borrowed<T>(Option<T>, Spare<T>);

impl<T> Drop for Borrowed<T> {
    fn drop(&mut self) {
        if let Some(back) = self.0.take() {
            *self.1.lock() = Some(back);
        }
    }
}

impl Borrowed<Ledger> {
    /// All changes in it, made over `base`.
    fn writes(mut self, base: &dyn StateRead, layout: Option<&dyn Layout>) -> Result<WriteSet, StateError> {
        let ledger = self.0.as_mut();
        ledger.map_or_else(
            || Ok(WriteSet::new()),
            |ledger| solo::into_writes(ledger, base, layout),
        )
    }
}

impl<T> std::fmt::Debug for Folded<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folded")
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl<T> Folded<T> {
    /// The same with the changes written out as stored. `input` is what was executed.
    pub fn into_executed<J: Job<Output = T>>(
        self,
        input: &BlockInput<'_, J>,
    ) -> Result<Executed<T>, ExecError> {
        let writes = match self.changes {
            Changes::Writes(writes) => writes,
            Changes::Ledger(ledger) => ledger.writes(&input.base, input.layout())?,
            Changes::Cells(cells, end, side, rest) => {
                let layout = input.layout();
                let mut writes = Vec::new();
                let store = cells.0.iter();
                for (store, loc) in store.flat_map(|store| store.each().map(move |loc| (store, loc))) {
                    if let Some(value) = store.site(loc, &input.base, layout).settled(end)? {
                        writes.push((loc.key(layout), value.map_or(Op::Delete, Op::Put)));
                    }
                }
                // The last of a key counts.
                let mut writes: WriteSet = writes.into_iter().chain(side.into_writes()).collect();
                let before = Layered {
                    base: input.base,
                    writes: &writes,
                };
                let mut rest = rest.writes(&before, layout)?;
                writes.append(&mut rest);
                writes
            }
        };
        Ok(Executed {
            outputs: self.outputs,
            writes,
            stats: self.stats,
        })
    }
}

impl<T> From<Executed<T>> for Folded<T> {
    fn from(done: Executed<T>) -> Self {
        Self {
            outputs: done.outputs,
            stats: done.stats,
            changes: Changes::Writes(done.writes),
        }
    }
}

impl Parallel {
    /// Runs the jobs of `input`, calling `settle` once a job in block order.
    pub fn execute_typed<J: Job>(
        &self,
        input: &BlockInput<'_, J>,
        settle: &mut dyn Settle<J>,
    ) -> Result<Folded<J::Output>, ExecError> {
        let jobs = input.jobs.len();
        if self.faults.is_none() && !gains(input, self.workers) {
            return self.alone(input, settle);
        }
        if jobs == 0 {
            return Ok(Serial.execute(input, settle)?.into());
        }
        let committer = Mutex::new(Committer::new(settle, jobs));
        let mut store = self
            .spare
            .lock()
            .take()
            .unwrap_or_else(|| Box::new(Store::new(jobs)));
        store.clear(jobs);
        let cells = Cells::new(&store, input.base, input.layout(), input.deferred, jobs);
        let run = catch_unwind(AssertUnwindSafe(|| self.run(input, &cells, &committer)));
        let Remains {
            settle,
            outputs,
            last,
            failed,
            alone,
        } = committer.into_inner().remains();
        let end = TxIndex::try_from(outputs.len()).expect("transactions are counted in u32");
        if failed.is_some() {
            // What only the sum of adds shows comes to light here; it may come before what stopped the block.
            cells.fold(alone.as_ref().map_or(end, |(from, _)| *from))?;
        }
        if let Some(error) = failed {
            return Err(error);
        }
        match run {
            Ok(Some((stats, errors))) if outputs.len() == jobs => {
                if let Some(error) = errors.into_values().next() {
                    return Err(error.into());
                }
                let side = std::mem::take(&mut *cells.side.lock());
                drop(cells);
                let (end, rest) = alone.map_or((end, None), |(from, ledger)| (from, Some(ledger)));
                let rest = Borrowed(rest, self.ledger.clone());
                let store = Borrowed(Some(store), self.spare.clone());
                Ok(Folded {
                    outputs,
                    stats,
                    changes: Changes::Cells(store, end, side, rest),
                })
            }
            // That was the serial way already.
            _ if alone.is_some() => Err(ExecError::Panic {
                index: end,
                message: "the executor failed".to_owned(),
            }),
            _ => {
                let mut fold = cells.committed(end - TxIndex::from(last.is_some()))?;
                if let Some(outcome) = &last {
                    fold.absorb(&input.base, input.layout(), input.deferred, end - 1, outcome)?;
                }
                let stats = Stats {
                    executions: u64::from(end),
                    fallbacks: 1,
                    ..Stats::default()
                };
                Ok(serial::resume(input, settle, fold, outputs, stats)?.into())
            }
        }
    }

    /// Runs the jobs one after another on the calling thread.
    fn alone<J: Job>(
        &self,
        input: &BlockInput<'_, J>,
        settle: &mut dyn Settle<J>,
    ) -> Result<Folded<J::Output>, ExecError> {
        let jobs = input.jobs.len();
        let mut outputs = Vec::with_capacity(jobs);
        let ledger = self.ledger.lock().take().unwrap_or_else(Ledger::empty);
        let under = Under::Start(input.base, input.layout());
        let view = Solo::new(under, input.layout(), jobs, ledger);
        let mut run = || solo::run(&view, input, settle, &mut outputs);
        let (executions, result) = match &self.pool {
            Some(pool) if jobs >= MANY => pool.in_place_scope(|scope| {
                scope.spawn(|_| solo::read_ahead(input));
                run()
            }),
            _ => run(),
        };
        let ledger = Borrowed(Some(view.into_ledger()), self.ledger.clone());
        result?;
        Ok(Folded {
            outputs,
            stats: Stats {
                executions,
                ..Stats::default()
            },
            changes: Changes::Ledger(ledger),
        })
    }

    /// Runs the block; `None` where the machinery failed.
    fn run<J: Job>(
        &self,
        input: &BlockInput<'_, J>,
        cells: &Cells<'_>,
        committer: &Mutex<Committer<'_, J>>,
    ) -> Option<(Stats, FoldErrors)> {
        let workers = self.workers.min(input.jobs.len());
        let mut plan = Plan::new(input, cells);
        let faults = self.faults.unwrap_or(Faults {
            skip_validation: false,
            shuffle: None,
            break_at: None,
        });
        let slots = plan
            .expected
            .drain(..)
            .map(|locs| {
                Mutex::new(Slot {
                    written: Written::expected(locs),
                    finished: None,
                })
            })
            .collect();
        let yields = self.faults.is_none();
        let scheduler = Apart(Scheduler::new(&mut plan, workers, faults.shuffle, yields));
        let block = Block {
            input,
            cells,
            slots,
            scheduler,
            faults,
            ledger: &self.ledger,
        };
        let broken = Mutex::new(false);
        let errors = Mutex::new(FoldErrors::new());
        let work = |worker: u32| {
            let all = catch_unwind(AssertUnwindSafe(|| {
                block.work(committer);
                // What only the sum of adds shows comes to light now.
                if let Some(end) = block.scheduler.finished() {
                    let mut found = FoldErrors::new();
                    cells.fold_part(end, (worker, workers as u32), &mut found);
                    errors.lock().append(&mut found);
                }
            }));
            if all.is_err() {
                *broken.lock() = true;
                block.scheduler.halt();
            }
        };
        if workers > 1 {
            // The scope's threads park in the scheduler, never in rayon, so that no job can be stolen into another.
            self.pool.as_ref()?.in_place_scope(|scope| {
                let work = &work;
                (1..workers as u32).for_each(|worker| scope.spawn(move |_| work(worker)));
                work(0);
            });
        } else {
            work(0);
        }
        (!broken.into_inner()).then(|| (block.scheduler.stats(), errors.into_inner()))
    }
}

/// Jobs for which it pays to wake a thread that reads ahead.
const MANY: usize = 256;

/// Whether more than one worker can bring anything: not in a block that is run before another thread is awake, nor in
/// one whose jobs nearly all wait for each other; nor, for a few workers, where jobs are done sooner than compared.
fn gains<J: Job>(input: &BlockInput<'_, J>, workers: usize) -> bool {
    /// Gas that takes about as long as waking a thread and sharing with it.
    const SMALL: u64 = 1_500_000;
    /// Jobs looked at.
    const SAMPLE: usize = 16;
    /// Gas of a job that is soon done, and how many workers it takes to do many of them sooner than one.
    const LIGHT: u64 = 25_000;
    const FEW: usize = 4;
    let mut weights = input.jobs.iter().map(Job::weight);
    let enough = weights.try_fold(0u64, |sum, weight| {
        let sum = sum.saturating_add(weight);
        if sum < SMALL { Ok(sum) } else { Err(()) }
    });
    if workers < 2 || input.jobs.len() < 2 || enough.is_ok() {
        return false;
    }
    let sample = || input.jobs.iter().step_by(input.jobs.len().div_ceil(SAMPLE));
    let nearly_all = |count: usize| count * 10 >= sample().count() * 9;
    let lane = |job: &J| {
        job.lane().map_or(0, |lane| {
            sample().filter(|other| other.lane() == Some(lane)).count()
        })
    };
    if nearly_all(sample().map(lane).max().unwrap_or(0)) {
        return false;
    }
    workers >= FEW || !nearly_all(sample().filter(|job| job.weight() <= LIGHT).count())
}

/// A block while it runs.
pub(crate) struct Block<'a, 'i, J: Job> {
    pub(crate) input: &'i BlockInput<'i, J>,
    pub(crate) cells: &'i Cells<'a>,
    pub(crate) slots: Vec<Mutex<Slot<'a, J::Output>>>,
    pub(crate) scheduler: Apart<Scheduler>,
    pub(crate) faults: Faults,
    pub(crate) ledger: &'i Mutex<Option<Ledger>>,
}

/// What belongs to whoever runs or commits a transaction. The scheduler sees to it that this is one at a time.
pub(crate) struct Slot<'a, T> {
    /// The locations that hold a version of it.
    pub(crate) written: Written<'a>,
    /// The run that waits to be committed.
    pub(crate) finished: Option<Box<Finished<'a, T>>>,
}

/// A run ahead of the head.
pub(crate) struct Finished<'a, T> {
    pub(crate) outcome: Outcome<T>,
    pub(crate) reads: ReadSet<'a>,
}

impl<'a, J: Job> Block<'a, '_, J> {
    /// A worker's life.
    fn work(&self, committer: &Mutex<Committer<'_, J>>) {
        let window = Window::new(self.cells);
        let mut scratch = J::Scratch::default();
        let mut reports = Vec::new();
        loop {
            match self.scheduler.next(&mut reports) {
                Task::Done => return,
                Task::Run(range) => {
                    for index in range {
                        reports.push(self.run(index, &window, &mut scratch));
                    }
                }
                Task::Commit => committer.lock().drain(self, &window, &mut scratch),
            }
        }
    }
    /// Runs transaction `index` ahead of the head.
    fn run<'w>(&'w self, index: TxIndex, window: &'w Window<'a, 'w>, scratch: &mut J::Scratch<'w>) -> Report {
        window.ahead(index);
        let result = attempt::run(&self.input.jobs[index as usize], window, scratch);
        // First of all: a job that hid the view's refusal may have returned anything.
        let reads = match window.finish() {
            Ok(reads) => reads,
            Err(cut) => return Report::Cut(index, cut),
        };
        let Ok(outcome) = result else {
            return Report::Failed(index);
        };
        let mut slot = self.slots[index as usize].lock();
        self.cells.publish(index, &outcome, &mut slot.written);
        slot.finished = Some(Box::new(Finished { outcome, reads }));
        Report::Executed(index)
    }
}
