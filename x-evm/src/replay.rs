//! Runs real Ethereum blocks on the chain's own executor and EVM, by Ethereum's rules of the block's fork.
use crate::block::{logs_bloom, receipt, receipts_root};
use crate::env::{Env, Fees, Hashes};
use crate::execute::{Included, Outcome, execute};
use crate::keys;
use crate::machine::Scratch;
use crate::module::begin_block_writes;
use crate::tx::{Envelope, EvmTx};
use alloy_consensus::ReceiptEnvelope;
use alloy_consensus::transaction::SignerRecoverable;
use alloy_primitives::{Bloom, Bytes as HexBytes};
use executor::{
    Account, BlockInput, DeferredKeys, Executor, Folded, Job, Layout, Parallel, Place, Settle, Stats, View,
};
use hashbrown::HashTable;
use revm::context::{BlockEnv, CfgEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::primitives::hardfork::SpecId;
use serde::Deserialize;
use state::{Access, Key, MemoryState, Overlay, StateError, StateRead, StateWrite, TxIndex, Value, WriteSet};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher as _;
use std::sync::Arc;
use types::{Address, B256, ChainConfig, U256, keccak256};

/// Ethereum mainnet's fork at a block: by number up to the Merge, by time after it.
pub fn mainnet_spec(number: u64, time: u64) -> SpecId {
    match (number, time) {
        (_, 1_764_798_551..) => SpecId::OSAKA,
        (_, 1_746_612_311..) => SpecId::PRAGUE,
        (_, 1_710_338_135..) => SpecId::CANCUN,
        (_, 1_681_338_455..) => SpecId::SHANGHAI,
        (15_537_394.., _) => SpecId::MERGE,
        (12_965_000.., _) => SpecId::LONDON,
        (12_244_000.., _) => SpecId::BERLIN,
        (9_069_000.., _) => SpecId::ISTANBUL,
        (7_280_000.., _) => SpecId::PETERSBURG,
        (4_370_000.., _) => SpecId::BYZANTIUM,
        (2_675_000.., _) => SpecId::SPURIOUS_DRAGON,
        (2_463_000.., _) => SpecId::TANGERINE,
        (1_150_000.., _) => SpecId::HOMESTEAD,
        _ => SpecId::FRONTIER,
    }
}

/// Why a fixture cannot be used, or did not come out as the header says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Not the fixture's format.
    #[error("fixture: {0}")]
    Fixture(String),
    /// The node's fault.
    #[error("execution: {0}")]
    Execution(String),
    /// A transaction of the block could not run.
    #[error("transaction {index} is invalid: {message}")]
    Invalid {
        /// Its place.
        index: usize,
        /// Why.
        message: String,
    },
    /// Another result than the header's.
    #[error("{what}: have {have}, want {want}")]
    Differs {
        /// Which field.
        what: &'static str,
        /// As computed.
        have: String,
        /// As in the header.
        want: String,
    },
}

/// A block with the state it needs and the results in its header.
#[derive(Debug)]
pub struct RealBlock {
    /// Its number.
    pub number: u64,
    /// Rules and block.
    pub env: Arc<Env>,
    /// Transactions.
    pub txs: Vec<EvmTx>,
    /// State before the block, its system calls included.
    pub pre: BTreeMap<Address, PreAccount>,
    base: MemoryState,
    flat: Flat,
    gas_used: u64,
    receipts_root: B256,
    bloom: Bloom,
}

/// What running a block gave.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Receipts.
    pub receipts: Vec<ReceiptEnvelope>,
    /// Final writes.
    pub writes: WriteSet,
    /// Sum of gas used.
    pub gas_used: u64,
    /// How the work went.
    pub stats: Stats,
}

#[derive(Deserialize)]
struct Fixture {
    block: Header,
    pre: BTreeMap<Address, PreAccount>,
    block_hashes: BTreeMap<String, B256>,
    expected: Expected,
}
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    miner: Address,
    number: U256,
    timestamp: U256,
    gas_limit: U256,
    difficulty: U256,
    mix_hash: B256,
    base_fee_per_gas: Option<U256>,
    excess_blob_gas: Option<U256>,
    parent_beacon_block_root: Option<B256>,
    parent_hash: B256,
    transactions: Vec<serde_json::Value>,
}
/// An account before a block.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct PreAccount {
    /// Wei.
    pub balance: U256,
    /// Nonce.
    pub nonce: u64,
    /// Code; empty where there is none.
    pub code: HexBytes,
    /// Storage.
    pub storage: BTreeMap<U256, U256>,
}
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expected {
    gas_used: U256,
    receipts_root: B256,
    logs_bloom: Bloom,
}

