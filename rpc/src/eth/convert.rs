//! Blocks, transactions and receipts in the shapes geth gives them.
use super::error::{RpcResult, internal};
use alloy_consensus::transaction::Recovered;
use alloy_consensus::{Transaction as _, TxType};
use alloy_eips::eip2718::Decodable2718;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::U256;
use alloy_rlp::{Encodable, Header as RlpHeader};
use alloy_rpc_types_eth::{Block, BlockTransactions, Header, Log, Transaction, TransactionReceipt};
use app::{EvmReceipt, StoredBlock};
use x_evm::{Envelope, EvmTx, ReceiptEnvelope};

/// A block with its Ethereum transactions, whole or by hash.
pub(crate) fn block(stored: &StoredBlock, full: bool) -> RpcResult<Block<Transaction<Envelope>>> {
    let transactions = if full {
        let all: RpcResult<Vec<_>> = stored.evm_receipts().map(|r| transaction(stored, r)).collect();
        BlockTransactions::Full(all?)
    } else {
        BlockTransactions::Hashes(stored.evm_receipts().map(|r| r.hash).collect())
    };
    let header = Header {
        hash: stored.hash,
        inner: stored.header.clone(),
        total_difficulty: Some(U256::ZERO),
        size: Some(U256::from(size(stored))),
    };
    Ok(Block {
        header,
        uncles: Vec::new(),
        transactions,
        withdrawals: Some(Withdrawals::default()),
    })
}

/// Bytes of the block's RLP: header, transactions, no uncles, no withdrawals.
fn size(stored: &StoredBlock) -> usize {
    let list = |payload: usize| {
        RlpHeader {
            list: true,
            payload_length: payload,
        }
        .length()
            + payload
    };
    // A legacy transaction is a list itself; the others are byte strings.
    let tx = |r: &EvmReceipt| {
        if r.tx_type == 0 {
            r.raw.len()
        } else {
            r.raw.as_ref().length()
        }
    };
    let txs: usize = stored.evm_receipts().map(tx).sum();
    list(stored.header.length() + list(txs) + list(0) + list(0))
}

fn envelope(receipt: &EvmReceipt) -> RpcResult<Envelope> {
    Envelope::decode_2718_exact(&receipt.raw)
        .map_err(|e| internal(format!("stored transaction {}: {e}", receipt.hash)))
}

/// A transaction that is in a block.
pub(crate) fn transaction(stored: &StoredBlock, receipt: &EvmReceipt) -> RpcResult<Transaction<Envelope>> {
    Ok(Transaction {
        inner: Recovered::new_unchecked(envelope(receipt)?, receipt.sender),
        block_hash: Some(stored.hash),
        block_number: Some(stored.header.number),
        transaction_index: Some(receipt.index),
        effective_gas_price: Some(price(receipt)),
        block_timestamp: Some(stored.header.timestamp),
    })
}

/// A transaction that waits.
pub(crate) fn pending(tx: EvmTx) -> Transaction<Envelope> {
    Transaction {
        effective_gas_price: Some(tx.fee_cap()),
        inner: Recovered::new_unchecked(tx.envelope, tx.sender),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        block_timestamp: None,
    }
}

fn price(receipt: &EvmReceipt) -> u128 {
    // A price is bounded by the fee cap, which has 128 bits.
    receipt.effective_gas_price.saturating_to()
}

/// The logs of a transaction, with their block-wide indexes.
pub(crate) fn logs<'a>(stored: &'a StoredBlock, receipt: &'a EvmReceipt) -> impl Iterator<Item = Log> + 'a {
    (receipt.first_log..).zip(&receipt.logs).map(|(index, log)| Log {
        inner: log.clone(),
        block_hash: Some(stored.hash),
        block_number: Some(stored.header.number),
        block_timestamp: Some(stored.header.timestamp),
        transaction_hash: Some(receipt.hash),
        transaction_index: Some(receipt.index),
        log_index: Some(index),
        removed: false,
    })
}

/// A receipt.
pub(crate) fn receipt(
    stored: &StoredBlock,
    r: &EvmReceipt,
) -> RpcResult<TransactionReceipt<ReceiptEnvelope<Log>>> {
    let receipt = alloy_consensus::Receipt {
        status: r.success.into(),
        cumulative_gas_used: r.cumulative_gas_used,
        logs: logs(stored, r).collect(),
    };
    let kind =
        TxType::try_from(r.tx_type).map_err(|e| internal(format!("stored transaction {}: {e}", r.hash)))?;
    let to = envelope(r)?.to();
    Ok(TransactionReceipt {
        inner: ReceiptEnvelope::from_typed(kind, receipt.with_bloom()),
        transaction_hash: r.hash,
        transaction_index: Some(r.index),
        block_hash: Some(stored.hash),
        block_number: Some(stored.header.number),
        gas_used: r.gas_used,
        effective_gas_price: price(r),
        blob_gas_used: None,
        blob_gas_price: None,
        from: r.sender,
        to,
        contract_address: r.contract.filter(|_| to.is_none()),
    })
}
