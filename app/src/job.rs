//! One transaction of a block, ready to run any number of times.
use crate::learned::{Hint, Learned};
use crate::receipt::TxOutput;
use crate::tx::{Decoder, Rules, Tx};
use executor::{Job, Layout, Outcome, View};
use module::{BlockContext, Error, TxContext};
use state::{Access, Key, Overlay, StateError, StateRead, StateScan, WriteSet};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use types::{Address, Bytes};
use x_auth::Verdict;
use x_auth::ante::NativeTx;
use x_evm::EvmTx;

/// What every transaction of a block is given.
#[derive(Debug)]
pub(crate) struct Env {
    pub(crate) block: BlockContext,
    pub(crate) evm: x_evm::Env,
    pub(crate) how: How,
}

/// How a block is run: nothing here has a part in its result.
#[derive(Clone, Debug, Default)]
pub(crate) struct How {
    /// Set once nobody wants the block's result any more: what has not run then fails, and with it the block.
    pub(crate) cancelled: Option<Arc<AtomicBool>>,
    /// Where expectations come from, and go to.
    pub(crate) learned: Option<Arc<Learned>>,
    /// Whether the transactions are going to run again, in a block that is decided.
    pub(crate) rehearsal: bool,
}

impl Env {
    fn go_on(&self) -> Result<(), StateError> {
        match &self.how.cancelled {
            Some(cancelled) if cancelled.load(Ordering::Relaxed) => {
                Err(StateError::Storage("the block is no longer wanted".into()))
            }
            _ => Ok(()),
        }
    }
}

/// What a transaction is, after all that could be done before execution.
#[derive(Debug)]
pub(crate) enum Body {
    /// Refused by its bytes: takes its place in the block and does nothing.
    Refused(Error),
    /// Decoded; a native one with its signatures checked against the accounts at block start.
    Ready(Arc<Tx>, Option<Verdict>),
}

/// A transaction to run.
#[derive(Debug)]
pub(crate) struct TxJob<'a> {
    pub(crate) env: &'a Env,
    pub(crate) body: Body,
    access: Access,
    hint: Option<Hint>,
}

impl<'a> TxJob<'a> {
    /// Decodes a transaction, checks its signatures and declares its access against the state at block start.
    pub(crate) fn new(
        env: &'a Env,
        rules: &Rules<'_>,
        decoder: &Decoder,
        raw: &Bytes,
        start: &dyn StateRead,
    ) -> Result<Self, StateError> {
        env.go_on()?;
        let tx = match decoder.decode(rules, raw) {
            Ok(tx) => tx,
            Err(Error::State(e)) => return Err(e),
            Err(e) => {
                let access = Access {
                    complete: true,
                    ..Access::default()
                };
                return Ok(Self {
                    env,
                    body: Body::Refused(e),
                    access,
                    hint: None,
                });
            }
        };
        let mut hint = None;
        let (verdict, access) = match &*tx {
            Tx::Ethereum(evm) => {
                let mut access = x_evm::access(evm, &env.evm, Some(start));
                hint = env.how.learned.as_ref().and_then(|learned| learned.hint(evm));
                if let Some(hint) = &hint {
                    access.writes.extend(hint.slots.iter().cloned());
                }
                (None, access)
            }
            Tx::Native(native) => {
                let verdict = decoder.verify(native, start, &env.block.chain_id, rules.config)?;
                let mut access = native.access(&env.block, start);
                access.extend(x_bank::fee_access(&native.fee_payer, &native.fee.denom));
                (Some(verdict), access)
            }
        };
        Ok(Self {
            env,
            body: Body::Ready(tx, verdict),
            access,
            hint,
        })
    }

    /// The Ethereum transaction that it is, if it is one.
    fn ethereum(&self) -> Option<&EvmTx> {
        match &self.body {
            Body::Ready(tx, _) => match &**tx {
                Tx::Ethereum(tx) => Some(tx),
                Tx::Native(_) => None,
            },
            Body::Refused(_) => None,
        }
    }
    /// Makes what clients are shown, now that its place in the block is settled.
    pub(crate) fn finish(&self, output: &mut TxOutput) {
        if let Some(tx) = self.ethereum() {
            output.finish(tx, self.env.block.height, self.env.block.time.unix());
        }
    }
    /// Learns from the keys that the final outcome changes for the next time, if there is anything to learn.
    pub(crate) fn learn(&self, keys: impl FnOnce() -> BTreeSet<Key>) {
        if let (Some(learned), Some(tx)) = (&self.env.how.learned, self.ethereum()) {
            let (hint, by_hash) = (self.hint.as_ref(), self.env.how.rehearsal);
            if learned.wants(tx, hint, by_hash) {
                learned.observe(tx, hint, &keys(), by_hash);
            }
        }
    }
}

