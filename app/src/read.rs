//! What readers ask for: blocks, transactions and state by height or hash, and what the next block will be like. On
//! snapshots, beside consensus.
use crate::api::{AppError, TxPlace};
use crate::app::{App, next_block};
use crate::chain::{self, BlockParts, ChainInfo};
use crate::record::{StoredBlock, StoredTx};
use crate::tx::comet_hash;
use crate::view::StateView;
use module::BlockContext;
use rayon::prelude::*;
use state::{CommitStore, EMPTY_ROOT, IndexEntry};
use std::sync::Arc;
use types::{Address, B256, Bytes, U256};

impl<S: CommitStore> App<S> {
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
        let Some(value) = self.store.find(&index_key(b't', hash))? else {
            return Ok(None);
        };
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
        Ok(self
            .genesis_block(genesis)?
            .filter(|b| b.hash == *hash)
            .map(|_| genesis))
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
        Ok(head.context(&next_block(&head))?)
    }
    /// The next block's base fee, in wei a gas.
    pub fn next_base_fee(&self) -> Result<U256, AppError> {
        Ok(self.next_context()?.base_fee)
    }
    /// State after block `height`; 0 is the newest.
    pub fn state_at(&self, height: u64) -> Result<StateView<S::Snapshot>, AppError> {
        let head = self.head()?;
        if height == 0
            || height == head.version.height
            || height + 1 == head.info.initial_height && self.height() == 0
        {
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
        let mut ctx = BlockContext::plain(
            head.info.config.clone(),
            &head.info.chain_id,
            header.number,
            head_time(&header),
        );
        ctx.coinbase = header.beneficiary;
        ctx.base_fee = U256::from(header.base_fee_per_gas.unwrap_or(0));
        ctx.gas_limit = header.gas_limit;
        ctx.prev_randao = header.mix_hash;
        ctx.parent_beacon_root = header.parent_beacon_block_root.unwrap_or(B256::ZERO);
        ctx.parent_hash = header.parent_hash;
        Ok(ctx)
    }
}

pub(crate) fn head_time(header: &alloy_consensus::Header) -> types::Timestamp {
    types::Timestamp {
        seconds: i64::try_from(header.timestamp).unwrap_or(i64::MAX),
        nanos: 0,
    }
}

fn index_key(kind: u8, hash: &B256) -> Vec<u8> {
    [&[kind], hash.as_slice()].concat()
}

/// The block's look-ups: its transactions by CometBFT hash and, where they have receipts, by Ethereum hash; itself by
/// both hashes. Transactions that took nothing are absent (chain.md rule 14): the same bytes may come again, and must
/// not hide where they ran.
pub(crate) fn index(height: u64, block: &StoredBlock) -> Vec<IndexEntry> {
    let at = height.to_be_bytes();
    let entry = |kind: u8, hash: &B256, value: &[u8]| IndexEntry {
        key: index_key(kind, hash).into(),
        value: Bytes::copy_from_slice(value),
    };
    let blocks = [block.hash, block.comet_hash].map(|hash| entry(b'b', &hash, &at));
    let of = |(i, tx): (usize, &StoredTx)| {
        let place = u32::try_from(i).expect("transactions are counted in u32");
        let value = [&at[..], &place.to_be_bytes()].concat();
        let hashes = [Some(comet_hash(&tx.raw)), tx.evm.as_ref().map(|evm| evm.hash)];
        let hashes = hashes.into_iter().flatten();
        hashes.map(move |hash| entry(b't', &hash, &value))
    };
    let took = |(_, tx): &(usize, &StoredTx)| tx.result.gas_used > 0;
    let txs = block.txs.par_iter().enumerate().filter(took).flat_map_iter(of);
    blocks.into_par_iter().chain(txs).collect()
}