fn bad(why: impl std::fmt::Display) -> ReplayError {
    ReplayError::Fixture(why.to_string())
}
fn narrow(what: &str, v: U256) -> Result<u64, ReplayError> {
    u64::try_from(v).map_err(|_| bad(format!("{what} {v}: want 64 bits")))
}

impl RealBlock {
    /// Reads a fixture: `{block, pre, block_hashes, expected}`, in the JSON of Ethereum's RPC.
    pub fn parse(json: &[u8]) -> Result<Self, ReplayError> {
        let Fixture {
            block,
            pre,
            block_hashes,
            expected,
        } = serde_json::from_slice(json).map_err(bad)?;
        let number = narrow("number", block.number)?;
        let mut hashes = BTreeMap::new();
        for (n, hash) in block_hashes {
            let n = match n.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).map_err(bad)?,
                None => n.parse().map_err(bad)?,
            };
            hashes.insert(n, hash);
        }
        let spec = mainnet_spec(number, narrow("timestamp", block.timestamp)?);
        let env = Arc::new(env(&block, spec, hashes)?);
        let mut txs = Vec::with_capacity(block.transactions.len());
        for tx in &block.transactions {
            txs.push(transaction(tx)?);
        }
        let mut base = load(&env, &pre)?;
        let beacon_root = block.parent_beacon_block_root.unwrap_or(B256::ZERO);
        let begin = begin_block_writes(&base, &env, block.parent_hash, beacon_root)
            .map_err(|e| ReplayError::Execution(e.to_string()))?;
        for writes in begin {
            put_all(&mut base, writes)?;
        }
        let flat = Flat::new(&env, &base)?;
        Ok(Self {
            number,
            env,
            txs,
            pre,
            base,
            flat,
            gas_used: narrow("gasUsed", expected.gas_used)?,
            receipts_root: expected.receipts_root,
            bloom: expected.logs_bloom,
        })
    }

    /// A block that was never mined, under the rules of `spec`, without base fee, on the state `pre`.
    pub fn made(
        spec: SpecId,
        txs: Vec<EvmTx>,
        pre: BTreeMap<Address, PreAccount>,
    ) -> Result<Self, ReplayError> {
        let header = Header {
            miner: Address::repeat_byte(0xcb),
            number: U256::from(20_000_000),
            timestamp: U256::from(1_710_338_135u64),
            gas_limit: U256::from(u64::MAX),
            difficulty: U256::ZERO,
            mix_hash: B256::ZERO,
            base_fee_per_gas: Some(U256::ZERO),
            excess_blob_gas: Some(U256::ZERO),
            parent_beacon_block_root: None,
            parent_hash: B256::ZERO,
            transactions: Vec::new(),
        };
        let env = Arc::new(env(&header, spec, BTreeMap::new())?);
        let base = load(&env, &pre)?;
        let flat = Flat::new(&env, &base)?;
        Ok(Self {
            number: 20_000_000,
            env,
            txs,
            pre,
            base,
            flat,
            gas_used: 0,
            receipts_root: B256::ZERO,
            bloom: Bloom::ZERO,
        })
    }

    /// Runs the block's transactions on `executor`, up to outputs and typed values.
    pub fn execute_typed(&self, executor: &Parallel) -> Result<Folded<Outcome>, ReplayError> {
        let (jobs, deferred) = (self.jobs(), self.deferred());
        executor
            .execute_typed(&self.input(&jobs, &deferred), &mut Nothing)
            .map_err(|e| ReplayError::Execution(e.to_string()))
    }

    /// Runs the block's transactions on `executor`.
    pub fn execute(&self, executor: &impl Executor) -> Result<executor::Executed<Outcome>, ReplayError> {
        let (jobs, deferred) = (self.jobs(), self.deferred());
        executor
            .execute(&self.input(&jobs, &deferred), &mut Nothing)
            .map_err(|e| ReplayError::Execution(e.to_string()))
    }

    fn jobs(&self) -> Vec<Replay<'_>> {
        self.txs.iter().map(|tx| Replay { block: self, tx }).collect()
    }
    fn deferred(&self) -> DeferredKeys {
        let beneficiary = x_bank::balance_key(&self.env.block.beneficiary, &self.env.config.base_denom);
        DeferredKeys {
            keys: vec![beneficiary],
            prefixes: Vec::new(),
        }
    }
    fn input<'a>(&'a self, jobs: &'a [Replay<'a>], deferred: &'a DeferredKeys) -> BlockInput<'a, Replay<'a>> {
        BlockInput {
            base: &self.base,
            jobs,
            deferred,
        }
    }

    /// The gas that all transactions used; an error where one could not run.
    pub fn gas_used(&self, outcomes: &[Outcome]) -> Result<u64, ReplayError> {
        let gas = |(index, outcome): (usize, &Outcome)| match outcome {
            Outcome::Included(included) => Ok(included.gas_used),
            Outcome::Invalid(invalid) => Err(ReplayError::Invalid {
                index,
                message: invalid.message.clone(),
            }),
        };
        outcomes.iter().enumerate().map(gas).sum()
    }

    /// Runs the block's transactions on `executor` and makes its receipts.
    pub fn run(&self, executor: &impl Executor) -> Result<Replayed, ReplayError> {
        let executed = self.execute(executor)?;
        self.gas_used(&executed.outputs)?;
        let (mut receipts, mut gas_used) = (Vec::with_capacity(self.txs.len()), 0u64);
        for (outcome, tx) in executed.outputs.into_iter().zip(&self.txs) {
            if let Outcome::Included(included) = outcome {
                let Included {
                    success,
                    gas_used: gas,
                    logs,
                    ..
                } = *included;
                gas_used = gas_used.saturating_add(gas);
                receipts.push(receipt(tx.tx_type(), success, gas_used, logs));
            }
        }
        Ok(Replayed {
            receipts,
            writes: executed.writes,
            gas_used,
            stats: executed.stats,
        })
    }

    /// Compares what a run gave with the header: gas, bloom and, from Byzantium on (before it receipts held state
    /// roots), the receipts' root.
    pub fn check(&self, replayed: &Replayed) -> Result<(), ReplayError> {
        let differs = |what, have: String, want: String| {
            if have == want {
                Ok(())
            } else {
                Err(ReplayError::Differs { what, have, want })
            }
        };
        differs(
            "gas used",
            replayed.gas_used.to_string(),
            self.gas_used.to_string(),
        )?;
        differs(
            "logs bloom",
            logs_bloom(&replayed.receipts).to_string(),
            self.bloom.to_string(),
        )?;
        if self.env.spec().is_enabled_in(SpecId::BYZANTIUM) {
            let root = receipts_root(&replayed.receipts);
            differs("receipts root", root.to_string(), self.receipts_root.to_string())?;
        }
        Ok(())
    }
}

