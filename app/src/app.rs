//! The application: one store, one executor, one block at a time; readers and `CheckTx` beside it on snapshots.
use crate::api::{
    AppError, Block, ChainInitialised, CheckKind, Committed, Finalized, Info, InitChain, Options, TxResult,
};
use crate::block::{self, BlockOutcome, Machine};
use crate::cache::Cache;
use crate::chain::{self, BlockParts, ChainInfo};
use crate::check::Checks;
use crate::early::{self, Early, EarlyStats, Ready};
use crate::explain::REMEMBERED;
use crate::job::How;
use crate::learned::{Learned, LearnedStats};
use crate::modules::Modules;
use crate::read::{head_time, index};
use crate::receipt::TxOutput;
use crate::record::{StoredBlock, StoredTx};
use crate::retain::BlockRetention;
use crate::tx::{Decoder, Rules};
use crate::view::StateView;
use arc_swap::ArcSwapOption;
use executor::{AnyExecutor, Stats};
use module::{BlockContext, GenesisContext, ValidatorUpdate};
use parking_lot::Mutex;
use state::{
    AppHash, BlockRecord, CommitStore, EMPTY_ROOT, EmptyState, MemoryState, Overlay, StateError, StateScan,
    Version, WriteSet,
};
use std::collections::VecDeque;
use std::sync::Arc;
use types::Bytes;

/// The newest committed block as everyone but consensus sees it.
pub(crate) struct Head<S> {
    pub(crate) version: Version,
    pub(crate) state: StateView<S>,
    pub(crate) info: Arc<ChainInfo>,
    pub(crate) parts: BlockParts,
}

impl<S: StateScan> Head<S> {
    /// What `block`, on top of this head, is executed with.
    pub(crate) fn context(&self, block: &Block) -> Result<BlockContext, StateError> {
        block::context(&self.info, &self.state, &self.parts, &self.version.root, block)
    }
}

/// A block that is executed and not committed.
struct Pending<S: CommitStore> {
    height: u64,
    staged: S::Staged,
    block: StoredBlock,
    stats: Stats,
}

/// The application. Share it in an `Arc`: every method takes `&self`.
///
/// Consensus calls (`init_chain`, `finalize_block`, `commit`) come from one driver, in ABCI's order; `check_tx`,
/// `query` and the readers work on snapshots and never wait for them.
pub struct App<S: CommitStore> {
    pub(crate) store: S,
    pub(crate) modules: Arc<Modules>,
    pub(crate) options: Options,
    retention: BlockRetention,
    pub(crate) decoder: Arc<Decoder>,
    pub(crate) head: ArcSwapOption<Head<S::Snapshot>>,
    pending: Mutex<Option<Pending<S>>>,
    pub(crate) early: Early<S::Snapshot>,
    /// `None` where nothing runs beside anything.
    pub(crate) learned: Option<Arc<Learned>>,
    pub(crate) checks: Mutex<Checks<S::Snapshot>>,
    pub(crate) blocks: Mutex<Cache<u64, Arc<StoredBlock>>>,
    /// How the newest blocks' execution went, oldest first.
    pub(crate) stats: Mutex<VecDeque<(u64, Stats)>>,
}

impl<S: CommitStore> std::fmt::Debug for App<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("height", &self.height())
            .finish_non_exhaustive()
    }
}

/// Decoded blocks kept for readers: clients ask for the newest ones again and again.
const BLOCKS_REMEMBERED: usize = 64;
/// The records' bytes of all of them, at most.
const BLOCK_BYTES_REMEMBERED: usize = 128 << 20;

impl<S: CommitStore> App<S> {
    /// The application over what `store` holds. Open the store with [`crate::stores`].
    pub fn open(store: S, options: Options) -> Result<Self, AppError> {
        let learned = match &*options.executor {
            AnyExecutor::Serial => None,
            AnyExecutor::Parallel(_) => Some(Arc::default()),
        };
        let app = Self {
            decoder: Arc::new(Decoder::new(options.sender_cache)),
            modules: Arc::new(Modules::new()),
            options,
            retention: BlockRetention::default(),
            head: ArcSwapOption::empty(),
            pending: Mutex::new(None),
            early: Early::default(),
            learned,
            checks: Mutex::new(Checks::default()),
            blocks: Mutex::new(Cache::new(BLOCKS_REMEMBERED, BLOCK_BYTES_REMEMBERED)),
            stats: Mutex::default(),
            store,
        };
        let version = app.store.durable()?;
        if version.height > 0 {
            app.publish(version)?;
        }
        Ok(app)
    }

    /// Lets CometBFT delete old blocks; it keeps all otherwise.
    pub fn retaining(mut self, retention: BlockRetention) -> Self {
        self.retention = retention;
        self
    }

