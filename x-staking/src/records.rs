//! Delegations, and coins on their way out or over.
use crate::num::{dec, int, proto_time, raw, time};
use crate::{keys, validator::operator_text};
use cosmrs::proto::cosmos::staking::v1beta1 as proto;
use module::Result;
use prost::Message as _;
use state::{Key, StateError, StateRead, StateWrite, Value};
use types::{Address, ChainConfig, Dec, Timestamp, U256, bech32_address};

/// A delegator's claim on a validator's stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Whose.
    pub delegator: Address,
    /// On whom.
    pub operator: Address,
    /// How much of it.
    pub shares: Dec,
}

/// Coins that leave a validator, by delegator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unbonding {
    /// Whose.
    pub delegator: Address,
    /// From whom.
    pub operator: Address,
    /// One a height and completion time.
    pub entries: Vec<UnbondingEntry>,
}

/// One step of an unbonding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnbondingEntry {
    /// Height it began at.
    pub height: i64,
    /// When it pays out.
    pub completion: Timestamp,
    /// What it began with, in base units.
    pub initial: U256,
    /// What is left after slashing, in base units.
    pub balance: U256,
    /// Its number among all unbondings; 0 until the block's end.
    pub id: u64,
    /// Others that hold it up.
    pub on_hold: i64,
}

/// Coins that move from one validator to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redelegation {
    /// Whose.
    pub delegator: Address,
    /// From whom.
    pub source: Address,
    /// To whom.
    pub target: Address,
    /// One a message.
    pub entries: Vec<RedelegationEntry>,
}

/// One step of a redelegation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedelegationEntry {
    /// Height it began at.
    pub height: i64,
    /// Until when the source's faults count.
    pub completion: Timestamp,
    /// What moved, in base units.
    pub initial: U256,
    /// What it bought at the target.
    pub shares: Dec,
    /// Its number among all unbondings; 0 until the block's end.
    pub id: u64,
    /// Others that hold it up.
    pub on_hold: i64,
}

/// A stored record that its key and value name together.
pub(crate) trait Record: Sized {
    /// Reads one found under `key`.
    fn read(key: &Key, value: &Value) -> Option<Self>;
}

/// The addresses in a key: each 20 bytes behind a length.
fn addresses<const N: usize>(key: &Key) -> Option<[Address; N]> {
    let body = key.bytes();
    if body.len() != 1 + 21 * N {
        return None;
    }
    Some(std::array::from_fn(|i| {
        Address::from_slice(&body[2 + 21 * i..22 + 21 * i])
    }))
}

/// The record under `key`.
pub(crate) fn get<T: Record>(state: &dyn StateRead, key: &Key) -> Result<Option<T>, StateError> {
    state.get(key)?.map(|value| decode(key, &value)).transpose()
}

/// The record in a scanned pair.
pub(crate) fn decode<T: Record>(key: &Key, value: &Value) -> Result<T, StateError> {
    T::read(key, value).ok_or_else(|| StateError::Corrupt {
        key: key.clone(),
        why: "not what staking writes here".into(),
    })
}

impl Record for Delegation {
    fn read(key: &Key, value: &Value) -> Option<Self> {
        let [delegator, operator] = addresses(key)?;
        let shares = dec(&proto::Delegation::decode(value.as_ref()).ok()?.shares)?;
        Some(Self {
            delegator,
            operator,
            shares,
        })
    }
}

impl Record for Unbonding {
    fn read(key: &Key, value: &Value) -> Option<Self> {
        let [delegator, operator] = addresses(key)?;
        let mut entries = Vec::new();
        for e in proto::UnbondingDelegation::decode(value.as_ref()).ok()?.entries {
            entries.push(UnbondingEntry {
                height: e.creation_height,
                completion: time(e.completion_time.as_ref())?,
                initial: int(&e.initial_balance)?,
                balance: int(&e.balance)?,
                id: e.unbonding_id,
                on_hold: e.unbonding_on_hold_ref_count,
            });
        }
        Some(Self {
            delegator,
            operator,
            entries,
        })
    }
}

impl Record for Redelegation {
    fn read(key: &Key, value: &Value) -> Option<Self> {
        let [delegator, source, target] = addresses(key)?;
        let mut entries = Vec::new();
        for e in proto::Redelegation::decode(value.as_ref()).ok()?.entries {
            entries.push(RedelegationEntry {
                height: e.creation_height,
                completion: time(e.completion_time.as_ref())?,
                initial: int(&e.initial_balance)?,
                shares: dec(&e.shares_dst)?,
                id: e.unbonding_id,
                on_hold: e.unbonding_on_hold_ref_count,
            });
        }
        Some(Self {
            delegator,
            source,
            target,
            entries,
        })
    }
}

