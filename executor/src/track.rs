//! What each transaction of a block makes of one location.
use parking_lot::Mutex;
use smallvec::SmallVec;
use state::{Delta, Key, StateError, TxIndex, Value};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use types::U256;

/// Versions in front of which the committed ones are folded into one.
const LONG: usize = 8;

/// A value, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Datum {
    /// As stored.
    Bytes(Option<Value>),
    /// As a word.
    Word(U256),
}

/// How a version changes the location.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// Declared, never written so far.
    Declared,
    /// The value it leaves. A word leaves the record around it, if any, as it is.
    Is(Datum),
    /// What it adds.
    Add(Delta),
}

#[derive(Debug)]
struct Version {
    writer: TxIndex,
    /// Which run of the writer left it.
    run: u16,
    /// An estimate: the writer was declared to write here, or did so in a run that was thrown away.
    pending: bool,
    entry: Entry,
}

/// What a reader finds in a location.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing changed in front of the reader: the value at block start stands.
    Base,
    /// The value that the transactions in front of the reader leave.
    Is(Datum),
    /// The value depends on this transaction, which has yet to run.
    Blocked(TxIndex),
    /// The value at block start has to be known to tell.
    NeedBase,
}

/// A word in a record, as a reader finds it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The word that was set last, if any was set after the record.
    pub(crate) word: Option<U256>,
    /// The record that was put last; `None` is the one at block start.
    pub(crate) under: Option<Option<Value>>,
}

/// What names a location and reads its values.
pub(crate) trait Named {
    /// Its key.
    fn key(&self) -> Key;
    /// The word in its value.
    fn word(&self, value: Option<&Value>) -> Result<U256, StateError>;
}

fn plus(name: &impl Named, before: &Datum, delta: &Delta) -> Result<Datum, StateError> {
    let before = match before {
        Datum::Word(word) => *word,
        Datum::Bytes(value) => name.word(value.as_ref())?,
    };
    let after = delta.apply(before);
    after
        .map(Datum::Word)
        .ok_or_else(|| StateError::Range { key: name.key() })
}

/// One location's versions.
#[derive(Debug, Default)]
pub(crate) struct Track {
    /// Set, for good, when someone first announces a write. Until then nobody needs the lock.
    live: AtomicBool,
    /// All who have read here come before this one ([`Track::mark`]).
    readers: AtomicU32,
    chain: Mutex<Chain>,
}

#[derive(Debug, Default)]
struct Chain {
    /// By writer, ascending.
    versions: SmallVec<[Version; 1]>,
    /// Whether the ordered index knows the location.
    indexed: bool,
}

impl Track {
    /// Whether someone has written here, or announced it.
    pub(crate) fn live(&self) -> bool {
        self.live.load(Ordering::SeqCst)
    }
    fn enliven(&self) {
        if !self.live() {
            self.live.store(true, Ordering::SeqCst);
        }
    }
    /// Says that `reader` is about to read. Of it and a writer, one sees what the other did: either the reader finds the
    /// version, or the writer finds the mark (both first do, then look, in one order for all).
    pub(crate) fn mark(&self, reader: TxIndex) {
        let marked = self.readers.load(Ordering::SeqCst);
        if marked <= reader {
            // From the second reader on, marks are rounded up: a place that all read is seldom written to for that.
            let end = if marked == 0 { reader } else { reader | 63 };
            self.readers.fetch_max(end.saturating_add(1), Ordering::SeqCst);
        }
    }
    /// Who may have read what was here before `writer` changed it: those behind it, up to the one given.
    pub(crate) fn readers(&self) -> TxIndex {
        self.readers.load(Ordering::SeqCst)
    }
    /// What `reader` finds. With `guess`, estimates count as if they were not there.
    pub(crate) fn read(
        &self,
        reader: TxIndex,
        base: Option<&Datum>,
        name: &impl Named,
        guess: bool,
    ) -> Result<Seen, StateError> {
        if !self.live() {
            return Ok(Seen::Base);
        }
        let chain = self.chain.lock();
        let end = chain.position(reader);
        let (mut from, mut adds, mut bottom) = (end, 0, None);
        while from > 0 {
            let version = &chain.versions[from - 1];
            match &version.entry {
                _ if version.pending && guess => {}
                _ if version.pending => return Ok(Seen::Blocked(version.writer)),
                Entry::Declared => return Ok(Seen::Blocked(version.writer)),
                Entry::Add(_) => adds += 1,
                Entry::Is(datum) => {
                    bottom = Some(datum);
                    break;
                }
            }
            from -= 1;
        }
        if adds == 0 {
            return Ok(bottom.map_or(Seen::Base, |datum| Seen::Is(datum.clone())));
        }
        let Some(mut value) = bottom.or(base).cloned() else {
            return Ok(Seen::NeedBase);
        };
        for version in &chain.versions[from..end] {
            if let (Entry::Add(delta), false) = (&version.entry, version.pending) {
                value = plus(name, &value, delta)?;
            }
        }
        Ok(Seen::Is(value))
    }

    /// What `reader` finds, taken apart into record and word; or whom it has to wait for.
    pub(crate) fn record(&self, reader: TxIndex) -> Result<Record, TxIndex> {
        let mut record = Record {
            word: None,
            under: None,
        };
        if !self.live() {
            return Ok(record);
        }
        let chain = self.chain.lock();
        for version in chain.versions[..chain.position(reader)].iter().rev() {
            match &version.entry {
                _ if version.pending => return Err(version.writer),
                Entry::Is(Datum::Bytes(value)) => {
                    record.under = Some(value.clone());
                    break;
                }
                Entry::Is(Datum::Word(word)) => record.word = record.word.or(Some(*word)),
                Entry::Declared | Entry::Add(_) => {}
            }
        }
        Ok(record)
    }

