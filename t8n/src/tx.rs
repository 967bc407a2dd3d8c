//! Transactions as JSON (signed, or with the key to sign them), as an RLP list, or raw.
use crate::Error;
use crate::fork::Fork;
use crate::number::Number;
use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{
    SignableTransaction, Signed, Transaction as _, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
    Typed2718,
};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_eips::eip2930::AccessList;
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Bytes, Signature, TxKind};
use alloy_rlp::Header;
use k256::ecdsa::SigningKey;
use serde::Deserialize;
use types::{Address, B256, U256};
use x_evm::{Envelope, EvmTx, SpecId};

/// A transaction of the input, or why it is none: then it is rejected in its place.
pub type Decoded = Result<Envelope, String>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    #[serde(rename = "type")]
    kind: Option<Number>,
    chain_id: Option<Number>,
    nonce: Number,
    gas_price: Option<Number>,
    max_priority_fee_per_gas: Option<Number>,
    max_fee_per_gas: Option<Number>,
    gas: Number,
    to: Option<String>,
    value: Number,
    input: Bytes,
    access_list: Option<AccessList>,
    blob_versioned_hashes: Option<Vec<B256>>,
    max_fee_per_blob_gas: Option<Number>,
    authorization_list: Option<Vec<JsonAuthorization>>,
    v: Option<Number>,
    r: Option<Number>,
    s: Option<Number>,
    secret_key: Option<B256>,
    protected: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonAuthorization {
    chain_id: Number,
    address: Address,
    nonce: Number,
    y_parity: Option<Number>,
    v: Option<Number>,
    r: Number,
    s: Number,
}

fn bits64(what: &str, of: Number) -> Result<u64, String> {
    u64::try_from(of.0).map_err(|_| format!("{what} {}: want 64 bits", of.0))
}
fn bits128(what: &str, of: Option<Number>) -> Result<u128, String> {
    let Number(wide) = of.ok_or_else(|| format!("missing required field '{what}' in transaction"))?;
    u128::try_from(wide).map_err(|_| format!("{what} {wide}: want 128 bits"))
}

/// Reads a list of transactions in geth's JSON. One without signature is signed with its `secretKey` for `chain_id`,
/// or, with `"protected": false`, for any chain.
pub fn from_json(list: serde_json::Value, chain_id: u64) -> Result<Vec<Decoded>, Error> {
    let list: Option<Vec<Json>> =
        serde_json::from_value(list).map_err(|e| Error::Json(format!("failed unmarshalling txs: {e}")))?;
    let mut out = Vec::new();
    for (index, json) in list.into_iter().flatten().enumerate() {
        let tx = envelope(json, chain_id).map_err(|e| Error::Json(format!("tx {index}: {e}")))?;
        out.push(Ok(tx));
    }
    Ok(out)
}

fn envelope(json: Json, chain: u64) -> Result<Envelope, String> {
    let signer = Signer::of(&json, chain)?;
    let nonce = bits64("nonce", json.nonce)?;
    let gas_limit = bits64("gas", json.gas)?;
    let chain_id = json.chain_id.map_or(Ok(chain), |id| bits64("chainId", id))?;
    let to = match json.to.as_deref() {
        None | Some("") => TxKind::Create,
        Some(text) => TxKind::Call(text.parse().map_err(|e| format!("to {text:?}: {e}"))?),
    };
    let callee = || {
        to.to()
            .copied()
            .ok_or("missing required field 'to' in transaction")
    };
    let (value, input) = (json.value.0, json.input);
    let access_list = AccessList(json.access_list.into_iter().flat_map(|list| list.0).collect());
    let cap = bits128("maxFeePerGas", json.max_fee_per_gas);
    let tip = bits128("maxPriorityFeePerGas", json.max_priority_fee_per_gas);
    let price = bits128("gasPrice", json.gas_price);
    match json.kind.map_or(U256::ZERO, |k| k.0).saturating_to::<u64>() {
        0 => {
            let chain_id = signer.legacy_chain()?;
            let tx = TxLegacy {
                chain_id,
                nonce,
                gas_price: price?,
                gas_limit,
                to,
                value,
                input,
            };
            signer.sign(tx)
        }
        1 => signer.sign(TxEip2930 {
            chain_id,
            nonce,
            gas_price: price?,
            gas_limit,
            to,
            value,
            access_list,
            input,
        }),
        2 => signer.sign(TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: cap?,
            max_priority_fee_per_gas: tip?,
            to,
            value,
            access_list,
            input,
        }),
        3 => signer.sign(TxEip4844 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: cap?,
            max_priority_fee_per_gas: tip?,
            to: callee()?,
            value,
            access_list,
            blob_versioned_hashes: json.blob_versioned_hashes.into_iter().flatten().collect(),
            max_fee_per_blob_gas: bits128("maxFeePerBlobGas", json.max_fee_per_blob_gas)?,
            input,
        }),
        4 => {
            let list = json.authorization_list.into_iter().flatten();
            let authorization_list = list.map(authorization).collect::<Result<_, _>>()?;
            signer.sign(TxEip7702 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: cap?,
                max_priority_fee_per_gas: tip?,
                to: callee()?,
                value,
                access_list,
                authorization_list,
                input,
            })
        }
        other => Err(format!("transaction type not supported: {other}")),
    }
}

fn authorization(json: JsonAuthorization) -> Result<SignedAuthorization, String> {
    let parity = json
        .y_parity
        .or(json.v)
        .ok_or("missing required field 'yParity' in authorization")?;
    let parity = u8::try_from(parity.0).map_err(|_| format!("yParity {}: want 8 bits", parity.0))?;
    let inner = Authorization {
        chain_id: json.chain_id.0,
        address: json.address,
        nonce: bits64("nonce", json.nonce)?,
    };
    Ok(SignedAuthorization::new_unchecked(
        inner, parity, json.r.0, json.s.0,
    ))
}

