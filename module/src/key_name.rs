//! Keys, for people.
use types::Address;

/// What a key holds: `storage` of a contract, `balance` of an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName {
    /// What kind of entry it is.
    pub kind: &'static str,
    /// Whose it is, where it is somebody's.
    pub address: Option<Address>,
    /// What more there is to say: a slot, a denomination, another address.
    pub detail: String,
}

impl KeyName {
    /// An entry of `address`.
    pub fn of(kind: &'static str, address: Address, detail: impl Into<String>) -> Self {
        Self {
            kind,
            address: Some(address),
            detail: detail.into(),
        }
    }
    /// An entry of the whole module.
    pub fn shared(kind: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            address: None,
            detail: detail.into(),
        }
    }
}