    /// Forgets what was decoded and staged under a genesis or state that another replaces.
    pub(crate) fn start_over(&self) {
        *self.pending.lock() = None;
        self.early.forget();
        self.decoder.clear();
    }

    pub(crate) fn publish(&self, version: Version) -> Result<(), AppError> {
        let snapshot = self.store.snapshot(version.height)?;
        let info = ChainInfo::read(&snapshot)?.ok_or(AppError::NotStarted)?;
        let parts = BlockParts::read(&snapshot)?;
        self.set_head(Head {
            version,
            state: StateView::At(snapshot),
            info: Arc::new(info),
            parts,
        })
    }

    fn set_head(&self, head: Head<S::Snapshot>) -> Result<(), AppError> {
        let head = Arc::new(head);
        self.head.store(Some(head.clone()));
        // After the head: a check that starts in between works on the new state and is then forgotten.
        let next = next_block(&head);
        let ctx = head.context(&next)?;
        self.checks.lock().reset(head.state.clone(), ctx);
        Ok(())
    }

    pub(crate) fn head(&self) -> Result<Arc<Head<S::Snapshot>>, AppError> {
        self.head.load_full().ok_or(AppError::NotStarted)
    }

    /// ABCI `Info`: waits until every commit is durable, and reports that.
    pub fn info(&self) -> Result<Info, AppError> {
        let version = self.store.durable()?;
        let app_version = match self.head.load_full() {
            _ if version.height == 0 => 0,
            Some(head) => head.info.params.app_version,
            // Restored by state sync a moment ago, and not published yet.
            None => {
                let info = ChainInfo::read(&self.store.snapshot(version.height)?)?;
                info.ok_or(AppError::NotStarted)?.params.app_version
            }
        };
        Ok(Info { version, app_version })
    }

    /// ABCI `InitChain`. What it writes is committed with the first block (chain.md rule 23); asking again starts over.
    pub fn init_chain(&self, req: &InitChain) -> Result<ChainInitialised, AppError> {
        if self.store.latest().height > 0 {
            let why = format!(
                "init chain at height {}: the chain has started",
                self.store.latest().height
            );
            return Err(AppError::Order(why));
        }
        let (info, writes, validators) = crate::genesis::run(&self.modules, req)?;
        let mut state = MemoryState::default();
        for (key, change) in state::normalise(&EmptyState, writes)? {
            if let Some(value) = change {
                state.0.insert(key, value);
            }
        }
        let parts = BlockParts::read(&state)?;
        let version = Version {
            height: 0,
            root: EMPTY_ROOT,
        };
        self.start_over();
        let state = StateView::Genesis(Arc::new(state));
        self.set_head(Head {
            version,
            state,
            info: Arc::new(info),
            parts,
        })?;
        Ok(ChainInitialised {
            validators,
            app_hash: EMPTY_ROOT,
        })
    }

    pub(crate) fn machine<'a>(&'a self, info: &'a ChainInfo) -> Machine<'a> {
        Machine {
            info,
            modules: &self.modules,
            executor: &self.options.executor,
            decoder: &self.decoder,
        }
    }

    /// ABCI `FinalizeBlock`: executes and hashes; nothing is durable until [`App::commit`]. Asking again for the same
    /// height forgets the first answer. Fails only where the node itself does (chain.md rule 7).
    pub fn finalize_block(&self, block: &Block) -> Result<Finalized, AppError> {
        let head = self.head()?;
        let want = next_height(&head);
        if block.height != want {
            let why = format!("finalize block {}: want height {want}", block.height);
            return Err(AppError::Order(why));
        }
        let mut pending = self.pending.lock();
        *pending = None;
        let ready = match self.early.take(&head, block) {
            Some(ready) => ready,
            None => early::run(&self.machine(&head.info), &head, block, self.how())?,
        };
        let Ready { outcome, changes } = ready;
        let BlockOutcome {
            outputs,
            parts,
            events,
            validator_updates,
            stats,
            ..
        } = outcome;
        let (app_hash, staged) = self.store.stage(block.height, changes)?;
        let results: Vec<TxResult> = outputs.iter().map(|o| o.result.clone()).collect();
        let stored = stored(block, outputs, &parts, &app_hash, &events, &validator_updates);
        *pending = Some(Pending {
            height: block.height,
            staged,
            block: stored,
            stats,
        });
        Ok(Finalized {
            results,
            events,
            validator_updates,
            app_hash,
            stats,
        })
    }

    /// ABCI `Commit`: makes the finalized block durable, with its receipts and index, and publishes it.
    pub fn commit(&self) -> Result<Committed, AppError> {
        let Some(Pending {
            height,
            staged,
            block,
            stats,
        }) = self.pending.lock().take()
        else {
            return Err(AppError::Order("commit without a finalized block".into()));
        };
        let record = BlockRecord {
            body: block.encode(),
            index: index(height, &block),
        };
        let size = record.body.len();
        // What was proposed since is on top of a state that is the newest no more.
        self.early.forget();
        let version = self.store.commit(staged, record)?;
        self.publish(version)?;
        self.remember(height, stats);
        self.checks
            .lock()
            .included(block.txs.iter().filter_map(|t| t.evm.as_ref().map(|e| e.hash)));
        self.blocks.lock().put(height, Arc::new(block), size);
        Ok(Committed {
            version,
            retain_height: self.retention.height(version.height, self.store.retain()),
        })
    }

