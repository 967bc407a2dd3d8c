//! Run Ethereum transactions and contracts on the chain's state with revm.
//!
//! Reading order: [`EvmTx`] is a decoded transaction; [`Env`] the rules and the block; [`execute`] runs one over a
//! recorded view and gives an [`Executed`]; `db.rs` reads the chain's state for revm, `machine.rs` bends revm's rules
//! where the chain's differ, `writes.rs` turns what changed into a write set.

mod access;
mod block;
mod check;
mod db;
mod eip1559;
mod env;
mod envelope;
mod execute;
mod transfer;
mod genesis;
mod invalid;
mod keys;
mod layout;
mod machine;
mod eip7610;
mod module;
mod params;
mod query;
pub mod replay;
mod revert;
mod simulate;
mod overrides;
mod tx;
mod writes;

pub use access::access;
pub use alloy_consensus::ReceiptEnvelope;
pub use alloy_primitives::{Bloom, Log};
pub use block::{logs_bloom, receipt, receipts_root, transactions_root};
pub use check::{check, intrinsic_gas};
pub use db::Codes;
pub use eip1559::next_base_fee;
pub use env::{CHAIN_SPEC, Env, Fees, Hashes};
pub use envelope::{
    EnvelopeError, ExtensionOptionsEthereumTx, Log as ProtoLog, MSG_TYPE, MsgEthereumTx,
    MsgEthereumTxResponse, OPTION_TYPE, RESPONSE_TYPE, unwrap, wrap,
};
pub use execute::{Executed, Included, Outcome, execute, execute_once};
pub use genesis::Preinstall;
pub use invalid::Invalid;
pub use keys::{
    STORE, code, code_hash, code_hash_key, code_key, empty_key, epoch, epoch_key, params_key, slot, slot_key,
};
pub use machine::{Scratch, Transfer};
pub use module::{Evm, begin_block_writes, system_call};
pub use overrides::{Override, apply_overrides};
pub use params::{Params, params};
pub use query::{
    AccountResponse, AddressRequest, CodeResponse, Config, ConfigResponse, CosmosAccountResponse,
    EstimateGasResponse, EthCallRequest, ParamsResponse, StorageRequest, TextResponse,
};
pub use revert::{revert_message, revert_reason};
pub use revm::primitives::hardfork::SpecId;
pub use simulate::{Call, CallError, Called, call, estimate_gas, warm_up};
pub use tx::{Envelope, EvmTx, TX_BYTES_MAX, TxError};
pub use writes::write_set;
