//! One after another and fast: what a single worker does, and any number where nothing is to be gained.
//!
//! Typed places are found by account and slot and changed where they lie. All else, and typed places that someone wrote
//! as bytes, are in a [`Fold`], as in `serial.rs`, which says what the right answer is.
use crate::fold::{Fold, Folded};
use crate::scan::{Over, scan_over};
use crate::typed::{Account, Change, Layout, Place, To, View, numbers, required, slot_numbers};
use crate::{BlockInput, DeferredKeys, ExecError, Job, Outcome, Settle, attempt};
use hashbrown::HashTable;
use state::{
    Control, Deferral, Key, KeyRange, Op, StateError, StateRead, StateScan, TxIndex, Value, WriteSet,
};
use std::cell::RefCell;
use std::hash::BuildHasher;
use types::{Address, B256, U256};

/// Bits of [`Holder::changed`] and [`Holder::raw`].
const NONCE: u8 = 1;
const BALANCE: u8 = 2;
const CODE: u8 = 4;

/// An account as it is now.
#[derive(Debug)]
struct Holder {
    now: Account,
    who: Address,
    /// What was changed,
    changed: u8,
    /// and what is to be looked for among the keys: it was written as bytes.
    raw: u8,
}

/// A slot as it is now.
#[derive(Debug)]
struct Slot {
    word: U256,
    slot: U256,
    account: u32,
    changed: bool,
    raw: bool,
}

/// State after the jobs so far. Kept from block to block for its memory.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    accounts: Vec<Holder>,
    by_address: HashTable<u32>,
    slots: Vec<Slot>,
    by_slot: HashTable<u32>,
    keys: Fold,
}

impl Ledger {
    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self::default()
    }
    /// Empties it, and keeps the memory.
    fn clear(&mut self) {
        self.accounts.clear();
        self.by_address.clear();
        self.slots.clear();
        self.by_slot.clear();
        self.keys = Fold::default();
    }
}

/// Where a typed place lies.
#[derive(Clone, Copy, Debug)]
enum Spot {
    Account(u32, u8),
    Slot(u32),
}

/// What a ledger is laid over.
#[derive(Clone, Copy)]
pub(crate) enum Under<'a> {
    /// State at block start.
    Start(&'a (dyn StateScan + Sync), Option<&'a dyn Layout>),
    /// What earlier jobs, run in another way, left.
    Jobs(&'a dyn View),
}

impl Under<'_> {
    fn account(&self, who: &Address) -> Result<Account, StateError> {
        match self {
            Self::Start(state, layout) => required(*layout)?.account(state, who),
            Self::Jobs(view) => view.account(who),
        }
    }
    fn slot(&self, who: &Address, slot: U256) -> Result<U256, StateError> {
        match self {
            Self::Start(state, layout) => required(*layout)?.slot(state, who, slot),
            Self::Jobs(view) => view.slot(who, u32::MAX, slot),
        }
    }
}

impl StateRead for Under<'_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        match self {
            Self::Start(state, _) => state.get(key),
            Self::Jobs(view) => view.get(key),
        }
    }
}

impl StateScan for Under<'_> {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        match self {
            Self::Start(state, _) => state.scan(range, visit),
            Self::Jobs(view) => view.scan(range, visit),
        }
    }
}

/// State as a job finds it.
pub(crate) struct Solo<'a> {
    base: Under<'a>,
    layout: Option<&'a dyn Layout>,
    /// Seeded afresh, so that nobody can choose keys that collide.
    hasher: foldhash::fast::RandomState,
    ledger: RefCell<Ledger>,
    /// The key that was last deferred to, and its place: the fee collector's, nearly always.
    late: RefCell<Option<(Key, Option<Place>)>>,
}

