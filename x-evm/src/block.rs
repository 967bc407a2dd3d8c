//! Receipts and the roots a block's header has of them, as any Ethereum client recomputes them.
use alloy_consensus::proofs::{calculate_receipt_root, ordered_trie_root_with_encoder};
use alloy_consensus::{Eip658Value, Receipt, ReceiptEnvelope, TxReceipt, TxType};
use alloy_primitives::{Bloom, Log};
use types::B256;

/// The receipt of a transaction of type `tx_type` (0 to 4), where `gas_cumulative` counts the block's gas up to and
/// with it.
pub fn receipt(tx_type: u8, success: bool, gas_cumulative: u64, logs: Vec<Log>) -> ReceiptEnvelope {
    let receipt = Receipt {
        status: Eip658Value::Eip658(success),
        cumulative_gas_used: gas_cumulative,
        logs,
    };
    let kind = TxType::try_from(tx_type).unwrap_or(TxType::Legacy);
    ReceiptEnvelope::from_typed(kind, receipt.with_bloom())
}

/// The header's `receiptsRoot`.
pub fn receipts_root(receipts: &[ReceiptEnvelope]) -> B256 {
    calculate_receipt_root(receipts)
}

/// The header's `logsBloom`.
pub fn logs_bloom(receipts: &[ReceiptEnvelope]) -> Bloom {
    receipts
        .iter()
        .fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom())
}

/// The header's `transactionsRoot`, over the transactions' EIP-2718 encodings.
pub fn transactions_root<T: AsRef<[u8]>>(txs: &[T]) -> B256 {
    ordered_trie_root_with_encoder(txs, |tx, out| out.extend_from_slice(tx.as_ref()))
}
