//! The engine: checks what comes in, makes blocks, commits them one after another.
//!
//! A block is made as CometBFT would have it made: the app prepares it from what waits, processes what it prepared,
//! finalizes, commits; then what still waits is checked again. New transactions are checked beside the execution of a
//! block and wait only for its commit and the recheck (`gate`), so that the pool's order is the order of the checks.
use super::hash::{Parent, block_hash};
use super::pool::Pool;
use crate::{NodeError, NodeKeys, Stop, clock};
use app::{App, Block, CheckKind, InitChain, TxResult, ValidatorUpdate, Vote};
use parking_lot::{Condvar, Mutex};
use rpc::SubmitError;
use serde_json::Value;
use state::CommitStore;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use types::{Address, B256, Bytes, Timestamp};

/// What waits and cannot be included (its turn has not come, the base fee is too high) is tried again this often.
const RETRY: Duration = Duration::from_secs(1);
/// CometBFT's meaning of `max_bytes` −1: 100 MiB.
const BLOCK_BYTES_MAX: i64 = 104_857_600;

/// How the engine runs.
#[derive(Debug)]
pub(crate) struct SoloOptions {
    /// Every so often, or on demand.
    pub(crate) block_time: Option<Duration>,
    /// Whose the blocks are.
    pub(crate) keys: NodeKeys,
    /// The node's name.
    pub(crate) moniker: String,
    /// The genesis document and what it says.
    pub(crate) genesis: (Value, InitChain),
}

/// The newest block, and who decides the next.
struct Tip {
    height: u64,
    time: Timestamp,
    hash: B256,
    app_hash: B256,
}

/// The engine over an app.
pub(crate) struct Solo<S: CommitStore> {
    pub(crate) app: Arc<App<S>>,
    pub(crate) keys: NodeKeys,
    pub(crate) moniker: String,
    pub(crate) genesis: Arc<Value>,
    pub(crate) pool: Mutex<Pool>,
    init: InitChain,
    block_time: Option<Duration>,
    /// Held while a transaction is checked and put into the pool, and while a block commits and the pool is rechecked.
    gate: Mutex<()>,
    /// The engine's thread sleeps here, with `pool`.
    wake: Condvar,
}

impl<S: CommitStore> std::fmt::Debug for Solo<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Solo")
            .field("app", &self.app)
            .field("waiting", &self.pool.lock().len())
            .finish_non_exhaustive()
    }
}

impl<S: CommitStore> Solo<S> {
    /// An engine that goes on where the app's store ended, or starts the chain with its first block.
    pub(crate) fn open(app: Arc<App<S>>, options: SoloOptions) -> Result<Arc<Self>, NodeError> {
        let SoloOptions {
            block_time,
            keys,
            moniker,
            genesis: (genesis, init),
        } = options;
        let solo = Self {
            app,
            keys,
            moniker,
            genesis: Arc::new(genesis),
            pool: Mutex::default(),
            init,
            block_time,
            gate: Mutex::default(),
            wake: Condvar::default(),
        };
        if solo.app.info()?.version.height == 0 {
            solo.app.init_chain(&solo.init)?;
            // CometBFT proves genesis with a first, empty block too.
            solo.make_block()?;
        }
        let (have, want) = (solo.chain_id()?, &solo.init.chain_id);
        if have != *want {
            let why = format!("the database is of chain {have:?}, genesis.json of {want:?}");
            return Err(NodeError::Invalid(why));
        }
        Ok(Arc::new(solo))
    }

    fn chain_id(&self) -> Result<String, NodeError> {
        let chain = self.app.chain().ok_or(app::AppError::NotStarted)?;
        Ok(chain.chain_id.to_string())
    }

    /// Makes blocks until `stop`, on a thread of its own. A failure throws `stop` with its reason.
    pub(crate) fn run(self: &Arc<Self>, stop: Stop) -> std::io::Result<std::thread::JoinHandle<()>> {
        let solo = self.clone();
        std::thread::Builder::new().name("solo".into()).spawn(move || {
            // A panic must not leave a node that answers and makes no blocks.
            let work = std::panic::AssertUnwindSafe(|| solo.make_blocks(&stop));
            match std::panic::catch_unwind(work) {
                Ok(Ok(())) => {}
                Ok(Err(e)) => stop.fail(e.to_string()),
                Err(_) => stop.fail("the solo engine panicked"),
            }
        })
    }
    /// Wakes the engine, so that it sees `stop`.
    pub(crate) fn wake(&self) {
        // Under the lock, or the engine could look just before and sleep just after.
        let _pool = self.pool.lock();
        self.wake.notify_all();
    }