/// Runs the jobs of a block that come after those with `outputs`. Gives how many it ran, and why it stopped where it did
/// not get to the end.
pub(crate) fn run<'a, J: Job>(
    view: &'a Solo<'a>,
    input: &'a BlockInput<'a, J>,
    settle: &mut dyn Settle<J>,
    outputs: &mut Vec<J::Output>,
) -> (u64, Result<(), ExecError>) {
    let mut runs = 0;
    let mut scratch = J::Scratch::default();
    for (index, job) in (0 as TxIndex..).zip(input.jobs).skip(outputs.len()) {
        let mut one = || -> Result<J::Output, ExecError> {
            let mut outcome = match attempt::skip(settle, index, job).map_err(|f| f.at(index))? {
                Some(outcome) => outcome,
                None => {
                    runs += 1;
                    attempt::run(job, view, &mut scratch).map_err(|f| f.at(index))?
                }
            };
            attempt::settle(settle, index, job, &mut outcome).map_err(|f| f.at(index))?;
            view.absorb(input.deferred, index, &outcome)?;
            Ok(outcome.output)
        };
        match one() {
            Ok(output) => outputs.push(output),
            Err(error) => return (runs, Err(error)),
        }
    }
    (runs, Ok(()))
}

/// Reads at block start what the jobs are sure to read, and forgets it: on another thread it is on its way for them by
/// the time they run.
pub(crate) fn read_ahead<J: Job>(input: &BlockInput<'_, J>) {
    let Some(layout) = input.layout() else { return };
    for job in input.jobs {
        job.announce(&mut |who| {
            // An error is met again by who reads.
            let _ = std::hint::black_box(layout.account(&input.base, who));
        });
    }
}

impl<'a> Solo<'a> {
    /// State before the first of `jobs` jobs.
    pub(crate) fn new(
        base: Under<'a>,
        layout: Option<&'a dyn Layout>,
        jobs: usize,
        mut ledger: Ledger,
    ) -> Self {
        ledger.clear();
        let hasher = foldhash::fast::RandomState::default();
        let never = |_: &u32| 0;
        ledger.by_address.reserve(jobs * 2, never);
        ledger.by_slot.reserve(jobs * 2, never);
        Self {
            base,
            layout,
            hasher,
            ledger: RefCell::new(ledger),
            late: RefCell::new(None),
        }
    }
    /// What was changed.
    pub(crate) fn into_ledger(self) -> Ledger {
        self.ledger.into_inner()
    }

