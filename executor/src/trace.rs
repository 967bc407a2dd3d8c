//! What a block's jobs did to each other: run one after another, with every read and change noted.
//!
//! A trace tells which jobs needed which, through which key, and what each cost. It says what any scheduler could reach
//! on the block ([`crate::simulate`]) and why; it never takes part in a result.
use crate::fold::Fold;
use crate::serial::SerialView;
use crate::typed::{Account, Layout, Payer, Place, View};
use crate::{BlockInput, ExecError, Executed, Executor, Job, Settle, Stats, attempt};
use parking_lot::Mutex;
use state::{Control, Key, KeyRange, Op, StateError, StateRead, StateScan, TxIndex, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use types::{Address, B256, U256};

/// Needs noted of one job; more are dropped, the most recent first kept.
const NEEDS_MAX: usize = 256;

/// What the jobs of a block did, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// One entry a job.
    pub jobs: Vec<Traced>,
}

/// What one job did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traced {
    /// What its run took, in the meter's unit; 0 where it was not run.
    pub cost: u64,
    /// Earlier jobs whose changes it read, by place and key.
    pub needs: Vec<Need>,
    /// The keys it changed: a write that left a value as it was is none.
    pub changes: Vec<Key>,
}

/// A job read what an earlier one had changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The earlier job.
    pub on: TxIndex,
    /// The key that both touched.
    pub key: Key,
    /// How.
    pub kind: NeedKind,
}

/// How a job needed an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NeedKind {
    /// It read the key.
    Read,
    /// It read a range with the key in it.
    Scan,
    /// It read a key whose changes are deferred, so it had to wait for all in front of it.
    Deferred,
}

/// Runs a block as [`crate::Serial`] does and keeps its [`Trace`]. `meter` tells the time, in a unit of its own choice.
pub struct Tracing<'m> {
    meter: &'m (dyn Fn() -> u64 + Sync),
    trace: Mutex<Trace>,
}

impl std::fmt::Debug for Tracing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracing").finish_non_exhaustive()
    }
}

impl<'m> Tracing<'m> {
    /// An executor that has run nothing.
    pub fn new(meter: &'m (dyn Fn() -> u64 + Sync)) -> Self {
        Self {
            meter,
            trace: Mutex::default(),
        }
    }
    /// What the last block's jobs did.
    pub fn into_trace(self) -> Trace {
        self.trace.into_inner()
    }
}

impl Executor for Tracing<'_> {
    fn execute<J: Job>(
        &self,
        input: &BlockInput<'_, J>,
        settle: &mut dyn Settle<J>,
    ) -> Result<Executed<J::Output>, ExecError> {
        let (mut changers, mut trace) = (Changers::default(), Trace::default());
        let (mut outputs, mut stats) = (Vec::new(), Stats::default());
        let view = TracingView {
            under: SerialView::new(input.base, input.layout(), Fold::default()),
            layout: input.layout(),
            input_deferred: input.deferred,
            keys: RefCell::default(),
            ranges: RefCell::default(),
        };
        {
            let mut scratch = J::Scratch::default();
            for (index, job) in (0 as TxIndex..).zip(input.jobs) {
                let mut traced = Traced::default();
                let mut outcome = match attempt::skip(settle, index, job).map_err(|f| f.at(index))? {
                    Some(outcome) => outcome,
                    None => {
                        stats.executions += 1;
                        view.keys.borrow_mut().clear();
                        view.ranges.borrow_mut().clear();
                        let begun = (self.meter)();
                        let outcome = attempt::run(job, &view, &mut scratch).map_err(|f| f.at(index))?;
                        traced.cost = (self.meter)().saturating_sub(begun);
                        traced.needs = changers.needs(index, &view);
                        outcome
                    }
                };
                attempt::settle(settle, index, job, &mut outcome).map_err(|f| f.at(index))?;
                let mut writes = outcome.writes.clone();
                for change in &outcome.changes {
                    let (key, op) = Fold::as_op(&view.under, view.layout, &change.place, &change.to)?;
                    writes.insert(key, op);
                }
                for (key, op) in &writes {
                    if let Some(absolute) = changes(&view.under, key, op)? {
                        changers.changed(key, index, absolute);
                        traced.changes.push(key.clone());
                    }
                }
                view.under.absorb(input.deferred, index, &outcome)?;
                outputs.push(outcome.output);
                trace.jobs.push(traced);
            }
        }
        *self.trace.lock() = trace;
        Ok(Executed {
            outputs,
            writes: view.under.into_writes(),
            stats,
        })
    }
}

