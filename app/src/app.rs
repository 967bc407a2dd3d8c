//! The application: one store, one executor, one block at a time; readers and `CheckTx` beside it on snapshots.
use crate::api::{
    AppError, Block, ChainInitialised, CheckKind, Committed, Finalized, Info, InitChain, Options, TxPlace, TxResult,
};
use crate::block::{self, BlockOutcome, Machine};
use crate::cache::Cache;
use crate::chain::{self, BlockParts, ChainInfo};
use crate::check::Checks;
use crate::modules::Modules;
use crate::receipt::TxOutput;
use crate::record::{StoredBlock, StoredTx};
use crate::tx::{Decoder, Rules, comet_hash};
use crate::view::StateView;
use arc_swap::ArcSwapOption;
use module::{BlockContext, GenesisContext, ValidatorUpdate};
use parking_lot::Mutex;
use state::{
    AppHash, BlockRecord, CommitStore, EMPTY_ROOT, EmptyState, IndexEntry, MemoryState, Op, Overlay, StateError,
    Version, WriteSet,
};
use std::sync::Arc;
use types::{Address, B256, Bytes, U256};

/// The newest committed block as everyone but consensus sees it.
pub(crate) struct Head<S> {
    pub(crate) version: Version,
    pub(crate) state: StateView<S>,
    pub(crate) info: Arc<ChainInfo>,
    pub(crate) parts: BlockParts,
}

/// A block that is executed and not committed.
struct Pending<S: CommitStore> {
    height: u64,
    staged: S::Staged,
    block: StoredBlock,
}

/// The application. Share it in an `Arc`: every method takes `&self`.
///
/// Consensus calls (`init_chain`, `finalize_block`, `commit`) come from one driver, in ABCI's order; `check_tx`,
/// `query` and the readers work on snapshots and never wait for them.
pub struct App<S: CommitStore> {
    store: S,
    pub(crate) modules: Modules,
    pub(crate) options: Options,
    pub(crate) decoder: Decoder,
    head: ArcSwapOption<Head<S::Snapshot>>,
    pending: Mutex<Option<Pending<S>>>,
    checks: Mutex<Checks<S::Snapshot>>,
    blocks: Mutex<Cache<u64, Arc<StoredBlock>>>,
}

impl<S: CommitStore> std::fmt::Debug for App<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("height", &self.height()).finish_non_exhaustive()
    }
}

/// Decoded blocks kept for readers: clients ask for the newest ones again and again.
const BLOCKS_REMEMBERED: usize = 64;
/// The records' bytes of all of them, at most.
const BLOCK_BYTES_REMEMBERED: usize = 128 << 20;

impl<S: CommitStore> App<S> {
    /// The application over what `store` holds. Open the store with [`crate::stores`].
    pub fn open(store: S, options: Options) -> Result<Self, AppError> {
        let app = Self {
            decoder: Decoder::new(options.sender_cache),
            modules: Modules::new(),
            options,
            head: ArcSwapOption::empty(),
            pending: Mutex::new(None),
            checks: Mutex::new(Checks::default()),
            blocks: Mutex::new(Cache::new(BLOCKS_REMEMBERED, BLOCK_BYTES_REMEMBERED)),
            store,
        };
        let version = app.store.durable()?;
        if version.height > 0 {
            app.publish(version)?;
        }
        Ok(app)
    }

    fn publish(&self, version: Version) -> Result<(), AppError> {
        let snapshot = self.store.snapshot(version.height)?;
        let info = ChainInfo::read(&snapshot)?.ok_or(AppError::NotStarted)?;
        let parts = BlockParts::read(&snapshot)?;
        self.set_head(Head { version, state: StateView::At(snapshot), info: Arc::new(info), parts })
    }

    fn set_head(&self, head: Head<S::Snapshot>) -> Result<(), AppError> {
        let head = Arc::new(head);
        self.head.store(Some(head.clone()));
        // After the head: a check that starts in between works on the new state and is then forgotten.
        let next = next_block(&head);
        let ctx = block::context(&head.info, &head.state, &head.parts, &head.version.root, &next)?;
        self.checks.lock().reset(head.state.clone(), ctx);
        Ok(())
    }

