//! The SDK's `TxResponse`: what every `tx` command and `query tx` print.
use crate::client::Broadcast;
use crate::messages;
use crate::render::{base64, coins, public_key, raw};
use anyhow::Result;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cosmrs::proto::Any;
use cosmrs::proto::cosmos::base::abci::v1beta1::TxMsgData;
use cosmrs::proto::cosmos::tx::signing::v1beta1::SignMode;
use cosmrs::proto::cosmos::tx::v1beta1::{AuthInfo, ModeInfo, TxBody, TxRaw, mode_info::Sum};
use prost::Message as _;
use serde_json::{Value, json};
use tendermint_rpc::endpoint::tx;
use x_evm::{MSG_TYPE, MsgEthereumTx, MsgEthereumTxResponse, RESPONSE_TYPE};

/// What is known once the node has taken or refused a transaction.
pub(crate) fn of_broadcast(b: &Broadcast) -> Value {
    json!({
        "height": "0", "txhash": b.hash, "codespace": b.codespace, "code": b.code, "data": "", "raw_log": b.log,
        "logs": [], "info": "", "gas_wanted": "0", "gas_used": "0", "tx": null, "timestamp": "", "events": [],
    })
}

/// An included transaction; `timestamp` is its block's.
pub(crate) fn of_included(tx: &tx::Response, timestamp: &str) -> Value {
    let r = &tx.tx_result;
    // tendermint-rs keeps the text of this field as it came: base64.
    let data = STANDARD.decode(&r.data).unwrap_or_else(|_| r.data.to_vec());
    let events: Vec<Value> = r.events.iter().map(event).collect();
    let mut shown = json!({
        "height": tx.height.to_string(), "txhash": tx.hash.to_string(), "codespace": r.codespace,
        "code": u32::from(r.code), "data": hex::encode_upper(&data), "raw_log": r.log, "logs": [],
        "info": r.info, "gas_wanted": r.gas_wanted.to_string(), "gas_used": r.gas_used.to_string(),
        "tx": tx_json(&tx.tx), "timestamp": timestamp, "events": events,
    });
    if let Some(hash) = eth_hash(&tx.tx) {
        shown["eth_hash"] = hash.into();
    }
    if let Some(error) = vm_error(&data) {
        shown["vm_error"] = error.into();
    }
    shown
}

fn event(e: &tendermint::abci::Event) -> Value {
    let attribute = |a: &tendermint::abci::EventAttribute| {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        json!({ "key": text(a.key_bytes()), "value": text(a.value_bytes()), "index": a.index() })
    };
    json!({ "type": e.kind, "attributes": e.attributes.iter().map(attribute).collect::<Vec<_>>() })
}

/// `SIGN_MODE_DIRECT` and the like.
fn mode(info: &ModeInfo) -> Value {
    match &info.sum {
        Some(Sum::Single(s)) => {
            let name =
                SignMode::try_from(s.mode).map_or_else(|_| s.mode.to_string(), |m| m.as_str_name().into());
            json!({ "single": { "mode": name } })
        }
        Some(Sum::Multi(m)) => {
            let bits = m
                .bitarray
                .as_ref()
                .map(|b| json!({ "extra_bits_stored": b.extra_bits_stored, "elems": base64(&b.elems) }));
            json!({ "multi": { "bitarray": bits, "mode_infos": m.mode_infos.iter().map(mode).collect::<Vec<_>>() } })
        }
        None => Value::Null,
    }
}

/// A transaction's bytes as `/cosmos.tx.v1beta1.Tx`; null where they are not one.
pub(crate) fn tx_json(bytes: &[u8]) -> Value {
    let parts = TxRaw::decode(bytes).ok().and_then(|raw| {
        let body = TxBody::decode(raw.body_bytes.as_slice()).ok()?;
        let auth = AuthInfo::decode(raw.auth_info_bytes.as_slice()).ok()?;
        Some((body, auth, raw.signatures))
    });
    let Some((body, auth, signatures)) = parts else {
        return Value::Null;
    };
    let mut shown = unsigned_json(&body, &auth, &signatures);
    shown["@type"] = "/cosmos.tx.v1beta1.Tx".into();
    shown
}

/// The parts of a transaction, as `--generate-only` prints them.
pub(crate) fn unsigned_json(body: &TxBody, auth: &AuthInfo, signatures: &[Vec<u8>]) -> Value {
    let list = |anys: &[Any]| anys.iter().map(raw).collect::<Vec<_>>();
    let infos: Vec<Value> = auth
        .signer_infos
        .iter()
        .map(|s| {
            json!({
                "public_key": s.public_key.as_ref().map(public_key),
                "mode_info": s.mode_info.as_ref().map(mode),
                "sequence": s.sequence.to_string(),
            })
        })
        .collect();
    let fee = auth.fee.as_ref().map(|f| {
        json!({ "amount": coins(&f.amount), "gas_limit": f.gas_limit.to_string(), "payer": f.payer, "granter": f.granter })
    });
    json!({
        "body": {
            "messages": body.messages.iter().map(messages::to_json).collect::<Vec<_>>(),
            "memo": body.memo,
            "timeout_height": body.timeout_height.to_string(),
            "extension_options": list(&body.extension_options),
            "non_critical_extension_options": list(&body.non_critical_extension_options),
        },
        "auth_info": { "signer_infos": infos, "fee": fee, "tip": null },
        "signatures": signatures.iter().map(base64).collect::<Vec<_>>(),
    })
}

