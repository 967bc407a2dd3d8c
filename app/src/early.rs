//! A proposed block is run before it is decided: in the background, on its parent's snapshot.
//!
//! What comes of it waits here, and `FinalizeBlock` takes it if it decides the very same block on the very same parent;
//! for any other it is dropped, and cancelled if it still runs. Nothing is staged before the decision. At most one
//! block's result is kept, and at most one cancelled run ends beside the one that is wanted.
use crate::api::{AppError, Block};
use crate::app::Head;
use crate::block::{self, BlockOutcome, Machine, NO_HASH};
use crate::job::How;
use crate::learned::Learned;
use crate::modules::Modules;
use crate::tx::Decoder;
use crate::view::StateView;
use executor::AnyExecutor;
use parking_lot::Mutex;
use state::{ChangeSet, EmptyState, Op, StateScan, WriteSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// A main thread's stack: the thread is one of the executor's workers.
const STACK: usize = 8 << 20;

/// A run that was cancelled may take a transaction's time to end, while the next one is there already.
const THREADS_MAX: usize = 2;

/// A block that has been executed, ready to be hashed.
pub(crate) struct Ready {
    pub(crate) outcome: BlockOutcome,
    /// Against the committed state, genesis' own changes included.
    pub(crate) changes: ChangeSet,
}

/// Executes `block` on top of `head`, in the way of `how`. Reads a snapshot and stages nothing.
pub(crate) fn run<S: StateScan + Sync>(
    machine: &Machine<'_>,
    head: &Head<S>,
    block: &Block,
    how: How,
) -> Result<Ready, AppError> {
    let ctx = head.context(block)?;
    let mut outcome = block::execute_as(machine, &head.state, ctx, block, how)?;
    let writes = std::mem::take(&mut outcome.writes);
    let changes = match &head.state {
        StateView::Genesis(genesis) => {
            // Genesis' writes under the first block's (chain.md rule 23).
            let mut all: WriteSet = genesis
                .0
                .iter()
                .map(|(k, v)| (k.clone(), Op::Put(v.clone())))
                .collect();
            all.extend(writes);
            state::normalise(&EmptyState, all)?
        }
        StateView::At(snapshot) => state::normalise(snapshot, writes)?,
    };
    Ok(Ready { outcome, changes })
}

/// What became of proposals. Differs from node to node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarlyStats {
    /// Proposals whose execution began before they were decided.
    pub started: u64,
    /// Of those: the results that were used.
    pub reused: u64,
    /// Of those: thrown away, because something else was decided, or because they failed.
    pub dropped: u64,
    /// Proposals left alone, because a run that was cancelled had not ended yet.
    pub skipped: u64,
}

/// What a run needs for as long as it takes.
pub(crate) struct Shared {
    pub(crate) modules: Arc<Modules>,
    pub(crate) executor: Arc<AnyExecutor>,
    pub(crate) decoder: Arc<Decoder>,
    pub(crate) learned: Option<Arc<Learned>>,
}

/// The run of the newest proposal, and counts.
pub(crate) struct Early<S> {
    runs: Mutex<Runs<S>>,
    /// Threads that have not ended; each holds a clone.
    alive: Arc<()>,
    started: AtomicU64,
    reused: AtomicU64,
    dropped: AtomicU64,
    skipped: AtomicU64,
}

struct Runs<S> {
    current: Option<Run<S>>,
    /// A cancelled run that may not have ended, and that no other run waits for.
    stale: Option<JoinHandle<Option<Ready>>>,
}

struct Run<S> {
    head: Arc<Head<S>>,
    block: Block,
    /// Nobody wants it any more.
    cancelled: Arc<AtomicBool>,
    thread: JoinHandle<Option<Ready>>,
}

impl<S> Run<S> {
    /// Whether the head is `head` and the block, in all that is executed from, is `block`.
    fn is_of(&self, head: &Arc<Head<S>>, block: &Block) -> bool {
        Arc::ptr_eq(&self.head, head) && self.block == *block
    }
    /// Makes it end soon, and does not wait for that.
    fn cancel(self) -> Option<JoinHandle<Option<Ready>>> {
        self.cancelled.store(true, Ordering::Relaxed);
        (!self.thread.is_finished()).then_some(self.thread)
    }
}

impl<S> Default for Early<S> {
    fn default() -> Self {
        Self {
            runs: Mutex::new(Runs {
                current: None,
                stale: None,
            }),
            alive: Arc::new(()),
            started: AtomicU64::new(0),
            reused: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        }
    }
}