    /// Says that `writer` is expected to write here. Calls `index` as `write` does.
    pub(crate) fn declare(&self, writer: TxIndex, index: impl FnOnce() -> bool) {
        self.enliven();
        let version = Version {
            writer,
            run: 0,
            pending: true,
            entry: Entry::Declared,
        };
        self.chain.lock().set(version, index);
    }

    /// Sets what `writer` did in its `run`. Calls `index` while the ordered index does not know the location; it says
    /// whether it does now. All in front of `head` is committed.
    pub(crate) fn write(
        &self,
        (writer, run): (TxIndex, u16),
        entry: Entry,
        (head, base, name): (TxIndex, Option<&Datum>, &impl Named),
        index: impl FnOnce() -> bool,
    ) {
        self.enliven();
        let version = Version {
            writer,
            run,
            pending: false,
            entry,
        };
        let mut chain = self.chain.lock();
        chain.set(version, index);
        if chain.versions.len() >= LONG {
            let committed = chain.position(head);
            if committed >= LONG / 2 {
                // What cannot be folded here is an error where all is folded, in order.
                let _ = chain.fold(committed, base, name);
            }
        }
    }

    /// Says that `writer`'s version comes from a run that was thrown away.
    pub(crate) fn estimate(&self, writer: TxIndex) {
        let mut chain = self.chain.lock();
        let at = chain.position(writer);
        if let Some(version) = chain.versions.get_mut(at).filter(|v| v.writer == writer) {
            version.pending = true;
        }
    }

    /// Forgets `writer`'s version, unless it is of `run`. Whether there was one.
    pub(crate) fn remove_other(&self, writer: TxIndex, run: u16) -> bool {
        let mut chain = self.chain.lock();
        let at = chain.position(writer);
        let other = chain
            .versions
            .get(at)
            .is_some_and(|v| v.writer == writer && v.run != run);
        if other {
            chain.versions.remove(at);
        }
        other
    }

    /// Tells the index of the location, if someone writes here and it does not know.
    pub(crate) fn index(&self, index: impl FnOnce() -> bool) {
        let mut chain = self.chain.lock();
        chain.indexed = chain.indexed || (!chain.versions.is_empty() && index());
    }

    /// Folds what those in front of `end` did into what they leave together. An amount may not leave its range even
    /// for a moment: each transaction answers for itself.
    pub(crate) fn fold(
        &self,
        end: TxIndex,
        base: Option<&Datum>,
        name: &impl Named,
    ) -> Result<(), (TxIndex, StateError)> {
        let mut chain = self.chain.lock();
        let end = chain.position(end);
        chain.fold(end, base, name)
    }

    /// Whether a version of someone in front of `end` stands here.
    pub(crate) fn written_before(&self, end: TxIndex) -> bool {
        self.live() && self.chain.lock().versions.first().is_some_and(|v| v.writer < end)
    }

    /// Whether folding needs the value at block start.
    pub(crate) fn adds_first(&self) -> bool {
        let first = |chain: &Chain| matches!(chain.versions.first().map(|v| &v.entry), Some(Entry::Add(_)));
        self.live() && first(&self.chain.lock())
    }
}

impl Chain {
    /// Where `writer`'s version stands, or would.
    fn position(&self, writer: TxIndex) -> usize {
        // Nearly always at the end.
        match self.versions.last() {
            Some(last) if last.writer >= writer => self.versions.partition_point(|v| v.writer < writer),
            _ => self.versions.len(),
        }
    }
    /// Sets a version. The index is told under the location's lock: else someone could commit here, see that the index
    /// knows the location, and be followed by a scan before it really does.
    fn set(&mut self, version: Version, index: impl FnOnce() -> bool) {
        self.indexed = self.indexed || index();
        let at = self.position(version.writer);
        match self.versions.get_mut(at).filter(|v| v.writer == version.writer) {
            Some(old) => *old = version,
            None => self.versions.insert(at, version),
        }
    }
    /// Makes the first `count` versions one, or two where a word stands in a record.
    fn fold(
        &mut self,
        count: usize,
        base: Option<&Datum>,
        name: &impl Named,
    ) -> Result<(), (TxIndex, StateError)> {
        let mut under = None;
        let mut value: Option<Datum> = None;
        for version in &self.versions[..count] {
            match &version.entry {
                _ if version.pending => return Ok(()),
                Entry::Declared => return Ok(()),
                Entry::Is(datum) => {
                    if matches!(datum, Datum::Bytes(_)) {
                        under = Some(datum.clone());
                    }
                    value = Some(datum.clone());
                }
                Entry::Add(delta) => {
                    let Some(before) = value.as_ref().or(base) else {
                        return Ok(());
                    };
                    value = Some(plus(name, before, delta).map_err(|e| (version.writer, e))?);
                }
            }
        }
        let Some(value) = value else { return Ok(()) };
        let under = under.filter(|_| matches!(value, Datum::Word(_)));
        let version = |writer, datum| Version {
            writer,
            run: 0,
            pending: false,
            entry: Entry::Is(datum),
        };
        let last = self.versions[count - 1].writer;
        self.versions[count - 1] = version(last, value);
        match under {
            Some(under) if count >= 2 => {
                self.versions[count - 2] = version(self.versions[count - 2].writer, under);
                self.versions.drain(..count - 2);
            }
            _ => {
                self.versions.drain(..count - 1);
            }
        }
        Ok(())
    }
}
