//! The head of the block: check, run again if stale, settle, commit. One worker at a time, in block order.
use crate::attempt::{self, Failure};
use crate::fold::Fold;
use crate::parallel::Block;
use crate::scheduler::{Commit, Head};
use crate::view::View;
use crate::{BlockInput, ExecError, Job, Outcome, Settle};
use state::{Deferral, TxIndex, WriteSet};

/// What the committer holds: everything that depends on order.
pub(crate) struct Committer<'s, J: Job> {
    settle: &'s mut dyn Settle<J>,
    /// The values of deferred keys.
    side: Fold,
    outputs: Vec<J::Output>,
    /// What each settled transaction changed. If the machinery around fails, this is enough to go on serially: settling
    /// must not be done twice.
    log: Vec<(WriteSet, Vec<Deferral>)>,
    failed: Option<ExecError>,
}

/// What is left when the workers have gone home.
pub(crate) struct Remains<'s, J: Job> {
    pub(crate) settle: &'s mut dyn Settle<J>,
    pub(crate) side: Fold,
    pub(crate) outputs: Vec<J::Output>,
    pub(crate) failed: Option<ExecError>,
    pub(crate) log: Vec<(WriteSet, Vec<Deferral>)>,
}

impl<'s, J: Job> Committer<'s, J> {
    pub(crate) fn new(settle: &'s mut dyn Settle<J>, jobs: usize) -> Self {
        let (outputs, log) = (Vec::with_capacity(jobs), Vec::with_capacity(jobs));
        Self {
            settle,
            side: Fold::default(),
            outputs,
            log,
            failed: None,
        }
    }
    pub(crate) fn remains(self) -> Remains<'s, J> {
        let Self {
            settle,
            side,
            outputs,
            log,
            failed,
        } = self;
        Remains {
            settle,
            side,
            outputs,
            failed,
            log,
        }
    }

    /// Commits all that can be committed now.
    pub(crate) fn drain(&mut self, block: &Block<'_, '_, J>, scratch: &mut J::Scratch) {
        let mut done = None;
        loop {
            let head = block.scheduler.advance(done.take());
            let (Head::Run(index) | Head::Check(index)) = head else {
                return;
            };
            let skip = attempt::skip(self.settle, index, &block.input.jobs[index as usize]);
            let step = match (skip, head) {
                (Err(failure), _) => Err(failure.at(index)),
                (Ok(Some(outcome)), head) => {
                    // What a worker left of it, if anything, is dropped: `commit` takes its versions back.
                    block.slots[index as usize].lock().finished = None;
                    let spared = matches!(head, Head::Run(_));
                    Ok((
                        index,
                        outcome,
                        Commit {
                            spared,
                            ..Commit::default()
                        },
                    ))
                }
                (Ok(None), Head::Check(_)) => self.check(block, index, scratch),
                (Ok(None), _) => self
                    .run(block, index, scratch)
                    .map(|outcome| (index, outcome, Commit::default())),
            };
            let step = step.and_then(|(index, outcome, commit)| {
                self.commit(block, index, outcome)?;
                Ok(commit)
            });
            match step {
                Ok(commit) => done = Some(commit),
                Err(error) => {
                    self.failed = Some(error);
                    block.scheduler.halt();
                    return;
                }
            }
        }
    }

    /// Validates the run that a worker left; runs again if it read what is not so.
    #[allow(clippy::type_complexity, reason = "one step of the loop above")]
    fn check(
        &self,
        block: &Block<'_, '_, J>,
        index: TxIndex,
        scratch: &mut J::Scratch,
    ) -> Result<(TxIndex, Outcome<J::Output>, Commit), ExecError> {
        let finished = block.slots[index as usize].lock().finished.take();
        let finished = finished.expect("an executed transaction has left its run");
        let now = View::at_head(&block.cells, index, &self.side);
        if block.faults.skip_validation || finished.reads.holds(&now) {
            return Ok((
                index,
                finished.outcome,
                Commit {
                    validated: true,
                    ..Commit::default()
                },
            ));
        }
        // In this order: a reader that meets an estimate must not find that its writer has executed.
        block.scheduler.reopen(index);
        block.slots[index as usize]
            .lock()
            .written
            .iter()
            .for_each(|cell| cell.estimate(index));
        let outcome = self.run(block, index, scratch)?;
        Ok((
            index,
            outcome,
            Commit {
                validated: true,
                aborted: true,
                ..Commit::default()
            },
        ))
    }

    /// Runs the head. All in front of it is committed, so that this run cannot be stale.
    fn run(
        &self,
        block: &Block<'_, '_, J>,
        index: TxIndex,
        scratch: &mut J::Scratch,
    ) -> Result<Outcome<J::Output>, ExecError> {
        let view = View::at_head(&block.cells, index, &self.side);
        let result = attempt::run(&block.input.jobs[index as usize], &view, scratch);
        let cut = view.finish().err();
        assert!(
            cut.is_none(),
            "transaction {index} was cut short at the head: {cut:?}"
        );
        result.map_err(|failure: Failure| failure.at(index))
    }

    /// Settles and commits the head.
    fn commit(
        &mut self,
        block: &Block<'_, '_, J>,
        index: TxIndex,
        mut outcome: Outcome<J::Output>,
    ) -> Result<(), ExecError> {
        let BlockInput { base, jobs, deferred } = block.input;
        attempt::settle(self.settle, index, &jobs[index as usize], &mut outcome).map_err(|f| f.at(index))?;
        let Outcome {
            writes,
            deferred: late,
            output,
        } = outcome;
        // Nothing can fail between settling and these two lines.
        self.outputs.push(output);
        self.log.push((writes, late));
        assert!(
            block.faults.break_at != Some(index),
            "broken on purpose at transaction {index}"
        );

        let (writes, late) = &self.log[index as usize];
        let written = std::mem::take(&mut block.slots[index as usize].lock().written);
        let side = &mut self.side;
        block
            .cells
            .commit(index, writes, written, &mut |key, op| side.write(base, key, op))?;
        late.iter()
            .try_for_each(|deferral| side.defer(base, deferred, index, deferral))
    }
}
