//! A chain in memory: genesis, blocks, and two executors side by side.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
use app::genesis::{GenesisAccount, GenesisSpec, app_state};
use app::{App, Block, ConsensusParams, Finalized, InitChain, Options, StoredBlock};
use executor::AnyExecutor;
use std::sync::Arc;
use store::{Config, MemoryStore};
use types::{Address, B256, Bytes, Coin, Timestamp, U256, keccak256};
use workload::{Account, Chain, Mix};
use x_staking::GenesisValidator;

pub const CHAIN_ID: &str = "braid-test-1";

pub fn chain() -> Chain {
    Chain::new(CHAIN_ID)
}

pub fn executor(threads: usize) -> AnyExecutor {
    if threads == 0 {
        AnyExecutor::Serial
    } else {
        AnyExecutor::new("optimistic", threads).unwrap()
    }
}

/// Several transactions under way at a time, in an order drawn from a seed: a conflict shows, however busy the machine.
pub fn shuffled(seed: u64) -> AnyExecutor {
    let faults = executor::Faults {
        shuffle: Some(seed),
        ..executor::Faults::default()
    };
    AnyExecutor::Parallel(executor::Parallel::new(1).with_faults(faults))
}

pub fn options(threads: usize) -> Options {
    Options {
        executor: Arc::new(executor(threads)),
        sender_cache: 10_000,
        call_gas_cap: 50_000_000,
    }
}

/// Operators of the genesis validators.
pub fn operators(count: u8) -> Vec<Address> {
    (1..=count).map(|i| Address::repeat_byte(0xa0 + i)).collect()
}

pub fn one() -> U256 {
    U256::from(1_000_000_000_000_000_000u64)
}

pub fn genesis(accounts: &[Account], validators: u8, max_gas: i64) -> InitChain {
    genesis_of(accounts, operators(validators), max_gas)
}

/// Genesis with these operators: the first one's validator proposes the blocks of [`Node::block`].
pub fn genesis_of(accounts: &[Account], operators: Vec<Address>, max_gas: i64) -> InitChain {
    let config = chain().config;
    let coin = |n: U256| Coin::new(n, &config.base_denom);
    let spec = GenesisSpec {
        config: (*config).clone(),
        accounts: accounts
            .iter()
            .map(|a| GenesisAccount {
                address: a.address,
                coins: vec![coin(one() * U256::from(1000))],
            })
            .collect(),
        validators: operators
            .into_iter()
            .zip(1u8..)
            .map(|(who, i)| GenesisValidator::new(who, &format!("v{i}"), key(i), one() * U256::from(100)))
            .collect(),
    };
    InitChain {
        chain_id: CHAIN_ID.into(),
        time: Timestamp {
            seconds: 1_700_000_000,
            nanos: 0,
        },
        initial_height: 1,
        params: ConsensusParams {
            max_bytes: 22_020_096,
            max_gas,
            app_version: 1,
        },
        validators: Vec::new(),
        app_state: serde_json::to_vec(&app_state(&spec).unwrap()).unwrap().into(),
    }
}

/// An ed25519 public key of nobody's.
pub fn key(i: u8) -> [u8; 32] {
    // A point of the curve is not asked for: CometBFT checks keys, the app hands them on.
    keccak256([i]).0
}

/// The accounts of a load, with the numbers genesis gives them: by ascending address.
pub fn accounts(count: u64) -> Vec<Account> {
    let mut accounts = Account::many(count);
    let mut order: Vec<Address> = accounts.iter().map(|a| a.address).collect();
    order.sort_unstable();
    for account in &mut accounts {
        account.number = order.binary_search(&account.address).unwrap() as u64;
    }
    accounts
}

pub struct Node<S: state::CommitStore = MemoryStore> {
    pub app: App<S>,
    pub height: u64,
}

impl Node {
    pub fn start(genesis: &InitChain, threads: usize) -> Self {
        Self::with(genesis, executor(threads))
    }
    pub fn with(genesis: &InitChain, executor: AnyExecutor) -> Self {
        Self::over(MemoryStore::new(Config::new(app::stores())), genesis, executor)
    }
}

impl<S: state::CommitStore> Node<S> {
    pub fn over(store: S, genesis: &InitChain, executor: AnyExecutor) -> Self {
        let app = App::open(
            store,
            Options {
                executor: Arc::new(executor),
                ..options(0)
            },
        )
        .unwrap();
        app.init_chain(genesis).unwrap();
        Self {
            app,
            height: genesis.initial_height - 1,
        }
    }
    /// The chain that `store` holds, at `height`.
    pub fn reopen(store: S, height: u64, executor: AnyExecutor) -> Self {
        let options = Options {
            executor: Arc::new(executor),
            ..options(0)
        };
        let app = App::open(store, options).unwrap();
        Self { app, height }
    }
    pub fn block(&self, txs: Vec<Bytes>) -> Block {
        let height = self.height + 1;
        Block {
            height,
            time: Timestamp {
                seconds: 1_700_000_000 + 5 * height as i64,
                nanos: 7,
            },
            hash: keccak256(height.to_be_bytes()),
            proposer: x_staking::consensus_address(&key(1)),
            txs,
            votes: Vec::new(),
        }
    }
    pub fn run(&mut self, txs: Vec<Bytes>) -> (Finalized, Arc<StoredBlock>) {
        let block = self.block(txs);
        let done = self.app.finalize_block(&block).unwrap();
        self.app.commit().unwrap();
        self.height = block.height;
        let stored = self.app.block(block.height).unwrap().unwrap();
        (done, stored)
    }
    pub fn balance(&self, who: &Address) -> U256 {
        x_bank::balance(&self.app.state_at(0).unwrap(), who, &chain().config.base_denom).unwrap()
    }
    pub fn sequence(&self, who: &Address) -> u64 {
        x_auth::sequence(&self.app.state_at(0).unwrap(), who).unwrap()
    }
}

/// Everything of a block that consensus or clients see, but for how the work went.
pub fn seen(done: &Finalized) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        done.app_hash,
        done.results.clone(),
        done.events.clone(),
        done.validator_updates.clone(),
    )
}

pub fn mix(seed: u64, count: u64) -> (InitChain, Mix) {
    let accounts = accounts(count);
    let genesis = genesis(&accounts, 3, 60_000_000);
    (genesis, Mix::new(chain(), accounts, operators(3), seed))
}

pub fn hash(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}
