//! The messages this program knows: as the SDK's JSON, and as amino JSON for `--sign-mode amino-json`.
use crate::render::{coin, coins, dec, or_raw, public_key, raw};
use cosmrs::proto::Any;
use cosmrs::proto::cosmos::bank::v1beta1::{MsgMultiSend, MsgSend};
use cosmrs::proto::cosmos::crypto::ed25519::PubKey;
use cosmrs::proto::cosmos::staking::v1beta1::{Description, MsgCreateValidator, MsgDelegate, MsgUndelegate};
use prost::{Message, Name};
use serde_json::{Map, Value, json};
use x_evm::{MSG_TYPE, MsgEthereumTx};

/// A message in an `Any`, under its protobuf name.
pub(crate) fn any<M: Name>(message: &M) -> Any {
    Any {
        type_url: format!("/{}", M::full_name()),
        value: message.encode_to_vec(),
    }
}

/// A message as a transaction shows it.
pub(crate) fn to_json(any: &Any) -> Value {
    let mut shown = match any.type_url.as_str() {
        "/cosmos.bank.v1beta1.MsgSend" => or_raw(any, send),
        "/cosmos.bank.v1beta1.MsgMultiSend" => or_raw(any, multi_send),
        "/cosmos.staking.v1beta1.MsgDelegate" => or_raw(any, delegate),
        "/cosmos.staking.v1beta1.MsgUndelegate" => or_raw(any, undelegate),
        "/cosmos.staking.v1beta1.MsgCreateValidator" => or_raw(any, create_validator),
        MSG_TYPE => or_raw(
            any,
            |m: MsgEthereumTx| json!({ "from": format!("0x{}", hex::encode(&m.from)), "raw": format!("0x{}", hex::encode(&m.raw)) }),
        ),
        _ => raw(any),
    };
    shown["@type"] = any.type_url.clone().into();
    shown
}

fn send(m: MsgSend) -> Value {
    json!({ "from_address": m.from_address, "to_address": m.to_address, "amount": coins(&m.amount) })
}

fn multi_send(m: MsgMultiSend) -> Value {
    let inputs: Vec<_> = m
        .inputs
        .iter()
        .map(|i| json!({ "address": i.address, "coins": coins(&i.coins) }))
        .collect();
    let outputs: Vec<_> = m
        .outputs
        .iter()
        .map(|o| json!({ "address": o.address, "coins": coins(&o.coins) }))
        .collect();
    json!({ "inputs": inputs, "outputs": outputs })
}

fn delegate(m: MsgDelegate) -> Value {
    stake(&m.delegator_address, &m.validator_address, m.amount.as_ref())
}

fn undelegate(m: MsgUndelegate) -> Value {
    stake(&m.delegator_address, &m.validator_address, m.amount.as_ref())
}

fn stake(
    delegator: &str,
    validator: &str,
    amount: Option<&cosmrs::proto::cosmos::base::v1beta1::Coin>,
) -> Value {
    json!({ "delegator_address": delegator, "validator_address": validator, "amount": amount.map(coin) })
}

/// A validator's description.
pub(crate) fn description(d: &Description) -> Value {
    json!({
        "moniker": d.moniker, "identity": d.identity, "website": d.website,
        "security_contact": d.security_contact, "details": d.details,
    })
}

fn create_validator(m: MsgCreateValidator) -> Value {
    json!({
        "description": m.description.as_ref().map(description),
        "commission": m.commission.as_ref().map(rates),
        "min_self_delegation": m.min_self_delegation,
        "delegator_address": deprecated_delegator(&m),
        "validator_address": m.validator_address,
        "pubkey": m.pubkey.as_ref().map(public_key),
        "value": m.value.as_ref().map(coin),
    })
}

fn rates(c: &cosmrs::proto::cosmos::staking::v1beta1::CommissionRates) -> Value {
    json!({ "rate": dec(&c.rate), "max_rate": dec(&c.max_rate), "max_change_rate": dec(&c.max_change_rate) })
}

#[allow(deprecated, reason = "the SDK still shows the field")]
fn deprecated_delegator(m: &MsgCreateValidator) -> &str {
    &m.delegator_address
}

