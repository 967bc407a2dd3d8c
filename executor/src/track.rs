//! What each transaction of a block makes of one location.
use crate::arena::{Arena, Shelf};
use parking_lot::{Mutex, MutexGuard};
use state::{Delta, Key, StateError, TxIndex, Value};
use std::sync::atomic::{AtomicU32, Ordering};
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
    /// The value it leaves. A word leaves the record around it, if any, as it is.
    Is(Datum),
    /// What it adds.
    Add(Delta),
}

/// The same as it is kept: bytes lie on the heap.
#[derive(Clone, Copy, Debug)]
enum What {
    /// Declared, never written so far.
    Declared,
    Word(U256),
    Bytes(u32),
    Add(Delta),
}

/// What a transaction makes of the location.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version {
    writer: TxIndex,
    /// Which run of the writer left it.
    run: u16,
    /// An estimate: the writer was declared to write here, or did so in a run that was thrown away.
    pending: bool,
    what: What,
}

/// Where versions lie, and what does not fit into one.
#[derive(Debug, Default)]
pub(crate) struct Heap {
    pub(crate) tracks: Arena<Track>,
    /// The versions of locations that have more than one.
    many: Shelf<Mutex<Vec<Version>>>,
    bytes: Shelf<Option<Value>>,
}

impl Heap {
    /// Empties it, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.tracks.clear();
        self.many.again();
        self.bytes.clear();
    }
    fn many(&self, id: u32) -> MutexGuard<'_, Vec<Version>> {
        self.many.get(id).expect("made by `more`").lock()
    }
    fn more(&self, versions: [Version; 2]) -> u32 {
        let id = self.many.alloc(|_| Mutex::default());
        let mut many = self.many(id);
        // It may be one of an earlier block.
        many.clear();
        many.extend(versions);
        id
    }
    fn what(&self, entry: Entry) -> What {
        match entry {
            Entry::Is(Datum::Word(word)) => What::Word(word),
            Entry::Is(Datum::Bytes(value)) => What::Bytes(self.bytes.alloc(|_| value)),
            Entry::Add(delta) => What::Add(delta),
        }
    }
    fn bytes(&self, id: u32) -> Option<Value> {
        self.bytes.get(id).expect("made by `what`").clone()
    }
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
#[derive(Debug, Default, PartialEq, Eq)]
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

fn plus(name: &impl Named, before: &Datum, delta: &Delta) -> Result<U256, StateError> {
    let before = match before {
        Datum::Word(word) => *word,
        Datum::Bytes(value) => name.word(value.as_ref())?,
    };
    delta
        .apply(before)
        .ok_or_else(|| StateError::Range { key: name.key() })
}

/// The way to a location's versions, once it has any; and who has read there.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// The number of its track and 1, set when someone first announces a write. Until then nobody needs a lock.
    track: AtomicU32,
    /// All who have read here come before this one ([`Trail::mark`]).
    readers: AtomicU32,
}

