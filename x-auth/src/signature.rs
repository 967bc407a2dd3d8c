//! Signatures of a transaction: which bytes each covers, and whether it does, as of block start.
use crate::{
    PublicKey, account, amino,
    ante::{NativeTx, Purpose, unknown_account},
    direct_sign_bytes,
    params::Params,
};
use cosmrs::proto::cosmos::{
    crypto::multisig::v1beta1::{CompactBitArray, MultiSignature},
    tx::{
        signing::v1beta1::SignMode,
        v1beta1::{ModeInfo, SignerInfo, mode_info::Sum},
    },
};
use module::{Error, Result, codes, decode_strict};
use state::{StateError, StateRead};
use std::slice;
use types::{Address, bech32_address};

/// One required signer, as the transaction states it.
#[derive(Clone, Debug, PartialEq)]
pub struct Signer {
    /// Who.
    pub address: Address,
    /// Its key, if stated; it belongs to the address.
    pub key: Option<PublicKey>,
    /// Its sequence, as signed.
    pub sequence: u64,
    proof: Proof,
}

#[derive(Clone, Debug, PartialEq)]
enum Proof {
    Single {
        mode: SignMode,
        signature: Vec<u8>,
    },
    // Position of the key, mode, signature.
    Multi {
        parts: Vec<(usize, SignMode)>,
        signatures: Vec<Vec<u8>>,
    },
}

fn bad(why: impl std::fmt::Display) -> Error {
    Error::sdk(codes::TX_DECODE, format!("{why}: tx parse error"))
}

fn single_mode(info: &ModeInfo) -> Result<SignMode> {
    let Some(Sum::Single(single)) = &info.sum else {
        return Err(bad("mode info within a multisig is not single"));
    };
    SignMode::try_from(single.mode).map_err(|_| bad(format!("sign mode {}", single.mode)))
}

/// The positions set, most significant bit first (SDK CompactBitArray).
fn positions(bits: &CompactBitArray) -> Result<Vec<usize>> {
    let len = bits.elems.len();
    let count = match (len, bits.extra_bits_stored) {
        (0, _) => 0,
        (_, 0) => len * 8,
        (_, extra) if extra < 8 => (len - 1) * 8 + extra as usize,
        (_, extra) => return Err(bad(format!("bit array with {extra} extra bits"))),
    };
    Ok((0..count)
        .filter(|i| (bits.elems[i / 8] >> (7 - i % 8)) & 1 == 1)
        .collect())
}

impl Signer {
    pub(crate) fn new(
        address: Address,
        key: Option<PublicKey>,
        info: &SignerInfo,
        signature: &[u8],
    ) -> Result<Self> {
        let mode = info
            .mode_info
            .as_ref()
            .ok_or_else(|| bad("signer info without mode info"))?;
        let proof = match &mode.sum {
            Some(Sum::Single(_)) => Proof::Single {
                mode: single_mode(mode)?,
                signature: signature.to_vec(),
            },
            Some(Sum::Multi(multi)) => {
                let bits = multi
                    .bitarray
                    .as_ref()
                    .ok_or_else(|| bad("multisig without bit array"))?;
                let positions = positions(bits)?;
                let modes = multi
                    .mode_infos
                    .iter()
                    .map(single_mode)
                    .collect::<Result<Vec<_>>>()?;
                let signatures = decode_strict::<MultiSignature>("MultiSignature", signature)?.signatures;
                if modes.len() != positions.len() || signatures.len() != positions.len() {
                    let (m, s, p) = (modes.len(), signatures.len(), positions.len());
                    return Err(bad(format!("multisig with {p} bits, {m} modes, {s} signatures")));
                }
                Proof::Multi {
                    parts: positions.into_iter().zip(modes).collect(),
                    signatures,
                }
            }
            None => return Err(bad("empty mode info")),
        };
        Ok(Self {
            address,
            key,
            sequence: info.sequence,
            proof,
        })
    }
    /// The raw signatures.
    pub fn signatures(&self) -> &[Vec<u8>] {
        match &self.proof {
            Proof::Single { signature, .. } => slice::from_ref(signature),
            Proof::Multi { signatures, .. } => signatures,
        }
    }
}

/// Gas of a signer's signatures, by the key it states or, failing that, `key`. A key that is not known counts as a
/// Cosmos one: the transaction will fail anyway, or is simulated.
pub(crate) fn signature_gas(signer: &Signer, key: Option<&PublicKey>, params: &Params) -> u64 {
    let cost = params.sig_verify_cost_secp256k1;
    match (&signer.proof, signer.key.as_ref().or(key)) {
        (Proof::Multi { parts, .. }, Some(PublicKey::Multisig { keys, .. })) => parts
            .iter()
            .map(|(i, _)| keys.get(*i).and_then(|k| k.verify_gas(cost)).unwrap_or(cost))
            .fold(0, u64::saturating_add),
        (_, key) => key.and_then(|k| k.verify_gas(cost)).unwrap_or(cost),
    }
}

/// What signatures are checked against, beside state.
#[derive(Clone, Copy, Debug)]
pub struct VerifyAt<'a> {
    /// The Cosmos chain id.
    pub chain_id: &'a str,
    /// The chain's names.
    pub config: &'a types::ChainConfig,
    /// Whether it is a genesis transaction, signed for account number 0 (as [`Purpose::Genesis`] implies).
    pub genesis: bool,
}

/// Per signer: its key, or why it has not signed. A function of the transaction and of block-start state.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict(Vec<Result<Option<PublicKey>>>);

