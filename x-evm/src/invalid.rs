//! Why a transaction cannot run at all, with geth's words and the SDK's codes.
use crate::env::Env;
use crate::tx::EvmTx;
use module::codes;
use revm::context_interface::result::InvalidTransaction;

/// A transaction that consumed nothing: no nonce, no fee, no receipt (chain.md rule 14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// `sdk`.
    pub codespace: &'static str,
    /// Stable: clients match on it.
    pub code: u32,
    /// geth's text.
    pub message: String,
}

impl Invalid {
    pub(crate) fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            codespace: "sdk",
            code,
            message: message.into(),
        }
    }
    pub(crate) fn of(reason: &InvalidTransaction, env: &Env, tx: &EvmTx) -> Self {
        use InvalidTransaction as I;
        let who = tx.sender;
        let (code, message) = match reason {
            I::NonceTooLow { tx, state } => (
                codes::WRONG_SEQUENCE,
                format!("nonce too low: next nonce {state}, tx nonce {tx}"),
            ),
            I::NonceTooHigh { tx, state } => (
                codes::WRONG_SEQUENCE,
                format!("nonce too high: next nonce {state}, tx nonce {tx}"),
            ),
            I::NonceOverflowInTransaction => (
                codes::WRONG_SEQUENCE,
                format!("nonce has max value: address {who}, nonce: {}", tx.nonce()),
            ),
            I::LackOfFundForMaxFee { fee, balance } => (
                codes::INSUFFICIENT_FUNDS,
                format!(
                    "insufficient funds for gas * price + value: balance {balance}, tx cost {fee}, overshot {}",
                    fee.saturating_sub(**balance)
                ),
            ),
            I::OverflowPaymentInTransaction => (
                codes::INSUFFICIENT_FUNDS,
                format!(
                    "insufficient funds for gas * price + value: address {who} required balance exceeds 256 bits"
                ),
            ),
            I::CallGasCostMoreThanGasLimit {
                initial_gas,
                gas_limit,
            } => (
                codes::OUT_OF_GAS,
                format!("intrinsic gas too low: gas {gas_limit}, minimum needed {initial_gas}"),
            ),
            I::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => (
                codes::OUT_OF_GAS,
                format!(
                    "insufficient gas for floor data gas cost: gas {gas_limit}, minimum needed {gas_floor}"
                ),
            ),
            I::GasPriceLessThanBasefee => (
                codes::INSUFFICIENT_FEE,
                format!(
                    "max fee per gas less than block base fee: address {who}, maxFeePerGas: {}, baseFee: {}",
                    tx.fee_cap(),
                    env.block.basefee
                ),
            ),
            I::PriorityFeeGreaterThanMaxFee => (
                codes::INSUFFICIENT_FEE,
                format!(
                    "max priority fee per gas higher than max fee per gas: address {who}, maxPriorityFeePerGas: {}, \
                     maxFeePerGas: {}",
                    alloy_consensus::Transaction::max_priority_fee_per_gas(&tx.envelope).unwrap_or(0),
                    tx.fee_cap()
                ),
            ),
            I::CallerGasLimitMoreThanBlock => (
                codes::INVALID_GAS_LIMIT,
                format!(
                    "exceeds block gas limit: gas {}, limit {}",
                    tx.gas_limit(),
                    env.block.gas_limit
                ),
            ),
            I::TxGasLimitGreaterThanCap { gas_limit, cap } => (
                codes::INVALID_GAS_LIMIT,
                format!("transaction gas limit too high (cap: {cap}, tx: {gas_limit})"),
            ),
            I::RejectCallerWithCode => (codes::UNAUTHORIZED, format!("sender not an eoa: address {who}")),
            I::CreateInitCodeSizeLimit => (
                codes::INVALID_REQUEST,
                format!(
                    "max initcode size exceeded: code size {}, limit {}",
                    alloy_consensus::Transaction::input(&tx.envelope).len(),
                    revm::context_interface::Cfg::max_initcode_size(&env.cfg)
                ),
            ),
            I::InvalidChainId | I::MissingChainId => (
                codes::INVALID_CHAIN_ID,
                format!(
                    "incorrect chain-id; expected {}, got {}",
                    env.cfg.chain_id,
                    alloy_consensus::Transaction::chain_id(&tx.envelope)
                        .map_or("none".into(), |id| id.to_string())
                ),
            ),
            I::EmptyAuthorizationList => (
                codes::INVALID_REQUEST,
                "EIP-7702 transaction with empty auth list".to_owned(),
            ),
            other => (codes::NOT_SUPPORTED, other.to_string()),
        };
        Self::new(code, message)
    }
}