impl Job for TxJob<'_> {
    type Output = TxOutput;
    type Scratch<'b>
        = x_evm::Scratch<'b>
    where
        Self: 'b;

    fn access(&self) -> &Access {
        &self.access
    }

    fn lane(&self) -> Option<&[u8]> {
        // A native transaction declares its signers' records.
        self.ethereum().map(|tx| tx.sender.as_slice())
    }

    fn weight(&self) -> u64 {
        match &self.body {
            Body::Ready(tx, _) => tx.gas_limit(),
            Body::Refused(_) => 0,
        }
    }

    fn announce(&self, visit: &mut dyn FnMut(&Address)) {
        if let Some(tx) = self.ethereum() {
            tx.announce(visit);
        }
    }
    fn layout(&self) -> Option<&dyn Layout> {
        Some(&self.env.evm)
    }

    fn run<'b>(
        &'b self,
        view: &'b dyn View,
        scratch: &mut x_evm::Scratch<'b>,
    ) -> Result<Outcome<TxOutput>, StateError> {
        self.env.go_on()?;
        match &self.body {
            Body::Refused(error) => Ok(nothing(TxOutput::from_error(error.clone(), 0)?)),
            Body::Ready(tx, verdict) => match (&**tx, verdict) {
                (Tx::Ethereum(tx), _) => run_ethereum(&self.env.evm, tx, view, scratch),
                (Tx::Native(tx), Some(verdict)) => run_native(&self.env.block, tx, verdict, view),
                (Tx::Native(_), None) => {
                    Err(StateError::Storage("native transaction without verdict".into()))
                }
            },
        }
    }
}

pub(crate) fn nothing(output: TxOutput) -> Outcome<TxOutput> {
    Outcome {
        changes: Vec::new(),
        writes: WriteSet::new(),
        deferred: Vec::new(),
        output,
    }
}

fn run_ethereum<'b>(
    env: &'b x_evm::Env,
    tx: &EvmTx,
    view: &'b dyn View,
    scratch: &mut x_evm::Scratch<'b>,
) -> Result<Outcome<TxOutput>, StateError> {
    let ran = x_evm::execute(view, env, tx, scratch)?;
    let output = match ran.outcome {
        x_evm::Outcome::Included(included) => TxOutput::included(tx, *included),
        x_evm::Outcome::Invalid(why) => {
            TxOutput::rejected(why.codespace, why.code, why.message, tx.gas_limit())
        }
    };
    Ok(Outcome {
        changes: ran.changes,
        writes: ran.writes,
        deferred: ran.deferred,
        output,
    })
}

/// Fee and sequence first, then the messages, all or none: a failed message keeps fee and sequence.
pub(crate) fn run_native(
    block: &BlockContext,
    tx: &NativeTx,
    verdict: &Verdict,
    view: &dyn StateScan,
) -> Result<Outcome<TxOutput>, StateError> {
    let mut events = Vec::new();
    let mut overlay = Overlay::new(view);
    let mut ctx = TxContext {
        block,
        state: &mut overlay,
        events: &mut events,
    };
    let done = x_auth::deliver(tx, verdict, &mut ctx, x_bank::pay_fee)?;
    if !done.charged {
        let error = done
            .result
            .err()
            .unwrap_or_else(|| Error::sdk(module::codes::LOGIC, "not charged"));
        return Ok(nothing(TxOutput::from_error(error, tx.gas_limit)?));
    }
    let output = TxOutput::native(done.result, tx.gas_limit, done.gas_used, events)?;
    let buffered = overlay.finish()?;
    Ok(Outcome {
        changes: Vec::new(),
        writes: buffered.writes,
        deferred: buffered.deferred,
        output,
    })
}