fn env(block: &Header, spec: SpecId, hashes: BTreeMap<u64, B256>) -> Result<Env, ReplayError> {
    let mut cfg = CfgEnv::new_with_spec(spec);
    cfg.chain_id = 1;
    let merged = spec.is_enabled_in(SpecId::MERGE);
    let excess = block
        .excess_blob_gas
        .map(|e| narrow("excessBlobGas", e))
        .transpose()?;
    let block = BlockEnv {
        number: block.number,
        beneficiary: block.miner,
        timestamp: block.timestamp,
        gas_limit: narrow("gasLimit", block.gas_limit)?,
        basefee: narrow("baseFeePerGas", block.base_fee_per_gas.unwrap_or(U256::ZERO))?,
        difficulty: block.difficulty,
        prevrandao: merged.then_some(block.mix_hash),
        blob_excess_gas_and_price: excess.map(|excess| BlobExcessGasAndPrice::new_with_spec(excess, spec)),
        ..BlockEnv::default()
    };
    Ok(Env {
        config: Arc::new(ChainConfig {
            evm_chain_id: 1,
            ..ChainConfig::braid()
        }),
        cfg,
        block,
        fees: Fees::Beneficiary,
        blocked: Arc::new(BTreeSet::new()),
        hashes: Hashes::Map(hashes),
        codes: Arc::default(),
    })
}

