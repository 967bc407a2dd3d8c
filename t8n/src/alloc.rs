//! Accounts as JSON, in the chain's own layout, and under Ethereum's state root.
use crate::Error;
use crate::fork::Fork;
use crate::number::{Number, narrow, word};
use alloy_primitives::Bytes;
use alloy_trie::TrieAccount;
use alloy_trie::root::{state_root_unhashed, storage_root_unhashed};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use state::{Control, KeyRange, MemoryState, Overlay, StateError, StateScan, StateWrite, Value, WriteSet};
use std::collections::BTreeMap;
use types::{Address, B256, ChainConfig, U256, keccak256};
use x_evm::SpecId;

/// An account as geth's genesis files have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its code.
    #[serde(default, skip_serializing_if = "no_code")]
    pub code: Bytes,
    /// Words by slot; zero is absence.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "words",
        deserialize_with = "slots"
    )]
    pub storage: BTreeMap<U256, U256>,
    /// In wei.
    #[serde(default, serialize_with = "quantity", deserialize_with = "wide")]
    pub balance: U256,
    /// Transactions sent, or contracts created.
    #[serde(
        default,
        skip_serializing_if = "zero",
        serialize_with = "short",
        deserialize_with = "narrow"
    )]
    pub nonce: u64,
}

/// Accounts by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alloc(pub BTreeMap<Address, Account>);

fn no_code(code: &Bytes) -> bool {
    code.is_empty()
}
fn zero(nonce: &u64) -> bool {
    *nonce == 0
}
fn short<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
    Number(U256::from(*number)).serialize(to)
}
fn quantity<S: Serializer>(number: &U256, to: S) -> Result<S::Ok, S::Error> {
    Number(*number).serialize(to)
}
fn wide<'de, D: Deserializer<'de>>(from: D) -> Result<U256, D::Error> {
    Number::deserialize(from).map(|number| number.0)
}
fn words<S: Serializer>(storage: &BTreeMap<U256, U256>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(storage.iter().map(|(k, v)| (word(Number(*k)), word(Number(*v)))))
}
/// Keys and words in hexadecimal, padded or not, with or without `0x`.
fn slots<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<U256, U256>, D::Error> {
    let hex = |text: &str| {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let number = if digits.is_empty() {
            Ok(U256::ZERO)
        } else {
            U256::from_str_radix(digits, 16)
        };
        number.map_err(|e| serde::de::Error::custom(format!("{text:?} is no word: {e}")))
    };
    let text: Option<BTreeMap<String, String>> = Option::deserialize(from)?;
    text.into_iter()
        .flatten()
        .map(|(k, v)| Ok((hex(&k)?, hex(&v)?)))
        .collect()
}

impl Serialize for Alloc {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(who, account)| (format!("{who:#x}"), account)))
    }
}
impl<'de> Deserialize<'de> for Alloc {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text: BTreeMap<String, Account> = BTreeMap::deserialize(from)?;
        let mut out = BTreeMap::new();
        for (who, account) in text {
            let who = who
                .parse()
                .map_err(|e| serde::de::Error::custom(format!("{who:?} is no address: {e}")))?;
            out.insert(who, account);
        }
        Ok(Self(out))
    }
}

fn failed(e: StateError) -> Error {
    Error::Evm(e.to_string())
}

/// The accounts in the chain's own layout.
pub(crate) fn load(alloc: &Alloc, config: &ChainConfig) -> Result<MemoryState, Error> {
    let empty = state::EmptyState;
    let mut out = Overlay::new(&empty);
    for (who, account) in &alloc.0 {
        if let Some(value) = state::encode_amount(account.balance) {
            out.put(x_bank::balance_key(who, &config.base_denom), value);
        }
        if account.nonce > 0 {
            x_auth::set_sequence(&mut out, config, who, account.nonce).map_err(failed)?;
        }
        if !account.code.is_empty() {
            let hash = keccak256(&account.code);
            out.put(x_evm::code_hash_key(who), Value::copy_from_slice(hash.as_slice()));
            out.put(x_evm::code_key(&hash), account.code.0.clone());
        } else if account.nonce == 0 && account.balance.is_zero() {
            out.put(x_evm::empty_key(who), Value::from_static(&[1]));
        }
        for (slot, value) in account.storage.iter().filter(|(_, value)| !value.is_zero()) {
            let value = Value::copy_from_slice(&value.to_be_bytes::<32>());
            out.put(x_evm::slot_key(who, slot, 0), value);
        }
    }
    let mut base = MemoryState::default();
    put_all(&mut base, out.finish().map_err(failed)?.writes).map_err(failed)?;
    Ok(base)
}

