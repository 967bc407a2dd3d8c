//! What a proposer puts into a block, and what validators accept.
use crate::AppError;
use crate::api::Block;
use crate::app::{App, Head};
use crate::block;
use crate::early::Shared;
use crate::job::How;
use crate::tx::{Rules, Tx};
use rayon::prelude::*;
use state::CommitStore;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use types::{Address, Bytes, U256};

/// Room of one transaction in a block's `Data` beside its own bytes: a field tag and a length of at most five bytes.
const TX_OVERHEAD: u64 = 6;

/// One sender's transactions by sequence and place, each with its tip.
type Queue = BTreeMap<(u64, usize), (U256, Bytes)>;

impl<S: CommitStore> App<S> {
    /// ABCI `PrepareProposal`: orders `block.txs` by sender sequence and tip, packs by executing, and drops what
    /// cannot run. Proposes an empty block, which is always good, where it fails.
    pub fn prepare_proposal(&self, block: &Block, max_tx_bytes: i64) -> Vec<Bytes> {
        match self.try_prepare(block, max_tx_bytes) {
            Ok(txs) => txs,
            Err(e) => {
                tracing::error!(height = block.height, error = %e, "cannot build a proposal: an empty block instead");
                Vec::new()
            }
        }
    }

    fn try_prepare(&self, block: &Block, max_tx_bytes: i64) -> Result<Vec<Bytes>, AppError> {
        // Asked in a later round only: what ran until now was not decided.
        self.early.give_way();
        let head = self.head()?;
        let ordered = self.order(&head, &block.txs)?;
        let mut candidate = Block {
            txs: within(ordered, max_tx_bytes),
            ..block.clone()
        };
        let ctx = head.context(&candidate)?;
        let how = How {
            rehearsal: true,
            ..self.how()
        };
        let done = block::execute_as(&self.machine(&head.info), &head.state, ctx, &candidate, how)?;
        // What took neither nonce nor fee has no place in a block; without it the rest runs the same.
        let kept = candidate
            .txs
            .drain(..)
            .zip(&done.outputs)
            .filter(|(_, o)| o.counts())
            .map(|(tx, _)| tx);
        candidate.txs = kept.collect();
        // chain.md rule 7: what is proposed is what would be accepted.
        if let Err(why) = self.judge(&head, &candidate) {
            return Err(AppError::Order(format!("own proposal refused: {why}")));
        }
        Ok(candidate.txs)
    }

    /// Best tip first, but each sender's transactions in the order of their sequences.
    fn order(&self, head: &Head<S::Snapshot>, txs: &[Bytes]) -> Result<Vec<Bytes>, AppError> {
        let params = x_auth::params(&head.state)?;
        let rules = Rules {
            modules: &self.modules,
            config: &head.info.config,
            params: &params,
        };
        let base_fee = self.next_context()?.base_fee;
        let decoded: Vec<Option<(Arc<Tx>, Bytes)>> = txs
            .par_iter()
            .map(|raw| self.decoder.decode(&rules, raw).ok().map(|tx| (tx, raw.clone())))
            .collect();
        let mut queues: BTreeMap<Address, Queue> = BTreeMap::new();
        for (place, (tx, raw)) in decoded.into_iter().flatten().enumerate() {
            let (who, sequence, tip) = match &*tx {
                Tx::Ethereum(tx) => {
                    let base = u64::try_from(base_fee).unwrap_or(u64::MAX);
                    let Some(tip) = tx.tip(base) else { continue };
                    (tx.sender, tx.nonce(), U256::from(tip))
                }
                Tx::Native(tx) => {
                    let Some(signer) = tx.signers.first() else {
                        continue;
                    };
                    let price = tx.fee.amount / U256::from(tx.gas_limit.max(1));
                    (signer.address, signer.sequence, price.saturating_sub(base_fee))
                }
            };
            queues
                .entry(who)
                .or_default()
                .insert((sequence, place), (tip, raw));
        }
        // The heads of all queues, by tip; among equals the one that came first.
        let mut heads = BinaryHeap::new();
        let push = |heads: &mut BinaryHeap<_>, who: Address, queue: &mut Queue| {
            if let Some(((_, place), (tip, raw))) = queue.pop_first() {
                heads.push((tip, Reverse(place), who, raw));
            }
        };
        for (who, queue) in &mut queues {
            push(&mut heads, *who, queue);
        }
        let mut ordered = Vec::with_capacity(txs.len());
        while let Some((_, _, who, raw)) = heads.pop() {
            ordered.push(raw);
            if let Some(queue) = queues.get_mut(&who) {
                push(&mut heads, who, queue);
            }
        }
        Ok(ordered)
    }

    /// ABCI `ProcessProposal`: refuses what bytes, genesis and committed parameters show to be wrong; nonces, funds and
    /// base fee become results instead (chain.md rule 13). A pure function of committed state and `block`.
    ///
    /// What is accepted begins to run in the background (see `early.rs`); the answer does not wait for it.
    pub fn process_proposal(&self, block: &Block) -> Result<(), String> {
        let head = self.head().map_err(|e| e.to_string())?;
        self.judge(&head, block)?;
        let shared = Shared {
            modules: self.modules.clone(),
            executor: self.options.executor.clone(),
            decoder: self.decoder.clone(),
            learned: self.learned.clone(),
        };
        self.early.start(shared, head, block);
        Ok(())
    }

    fn judge(&self, head: &Head<S::Snapshot>, block: &Block) -> Result<(), String> {
        let params = x_auth::params(&head.state).map_err(|e| e.to_string())?;
        let rules = Rules {
            modules: &self.modules,
            config: &head.info.config,
            params: &params,
        };
        let least: Vec<u64> = block
            .txs
            .par_iter()
            .enumerate()
            .map(|(i, raw)| {
                let tx = self
                    .decoder
                    .decode(&rules, raw)
                    .map_err(|e| format!("transaction {i}: {e}"))?;
                Ok(tx.least_gas())
            })
            .collect::<Result<_, String>>()?;
        let gas = sum(least)?;
        let limit = head.info.gas_limit();
        if gas > limit {
            return Err(format!(
                "all transactions use at least {gas} gas, block limit {limit}"
            ));
        }
        let bytes = sum(block.txs.iter().map(|tx| tx.len() as u64))?;
        let max = head.info.params.max_bytes;
        if max > 0 && bytes > max.unsigned_abs() {
            return Err(format!("{bytes} bytes of transactions, block limit {max}"));
        }
        Ok(())
    }
}

fn sum(parts: impl IntoIterator<Item = u64>) -> Result<u64, String> {
    parts
        .into_iter()
        .try_fold(0u64, u64::checked_add)
        .ok_or_else(|| "sum beyond 64 bits".to_owned())
}

/// The first transactions that fit into `max` bytes; a larger one is left out, the rest go on.
fn within(txs: Vec<Bytes>, max: i64) -> Vec<Bytes> {
    let mut left = u64::try_from(max).unwrap_or(0);
    let fits = |tx: &Bytes| {
        let need = tx.len() as u64 + TX_OVERHEAD;
        let fits = need <= left;
        if fits {
            left -= need;
        }
        fits
    };
    txs.into_iter().filter(fits).collect()
}