    pub(crate) fn head(&self) -> Result<Arc<Head<S::Snapshot>>, AppError> {
        self.head.load_full().ok_or(AppError::NotStarted)
    }

    /// ABCI `Info`: waits until every commit is durable, and reports that.
    pub fn info(&self) -> Result<Info, AppError> {
        let version = self.store.durable()?;
        let app_version = if version.height == 0 { 0 } else { self.head()?.info.params.app_version };
        Ok(Info { version, app_version })
    }

    /// ABCI `InitChain`. What it writes is committed with the first block (chain.md rule 23); asking again starts over.
    pub fn init_chain(&self, req: &InitChain) -> Result<ChainInitialised, AppError> {
        if self.store.latest().height > 0 {
            let why = format!("init chain at height {}: the chain has started", self.store.latest().height);
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
        let version = Version { height: 0, root: EMPTY_ROOT };
        *self.pending.lock() = None;
        // What was decoded was decoded under the names of a genesis that this one replaces.
        self.decoder.clear();
        let state = StateView::Genesis(Arc::new(state));
        self.set_head(Head { version, state, info: Arc::new(info), parts })?;
        Ok(ChainInitialised { validators, app_hash: EMPTY_ROOT })
    }

    pub(crate) fn machine<'a>(&'a self, info: &'a ChainInfo) -> Machine<'a> {
        Machine { info, modules: &self.modules, executor: &self.options.executor, decoder: &self.decoder }
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
        let ctx = block::context(&head.info, &head.state, &head.parts, &head.version.root, block)?;
        let done = block::execute(&self.machine(&head.info), &head.state, ctx, block)?;
        let writes = with_genesis(&head.state, done.writes);
        let changes = match &head.state {
            StateView::Genesis(_) => state::normalise(&EmptyState, writes)?,
            StateView::At(snapshot) => state::normalise(snapshot, writes)?,
        };
        let (app_hash, staged) = self.store.stage(block.height, changes)?;
        let BlockOutcome { outputs, parts, events, validator_updates, stats, .. } =
            BlockOutcome { writes: WriteSet::new(), ..done };
        let results: Vec<TxResult> = outputs.iter().map(|o| o.result.clone()).collect();
        let stored = stored(block, outputs, &parts, &app_hash, &events, &validator_updates);
        *pending = Some(Pending { height: block.height, staged, block: stored });
        Ok(Finalized { results, events, validator_updates, app_hash, stats })
    }

    /// ABCI `Commit`: makes the finalized block durable, with its receipts and index, and publishes it.
    pub fn commit(&self) -> Result<Committed, AppError> {
        let Some(Pending { height, staged, block }) = self.pending.lock().take() else {
            return Err(AppError::Order("commit without a finalized block".into()));
        };
        let record = BlockRecord { body: block.encode(), index: index(height, &block) };
        let size = record.body.len();
        let version = self.store.commit(staged, record)?;
        self.publish(version)?;
        self.checks.lock().included(block.txs.iter().filter_map(|t| t.evm.as_ref().map(|e| e.hash)));
        self.blocks.lock().put(height, Arc::new(block), size);
        Ok(Committed { version, retain_height: 0 })
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
        let rules = Rules { modules: &self.modules, config: &head.info.config, params: &params };
        let decoded = self.decoder.decode(&rules, tx);
        crate::check::check(&head.info, &self.decoder, &self.checks, decoded, tx, kind)
    }

    /// The newest committed height; 0 before the first block.
    pub fn height(&self) -> u64 {
        self.store.latest().height
    }
    /// The oldest height state can be read at.
    pub fn oldest_height(&self) -> u64 {
        self.store.oldest()
    }
    /// The chain's identity and parameters; `None` before `InitChain`.
    pub fn chain(&self) -> Option<Arc<ChainInfo>> {
        self.head.load().as_ref().map(|h| h.info.clone())
    }
    /// The first block's height; 1 before `InitChain`.
    pub fn initial_height(&self) -> u64 {
        self.chain().map_or(1, |c| c.initial_height)
    }
    /// The block at `height` with its results; `None` where there is none, or none is kept. Genesis is a block
    /// without transactions, at the initial height less one.
    pub fn block(&self, height: u64) -> Result<Option<Arc<StoredBlock>>, AppError> {
        if let Some(block) = self.blocks.lock().get(&height) {
            return Ok(Some(block.clone()));
        }
        // Genesis is made anew each time: it may still be replaced.
        let Some(record) = self.store.record(height)? else {
            return Ok(self.genesis_block(height)?.map(Arc::new));
        };
        let block = Arc::new(StoredBlock::decode(height, &record)?);
        self.blocks.lock().put(height, block.clone(), record.len());
        Ok(Some(block))
    }

    fn genesis_block(&self, height: u64) -> Result<Option<StoredBlock>, AppError> {
        let Some(info) = self.chain() else { return Ok(None) };
        if height + 1 != info.initial_height {
            return Ok(None);
        }
        let header = chain::genesis_parts(&info).sealed(&EMPTY_ROOT);
        Ok(Some(StoredBlock {
            hash: header.hash_slow(),
            header,
            comet_hash: B256::ZERO,
            time: info.genesis_time,
            proposer: Address::ZERO,
            txs: Vec::new(),
            events: Vec::new(),
            validator_updates: Vec::new(),
        }))
    }

    /// Where a transaction is, by its Ethereum or its CometBFT hash.
    pub fn find_tx(&self, hash: &B256) -> Result<Option<TxPlace>, AppError> {
        let Some(value) = self.store.find(&index_key(b't', hash))? else { return Ok(None) };
        let place = <[u8; 12]>::try_from(&value[..]).map_err(|_| AppError::Record {
            height: 0,
            why: format!("index entry of {hash} has {} bytes", value.len()),
        })?;
        let (height, index) = place.split_at(8);
        Ok(Some(TxPlace {
            height: u64::from_be_bytes(height.try_into().expect("split at 8")),
            index: u32::from_be_bytes(index.try_into().expect("12 less 8")),
        }))
    }
    /// The height of a block, by its Ethereum or its CometBFT hash.
    pub fn find_block(&self, hash: &B256) -> Result<Option<u64>, AppError> {
        if let Some(value) = self.store.find(&index_key(b'b', hash))? {
            let height = <[u8; 8]>::try_from(&value[..]).map_err(|_| AppError::Record {
                height: 0,
                why: format!("index entry of {hash} has {} bytes", value.len()),
            })?;
            return Ok(Some(u64::from_be_bytes(height)));
        }
        let genesis = self.initial_height().saturating_sub(1);
        Ok(self.genesis_block(genesis)?.filter(|b| b.hash == *hash).map(|_| genesis))
    }
    /// An Ethereum transaction that passed `CheckTx` and is in no block yet.
    pub fn pending_raw(&self, hash: &B256) -> Option<Bytes> {
        self.checks.lock().pending(hash)
    }
    /// The next nonce of `who`, counting what has been checked and waits.
    pub fn pending_sequence(&self, who: &Address) -> Result<u64, AppError> {
        self.checks.lock().sequence(who)
    }
    /// What the next block is executed with, as far as it is known: eth_call's `pending`.
    pub fn next_context(&self) -> Result<BlockContext, AppError> {
        let head = self.head()?;
        Ok(block::context(&head.info, &head.state, &head.parts, &head.version.root, &next_block(&head))?)
    }
    /// The next block's base fee, in wei a gas.
    pub fn next_base_fee(&self) -> Result<U256, AppError> {
        Ok(self.next_context()?.base_fee)
    }
    /// State after block `height`; 0 is the newest.
    pub fn state_at(&self, height: u64) -> Result<StateView<S::Snapshot>, AppError> {
        let head = self.head()?;
        if height == 0 || height == head.version.height || height + 1 == head.info.initial_height && self.height() == 0 {
            return Ok(head.state.clone());
        }
        Ok(StateView::At(self.store.snapshot(height)?))
    }
    /// What the committed block `height` was executed with, for `eth_call` at that height; 0 is the newest.
    pub fn context_at(&self, height: u64) -> Result<BlockContext, AppError> {
        let head = self.head()?;
        let state = self.state_at(height)?;
        let parts = BlockParts::read(&state)?;
        let header = parts.header;
        let mut ctx = BlockContext::plain(head.info.config.clone(), &head.info.chain_id, header.number, head_time(&header));
        ctx.coinbase = header.beneficiary;
        ctx.base_fee = U256::from(header.base_fee_per_gas.unwrap_or(0));
        ctx.gas_limit = header.gas_limit;
        ctx.prev_randao = header.mix_hash;
        ctx.parent_beacon_root = header.parent_beacon_block_root.unwrap_or(B256::ZERO);
        ctx.parent_hash = header.parent_hash;
        Ok(ctx)
    }
    /// Gas of one simulated call at most.
    pub fn call_gas_cap(&self) -> u64 {
        self.options.call_gas_cap
    }
    pub(crate) fn store(&self) -> &S {
        &self.store
    }
}

fn head_time(header: &alloy_consensus::Header) -> types::Timestamp {
    types::Timestamp { seconds: i64::try_from(header.timestamp).unwrap_or(i64::MAX), nanos: 0 }
}

/// The height that comes next.
pub(crate) fn next_height<S>(head: &Head<S>) -> u64 {
    if head.version.height == 0 { head.info.initial_height } else { head.version.height + 1 }
}

/// The next block, as far as it is known before it is proposed.
fn next_block<S>(head: &Head<S>) -> Block {
    let time = head_time(&head.parts.header);
    Block { height: next_height(head), time, hash: block::NO_HASH, ..Block::default() }
}

/// Genesis' writes under the first block's.
fn with_genesis<S>(state: &StateView<S>, writes: WriteSet) -> WriteSet {
    let StateView::Genesis(genesis) = state else { return writes };
    let mut all: WriteSet = genesis.0.iter().map(|(k, v)| (k.clone(), Op::Put(v.clone()))).collect();
    all.extend(writes);
    all
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
        txs: txs.map(|(raw, o)| StoredTx { raw: raw.clone(), result: o.result, evm: o.evm }).collect(),
        events: events.to_vec(),
        validator_updates: validator_updates.to_vec(),
    }
}

