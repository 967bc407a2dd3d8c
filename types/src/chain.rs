//! The names a chain goes by: all come from genesis, none from constants in code.
use serde::{Deserialize, Serialize};

/// What a chain calls its things. Stored in state, so that every node agrees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainConfig {
    /// Human-readable part of account addresses; operators' and consensus addresses append `valoper`, `valcons`.
    pub bech32_prefix: String,
    /// The denomination of balances, fees, stake and the EVM: the smallest unit (1 = 1 wei).
    pub base_denom: String,
    /// What people call 10^decimals of it.
    pub display_denom: String,
    /// Digits between base and display unit.
    pub decimals: u32,
    /// Stake per unit of consensus power, in base units, as a decimal string.
    pub power_reduction: String,
    /// EIP-155 chain id.
    pub evm_chain_id: u64,
    /// BIP-44 coin type that wallets derive with.
    pub coin_type: u32,
    /// Below this the base fee never falls, in base units a gas, as a decimal string; above zero.
    pub min_gas_price: String,
}

impl ChainConfig {
    /// The default local chain.
    pub fn braid() -> Self {
        Self {
            bech32_prefix: "braid".into(),
            base_denom: "abraid".into(),
            display_denom: "braid".into(),
            decimals: 18,
            power_reduction: "1000000000000000000".into(),
            evm_chain_id: 8118,
            coin_type: 60,
            min_gas_price: "1000000000".into(),
        }
    }
    /// Prefix of validators' operator addresses.
    pub fn valoper_prefix(&self) -> String {
        format!("{}valoper", self.bech32_prefix)
    }
    /// Prefix of validators' consensus addresses.
    pub fn valcons_prefix(&self) -> String {
        format!("{}valcons", self.bech32_prefix)
    }
    /// Stake per unit of consensus power, in base units.
    ///
    /// # Panics
    /// Where genesis was not checked with [`ChainConfig::check`].
    pub fn power_reduction(&self) -> crate::U256 {
        self.power_reduction.parse().expect("checked at genesis")
    }
    /// Floor of the base fee, in base units a gas.
    ///
    /// # Panics
    /// Where genesis was not checked with [`ChainConfig::check`].
    pub fn min_gas_price(&self) -> crate::U256 {
        self.min_gas_price.parse().expect("checked at genesis")
    }
    /// Refuses names that could not work, naming the value.
    pub fn check(&self) -> Result<(), String> {
        let prefix = &self.bech32_prefix;
        if prefix.is_empty() || prefix.len() > 32 || !prefix.chars().all(|c| c.is_ascii_lowercase()) {
            return Err(format!(
                "bech32_prefix {prefix:?}: want 1 to 32 lower-case letters"
            ));
        }
        crate::validate_denom(&self.base_denom).map_err(|e| e.to_string())?;
        crate::validate_denom(&self.display_denom).map_err(|e| e.to_string())?;
        for (name, text) in [
            ("power_reduction", &self.power_reduction),
            ("min_gas_price", &self.min_gas_price),
        ] {
            if !text.parse::<crate::U256>().is_ok_and(|v| !v.is_zero()) {
                return Err(format!("{name} {text:?}: want a positive integer"));
            }
        }
        if self.evm_chain_id == 0 || self.evm_chain_id >= 1 << 53 {
            return Err(format!("evm_chain_id {}: want 1 to 2^53-1", self.evm_chain_id));
        }
        if self.decimals > 18 {
            return Err(format!("decimals {}: want at most 18", self.decimals));
        }
        Ok(())
    }
}