    fn make_blocks(&self, stop: &Stop) -> Result<(), NodeError> {
        let mut due = Instant::now();
        loop {
            match self.block_time {
                Some(every) => {
                    due += every;
                    // Blocks that take longer than the pause: no backlog of pauses to catch up with.
                    due = due.max(Instant::now());
                    let mut pool = self.pool.lock();
                    while stop.reason().is_none() && !self.wake.wait_until(&mut pool, due).timed_out() {}
                }
                None => {
                    let mut pool = self.pool.lock();
                    while stop.reason().is_none() && pool.is_empty() {
                        self.wake.wait(&mut pool);
                    }
                }
            }
            if stop.reason().is_some() {
                return Ok(());
            }
            let included = self.make_block()?;
            if included == 0 && self.block_time.is_none() {
                let mut pool = self.pool.lock();
                if !pool.is_empty() && stop.reason().is_none() {
                    self.wake.wait_for(&mut pool, RETRY);
                }
            }
        }
    }

    /// CheckTx, then the pool.
    pub(crate) fn check(&self, tx: Bytes) -> Result<TxResult, SubmitError> {
        let _gate = self.gate.lock();
        self.pool.lock().admit(&tx)?;
        let result = self.app.check_tx(&tx, CheckKind::New);
        if result.code == 0 {
            self.pool.lock().push(tx);
            self.wake.notify_all();
        }
        Ok(result)
    }

    /// Makes the next block of what waits; returns how many transactions it has.
    fn make_block(&self) -> Result<usize, NodeError> {
        let tip = self.tip()?;
        let (set, signers) = (self.set(tip.height + 1)?, self.set(tip.height)?);
        let mine = self.keys.validator_address();
        let first = tip.height + 1 == self.init.initial_height;
        let mut block = Block {
            height: tip.height + 1,
            time: if first {
                self.init.time.max(clock::now())
            } else {
                clock::after(tip.time)
            },
            hash: B256::ZERO,
            // A home whose key is not in the set still makes blocks, in the name of the first that is.
            proposer: if set.contains_key(&mine) {
                mine
            } else {
                set.keys().next().copied().unwrap_or(mine)
            },
            txs: self.pool.lock().iter().cloned().collect(),
            votes: if first { Vec::new() } else { votes(&signers) },
        };
        let max_bytes = match self.init.params.max_bytes {
            -1 => BLOCK_BYTES_MAX,
            bytes => bytes,
        };
        block.txs = self.app.prepare_proposal(&block, max_bytes);
        let parent = Parent {
            chain_id: &self.init.chain_id,
            hash: tip.hash,
            app_hash: tip.app_hash,
        };
        block.hash = block_hash(&parent, &block);
        // ABCI Req. 3: what Prepare proposes, Process accepts.
        self.app.process_proposal(&block).map_err(|why| {
            NodeError::Failed(format!(
                "the app rejected its own proposal at height {}: {why}",
                block.height
            ))
        })?;
        let done = self.app.finalize_block(&block)?;
        let _gate = self.gate.lock();
        self.app.commit()?;
        let mut waiting = std::mem::take(&mut *self.pool.lock());
        waiting.include(&block.txs);
        waiting.recheck(|tx| self.app.check_tx(tx, CheckKind::Recheck).code == 0);
        *self.pool.lock() = waiting;
        let failed = done.results.iter().filter(|r| r.code != 0).count();
        tracing::info!(
            height = block.height,
            txs = block.txs.len(),
            failed,
            "committed a block"
        );
        Ok(block.txs.len())
    }

    fn tip(&self) -> Result<Tip, NodeError> {
        let version = self.app.info()?.version;
        if version.height == 0 {
            return Ok(Tip {
                height: self.init.initial_height - 1,
                time: self.init.time,
                hash: B256::ZERO,
                app_hash: version.root.into(),
            });
        }
        let block = self
            .app
            .block(version.height)?
            .ok_or_else(|| app::AppError::Record {
                height: version.height,
                why: "the newest block has no record".into(),
            })?;
        Ok(Tip {
            height: version.height,
            time: block.time,
            hash: block.comet_hash,
            app_hash: version.root.into(),
        })
    }

    /// The validators that decide block `height`: as in CometBFT, a change made by block h counts from h + 2.
    pub(crate) fn set(&self, height: u64) -> Result<BTreeMap<Address, ValidatorUpdate>, NodeError> {
        let first = self.init.initial_height;
        let from = match height.checked_sub(2) {
            Some(from) if from >= first => from,
            _ => {
                let named = self.init.validators.iter().cloned();
                return Ok(named.map(|v| (address(&v.pub_key), v)).collect());
            }
        };
        let state = self.app.state_at(from)?;
        let bonded = super::view::bonded(&state, &self.app)?;
        Ok(bonded.into_iter().map(|v| (address(&v.pub_key), v)).collect())
    }
}

/// CometBFT's address of a validator's key.
fn address(pub_key: &[u8]) -> Address {
    use sha2::{Digest, Sha256};
    Address::from_slice(&Sha256::digest(pub_key)[..20])
}

/// Everyone signed: there is nobody else.
fn votes(set: &BTreeMap<Address, ValidatorUpdate>) -> Vec<Vote> {
    set.iter()
        .map(|(who, v)| Vote {
            validator: *who,
            power: v.power,
            absent: false,
        })
        .collect()
}