fn index_key(kind: u8, hash: &B256) -> Vec<u8> {
    [&[kind], hash.as_slice()].concat()
}

/// The block's look-ups: its transactions by CometBFT hash and, where they have receipts, by Ethereum hash; itself by
/// both hashes. Transactions that took nothing are absent (chain.md rule 14): the same bytes may come again, and must
/// not hide where they ran.
fn index(height: u64, block: &StoredBlock) -> Vec<IndexEntry> {
    let mut entries = Vec::with_capacity(2 * block.txs.len() + 2);
    let at = height.to_be_bytes();
    for hash in [block.hash, block.comet_hash] {
        entries.push(IndexEntry { key: index_key(b'b', &hash).into(), value: Bytes::copy_from_slice(&at) });
    }
    for (i, tx) in (0u32..).zip(&block.txs).filter(|(_, tx)| tx.result.gas_used > 0) {
        let value = Bytes::from([&at[..], &i.to_be_bytes()].concat());
        entries.push(IndexEntry { key: index_key(b't', &comet_hash(&tx.raw)).into(), value: value.clone() });
        if let Some(evm) = &tx.evm {
            entries.push(IndexEntry { key: index_key(b't', &evm.hash).into(), value });
        }
    }
    entries
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
pub(crate) fn init_chain_store(
    writes: WriteSet,
    info: &ChainInfo,
) -> Result<WriteSet, StateError> {
    let mut state = Overlay::with_writes(&EmptyState, writes);
    info.write(&mut state);
    chain::genesis_parts(info).write(&mut state);
    state.settle()
}
