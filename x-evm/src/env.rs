//! The rules and the block that a transaction runs under.
use crate::db::Codes;
use module::BlockContext;
use revm::context::{BlockEnv, CfgEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::primitives::hardfork::SpecId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{Address, B256, ChainConfig, U256};

/// The fork this chain runs from its first block on.
pub const CHAIN_SPEC: SpecId = SpecId::OSAKA;

/// Who gets the fees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fees {
    /// Base fee and tip go to this account when the transaction settles: the chain. Wei burnt otherwise (by
    /// SELFDESTRUCT) leave the supply.
    Collector(Address),
    /// The tip goes to the block's beneficiary when the transaction settles, the base fee to nobody: Ethereum's own
    /// blocks. There is no supply to keep.
    Beneficiary,
}

/// What BLOCKHASH answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hashes {
    /// What the EIP-2935 contract's storage says, through the recorded view: the chain.
    History,
    /// What a map says; zero where it says nothing: Ethereum's own blocks.
    Map(BTreeMap<u64, B256>),
}

/// What all transactions of a block see alike.
#[derive(Clone, Debug)]
pub struct Env {
    /// The chain's names.
    pub config: Arc<ChainConfig>,
    /// Fork, chain id, limits.
    pub cfg: CfgEnv,
    /// Number, time, base fee and so on.
    pub block: BlockEnv,
    /// Who gets the fees.
    pub fees: Fees,
    /// Who may not be sent value: module accounts.
    pub blocked: Arc<BTreeSet<Address>>,
    /// What BLOCKHASH answers.
    pub hashes: Hashes,
    /// Analysed code, kept for as long as the owner likes.
    pub codes: Arc<Codes>,
}

impl Env {
    /// The chain's rules in the block `block`.
    pub fn chain(block: &BlockContext, blocked: Arc<BTreeSet<Address>>) -> Self {
        let mut cfg = CfgEnv::new_with_spec(CHAIN_SPEC);
        cfg.chain_id = block.config.evm_chain_id;
        let env = BlockEnv {
            number: U256::from(block.height),
            beneficiary: block.coinbase,
            timestamp: U256::from(block.time.unix()),
            gas_limit: block.gas_limit,
            // A base fee beyond 64 bits is beyond anyone's means: revm counts it in 64.
            basefee: u64::try_from(block.base_fee).unwrap_or(u64::MAX),
            difficulty: U256::ZERO,
            prevrandao: Some(block.prev_randao),
            // Blob gas is never used: the price stays at its minimum of 1.
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice {
                excess_blob_gas: 0,
                blob_gasprice: 1,
            }),
            ..BlockEnv::default()
        };
        Self {
            config: block.config.clone(),
            cfg,
            block: env,
            fees: Fees::Collector(x_auth::module_address(x_bank::FEE_COLLECTOR)),
            blocked,
            hashes: Hashes::History,
            codes: Arc::default(),
        }
    }
    /// The fork in force.
    pub fn spec(&self) -> SpecId {
        self.cfg.spec
    }
    /// The block's number.
    pub fn number(&self) -> u64 {
        u64::try_from(self.block.number).unwrap_or(u64::MAX)
    }
}