impl Trail {
    /// Whether someone has written here, or announced it.
    pub(crate) fn live(&self) -> bool {
        self.track.load(Ordering::SeqCst) > 0
    }
    /// Its versions, if it has any.
    pub(crate) fn track<'a>(&self, heap: &'a Heap) -> Option<&'a Track> {
        let id = self.track.load(Ordering::SeqCst).checked_sub(1)?;
        heap.tracks.get(id)
    }
    /// Whether the versions called `id` are its own.
    pub(crate) fn is(&self, id: u32) -> bool {
        self.track.load(Ordering::SeqCst) == id + 1
    }
    /// One that `reader`, if anyone, is about to read; nobody else knows of it yet.
    pub(crate) fn read_by(reader: Option<TxIndex>) -> Self {
        let readers = reader.map_or(0, |reader| reader.saturating_add(1));
        Self {
            track: AtomicU32::new(0),
            readers: AtomicU32::new(readers),
        }
    }
    /// Its versions; none at first. `owner` says whose they are.
    pub(crate) fn begin<'a>(&self, heap: &'a Heap, owner: (u8, u32)) -> &'a Track {
        if let Some(track) = self.track(heap) {
            return track;
        }
        let id = match self.open(heap, owner, None) {
            Ok(id) | Err(id) => id,
        };
        heap.tracks.get(id).expect("made just now")
    }
    /// Begins its versions with this one. False where there are some already: then nothing is done. The ordered index
    /// is yet to be told.
    pub(crate) fn begin_with(&self, heap: &Heap, owner: (u8, u32), first: Version) -> bool {
        !self.live() && self.open(heap, owner, Some(first)).is_ok()
    }
    /// The number of its versions: made here, or by another.
    fn open(&self, heap: &Heap, owner: (u8, u32), one: Option<Version>) -> Result<u32, u32> {
        let chain = Chain {
            one,
            ..Chain::default()
        };
        let id = heap.tracks.alloc_listed(|_| Track {
            owner,
            chain: Mutex::new(chain),
        });
        let set = self
            .track
            .compare_exchange(0, id + 1, Ordering::SeqCst, Ordering::SeqCst);
        set.map(|_| id).map_err(|other| other - 1)
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
    /// Who may have read what was here before it was written to: none from the one given on.
    pub(crate) fn readers(&self) -> TxIndex {
        self.readers.load(Ordering::SeqCst)
    }
}

/// One location's versions.
#[derive(Debug)]
pub(crate) struct Track {
    /// Whose they are ([`crate::cell::Loc::id`]).
    pub(crate) owner: (u8, u32),
    chain: Mutex<Chain>,
}

#[derive(Debug, Default)]
struct Chain {
    /// The only version,
    one: Option<Version>,
    /// or where the versions are, by writer, ascending: their number and 1.
    many: u32,
    /// Whether the ordered index knows the location.
    indexed: bool,
}

impl Track {
    /// What `reader` finds. With `guess`, estimates count as if they were not there.
    pub(crate) fn read(
        &self,
        heap: &Heap,
        reader: TxIndex,
        base: Option<&Datum>,
        name: &impl Named,
        guess: bool,
    ) -> Result<Seen, StateError> {
        self.chain.lock().look(heap, |versions| {
            let end = position(versions, reader);
            let (mut from, mut adds, mut bottom) = (end, 0, None);
            while from > 0 {
                let version = &versions[from - 1];
                match version.what {
                    _ if version.pending && guess => {}
                    _ if version.pending => return Ok(Seen::Blocked(version.writer)),
                    What::Declared => return Ok(Seen::Blocked(version.writer)),
                    What::Add(_) => adds += 1,
                    What::Word(word) => {
                        bottom = Some(Datum::Word(word));
                        break;
                    }
                    What::Bytes(id) => {
                        bottom = Some(Datum::Bytes(heap.bytes(id)));
                        break;
                    }
                }
                from -= 1;
            }
            if adds == 0 {
                return Ok(bottom.map_or(Seen::Base, Seen::Is));
            }
            let Some(mut value) = bottom.or_else(|| base.cloned()) else {
                return Ok(Seen::NeedBase);
            };
            for version in &versions[from..end] {
                if let (What::Add(delta), false) = (&version.what, version.pending) {
                    value = Datum::Word(plus(name, &value, delta)?);
                }
            }
            Ok(Seen::Is(value))
        })
    }

    /// What `reader` finds, taken apart into record and word; or whom it has to wait for.
    pub(crate) fn record(&self, heap: &Heap, reader: TxIndex) -> Result<Record, TxIndex> {
        let mut record = Record {
            word: None,
            under: None,
        };
        self.chain.lock().look(heap, |versions| {
            for version in versions[..position(versions, reader)].iter().rev() {
                match version.what {
                    _ if version.pending => return Err(version.writer),
                    What::Bytes(id) => {
                        record.under = Some(heap.bytes(id));
                        break;
                    }
                    What::Word(word) => record.word = record.word.or(Some(word)),
                    What::Declared | What::Add(_) => {}
                }
            }
            Ok(record)
        })
    }