    fn layout(&self) -> Result<&'a dyn Layout, StateError> {
        required(self.layout)
    }
    fn hash_slot(&self, account: u32, slot: &U256) -> u64 {
        self.hasher.hash_one(slot_numbers(account, slot))
    }
    /// The account of `who`, read on first sight.
    fn holder(&self, ledger: &mut Ledger, who: &Address) -> Result<u32, StateError> {
        let hash = self.hasher.hash_one(numbers(who));
        let Ledger {
            accounts, by_address, ..
        } = ledger;
        if let Some(at) = by_address.find(hash, |at| accounts[*at as usize].who == *who) {
            return Ok(*at);
        }
        self.layout()?;
        let id = u32::try_from(accounts.len()).expect("gas bounds the accounts far below 2^32");
        let (now, raw) = match self.base.account(who) {
            Ok(now) => (now, 0),
            // Whoever reads what cannot be read is told then.
            Err(_) => (Account::default(), NONCE | BALANCE | CODE),
        };
        accounts.push(Holder {
            now: Account { id, ..now },
            who: *who,
            changed: 0,
            raw,
        });
        by_address.insert_unique(hash, id, |at| {
            self.hasher.hash_one(numbers(&accounts[*at as usize].who))
        });
        Ok(id)
    }
    /// The account called `id`, where it is `who`'s; otherwise the one that is.
    fn holder_by_id(&self, ledger: &mut Ledger, id: u32, who: &Address) -> Result<u32, StateError> {
        match ledger.accounts.get(id as usize) {
            Some(holder) if holder.who == *who => Ok(id),
            _ => self.holder(ledger, who),
        }
    }
    /// A slot, read on first sight.
    fn slot_of(
        &self,
        ledger: &mut Ledger,
        who: &Address,
        account: u32,
        slot: &U256,
    ) -> Result<u32, StateError> {
        let account = self.holder_by_id(ledger, account, who)?;
        let hash = self.hash_slot(account, slot);
        let Ledger { slots, by_slot, .. } = ledger;
        let same = |s: &Slot| s.slot == *slot && s.account == account;
        if let Some(at) = by_slot.find(hash, |at| same(&slots[*at as usize])) {
            return Ok(*at);
        }
        let at = u32::try_from(slots.len()).expect("gas bounds the slots far below 2^32");
        let (word, raw) = match self.base.slot(who, *slot) {
            Ok(word) => (word, false),
            Err(_) => (U256::ZERO, true),
        };
        slots.push(Slot {
            word,
            raw,
            slot: *slot,
            account,
            changed: false,
        });
        by_slot.insert_unique(hash, at, |at| {
            let s = &slots[*at as usize];
            self.hash_slot(s.account, &s.slot)
        });
        Ok(at)
    }
    fn spot(&self, ledger: &mut Ledger, place: &Place, id: u32) -> Result<Spot, StateError> {
        Ok(match place {
            Place::Nonce(who) => Spot::Account(self.holder_by_id(ledger, id, who)?, NONCE),
            Place::Balance(who) => Spot::Account(self.holder_by_id(ledger, id, who)?, BALANCE),
            Place::Code(who) => Spot::Account(self.holder_by_id(ledger, id, who)?, CODE),
            Place::Slot(who, slot) => Spot::Slot(self.slot_of(ledger, who, id, slot)?),
        })
    }
    /// What a job finds in the account, raw places included.
    fn look(&self, ledger: &mut Ledger, who: &Address) -> Result<Account, StateError> {
        let at = self.holder(ledger, who)?;
        let Holder { mut now, raw, .. } = ledger.accounts[at as usize];
        if raw != 0 {
            let read = |place: Place| self.layout()?.read(&Keys(&ledger.keys, &self.base), &place);
            if raw & NONCE != 0 {
                now.nonce = u64::try_from(read(Place::Nonce(*who))?).unwrap_or(u64::MAX);
            }
            if raw & BALANCE != 0 {
                now.balance = read(Place::Balance(*who))?;
            }
            if raw & CODE != 0 {
                now.code_hash = read(Place::Code(*who))?.into();
            }
        }
        Ok(now)
    }

    /// Makes all changes of transaction `index`: its own first, then those it deferred. The error, if any, is that of
    /// the first key.
    fn absorb<T>(
        &self,
        deferred: &DeferredKeys,
        index: TxIndex,
        outcome: &Outcome<T>,
    ) -> Result<(), ExecError> {
        let ledger = &mut *self.ledger.borrow_mut();
        let mut first: Option<(Key, StateError)> = None;
        let mut fails = |key: Key, error: StateError| {
            if first.as_ref().is_none_or(|(least, _)| key < *least) {
                first = Some((key, error));
            }
        };
        for change in &outcome.changes {
            if let Err(error) = self.change(ledger, change) {
                fails(self.layout()?.key(&change.place), error);
            }
        }
        for (key, op) in &outcome.writes {
            if let Err(error) = self.write(ledger, key, op) {
                fails(key.clone(), error);
            }
        }
        if let Some((_, error)) = first {
            return Err(error.into());
        }
        outcome
            .deferred
            .iter()
            .try_for_each(|deferral| self.defer(ledger, deferred, index, deferral))
    }
    fn change(&self, ledger: &mut Ledger, Change { place, id, to }: &Change) -> Result<(), StateError> {
        let spot = self.spot(ledger, place, *id)?;
        if is_raw(ledger, spot) {
            return ledger.keys.change(&self.base, self.layout, place, to);
        }
        let word = match to {
            To::Set(word) => *word,
            To::Add(delta) => {
                let before = word(ledger, spot);
                let layout = self.layout()?;
                let out = || StateError::Range {
                    key: layout.key(place),
                };
                delta.apply(before).ok_or_else(out)?
            }
        };
        set(ledger, spot, word);
        Ok(())
    }
    fn write(&self, ledger: &mut Ledger, key: &Key, op: &Op) -> Result<(), StateError> {
        let Some(place) = self.layout.and_then(|layout| layout.place(key)) else {
            return ledger.keys.write(&self.base, key, op);
        };
        let spot = self.spot(ledger, &place, u32::MAX)?;
        if let (Op::Add(delta), false) = (op, is_raw(ledger, spot)) {
            let after = delta.apply(word(ledger, spot));
            set(
                ledger,
                spot,
                after.ok_or_else(|| StateError::Range { key: key.clone() })?,
            );
            return Ok(());
        }
        // From here on its bytes count.
        if !is_raw(ledger, spot) && is_changed(ledger, spot) {
            let to = To::Set(word(ledger, spot));
            ledger.keys.change(&self.base, self.layout, &place, &to)?;
        }
        set_raw(ledger, spot);
        ledger.keys.write(&self.base, key, op)
    }
    fn defer(
        &self,
        ledger: &mut Ledger,
        deferred: &DeferredKeys,
        index: TxIndex,
        deferral: &Deferral,
    ) -> Result<(), ExecError> {
        let Deferral::Add(key, delta) = deferral else {
            return ledger.keys.defer(&self.base, deferred, index, deferral);
        };
        let mut late = self.late.borrow_mut();
        if late.as_ref().is_none_or(|(last, _)| last != key) {
            if !deferred.contains(key) {
                let key = key.clone();
                return Err(ExecError::NotDeferred { index, key });
            }
            *late = Some((key.clone(), self.layout.and_then(|layout| layout.place(key))));
        }
        match late.as_ref().and_then(|(_, place)| *place) {
            Some(place) => {
                let to = To::Add(*delta);
                let id = u32::MAX;
                self.change(ledger, &Change { place, id, to })?;
            }
            None => ledger.keys.write(&self.base, key, &Op::Add(*delta))?,
        }
        Ok(())
    }

    /// The changed typed places of `range` that are not raw, with their values as stored.
    fn typed_in(&self, ledger: &Ledger, range: &KeyRange) -> Result<Vec<(Key, Option<Value>)>, StateError> {
        let Some(layout) = self.layout else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        // A store with no typed places is scanned without a look at them.
        let here = |place: Place| layout.key(&place).store() == range.store;
        let nobody = Address::ZERO;
        let slots = here(Place::Slot(nobody, U256::ZERO));
        if [Place::Nonce(nobody), Place::Balance(nobody), Place::Code(nobody)]
            .into_iter()
            .any(here)
            || slots
        {
            typed(ledger, slots, &mut |place, word| {
                let key = layout.key(&place);
                if range.contains(&key) {
                    let value = layout.stored(&self.base, &key, &place, word)?;
                    found.push((key, value));
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}

/// Visits the changed places that are not raw.
fn typed(
    ledger: &Ledger,
    slots: bool,
    visit: &mut dyn FnMut(Place, U256) -> Result<(), StateError>,
) -> Result<(), StateError> {
    for Holder {
        now,
        who,
        changed,
        raw,
        ..
    } in &ledger.accounts
    {
        let set = changed & !raw;
        if set & NONCE != 0 {
            visit(Place::Nonce(*who), U256::from(now.nonce))?;
        }
        if set & BALANCE != 0 {
            visit(Place::Balance(*who), now.balance)?;
        }
        if set & CODE != 0 {
            visit(Place::Code(*who), now.code_hash.into())?;
        }
    }
    for s in ledger.slots.iter().filter(|s| slots && s.changed && !s.raw) {
        let who = ledger.accounts[s.account as usize].who;
        visit(Place::Slot(who, s.slot), s.word)?;
    }
    Ok(())
}

/// All changes as a write set.
pub(crate) fn into_writes(
    ledger: &mut Ledger,
    base: &dyn StateRead,
    layout: Option<&dyn Layout>,
) -> Result<WriteSet, StateError> {
    let mut writes = Vec::new();
    if let Some(layout) = layout {
        typed(ledger, true, &mut |place, word| {
            let key = layout.key(&place);
            let value = layout.stored(base, &key, &place, word)?;
            writes.push((key, value.map_or(Op::Delete, Op::Put)));
            Ok(())
        })?;
    }
    writes.extend(std::mem::take(&mut ledger.keys).into_writes());
    Ok(writes.into_iter().collect())
}

fn word(ledger: &Ledger, spot: Spot) -> U256 {
    match spot {
        Spot::Slot(at) => ledger.slots[at as usize].word,
        Spot::Account(at, what) => {
            let now = &ledger.accounts[at as usize].now;
            match what {
                NONCE => U256::from(now.nonce),
                BALANCE => now.balance,
                _ => now.code_hash.into(),
            }
        }
    }
}

fn set(ledger: &mut Ledger, spot: Spot, word: U256) {
    match spot {
        Spot::Slot(at) => {
            let slot = &mut ledger.slots[at as usize];
            slot.word = word;
            slot.changed = true;
        }
        Spot::Account(at, what) => {
            let holder = &mut ledger.accounts[at as usize];
            match what {
                NONCE => holder.now.nonce = u64::try_from(word).unwrap_or(u64::MAX),
                BALANCE => holder.now.balance = word,
                _ => holder.now.code_hash = word.into(),
            }
            holder.changed |= what;
        }
    }
}

fn is_raw(ledger: &Ledger, spot: Spot) -> bool {
    match spot {
        Spot::Slot(at) => ledger.slots[at as usize].raw,
        Spot::Account(at, what) => ledger.accounts[at as usize].raw & what != 0,
    }
}

fn is_changed(ledger: &Ledger, spot: Spot) -> bool {
    match spot {
        Spot::Slot(at) => ledger.slots[at as usize].changed,
        Spot::Account(at, what) => ledger.accounts[at as usize].changed & what != 0,
    }
}

fn set_raw(ledger: &mut Ledger, spot: Spot) {
    match spot {
        Spot::Slot(at) => ledger.slots[at as usize].raw = true,
        Spot::Account(at, what) => ledger.accounts[at as usize].raw |= what,
    }
}

/// What is found among the keys, over the base.
struct Keys<'a>(&'a Fold, &'a dyn StateRead);

impl StateRead for Keys<'_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        let changed = self.0.get(key).map(Folded::value);
        changed.map_or_else(|| self.1.get(key), Ok)
    }
}

/// A changed typed place, or another changed key.
struct Changed(Key, Option<Value>);

impl Over for Changed {
    fn key(&self) -> &Key {
        &self.0
    }
    fn value(&self) -> Result<Option<Option<Value>>, StateError> {
        Ok(Some(self.1.clone()))
    }
}

impl StateRead for Solo<'_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        let ledger = &mut *self.ledger.borrow_mut();
        if let Some(layout) = self.layout
            && let Some(place) = layout.place(key)
        {
            let spot = self.spot(ledger, &place, u32::MAX)?;
            if !is_raw(ledger, spot) && is_changed(ledger, spot) {
                return layout.stored(&self.base, key, &place, word(ledger, spot));
            }
        }
        Keys(&ledger.keys, &self.base).get(key)
    }
}

