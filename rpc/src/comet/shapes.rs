//! JSON as CometBFT 0.38 writes it: 64-bit integers as strings, hashes in upper-case hex, bytes in base64.
use super::merkle::validator_address;
use super::node::SoloValidator;
use app::{QueryResult, StoredBlock, TxResult, ValidatorUpdate};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use types::Event;

/// Upper-case hex.
pub(crate) fn hex_upper(bytes: impl AsRef<[u8]>) -> String {
    hex::encode_upper(bytes)
}

/// Base64.
pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Base64, or null where there is nothing: how jsonpb writes a nil slice.
fn base64_or_null(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        Value::Null
    } else {
        base64(bytes).into()
    }
}

/// ABCI events.
pub(crate) fn events(events: &[Event]) -> Value {
    let attribute = |(key, value): &(String, String)| json!({"key": key, "value": value, "index": true});
    let event = |e: &Event| {
        let attributes: Vec<Value> = e.attributes.iter().map(attribute).collect();
        json!({"type": e.kind, "attributes": attributes})
    };
    events.iter().map(event).collect()
}

/// `ExecTxResult` and `ResponseCheckTx`.
pub(crate) fn tx_result(r: &TxResult) -> Value {
    json!({
        "code": r.code,
        "data": base64_or_null(&r.data),
        "log": r.log,
        "info": "",
        "gas_wanted": r.gas_wanted.to_string(),
        "gas_used": r.gas_used.to_string(),
        "events": events(&r.events),
        "codespace": r.codespace,
    })
}

/// `ResponseQuery`.
pub(crate) fn query_result(r: &QueryResult) -> Value {
    let ops = r
        .proof
        .iter()
        .map(|op| json!({"type": op.kind, "key": base64(&op.key), "data": base64(&op.data)}));
    json!({
        "code": r.code,
        "log": r.log,
        "info": "",
        "index": "0",
        "key": base64_or_null(&r.key),
        "value": base64_or_null(&r.value),
        "proofOps": if r.proof.is_empty() { Value::Null } else { json!({"ops": ops.collect::<Vec<_>>()}) },
        "height": r.height.to_string(),
        "codespace": r.codespace,
    })
}

/// A block's id. The solo engine has no parts: one, with the block's hash.
pub(crate) fn block_id(block: &StoredBlock) -> Value {
    let hash = hex_upper(block.comet_hash);
    json!({"hash": hash, "parts": {"total": 1, "hash": hash}})
}

/// The id of no block: before the first.
pub(crate) fn no_block_id() -> Value {
    json!({"hash": "", "parts": {"total": 0, "hash": ""}})
}

/// An ed25519 key.
pub(crate) fn pub_key(key: &[u8; 32]) -> Value {
    json!({"type": "tendermint/PubKeyEd25519", "value": base64(key)})
}

/// A validator of a set.
pub(crate) fn validator(v: &SoloValidator) -> Value {
    json!({
        "address": hex_upper(validator_address(&v.pub_key)),
        "pub_key": pub_key(&v.pub_key),
        "voting_power": v.power.to_string(),
        "proposer_priority": "0",
    })
}

/// A change to the validator set.
pub(crate) fn validator_update(u: &ValidatorUpdate) -> Value {
    let key = json!({"Sum": {"type": "tendermint.crypto.PublicKey_Ed25519", "value": {"ed25519": base64(&u.pub_key)}}});
    // Go leaves a power of zero out.
    if u.power == 0 {
        json!({"pub_key": key})
    } else {
        json!({"pub_key": key, "power": u.power.to_string()})
    }
}
