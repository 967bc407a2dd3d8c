//! What the servers read of the app, with the store's type erased.
use app::explain::Explanation;
use app::{App, AppError, ChainInfo, CheckKind, Query, QueryResult, StoredBlock, TxPlace, TxResult};
use module::BlockContext;
use state::{CommitStore, StateScan};
use std::collections::BTreeSet;
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
    fn next_base_fee(&self) -> Result<U256, AppError>;
    /// State after the block `height`; 0 is the latest.
    fn state_at(&self, height: u64) -> Result<State, AppError>;
    /// What transactions of the committed block `height` saw.
    fn context_at(&self, height: u64) -> Result<BlockContext, AppError>;
    /// What transactions of the next block will see, as far as it is known.
    fn next_context(&self) -> Result<BlockContext, AppError>;
    /// Who may not be sent value: module accounts.
    fn blocked(&self) -> Arc<BTreeSet<Address>>;
    /// Gas of a simulation, at most.
    fn call_gas_cap(&self) -> u64;
    /// Checks a transaction.
    fn check_tx(&self, tx: &Bytes, kind: CheckKind) -> TxResult;
    /// Answers an ABCI query.
    fn query(&self, query: &Query) -> QueryResult;
    /// Tells how parallel a block was; `clock` counts nanoseconds.
    fn explain(&self, height: u64, clock: &(dyn Fn() -> u64 + Sync))
    -> Result<Option<Explanation>, AppError>;
}

impl<S: CommitStore> Chain for App<S> {
    fn height(&self) -> u64 {
        self.height()
    }
    fn oldest_height(&self) -> u64 {
        self.oldest_height()
    }
    fn initial_height(&self) -> u64 {
        self.initial_height()
    }
    fn info(&self) -> Option<Arc<ChainInfo>> {
        self.chain()
    }
    fn block(&self, height: u64) -> Result<Option<Arc<StoredBlock>>, AppError> {
        self.block(height)
    }
    fn find_tx(&self, hash: &B256) -> Result<Option<TxPlace>, AppError> {
        self.find_tx(hash)
    }
    fn find_block(&self, hash: &B256) -> Result<Option<u64>, AppError> {
        self.find_block(hash)
    }
    fn pending_raw(&self, eth_hash: &B256) -> Option<Bytes> {
        self.pending_raw(eth_hash)
    }
    fn pending_sequence(&self, who: &Address) -> Result<u64, AppError> {
        self.pending_sequence(who)
    }
    fn next_base_fee(&self) -> Result<U256, AppError> {
        self.next_base_fee()
    }
    fn state_at(&self, height: u64) -> Result<State, AppError> {
        Ok(Box::new(self.state_at(height)?))
    }
    fn context_at(&self, height: u64) -> Result<BlockContext, AppError> {
        self.context_at(height)
    }
    fn next_context(&self) -> Result<BlockContext, AppError> {
        self.next_context()
    }
    fn blocked(&self) -> Arc<BTreeSet<Address>> {
        self.blocked()
    }
    fn call_gas_cap(&self) -> u64 {
        self.call_gas_cap()
    }
    fn check_tx(&self, tx: &Bytes, kind: CheckKind) -> TxResult {
        self.check_tx(tx, kind)
    }
    fn query(&self, query: &Query) -> QueryResult {
        self.query(query)
    }
    fn explain(
        &self,
        height: u64,
        clock: &(dyn Fn() -> u64 + Sync),
    ) -> Result<Option<Explanation>, AppError> {
        self.explain(height, clock)
    }
}
