//! Ordered reads of state with changes over it.
use state::{Control, Key, KeyRange, StateError, StateScan, Value};

/// A change that may stand over a stored value.
pub(crate) trait Over {
    /// Where.
    fn key(&self) -> &Key;
    /// The value that stands there instead; the outer `None` leaves the stored one.
    fn value(&self) -> Result<Option<Option<Value>>, StateError>;
}

impl Over for (&Key, &crate::fold::Folded) {
    fn key(&self) -> &Key {
        self.0
    }
    fn value(&self) -> Result<Option<Option<Value>>, StateError> {
        Ok(Some(self.1.value()))
    }
}

/// Visits the pairs of `range` in its order, `changes` standing over `base`. `changes` must come in the range's order
/// and lie inside it. No change is looked at before all pairs in front of it were visited, and none after a break.
pub(crate) fn scan_over<O: Over>(
    base: &dyn StateScan,
    range: &KeyRange,
    changes: impl Iterator<Item = O>,
    visit: &mut dyn FnMut(&Key, &Value) -> Control,
) -> Result<(), StateError> {
    let mut changes = changes.peekable();
    let before = |a: &Key, b: &Key| if range.descending { a > b } else { a < b };
    let mut walk = Walk { visit, end: None };
    base.scan(range, &mut |key, value| {
        while let Some(change) = changes.next_if(|c| before(c.key(), key)) {
            walk.step(change.key(), None, Some(&change))?;
        }
        walk.step(key, Some(value), changes.next_if(|c| c.key() == key).as_ref())
    })?;
    while walk.end.is_none() {
        let Some(change) = changes.next() else { break };
        let _ = walk.step(change.key(), None, Some(&change));
    }
    walk.end.unwrap_or(Ok(()))
}

struct Walk<'v> {
    visit: &'v mut dyn FnMut(&Key, &Value) -> Control,
    /// How it ended, once it has.
    end: Option<Result<(), StateError>>,
}

impl Walk<'_> {
    fn step<O: Over>(&mut self, key: &Key, stored: Option<&Value>, change: Option<&O>) -> Control {
        let over = match change.map(Over::value).transpose() {
            Ok(over) => over.flatten(),
            Err(error) => {
                self.end = Some(Err(error));
                return Control::Break(());
            }
        };
        let value = over.as_ref().map_or(stored, Option::as_ref);
        if value.is_some_and(|value| (self.visit)(key, value).is_break()) {
            self.end = Some(Ok(()));
            return Control::Break(());
        }
        Control::Continue(())
    }
}