/// Applies a write set.
pub(crate) fn put_all(base: &mut MemoryState, writes: WriteSet) -> Result<(), StateError> {
    for (key, op) in writes {
        let before = base.0.get(&key).cloned();
        match state::resolve(&key, before, &op)? {
            Some(value) => base.0.insert(key, value),
            None => base.0.remove(&key),
        };
    }
    Ok(())
}

/// The accounts in the chain's own layout, as JSON lists them.
pub(crate) fn dump(state: &MemoryState, fork: &Fork, config: &ChainConfig) -> Result<Alloc, StateError> {
    let mut out: BTreeMap<Address, Account> = BTreeMap::new();
    // Who has a sequence, a balance, code, or exists though empty.
    for (store, prefix, skip) in [
        (x_auth::STORE, vec![1], 1),
        (x_bank::STORE, vec![2], 2),
        (x_evm::STORE, vec![4], 1),
        (x_evm::STORE, vec![6], 1),
    ] {
        state.scan(&KeyRange::prefix(store, &prefix), &mut |key, _| {
            if let Some(who) = key.bytes().get(skip..skip + 20) {
                out.entry(Address::from_slice(who)).or_default();
            }
            Control::Continue(())
        })?;
    }
    let mut words = Vec::new();
    state.scan(&KeyRange::prefix(x_evm::STORE, &[2]), &mut |key, value| {
        let (who, rest) = key.bytes()[1..].split_at(20);
        let (slot, epoch) = rest.split_at(32);
        words.push((
            Address::from_slice(who),
            U256::from_be_slice(slot),
            epoch.to_vec(),
            U256::from_be_slice(value),
        ));
        Control::Continue(())
    })?;
    let wipes = !fork.has(SpecId::CANCUN);
    for (who, slot, epoch, value) in words {
        let now = if wipes { x_evm::epoch(state, &who)? } else { 0 };
        let live = if now == 0 {
            epoch.is_empty()
        } else {
            epoch == now.to_be_bytes()
        };
        if live {
            out.entry(who).or_default().storage.insert(slot, value);
        }
    }
    for (who, account) in &mut out {
        account.balance = x_bank::balance(state, who, &config.base_denom)?;
        account.nonce = x_auth::sequence(state, who)?;
        account.code = x_evm::code(state, &x_evm::code_hash(state, who)?)?.into();
    }
    // A record without a mark, a word or a wei is what a destroyed account leaves.
    let mut gone = Vec::new();
    for (who, account) in &out {
        if *account == Account::default() && !state.0.contains_key(&x_evm::empty_key(who)) {
            gone.push(*who);
        }
    }
    for who in gone {
        out.remove(&who);
    }
    Ok(Alloc(out))
}

/// Ethereum's root of the accounts: a Merkle Patricia trie of tries.
pub fn state_root(alloc: &Alloc) -> B256 {
    state_root_unhashed(alloc.0.iter().map(|(who, account)| {
        let words = account.storage.iter().filter(|(_, value)| !value.is_zero());
        let storage_root = storage_root_unhashed(words.map(|(slot, value)| (word(Number(*slot)), *value)));
        let account = TrieAccount {
            nonce: account.nonce,
            balance: account.balance,
            storage_root,
            code_hash: keccak256(&account.code),
        };
        (*who, account)
    }))
}
