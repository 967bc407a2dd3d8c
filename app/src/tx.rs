//! Bytes to transactions: Ethereum envelopes to x-evm, all else to the native modules. Decoding is a pure function of
//! the bytes and the chain's names, so its results are remembered (chain.md rule 18).
use crate::modules::Modules;
use lru::LruCache;
use module::{Error, codes};
use parking_lot::Mutex;
use prost::Message as _;
use sha2::{Digest, Sha256};
use state::{StateError, StateRead};
use std::num::NonZeroUsize;
use std::sync::Arc;
use types::{B256, Bytes, ChainConfig, keccak256};
use x_auth::ante::{NativeTx, Purpose, VerifyAt, prepare, verify};
use x_auth::{Params, Verdict};
use x_evm::{EnvelopeError, EvmTx, TxError};

/// A decoded transaction. Nothing about it depends on state, save the parameters it was read under.
#[derive(Debug)]
pub(crate) enum Tx {
    /// An Ethereum transaction in its canonical envelope, sender recovered.
    Ethereum(EvmTx),
    /// A native transaction; its messages have passed their own checks.
    Native(NativeTx),
}

/// CometBFT's name of a transaction: sha256 of its bytes.
pub(crate) fn comet_hash(raw: &[u8]) -> B256 {
    B256::from_slice(&Sha256::digest(raw))
}

/// Bytes that have been decoded before are not decoded again: saves the recovery of the sender.
pub(crate) struct Decoder {
    seen: Mutex<LruCache<B256, Arc<Tx>>>,
    good: Mutex<LruCache<B256, ()>>,
}

/// Longer transactions are not remembered, so that the cache's memory is bounded by its count.
const REMEMBER_BYTES_MAX: usize = 8 * 1024;

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}

impl Decoder {
    pub(crate) fn new(remember: usize) -> Self {
        let size = NonZeroUsize::new(remember).unwrap_or(NonZeroUsize::MIN);
        Self { seen: Mutex::new(LruCache::new(size)), good: Mutex::new(LruCache::new(size)) }
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
        if raw.len() <= REMEMBER_BYTES_MAX {
            self.seen.lock().put(hash, tx.clone());
        }
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
        let at = VerifyAt { chain_id, config, genesis: false };
        verify(tx, base, at, &mut |key, sign_bytes, signature| {
            let parts = [&key.to_any().encode_to_vec()[..], &keccak256(sign_bytes)[..], signature];
            let name = keccak256(parts.concat());
            if self.good.lock().get(&name).is_some() {
                return true;
            }
            let good = x_auth::verify_signature(key, sign_bytes, signature);
            if good {
                self.good.lock().put(name, ());
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
