//! A chain inside this process, for chores: genesis, blocks, and a store that remembers what it was given.
use anyhow::{Context as _, Result};
use app::genesis::{GenesisAccount, GenesisSpec, app_state};
use app::{App, Block, ConsensusParams, Finalized, InitChain, Options, StoredBlock};
use executor::AnyExecutor;
use state::{
    AppHash, BlockRecord, Bytes, ChangeSet, CommitStore, Key, Proven, StateSync, StoreError, Version,
};
use std::sync::{Arc, Mutex, PoisonError};
use types::{Address, Coin, Timestamp, U256, keccak256};
use workload::{Account, Chain};
use x_staking::GenesisValidator;

/// Its Cosmos chain id.
pub(crate) const CHAIN_ID: &str = "braid-chore-1";
/// Unix time of genesis.
const BEGUN_S: i64 = 1_700_000_000;

/// What transactions are signed for.
pub(crate) fn chain() -> Chain {
    Chain::new(CHAIN_ID)
}

/// The accounts of a load, with the numbers that genesis gives them: by ascending address.
pub(crate) fn accounts(count: u64) -> Vec<Account> {
    let mut accounts = Account::many(count);
    let mut order: Vec<Address> = accounts.iter().map(|a| a.address).collect();
    order.sort_unstable();
    for account in &mut accounts {
        let place = order.partition_point(|a| *a < account.address);
        account.number = place as u64;
    }
    accounts
}

/// The consensus key of validator `index`: nobody signs with it.
fn key(index: u8) -> [u8; 32] {
    keccak256([index]).0
}

/// Genesis with a thousand coins for each of `accounts` and a validator for each of `operators`, of whom the first
/// proposes every block.
pub(crate) fn genesis(accounts: &[Account], operators: &[Address], max_gas: i64) -> Result<InitChain> {
    let config = chain().config;
    let one = U256::from(10u64.pow(18));
    let spec = GenesisSpec {
        config: (*config).clone(),
        accounts: accounts
            .iter()
            .map(|a| GenesisAccount {
                address: a.address,
                coins: vec![Coin::new(one * U256::from(1000), &config.base_denom)],
            })
            .collect(),
        validators: operators
            .iter()
            .zip(1u8..)
            .map(|(who, i)| GenesisValidator::new(*who, &format!("v{i}"), key(i), one * U256::from(100)))
            .collect(),
    };
    Ok(InitChain {
        chain_id: CHAIN_ID.into(),
        time: Timestamp {
            seconds: BEGUN_S,
            nanos: 0,
        },
        initial_height: 1,
        params: ConsensusParams {
            max_bytes: 22_020_096,
            max_gas,
            app_version: 1,
        },
        validators: Vec::new(),
        app_state: serde_json::to_vec(&app_state(&spec)?)?.into(),
    })
}

/// One node of the chain.
#[derive(Debug)]
pub(crate) struct Node<S: CommitStore> {
    /// The application.
    pub(crate) app: App<Watched<S>>,
    staged: Arc<Mutex<ChangeSet>>,
    height: u64,
}

/// What one block did, as far as anybody can see it.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The answer to consensus.
    pub(crate) answer: Finalized,
    /// What readers get.
    pub(crate) stored: Arc<StoredBlock>,
    /// What was given to the store to hash.
    pub(crate) changes: ChangeSet,
}

impl<S: CommitStore> Node<S> {
    /// Starts a chain over an empty store.
    pub(crate) fn start(store: S, genesis: &InitChain, executor: AnyExecutor) -> Result<Self> {
        let staged = Arc::default();
        let store = Watched {
            inner: store,
            last: Arc::clone(&staged),
        };
        let options = Options {
            executor: Arc::new(executor),
            sender_cache: 100_000,
            call_gas_cap: 50_000_000,
        };
        let app = App::open(store, options)?;
        app.init_chain(genesis)?;
        Ok(Self {
            app,
            staged,
            height: 0,
        })
    }
    /// The next block with `txs`.
    pub(crate) fn block(&self, txs: Vec<Bytes>) -> Block {
        let height = self.height + 1;
        Block {
            height,
            time: Timestamp {
                seconds: BEGUN_S.saturating_add_unsigned(5 * height),
                nanos: 7,
            },
            hash: keccak256(height.to_be_bytes()),
            proposer: x_staking::consensus_address(&key(1)),
            txs,
            votes: Vec::new(),
        }
    }
    /// Executes and commits a block.
    pub(crate) fn run(&mut self, txs: &[Bytes]) -> Result<Ran> {
        let block = self.block(txs.to_vec());
        let answer = self.app.finalize_block(&block)?;
        self.app.commit()?;
        self.height = block.height;
        let stored = self
            .app
            .block(block.height)?
            .context("the block just committed")?;
        let changes = std::mem::take(&mut *self.staged.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Ran {
            answer,
            stored,
            changes,
        })
    }
    /// Makes senders go on from what the chain says: refused transactions used no sequence.
    pub(crate) fn resync(&self, accounts: &mut [Account]) -> Result<()> {
        let state = self.app.state_at(0)?;
        for account in accounts {
            account.sequence = x_auth::sequence(&state, &account.address)?;
        }
        Ok(())
    }
}

/// A store that keeps the change set it staged last beside what it does with it.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    inner: S,
    last: Arc<Mutex<ChangeSet>>,
}

impl<S: CommitStore> StateSync for Watched<S> {}

impl<S: CommitStore> CommitStore for Watched<S> {
    type Snapshot = S::Snapshot;
    type Staged = S::Staged;

    fn latest(&self) -> Version {
        self.inner.latest()
    }
    fn durable(&self) -> Result<Version, StoreError> {
        self.inner.durable()
    }
    fn oldest(&self) -> u64 {
        self.inner.oldest()
    }
    fn snapshot(&self, height: u64) -> Result<S::Snapshot, StoreError> {
        self.inner.snapshot(height)
    }
    fn stage(&self, height: u64, changes: ChangeSet) -> Result<(AppHash, S::Staged), StoreError> {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&changes);
        self.inner.stage(height, changes)
    }
    fn commit(&self, staged: S::Staged, record: BlockRecord) -> Result<Version, StoreError> {
        self.inner.commit(staged, record)
    }
    fn record(&self, height: u64) -> Result<Option<Bytes>, StoreError> {
        self.inner.record(height)
    }
    fn find(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.inner.find(key)
    }
    fn prove(&self, height: u64, key: &Key) -> Result<Proven, StoreError> {
        self.inner.prove(height, key)
    }
}
