//! The messages in amino JSON: what a Ledger shows and signs (SDK x/staking/types/codec.go).
use crate::num;
use crate::validator::read_pubkey;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cosmrs::proto::cosmos::{
    base::v1beta1::Coin,
    staking::v1beta1::{
        Description, MsgBeginRedelegate, MsgCancelUnbondingDelegation, MsgCreateValidator, MsgDelegate,
        MsgEditValidator, MsgUndelegate,
    },
};
use serde_json::{Map, Value, json};

fn message(kind: &str, value: Value) -> Option<Value> {
    Some(json!({ "type": format!("cosmos-sdk/{kind}"), "value": value }))
}

/// The amount as read, so that leading zeros are gone as in the SDK. `None` where it is no number: such a message is
/// refused anyway.
fn coin(coin: Option<&Coin>) -> Option<Value> {
    let coin = coin?;
    Some(json!({ "amount": num::int(&coin.amount)?.to_string(), "denom": coin.denom }))
}

/// A decimal as people write it, with all its eighteen digits.
fn dec(text: &str) -> Option<Value> {
    Some(num::dec(text)?.to_string().into())
}

/// Empty fields are left out.
fn description(d: Option<&Description>) -> Option<Value> {
    let d = d?;
    let fields = [
        ("moniker", &d.moniker),
        ("identity", &d.identity),
        ("website", &d.website),
        ("security_contact", &d.security_contact),
        ("details", &d.details),
    ];
    let given = fields.into_iter().filter(|(_, text)| !text.is_empty());
    Some(
        given
            .map(|(name, text)| (name.to_owned(), text.as_str().into()))
            .collect::<Map<_, _>>()
            .into(),
    )
}

pub(super) fn delegate(m: &MsgDelegate) -> Option<Value> {
    let (delegator, validator) = (&m.delegator_address, &m.validator_address);
    let amount = coin(m.amount.as_ref())?;
    let value = json!({ "delegator_address": delegator, "validator_address": validator, "amount": amount });
    message("MsgDelegate", value)
}

pub(super) fn undelegate(m: &MsgUndelegate) -> Option<Value> {
    let (delegator, validator) = (&m.delegator_address, &m.validator_address);
    let amount = coin(m.amount.as_ref())?;
    let value = json!({ "delegator_address": delegator, "validator_address": validator, "amount": amount });
    message("MsgUndelegate", value)
}

pub(super) fn redelegate(m: &MsgBeginRedelegate) -> Option<Value> {
    let value = json!({
        "delegator_address": m.delegator_address,
        "validator_src_address": m.validator_src_address,
        "validator_dst_address": m.validator_dst_address,
        "amount": coin(m.amount.as_ref())?,
    });
    message("MsgBeginRedelegate", value)
}

pub(super) fn cancel(m: &MsgCancelUnbondingDelegation) -> Option<Value> {
    let value = json!({
        "delegator_address": m.delegator_address,
        "validator_address": m.validator_address,
        "amount": coin(m.amount.as_ref())?,
        "creation_height": m.creation_height.to_string(),
    });
    message("MsgCancelUnbondingDelegation", value)
}

#[allow(deprecated, reason = "older clients still state the delegator, and sign it")]
pub(super) fn create(m: &MsgCreateValidator) -> Option<Value> {
    let rates = m.commission.as_ref()?;
    let key = read_pubkey(m.pubkey.as_ref()?).ok()?;
    let mut value = json!({
        "description": description(m.description.as_ref())?,
        "commission": {
            "rate": dec(&rates.rate)?,
            "max_rate": dec(&rates.max_rate)?,
            "max_change_rate": dec(&rates.max_change_rate)?,
        },
        "min_self_delegation": num::int(&m.min_self_delegation)?.to_string(),
        "validator_address": m.validator_address,
        "pubkey": { "type": "tendermint/PubKeyEd25519", "value": STANDARD.encode(key) },
        "value": coin(m.value.as_ref())?,
    });
    if !m.delegator_address.is_empty() {
        value["delegator_address"] = m.delegator_address.as_str().into();
    }
    message("MsgCreateValidator", value)
}

pub(super) fn edit(m: &MsgEditValidator) -> Option<Value> {
    let mut value = json!({
        "description": description(m.description.as_ref())?,
        "validator_address": m.validator_address,
    });
    if !m.commission_rate.is_empty() {
        value["commission_rate"] = dec(&m.commission_rate)?;
    }
    if !m.min_self_delegation.is_empty() {
        value["min_self_delegation"] = num::int(&m.min_self_delegation)?.to_string().into();
    }
    message("MsgEditValidator", value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosmrs::proto::{
        Any,
        cosmos::{crypto::ed25519::PubKey, staking::v1beta1::CommissionRates},
    };
    use prost::Message as _;

    #[test]
    #[allow(deprecated, reason = "the field must be set to be empty")]
    fn a_validators_creation_reads_as_the_sdk_writes_it() {
        let key = PubKey { key: vec![7; 32] }.encode_to_vec();
        let m = MsgCreateValidator {
            description: Some(Description {
                moniker: "node".into(),
                ..Description::default()
            }),
            commission: Some(CommissionRates {
                rate: "100000000000000000".into(),
                max_rate: "200000000000000000".into(),
                max_change_rate: "10000000000000000".into(),
            }),
            min_self_delegation: "1".into(),
            delegator_address: String::new(),
            validator_address: "braidvaloper1x".into(),
            pubkey: Some(Any {
                type_url: "/cosmos.crypto.ed25519.PubKey".into(),
                value: key,
            }),
            value: Some(Coin {
                denom: "abraid".into(),
                amount: "5".into(),
            }),
        };
        let want = json!({ "type": "cosmos-sdk/MsgCreateValidator", "value": {
            "description": { "moniker": "node" },
            "commission": {
                "rate": "0.100000000000000000",
                "max_rate": "0.200000000000000000",
                "max_change_rate": "0.010000000000000000",
            },
            "min_self_delegation": "1",
            "validator_address": "braidvaloper1x",
            "pubkey": {
                "type": "tendermint/PubKeyEd25519",
                "value": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
            },
            "value": { "amount": "5", "denom": "abraid" },
        }});
        assert_eq!(create(&m), Some(want));
    }

    #[test]
    fn what_an_edit_leaves_alone_is_left_out() {
        let m = MsgEditValidator {
            description: Some(Description {
                details: "d".into(),
                ..Description::default()
            }),
            validator_address: "braidvaloper1x".into(),
            commission_rate: "50000000000000000".into(),
            min_self_delegation: String::new(),
        };
        let want = json!({ "type": "cosmos-sdk/MsgEditValidator", "value": {
            "description": { "details": "d" },
            "validator_address": "braidvaloper1x",
            "commission_rate": "0.050000000000000000",
        }});
        assert_eq!(edit(&m), Some(want));
    }
}