/// Where the signature comes from.
enum Signer {
    Done {
        v: U256,
        r: U256,
        s: U256,
    },
    Key {
        key: Box<SigningKey>,
        chain: Option<u64>,
    },
}

impl Signer {
    fn of(json: &Json, chain: u64) -> Result<Self, String> {
        let zero = |of: Option<Number>| of.map_or(U256::ZERO, |n| n.0);
        let (v, r, s) = (zero(json.v), zero(json.r), zero(json.s));
        match json.secret_key {
            Some(secret) if v.is_zero() && r.is_zero() && s.is_zero() => {
                let key = SigningKey::from_slice(secret.as_slice()).map_err(|e| format!("secretKey: {e}"))?;
                let chain = json.protected.unwrap_or(true).then_some(chain);
                Ok(Self::Key {
                    key: Box::new(key),
                    chain,
                })
            }
            _ => Ok(Self::Done { v, r, s }),
        }
    }
    /// The chain a legacy transaction is for, by its `v` (EIP-155).
    fn legacy_chain(&self) -> Result<Option<u64>, String> {
        match self {
            Self::Key { chain, .. } => Ok(*chain),
            Self::Done { v, .. } => match v.saturating_to::<u64>() {
                27 | 28 => Ok(None),
                v @ 35.. => Ok(Some((v - 35) / 2)),
                _ => Err(format!("invalid transaction v, r, s values: v {v}")),
            },
        }
    }
    fn sign<T: SignableTransaction<Signature>>(&self, tx: T) -> Result<Envelope, String>
    where
        Envelope: From<Signed<T>>,
    {
        let signature = match self {
            Self::Done { v, r, s } => {
                let odd = match v.saturating_to::<u64>() {
                    v @ 0..=1 => v == 1,
                    v => v % 2 == 0,
                };
                Signature::new(*r, *s, odd)
            }
            Self::Key { key, .. } => {
                let hash = tx.signature_hash();
                let (signature, id) = key
                    .sign_prehash_recoverable(hash.as_slice())
                    .map_err(|e| format!("failed to sign tx: {e}"))?;
                let (r, s) = signature.split_bytes();
                Signature::new(U256::from_be_slice(&r), U256::from_be_slice(&s), id.is_y_odd())
            }
        };
        Ok(Envelope::from(Signed::new_unhashed(tx, signature)))
    }
}

/// Reads a transaction in its EIP-2718 encoding.
pub fn from_raw(raw: &[u8]) -> Decoded {
    Envelope::decode_2718_exact(raw).map_err(|e| format!("rlp: {e}"))
}

/// Reads a block body: an RLP list of transactions, typed ones as strings.
pub fn from_list(rlp: &[u8]) -> Result<Vec<Decoded>, Error> {
    let bad = |e: alloy_rlp::Error| Error::Rlp(format!("list of transactions: {e}"));
    let mut rest = rlp;
    let list = Header::decode(&mut rest).map_err(bad)?;
    if !list.list || list.payload_length != rest.len() {
        return Err(Error::Rlp(format!(
            "list of transactions: {} bytes are not one list",
            rlp.len()
        )));
    }
    let mut out = Vec::new();
    while !rest.is_empty() {
        let whole = rest;
        let item = Header::decode(&mut rest).map_err(bad)?;
        let Some((payload, after)) = rest.split_at_checked(item.payload_length) else {
            return Err(bad(alloy_rlp::Error::InputTooShort));
        };
        let raw = if item.list {
            &whole[..whole.len() - after.len()]
        } else {
            payload
        };
        out.push(from_raw(raw));
        rest = after;
    }
    Ok(out)
}

/// The RLP list of `txs`, as [`from_list`] reads it.
pub fn body<'a>(txs: impl Iterator<Item = &'a EvmTx>) -> Bytes {
    let mut payload = Vec::new();
    for tx in txs {
        tx.envelope.network_encode(&mut payload);
    }
    let mut out = Vec::new();
    Header {
        list: true,
        payload_length: payload.len(),
    }
    .encode(&mut out);
    out.extend_from_slice(&payload);
    out.into()
}

/// The transaction with its sender, or why the rules of `fork` know no sender, in geth's words (`core/types`
/// `transaction_signing.go`).
pub(crate) fn checked(envelope: Envelope, fork: &Fork, chain_id: u64) -> Result<EvmTx, String> {
    let since = match envelope.ty() {
        1 => SpecId::BERLIN,
        2 => SpecId::LONDON,
        3 => SpecId::CANCUN,
        4 => SpecId::PRAGUE,
        _ => SpecId::FRONTIER,
    };
    if !fork.has(since) {
        return Err("transaction type not supported".into());
    }
    match envelope.chain_id() {
        Some(_) if envelope.is_legacy() && !fork.has(SpecId::SPURIOUS_DRAGON) => {
            return Err("invalid transaction v, r, s values".into());
        }
        Some(have) if have != chain_id => {
            return Err(format!(
                "invalid chain id for signer: have {have} want {chain_id}"
            ));
        }
        _ => {}
    }
    let sender = if fork.has(SpecId::HOMESTEAD) {
        envelope.recover_signer()
    } else {
        envelope.recover_signer_unchecked()
    };
    let sender = sender.map_err(|_| "invalid transaction v, r, s values")?;
    Ok(EvmTx::new(envelope, sender))
}
