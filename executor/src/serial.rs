//! One after another: the definition of the right answer.
use crate::fold::{Fold, Folded};
use crate::scan::scan_over;
use crate::typed::{Account, Layout, Place, View, required};
use crate::{BlockInput, DeferredKeys, ExecError, Executed, Executor, Job, Outcome, Settle, Stats, attempt};
use state::{Control, Key, KeyRange, StateError, StateRead, StateScan, TxIndex, Value, WriteSet};
use std::cell::RefCell;
use types::{Address, B256, U256};

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
    fold: Fold,
    mut outputs: Vec<J::Output>,
    mut stats: Stats,
) -> Result<Executed<J::Output>, ExecError> {
    let view = SerialView::new(input.base, input.layout(), fold);
    {
        let mut scratch = J::Scratch::default();
        for (index, job) in (0 as TxIndex..).zip(input.jobs).skip(outputs.len()) {
            let mut outcome = match attempt::skip(settle, index, job).map_err(|f| f.at(index))? {
                Some(outcome) => outcome,
                None => {
                    stats.executions += 1;
                    attempt::run(job, &view, &mut scratch).map_err(|f| f.at(index))?
                }
            };
            attempt::settle(settle, index, job, &mut outcome).map_err(|f| f.at(index))?;
            view.absorb(input.deferred, index, &outcome)?;
            outputs.push(outcome.output);
        }
    }
    Ok(Executed {
        outputs,
        writes: view.into_writes(),
        stats,
    })
}

/// State after the jobs so far.
pub(crate) struct SerialView<'a> {
    base: &'a (dyn StateScan + Sync),
    layout: Option<&'a dyn Layout>,
    fold: RefCell<Fold>,
}

impl<'a> SerialView<'a> {
    /// State after jobs whose changes are in `fold`.
    pub(crate) fn new(base: &'a (dyn StateScan + Sync), layout: Option<&'a dyn Layout>, fold: Fold) -> Self {
        Self {
            base,
            layout,
            fold: RefCell::new(fold),
        }
    }
    /// Makes the changes of transaction `index`.
    pub(crate) fn absorb<T>(
        &self,
        deferred: &DeferredKeys,
        index: TxIndex,
        outcome: &Outcome<T>,
    ) -> Result<(), ExecError> {
        let mut fold = self.fold.borrow_mut();
        fold.absorb(&self.base, self.layout, deferred, index, outcome)
    }
    /// All changes.
    pub(crate) fn into_writes(self) -> WriteSet {
        self.fold.into_inner().into_writes().collect()
    }
    fn word(&self, place: Place) -> Result<U256, StateError> {
        required(self.layout)?.read(&self, &place)
    }
}

impl StateRead for SerialView<'_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        let changed = self.fold.borrow().get(key).map(Folded::value);
        changed.map_or_else(|| self.base.get(key), Ok)
    }
}

impl StateScan for SerialView<'_> {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        let fold = self.fold.borrow();
        let changes = fold.range(range);
        if range.descending {
            scan_over(self.base, range, changes.rev(), visit)
        } else {
            scan_over(self.base, range, changes, visit)
        }
    }
}

impl View for SerialView<'_> {
    fn account(&self, who: &Address) -> Result<Account, StateError> {
        let nonce = self.word(Place::Nonce(*who))?;
        Ok(Account {
            id: 0,
            nonce: u64::try_from(nonce).unwrap_or(u64::MAX),
            balance: self.word(Place::Balance(*who))?,
            code_hash: self.word(Place::Code(*who))?.into(),
        })
    }
    fn code_hash(&self, who: &Address) -> Result<(u32, B256), StateError> {
        Ok((0, self.word(Place::Code(*who))?.into()))
    }
    fn slot(&self, who: &Address, _: u32, slot: U256) -> Result<U256, StateError> {
        self.word(Place::Slot(*who, slot))
    }
}
