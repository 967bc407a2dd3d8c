//! What transactions wrote when they ran before, told to the executor as an expectation: whoever will write what another
//! needs is waited for, and nothing runs in vain. Wrong expectations cost time, never a result.
//!
//! Two memories, both bounded. *By transaction*: what each wrote when the proposal was packed; it writes mostly the same
//! in the block. *By call*, contract and selector: the slots that two calls in three wrote, such as a counter, a total or
//! a pool's price. Slots that follow from sender and arguments, such as a token's balances, never get there.
//!
//! `CheckTx` runs no code, so that it has nothing to teach.
use crate::cache::Cache;
use alloy_consensus::Transaction as _;
use parking_lot::Mutex;
use state::Key;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use types::{Address, B256};
use x_evm::EvmTx;

/// Transactions remembered at most, and the bytes of their keys.
const TXS_MAX: usize = 16_384;
const TX_BYTES_MAX: usize = 16 << 20;
/// Calls remembered at most, and what each counts for.
const CALLS_MAX: usize = 4_096;
const CALL_BYTES: usize = 2_048;
/// Slots remembered of one call, and of one transaction.
const SLOTS_MAX: usize = 16;
/// Bytes of a key, about.
const KEY_BYTES: usize = 64;

/// A slot's score from which on it is expected: one is won by a call that writes it, two are lost by one that does not.
const EXPECTED: u8 = 4;
const SCORE_MAX: u8 = 12;
/// Of calls that are known, one in so many is looked at again;
const SAMPLE: u8 = 4;
/// and of those that were looked at so often.
const OFTEN: u32 = 64;

/// The first byte of a storage slot's key in x-evm's store.
const SLOT: u8 = 2;

/// Contract and selector.
type Call = (Address, [u8; 4]);

/// How often expectations were right. Differs from node to node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnedStats {
    /// Slots expected of a transaction that had run before, and written.
    pub tx_right: u64,
    /// The same, not written.
    pub tx_wrong: u64,
    /// Slots expected of a call that others had made before, and written.
    pub call_right: u64,
    /// The same, not written.
    pub call_wrong: u64,
}

/// What is expected of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hint {
    /// The slots it is expected to write.
    pub(crate) slots: Arc<[Key]>,
    /// Whether it is this very transaction that was seen.
    of_tx: bool,
}

/// What is known of a call.
#[derive(Debug, Default)]
struct Known {
    scores: Vec<(Key, u8)>,
    /// Those that are expected, ready to be handed out.
    expected: Arc<[Key]>,
    /// How often it was looked at.
    looks: u32,
}

/// The memory.
pub(crate) struct Learned {
    txs: Mutex<Cache<B256, Arc<[Key]>>>,
    calls: Mutex<Cache<Call, Known>>,
    /// Right and wrong, by transaction and by call.
    counts: [AtomicU64; 4],
}

impl Default for Learned {
    fn default() -> Self {
        Self {
            txs: Mutex::new(Cache::new(TXS_MAX, TX_BYTES_MAX)),
            calls: Mutex::new(Cache::new(CALLS_MAX, CALLS_MAX * CALL_BYTES)),
            counts: [const { AtomicU64::new(0) }; 4],
        }
    }
}

impl std::fmt::Debug for Learned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Learned")
    }
}

/// The call that `tx` makes; `None` for payments and creations.
fn call(tx: &EvmTx) -> Option<Call> {
    let selector = tx.envelope.function_selector()?;
    Some((tx.to()?, selector.0))
}

fn slots(writes: &BTreeSet<Key>) -> impl Iterator<Item = &Key> {
    let is_slot = |key: &&Key| key.store() == x_evm::STORE && key.bytes().first() == Some(&SLOT);
    writes.iter().filter(is_slot).take(SLOTS_MAX)
}

