//! What module code is given: the block, and state.
use crate::Result;
use state::{StateScan, StateWrite};
use std::sync::Arc;
use types::{Address, B256, Bytes, ChainConfig, Event, Timestamp, U256};

/// What every transaction of a block sees alike: the request's header parts and values of the parent state.
#[derive(Clone, Debug)]
pub struct BlockContext {
    /// The chain's names.
    pub config: Arc<ChainConfig>,
    /// The Cosmos chain id, as in CometBFT's header.
    pub chain_id: Arc<str>,
    /// Height.
    pub height: u64,
    /// Header time, never the machine's.
    pub time: Timestamp,
    /// The proposer's consensus address; may be unknown to staking.
    pub proposer: Address,
    /// The proposer's account: COINBASE. Zero where the proposer is unknown.
    pub coinbase: Address,
    /// Base fee in base units per gas.
    pub base_fee: U256,
    /// The block's gas limit: the consensus parameter in force.
    pub gas_limit: u64,
    /// PREVRANDAO: keccak(parent's CometBFT hash ‖ BE64 height).
    pub prev_randao: B256,
    /// EIP-4788's root: the parent's CometBFT hash, zero at the first block.
    pub parent_beacon_root: B256,
    /// The parent's Ethereum hash, zero at the first block.
    pub parent_hash: B256,
    /// Who signed the parent block (decided last commit).
    pub votes: Vec<Vote>,
}

impl BlockContext {
    /// A block with nothing special about it: tests, and fields a query has no use for.
    pub fn plain(config: Arc<ChainConfig>, chain_id: &str, height: u64, time: Timestamp) -> Self {
        Self {
            config,
            chain_id: chain_id.into(),
            height,
            time,
            proposer: Address::ZERO,
            coinbase: Address::ZERO,
            base_fee: U256::from(1_000_000_000u64),
            gas_limit: 60_000_000,
            prev_randao: B256::ZERO,
            parent_beacon_root: B256::ZERO,
            parent_hash: B256::ZERO,
            votes: Vec::new(),
        }
    }
}

/// One validator's part in the last commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Consensus address.
    pub validator: Address,
    /// Power.
    pub power: i64,
    /// Whether it was absent (a vote for nil counts as present).
    pub absent: bool,
}

/// A change to CometBFT's validator set; power zero removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorUpdate {
    /// Ed25519 public key, 32 bytes.
    pub pub_key: Bytes,
    /// New power.
    pub power: i64,
}

/// What a message may use while it runs.
pub struct TxContext<'a> {
    /// The block.
    pub block: &'a BlockContext,
    /// State: reads are recorded, writes are buffered, a failure drops them.
    pub state: &'a mut dyn StateWrite,
    /// Events so far.
    pub events: &'a mut Vec<Event>,
}

/// What a block hook may use: it runs alone.
pub struct HookContext<'a> {
    /// The block.
    pub block: &'a BlockContext,
    /// State.
    pub state: &'a mut dyn StateWrite,
    /// Block events so far.
    pub events: &'a mut Vec<Event>,
    /// Changes to the validator set, sent with `FinalizeBlock`'s answer.
    pub validator_updates: &'a mut Vec<ValidatorUpdate>,
}

/// What genesis code may use.
pub struct GenesisContext<'a> {
    /// The first block's context, before it exists.
    pub block: &'a BlockContext,
    /// State.
    pub state: &'a mut dyn StateWrite,
    /// The validators CometBFT's genesis document names, with their powers.
    pub validators: &'a [ValidatorUpdate],
    /// The validator set the chain starts with.
    pub validator_updates: &'a mut Vec<ValidatorUpdate>,
}

/// What a query may use.
pub struct QueryContext<'a> {
    /// The last block at the height asked for.
    pub block: &'a BlockContext,
    /// State at that height.
    pub state: &'a dyn StateScan,
}

macro_rules! opaque { ($($t:ident),*) => {$(
    impl std::fmt::Debug for $t<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct(stringify!($t)).field("height", &self.block.height).finish_non_exhaustive()
        }
    }
)*}; }
opaque!(TxContext, HookContext, GenesisContext, QueryContext);

impl TxContext<'_> {
    /// Runs `inner` over a nested buffer: its writes and events are kept if it succeeds and dropped if it fails.
    pub fn attempt<T>(&mut self, inner: impl FnOnce(&mut TxContext<'_>) -> Result<T>) -> Result<T> {
        let mut events = Vec::new();
        let (result, buffered) = {
            let mut overlay = state::Overlay::new(self.state.as_scan());
            let result = inner(&mut TxContext {
                block: self.block,
                state: &mut overlay,
                events: &mut events,
            });
            (result, overlay.finish())
        };
        let value = result?;
        let state::Buffered { writes, deferred } = buffered?;
        for (key, op) in writes {
            match op {
                state::Op::Put(v) => self.state.put(key, v),
                state::Op::Delete => self.state.delete(key),
                state::Op::Add(d) => self.state.add(key, d),
            }
        }
        deferred.into_iter().for_each(|d| self.state.defer(d));
        self.events.append(&mut events);
        Ok(value)
    }
}
