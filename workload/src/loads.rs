//! Blocks for measuring: who pays whom, on which state. Unsigned; senders are given.
//!
//! Reading order: [`Load`] is a block and the state under it; [`raw`], [`erc20`], [`hybrid`] and others make them;
//! `uniswap.rs` deploys what swaps need.
use crate::Random;
use crate::contracts;
use crate::uniswap::Uniswap;
use alloy_consensus::{Signed, TxLegacy};
use alloy_primitives::{Signature, TxKind};
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::context_interface::result::{ExecutionResult, Output};
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::hardfork::SpecId;
use revm::state::AccountInfo;
use revm::{Context, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _, MainnetEvm};
use std::collections::BTreeMap;
use std::path::Path;
use types::{Address, Bytes, U256, keccak256};
use x_evm::{Envelope, EvmTx};

/// The rules that loads run under.
pub const SPEC: SpecId = SpecId::CANCUN;
/// What every transaction pays a gas, in wei. The base fee is zero.
pub const GAS_PRICE: u128 = 1;

/// revm's own state in memory.
pub type Db = CacheDB<EmptyDB>;

/// A block and the state under it.
#[derive(Debug)]
pub struct Load {
    /// State before the block.
    pub db: Db,
    /// The block.
    pub txs: Vec<EvmTx>,
}

/// What a load is made of: state to prepare, and transactions to add.
pub(crate) struct Maker {
    evm: MainnetEvm<Context<BlockEnv, TxEnv, CfgEnv, Db>>,
    txs: Vec<EvmTx>,
    people: u64,
    nonces: BTreeMap<Address, u64>,
}

/// Who deploys contracts.
pub(crate) const DEPLOYER: Address = Address::repeat_byte(0xde);
/// Gas of one step of preparing.
const PREPARE_GAS: u64 = 16_000_000;

impl Maker {
    fn new() -> Self {
        let mut db = Db::default();
        let rich = AccountInfo {
            balance: U256::from(u128::MAX),
            ..AccountInfo::default()
        };
        db.insert_account_info(DEPLOYER, rich);
        let evm = Context::mainnet()
            .with_db(db)
            .modify_cfg_chained(|cfg| cfg.set_spec_and_mainnet_gas_params(SPEC))
            .modify_block_chained(|block| {
                block.gas_limit = u64::MAX;
                block.timestamp = U256::from(1_700_000_000u64);
            })
            .build_mainnet();
        Self {
            evm,
            txs: Vec::new(),
            people: 0,
            nonces: BTreeMap::new(),
        }
    }
    /// Runs a transaction of the deployer now, while the state is being prepared.
    pub(crate) fn prepare(&mut self, to: Option<Address>, data: Bytes) -> Result<Output, String> {
        let nonce = self.nonces.entry(DEPLOYER).or_insert(0);
        let tx = TxEnv {
            caller: DEPLOYER,
            gas_limit: PREPARE_GAS,
            kind: to.map_or(TxKind::Create, TxKind::Call),
            data: data.into(),
            nonce: *nonce,
            ..TxEnv::default()
        };
        *nonce += 1;
        match self.evm.transact_commit(tx).map_err(|e| e.to_string())? {
            ExecutionResult::Success { output, .. } => Ok(output),
            failed => Err(format!("preparing {to:?}: {failed:?}")),
        }
    }
    /// Deploys `code`.
    pub(crate) fn deploy(&mut self, code: Bytes) -> Result<Address, String> {
        match self.prepare(None, code)? {
            Output::Create(_, Some(at)) => Ok(at),
            other => Err(format!("no contract: {other:?}")),
        }
    }
    /// New people with ether.
    fn people(&mut self, count: usize) -> Vec<Address> {
        let first = self.people;
        self.people += count as u64;
        let people = first..self.people;
        people
            .map(|n| {
                let who = Address::from_slice(&keccak256(n.to_be_bytes())[12..]);
                let info = AccountInfo {
                    balance: U256::from(10u64).pow(U256::from(20)),
                    ..AccountInfo::default()
                };
                self.db().insert_account_info(who, info);
                who
            })
            .collect()
    }
    fn db(&mut self) -> &mut Db {
        &mut self.evm.ctx.journaled_state.database
    }
    /// Writes a word of storage.
    pub(crate) fn store(&mut self, at: Address, slot: U256, word: U256) {
        let done = self.db().insert_account_storage(at, slot, word);
        done.expect("memory does not fail");
    }
    /// A token of which everyone of `holders` has some.
    pub(crate) fn token<'a>(
        &mut self,
        holders: impl IntoIterator<Item = &'a Address>,
    ) -> Result<Address, String> {
        let token = self.deploy(contracts::token(u128::MAX))?;
        for who in holders {
            self.store(
                token,
                map_slot(contracts::word(who), U256::from(1)),
                U256::from(1u128 << 100),
            );
        }
        Ok(token)
    }
    /// Adds a transaction to the block.
    pub(crate) fn send(&mut self, from: Address, to: Address, value: u64, data: Bytes, gas_limit: u64) {
        let nonce = self.nonces.entry(from).or_insert(0);
        let tx = TxLegacy {
            chain_id: Some(1),
            nonce: *nonce,
            gas_price: GAS_PRICE,
            gas_limit,
            to: TxKind::Call(to),
            value: U256::from(value),
            input: data.into(),
        };
        *nonce += 1;
        let signature = Signature::new(U256::from(1), U256::from(1), false);
        let signed = Signed::new_unhashed(tx, signature);
        self.txs.push(EvmTx::new(Envelope::Legacy(signed), from));
    }
    fn pay(&mut self, from: Address, to: Address) {
        self.send(from, to, 1, Bytes::new(), 21_000);
    }
    fn transfer(&mut self, token: Address, from: Address, to: Address) {
        self.send(from, token, 0, contracts::transfer(&to, 1), 60_000);
    }
    fn done(self) -> Load {
        Load {
            db: self.evm.ctx.journaled_state.database,
            txs: self.txs,
        }
    }
}

