//! The locations that a block touches: keys, accounts, slots.
use crate::arena::Arena;
use crate::track::{Datum, Entry, Heap, Named, Record, Seen, Track, Trail, Version};
use crate::typed::{Account, Layout, Place};
use state::{Key, StateError, StateRead, TxIndex, Value, decode_amount, encode_amount};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use types::{Address, U256};

/// A location that is only a key.
#[derive(Debug)]
pub(crate) struct KeyCell {
    pub(crate) id: u32,
    pub(crate) key: Key,
    deferred: bool,
    base: OnceLock<Option<Value>>,
    trail: Trail,
}

/// The three places of an account, next to each other.
#[derive(Debug)]
pub(crate) struct AccountCell {
    pub(crate) id: u32,
    pub(crate) who: Address,
    /// Whether changes of its balance settle late.
    pub(crate) deferred: bool,
    /// Whether it is found by its address. One that is not was made while another thread made the same.
    found: AtomicBool,
    base: Base<Account>,
    pub(crate) nonce: Trail,
    pub(crate) balance: Trail,
    pub(crate) code: Trail,
}

/// A slot of an account's storage.
#[derive(Debug)]
pub(crate) struct SlotCell {
    pub(crate) id: u32,
    pub(crate) account: u32,
    pub(crate) who: Address,
    pub(crate) slot: U256,
    base: Base<U256>,
    pub(crate) trail: Trail,
}

/// How a cell is come upon: what its maker, if this is the first time, knows of it.
#[derive(Debug)]
pub(crate) struct First<T> {
    /// The value at block start, if it could be read.
    pub(crate) base: Option<T>,
    /// Who is about to read it, and needs no other mark.
    pub(crate) reader: Option<TxIndex>,
}

impl<T> First<T> {
    /// Nothing.
    pub(crate) fn unread() -> Self {
        Self {
            base: None,
            reader: None,
        }
    }
}

/// The value at block start.
#[derive(Debug)]
struct Base<T> {
    /// As its maker read it,
    first: Option<T>,
    /// or where it is kept, once it was read: its number and 1.
    later: AtomicU32,
}

impl<T> Base<T> {
    fn new(first: Option<T>) -> Self {
        Self {
            first,
            later: AtomicU32::new(0),
        }
    }
    fn get<'a>(&'a self, kept: &'a Arena<T>) -> Option<&'a T> {
        let later = || kept.get(self.later.load(Ordering::Acquire).checked_sub(1)?);
        self.first.as_ref().or_else(later)
    }
    /// It, read now if it was not. An error is not kept: only the one met at the head counts.
    fn read<'a>(
        &'a self,
        kept: &'a Arena<T>,
        read: impl FnOnce() -> Result<T, StateError>,
    ) -> Result<&'a T, StateError> {
        if let Some(value) = self.get(kept) {
            return Ok(value);
        }
        let value = read()?;
        let id = kept.alloc(|_| value);
        // Others may have read the same meanwhile.
        self.later.store(id + 1, Ordering::Release);
        Ok(kept.get(id).expect("kept just now"))
    }
}

/// Values at block start.
#[derive(Debug, Default)]
pub(crate) struct Bases {
    accounts: Arena<Account>,
    words: Arena<U256>,
}

impl Bases {
    /// Empties it, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.accounts.clear();
        self.words.clear();
    }
}

/// What cells refer to by number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory<'a> {
    pub(crate) bases: &'a Bases,
    pub(crate) heap: &'a Heap,
}

impl KeyCell {
    pub(crate) fn new(id: u32, key: Key, deferred: bool) -> Self {
        Self {
            id,
            key,
            deferred,
            base: OnceLock::new(),
            trail: Trail::default(),
        }
    }
}

impl AccountCell {
    pub(crate) fn new(id: u32, who: Address, deferred: bool, first: First<Account>) -> Self {
        let trail = || Trail::read_by(first.reader);
        Self {
            id,
            who,
            deferred,
            found: AtomicBool::new(false),
            nonce: trail(),
            balance: trail(),
            code: trail(),
            base: Base::new(first.base),
        }
    }
    /// Says that it was found by its address.
    pub(crate) fn mark_found(&self) {
        if !self.found.load(Ordering::Relaxed) {
            self.found.store(true, Ordering::Relaxed);
        }
    }
    /// Whether it was.
    pub(crate) fn is_found(&self) -> bool {
        self.found.load(Ordering::Relaxed)
    }
    /// The account at block start, read once a block.
    pub(crate) fn base<'a>(
        &'a self,
        memory: Memory<'a>,
        base: &dyn StateRead,
        layout: &dyn Layout,
    ) -> Result<&'a Account, StateError> {
        let read = || layout.account(base, &self.who);
        self.base.read(&memory.bases.accounts, read)
    }
}

