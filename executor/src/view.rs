//! What a run sees: the state that the transactions in front of it leave, as far as it is known.
use crate::cell::{AccountCell, First, Loc};
use crate::cells::Cells;
use crate::fold::Folded;
use crate::reads::{AccountRead, Funds, ReadSet, SlotRead};
use crate::scan::{Over, scan_over};
use crate::track::Trail;
use crate::typed::{Account, Layout, Payer, Place, View, required};
use state::{Control, Key, KeyRange, StateError, StateRead, StateScan, TxIndex, Value};
use std::cell::{Cell, RefCell};
use types::{Address, B256, U256};

/// Why a run was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It needs what this transaction writes.
    On(TxIndex),
    /// It needs to be the head: it read a deferred key, or met something that is an error unless it is stale.
    Head,
}

/// State as a transaction finds it; one a worker, for one transaction after another.
///
/// Away from the head a view remembers each read. The first read of a key decides what the run sees there, so that a
/// run's reads never contradict each other; one that would is cut short. Once cut, a view answers nothing more, so that
/// a job cannot turn an error it should have passed on into a result.
pub(crate) struct Window<'a, 's> {
    cells: &'s Cells<'a>,
    index: Cell<TxIndex>,
    /// Whether all in front of the transaction is committed.
    at_head: Cell<bool>,
    reads: RefCell<ReadSet<'a>>,
    cut: Cell<Option<Cut>>,
}