    /// Says that `writer` is expected to write here. Calls `index` as `write` does.
    pub(crate) fn declare(&self, heap: &Heap, writer: TxIndex, index: impl FnOnce() -> bool) {
        let version = Version {
            writer,
            run: 0,
            pending: true,
            what: What::Declared,
        };
        self.chain.lock().set(heap, version, index);
    }

    /// Sets what a transaction did. Calls `index` while the ordered index does not know the location; it says whether it
    /// does now. All in front of `head` is committed.
    pub(crate) fn write(
        &self,
        heap: &Heap,
        version: Version,
        (head, base, name): (TxIndex, impl FnOnce() -> Option<Datum>, &impl Named),
        index: impl FnOnce() -> bool,
    ) {
        let mut chain = self.chain.lock();
        chain.set(heap, version, index);
        if chain.many > 0 {
            let mut many = heap.many(chain.many - 1);
            let committed = if many.len() < LONG {
                0
            } else {
                position(&many, head)
            };
            if committed >= LONG / 2 {
                // What cannot be folded here is an error where all is folded, in order.
                let _ = fold(heap, &mut many, committed, base().as_ref(), name);
            }
        }
    }

    /// Says that `writer`'s version comes from a run that was thrown away.
    pub(crate) fn estimate(&self, heap: &Heap, writer: TxIndex) {
        self.chain
            .lock()
            .edit(heap, writer, |version| version.pending = true);
    }

    /// Forgets `writer`'s version, unless it is of `run`. Whether there was one.
    pub(crate) fn remove_other(&self, heap: &Heap, writer: TxIndex, run: u16) -> bool {
        let mut chain = self.chain.lock();
        if chain.many > 0 {
            let mut many = heap.many(chain.many - 1);
            let at = position(&many, writer);
            let other = many.get(at).is_some_and(|v| v.writer == writer && v.run != run);
            if other {
                many.remove(at);
            }
            return other;
        }
        chain
            .one
            .take_if(|v| v.writer == writer && v.run != run)
            .is_some()
    }

    /// Tells the index of the location, if someone writes here and it does not know.
    pub(crate) fn index(&self, heap: &Heap, index: impl FnOnce() -> bool) {
        let mut chain = self.chain.lock();
        let empty = chain.look(heap, <[Version]>::is_empty);
        chain.indexed = chain.indexed || (!empty && index());
    }

    /// Folds what those in front of `end` did into what they leave together. An amount may not leave its range even
    /// for a moment: each transaction answers for itself.
    pub(crate) fn fold(
        &self,
        heap: &Heap,
        end: TxIndex,
        base: Option<&Datum>,
        name: &impl Named,
    ) -> Result<(), (TxIndex, StateError)> {
        let mut chain = self.chain.lock();
        if chain.many > 0 {
            let mut many = heap.many(chain.many - 1);
            let end = position(&many, end);
            return fold(heap, &mut many, end, base, name);
        }
        let Some(Version {
            writer,
            pending: false,
            what: What::Add(delta),
            ..
        }) = chain.one.filter(|one| one.writer < end)
        else {
            return Ok(());
        };
        if let Some(base) = base {
            let word = plus(name, base, &delta).map_err(|e| (writer, e))?;
            chain.one = Some(Version::settled(writer, What::Word(word)));
        }
        Ok(())
    }

    /// Whether a version of someone in front of `end` stands here.
    pub(crate) fn written_before(&self, heap: &Heap, end: TxIndex) -> bool {
        let first = |versions: &[Version]| versions.first().is_some_and(|v| v.writer < end);
        self.chain.lock().look(heap, first)
    }