/// The Ethereum hash of a wrapped transaction.
pub(crate) fn eth_hash(bytes: &[u8]) -> Option<String> {
    let raw = TxRaw::decode(bytes).ok()?;
    let body = TxBody::decode(raw.body_bytes.as_slice()).ok()?;
    let message = body.messages.iter().find(|m| m.type_url == MSG_TYPE)?;
    let message = MsgEthereumTx::decode(message.value.as_slice()).ok()?;
    Some(types::keccak256(&message.raw).to_string())
}

/// Why the EVM failed, in a result whose code is 0 all the same.
pub(crate) fn vm_error(data: &[u8]) -> Option<String> {
    let data = TxMsgData::decode(data).ok()?;
    let response = data.msg_responses.iter().find(|r| r.type_url == RESPONSE_TYPE)?;
    let response = MsgEthereumTxResponse::decode(response.value.as_slice()).ok()?;
    (!response.vm_error.is_empty()).then_some(response.vm_error)
}

/// Whether the transaction did what it was sent for.
pub(crate) fn check(shown: &Value) -> Result<()> {
    let code = shown["code"].as_u64().unwrap_or(0);
    if code != 0 {
        let (space, log) = (
            shown["codespace"].as_str().unwrap_or(""),
            shown["raw_log"].as_str().unwrap_or(""),
        );
        anyhow::bail!(
            "transaction {} failed with code {code} ({space}): {log}",
            shown["txhash"].as_str().unwrap_or("")
        );
    }
    if let Some(error) = shown["vm_error"].as_str() {
        anyhow::bail!(
            "transaction {} failed in the EVM: {error}",
            shown["eth_hash"].as_str().unwrap_or("")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_broadcast_has_the_sdks_fields_and_is_an_error() {
        let b = Broadcast {
            hash: "AB".into(),
            code: 5,
            codespace: "sdk".into(),
            log: "insufficient funds".into(),
        };
        let shown = of_broadcast(&b);
        let names: Vec<_> = shown.as_object().unwrap().keys().map(String::as_str).collect();
        let mut want = [
            "height",
            "txhash",
            "codespace",
            "code",
            "data",
            "raw_log",
            "logs",
            "info",
            "gas_wanted",
            "gas_used",
            "tx",
            "timestamp",
            "events",
        ];
        want.sort_unstable();
        assert_eq!(names, want);
        let error = check(&shown).unwrap_err().to_string();
        assert!(error.contains("code 5 (sdk): insufficient funds"), "{error}");
        assert!(check(&of_broadcast(&Broadcast { code: 0, ..b })).is_ok());
    }

    #[test]
    fn an_evm_failure_under_code_0_is_an_error() {
        let response = MsgEthereumTxResponse {
            vm_error: "execution reverted".into(),
            ..Default::default()
        };
        let any = Any {
            type_url: RESPONSE_TYPE.into(),
            value: response.encode_to_vec(),
        };
        let data = TxMsgData {
            msg_responses: vec![any],
            ..Default::default()
        }
        .encode_to_vec();
        assert_eq!(vm_error(&data).as_deref(), Some("execution reverted"));
        assert!(check(&json!({ "code": 0, "vm_error": "execution reverted" })).is_err());
        assert_eq!(vm_error(b"junk"), None);
    }

    #[test]
    fn a_result_from_the_wire_is_understood() {
        let response = MsgEthereumTxResponse {
            vm_error: "out of gas".into(),
            ..Default::default()
        };
        let any = Any {
            type_url: RESPONSE_TYPE.into(),
            value: response.encode_to_vec(),
        };
        let data = TxMsgData {
            msg_responses: vec![any],
            ..Default::default()
        }
        .encode_to_vec();
        let wire = json!({
            "hash": "AB".repeat(32), "height": "3", "index": 0, "tx": base64([0xff]),
            "tx_result": {
                "code": 0, "data": base64(&data), "log": "", "info": "", "gas_wanted": "7", "gas_used": "5", "codespace": "",
                "events": [{ "type": "t", "attributes": [{ "key": "k", "value": "v", "index": true }] }],
            },
        });
        let tx: tx::Response = serde_json::from_value(wire).unwrap();
        let shown = of_included(&tx, "then");
        assert_eq!(shown["data"], hex::encode_upper(&data));
        assert_eq!(shown["vm_error"], "out of gas");
        assert_eq!(shown["events"][0]["attributes"][0]["value"], "v");
        assert_eq!(
            (shown["gas_wanted"].as_str(), shown["gas_used"].as_str()),
            (Some("7"), Some("5"))
        );
        assert!(check(&shown).is_err());
    }

    #[test]
    fn bytes_that_are_no_transaction_show_as_null() {
        assert_eq!(tx_json(b"\xff\xff"), Value::Null);
        assert_eq!(eth_hash(b"\xff\xff"), None);
    }
}