impl<'a, 's> Window<'a, 's> {
    /// A view of no transaction yet.
    pub(crate) fn new(cells: &'s Cells<'a>) -> Self {
        Self {
            cells,
            index: Cell::new(0),
            at_head: Cell::new(true),
            reads: RefCell::default(),
            cut: Cell::new(None),
        }
    }
    /// Shows what `index` sees while some of those in front of it may be unfinished.
    pub(crate) fn ahead(&self, index: TxIndex) {
        self.cells.begin(index);
        self.index.set(index);
        self.at_head.set(false);
        self.cut.set(None);
        self.reads.borrow_mut().clear();
    }
    /// Shows what `index` sees once all in front of it are committed.
    pub(crate) fn at_head(&self, index: TxIndex) {
        self.index.set(index);
        self.at_head.set(true);
        self.cut.set(None);
    }
    /// What was read, or why the run was cut short.
    pub(crate) fn finish(&self) -> Result<ReadSet<'a>, Cut> {
        match self.cut.get() {
            Some(cut) => Err(cut),
            None => Ok(self.reads.take()),
        }
    }

    fn stop(&self, cut: Cut) -> StateError {
        let cut = self.cut.get().unwrap_or(cut);
        self.cut.set(Some(cut));
        StateError::Blocked(match cut {
            Cut::On(writer) => writer,
            Cut::Head => self.index.get().saturating_sub(1),
        })
    }
    fn alive(&self) -> Result<(), StateError> {
        self.cut.get().map_or(Ok(()), |cut| Err(self.stop(cut)))
    }
    /// An error met ahead of the head may be due to values that never were.
    fn doubt(&self, error: StateError) -> StateError {
        if !self.at_head.get() {
            self.stop(Cut::Head);
        }
        error
    }
    fn known<T>(&self, found: Result<Result<T, TxIndex>, StateError>) -> Result<T, StateError> {
        match found {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(writer)) => Err(self.stop(Cut::On(writer))),
            Err(error) => Err(self.doubt(error)),
        }
    }
    /// The value in a location, as stored.
    fn bytes(&self, loc: Loc<'a>) -> Result<Option<Value>, StateError> {
        self.known(self.cells.site(loc).read_bytes(self.index.get()))
    }
    /// The word in a location where someone writes.
    fn word(&self, loc: Loc<'a>, guess: bool) -> Result<U256, StateError> {
        self.known(self.cells.site(loc).read_word(self.index.get(), guess))
    }
    fn layout(&self) -> Result<&'a dyn Layout, StateError> {
        required(self.cells.layout)
    }
    fn cell(&self, who: &Address) -> Result<(&'a AccountCell, &'a Account), StateError> {
        self.alive()?;
        let cell = self.account_cell(who)?;
        Ok((cell, self.start(cell)?))
    }
    fn account_cell(&self, who: &Address) -> Result<&'a AccountCell, StateError> {
        let layout = self.layout()?;
        let first = || First {
            base: layout.account(&self.cells.base, who).ok(),
            reader: self.reader(),
        };
        Ok(self.cells.account_or(who, first))
    }
    /// Who is to be told if what is read now changes.
    fn reader(&self) -> Option<TxIndex> {
        (!self.at_head.get()).then(|| self.index.get())
    }
    fn start(&self, cell: &'a AccountCell) -> Result<&'a Account, StateError> {
        cell.base(self.cells.memory(), &self.cells.base, self.layout()?)
            .map_err(|e| self.doubt(e))
    }
    /// Says that a typed place is about to be read.
    fn mark(&self, trail: &Trail) {
        if let Some(reader) = self.reader() {
            trail.mark(reader);
        }
    }
    fn nonce(&self, cell: &'a AccountCell, base: &Account) -> Result<u64, StateError> {
        self.mark(&cell.nonce);
        if !cell.nonce.live() {
            return Ok(base.nonce);
        }
        let word = self.word(Loc::Nonce(cell), false)?;
        Ok(u64::try_from(word).unwrap_or(u64::MAX))
    }
    fn code(&self, cell: &'a AccountCell, base: &Account) -> Result<B256, StateError> {
        self.mark(&cell.code);
        if !cell.code.live() {
            return Ok(base.code_hash);
        }
        Ok(self.word(Loc::Code(cell), false)?.into())
    }
    /// The balance; with `guess`, one that takes unfinished transactions for ones that do nothing.
    fn balance(&self, cell: &'a AccountCell, base: &Account, guess: bool) -> Result<U256, StateError> {
        if cell.deferred {
            if !self.at_head.get() {
                return Err(self.stop(Cut::Head));
            }
            let (place, layout) = (Place::Balance(cell.who), self.layout()?);
            return match self.cells.side.lock().get(&layout.key(&place)) {
                Some(Folded::Amount(amount)) => Ok(amount.amount),
                Some(folded) => layout.decode(&place, folded.value().as_ref()),
                None => Ok(base.balance),
            };
        }
        self.mark(&cell.balance);
        if !cell.balance.live() {
            return Ok(base.balance);
        }
        self.word(Loc::Balance(cell), guess)
    }
    fn note(&self, read: AccountRead<'a>) {
        if !self.at_head.get() {
            self.reads.borrow_mut().accounts.push(read);
        }
    }
    /// Whether all that was read is what this view, at the head, shows.
    pub(crate) fn confirms(&self, reads: &ReadSet<'a>) -> bool {
        let account = |read: &AccountRead<'a>| -> Result<bool, StateError> {
            let (cell, base) = (read.at, self.start(read.at)?);
            let nonce = match read.nonce {
                Some(seen) => self.nonce(cell, base)? == seen,
                None => true,
            };
            let funds = match read.funds {
                Funds::Unread => true,
                Funds::Exact(seen) => self.balance(cell, base, false)? == seen,
                Funds::Least(least) => self.balance(cell, base, false)? >= least,
            };
            Ok(nonce && funds && self.code(cell, base)? == read.code)
        };
        let slot = |read: &SlotRead<'a>| {
            !read.at.trail.live()
                || self
                    .word(Loc::Slot(read.at), false)
                    .is_ok_and(|now| now == read.seen)
        };
        reads
            .accounts
            .iter()
            .all(|read| account(read).is_ok_and(|same| same))
            && reads.slots.iter().all(slot)
            && reads.hold(|loc| self.bytes(loc), self)
    }
    /// The changes in `range` that may stand over the base, in order.
    fn changes(&self, range: &KeyRange) -> Vec<Change<'a, 's, '_>> {
        let locs = self.cells.written_in(range).into_iter();
        let mut changes: Vec<_> = locs
            .map(|loc| Change {
                key: loc.key(self.cells.layout),
                source: Source::Loc(loc, self),
            })
            .collect();
        if self.at_head.get() {
            let side = self.cells.side.lock();
            changes.extend(side.range(range).map(|(key, folded)| Change {
                key: key.clone(),
                source: Source::Side(folded.clone()),
            }));
            changes.sort_by(|a, b| {
                if range.descending {
                    b.key.cmp(&a.key)
                } else {
                    a.key.cmp(&b.key)
                }
            });
        }
        changes
    }
}

struct Change<'a, 's, 'v> {
    key: Key,
    source: Source<'a, 's, 'v>,
}

enum Source<'a, 's, 'v> {
    Loc(Loc<'a>, &'v Window<'a, 's>),
    Side(Folded),
}

impl Over for Change<'_, '_, '_> {
    fn key(&self) -> &Key {
        &self.key
    }
    fn value(&self) -> Result<Option<Option<Value>>, StateError> {
        match &self.source {
            Source::Loc(loc, view) => view.bytes(*loc).map(Some),
            Source::Side(folded) => Ok(Some(folded.value())),
        }
    }
}

