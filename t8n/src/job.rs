//! The block's transactions as the executor's jobs, and what depends on their order: the block's gas and blob gas, and
//! before Byzantium a state root after each.
use crate::alloc::{dump, put_all, state_root};
use crate::fork::Fork;
use alloy_consensus::Transaction as _;
use executor::{Job, Layout, Settle, View};
use state::{Access, MemoryState, Op, StateError, TxIndex, Value, WriteSet, apply_deferrals};
use types::{B256, ChainConfig};
use x_evm::{Env, EvmTx, Invalid, Outcome, Scratch, SpecId};

/// One transaction.
pub(crate) struct TxJob<'a> {
    pub(crate) env: &'a Env,
    pub(crate) tx: &'a EvmTx,
    pub(crate) access: Access,
}

impl Job for TxJob<'_> {
    type Output = Outcome;
    type Scratch<'b>
        = Scratch<'b>
    where
        Self: 'b;
    fn access(&self) -> &Access {
        &self.access
    }
    fn lane(&self) -> Option<&[u8]> {
        Some(self.tx.sender.as_slice())
    }
    fn weight(&self) -> u64 {
        self.tx.gas_limit()
    }
    fn layout(&self) -> Option<&dyn Layout> {
        Some(self.env)
    }
    fn run<'b>(
        &'b self,
        view: &'b dyn View,
        scratch: &mut Scratch<'b>,
    ) -> Result<executor::Outcome<Outcome>, StateError> {
        let mut done = x_evm::execute(view, self.env, self.tx, scratch)?;
        if let Outcome::Invalid(invalid) = &mut done.outcome {
            self.nonce_first(view, invalid)?;
        }
        Ok(executor::Outcome {
            changes: done.changes,
            writes: done.writes,
            deferred: done.deferred,
            output: done.outcome,
        })
    }
}

impl TxJob<'_> {
    /// A transaction that is wrong in several ways is rejected for its nonce, which geth looks at first.
    fn nonce_first(&self, view: &dyn View, invalid: &mut Invalid) -> Result<(), StateError> {
        let (next, nonce) = (x_auth::sequence(&view, &self.tx.sender)?, self.tx.nonce());
        if nonce != next && !invalid.message.starts_with("nonce") {
            let what = if nonce < next { "low" } else { "high" };
            invalid.message = format!("nonce too {what}: next nonce {next}, tx nonce {nonce}");
        }
        Ok(())
    }
}

/// What is left of the block, in block order.
pub(crate) struct Ledger<'a> {
    pub(crate) fork: Fork,
    pub(crate) config: &'a ChainConfig,
    pub(crate) gas_left: u64,
    /// The most blob gas, and what is used.
    pub(crate) blob_gas_max: u64,
    pub(crate) blob_gas: u64,
    /// Before Byzantium: the state so far.
    pub(crate) state: Option<MemoryState>,
    /// Before Byzantium: the root after each transaction that ran.
    pub(crate) roots: Vec<B256>,
}

fn rejected(message: String) -> executor::Outcome<Outcome> {
    let invalid = Invalid {
        codespace: "sdk",
        code: 11,
        message,
    };
    executor::Outcome {
        changes: Vec::new(),
        writes: WriteSet::new(),
        deferred: Vec::new(),
        output: Outcome::Invalid(invalid),
    }
}

impl Settle<TxJob<'_>> for Ledger<'_> {
    fn skip(&mut self, _: TxIndex, job: &TxJob<'_>) -> Option<executor::Outcome<Outcome>> {
        let used = self
            .blob_gas
            .saturating_add(job.tx.envelope.blob_gas_used().unwrap_or(0));
        let max = self.blob_gas_max;
        (used > max).then(|| rejected(format!("blob gas ({used}) would exceed maximum allowance {max}")))
    }

    fn settle(
        &mut self,
        _: TxIndex,
        job: &TxJob<'_>,
        outcome: &mut executor::Outcome<Outcome>,
    ) -> Result<(), StateError> {
        let beyond = job.tx.gas_limit() > self.gas_left;
        let included = match &outcome.output {
            Outcome::Included(included) => included,
            Outcome::Invalid(invalid) => {
                // geth takes the gas out of the block after nonce, funds and fees, before the intrinsic gas.
                if beyond
                    && (invalid.message.contains("block gas limit")
                        || invalid.message.contains(" gas too low"))
                {
                    *outcome = rejected("gas limit reached".into());
                }
                return Ok(());
            }
        };
        if beyond {
            *outcome = rejected("gas limit reached".into());
            return Ok(());
        }
        self.gas_left = self.gas_left.saturating_sub(included.gas_used);
        self.blob_gas = self
            .blob_gas
            .saturating_add(job.tx.envelope.blob_gas_used().unwrap_or(0));
        if !self.fork.has(SpecId::SPURIOUS_DRAGON) {
            // A fee of nothing brings its receiver into being, too.
            let key = x_evm::empty_key(&job.env.block.beneficiary);
            outcome.writes.insert(key, Op::Put(Value::from_static(&[1])));
        }
        if let Some(state) = &mut self.state {
            let (changes, writes) = (outcome.changes.clone(), outcome.writes.clone());
            let mut writes = x_evm::write_set(&*state, job.env, changes, writes)?;
            apply_deferrals(&*state, &mut writes, outcome.deferred.clone())?;
            put_all(state, writes)?;
            self.roots
                .push(state_root(&dump(state, &self.fork, self.config)?));
        }
        Ok(())
    }
}
