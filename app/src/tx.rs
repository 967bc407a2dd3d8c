//! Bytes to transactions: Ethereum envelopes to x-evm, all else to the native modules. Decoding is a pure function of
//! the bytes and the chain's names, so its results are remembered (chain.md rule 18).
use crate::cache::Cache;
use crate::modules::Modules;
use module::{Error, codes};
use parking_lot::Mutex;
use prost::Message as _;
use sha2::{Digest, Sha256};
use state::{StateError, StateRead};
use std::sync::Arc;
use types::{B256, Bytes, ChainConfig, keccak256};
use x_auth::ante::{NativeTx, Purpose, VerifyAt, prepare, verify};
use x_auth::{Params, Verdict};
use x_evm::{EnvelopeError, EvmTx, TxError};

/// A decoded transaction. Nothing about it depends on state, save the parameters it was read under.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "always in an Arc of its own")]
pub(crate) enum Tx {
    /// An Ethereum transaction in its canonical envelope, sender recovered.
    Ethereum(EvmTx),
    /// A native transaction; its messages have passed their own checks.
    Native(NativeTx),
}

impl Tx {
    /// Gas at most.
    pub(crate) fn gas_limit(&self) -> u64 {
        match self {
            Self::Ethereum(tx) => tx.gas_limit(),
            Self::Native(tx) => tx.gas_limit,
        }
    }
    /// Gas that it uses at least if it runs. Less than the intrinsic gas: refunds give back up to a fifth of what was
    /// used (EIP-3529), and messages behind one that fails do not run.
    pub(crate) fn least_gas(&self) -> u64 {
        match self {
            Self::Ethereum(tx) => {
                let gas = x_evm::intrinsic_gas(tx);
                gas - gas / 5
            }
            Self::Native(tx) => {
                let first = tx.messages.first().map_or(0, |m| m.gas());
                tx.size_gas().saturating_add(first).min(tx.gas_limit)
            }
        }
    }
}

/// CometBFT's name of a transaction: sha256 of its bytes.
pub(crate) fn comet_hash(raw: &[u8]) -> B256 {
    B256::from_slice(&Sha256::digest(raw))
}

/// Bytes that have been decoded before are not decoded again: saves the recovery of the sender.
pub(crate) struct Decoder {
    seen: Mutex<Cache<B256, Arc<Tx>>>,
    good: Mutex<Cache<B256, ()>>,
}

/// Bytes of the transactions remembered, at most.
const REMEMBER_BYTES_MAX: usize = 64 << 20;

/// Counted for each beside its bytes: what a small one takes decoded.
const REMEMBER_OVERHEAD: usize = 1024;

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}

impl Decoder {
    pub(crate) fn new(remember: usize) -> Self {
        Self {
            seen: Mutex::new(Cache::new(remember, REMEMBER_BYTES_MAX)),
            good: Mutex::new(Cache::new(remember, REMEMBER_BYTES_MAX)),
        }
    }
    /// Forgets what was decoded.
    pub(crate) fn clear(&self) {
        self.seen.lock().clear();
    }

    /// Decodes `raw`; the error is the sender's.
    pub(crate) fn decode(&self, rules: &Rules<'_>, raw: &Bytes) -> Result<Arc<Tx>, Error> {
        let hash = comet_hash(raw);
        if let Some(tx) = self.seen.lock().get(&hash)
            && rules.are_those_of(tx)
        {
            return Ok(tx.clone());
        }
        let tx = Arc::new(decode(rules, raw)?);
        self.seen
            .lock()
            .put(hash, tx.clone(), raw.len() + REMEMBER_OVERHEAD);
        Ok(tx)
    }

    /// Checks a native transaction's signatures against the accounts in `base`; good ones are remembered by key,
    /// signed bytes and signature.
    pub(crate) fn verify(
        &self,
        tx: &NativeTx,
        base: &dyn StateRead,
        chain_id: &str,
        config: &ChainConfig,
    ) -> Result<Verdict, StateError> {
        let at = VerifyAt {
            chain_id,
            config,
            genesis: false,
        };
        verify(tx, base, at, &mut |key, sign_bytes, signature| {
            let parts = [
                &key.to_any().encode_to_vec()[..],
                &keccak256(sign_bytes)[..],
                signature,
            ];
            let name = keccak256(parts.concat());
            if self.good.lock().get(&name).is_some() {
                return true;
            }
            let good = x_auth::verify_signature(key, sign_bytes, signature);
            if good {
                self.good.lock().put(name, (), 0);
            }
            good
        })
    }
}

/// What decoding depends on beside the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) modules: &'a Modules,
    pub(crate) config: &'a ChainConfig,
    pub(crate) params: &'a Params,
}

impl Rules<'_> {
    fn are_those_of(&self, tx: &Tx) -> bool {
        match tx {
            Tx::Ethereum(_) => true,
            Tx::Native(tx) => tx.params == *self.params,
        }
    }
}

fn decode(rules: &Rules<'_>, raw: &Bytes) -> Result<Tx, Error> {
    match x_evm::unwrap(raw, rules.config) {
        Ok(Some(tx)) => Ok(Tx::Ethereum(tx)),
        Ok(None) => native(rules, raw, Purpose::Execute).map(Tx::Native),
        Err(e) => Err(Error::sdk(envelope_code(&e), e.to_string())),
    }
}

/// Reads a native transaction, for execution or for simulation.
pub(crate) fn native(rules: &Rules<'_>, raw: &Bytes, purpose: Purpose) -> Result<NativeTx, Error> {
    let tx = x_auth::tx::decode(raw.clone())?;
    let decode = |url: &str, value: &[u8]| rules.modules.iter().find_map(|m| m.decode(url, value));
    let messages = x_auth::tx::decode_messages(&tx, decode)?;
    prepare(tx, messages, rules.config, rules.params, purpose)
}

fn envelope_code(e: &EnvelopeError) -> u32 {
    match e {
        EnvelopeError::Decode(_) => codes::TX_DECODE,
        EnvelopeError::NotCanonical { .. } | EnvelopeError::Shape => codes::INVALID_REQUEST,
        EnvelopeError::Tx(TxError::Size(_)) => codes::TX_TOO_LARGE,
        EnvelopeError::Tx(TxError::Type(_) | TxError::Unprotected) => codes::NOT_SUPPORTED,
        EnvelopeError::Tx(TxError::Rlp(_)) => codes::TX_DECODE,
        EnvelopeError::Tx(TxError::Signature) => codes::UNAUTHORIZED,
        EnvelopeError::Tx(TxError::ChainId { .. }) => codes::INVALID_CHAIN_ID,
        EnvelopeError::Tx(TxError::Range(_)) => codes::INVALID_REQUEST,
    }
}
