//! The Cosmos transaction around an Ethereum one, as cosmos/evm wraps it (x/vm/types/msg.go `BuildTx`).
//!
//! No signature covers these bytes, so they must be exactly the ones recomputed from the transaction inside (chain.md
//! rule 16): otherwise one signed transaction would have many Cosmos hashes.
use crate::tx::{EvmTx, TxError};
use cosmrs::proto::Any;
use cosmrs::proto::cosmos::base::v1beta1::Coin;
use cosmrs::proto::cosmos::tx::v1beta1::{AuthInfo, Fee, TxBody, TxRaw};
use prost::Message;
use types::{Bytes, ChainConfig, U256};

/// Type of the message.
pub const MSG_TYPE: &str = "/cosmos.evm.vm.v1.MsgEthereumTx";
/// Type of the extension option that marks the transaction.
pub const OPTION_TYPE: &str = "/cosmos.evm.vm.v1.ExtensionOptionsEthereumTx";
/// Type of the response.
pub const RESPONSE_TYPE: &str = "/cosmos.evm.vm.v1.MsgEthereumTxResponse";

/// `cosmos.evm.vm.v1.MsgEthereumTx`.
#[derive(Clone, PartialEq, Message)]
pub struct MsgEthereumTx {
    /// The sender's 20 bytes.
    #[prost(bytes = "bytes", tag = "5")]
    pub from: Bytes,
    /// The transaction in its EIP-2718 encoding.
    #[prost(bytes = "bytes", tag = "6")]
    pub raw: Bytes,
}

/// `cosmos.evm.vm.v1.ExtensionOptionsEthereumTx`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ExtensionOptionsEthereumTx {}

/// `cosmos.evm.vm.v1.Log`.
#[derive(Clone, PartialEq, Message)]
pub struct Log {
    /// Contract, 0x-hex.
    #[prost(string, tag = "1")]
    pub address: String,
    /// Topics, 0x-hex.
    #[prost(string, repeated, tag = "2")]
    pub topics: Vec<String>,
    /// Data.
    #[prost(bytes = "bytes", tag = "3")]
    pub data: Bytes,
    /// Height.
    #[prost(uint64, tag = "4")]
    pub block_number: u64,
    /// Ethereum hash of the transaction, 0x-hex.
    #[prost(string, tag = "5")]
    pub tx_hash: String,
    /// Place among the block's Ethereum transactions.
    #[prost(uint64, tag = "6")]
    pub tx_index: u64,
    /// Always empty: the block's hash is not known while it executes.
    #[prost(string, tag = "7")]
    pub block_hash: String,
    /// Place among the block's logs.
    #[prost(uint64, tag = "8")]
    pub index: u64,
    /// Always false.
    #[prost(bool, tag = "9")]
    pub removed: bool,
    /// Header time, in seconds.
    #[prost(uint64, tag = "10")]
    pub block_timestamp: u64,
}

/// `cosmos.evm.vm.v1.MsgEthereumTxResponse`, the message's response in `ExecTxResult.data`.
#[derive(Clone, PartialEq, Message)]
pub struct MsgEthereumTxResponse {
    /// Ethereum hash, 0x-hex.
    #[prost(string, tag = "1")]
    pub hash: String,
    /// Logs.
    #[prost(message, repeated, tag = "2")]
    pub logs: Vec<Log>,
    /// Return or revert data.
    #[prost(bytes = "bytes", tag = "3")]
    pub ret: Bytes,
    /// Why it failed; empty where it succeeded.
    #[prost(string, tag = "4")]
    pub vm_error: String,
    /// Gas used, after refunds.
    #[prost(uint64, tag = "5")]
    pub gas_used: u64,
    /// Gas used before refunds.
    #[prost(uint64, tag = "6")]
    pub max_used_gas: u64,
    /// Always empty: see [`Log::block_hash`].
    #[prost(bytes = "bytes", tag = "7")]
    pub block_hash: Bytes,
    /// Header time, in seconds.
    #[prost(uint64, tag = "8")]
    pub block_timestamp: u64,
}

/// Why bytes are not an Ethereum transaction's envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not a Cosmos transaction at all.
    #[error("tx parse error: {0}")]
    Decode(String),
    /// An Ethereum message, not in its canonical envelope.
    #[error("not the canonical envelope of Ethereum transaction {hash}")]
    NotCanonical {
        /// The inner transaction's hash, 0x-hex.
        hash: String,
    },
    /// An Ethereum message among others, or an option without a message.
    #[error(
        "an Ethereum transaction's envelope holds one MsgEthereumTx and one ExtensionOptionsEthereumTx, and nothing else"
    )]
    Shape,
    /// The inner transaction is refused.
    #[error(transparent)]
    Tx(#[from] TxError),
}

/// The Cosmos transaction around `tx`: one message, the option, no signatures, fee = gas limit × fee cap of the base
/// denomination.
pub fn wrap(tx: &EvmTx, config: &ChainConfig) -> Bytes {
    let msg = MsgEthereumTx {
        from: Bytes::copy_from_slice(tx.sender.as_slice()),
        raw: tx.raw.clone(),
    };
    let body = TxBody {
        messages: vec![Any {
            type_url: MSG_TYPE.into(),
            value: msg.encode_to_vec(),
        }],
        extension_options: vec![Any {
            type_url: OPTION_TYPE.into(),
            value: Vec::new(),
        }],
        ..TxBody::default()
    };
    let fee = U256::from(tx.fee_cap()).saturating_mul(U256::from(tx.gas_limit()));
    let amount = if fee.is_zero() {
        Vec::new()
    } else {
        vec![Coin {
            denom: config.base_denom.clone(),
            amount: fee.to_string(),
        }]
    };
    let auth = AuthInfo {
        fee: Some(Fee {
            amount,
            gas_limit: tx.gas_limit(),
            ..Fee::default()
        }),
        ..AuthInfo::default()
    };
    let raw = TxRaw {
        body_bytes: body.encode_to_vec(),
        auth_info_bytes: auth.encode_to_vec(),
        signatures: Vec::new(),
    };
    raw.encode_to_vec().into()
}

/// The Ethereum transaction in `bytes`; `None` where this is a native transaction, for others to decode. Refuses an
/// Ethereum message in anything but its canonical envelope. Decided by the bytes and genesis alone.
pub fn unwrap(bytes: &[u8], config: &ChainConfig) -> Result<Option<EvmTx>, EnvelopeError> {
    let decode = |e: prost::DecodeError| EnvelopeError::Decode(e.to_string());
    let raw = TxRaw::decode(bytes).map_err(decode)?;
    let body = TxBody::decode(raw.body_bytes.as_slice()).map_err(decode)?;
    let options = body
        .extension_options
        .iter()
        .chain(&body.non_critical_extension_options);
    let marked = options.into_iter().any(|o| o.type_url == OPTION_TYPE);
    let has_message = body.messages.iter().any(|m| m.type_url == MSG_TYPE);
    if !marked && !has_message {
        return Ok(None);
    }
    let [message] = body.messages.as_slice() else {
        return Err(EnvelopeError::Shape);
    };
    if !marked || message.type_url != MSG_TYPE {
        return Err(EnvelopeError::Shape);
    }
    let msg = MsgEthereumTx::decode(message.value.as_slice()).map_err(decode)?;
    let tx = EvmTx::decode(&msg.raw, config.evm_chain_id)?;
    if wrap(&tx, config) != bytes {
        return Err(EnvelopeError::NotCanonical {
            hash: tx.hash.to_string(),
        });
    }
    Ok(Some(tx))
}
