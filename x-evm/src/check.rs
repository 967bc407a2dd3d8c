//! Would a transaction run? What `CheckTx` asks, without running any code.
use crate::env::{CHAIN_SPEC, Env};
use crate::execute::fatal;
use crate::invalid::Invalid;
use crate::machine;
use crate::tx::EvmTx;
use revm::context_interface::cfg::gas_params::GasParams;
use revm::context_interface::result::EVMError;
use state::{StateError, StateScan};

/// Checks `tx` by revm's own rules over `view` under `env`: type, chain id, gas limits, fee cap against the base fee,
/// nonce, code of the sender, funds for gas × fee cap + value. Gives its intrinsic gas: what it uses at least.
pub fn check(view: &dyn StateScan, env: &Env, tx: &EvmTx) -> Result<Result<u64, Invalid>, StateError> {
    match machine::validate(view, env, tx.to_env()) {
        Ok(gas) => Ok(Ok(gas)),
        Err(EVMError::Transaction(reason)) => Ok(Err(Invalid::of(&reason, env, tx))),
        Err(other) => Err(fatal(other)),
    }
}

/// What `tx` uses at least: known from its bytes alone, by the chain's rules.
pub fn intrinsic_gas(tx: &EvmTx) -> u64 {
    let gas = GasParams::new_spec(CHAIN_SPEC).initial_tx_gas_for_tx(tx.to_env(), None);
    gas.initial_regular_gas.max(gas.floor_gas).min(tx.gas_limit())
}