impl Learned {
    pub(crate) fn stats(&self) -> LearnedStats {
        let read = |i: usize| self.counts[i].load(Ordering::Relaxed);
        LearnedStats {
            tx_right: read(0),
            tx_wrong: read(1),
            call_right: read(2),
            call_wrong: read(3),
        }
    }
    /// What is expected of `tx`; `None` where nothing is.
    pub(crate) fn hint(&self, tx: &EvmTx) -> Option<Hint> {
        let call = call(tx)?;
        if let Some(slots) = self.txs.lock().get(&tx.hash) {
            let slots = slots.clone();
            return Some(Hint { slots, of_tx: true });
        }
        let slots = self.calls.lock().get(&call)?.expected.clone();
        (!slots.is_empty()).then_some(Hint { slots, of_tx: false })
    }
    /// Whether `observe` has any use for what `tx` wrote.
    pub(crate) fn wants(&self, tx: &EvmTx, hint: Option<&Hint>, by_hash: bool) -> bool {
        let Some(call) = call(tx) else { return false };
        let often = || {
            self.calls
                .lock()
                .get(&call)
                .is_some_and(|known| known.looks >= OFTEN)
        };
        by_hash || hint.is_some() || tx.hash[0].is_multiple_of(SAMPLE) || !often()
    }
    /// Learns from what `tx` wrote, of which `hint` was expected; `by_hash` if it is going to run again.
    pub(crate) fn observe(&self, tx: &EvmTx, hint: Option<&Hint>, writes: &BTreeSet<Key>, by_hash: bool) {
        let Some(call) = call(tx) else { return };
        if let Some(hint) = hint {
            let right = hint.slots.iter().filter(|key| writes.contains(*key)).count();
            let first = if hint.of_tx { 0 } else { 2 };
            let add = |at: usize, n: usize| self.counts[at].fetch_add(n as u64, Ordering::Relaxed);
            add(first, right);
            add(first + 1, hint.slots.len() - right);
        }
        if by_hash {
            let slots: Arc<[Key]> = slots(writes).cloned().collect();
            let size = KEY_BYTES * (1 + slots.len());
            self.txs.lock().put(tx.hash, slots, size);
        }
        let known = hint.is_some_and(|hint| !hint.of_tx);
        if known && !tx.hash[0].is_multiple_of(SAMPLE) {
            return;
        }
        let mut calls = self.calls.lock();
        let mut seen = Known::default();
        if let Some(known) = calls.pop(&call) {
            seen = known;
        }
        seen.learn(writes);
        calls.put(call, seen, CALL_BYTES);
    }
}

impl Known {
    fn learn(&mut self, writes: &BTreeSet<Key>) {
        self.looks = self.looks.saturating_add(1);
        let mut changed = false;
        for (key, score) in &mut self.scores {
            let before = *score >= EXPECTED;
            *score = if writes.contains(key) {
                (*score + 1).min(SCORE_MAX)
            } else {
                score.saturating_sub(2)
            };
            changed |= before != (*score >= EXPECTED);
        }
        self.scores.retain(|(_, score)| *score > 0);
        for key in slots(writes) {
            if self.scores.len() < SLOTS_MAX && !self.scores.iter().any(|(k, _)| k == key) {
                self.scores.push((key.clone(), 1));
            }
        }
        if changed {
            let expected = self.scores.iter().filter(|(_, score)| *score >= EXPECTED);
            self.expected = expected.map(|(key, _)| key.clone()).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::U256;

    fn writes(slots: &[u64]) -> BTreeSet<Key> {
        let who = Address::repeat_byte(1);
        let key = |slot: &u64| x_evm::slot_key(&who, &U256::from(*slot), 0);
        slots.iter().map(key).collect()
    }

    #[test]
    fn what_two_calls_in_three_write_is_expected_and_what_differs_is_not() {
        let mut known = Known::default();
        for i in 0..100 {
            known.learn(&writes(if i % 4 == 0 { &[8] } else { &[7, 8] }));
            known.learn(&writes(&[7, 8, 1_000 + i]));
        }
        let expected: Vec<Key> = writes(&[7, 8]).into_iter().collect();
        let mut have = known.expected.to_vec();
        have.sort_unstable();
        assert_eq!(have, expected);
        assert!(known.scores.len() <= SLOTS_MAX);
        // It stops: what was learned is forgotten.
        for i in 0..10 {
            known.learn(&writes(&[2_000 + i]));
        }
        assert!(known.expected.is_empty());
    }
}