/// Whether `op` changes what is under `key`, and if so, whether it replaces it (`true`) or adds to it.
fn changes(before: &SerialView<'_>, key: &Key, op: &Op) -> Result<Option<bool>, StateError> {
    Ok(match op {
        Op::Put(value) => (before.get(key)?.as_ref() != Some(value)).then_some(true),
        Op::Delete => before.get(key)?.is_some().then_some(true),
        Op::Add(delta) => (!delta.amount.is_zero()).then_some(false),
    })
}

/// Who gave each key the value it has: one that replaced it, and those that added to it since.
#[derive(Default)]
struct Changers(BTreeMap<Key, Vec<TxIndex>>);

impl Changers {
    fn changed(&mut self, key: &Key, index: TxIndex, replaced: bool) {
        let list = self.0.entry(key.clone()).or_default();
        if replaced {
            list.clear();
        }
        list.push(index);
    }
    /// What job `index`, which saw `view`, needed.
    fn needs(&self, index: TxIndex, view: &TracingView<'_>) -> Vec<Need> {
        let mut needs = BTreeSet::new();
        let mut add = |key: &Key, on: &[TxIndex], kind| {
            for on in on.iter().rev().take(NEEDS_MAX) {
                needs.insert(Need {
                    on: *on,
                    key: key.clone(),
                    kind,
                });
            }
        };
        for key in &*view.keys.borrow() {
            if view.input_deferred.contains(key) && index > 0 {
                add(key, &[index - 1], NeedKind::Deferred);
            } else if let Some(on) = self.0.get(key) {
                add(key, on, NeedKind::Read);
            }
        }
        for range in &*view.ranges.borrow() {
            for (key, on) in self.0.range(range.bounds()) {
                add(key, on, NeedKind::Scan);
            }
        }
        let surplus = needs.len().saturating_sub(NEEDS_MAX);
        needs.into_iter().skip(surplus).collect()
    }
}

/// State after the jobs so far, with what is read noted.
struct TracingView<'a> {
    under: SerialView<'a>,
    layout: Option<&'a dyn Layout>,
    input_deferred: &'a crate::DeferredKeys,
    keys: RefCell<BTreeSet<Key>>,
    ranges: RefCell<BTreeSet<KeyRange>>,
}

impl StateRead for TracingView<'_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        self.keys.borrow_mut().insert(key.clone());
        self.under.get(key)
    }
}

impl StateScan for TracingView<'_> {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        self.ranges.borrow_mut().insert(range.clone());
        self.under.scan(range, visit)
    }
}

impl TracingView<'_> {
    fn note(&self, places: &[Place]) {
        let mut keys = self.keys.borrow_mut();
        keys.extend(places.iter().filter_map(|place| Some(self.layout?.key(place))));
    }
}

impl View for TracingView<'_> {
    fn account(&self, who: &Address) -> Result<Account, StateError> {
        self.note(&[Place::Nonce(*who), Place::Balance(*who), Place::Code(*who)]);
        self.under.account(who)
    }
    fn code_hash(&self, who: &Address) -> Result<(u32, B256), StateError> {
        self.note(&[Place::Code(*who)]);
        self.under.code_hash(who)
    }
    fn payer(&self, who: &Address, least: U256) -> Result<Payer, StateError> {
        let payer = self.under.payer(who, least)?;
        self.note(&[Place::Nonce(*who), Place::Code(*who)]);
        if !payer.funded {
            self.note(&[Place::Balance(*who)]);
        }
        Ok(payer)
    }
    fn slot(&self, who: &Address, id: u32, slot: U256) -> Result<U256, StateError> {
        self.note(&[Place::Slot(*who, slot)]);
        self.under.slot(who, id, slot)
    }
}
