//! `CheckTx`: would this transaction be taken, after those that wait already?
//!
//! Checks run over the newest committed state plus what earlier checks used up, and never wait for a block being
//! executed. EVM code does not run here; native messages do not run either.
use crate::AppError;
use crate::api::{CheckKind, TxResult};
use crate::cache::Cache;
use crate::chain::ChainInfo;
use crate::receipt::TxOutput;
use crate::tx::{Decoder, Tx};
use crate::view::StateView;
use module::{BlockContext, Error, TxContext, codes};
use parking_lot::Mutex;
use state::{Overlay, StateScan, WriteSet};
use std::sync::Arc;
use types::{Address, B256, Bytes, Coin, U256};
use x_auth::ante::NativeTx;
use x_evm::EvmTx;

/// Ethereum transactions remembered between their check and their block, for `eth_getTransactionByHash`.
const PENDING_MAX: usize = 16_384;
/// Their bytes, at most: what CometBFT's mempool holds by default.
const PENDING_BYTES_MAX: usize = 64 << 20;

/// What checks have used up since the last block.
pub(crate) struct Checks<S> {
    base: Option<(StateView<S>, Arc<BlockContext>)>,
    writes: WriteSet,
    pending: Cache<B256, Bytes>,
}

impl<S> Default for Checks<S> {
    fn default() -> Self {
        Self {
            base: None,
            writes: WriteSet::new(),
            pending: Cache::new(PENDING_MAX, PENDING_BYTES_MAX),
        }
    }
}