impl StateScan for Solo<'_> {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        let mut changes: Vec<Changed> = {
            let ledger = self.ledger.borrow();
            let typed = self.typed_in(&ledger, range)?.into_iter();
            let keys = ledger.keys.range(range);
            let keys = keys.map(|(key, folded)| Changed(key.clone(), folded.value()));
            typed
                .map(|(key, value)| Changed(key, value))
                .chain(keys)
                .collect()
        };
        changes.sort_by(|a, b| {
            let order = a.0.cmp(&b.0);
            if range.descending { order.reverse() } else { order }
        });
        scan_over(&self.base, range, changes.into_iter(), visit)
    }
}

impl View for Solo<'_> {
    fn account(&self, who: &Address) -> Result<Account, StateError> {
        self.look(&mut self.ledger.borrow_mut(), who)
    }
    fn code_hash(&self, who: &Address) -> Result<(u32, B256), StateError> {
        let ledger = &mut *self.ledger.borrow_mut();
        let at = self.holder(ledger, who)?;
        let Holder { now, raw, .. } = &ledger.accounts[at as usize];
        if raw & CODE == 0 {
            return Ok((now.id, now.code_hash));
        }
        let id = now.id;
        let code = self
            .layout()?
            .read(&Keys(&ledger.keys, &self.base), &Place::Code(*who))?;
        Ok((id, code.into()))
    }
    fn slot(&self, who: &Address, id: u32, slot: U256) -> Result<U256, StateError> {
        let ledger = &mut *self.ledger.borrow_mut();
        let at = self.slot_of(ledger, who, id, &slot)?;
        let found = &ledger.slots[at as usize];
        if found.raw {
            return self
                .layout()?
                .read(&Keys(&ledger.keys, &self.base), &Place::Slot(*who, slot));
        }
        Ok(found.word)
    }
}
