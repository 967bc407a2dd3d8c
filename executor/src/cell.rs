//! The locations that a block touches: keys, accounts, slots.
use crate::track::{Datum, Entry, Named, Record, Seen, Track};
use crate::typed::{Account, Layout, Place};
use state::{Key, StateError, StateRead, TxIndex, Value, decode_amount, encode_amount};
use std::sync::OnceLock;
use types::{Address, U256};

/// A location that is only a key.
#[derive(Debug)]
pub(crate) struct KeyCell {
    pub(crate) id: u32,
    pub(crate) key: Key,
    deferred: bool,
    base: OnceLock<Option<Value>>,
    track: Track,
}

/// The three places of an account, next to each other.
#[derive(Debug)]
pub(crate) struct AccountCell {
    pub(crate) id: u32,
    pub(crate) who: Address,
    /// Whether changes of its balance settle late.
    pub(crate) deferred: bool,
    base: OnceLock<Account>,
    pub(crate) nonce: Track,
    pub(crate) balance: Track,
    pub(crate) code: Track,
}

/// A slot of an account's storage.
#[derive(Debug)]
pub(crate) struct SlotCell {
    pub(crate) id: u32,
    pub(crate) account: u32,
    pub(crate) who: Address,
    pub(crate) slot: U256,
    base: OnceLock<U256>,
    pub(crate) track: Track,
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

impl KeyCell {
    pub(crate) fn new(id: u32, key: Key, deferred: bool) -> Self {
        Self {
            id,
            key,
            deferred,
            base: OnceLock::new(),
            track: Track::default(),
        }
    }
}

impl AccountCell {
    pub(crate) fn new(id: u32, who: Address, deferred: bool) -> Self {
        Self {
            id,
            who,
            deferred,
            base: OnceLock::new(),
            nonce: Track::default(),
            balance: Track::default(),
            code: Track::default(),
        }
    }
    /// The account at block start, read once a block. An error is not kept: only the one met at the head counts.
    pub(crate) fn base(&self, base: &dyn StateRead, layout: &dyn Layout) -> Result<&Account, StateError> {
        if let Some(account) = self.base.get() {
            return Ok(account);
        }
        let account = layout.account(base, &self.who)?;
        Ok(self.base.get_or_init(|| account))
    }
}

impl SlotCell {
    pub(crate) fn new(id: u32, account: u32, who: Address, slot: U256) -> Self {
        Self {
            id,
            account,
            who,
            slot,
            base: OnceLock::new(),
            track: Track::default(),
        }
    }
    /// The word at block start, read once a block.
    pub(crate) fn base(&self, base: &dyn StateRead, layout: &dyn Layout) -> Result<U256, StateError> {
        if let Some(word) = self.base.get() {
            return Ok(*word);
        }
        let word = layout.slot(base, &self.who, self.slot)?;
        Ok(*self.base.get_or_init(|| word))
    }
}

/// A location with all it takes to read it.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a, 'b> {
    pub(crate) loc: Loc<'a>,
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

impl Site<'_, '_> {
    /// The value at block start, if it was read already.
    fn known(&self) -> Option<Datum> {
        match self.loc {
            Loc::Key(cell) => cell.base.get().map(|value| Datum::Bytes(value.clone())),
            Loc::Nonce(cell) => cell.base.get().map(|a| Datum::Word(U256::from(a.nonce))),
            Loc::Balance(cell) => cell.base.get().map(|a| Datum::Word(a.balance)),
            Loc::Code(cell) => cell.base.get().map(|a| Datum::Word(a.code_hash.into())),
            Loc::Slot(cell) => cell.base.get().copied().map(Datum::Word),
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
                cell.base(self.base, layout)?;
                Ok(self.known().expect("read just now"))
            }
            (Loc::Slot(cell), Some(layout)) => cell.base(self.base, layout).map(Datum::Word),
            _ => unreachable!("typed places come from a layout"),
        }
    }
    /// What `reader` finds, or whom it has to wait for.
    pub(crate) fn read(&self, reader: TxIndex, guess: bool) -> Result<Result<Datum, TxIndex>, StateError> {
        let track = self.loc.track();
        if !track.live() {
            return self.start().map(Ok);
        }
        let mut known = self.known();
        loop {
            match track.read(reader, known.as_ref(), self, guess)? {
                Seen::Base => return self.start().map(Ok),
                Seen::Is(datum) => return Ok(Ok(datum)),
                Seen::Blocked(writer) => return Ok(Err(writer)),
                // The database is not asked under the lock.
                Seen::NeedBase => known = Some(self.start()?),
            }
        }
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
            let Record { word, under } = match cell.nonce.record(reader) {
                Ok(record) => record,
                Err(writer) => return Ok(Err(writer)),
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
        match self.read(reader, false)? {
            Ok(Datum::Bytes(value)) => Ok(Ok(value)),
            Ok(Datum::Word(word)) => self.encode(word).map(Ok),
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
        if !self.loc.track().written_before(end) {
            return Ok(None);
        }
        Ok(self.read_bytes(end)?.ok())
    }
    /// See [`Track::fold`].
    pub(crate) fn fold(&self, end: TxIndex) -> Result<(), (TxIndex, StateError)> {
        let track = self.loc.track();
        if !track.live() {
            return Ok(());
        }
        let mut known = self.known();
        if known.is_none() && track.adds_first() {
            known = Some(self.start().map_err(|e| (0, e))?);
        }
        track.fold(end, known.as_ref(), self)
    }
    /// Sets what a run did here.
    pub(crate) fn write(
        &self,
        by: (TxIndex, u16),
        entry: Entry,
        head: TxIndex,
        index: impl FnOnce() -> bool,
    ) {
        let known = self.known();
        self.loc
            .track()
            .write(by, entry, (head, known.as_ref(), self), index);
    }
}

impl<'a> Loc<'a> {
    pub(crate) fn track(&self) -> &'a Track {
        match self {
            Self::Key(cell) => &cell.track,
            Self::Nonce(cell) => &cell.nonce,
            Self::Balance(cell) => &cell.balance,
            Self::Code(cell) => &cell.code,
            Self::Slot(cell) => &cell.track,
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