    fn remember(&self, height: u64, stats: Stats) {
        let mut remembered = self.stats.lock();
        remembered.push_back((height, stats));
        let surplus = remembered.len().saturating_sub(REMEMBERED);
        remembered.drain(..surplus);
    }

    /// ABCI `CheckTx`.
    pub fn check_tx(&self, tx: &Bytes, kind: CheckKind) -> TxResult {
        let head = match self.head() {
            Ok(head) => head,
            Err(e) => return TxOutput::rejected("sdk", module::codes::LOGIC, e.to_string(), 0).result,
        };
        // Decoding and signatures outside the lock: they are the expensive part.
        let params = match x_auth::params(&head.state) {
            Ok(params) => params,
            Err(e) => return TxOutput::rejected("sdk", module::codes::LOGIC, e.to_string(), 0).result,
        };
        let rules = Rules {
            modules: &self.modules,
            config: &head.info.config,
            params: &params,
        };
        let decoded = self.decoder.decode(&rules, tx);
        crate::check::check(&head.info, &self.decoder, &self.checks, decoded, tx, kind)
    }

    /// Gas of one simulated call at most.
    pub fn call_gas_cap(&self) -> u64 {
        self.options.call_gas_cap
    }
}

impl<S: CommitStore> App<S> {
    /// What became of the proposals that were executed before they were decided.
    pub fn early_stats(&self) -> EarlyStats {
        self.early.stats()
    }
    /// How often what was expected of transactions was right; nothing where they run one after another.
    pub fn learned_stats(&self) -> LearnedStats {
        self.learned
            .as_ref()
            .map_or_else(LearnedStats::default, |l| l.stats())
    }
    pub(crate) fn how(&self) -> How {
        How {
            learned: self.learned.clone(),
            ..How::default()
        }
    }
}

/// The height that comes next.
pub(crate) fn next_height<S>(head: &Head<S>) -> u64 {
    if head.version.height == 0 {
        head.info.initial_height
    } else {
        head.version.height + 1
    }
}

/// The next block, as far as it is known before it is proposed.
pub(crate) fn next_block<S>(head: &Head<S>) -> Block {
    let time = head_time(&head.parts.header);
    Block {
        height: next_height(head),
        time,
        hash: block::NO_HASH,
        ..Block::default()
    }
}

fn stored(
    block: &Block,
    outputs: Vec<TxOutput>,
    parts: &BlockParts,
    app_hash: &AppHash,
    events: &[types::Event],
    validator_updates: &[ValidatorUpdate],
) -> StoredBlock {
    let header = parts.sealed(app_hash);
    let txs = block.txs.iter().zip(outputs);
    StoredBlock {
        hash: header.hash_slow(),
        header,
        comet_hash: block.hash,
        time: block.time,
        proposer: block.proposer,
        txs: txs
            .map(|(raw, o)| StoredTx {
                raw: raw.clone(),
                result: o.result,
                evm: o.evm,
            })
            .collect(),
        events: events.to_vec(),
        validator_updates: validator_updates.to_vec(),
    }
}

/// Runs each module's genesis over `state`.
pub(crate) fn init_modules(
    modules: &Modules,
    app_state: &serde_json::Value,
    ctx: &BlockContext,
    req: &InitChain,
) -> Result<(WriteSet, Vec<ValidatorUpdate>), AppError> {
    let mut validator_updates = Vec::new();
    let mut state = Overlay::new(&EmptyState);
    for module in modules.iter() {
        let section = app_state.get(module.name()).unwrap_or(&serde_json::Value::Null);
        let mut genesis = GenesisContext {
            block: ctx,
            state: &mut state,
            validators: &req.validators,
            validator_updates: &mut validator_updates,
        };
        let done = module.init_genesis(section, &mut genesis);
        done.map_err(|e| AppError::Genesis(format!("section {:?}: {e}", module.name())))?;
    }
    let mut writes = state.settle()?;
    x_bank::fold_reverse_index(&EmptyState, &mut writes)?;
    Ok((writes, validator_updates))
}

/// Writes the app's own genesis entries.
pub(crate) fn init_chain_store(writes: WriteSet, info: &ChainInfo) -> Result<WriteSet, StateError> {
    let mut state = Overlay::with_writes(&EmptyState, writes);
    info.write(&mut state);
    chain::genesis_parts(info).write(&mut state);
    state.settle()
}