impl<S> Early<S> {
    pub(crate) fn stats(&self) -> EarlyStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        EarlyStats {
            started: read(&self.started),
            reused: read(&self.reused),
            dropped: read(&self.dropped),
            skipped: read(&self.skipped),
        }
    }
    /// Cancels what runs and throws away what is ready. Waits until the run has ended, which takes one transaction at
    /// most.
    pub(crate) fn forget(&self) {
        let mut runs = self.runs.lock();
        join(runs.stale.take());
        if let Some(run) = runs.current.take() {
            count(&self.dropped);
            join(run.cancel());
        }
    }
    /// Cancels what still runs, and keeps what is ready: the processors are wanted for something else.
    pub(crate) fn give_way(&self) {
        let mut runs = self.runs.lock();
        join(runs.stale.take());
        let going_on = |run: &mut Run<S>| !run.thread.is_finished();
        if let Some(run) = runs.current.take_if(going_on) {
            count(&self.dropped);
            join(run.cancel());
        }
    }
    /// What is ready, or soon will be, if it is of `block` on top of `head`; anything else is forgotten.
    pub(crate) fn take(&self, head: &Arc<Head<S>>, block: &Block) -> Option<Ready> {
        let mut runs = self.runs.lock();
        join(runs.stale.take());
        let run = runs.current.take()?;
        let ready = if run.is_of(head, block) {
            run.thread.join().ok().flatten()
        } else {
            join(run.cancel());
            None
        };
        count(if ready.is_some() {
            &self.reused
        } else {
            &self.dropped
        });
        ready
    }
}

impl<S: StateScan + Send + Sync + 'static> Early<S> {
    /// Begins to run `block` on top of `head`, in place of what was proposed before.
    pub(crate) fn start(&self, shared: Shared, head: Arc<Head<S>>, block: &Block) {
        if block.hash == NO_HASH || block.height != crate::app::next_height(&head) {
            return;
        }
        let mut runs = self.runs.lock();
        if runs.current.as_ref().is_some_and(|run| run.is_of(&head, block)) {
            // Proposed again, in a later round.
            return;
        }
        // Each run waits for the one before it: the newest is the last to end.
        let mut before = runs.stale.take();
        if let Some(run) = runs.current.take() {
            count(&self.dropped);
            before = run.cancel();
        }
        if Arc::strong_count(&self.alive) > THREADS_MAX {
            count(&self.skipped);
            runs.stale = before;
            return;
        }
        let cancelled = Arc::new(AtomicBool::new(false));
        let work = {
            let (head, block) = (head.clone(), block.clone());
            let (cancelled, alive) = (cancelled.clone(), self.alive.clone());
            move || {
                let _alive = alive;
                join(before);
                let machine = Machine {
                    info: &head.info,
                    modules: &shared.modules,
                    executor: &*shared.executor,
                    decoder: &shared.decoder,
                };
                let how = How {
                    cancelled: Some(cancelled.clone()),
                    learned: shared.learned.clone(),
                    rehearsal: false,
                };
                let ready = run(&machine, &head, &block, how);
                match ready {
                    Ok(ready) => Some(ready),
                    Err(_) if cancelled.load(Ordering::Relaxed) => None,
                    Err(e) => {
                        // Tried again if the block is decided: then the failure counts.
                        tracing::error!(height = block.height, error = %e, "cannot run a proposal");
                        None
                    }
                }
            }
        };
        let spawned = std::thread::Builder::new()
            .name("early-execution".into())
            .stack_size(STACK)
            .spawn(work);
        match spawned {
            Ok(thread) => {
                count(&self.started);
                runs.current = Some(Run {
                    head,
                    block: block.clone(),
                    cancelled,
                    thread,
                });
            }
            Err(e) => tracing::warn!(error = %e, "no thread to run a proposal on"),
        }
    }
}

impl<S> Drop for Early<S> {
    fn drop(&mut self) {
        // A run holds a snapshot, and with it the store.
        let Runs { current, stale } = self.runs.get_mut();
        join(stale.take());
        join(current.take().and_then(Run::cancel));
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Waits for a run whose result nobody wants, also one that panicked.
fn join(thread: Option<JoinHandle<Option<Ready>>>) {
    if let Some(thread) = thread {
        drop(thread.join());
    }
}