fn transaction(json: &serde_json::Value) -> Result<EvmTx, ReplayError> {
    #[derive(Deserialize)]
    struct Known {
        hash: B256,
        from: Address,
    }
    let known = Known::deserialize(json).map_err(bad)?;
    let envelope: Envelope =
        serde_json::from_value(json.clone()).map_err(|e| bad(format!("{}: {e}", known.hash)))?;
    // Early blocks hold signatures with a high s.
    let sender = envelope
        .recover_signer_unchecked()
        .map_err(|e| bad(format!("{}: {e}", known.hash)))?;
    let tx = EvmTx::new(envelope, sender);
    if keccak256(&tx.raw) != known.hash || tx.sender != known.from {
        return Err(bad(format!(
            "{}: recomputed hash {}, sender {}",
            known.hash,
            keccak256(&tx.raw),
            tx.sender
        )));
    }
    Ok(tx)
}

/// The pre-state in the chain's own layout.
fn load(env: &Env, pre: &BTreeMap<Address, PreAccount>) -> Result<MemoryState, ReplayError> {
    let empty = state::EmptyState;
    let mut out = Overlay::new(&empty);
    for (who, account) in pre {
        let balance = x_bank::balance_key(who, &env.config.base_denom);
        if let Some(value) = state::encode_amount(account.balance) {
            out.put(balance, value);
        }
        if account.nonce > 0 {
            x_auth::set_sequence(&mut out, &env.config, who, account.nonce).map_err(bad)?;
        }
        if !account.code.is_empty() {
            let hash = keccak256(&account.code);
            out.put(keys::code_hash_key(who), Value::copy_from_slice(hash.as_slice()));
            out.put(keys::code_key(&hash), account.code.0.clone());
        } else if account.nonce == 0 && account.balance.is_zero() {
            out.put(keys::empty_key(who), Value::from_static(&[1]));
        }
        for (slot, word) in &account.storage {
            if !word.is_zero() {
                let value = Value::copy_from_slice(&word.to_be_bytes::<32>());
                out.put(keys::slot_key(who, slot, 0), value);
            }
        }
    }
    let mut base = MemoryState::default();
    put_all(&mut base, out.finish().map_err(bad)?.writes)?;
    Ok(base)
}

fn put_all(base: &mut MemoryState, writes: WriteSet) -> Result<(), ReplayError> {
    for (key, op) in writes {
        let before = base.0.get(&key).cloned();
        match state::resolve(&key, before, &op).map_err(bad)? {
            Some(value) => base.0.insert(key, value),
            None => base.0.remove(&key),
        };
    }
    Ok(())
}

/// The state before a block as typed values in memory, as revm's own `CacheDB` has it.
#[derive(Debug)]
struct Flat {
    env: Arc<Env>,
    hasher: foldhash::fast::RandomState,
    accounts: HashTable<(Address, Account)>,
    slots: HashTable<(Address, U256, U256)>,
}

impl Flat {
    fn new(env: &Arc<Env>, base: &MemoryState) -> Result<Self, ReplayError> {
        let mut flat = Self {
            env: env.clone(),
            hasher: foldhash::fast::RandomState::default(),
            accounts: HashTable::new(),
            slots: HashTable::new(),
        };
        for (key, value) in &base.0 {
            if key.store() == keys::STORE && key.bytes().first() == Some(&1) {
                let hash = B256::from_slice(&key.bytes()[1..]);
                env.codes.keep(hash, value.clone()).map_err(bad)?;
            }
            if let Some(place) = env.place(key) {
                flat.set(&place, env.decode(&place, Some(value)).map_err(bad)?)?;
            }
        }
        Ok(flat)
    }
    fn set(&mut self, place: &Place, word: U256) -> Result<(), ReplayError> {
        match place {
            Place::Nonce(who) => self.account_mut(who).nonce = narrow("nonce", word)?,
            Place::Balance(who) => self.account_mut(who).balance = word,
            Place::Code(who) => self.account_mut(who).code_hash = word.into(),
            Place::Slot(who, slot) => {
                let hasher = &self.hasher;
                let (hash, entry) = (hasher.hash_one((who, slot)), (*who, *slot, word));
                self.slots
                    .insert_unique(hash, entry, |(w, s, _)| hasher.hash_one((w, s)));
            }
        }
        Ok(())
    }
    fn account_mut(&mut self, who: &Address) -> &mut Account {
        let hasher = &self.hasher;
        let hash = hasher.hash_one(who);
        let entry = self
            .accounts
            .entry(hash, |(w, _)| w == who, |(w, _)| hasher.hash_one(w));
        &mut entry.or_insert_with(|| (*who, Account::default())).into_mut().1
    }
}

