//! The head of the block: check, run again if stale, settle, commit. One worker at a time, in block order.
use crate::attempt;
use crate::parallel::Block;
use crate::scheduler::{Commit, Head};
use crate::solo::{self, Ledger, Solo, Under};
use crate::view::Window;
use crate::{BlockInput, ExecError, Job, Outcome, Settle};
use state::TxIndex;
use std::sync::atomic::Ordering;

/// What the committer holds: everything that depends on order.
pub(crate) struct Committer<'s, J: Job> {
    settle: &'s mut dyn Settle<J>,
    outputs: Vec<J::Output>,
    /// What the transaction changed that is settled and not yet wholly committed. With the cells, this is enough to go
    /// on serially if the machinery around fails: settling must not be done twice.
    last: Option<Outcome<()>>,
    failed: Option<ExecError>,
    /// From where on jobs were run one after another, and what they changed.
    alone: Option<(TxIndex, Ledger)>,
}

/// What is left when the workers have gone home.
pub(crate) struct Remains<'s, J: Job> {
    pub(crate) settle: &'s mut dyn Settle<J>,
    pub(crate) outputs: Vec<J::Output>,
    pub(crate) failed: Option<ExecError>,
    pub(crate) last: Option<Outcome<()>>,
    pub(crate) alone: Option<(TxIndex, Ledger)>,
}

impl<'s, J: Job> Committer<'s, J> {
    pub(crate) fn new(settle: &'s mut dyn Settle<J>, jobs: usize) -> Self {
        Self {
            settle,
            outputs: Vec::with_capacity(jobs),
            last: None,
            failed: None,
            alone: None,
        }
    }
    pub(crate) fn remains(self) -> Remains<'s, J> {
        let Self {
            settle,
            outputs,
            last,
            failed,
            alone,
        } = self;
        Remains {
            settle,
            outputs,
            failed,
            last,
            alone,
        }
    }

    /// Commits all that can be committed now.
    pub(crate) fn drain<'w, 'a: 'w>(
        &mut self,
        block: &'w Block<'a, '_, J>,
        window: &'w Window<'a, 'w>,
        scratch: &mut J::Scratch<'w>,
    ) {
        let mut done = Vec::new();
        loop {
            let step = match block.scheduler.advance(&mut done) {
                Head::Rest => return,
                Head::Alone(from) => {
                    let result = self.alone(block, window, from);
                    result.map(|runs| block.scheduler.ran(runs))
                }
                Head::Run(index) => self
                    .head(block, window, scratch, index, false)
                    .map(|commit| done.push(commit)),
                Head::Check(mut range) => range.try_for_each(|index| {
                    done.push(self.head(block, window, scratch, index, true)?);
                    Ok(())
                }),
            };
            if let Err(error) = step {
                self.failed = Some(error);
                block.scheduler.halt();
                return;
            }
        }
    }

    /// Runs and commits all that is left, one after another: each needs the one before.
    fn alone<'w, 'a: 'w>(
        &mut self,
        block: &'w Block<'a, '_, J>,
        window: &'w Window<'a, 'w>,
        from: TxIndex,
    ) -> Result<u64, ExecError> {
        window.at_head(from);
        let layout = block.input.layout();
        self.alone = Some((from, Ledger::empty()));
        let left = block.input.jobs.len() - from as usize;
        let ledger = block.ledger.lock().take().unwrap_or_else(Ledger::empty);
        let view = Solo::new(Under::Jobs(window), layout, left, ledger);
        let (runs, result) = solo::run(&view, block.input, self.settle, &mut self.outputs);
        result?;
        self.alone = Some((from, view.into_ledger()));
        Ok(runs)
    }

    /// Commits the head, of which there is a run already or not.
    fn head<'w, 'a: 'w>(
        &mut self,
        block: &'w Block<'a, '_, J>,
        window: &'w Window<'a, 'w>,
        scratch: &mut J::Scratch<'w>,
        index: TxIndex,
        executed: bool,
    ) -> Result<Commit, ExecError> {
        let job = &block.input.jobs[index as usize];
        let skip = attempt::skip(self.settle, index, job).map_err(|f| f.at(index))?;
        let mut commit = Commit::default();
        let mut finished = if executed {
            block.slots[index as usize].lock().finished.take()
        } else {
            None
        };
        if let Some(outcome) = skip {
            // What a worker left of it, if anything, is dropped.
            commit.spared = !executed;
            self.commit(block, index, outcome, false)?;
            return Ok(commit);
        }
        window.at_head(index);
        if let Some(run) = &finished {
            commit.validated = run.reads.by_key() || block.cells.disturbed(index);
            commit.aborted =
                commit.validated && !(block.faults.skip_validation || window.confirms(&run.reads));
            if commit.aborted {
                finished = None;
                // In this order: a reader that meets an estimate must not find that its writer has executed.
                block.scheduler.reopen(index);
                let slot = block.slots[index as usize].lock();
                block.cells.estimate(index, &slot.written);
            }
        }
        match finished {
            Some(run) => self.commit(block, index, run.outcome, true)?,
            None => {
                let result = attempt::run(job, window, scratch);
                let cut = window.finish().err();
                assert!(
                    cut.is_none(),
                    "transaction {index} was cut short at the head: {cut:?}"
                );
                let outcome = result.map_err(|failure| failure.at(index))?;
                self.commit(block, index, outcome, false)?;
            }
        }
        Ok(commit)
    }

    /// Settles and commits the head, whose outcome may have been `published` already.
    fn commit(
        &mut self,
        block: &Block<'_, '_, J>,
        index: TxIndex,
        mut outcome: Outcome<J::Output>,
        published: bool,
    ) -> Result<(), ExecError> {
        let BlockInput { jobs, .. } = block.input;
        let (shown, keyed) = (outcome.changes.len(), !outcome.writes.is_empty());
        attempt::settle(self.settle, index, &jobs[index as usize], &mut outcome).map_err(|f| f.at(index))?;
        // Settling may have changed the writes, or taken the changes away.
        let same = published && !keyed && outcome.writes.is_empty() && outcome.changes.len() == shown;
        let outcome = self.note(index, outcome, block.faults.break_at);
        let mut slot = block.slots[index as usize].lock();
        if !same {
            block.cells.publish(index, outcome, &mut slot.written);
        }
        block.cells.settle_late(index, outcome, slot.written.late)?;
        block.cells.head.store(index + 1, Ordering::Release);
        self.last = None;
        Ok(())
    }

    /// Keeps output and changes of a settled transaction.
    fn note(
        &mut self,
        index: TxIndex,
        outcome: Outcome<J::Output>,
        break_at: Option<TxIndex>,
    ) -> &Outcome<()> {
        let Outcome {
            changes,
            writes,
            deferred,
            output,
        } = outcome;
        // Nothing can fail between settling and these two lines.
        self.outputs.push(output);
        let last = self.last.insert(Outcome {
            changes,
            writes,
            deferred,
            output: (),
        });
        assert!(
            break_at != Some(index),
            "broken on purpose at transaction {index}"
        );
        last
    }
}
