//! What a run sees: the state that the transactions in front of it leave, as far as it is known.
use crate::cell::{Cell, Seen};
use crate::cells::Cells;
use crate::fold::{Fold, Folded};
use crate::reads::ReadSet;
use crate::scan::{Over, scan_over};
use state::{Control, Key, KeyRange, StateError, StateRead, StateScan, TxIndex, Value};
use std::cell::RefCell;

/// Why a run was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It needs what this transaction writes.
    On(TxIndex),
    /// It needs to be the head: it read a deferred key, or met something that is an error unless it is stale.
    Head,
}

/// State as transaction `index` finds it.
///
/// Away from the head a view remembers each read. The first read of a key decides what the run sees there, so that a
/// run's reads never contradict each other; one that would is cut short. Once cut, a view answers nothing more, so that
/// a job cannot turn an error it should have passed on into a result.
pub(crate) struct View<'a, 's> {
    cells: &'s Cells<'a>,
    index: TxIndex,
    /// The deferred keys' values, at the head only.
    head: Option<&'s Fold>,
    reads: RefCell<ReadSet<'a>>,
    cut: std::cell::Cell<Option<Cut>>,
}

impl<'a, 's> View<'a, 's> {
    /// What `index` sees while some of those in front of it may be unfinished.
    pub(crate) fn ahead(cells: &'s Cells<'a>, index: TxIndex) -> Self {
        Self {
            cells,
            index,
            head: None,
            reads: RefCell::default(),
            cut: std::cell::Cell::new(None),
        }
    }
    /// What `index` sees once all in front of it are committed, their deferred changes being in `side`.
    pub(crate) fn at_head(cells: &'s Cells<'a>, index: TxIndex, side: &'s Fold) -> Self {
        Self {
            head: Some(side),
            ..Self::ahead(cells, index)
        }
    }
    /// What was read, or why the run was cut short.
    pub(crate) fn finish(self) -> Result<ReadSet<'a>, Cut> {
        match self.cut.get() {
            Some(cut) => Err(cut),
            None => Ok(self.reads.into_inner()),
        }
    }

    fn stop(&self, cut: Cut) -> StateError {
        let cut = self.cut.get().unwrap_or(cut);
        self.cut.set(Some(cut));
        StateError::Blocked(match cut {
            Cut::On(writer) => writer,
            Cut::Head => self.index.saturating_sub(1),
        })
    }
    fn alive(&self) -> Result<(), StateError> {
        self.cut.get().map_or(Ok(()), |cut| Err(self.stop(cut)))
    }
    /// What stands in `cell`.
    fn resolve(&self, cell: &Cell) -> Result<Option<Option<Value>>, StateError> {
        match cell.read(self.index, &self.cells.base) {
            Ok(Seen::Base) => Ok(None),
            Ok(Seen::Value(value)) => Ok(Some(value)),
            Ok(Seen::Blocked(writer)) => Err(self.stop(Cut::On(writer))),
            Err(error) => Err(self.doubt(error)),
        }
    }
    /// An error met ahead of the head may be due to values that never were.
    fn doubt(&self, error: StateError) -> StateError {
        if self.head.is_none() {
            self.stop(Cut::Head);
        }
        error
    }
    /// The value in `cell`.
    pub(crate) fn value(&self, cell: &Cell) -> Result<Option<Value>, StateError> {
        match self.resolve(cell)? {
            Some(value) => Ok(value),
            None => cell.base(&self.cells.base).map_err(|e| self.doubt(e)),
        }
    }
    /// The changes in `range` that may stand over the base, in order.
    fn changes(&self, range: &KeyRange) -> Vec<Change<'a, 's, '_>> {
        let cells = self.cells.written_in(range).into_iter();
        let mut changes: Vec<_> = cells.map(|cell| Change::Cell(cell, self)).collect();
        if let Some(side) = self.head {
            changes.extend(side.range(range).map(|(key, folded)| Change::Side(key, folded)));
            changes.sort_by(|a, b| {
                if range.descending {
                    b.key().cmp(a.key())
                } else {
                    a.key().cmp(b.key())
                }
            });
        }
        changes
    }
}

enum Change<'a, 's, 'v> {
    Cell(&'a Cell, &'v View<'a, 's>),
    Side(&'s Key, &'s Folded),
}

impl Over for Change<'_, '_, '_> {
    fn key(&self) -> &Key {
        match self {
            Self::Cell(cell, _) => &cell.key,
            Self::Side(key, _) => key,
        }
    }
    fn value(&self) -> Result<Option<Option<Value>>, StateError> {
        match self {
            Self::Cell(cell, view) => view.resolve(cell),
            Self::Side(_, folded) => Ok(Some(folded.value())),
        }
    }
}

impl StateRead for View<'_, '_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        self.alive()?;
        let hash = self.cells.hash(key);
        if let Some(side) = self.head {
            let cell = self.cells.locate_hashed(hash, key);
            let late = if cell.deferred { side.get(key) } else { None };
            return late.map(Folded::value).map_or_else(|| self.value(cell), Ok);
        }
        if let Some(seen) = self.reads.borrow().recall(hash, key) {
            return Ok(seen);
        }
        let cell = self.cells.locate_hashed(hash, key);
        if cell.deferred {
            return Err(self.stop(Cut::Head));
        }
        let value = self.value(cell)?;
        self.reads.borrow_mut().point(cell, value.clone());
        Ok(value)
    }
}

impl StateScan for View<'_, '_> {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        self.alive()?;
        if self.head.is_some() {
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
                let agrees = self.reads.borrow_mut().saw(at, self.cells.hash(key), key, value);
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
