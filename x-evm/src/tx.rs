//! Ethereum transactions as they come off the wire.
use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{EthereumTxEnvelope, Transaction as _, TxEip4844, Typed2718};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_eips::eip2930::AccessList;
use revm::context::TxEnv;
use revm::context_interface::either::Either;
use types::{Address, B256, Bytes, U256};

/// A signed transaction of type 0 to 4, without blobs.
pub type Envelope = EthereumTxEnvelope<TxEip4844>;

/// geth's limit on a transaction's bytes (core/txpool/legacypool `txMaxSize`).
pub const TX_BYTES_MAX: usize = 128 * 1024;

/// Why bytes are not a transaction this chain takes. Decided by the bytes and the chain id alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxError {
    /// More than [`TX_BYTES_MAX`].
    #[error("oversized data: transaction size {0}, limit {TX_BYTES_MAX}")]
    Size(usize),
    /// A type that does not exist, or is not accepted.
    #[error("transaction type not supported: {0}")]
    Type(String),
    /// Not the encoding of a transaction.
    #[error("rlp: {0}")]
    Rlp(String),
    /// A signature that recovers nobody, or is malleable (EIP-2).
    #[error("invalid transaction v, r, s values")]
    Signature,
    /// Signed without a chain id (before EIP-155).
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    Unprotected,
    /// Signed for another chain.
    #[error("incorrect chain-id; expected {want}, got {have}")]
    ChainId {
        /// This chain's.
        want: u64,
        /// The transaction's.
        have: u64,
    },
    /// Fees or gas that no sum can hold.
    #[error("{0}")]
    Range(String),
}

/// A decoded transaction with its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvmTx {
    /// The signed transaction.
    pub envelope: Envelope,
    /// Its EIP-2718 encoding.
    pub raw: Bytes,
    /// keccak of `raw`.
    pub hash: B256,
    /// Who signed it.
    pub sender: Address,
}

impl AsRef<[u8]> for EvmTx {
    fn as_ref(&self) -> &[u8] {
        &self.raw
    }
}

impl EvmTx {
    /// Reads a transaction and recovers its sender, by the chain's rules: types 0 (EIP-155), 1, 2 and 4, low-s
    /// signatures, this chain's id, no trailing bytes.
    pub fn decode(raw: &[u8], chain_id: u64) -> Result<Self, TxError> {
        if raw.len() > TX_BYTES_MAX {
            return Err(TxError::Size(raw.len()));
        }
        let envelope = parse(raw)?;
        if envelope.is_eip4844() {
            return Err(TxError::Type("blob".into()));
        }
        match envelope.chain_id() {
            None => return Err(TxError::Unprotected),
            Some(have) if have != chain_id => return Err(TxError::ChainId { want: chain_id, have }),
            Some(_) => {}
        }
        let price = U256::from(envelope.max_fee_per_gas());
        let cost = price.checked_mul(U256::from(envelope.gas_limit()));
        if cost.and_then(|c| c.checked_add(envelope.value())).is_none() {
            return Err(TxError::Range("gas uint64 overflow".into()));
        }
        let sender = envelope.recover_signer().map_err(|_| TxError::Signature)?;
        Ok(Self::new(envelope, sender))
    }
    /// Reads a transaction by Ethereum's rules of any time: also unprotected, high-s, of type 3, of any
    /// size.
    pub fn decode_any(raw: &[u8]) -> Result<Self, TxError> {
        let envelope = parse(raw)?;
        let sender = envelope
            .recover_signer_unchecked()
            .map_err(|_| TxError::Signature)?;
        Ok(Self::new(envelope, sender))
    }
    /// A transaction whose sender is known.
    pub fn new(envelope: Envelope, sender: Address) -> Self {
        let raw = Bytes::from(envelope.encoded_2718());
        Self {
            hash: *envelope.tx_hash(),
            raw,
            sender,
            envelope,
        }
    }
    /// EIP-2718 type, 0 to 4.
    pub fn tx_type(&self) -> u8 {
        self.envelope.ty()
    }
    /// The nonce it must meet.
    pub fn nonce(&self) -> u64 {
        self.envelope.nonce()
    }
    /// The most gas it may use.
    pub fn gas_limit(&self) -> u64 {
        self.envelope.gas_limit()
    }
    /// Fee cap a gas, in wei: the gas price of types 0 and 1.
    pub fn fee_cap(&self) -> u128 {
        self.envelope.max_fee_per_gas()
    }
    /// What it pays the block's producer a gas over `base_fee`; `None` where it cannot pay the base fee.
    pub fn tip(&self, base_fee: u64) -> Option<u128> {
        self.envelope.effective_tip_per_gas(base_fee)
    }
    /// Visits the accounts that it touches whatever they hold.
    pub fn announce(&self, visit: &mut dyn FnMut(&Address)) {
        visit(&self.sender);
        if let Some(to) = self.to() {
            visit(&to);
        }
    }
    /// Whom it calls; `None` where it creates.
    pub fn to(&self) -> Option<Address> {
        self.envelope.to()
    }
    /// Wei it transfers.
    pub fn value(&self) -> U256 {
        self.envelope.value()
    }
    /// The most it can cost its sender: gas limit × fee cap + value (+ blob gas); `None` beyond 256 bits.
    pub fn cost_max(&self) -> Option<U256> {
        let gas = U256::from(self.fee_cap()).checked_mul(U256::from(self.gas_limit()))?;
        let blobs = U256::from(self.envelope.max_fee_per_blob_gas().unwrap_or(0))
            .checked_mul(U256::from(self.envelope.blob_gas_used().unwrap_or(0)))?;
        gas.checked_add(blobs)?.checked_add(self.value())
    }
    /// The transaction as revm takes it.
    pub fn to_env(&self) -> TxEnv {
        let tx = &self.envelope;
        let dynamic = tx.is_dynamic_fee();
        TxEnv {
            tx_type: tx.ty(),
            caller: self.sender,
            gas_limit: tx.gas_limit(),
            gas_price: tx.max_fee_per_gas(),
            kind: tx.kind(),
            value: tx.value(),
            data: tx.input().clone(),
            nonce: tx.nonce(),
            chain_id: tx.chain_id(),
            access_list: AccessList(
                tx.access_list()
                    .into_iter()
                    .flat_map(|list| list.0.iter().cloned())
                    .collect(),
            ),
            gas_priority_fee: if dynamic {
                tx.max_priority_fee_per_gas()
            } else {
                None
            },
            blob_hashes: tx.blob_versioned_hashes().map_or_else(Vec::new, <[B256]>::to_vec),
            max_fee_per_blob_gas: tx.max_fee_per_blob_gas().unwrap_or(0),
            authorization_list: tx
                .authorization_list()
                .map_or_else(Vec::new, |list| list.iter().cloned().map(Either::Left).collect()),
        }
    }
}

fn parse(raw: &[u8]) -> Result<Envelope, TxError> {
    match raw.first() {
        None => return Err(TxError::Rlp("value size exceeds available input length".into())),
        Some(1..=4 | 0xc0..) => {}
        Some(other) => return Err(TxError::Type(other.to_string())),
    }
    Envelope::decode_2718_exact(raw).map_err(|e| TxError::Rlp(e.to_string()))
}