impl StateRead for Window<'_, '_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        self.alive()?;
        if self.at_head.get() {
            let loc = self.cells.locate(key);
            if loc.deferred()
                && let Some(folded) = self.cells.side.lock().get(key)
            {
                return Ok(folded.value());
            }
            return self.bytes(loc);
        }
        let hash = self.cells.hash(key);
        if let Some(seen) = self.reads.borrow().recall(hash, key) {
            return Ok(seen);
        }
        let loc = self.cells.locate(key);
        if loc.deferred() {
            return Err(self.stop(Cut::Head));
        }
        let value = self.bytes(loc)?;
        self.reads.borrow_mut().point(hash, key, loc, value.clone());
        Ok(value)
    }
}

impl StateScan for Window<'_, '_> {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        self.alive()?;
        if self.at_head.get() {
            return scan_over(self.cells.base, range, self.changes(range).into_iter(), visit);
        }
        if self.cells.deferred.meets(range) {
            return Err(self.stop(Cut::Head));
        }
        let at = self.reads.borrow_mut().open(range);
        let mut broke = false;
        let result = scan_over(
            self.cells.base,
            range,
            self.changes(range).into_iter(),
            &mut |key, value| {
                let hash = self.cells.hash(key);
                let agrees = self.reads.borrow_mut().saw(at, hash, key, value);
                if !agrees {
                    self.stop(Cut::Head);
                    return Control::Break(());
                }
                let flow = visit(key, value);
                broke = flow.is_break();
                flow
            },
        );
        self.alive()?;
        result.map_err(|e| self.doubt(e))?;
        if !self.reads.borrow_mut().close(at, !broke) {
            return Err(self.stop(Cut::Head));
        }
        Ok(())
    }
}

impl View for Window<'_, '_> {
    fn account(&self, who: &Address) -> Result<Account, StateError> {
        let (cell, base) = self.cell(who)?;
        let account = Account {
            id: cell.id,
            nonce: self.nonce(cell, base)?,
            balance: self.balance(cell, base, false)?,
            code_hash: self.code(cell, base)?,
        };
        self.note(AccountRead {
            at: cell,
            nonce: Some(account.nonce),
            funds: Funds::Exact(account.balance),
            code: account.code_hash,
        });
        Ok(account)
    }
    fn code_hash(&self, who: &Address) -> Result<(u32, B256), StateError> {
        self.alive()?;
        let cell = self.account_cell(who)?;
        self.mark(&cell.code);
        let code = if cell.code.live() {
            self.word(Loc::Code(cell), false)?.into()
        } else if let Ok(base) = self.start(cell) {
            base.code_hash
        } else {
            // What cannot be read may be something else of the account.
            self.cut.set(None);
            let word = self.layout()?.read(&self.cells.base, &Place::Code(*who));
            word.map_err(|e| self.doubt(e))?.into()
        };
        self.note(AccountRead {
            at: cell,
            nonce: None,
            funds: Funds::Unread,
            code,
        });
        Ok((cell.id, code))
    }
    fn payer(&self, who: &Address, least: U256) -> Result<Payer, StateError> {
        let (cell, base) = self.cell(who)?;
        let balance = self.balance(cell, base, true)?;
        let payer = Payer {
            id: cell.id,
            nonce: self.nonce(cell, base)?,
            code_hash: self.code(cell, base)?,
            funded: balance >= least,
        };
        // That something is missing depends on how much: then all of it counts.
        let funds = if payer.funded {
            Funds::Least(least)
        } else {
            Funds::Exact(balance)
        };
        self.note(AccountRead {
            at: cell,
            nonce: Some(payer.nonce),
            funds,
            code: payer.code_hash,
        });
        Ok(payer)
    }
    fn slot(&self, who: &Address, id: u32, slot: U256) -> Result<U256, StateError> {
        self.alive()?;
        let layout = self.layout()?;
        let first = || First {
            base: layout.slot(&self.cells.base, who, slot).ok(),
            reader: self.reader(),
        };
        let cell = self.cells.slot_or(who, id, &slot, first);
        self.mark(&cell.trail);
        let seen = if cell.trail.live() {
            self.word(Loc::Slot(cell), false)?
        } else {
            cell.base(self.cells.memory(), &self.cells.base, layout)
                .map_err(|e| self.doubt(e))?
        };
        if !self.at_head.get() {
            self.reads.borrow_mut().slots.push(SlotRead { at: cell, seen });
        }
        Ok(seen)
    }
}
