//! What the servers read of the app, with the store's type erased.
use app::{AppError, CheckKind, ChainInfo, Query, QueryResult, StoredBlock, TxPlace, TxResult};
use module::BlockContext;
use state::StateScan;
use std::sync::Arc;
use types::{Address, B256, Bytes, U256};

/// A frozen state.
pub type State = Box<dyn StateScan + Send + Sync>;

/// The app as readers see it: [`app::App`] over any store, so `Arc<App<S>>` coerces to `Arc<dyn Chain>`. No call waits
/// for `FinalizeBlock`; each may read the disk.
pub trait Chain: Send + Sync + 'static {
    /// Newest committed height, 0 before the first block.
    fn height(&self) -> u64;
    /// Oldest height whose state is kept.
    fn oldest_height(&self) -> u64;
    /// Height of the first block.
    fn initial_height(&self) -> u64;
    /// Names and parameters; `None` before `InitChain`.
    fn info(&self) -> Option<Arc<ChainInfo>>;
    /// A committed block, or the genesis block one below the initial height.
    fn block(&self, height: u64) -> Result<Option<Arc<StoredBlock>>, AppError>;
    /// Finds a transaction by Ethereum or CometBFT hash.
    fn find_tx(&self, hash: &B256) -> Result<Option<TxPlace>, AppError>;
    /// Finds a block by Ethereum or CometBFT hash.
    fn find_block(&self, hash: &B256) -> Result<Option<u64>, AppError>;
    /// The raw Ethereum transaction that waits for a block under this hash.
    fn pending_raw(&self, eth_hash: &B256) -> Option<Bytes>;
    /// The next nonce of `who`, counting transactions that wait.
    fn pending_sequence(&self, who: &Address) -> Result<u64, AppError>;
    /// Base fee of the next block.
    fn next_base_fee(&self) -> U256;
    /// State after the block `height`; 0 is the latest.
    fn state_at(&self, height: u64) -> Result<State, AppError>;
    /// What transactions of the committed block `height` saw.
    fn context_at(&self, height: u64) -> Result<BlockContext, AppError>;
    /// What transactions of the next block will see, as far as it is known.
    fn next_context(&self) -> BlockContext;
    /// Gas of a simulation, at most.
    fn call_gas_cap(&self) -> u64;
    /// Checks a transaction.
    fn check_tx(&self, tx: &Bytes, kind: CheckKind) -> TxResult;
    /// Answers an ABCI query.
    fn query(&self, query: &Query) -> QueryResult;
}
