//! Transactions that passed CheckTx and wait for a block, first in, first out.
use rpc::SubmitError;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, VecDeque};
use types::{B256, Bytes};

/// Transactions that wait, at most: CometBFT's default mempool.
pub(crate) const POOL_MAX: usize = 5_000;
/// Bytes that wait, at most: three of the largest blocks by default.
pub(crate) const POOL_BYTES_MAX: usize = 64 << 20;
/// Bytes of a transaction, at most: CometBFT's default `max_tx_bytes`.
pub(crate) const TX_BYTES_MAX: usize = 1 << 20;
/// Transactions of past blocks remembered, so that sending one again is said to be known: CometBFT's default cache.
const REMEMBERED: usize = 10_000;

/// CometBFT's hash of a transaction.
pub(crate) fn tx_hash(tx: &[u8]) -> B256 {
    B256::from_slice(&Sha256::digest(tx))
}

#[derive(Debug, Default)]
pub(crate) struct Pool {
    waiting: VecDeque<(B256, Bytes)>,
    bytes: usize,
    /// Hashes of what waits and of `past`.
    known: BTreeSet<B256>,
    past: VecDeque<B256>,
}

impl Pool {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
    /// What waits, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.waiting.iter().map(|(_, tx)| tx)
    }

    /// Whether there is room for `tx`, with CometBFT's texts where not.
    pub(crate) fn admit(&self, tx: &Bytes) -> Result<(), SubmitError> {
        if tx.len() > TX_BYTES_MAX {
            let why = format!("Tx too large. Max size is {TX_BYTES_MAX}, but got {}", tx.len());
            return Err(SubmitError::TooLarge(why));
        }
        if self.known.contains(&tx_hash(tx)) {
            return Err(SubmitError::AlreadyKnown);
        }
        if self.waiting.len() >= POOL_MAX || self.bytes + tx.len() > POOL_BYTES_MAX {
            return Err(SubmitError::Full(format!(
                "mempool is full: number of txs {} (max: {POOL_MAX}), total txs bytes {} (max: {POOL_BYTES_MAX})",
                self.waiting.len(),
                self.bytes
            )));
        }
        Ok(())
    }
    /// Adds an admitted transaction.
    pub(crate) fn push(&mut self, tx: Bytes) {
        let hash = tx_hash(&tx);
        self.bytes += tx.len();
        self.known.insert(hash);
        self.waiting.push_back((hash, tx));
    }
    /// Takes out what a block includes, and remembers it.
    pub(crate) fn include(&mut self, txs: &[Bytes]) {
        let included: BTreeSet<B256> = txs.iter().map(|tx| tx_hash(tx)).collect();
        self.retain(|hash, _| !included.contains(hash));
        for hash in included {
            self.known.insert(hash);
            self.past.push_back(hash);
        }
        while self.past.len() > REMEMBERED {
            let old = self.past.pop_front().expect("longer than nothing");
            self.known.remove(&old);
        }
    }
    /// Keeps what still passes `check`, which is asked in order; the rest may be sent again.
    pub(crate) fn recheck(&mut self, mut check: impl FnMut(&Bytes) -> bool) {
        self.retain(|_, tx| check(tx));
    }
    fn retain(&mut self, mut keep: impl FnMut(&B256, &Bytes) -> bool) {
        let (known, bytes) = (&mut self.known, &mut self.bytes);
        self.waiting.retain(|(hash, tx)| {
            let kept = keep(hash, tx);
            if !kept {
                known.remove(hash);
                *bytes -= tx.len();
            }
            kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tx(i: usize) -> Bytes {
        i.to_string().into()
    }

    #[test]
    fn what_waits_keeps_its_order_and_what_was_included_is_known() {
        let mut pool = Pool::default();
        (0..4).for_each(|i| pool.push(tx(i)));
        pool.include(&[tx(1)]);
        pool.recheck(|t| *t != tx(2));
        assert_eq!(pool.iter().cloned().collect::<Vec<_>>(), [tx(0), tx(3)]);
        assert_eq!((pool.len(), pool.bytes()), (2, 2));
        assert_eq!(pool.admit(&tx(0)), Err(SubmitError::AlreadyKnown));
        assert_eq!(pool.admit(&tx(1)), Err(SubmitError::AlreadyKnown));
        assert_eq!(
            pool.admit(&tx(2)),
            Ok(()),
            "a transaction that was dropped may come again"
        );
    }

    #[test]
    fn the_pool_has_room_for_so_much_and_says_so() {
        let mut pool = Pool::default();
        (0..POOL_MAX).for_each(|i| pool.push(tx(i)));
        let full = pool.admit(&tx(POOL_MAX)).unwrap_err().to_string();
        assert!(full.contains("number of txs 5000 (max: 5000)"), "{full}");
        let large = Pool::default()
            .admit(&vec![0; TX_BYTES_MAX + 1].into())
            .unwrap_err()
            .to_string();
        assert!(large.contains("1048577"), "{large}");
        for i in 0..2 * REMEMBERED {
            pool.include(&[tx(i)]);
        }
        assert_eq!(pool.known.len(), REMEMBERED);
    }
}