    /// Whether folding needs the value at block start.
    pub(crate) fn adds_first(&self, heap: &Heap) -> bool {
        let first = |versions: &[Version]| matches!(versions.first().map(|v| &v.what), Some(What::Add(_)));
        self.chain.lock().look(heap, first)
    }
}

/// Where `writer`'s version stands, or would.
fn position(versions: &[Version], writer: TxIndex) -> usize {
    // Nearly always at the end.
    match versions.last() {
        Some(last) if last.writer >= writer => versions.partition_point(|v| v.writer < writer),
        _ => versions.len(),
    }
}

impl Version {
    /// What `writer` did in its `run`.
    pub(crate) fn new(heap: &Heap, (writer, run): (TxIndex, u16), entry: Entry) -> Self {
        Self {
            writer,
            run,
            pending: false,
            what: heap.what(entry),
        }
    }
    fn settled(writer: TxIndex, what: What) -> Self {
        Self {
            writer,
            run: 0,
            pending: false,
            what,
        }
    }
}

impl Chain {
    fn look<R>(&self, heap: &Heap, with: impl FnOnce(&[Version]) -> R) -> R {
        match self.many {
            0 => with(self.one.as_slice()),
            many => with(&heap.many(many - 1)),
        }
    }
    /// Changes `writer`'s version, if it has one here.
    fn edit(&mut self, heap: &Heap, writer: TxIndex, change: impl FnOnce(&mut Version)) {
        let mut many;
        let version = if self.many == 0 {
            self.one.as_mut()
        } else {
            many = heap.many(self.many - 1);
            let at = position(&many, writer);
            many.get_mut(at)
        };
        if let Some(version) = version.filter(|v| v.writer == writer) {
            change(version);
        }
    }
    /// Sets a version. The index is told under the location's lock: else someone could commit here, see that the index
    /// knows the location, and be followed by a scan before it really does.
    fn set(&mut self, heap: &Heap, version: Version, index: impl FnOnce() -> bool) {
        self.indexed = self.indexed || index();
        if self.many == 0 {
            match self.one {
                Some(one) if one.writer < version.writer => self.many = heap.more([one, version]) + 1,
                Some(one) if one.writer > version.writer => self.many = heap.more([version, one]) + 1,
                _ => self.one = Some(version),
            }
            return;
        }
        let mut many = heap.many(self.many - 1);
        let at = position(&many, version.writer);
        match many.get_mut(at).filter(|v| v.writer == version.writer) {
            Some(old) => *old = version,
            None => many.insert(at, version),
        }
    }
}

/// Makes the first `count` versions one, or two where a word stands in a record.
fn fold(
    heap: &Heap,
    versions: &mut Vec<Version>,
    count: usize,
    base: Option<&Datum>,
    name: &impl Named,
) -> Result<(), (TxIndex, StateError)> {
    let mut under = None;
    let mut value: Option<What> = None;
    for version in &versions[..count] {
        match version.what {
            _ if version.pending => return Ok(()),
            What::Declared => return Ok(()),
            What::Word(_) => value = Some(version.what),
            What::Bytes(_) => {
                under = Some(version.what);
                value = under;
            }
            What::Add(delta) => {
                let before = match value {
                    Some(What::Word(word)) => Some(Datum::Word(word)),
                    Some(What::Bytes(id)) => Some(Datum::Bytes(heap.bytes(id))),
                    _ => base.cloned(),
                };
                let Some(before) = before else { return Ok(()) };
                let word = plus(name, &before, &delta).map_err(|e| (version.writer, e))?;
                value = Some(What::Word(word));
            }
        }
    }
    let Some(value) = value else { return Ok(()) };
    let under = under.filter(|_| matches!(value, What::Word(_)));
    versions[count - 1] = Version::settled(versions[count - 1].writer, value);
    match under {
        Some(under) if count >= 2 => {
            versions[count - 2] = Version::settled(versions[count - 2].writer, under);
            versions.drain(..count - 2);
        }
        _ => {
            versions.drain(..count - 1);
        }
    }
    Ok(())
}
