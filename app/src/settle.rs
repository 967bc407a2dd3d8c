//! What depends on the order of transactions: block gas and its cut-off, Ethereum indexes, who is new.
use crate::job::{Body, TxJob, nothing};
use crate::receipt::TxOutput;
use executor::{Change, Layout as _, Outcome, Place, Settle, To};
use module::{BlockContext, codes};
use state::{Key, StateError, TxIndex, WriteSet};
use std::collections::BTreeSet;
use types::Address;

/// The running totals of a block.
#[derive(Debug)]
pub(crate) struct Totals {
    gas_limit: u64,
    /// Gas of all transactions.
    pub(crate) gas_used: u64,
    /// Gas of Ethereum transactions: what the Ethereum header counts (chain.md rule 15).
    pub(crate) evm_gas_used: u64,
    evm_count: u64,
    log_count: u64,
    /// Who may be new, in the order account numbers are given out.
    pub(crate) arrivals: Arrivals,
}

impl Totals {
    pub(crate) fn new(block: &BlockContext, arrivals: Arrivals) -> Self {
        Self {
            gas_limit: block.gas_limit,
            gas_used: 0,
            evm_gas_used: 0,
            evm_count: 0,
            log_count: 0,
            arrivals,
        }
    }
    fn left(&self) -> u64 {
        self.gas_limit.saturating_sub(self.gas_used)
    }
    fn no_room(&self, limit: u64) -> Outcome<TxOutput> {
        let log = format!(
            "no block gas left to run tx: want {limit}, left {}: out of gas",
            self.left()
        );
        nothing(TxOutput::rejected("sdk", codes::OUT_OF_GAS, log, limit))
    }
}

impl Settle<TxJob<'_>> for Totals {
    /// What has no room is not run: a block's work is bounded by its gas, whatever its transactions ask for. The first
    /// is run in any case, for the reason that names the limit.
    fn skip(&mut self, _index: TxIndex, job: &TxJob<'_>) -> Option<Outcome<TxOutput>> {
        let Body::Ready(tx, _) = &job.body else {
            return None;
        };
        let limit = tx.gas_limit();
        (self.gas_used > 0 && limit > self.left()).then(|| self.no_room(limit))
    }
    fn settle(
        &mut self,
        _index: TxIndex,
        job: &TxJob<'_>,
        outcome: &mut Outcome<TxOutput>,
    ) -> Result<(), StateError> {
        if !outcome.output.counts() {
            return Ok(());
        }
        // chain.md rule 13: included if and only if gas used so far and its limit fit.
        let limit = outcome.output.result.gas_wanted;
        if limit > self.left() {
            *outcome = self.no_room(limit);
            return Ok(());
        }
        let output = &mut outcome.output;
        self.gas_used += output.result.gas_used;
        if let Some(receipt) = &mut output.evm {
            self.evm_gas_used += receipt.gas_used;
            receipt.index = self.evm_count;
            receipt.cumulative_gas_used = self.evm_gas_used;
            receipt.first_log = self.log_count;
            self.evm_count += 1;
            self.log_count += receipt.logs.len() as u64;
        }
        self.arrivals.meet(credited(outcome));
        job.learn(|| touched(job, outcome));
        Ok(())
    }
}

/// Who was credited by a transaction, or had its record written.
fn credited(outcome: &Outcome<TxOutput>) -> BTreeSet<Address> {
    let mut out = x_bank::touched_accounts(&outcome.writes);
    for Change { place, to, .. } in &outcome.changes {
        let more = match to {
            To::Add(delta) => !delta.negative && !delta.amount.is_zero(),
            To::Set(word) => !word.is_zero() || matches!(place, Place::Nonce(_)),
        };
        if let (Place::Balance(who) | Place::Nonce(who), true) = (place, more) {
            out.insert(*who);
        }
    }
    out
}

/// The keys that a transaction changes, typed places among them.
fn touched(job: &TxJob<'_>, outcome: &Outcome<TxOutput>) -> BTreeSet<Key> {
    let places = outcome.changes.iter().map(|change| &change.place);
    let keys = places.map(|place| job.env.evm.key(place));
    outcome.writes.keys().cloned().chain(keys).collect()
}

/// Addresses that were credited, or whose record was written, in the order they were first met: begin block, then
/// transactions in order, then end block; within each, ascending (chain.md rule 5).
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    order: Vec<Address>,
    seen: BTreeSet<Address>,
}

impl Arrivals {
    /// Takes note of what one phase or transaction wrote.
    pub(crate) fn see(&mut self, writes: &WriteSet) {
        self.meet(x_bank::touched_accounts(writes));
    }
    /// Takes note of who was met in one phase or transaction.
    fn meet(&mut self, mut fresh: BTreeSet<Address>) {
        fresh.retain(|who| !self.seen.contains(who));
        self.order.extend(&fresh);
        self.seen.extend(fresh);
    }
    /// In order, without repeats.
    pub(crate) fn into_order(self) -> Vec<Address> {
        self.order
    }
}