/// The slot of `key` in the mapping at `base`.
pub(crate) fn map_slot(key: U256, base: U256) -> U256 {
    let bytes = [key.to_be_bytes::<32>(), base.to_be_bytes::<32>()].concat();
    keccak256(bytes).into()
}

/// `count` payments between as many pairs of people.
pub fn raw(count: usize) -> Load {
    let mut make = Maker::new();
    let (from, to) = (make.people(count), make.people(count));
    from.into_iter().zip(to).for_each(|(from, to)| make.pay(from, to));
    make.done()
}

/// `count` payments, each by the one who was paid before.
pub fn chain(count: usize) -> Load {
    let mut make = Maker::new();
    let people = make.people(count + 1);
    people.windows(2).for_each(|pair| make.pay(pair[0], pair[1]));
    make.done()
}

/// `count` payments to one address, from different people.
pub fn hot_receiver(count: usize) -> Load {
    let mut make = Maker::new();
    let people = make.people(count + 1);
    people[1..].iter().for_each(|from| make.pay(*from, people[0]));
    make.done()
}

/// `count` transfers of one token between as many pairs of people.
pub fn erc20(count: usize) -> Result<Load, String> {
    let mut make = Maker::new();
    let (from, to) = (make.people(count), make.people(count));
    let token = make.token(from.iter().chain(&to))?;
    from.into_iter()
        .zip(to)
        .for_each(|(from, to)| make.transfer(token, from, to));
    Ok(make.done())
}

/// `people` people who make `rounds` transfers each of one token, to random others among them.
pub fn erc20_clustered(people: usize, rounds: usize) -> Result<Load, String> {
    let mut make = Maker::new();
    let mut random = Random::new(34);
    let all = make.people(people);
    let token = make.token(&all)?;
    for from in std::iter::repeat_n(&all, rounds).flatten() {
        let to = all[random.below(all.len())];
        make.transfer(token, *from, to);
    }
    Ok(make.done())
}

/// `count` swaps, each on a pool of its own with tokens of its own. `artifacts` is npm's folder of `@uniswap`.
pub fn uniswap(artifacts: &Path, count: usize) -> Result<Load, String> {
    let mut make = Maker::new();
    let uniswap = Uniswap::deploy(&mut make, artifacts)?;
    for from in make.people(count) {
        let pool = uniswap.pool(&mut make, &[from])?;
        uniswap.swap(&mut make, &pool, from, true);
    }
    Ok(make.done())
}

/// `count` swaps by different people on one pool.
pub fn uniswap_one_pool(artifacts: &Path, count: usize) -> Result<Load, String> {
    let mut make = Maker::new();
    let uniswap = Uniswap::deploy(&mut make, artifacts)?;
    let people = make.people(count);
    let pool = uniswap.pool(&mut make, &people)?;
    for (i, from) in people.into_iter().enumerate() {
        uniswap.swap(&mut make, &pool, from, i % 2 == 0);
    }
    Ok(make.done())
}

/// `count` transactions of which three in ten meet in a hot place (one pool, one address paid, one holder of a token);
/// the others are payments and token transfers between people of their own.
pub fn hybrid(artifacts: &Path, count: usize) -> Result<Load, String> {
    let mut make = Maker::new();
    let uniswap = Uniswap::deploy(&mut make, artifacts)?;
    let (from, to) = (make.people(count), make.people(count));
    let pool = uniswap.pool(&mut make, &from)?;
    let token = make.token(from.iter().chain(&to))?;
    let mut random = Random::new(30);
    for (from, other) in from.into_iter().zip(&to) {
        match random.below(100) {
            0..10 => uniswap.swap(&mut make, &pool, from, random.chance(1, 2)),
            10..20 => make.pay(from, to[0]),
            20..30 => make.transfer(token, from, to[0]),
            30..65 => make.pay(from, *other),
            _ => make.transfer(token, from, *other),
        }
    }
    Ok(make.done())
}