impl<S: StateScan + Clone> Checks<S> {
    /// Starts over on a new head; what still waits is checked again by its keeper.
    pub(crate) fn reset(&mut self, state: StateView<S>, next: BlockContext) {
        self.base = Some((state, Arc::new(next)));
        self.writes.clear();
    }
    /// Forgets transactions that are in a block now.
    pub(crate) fn included(&mut self, hashes: impl Iterator<Item = B256>) {
        for hash in hashes {
            self.pending.pop(&hash);
        }
    }
    pub(crate) fn pending(&self, hash: &B256) -> Option<Bytes> {
        self.pending.peek(hash).cloned()
    }
    pub(crate) fn sequence(&self, who: &Address) -> Result<u64, AppError> {
        let (state, _) = self.base.as_ref().ok_or(AppError::NotStarted)?;
        let key = x_auth::account_key(who);
        let own = self
            .writes
            .get(&key)
            .map(|op| (key, op.clone()))
            .into_iter()
            .collect();
        Ok(x_auth::sequence(&Overlay::with_writes(state, own), who)?)
    }
    /// Runs `check` over the state as checks left it; keeps what it writes if it succeeds.
    fn attempt<T>(
        &mut self,
        check: impl FnOnce(&BlockContext, &mut Overlay<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (state, block) = match &self.base {
            Some((state, block)) => (state, block.clone()),
            None => return Err(Error::sdk(codes::LOGIC, "the chain has not started")),
        };
        let before = std::mem::take(&mut self.writes);
        let outer = Overlay::with_writes(state, before);
        let mut inner = Overlay::new(&outer);
        let done = check(&block, &mut inner);
        let buffered = inner.finish();
        let mut outer = outer;
        let done = match (done, buffered) {
            (Ok(v), Ok(buffered)) => {
                // What settles late has no part in checks.
                outer.absorb(state::Buffered {
                    writes: buffered.writes,
                    deferred: Vec::new(),
                });
                Ok(v)
            }
            (Ok(_), Err(e)) => Err(e.into()),
            (Err(e), _) => Err(e),
        };
        self.writes = outer.finish().map_err(Error::from)?.writes;
        done
    }
}

/// Checks a decoded transaction.
pub(crate) fn check<S: StateScan + Clone>(
    info: &ChainInfo,
    decoder: &Decoder,
    checks: &Mutex<Checks<S>>,
    decoded: Result<Arc<Tx>, Error>,
    raw: &Bytes,
    kind: CheckKind,
) -> TxResult {
    let refuse = |e: Error, gas: u64| match TxOutput::from_error(e, gas) {
        Ok(output) => output.result,
        Err(e) => TxOutput::rejected("sdk", codes::LOGIC, e.to_string(), gas).result,
    };
    let tx = match decoded {
        Ok(tx) => tx,
        Err(e) => return refuse(e, 0),
    };
    let max = info.params.max_bytes;
    if max > 0 && raw.len() as u64 > max.unsigned_abs() {
        let why = format!("{} bytes, block limit {max}: tx too large", raw.len());
        return refuse(Error::sdk(codes::TX_TOO_LARGE, why), 0);
    }
    match &*tx {
        Tx::Ethereum(evm) => match check_ethereum(checks, evm, kind) {
            Ok(gas) => {
                checks
                    .lock()
                    .pending
                    .put(evm.hash, evm.raw.clone(), evm.raw.len());
                TxResult {
                    gas_wanted: gas,
                    ..TxResult::default()
                }
            }
            Err(e) => {
                if kind == CheckKind::Recheck {
                    checks.lock().pending.pop(&evm.hash);
                }
                refuse(e, evm.gas_limit())
            }
        },
        Tx::Native(native) => match check_native(info, decoder, checks, native) {
            // Expected gas, not the limit: limits nobody uses must not fill a block (chain.md rule 13).
            Ok(gas) => TxResult {
                gas_wanted: gas,
                gas_used: gas,
                ..TxResult::default()
            },
            Err(e) => refuse(e, native.gas_limit),
        },
    }
}

fn check_native<S: StateScan + Clone>(
    info: &ChainInfo,
    decoder: &Decoder,
    checks: &Mutex<Checks<S>>,
    tx: &NativeTx,
) -> Result<u64, Error> {
    // Signatures outside the lock; numbers and keys are those of the newest block.
    let base = checks.lock().base.clone();
    let Some((state, _)) = base else {
        return Err(Error::sdk(codes::LOGIC, "the chain has not started"));
    };
    let verdict = decoder.verify(tx, &state, &info.chain_id, &info.config)?;
    let gas = tx.intrinsic_gas();
    let limit = info.gas_limit();
    if tx.gas_limit > limit {
        let why = format!("exceeds block gas limit: gas {}, limit {limit}", tx.gas_limit);
        return Err(Error::sdk(codes::INVALID_GAS_LIMIT, why));
    }
    checks.lock().attempt(|block, state| {
        let mut events = Vec::new();
        let mut ctx = TxContext {
            block,
            state,
            events: &mut events,
        };
        x_auth::ante::run(tx, &verdict, &mut ctx, x_bank::pay_fee)?;
        Ok(())
    })?;
    Ok(gas.min(tx.gas_limit))
}

/// The sender's nonce, funds for gas × price + value, base fee and intrinsic gas: geth's pool checks, in its words.
fn check_ethereum<S: StateScan + Clone>(
    checks: &Mutex<Checks<S>>,
    tx: &EvmTx,
    kind: CheckKind,
) -> Result<u64, Error> {
    let mut checks = checks.lock();
    let known = kind == CheckKind::New && checks.pending.peek(&tx.hash).is_some();
    checks.attempt(|block, state| {
        if known && x_auth::sequence(state, &tx.sender)? > tx.nonce() {
            return Err(Error::sdk(codes::TX_IN_MEMPOOL, "already known"));
        }
        let env = x_evm::Env::chain(block, Arc::default());
        let rejected = |why: x_evm::Invalid| Error::module(why.codespace, why.code, why.message);
        let gas = x_evm::check(state, &env, tx)?.map_err(rejected)?;
        let cost = tx.cost_max().unwrap_or(U256::MAX);
        x_bank::debit(state, &tx.sender, &Coin::new(cost, &block.config.base_denom))?;
        let next = tx.nonce().checked_add(1).ok_or_else(|| {
            Error::sdk(
                codes::WRONG_SEQUENCE,
                format!("nonce has max value: address {}", tx.sender),
            )
        })?;
        x_auth::set_sequence(state, &block.config, &tx.sender, next)?;
        Ok(gas)
    })
}
