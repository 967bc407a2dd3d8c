//! What a block came to, as `evm t8n` writes it (geth's `ExecutionResult`): field for field, in its order.
use crate::Alloc;
use crate::number::Number;
use alloy_primitives::{Bloom, Bytes};
use executor::Stats;
use serde::Serialize;
use types::{Address, B256};

/// All that a run gives.
#[derive(Clone, Debug)]
pub struct Output {
    /// Roots, receipts and sums.
    pub result: Report,
    /// The accounts afterwards.
    pub alloc: Alloc,
    /// RLP of the transactions that ran.
    pub body: Bytes,
    /// How the work went; differs from run to run.
    pub stats: Stats,
}

/// Roots, receipts and sums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "each field is the header's of that name")]
pub struct Report {
    pub state_root: B256,
    pub tx_root: B256,
    pub receipts_root: B256,
    pub logs_hash: B256,
    pub logs_bloom: Bloom,
    pub receipts: Vec<Receipt>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<Rejected>,
    pub(crate) current_difficulty: Option<Number>,
    pub(crate) gas_used: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current_base_fee: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawals_root: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current_excess_blob_gas: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) blob_gas_used: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_hash: Option<B256>,
    pub requests: Option<Vec<Bytes>>,
}

/// A transaction that did not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Its place in the input.
    pub index: usize,
    /// Why, in geth's words.
    pub error: String,
}

/// A transaction that ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Number>,
    pub(crate) root: Bytes,
    pub(crate) status: Number,
    pub(crate) cumulative_gas_used: Number,
    pub(crate) logs_bloom: Bloom,
    pub(crate) logs: Option<Vec<ReceiptLog>>,
    pub(crate) transaction_hash: B256,
    pub(crate) contract_address: Address,
    pub(crate) gas_used: Number,
    pub(crate) effective_gas_price: Option<Number>,
    pub(crate) block_hash: B256,
    pub(crate) transaction_index: Number,
}

/// A log with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptLog {
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Bytes,
    pub(crate) block_number: Number,
    pub(crate) transaction_hash: B256,
    pub(crate) transaction_index: Number,
    pub(crate) block_hash: B256,
    pub(crate) log_index: Number,
    pub(crate) removed: bool,
}