impl SlotCell {
    pub(crate) fn new(id: u32, account: u32, who: Address, slot: U256, first: First<U256>) -> Self {
        Self {
            id,
            account,
            who,
            slot,
            base: Base::new(first.base),
            trail: Trail::read_by(first.reader),
        }
    }
    /// The word at block start, read once a block.
    pub(crate) fn base(
        &self,
        memory: Memory<'_>,
        base: &dyn StateRead,
        layout: &dyn Layout,
    ) -> Result<U256, StateError> {
        let read = || layout.slot(base, &self.who, self.slot);
        self.base.read(&memory.bases.words, read).copied()
    }
}

/// One location.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loc<'a> {
    Key(&'a KeyCell),
    Nonce(&'a AccountCell),
    Balance(&'a AccountCell),
    Code(&'a AccountCell),
    Slot(&'a SlotCell),
}

/// A location with all it takes to read it.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a, 'b> {
    pub(crate) loc: Loc<'a>,
    pub(crate) memory: Memory<'a>,
    pub(crate) base: &'b dyn StateRead,
    pub(crate) layout: Option<&'b dyn Layout>,
}

impl Named for Site<'_, '_> {
    fn key(&self) -> Key {
        self.loc.key(self.layout)
    }
    fn word(&self, value: Option<&Value>) -> Result<U256, StateError> {
        match (self.loc.place(), self.layout) {
            (Some(place), Some(layout)) => layout.decode(&place, value),
            _ => decode_amount(&self.key(), value),
        }
    }
}

impl<'a> Site<'a, '_> {
    /// The value at block start, if it was read already.
    fn known(&self) -> Option<Datum> {
        let Bases { accounts, words } = self.memory.bases;
        let account = |cell: &'a AccountCell| cell.base.get(accounts);
        match self.loc {
            Loc::Key(cell) => cell.base.get().map(|value| Datum::Bytes(value.clone())),
            Loc::Nonce(cell) => account(cell).map(|a| Datum::Word(U256::from(a.nonce))),
            Loc::Balance(cell) => account(cell).map(|a| Datum::Word(a.balance)),
            Loc::Code(cell) => account(cell).map(|a| Datum::Word(a.code_hash.into())),
            Loc::Slot(cell) => cell.base.get(words).copied().map(Datum::Word),
        }
    }
    /// The value at block start, read once a block.
    fn start(&self) -> Result<Datum, StateError> {
        if let Some(datum) = self.known() {
            return Ok(datum);
        }
        match (self.loc, self.layout) {
            (Loc::Key(cell), _) => {
                let value = self.base.get(&cell.key)?;
                Ok(Datum::Bytes(cell.base.get_or_init(|| value).clone()))
            }
            (Loc::Nonce(cell) | Loc::Balance(cell) | Loc::Code(cell), Some(layout)) => {
                cell.base(self.memory, self.base, layout)?;
                Ok(self.known().expect("read just now"))
            }
            (Loc::Slot(cell), Some(layout)) => cell.base(self.memory, self.base, layout).map(Datum::Word),
            _ => unreachable!("typed places come from a layout"),
        }
    }
    /// What `reader` finds, or whom it has to wait for.
    pub(crate) fn read(&self, reader: TxIndex, guess: bool) -> Result<Result<Datum, TxIndex>, StateError> {
        match self.find(reader, guess)? {
            Ok(Some(datum)) => Ok(Ok(datum)),
            Ok(None) => self.start().map(Ok),
            Err(writer) => Ok(Err(writer)),
        }
    }
    /// The same; `None` where the value at block start stands.
    fn find(&self, reader: TxIndex, guess: bool) -> Result<Result<Option<Datum>, TxIndex>, StateError> {
        let Some(track) = self.track() else {
            return Ok(Ok(None));
        };
        let mut known = self.known();
        loop {
            match track.read(self.memory.heap, reader, known.as_ref(), self, guess)? {
                Seen::Base => return Ok(Ok(None)),
                Seen::Is(datum) => return Ok(Ok(Some(datum))),
                Seen::Blocked(writer) => return Ok(Err(writer)),
                // The database is not asked under the lock.
                Seen::NeedBase => known = Some(self.start()?),
            }
        }
    }
    /// Its versions, if it has any.
    fn track(&self) -> Option<&'a Track> {
        self.loc.trail().track(self.memory.heap)
    }
    /// The word that `reader` finds.
    pub(crate) fn read_word(
        &self,
        reader: TxIndex,
        guess: bool,
    ) -> Result<Result<U256, TxIndex>, StateError> {
        match self.read(reader, guess)? {
            Ok(Datum::Word(word)) => Ok(Ok(word)),
            Ok(Datum::Bytes(value)) => self.word(value.as_ref()).map(Ok),
            Err(writer) => Ok(Err(writer)),
        }
    }
    /// The value, as stored, that `reader` finds.
    pub(crate) fn read_bytes(&self, reader: TxIndex) -> Result<Result<Option<Value>, TxIndex>, StateError> {
        if let (Loc::Nonce(cell), Some(layout)) = (self.loc, self.layout) {
            let heap = self.memory.heap;
            let record = cell.nonce.track(heap).map(|track| track.record(heap, reader));
            let Record { word, under } = match record {
                Some(Ok(record)) => record,
                Some(Err(writer)) => return Ok(Err(writer)),
                None => Record::default(),
            };
            let place = Place::Nonce(cell.who);
            let under = match under {
                Some(under) => under,
                None => self.base.get(&layout.key(&place))?,
            };
            return match word {
                None => Ok(Ok(under)),
                Some(word) => layout.encode(&place, word, under.as_ref()).map(Ok),
            };
        }
        match self.find(reader, false)? {
            Ok(Some(Datum::Bytes(value))) => Ok(Ok(value)),
            Ok(Some(Datum::Word(word))) => self.encode(word).map(Ok),
            // As it is stored, however that is written.
            Ok(None) => match self.loc {
                Loc::Key(_) => match self.start()? {
                    Datum::Bytes(value) => Ok(Ok(value)),
                    Datum::Word(word) => self.encode(word).map(Ok),
                },
                _ => self.base.get(&self.key()).map(Ok),
            },
            Err(writer) => Ok(Err(writer)),
        }
    }
    fn encode(&self, word: U256) -> Result<Option<Value>, StateError> {
        match (self.loc.place(), self.layout) {
            (Some(place), Some(layout)) => layout.encode(&place, word, None),
            _ => Ok(encode_amount(word)),
        }
    }
    /// What those in front of `end`, all committed, leave where one of them has written.
    pub(crate) fn settled(&self, end: TxIndex) -> Result<Option<Option<Value>>, StateError> {
        if !self
            .track()
            .is_some_and(|track| track.written_before(self.memory.heap, end))
        {
            return Ok(None);
        }
        Ok(self.read_bytes(end)?.ok())
    }
    /// See [`Track::fold`].
    pub(crate) fn fold(&self, end: TxIndex) -> Result<(), (TxIndex, StateError)> {
        let heap = self.memory.heap;
        let Some(track) = self.track() else { return Ok(()) };
        let base = if track.adds_first(heap) {
            Some(self.start().map_err(|e| (0, e))?)
        } else {
            None
        };
        track.fold(heap, end, base.as_ref(), self)
    }
    /// Sets what a run did here. Whether that was the first time that anyone wrote here: then the ordered index is yet
    /// to be told.
    pub(crate) fn write(
        &self,
        by: (TxIndex, u16),
        entry: Entry,
        head: TxIndex,
        index: impl FnOnce() -> bool,
    ) -> bool {
        let (heap, trail, owner) = (self.memory.heap, self.loc.trail(), self.loc.id());
        let version = Version::new(heap, by, entry);
        if trail.begin_with(heap, owner, version) {
            return true;
        }
        let track = trail.begin(heap, owner);
        track.write(heap, version, (head, || self.known(), self), index);
        false
    }
}

impl<'a> Loc<'a> {
    pub(crate) fn trail(&self) -> &'a Trail {
        match self {
            Self::Key(cell) => &cell.trail,
            Self::Nonce(cell) => &cell.nonce,
            Self::Balance(cell) => &cell.balance,
            Self::Code(cell) => &cell.code,
            Self::Slot(cell) => &cell.trail,
        }
    }
    /// Whether its changes settle late. Then it has no versions: its value is in the committer's fold.
    pub(crate) fn deferred(&self) -> bool {
        match self {
            Self::Key(cell) => cell.deferred,
            Self::Balance(cell) => cell.deferred,
            _ => false,
        }
    }
    /// Tells it from all others of the block.
    pub(crate) fn id(&self) -> (u8, u32) {
        match self {
            Self::Key(cell) => (0, cell.id),
            Self::Nonce(cell) => (1, cell.id),
            Self::Balance(cell) => (2, cell.id),
            Self::Code(cell) => (3, cell.id),
            Self::Slot(cell) => (4, cell.id),
        }
    }
    pub(crate) fn place(&self) -> Option<Place> {
        match self {
            Self::Key(_) => None,
            Self::Nonce(cell) => Some(Place::Nonce(cell.who)),
            Self::Balance(cell) => Some(Place::Balance(cell.who)),
            Self::Code(cell) => Some(Place::Code(cell.who)),
            Self::Slot(cell) => Some(Place::Slot(cell.who, cell.slot)),
        }
    }
    pub(crate) fn key(&self, layout: Option<&dyn Layout>) -> Key {
        match (self, self.place(), layout) {
            (Self::Key(cell), _, _) => cell.key.clone(),
            (_, Some(place), Some(layout)) => layout.key(&place),
            _ => unreachable!("typed places come from a layout"),
        }
    }
}