impl Delegation {
    /// As clients and the store see it.
    pub fn to_proto(&self, config: &ChainConfig) -> proto::Delegation {
        proto::Delegation {
            delegator_address: bech32_address(&config.bech32_prefix, &self.delegator),
            validator_address: operator_text(config, &self.operator),
            shares: raw(self.shares),
        }
    }
    /// Stores it and its index entry, or removes both where no shares are left.
    pub(crate) fn put(&self, state: &mut dyn StateWrite, config: &ChainConfig) {
        let key = keys::delegation(&self.delegator, &self.operator);
        let index = keys::delegation_by_validator(&self.operator, &self.delegator);
        if self.shares.is_zero() {
            state.delete(key);
            state.delete(index);
        } else {
            state.put(key, self.to_proto(config).encode_to_vec().into());
            state.put(index, Value::new());
        }
    }
}

impl Unbonding {
    /// As clients and the store see it.
    pub fn to_proto(&self, config: &ChainConfig) -> proto::UnbondingDelegation {
        let entry = |e: &UnbondingEntry| proto::UnbondingDelegationEntry {
            creation_height: e.height,
            completion_time: Some(proto_time(e.completion)),
            initial_balance: e.initial.to_string(),
            balance: e.balance.to_string(),
            unbonding_id: e.id,
            unbonding_on_hold_ref_count: e.on_hold,
        };
        proto::UnbondingDelegation {
            delegator_address: bech32_address(&config.bech32_prefix, &self.delegator),
            validator_address: operator_text(config, &self.operator),
            entries: self.entries.iter().map(entry).collect(),
        }
    }
    /// Stores it and its index entry, or removes both where no entry is left.
    pub(crate) fn put(&self, state: &mut dyn StateWrite, config: &ChainConfig) {
        let key = keys::unbonding(&self.delegator, &self.operator);
        let index = keys::unbonding_by_validator(&self.operator, &self.delegator);
        if self.entries.is_empty() {
            state.delete(key);
            state.delete(index);
        } else {
            state.put(key, self.to_proto(config).encode_to_vec().into());
            state.put(index, Value::new());
        }
    }
    /// Adds an entry, or to the entry of the same height and completion time. Whether it is a new one.
    pub(crate) fn add(&mut self, height: i64, completion: Timestamp, amount: U256) -> Result<bool> {
        let same = self
            .entries
            .iter_mut()
            .find(|e| e.height == height && e.completion == completion);
        if let Some(e) = same {
            e.initial = crate::num::fits(e.initial.checked_add(amount))?;
            e.balance = crate::num::fits(e.balance.checked_add(amount))?;
            return Ok(false);
        }
        let (initial, balance) = (amount, amount);
        self.entries.push(UnbondingEntry {
            height,
            completion,
            initial,
            balance,
            id: 0,
            on_hold: 0,
        });
        Ok(true)
    }
}

impl Redelegation {
    /// As clients and the store see it.
    pub fn to_proto(&self, config: &ChainConfig) -> proto::Redelegation {
        let entry = |e: &RedelegationEntry| proto::RedelegationEntry {
            creation_height: e.height,
            completion_time: Some(proto_time(e.completion)),
            initial_balance: e.initial.to_string(),
            shares_dst: raw(e.shares),
            unbonding_id: e.id,
            unbonding_on_hold_ref_count: e.on_hold,
        };
        proto::Redelegation {
            delegator_address: bech32_address(&config.bech32_prefix, &self.delegator),
            validator_src_address: operator_text(config, &self.source),
            validator_dst_address: operator_text(config, &self.target),
            entries: self.entries.iter().map(entry).collect(),
        }
    }
    /// Stores it and its index entries, or removes them where no entry is left.
    pub(crate) fn put(&self, state: &mut dyn StateWrite, config: &ChainConfig) {
        let (d, s, t) = (&self.delegator, &self.source, &self.target);
        let indexes = [
            keys::redelegation_by_source(d, s, t),
            keys::redelegation_by_target(d, s, t),
        ];
        if self.entries.is_empty() {
            state.delete(keys::redelegation(d, s, t));
            indexes.into_iter().for_each(|k| state.delete(k));
        } else {
            state.put(
                keys::redelegation(d, s, t),
                self.to_proto(config).encode_to_vec().into(),
            );
            indexes.into_iter().for_each(|k| state.put(k, Value::new()));
        }
    }
}

/// Reads a delegation.
pub fn delegation(
    state: &dyn StateRead,
    delegator: &Address,
    operator: &Address,
) -> Result<Option<Delegation>, StateError> {
    get(state, &keys::delegation(delegator, operator))
}

/// Reads an unbonding delegation.
pub fn unbonding(
    state: &dyn StateRead,
    delegator: &Address,
    operator: &Address,
) -> Result<Option<Unbonding>, StateError> {
    get(state, &keys::unbonding(delegator, operator))
}

/// Reads a redelegation.
pub fn redelegation(
    state: &dyn StateRead,
    delegator: &Address,
    source: &Address,
    target: &Address,
) -> Result<Option<Redelegation>, StateError> {
    get(state, &keys::redelegation(delegator, source, target))
}
