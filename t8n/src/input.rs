//! The block's environment as `evm t8n` reads it (geth's `stEnv`).
use crate::number::{Number, address, narrow, narrow_option};
use alloy_eips::eip4895::Withdrawal;
use serde::Deserialize;
use std::collections::BTreeMap;
use types::{Address, B256, U256};

/// An ommer that is paid for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Ommer {
    /// How many blocks back.
    #[serde(deserialize_with = "narrow")]
    pub delta: u64,
    /// Who mined it.
    #[serde(deserialize_with = "address")]
    pub address: Address,
}

/// The block, without its transactions, and what is needed of its parent. Numbers may be hexadecimal or decimal.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockEnv {
    #[serde(deserialize_with = "address")]
    pub(crate) current_coinbase: Address,
    pub(crate) current_difficulty: Option<Number>,
    pub(crate) current_random: Option<Number>,
    pub(crate) parent_difficulty: Option<Number>,
    pub(crate) parent_base_fee: Option<Number>,
    #[serde(default, deserialize_with = "narrow_option")]
    pub(crate) parent_gas_used: Option<u64>,
    #[serde(default, deserialize_with = "narrow_option")]
    pub(crate) parent_gas_limit: Option<u64>,
    #[serde(deserialize_with = "narrow")]
    pub(crate) current_gas_limit: u64,
    #[serde(deserialize_with = "narrow")]
    pub(crate) current_number: u64,
    #[serde(deserialize_with = "narrow")]
    pub(crate) current_timestamp: u64,
    #[serde(default, deserialize_with = "narrow_option")]
    pub(crate) parent_timestamp: Option<u64>,
    pub(crate) block_hashes: Option<BTreeMap<String, B256>>,
    pub(crate) ommers: Option<Vec<Ommer>>,
    /// Must be there from Shanghai on, be it empty.
    pub(crate) withdrawals: Option<Vec<Withdrawal>>,
    pub(crate) current_base_fee: Option<Number>,
    pub(crate) parent_uncle_hash: Option<B256>,
    #[serde(default, deserialize_with = "narrow_option")]
    pub(crate) current_excess_blob_gas: Option<u64>,
    #[serde(default, deserialize_with = "narrow_option")]
    pub(crate) parent_excess_blob_gas: Option<u64>,
    #[serde(default, deserialize_with = "narrow_option")]
    pub(crate) parent_blob_gas_used: Option<u64>,
    pub(crate) parent_beacon_block_root: Option<B256>,
}

impl BlockEnv {
    /// The block's number.
    pub fn number(&self) -> u64 {
        self.current_number
    }
    /// The block's time, in seconds.
    pub fn time(&self) -> u64 {
        self.current_timestamp
    }
    /// A block with room for `more` gas.
    pub fn with_room(self, more: u64) -> Self {
        Self {
            current_gas_limit: self.current_gas_limit.saturating_add(more),
            ..self
        }
    }
    /// Says that no withdrawals are made: what state tests leave out.
    pub fn without_withdrawals(self) -> Self {
        Self {
            withdrawals: Some(Vec::new()),
            ..self
        }
    }
    pub(crate) fn number_of(of: Option<Number>) -> U256 {
        of.map_or(U256::ZERO, |Number(n)| n)
    }
}
