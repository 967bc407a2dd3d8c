//! The genesis document of a new chain.
use crate::NodeError;
use serde_json::{Value, json};
use types::{Address, ChainConfig, Coin, Timestamp, U256};

/// An account and what it owns at genesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisAccount {
    /// Its address.
    pub address: Address,
    /// Its coins.
    pub coins: Vec<Coin>,
}

/// A validator at genesis, bonded with a delegation of its operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// Ed25519 public key that signs blocks.
    pub pub_key: [u8; 32],
    /// The account that operates it, owns the stake and gets the title of miner.
    pub operator: Address,
    /// Its name.
    pub moniker: String,
    /// Stake in base units: bonded beside the account's coins, not taken from them.
    pub stake: U256,
}

/// What a new chain starts with.
#[derive(Clone, Debug)]
pub struct ChainSpec {
    /// Cosmos chain id, such as `braid-local-1`.
    pub chain_id: String,
    /// Names and numbers of the chain.
    pub config: ChainConfig,
    /// Genesis time.
    pub time: Timestamp,
    /// Gas of a block at most; above zero.
    pub max_gas: i64,
    /// Bytes of a block at most.
    pub max_bytes: i64,
    /// Who owns what.
    pub accounts: Vec<GenesisAccount>,
    /// Who validates.
    pub validators: Vec<Validator>,
}

impl ChainSpec {
    /// A chain with nobody in it.
    pub fn new(chain_id: impl Into<String>, config: ChainConfig) -> Self {
        Self {
            chain_id: chain_id.into(),
            config,
            time: Timestamp::default(),
            max_gas: 60_000_000,
            max_bytes: 22_020_096,
            accounts: Vec::new(),
            validators: Vec::new(),
        }
    }
}

/// The document that CometBFT and the app both read, the same bytes for every node of the chain.
pub fn genesis(spec: &ChainSpec) -> Result<Value, NodeError> {
    spec.config.check().map_err(NodeError::Invalid)?;
    Ok(json!({ "chain_id": spec.chain_id }))
}
