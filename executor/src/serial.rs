//! One after another: the definition of the right answer.
use crate::fold::{Fold, Folded};
use crate::scan::scan_over;
use crate::{BlockInput, ExecError, Executed, Executor, Job, Settle, Stats, attempt};
use state::{Control, Key, KeyRange, StateError, StateRead, StateScan, TxIndex, Value};

/// Runs a block's jobs one after another on the calling thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Executor for Serial {
    fn execute<J: Job>(
        &self,
        input: &BlockInput<'_, J>,
        settle: &mut dyn Settle<J>,
    ) -> Result<Executed<J::Output>, ExecError> {
        let outputs = Vec::with_capacity(input.jobs.len());
        resume(input, settle, Fold::default(), outputs, Stats::default())
    }
}

/// Runs the jobs that come after those with `outputs`, whose changes are in `fold`.
pub(crate) fn resume<J: Job>(
    input: &BlockInput<'_, J>,
    settle: &mut dyn Settle<J>,
    mut fold: Fold,
    mut outputs: Vec<J::Output>,
    mut stats: Stats,
) -> Result<Executed<J::Output>, ExecError> {
    let mut scratch = J::Scratch::default();
    for (index, job) in (0 as TxIndex..).zip(input.jobs).skip(outputs.len()) {
        let mut outcome = match attempt::skip(settle, index, job).map_err(|f| f.at(index))? {
            Some(outcome) => outcome,
            None => {
                stats.executions += 1;
                let view = SerialView {
                    base: input.base,
                    fold: &fold,
                };
                attempt::run(job, &view, &mut scratch).map_err(|f| f.at(index))?
            }
        };
        attempt::settle(settle, index, job, &mut outcome).map_err(|f| f.at(index))?;
        fold.absorb(
            &input.base,
            input.deferred,
            index,
            &outcome.writes,
            &outcome.deferred,
        )?;
        outputs.push(outcome.output);
    }
    Ok(Executed {
        outputs,
        writes: fold.into_writes().collect(),
        stats,
    })
}

/// State after the jobs so far.
pub(crate) struct SerialView<'a> {
    base: &'a (dyn StateScan + Sync),
    fold: &'a Fold,
}

impl<'a> SerialView<'a> {
    pub(crate) fn new(base: &'a (dyn StateScan + Sync), fold: &'a Fold) -> Self {
        Self { base, fold }
    }
}

impl StateRead for SerialView<'_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        self.fold
            .get(key)
            .map(Folded::value)
            .map_or_else(|| self.base.get(key), Ok)
    }
}

impl StateScan for SerialView<'_> {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        let changes = self.fold.range(range);
        if range.descending {
            scan_over(self.base, range, changes.rev(), visit)
        } else {
            scan_over(self.base, range, changes, visit)
        }
    }
}