impl Layout for Flat {
    fn place(&self, key: &Key) -> Option<Place> {
        self.env.place(key)
    }
    fn key(&self, place: &Place) -> Key {
        self.env.key(place)
    }
    fn decode(&self, place: &Place, value: Option<&Value>) -> Result<U256, StateError> {
        self.env.decode(place, value)
    }
    fn encode(&self, place: &Place, word: U256, under: Option<&Value>) -> Result<Option<Value>, StateError> {
        self.env.encode(place, word, under)
    }
    fn account(&self, _: &dyn StateRead, who: &Address) -> Result<Account, StateError> {
        let found = self.accounts.find(self.hasher.hash_one(who), |(w, _)| w == who);
        Ok(found.map_or_else(Account::default, |(_, account)| *account))
    }
    fn slot(&self, _: &dyn StateRead, who: &Address, slot: U256) -> Result<U256, StateError> {
        let hash = self.hasher.hash_one((who, slot));
        let found = self.slots.find(hash, |(w, s, _)| w == who && *s == slot);
        Ok(found.map_or(U256::ZERO, |(_, _, word)| *word))
    }
}

/// One transaction of a real block.
struct Replay<'a> {
    block: &'a RealBlock,
    tx: &'a EvmTx,
}

/// Nothing is declared but the lane.
const UNDECLARED: &Access = &Access {
    reads: Vec::new(),
    writes: Vec::new(),
    adds: Vec::new(),
    ranges: Vec::new(),
    complete: false,
};

impl Job for Replay<'_> {
    type Output = Outcome;
    type Scratch<'b>
        = Scratch<'b>
    where
        Self: 'b;
    fn access(&self) -> &Access {
        UNDECLARED
    }
    fn lane(&self) -> Option<&[u8]> {
        Some(self.tx.sender.as_slice())
    }
    fn weight(&self) -> u64 {
        self.tx.gas_limit()
    }
    fn announce(&self, visit: &mut dyn FnMut(&Address)) {
        self.tx.announce(visit);
    }
    fn layout(&self) -> Option<&dyn Layout> {
        Some(&self.block.flat)
    }
    fn run<'b>(
        &'b self,
        view: &'b dyn View,
        scratch: &mut Scratch<'b>,
    ) -> Result<executor::Outcome<Outcome>, StateError> {
        let done = execute(view, &self.block.env, self.tx, scratch)?;
        Ok(executor::Outcome {
            changes: done.changes,
            writes: done.writes,
            deferred: done.deferred,
            output: done.outcome,
        })
    }
}

/// Nothing depends on order but sums, which are taken afterwards.
struct Nothing;

impl Settle<Replay<'_>> for Nothing {
    fn settle(
        &mut self,
        _: TxIndex,
        _: &Replay<'_>,
        _: &mut executor::Outcome<Outcome>,
    ) -> Result<(), StateError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_begin_where_mainnet_says() {
        for (number, time, want) in [
            (46_147, 0, SpecId::FRONTIER),
            (1_150_000, 0, SpecId::HOMESTEAD),
            (2_462_999, 0, SpecId::HOMESTEAD),
            (2_675_000, 0, SpecId::SPURIOUS_DRAGON),
            (12_965_000, 0, SpecId::LONDON),
            (17_034_870, 1_681_338_455, SpecId::SHANGHAI),
            (19_426_587, 1_710_338_135, SpecId::CANCUN),
        ] {
            assert_eq!(mainnet_spec(number, time), want, "{number}");
        }
    }

    #[test]
    fn a_fixture_that_is_none_is_refused() {
        for bad in [
            "",
            "{}",
            r#"{"block":{},"pre":{},"block_hashes":{},"expected":{}}"#,
        ] {
            assert!(
                matches!(RealBlock::parse(bad.as_bytes()), Err(ReplayError::Fixture(_))),
                "{bad}"
            );
        }
    }
}