/// A message as amino JSON has it, `{"type", "value"}`; `None` for those that have none.
pub(crate) fn to_amino(any: &Any) -> Option<Value> {
    let bytes = any.value.as_slice();
    let (name, value) = match any.type_url.as_str() {
        "/cosmos.bank.v1beta1.MsgSend" => ("MsgSend", send(MsgSend::decode(bytes).ok()?)),
        "/cosmos.bank.v1beta1.MsgMultiSend" => {
            ("MsgMultiSend", multi_send(MsgMultiSend::decode(bytes).ok()?))
        }
        "/cosmos.staking.v1beta1.MsgDelegate" => ("MsgDelegate", delegate(MsgDelegate::decode(bytes).ok()?)),
        "/cosmos.staking.v1beta1.MsgUndelegate" => {
            ("MsgUndelegate", undelegate(MsgUndelegate::decode(bytes).ok()?))
        }
        "/cosmos.staking.v1beta1.MsgCreateValidator" => (
            "MsgCreateValidator",
            amino_create_validator(MsgCreateValidator::decode(bytes).ok()?)?,
        ),
        _ => return None,
    };
    Some(json!({ "type": format!("cosmos-sdk/{name}"), "value": value }))
}

/// Amino leaves empty texts out, and names keys its own way.
fn amino_create_validator(m: MsgCreateValidator) -> Option<Value> {
    let key = m
        .pubkey
        .as_ref()
        .filter(|k| k.type_url == "/cosmos.crypto.ed25519.PubKey")?;
    let key = PubKey::decode(key.value.as_slice()).ok()?.key;
    let mut value = create_validator(m);
    value["pubkey"] = json!({ "type": "tendermint/PubKeyEd25519", "value": crate::render::base64(key) });
    drop_empty(value.as_object_mut()?);
    drop_empty(value["description"].as_object_mut()?);
    Some(value)
}

fn drop_empty(map: &mut Map<String, Value>) {
    map.retain(|_, v| v.as_str() != Some(""));
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosmrs::proto::cosmos::base::v1beta1::Coin;
    use cosmrs::proto::cosmos::staking::v1beta1::CommissionRates;

    fn one() -> Coin {
        Coin {
            denom: "abraid".into(),
            amount: "1".into(),
        }
    }

    #[test]
    fn a_send_shows_as_the_sdk_shows_it() {
        let message = MsgSend {
            from_address: "a".into(),
            to_address: "b".into(),
            amount: vec![one()],
        };
        let wrapped = any(&message);
        let body = json!({ "from_address": "a", "to_address": "b", "amount": [{ "denom": "abraid", "amount": "1" }] });
        let mut want = body.clone();
        want["@type"] = "/cosmos.bank.v1beta1.MsgSend".into();
        assert_eq!(to_json(&wrapped), want);
        assert_eq!(
            to_amino(&wrapped),
            Some(json!({ "type": "cosmos-sdk/MsgSend", "value": body }))
        );
    }

    #[test]
    #[allow(deprecated, reason = "the field exists on the wire")]
    fn amino_leaves_empty_texts_of_a_validator_out() {
        let message = MsgCreateValidator {
            description: Some(Description {
                moniker: "m".into(),
                ..Description::default()
            }),
            commission: Some(CommissionRates {
                rate: "100000000000000000".into(),
                max_rate: "200000000000000000".into(),
                max_change_rate: "10000000000000000".into(),
            }),
            min_self_delegation: "1".into(),
            delegator_address: String::new(),
            validator_address: "v".into(),
            pubkey: Some(any(&PubKey { key: vec![7; 32] })),
            value: Some(one()),
        };
        let amino = to_amino(&any(&message)).unwrap();
        assert_eq!(amino["value"]["description"], json!({ "moniker": "m" }));
        assert_eq!(amino["value"]["commission"]["rate"], "0.100000000000000000");
        assert_eq!(amino["value"]["pubkey"]["type"], "tendermint/PubKeyEd25519");
        assert!(amino["value"].get("delegator_address").is_none());
        assert_eq!(to_json(&any(&message))["delegator_address"], "");
    }

    #[test]
    fn an_unknown_message_keeps_its_bytes() {
        let odd = Any {
            type_url: "/x.Y".into(),
            value: vec![1],
        };
        assert_eq!(to_json(&odd), json!({ "@type": "/x.Y", "value": "AQ==" }));
        assert_eq!(to_amino(&odd), None);
    }
}
