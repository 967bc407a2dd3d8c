//! Typed places: what transactions touch most, found by account and slot instead of by key, with values that need no
//! decoding. The caller's [`Layout`] says which key each of them is.
use state::{Delta, Key, StateError, StateRead, StateScan, Value};
use types::{Address, B256, U256};

/// A location that is also a key. Its value is a word; zero stands for absence, save for [`Self::Nonce`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The number in an account's record. The rest of the record stays as it is when the number is set.
    Nonce(Address),
    /// An account's balance.
    Balance(Address),
    /// The hash of an account's code.
    Code(Address),
    /// A slot of an account's storage.
    Slot(Address, U256),
}

/// An address as numbers: these are hashed faster than bytes.
pub(crate) fn numbers(who: &Address) -> (u64, u64, u32) {
    let bytes = who.0.0;
    let [a, b] = [0, 8].map(|at| {
        let mut part = [0; 8];
        part.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(part)
    });
    (
        a,
        b,
        u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]),
    )
}

/// A slot of the account called `account` as numbers.
pub(crate) fn slot_numbers(account: u32, slot: &U256) -> (u32, u64, u64, u64, u64) {
    let [a, b, c, d] = *slot.as_limbs();
    (account, a, b, c, d)
}

/// An account's three places, read together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What it is called while the block runs, where its slots are looked for.
    pub id: u32,
    /// Nonce.
    pub nonce: u64,
    /// Balance.
    pub balance: U256,
    /// Hash of its code; zero where there is none.
    pub code_hash: B256,
}

/// What a payment has to know of who pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer {
    /// See [`Account::id`].
    pub id: u32,
    /// Nonce.
    pub nonce: u64,
    /// Hash of its code; zero where there is none.
    pub code_hash: B256,
    /// Whether its balance reaches what was asked for. Nothing else of the balance is known.
    pub funded: bool,
}

/// How a place changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// To this word.
    Set(U256),
    /// By this much.
    Add(Delta),
}

/// A change of a typed place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub place: Place,
    /// The account's [`Account::id`], as the view gave it.
    pub id: u32,
    /// How.
    pub to: To,
}

/// Which keys the typed places are, and how their values are written.
pub trait Layout: Sync {
    /// The place that `key` is, if it is one. The inverse of [`Self::key`].
    fn place(&self, key: &Key) -> Option<Place>;
    /// The key that `place` is.
    fn key(&self, place: &Place) -> Key;
    /// Reads a stored value.
    fn decode(&self, place: &Place, value: Option<&Value>) -> Result<U256, StateError>;
    /// Writes a word; `under` is the record in which a nonce is set.
    fn encode(&self, place: &Place, word: U256, under: Option<&Value>) -> Result<Option<Value>, StateError>;
    /// An account of `base`.
    fn account(&self, base: &dyn StateRead, who: &Address) -> Result<Account, StateError> {
        let nonce = self.read(base, &Place::Nonce(*who))?;
        Ok(Account {
            id: 0,
            nonce: u64::try_from(nonce).unwrap_or(u64::MAX),
            balance: self.read(base, &Place::Balance(*who))?,
            code_hash: self.read(base, &Place::Code(*who))?.into(),
        })
    }
    /// A slot of `base`.
    fn slot(&self, base: &dyn StateRead, who: &Address, slot: U256) -> Result<U256, StateError> {
        self.read(base, &Place::Slot(*who, slot))
    }
    /// The value under `key`, which `place` is, once it is set to `word`. `now` is the state in front of that.
    fn stored(
        &self,
        now: &dyn StateRead,
        key: &Key,
        place: &Place,
        word: U256,
    ) -> Result<Option<Value>, StateError> {
        let under = match place {
            Place::Nonce(_) => now.get(key)?,
            _ => None,
        };
        self.encode(place, word, under.as_ref())
    }
    /// A word of `base`.
    fn read(&self, base: &dyn StateRead, place: &Place) -> Result<U256, StateError> {
        self.decode(place, base.get(&self.key(place))?.as_ref())
    }
}

/// The layout of a block that has typed places.
pub(crate) fn required(layout: Option<&dyn Layout>) -> Result<&dyn Layout, StateError> {
    layout.ok_or_else(|| StateError::Storage("typed access without a layout".into()))
}

/// State with typed places.
///
/// Unlike `get`, typed reads may differ within one run that is ahead of the head: a run that saw two values is never
/// committed.
pub trait View: StateScan {
    /// An account.
    fn account(&self, who: &Address) -> Result<Account, StateError>;
    /// The hash of an account's code; zero where there is none.
    fn code_hash(&self, who: &Address) -> Result<(u32, B256), StateError>;
    /// An account of which only that it has `least` is asked of its balance, so that payments to it do not matter.
    fn payer(&self, who: &Address, least: U256) -> Result<Payer, StateError> {
        let account = self.account(who)?;
        Ok(Payer {
            id: account.id,
            nonce: account.nonce,
            code_hash: account.code_hash,
            funded: account.balance >= least,
        })
    }
    /// A slot of an account whose [`Account::id`] is `id`.
    fn slot(&self, who: &Address, id: u32, slot: U256) -> Result<U256, StateError>;
}

/// Any state, seen with typed places.
#[derive(Clone, Copy)]
pub struct Plain<'a> {
    /// The state.
    pub state: &'a dyn StateScan,
    /// Its layout.
    pub layout: &'a dyn Layout,
}

impl std::fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plain").finish_non_exhaustive()
    }
}

impl StateRead for Plain<'_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        self.state.get(key)
    }
}

impl StateScan for Plain<'_> {
    fn scan(
        &self,
        range: &state::KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> state::Control,
    ) -> Result<(), StateError> {
        self.state.scan(range, visit)
    }
}

impl View for Plain<'_> {
    fn account(&self, who: &Address) -> Result<Account, StateError> {
        self.layout.account(&self.state, who)
    }
    fn code_hash(&self, who: &Address) -> Result<(u32, B256), StateError> {
        Ok((0, self.layout.read(&self.state, &Place::Code(*who))?.into()))
    }
    fn slot(&self, who: &Address, _: u32, slot: U256) -> Result<U256, StateError> {
        self.layout.read(&self.state, &Place::Slot(*who, slot))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// For states without typed places.
    pub(crate) struct NoLayout;
    impl Layout for NoLayout {
        fn place(&self, _: &Key) -> Option<Place> {
            None
        }
        fn key(&self, place: &Place) -> Key {
            unreachable!("{place:?}")
        }
        fn decode(&self, place: &Place, _: Option<&Value>) -> Result<U256, StateError> {
            unreachable!("{place:?}")
        }
        fn encode(&self, place: &Place, _: U256, _: Option<&Value>) -> Result<Option<Value>, StateError> {
            unreachable!("{place:?}")
        }
    }
}