impl Verdict {
    pub(crate) fn key(&self, i: usize) -> Option<&PublicKey> {
        self.0
            .get(i)
            .and_then(|r| r.as_ref().ok())
            .and_then(Option::as_ref)
    }
    pub(crate) fn outcome(&self, i: usize) -> Result<Option<&PublicKey>> {
        match self.0.get(i) {
            Some(Ok(key)) => Ok(key.as_ref()),
            Some(Err(e)) => Err(e.clone()),
            None => Err(Error::sdk(
                codes::LOGIC,
                format!("signer {i} was not verified: internal logic error"),
            )),
        }
    }
    /// Whether all have signed.
    pub fn is_good(&self) -> bool {
        self.0.iter().all(Result::is_ok)
    }
    /// The first refusal, for CheckTx and ProcessProposal.
    pub fn first_error(&self) -> Option<&Error> {
        self.0.iter().find_map(|r| r.as_ref().err())
    }
}

/// Whether a public key signed bytes with a signature.
type Check<'a> = &'a mut dyn FnMut(&PublicKey, &[u8], &[u8]) -> bool;

/// Checks all signatures against numbers and keys in `base`, the state at block start. `check` is
/// [`verify_signature`](crate::verify_signature) or a cache before it. Fails only where state cannot be read.
pub fn verify(
    tx: &NativeTx,
    base: &dyn StateRead,
    at: VerifyAt<'_>,
    check: Check<'_>,
) -> Result<Verdict, StateError> {
    let mut outcomes = Vec::with_capacity(tx.signers.len());
    for signer in &tx.signers {
        outcomes.push(match verify_one(tx, signer, base, at, check) {
            Err(Error::State(e)) => return Err(e),
            outcome => outcome,
        });
    }
    Ok(Verdict(outcomes))
}

fn verify_one(
    tx: &NativeTx,
    signer: &Signer,
    base: &dyn StateRead,
    at: VerifyAt<'_>,
    check: Check<'_>,
) -> Result<Option<PublicKey>> {
    let who = || bech32_address(&at.config.bech32_prefix, &signer.address);
    let account = account(base, &signer.address)?.ok_or_else(|| unknown_account(&who()))?;
    let stored = account.pub_key.as_ref().map(PublicKey::from_any).transpose()?;
    let key = signer.key.clone().or(stored);
    if tx.purpose == Purpose::Simulate {
        return Ok(key);
    }
    let key = key.ok_or_else(|| {
        Error::sdk(
            codes::INVALID_PUBKEY,
            "pubkey on account is not set: invalid pubkey",
        )
    })?;
    let number = if at.genesis || tx.purpose == Purpose::Genesis {
        0
    } else {
        account.number
    };
    let mut covered = |key: &PublicKey, mode: SignMode, signature: &[u8]| -> Result<bool> {
        Ok(check(
            key,
            &sign_bytes(tx, signer, mode, at.chain_id, number)?,
            signature,
        ))
    };
    let good = match (&key, &signer.proof) {
        (PublicKey::Multisig { threshold, keys }, Proof::Multi { parts, signatures }) => {
            // One signature a key, in the keys' order: a bit cannot be set twice.
            let mut good = parts.len() >= *threshold as usize;
            for ((i, mode), signature) in parts.iter().zip(signatures) {
                let Some(key) = keys.get(*i) else {
                    return Err(bad(format!("multisig without key {i}")));
                };
                good = good && covered(key, *mode, signature)?;
            }
            good
        }
        (PublicKey::Multisig { .. }, _) | (_, Proof::Multi { .. }) => false,
        (key, Proof::Single { mode, signature }) => covered(key, *mode, signature)?,
    };
    if good {
        return Ok(Some(key));
    }
    let why = format!(
        "signature verification failed; please verify account number ({number}), sequence ({}) and chain-id ({}): unauthorized",
        signer.sequence, at.chain_id
    );
    Err(Error::sdk(codes::UNAUTHORIZED, why))
}

/// What `signer` signs in `mode`; error `sdk/37` for modes other than DIRECT and LEGACY_AMINO_JSON, and for messages
/// that have no amino form.
fn sign_bytes(
    tx: &NativeTx,
    signer: &Signer,
    mode: SignMode,
    chain_id: &str,
    number: u64,
) -> Result<Vec<u8>> {
    let refused = |what: String| Error::sdk(codes::NOT_SUPPORTED, format!("{what}: feature not supported"));
    match mode {
        SignMode::Direct => Ok(direct_sign_bytes(
            &tx.tx.body_bytes,
            &tx.tx.auth_info_bytes,
            chain_id,
            number,
        )),
        SignMode::LegacyAminoJson => {
            if !tx.tx.body.non_critical_extension_options.is_empty() {
                return Err(refused("amino JSON does not cover extension options".into()));
            }
            let none = |url: &str| refused(format!("{url} has no amino JSON form"));
            let messages = tx
                .messages
                .iter()
                .map(|m| m.amino_json().ok_or_else(|| none(m.type_url())));
            let messages = messages.collect::<Result<_>>()?;
            let fee = if tx.tx.fee.amount.is_empty() {
                &[]
            } else {
                slice::from_ref(&tx.fee)
            };
            let doc = amino::SignDoc {
                chain_id,
                account_number: number,
                sequence: signer.sequence,
                fee,
                gas_limit: tx.tx.fee.gas_limit,
                payer: &tx.tx.fee.payer,
                memo: &tx.tx.body.memo,
                timeout_height: tx.tx.body.timeout_height,
                messages,
            };
            Ok(doc.bytes())
        }
        other => Err(refused(format!("sign mode {}", other.as_str_name()))),
    }
}
