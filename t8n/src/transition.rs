//! The block: what happens before, between and after its transactions (geth's `Prestate.Apply`).
use crate::alloc::{Alloc, dump, load, put_all, state_root};
use crate::difficulty::{Parent, difficulty};
use crate::fork::Fork;
use crate::input::BlockEnv;
use crate::job::{Ledger, TxJob};
use crate::number::{Number, word};
use crate::result::{Output, Receipt, ReceiptLog, Rejected, Report};
use crate::tx::{Decoded, body, checked};
use crate::{Error, reason, requests};
use alloy_consensus::proofs::calculate_withdrawals_root;
use alloy_consensus::{Eip658Value, Receipt as Plain, ReceiptEnvelope, TxReceipt, TxType};
use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_eips::eip4788::BEACON_ROOTS_ADDRESS;
use alloy_eips::eip4895::GWEI_TO_WEI;
use alloy_primitives::{Bytes, Log};
use executor::{BlockInput, DeferredKeys, Executor};
use revm::context::CfgEnv;
use revm::context_interface::block::BlobExcessGasAndPrice;
use state::{MemoryState, StateError, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{Address, B256, ChainConfig, U256, keccak256};
use x_evm::{Env, EvmTx, Fees, Hashes, Included, Outcome, SpecId};

/// All that a run is given.
#[derive(Clone, Debug)]
pub struct Input {
    /// The accounts before.
    pub alloc: Alloc,
    /// The block.
    pub env: BlockEnv,
    /// Its transactions.
    pub txs: Vec<Decoded>,
    /// The rules, by name.
    pub fork: String,
    /// EIP-155's.
    pub chain_id: u64,
    /// Wei for who made the block; `None` where nobody is even touched.
    pub reward: Option<U256>,
    /// Whether system contracts are called before and after the transactions: in blocks, not in state tests.
    pub hooks: bool,
}

fn evm(e: impl std::fmt::Display) -> Error {
    Error::Evm(e.to_string())
}
fn config(e: impl Into<String>) -> Error {
    Error::Config(e.into())
}

/// What the environment leaves to be worked out.
pub(crate) struct Settled {
    fork: Fork,
    pub(crate) base_fee: Option<u64>,
    pub(crate) difficulty: U256,
    pub(crate) excess_blob_gas: Option<u64>,
}

/// Runs the block on `executor`.
pub fn run(input: &Input, executor: &impl Executor) -> Result<Output, Error> {
    let settled = settle(&input.fork, &input.env)?;
    let fork = settled.fork;
    let env = &rules(input, &settled)?;
    let mut state = load(&input.alloc, &env.config)?;
    if input.hooks {
        begin(&mut state, env, &fork, &input.env)?;
    }
    let mut rejected = Vec::new();
    let txs = senders(input, &settled, &mut rejected);
    let evm_txs: Vec<&EvmTx> = txs.iter().map(|(_, tx)| tx).collect();
    let access = |tx| x_evm::access(tx, env, Some(&state));
    let jobs: Vec<TxJob<'_>> = evm_txs
        .iter()
        .map(|tx| TxJob {
            env,
            tx,
            access: access(tx),
        })
        .collect();
    let byzantium = fork.has(SpecId::BYZANTIUM);
    let mut ledger = Ledger {
        fork,
        config: &env.config,
        gas_left: input.env.current_gas_limit,
        blob_gas_max: fork
            .blobs
            .map_or(u64::MAX, |blobs| blobs.max_blob_gas_per_block()),
        blob_gas: 0,
        state: (!byzantium).then(|| state.clone()),
        roots: Vec::new(),
    };
    let beneficiary = x_bank::balance_key(&env.block.beneficiary, &env.config.base_denom);
    let deferred = DeferredKeys {
        keys: vec![beneficiary],
        prefixes: Vec::new(),
    };
    let block = BlockInput {
        base: &state,
        jobs: &jobs,
        deferred: &deferred,
    };
    let executed = executor.execute(&block, &mut ledger).map_err(evm)?;
    let (blob_gas, roots) = (ledger.blob_gas, std::mem::take(&mut ledger.roots));
    let mut done = Done::default();
    for ((index, tx), outcome) in txs.iter().zip(executed.outputs) {
        match outcome {
            Outcome::Included(included) => done.push(tx, *included, roots.get(done.txs.len()), &input.env),
            Outcome::Invalid(invalid) => {
                rejected.push(Rejected {
                    index: *index,
                    error: reason::in_geths_words(&invalid.message, tx),
                });
            }
        }
    }
    rejected.sort_by_key(|r| r.index);
    put_all(&mut state, executed.writes).map_err(evm)?;
    pay(&mut state, env, &fork, input)?;
    let asks = input.hooks && fork.has(SpecId::PRAGUE);
    let asked = asks
        .then(|| requests::collect(&mut state, env, done.logs.iter()))
        .transpose()?;
    let alloc = dump(&state, &fork, &env.config).map_err(evm)?;
    let mut logs = Vec::new();
    alloy_rlp::encode_list(&done.logs, &mut logs);
    let wide = |n: u64| Number(U256::from(n));
    let blobs = settled.excess_blob_gas.filter(|_| fork.has(SpecId::CANCUN));
    let result = Report {
        state_root: state_root(&alloc),
        tx_root: x_evm::transactions_root(&done.txs),
        receipts_root: x_evm::receipts_root(&done.envelopes),
        logs_hash: keccak256(&logs),
        logs_bloom: x_evm::logs_bloom(&done.envelopes),
        receipts: done.receipts,
        rejected,
        current_difficulty: (!fork.has(SpecId::MERGE)).then_some(Number(settled.difficulty)),
        gas_used: wide(done.gas_used),
        current_base_fee: settled.base_fee.map(wide),
        withdrawals_root: input.env.withdrawals.as_deref().map(calculate_withdrawals_root),
        current_excess_blob_gas: blobs.map(wide),
        blob_gas_used: blobs.map(|_| wide(blob_gas)),
        requests_hash: asked.as_deref().map(requests::hash),
        requests: asked,
    };
    Ok(Output {
        result,
        alloc,
        body: body(done.txs.iter()),
        stats: executed.stats,
    })
}

/// What the environment leaves to be worked out (geth's `applyLondonChecks` and the like).
pub(crate) fn settle(name: &str, env: &BlockEnv) -> Result<Settled, Error> {
    let (number, time) = (env.current_number, env.current_timestamp);
    let fork = Fork::at(name, number, time).ok_or_else(|| {
        config(format!(
            "failed constructing chain configuration: unsupported fork {name:?}"
        ))
    })?;
    let before = Fork::at(name, number.saturating_sub(1), env.parent_timestamp.unwrap_or(0)).unwrap_or(fork);
    let base_fee = match (
        fork.has(SpecId::LONDON),
        env.current_base_fee,
        env.parent_base_fee,
    ) {
        (false, ..) => None,
        (true, Some(Number(fee)), _) => Some(fee),
        (true, None, Some(_)) if number > 0 && !before.has(SpecId::LONDON) => Some(U256::from(1_000_000_000)),
        (true, None, Some(Number(fee))) if number > 0 => {
            let (used, limit) = (
                env.parent_gas_used.unwrap_or(0),
                env.parent_gas_limit.unwrap_or(0),
            );
            Some(x_evm::next_base_fee(used, limit, fee, U256::ZERO))
        }
        (true, ..) => {
            return Err(config(
                "EIP-1559 config but missing 'parentBaseFee' in env section",
            ));
        }
    };
    let narrow = |fee| u64::try_from(fee).map_err(|_| config(format!("base fee {fee}: want 64 bits")));
    if fork.has(SpecId::SHANGHAI) && env.withdrawals.is_none() {
        return Err(config("Shanghai config but missing 'withdrawals' in env section"));
    }
    Ok(Settled {
        fork,
        base_fee: base_fee.map(narrow).transpose()?,
        difficulty: weigh(&fork, env)?,
        excess_blob_gas: excess_blob_gas(&fork, env),
    })
}

fn weigh(fork: &Fork, env: &BlockEnv) -> Result<U256, Error> {
    let (number, time, parent_time) = (
        env.current_number,
        env.current_timestamp,
        env.parent_timestamp.unwrap_or(0),
    );
    if fork.has(SpecId::MERGE) {
        if env.current_random.is_none() {
            return Err(config("post-merge requires currentRandom to be defined in env"));
        }
        if !BlockEnv::number_of(env.current_difficulty).is_zero() {
            return Err(config("post-merge difficulty must be zero (or omitted) in env"));
        }
        return Ok(U256::ZERO);
    }
    match (env.current_difficulty, env.parent_difficulty) {
        (Some(Number(given)), _) => Ok(given),
        (None, None) => Err(config(
            "currentDifficulty was not provided, and cannot be calculated due to missing parentDifficulty",
        )),
        _ if number == 0 => Err(config(
            "currentDifficulty needs to be provided for block number 0",
        )),
        _ if time <= parent_time => Err(config(format!(
            "currentDifficulty cannot be calculated -- currentTime ({time}) needs to be after parent time ({parent_time})"
        ))),
        (None, Some(Number(before))) => {
            let ommers = env.parent_uncle_hash.unwrap_or(B256::ZERO);
            Ok(difficulty(
                fork,
                number,
                time,
                &Parent {
                    difficulty: before,
                    time: parent_time,
                    ommers,
                },
            ))
        }
    }
}

fn excess_blob_gas(fork: &Fork, env: &BlockEnv) -> Option<u64> {
    let blobs = fork.blobs?;
    if env.current_excess_blob_gas.is_some() {
        return env.current_excess_blob_gas;
    }
    let (excess, used) = env.parent_excess_blob_gas.zip(env.parent_blob_gas_used)?;
    let fee = BlockEnv::number_of(env.parent_base_fee).saturating_to();
    if excess.checked_add(used).is_none() {
        return Some(u64::MAX);
    }
    Some(blobs.next_block_excess_blob_gas_osaka(excess, used, fee))
}

fn rules(input: &Input, settled: &Settled) -> Result<Env, Error> {
    let (given, fork) = (&input.env, &settled.fork);
    let mut cfg = CfgEnv::new_with_spec(fork.spec);
    cfg.chain_id = input.chain_id;
    let mut price = None;
    if let Some(blobs) = fork.blobs {
        let fraction =
            u64::try_from(blobs.update_fraction).map_err(|_| config("blob schedule out of range"))?;
        cfg.max_blobs_per_tx = Some(blobs.max_blobs_per_tx);
        cfg.blob_base_fee_update_fraction = Some(fraction);
        price = Some(BlobExcessGasAndPrice::new(
            settled.excess_blob_gas.unwrap_or(0),
            fraction,
        ));
    }
    let mut hashes = BTreeMap::new();
    for (number, hash) in given.block_hashes.iter().flatten() {
        let Number(number) = number
            .parse()
            .map_err(|e| Error::Json(format!("blockHashes: {e}")))?;
        hashes.insert(number.saturating_to::<u64>(), *hash);
    }
    let random = given.current_random.map(word);
    Ok(Env {
        config: Arc::new(ChainConfig {
            evm_chain_id: input.chain_id,
            ..ChainConfig::braid()
        }),
        cfg,
        block: revm::context::BlockEnv {
            number: U256::from(given.current_number),
            beneficiary: given.current_coinbase,
            timestamp: U256::from(given.current_timestamp),
            gas_limit: given.current_gas_limit,
            basefee: settled.base_fee.unwrap_or(0),
            difficulty: settled.difficulty,
            prevrandao: random.filter(|_| fork.has(SpecId::MERGE)),
            blob_excess_gas_and_price: price,
            ..revm::context::BlockEnv::default()
        },
        fees: Fees::Beneficiary,
        blocked: Arc::new(BTreeSet::new()),
        hashes: Hashes::Map(hashes),
        codes: Arc::default(),
    })
}

/// The system calls before the transactions: the beacon root (EIP-4788), the parent's hash (EIP-2935).
fn begin(state: &mut MemoryState, env: &Env, fork: &Fork, given: &BlockEnv) -> Result<(), Error> {
    let root = given
        .parent_beacon_block_root
        .filter(|_| fork.has(SpecId::CANCUN));
    let parent = match (&env.hashes, given.current_number.checked_sub(1)) {
        (Hashes::Map(map), Some(parent)) if fork.has(SpecId::PRAGUE) => {
            map.get(&parent).filter(|h| !h.is_zero())
        }
        _ => None,
    };
    for (to, word) in [
        (BEACON_ROOTS_ADDRESS, root),
        (HISTORY_STORAGE_ADDRESS, parent.copied()),
    ] {
        let Some(word) = word else { continue };
        let data = Value::copy_from_slice(word.as_slice());
        if let Some((_, writes)) = x_evm::system_call(&*state, env, to, data).map_err(evm)? {
            put_all(state, writes).map_err(evm)?;
        }
    }
    Ok(())
}

/// The transactions that have a sender, with their places; the others are rejected.
fn senders(input: &Input, settled: &Settled, rejected: &mut Vec<Rejected>) -> Vec<(usize, EvmTx)> {
    let mut out = Vec::with_capacity(input.txs.len());
    for (index, tx) in input.txs.iter().enumerate() {
        let tx = match tx {
            Ok(tx)
                if tx.is_eip4844() && settled.fork.blobs.is_some() && settled.excess_blob_gas.is_none() =>
            {
                Err("blob tx used but field env.ExcessBlobGas missing".to_owned())
            }
            Ok(tx) => checked(tx.clone(), &settled.fork, input.chain_id),
            Err(error) => Err(error.clone()),
        };
        match tx {
            Ok(tx) => out.push((index, tx)),
            Err(error) => rejected.push(Rejected { index, error }),
        }
    }
    out
}

/// What ran, in block order.
#[derive(Default)]
struct Done {
    txs: Vec<EvmTx>,
    envelopes: Vec<ReceiptEnvelope>,
    receipts: Vec<Receipt>,
    logs: Vec<Log>,
    gas_used: u64,
}

impl Done {
    fn push(&mut self, tx: &EvmTx, included: Included, root: Option<&B256>, env: &BlockEnv) {
        let wide = |n: u64| Number(U256::from(n));
        let count = |n: usize| Number(U256::from(n));
        self.gas_used = self.gas_used.saturating_add(included.gas_used);
        let status = match root {
            Some(root) => Eip658Value::PostState(*root),
            None => Eip658Value::Eip658(included.success),
        };
        let plain = Plain {
            status,
            cumulative_gas_used: self.gas_used,
            logs: included.logs,
        };
        let index = count(self.txs.len());
        let logs: Vec<ReceiptLog> = (self.logs.len()..)
            .zip(&plain.logs)
            .map(|(place, log)| ReceiptLog {
                address: log.address,
                topics: log.topics().to_vec(),
                data: log.data.data.clone(),
                block_number: wide(env.current_number),
                transaction_hash: tx.hash,
                transaction_index: index,
                block_hash: LOGS_BLOCK_HASH,
                log_index: count(place),
                removed: false,
            })
            .collect();
        self.logs.extend(plain.logs.iter().cloned());
        let kind = TxType::try_from(tx.tx_type()).unwrap_or(TxType::Legacy);
        let envelope = ReceiptEnvelope::from_typed(kind, plain.with_bloom());
        self.receipts.push(Receipt {
            kind: (tx.tx_type() > 0).then(|| wide(u64::from(tx.tx_type()))),
            root: root.map_or_else(Bytes::new, |root| Bytes::copy_from_slice(root.as_slice())),
            status: wide(u64::from(included.success)),
            cumulative_gas_used: wide(self.gas_used),
            logs_bloom: envelope.bloom(),
            logs: (!logs.is_empty()).then_some(logs),
            transaction_hash: tx.hash,
            contract_address: included.contract_address.unwrap_or(Address::ZERO),
            gas_used: wide(included.gas_used),
            effective_gas_price: None,
            block_hash: B256::ZERO,
            transaction_index: index,
        });
        self.envelopes.push(envelope);
        self.txs.push(tx.clone());
    }
}

/// The block has no hash yet: geth's tool gives logs this one.
const LOGS_BLOCK_HASH: B256 = {
    let mut bytes = [0; 32];
    bytes[0] = 0x13;
    bytes[1] = 0x37;
    B256::new(bytes)
};

/// Rewards for the block and its ommers, then withdrawals.
fn pay(state: &mut MemoryState, env: &Env, fork: &Fork, input: &Input) -> Result<(), Error> {
    let given = &input.env;
    let mut pay = |who: &Address, wei: U256| credit(state, env, fork, who, wei).map_err(evm);
    if let Some(reward) = input.reward {
        let mut own = reward;
        for ommer in given.ommers.iter().flatten() {
            own = own.saturating_add(reward / U256::from(32));
            let parts = U256::from(8u64.saturating_sub(ommer.delta));
            pay(&ommer.address, reward.saturating_mul(parts) / U256::from(8))?;
        }
        pay(&given.current_coinbase, own)?;
    }
    for withdrawal in given.withdrawals.iter().flatten() {
        pay(
            &withdrawal.address,
            U256::from(withdrawal.amount) * U256::from(GWEI_TO_WEI),
        )?;
    }
    Ok(())
}

fn credit(
    state: &mut MemoryState,
    env: &Env,
    fork: &Fork,
    who: &Address,
    wei: U256,
) -> Result<(), StateError> {
    let key = x_bank::balance_key(who, &env.config.base_denom);
    let before = x_bank::balance(&*state, who, &env.config.base_denom)?;
    let after = before
        .checked_add(wei)
        .ok_or_else(|| StateError::Range { key: key.clone() })?;
    if let Some(value) = state::encode_amount(after) {
        state.0.insert(key, value);
    }
    // Who is paid nothing is touched: that brings an account into being before Spurious Dragon.
    if !fork.has(SpecId::SPURIOUS_DRAGON) {
        state.0.insert(x_evm::empty_key(who), Value::from_static(&[1]));
    }
    Ok(())
}
