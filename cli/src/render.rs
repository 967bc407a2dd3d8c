//! Protobuf as the SDK's JSON shows it: snake_case, integers as strings, bytes in base64, decimals with a point.
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cosmrs::proto::Any;
use cosmrs::proto::Timestamp;
use cosmrs::proto::cosmos::auth::v1beta1::{BaseAccount, ModuleAccount};
use cosmrs::proto::cosmos::base::query::v1beta1::PageResponse;
use cosmrs::proto::cosmos::base::v1beta1::Coin;
use cosmrs::proto::cosmos::crypto::multisig::LegacyAminoPubKey;
use cosmrs::proto::cosmos::crypto::secp256k1::PubKey;
use prost::Message;
use serde_json::{Value, json};
use tendermint_proto::google::protobuf::Duration;
use types::{Dec, U256};

/// Bytes in base64.
pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// `{"denom", "amount"}`.
pub(crate) fn coin(coin: &Coin) -> Value {
    json!({ "denom": coin.denom, "amount": coin.amount })
}

/// A list of coins.
pub(crate) fn coins(list: &[Coin]) -> Value {
    list.iter().map(coin).collect()
}

/// A `LegacyDec`, which travels as an integer of 10^-18ths. What is no integer is shown as it came.
pub(crate) fn dec(raw: &str) -> String {
    match U256::from_str_radix(raw, 10) {
        Ok(v) if !raw.is_empty() => Dec::from_raw(v).to_string(),
        _ => raw.into(),
    }
}

/// RFC 3339.
pub(crate) fn time(t: Option<&Timestamp>) -> String {
    let Some(t) = t else { return String::new() };
    let nanos = u32::try_from(t.nanos).unwrap_or(0);
    types::Timestamp {
        seconds: t.seconds,
        nanos,
    }
    .rfc3339()
}

/// `1814400s`.
pub(crate) fn duration(d: Option<&Duration>) -> String {
    let Some(d) = d else { return String::new() };
    match d.nanos {
        0 => format!("{}s", d.seconds),
        nanos => format!("{}.{nanos:09}s", d.seconds),
    }
}

/// `{"next_key", "total"}`.
pub(crate) fn page(page: Option<&PageResponse>) -> Value {
    let Some(page) = page else {
        return json!({ "next_key": null, "total": "0" });
    };
    let next = (!page.next_key.is_empty()).then(|| base64(&page.next_key));
    json!({ "next_key": next, "total": page.total.to_string() })
}

/// A public key: `{"@type", "key"}`.
pub(crate) fn public_key(any: &Any) -> Value {
    if any.type_url == "/cosmos.crypto.multisig.LegacyAminoPubKey" {
        return or_raw(any, |m: LegacyAminoPubKey| {
            let keys: Vec<Value> = m.public_keys.iter().map(public_key).collect();
            json!({ "@type": any.type_url, "threshold": m.threshold, "public_keys": keys })
        });
    }
    // All single keys are one field of bytes.
    or_raw(
        any,
        |k: PubKey| json!({ "@type": any.type_url, "key": base64(&k.key) }),
    )
}

/// An account of the auth module.
pub(crate) fn account(any: &Any) -> Value {
    match any.type_url.as_str() {
        "/cosmos.auth.v1beta1.BaseAccount" => {
            or_raw(any, |a: BaseAccount| base_account(Some(&any.type_url), &a))
        }
        "/cosmos.auth.v1beta1.ModuleAccount" => or_raw(any, |a: ModuleAccount| {
            json!({
                "@type": any.type_url,
                "base_account": a.base_account.map(|b| base_account(None, &b)),
                "name": a.name,
                "permissions": a.permissions,
            })
        }),
        _ => raw(any),
    }
}

fn base_account(kind: Option<&str>, a: &BaseAccount) -> Value {
    let mut shown = json!({
        "address": a.address,
        "pub_key": a.pub_key.as_ref().map(public_key),
        "account_number": a.account_number.to_string(),
        "sequence": a.sequence.to_string(),
    });
    if let Some(kind) = kind {
        shown["@type"] = kind.into();
    }
    shown
}

/// What this program has no words for: its type and its bytes.
pub(crate) fn raw(any: &Any) -> Value {
    json!({ "@type": any.type_url, "value": base64(&any.value) })
}

/// `show` of the decoded message, or the bytes where they do not decode.
pub(crate) fn or_raw<T: Message + Default>(any: &Any, show: impl FnOnce(T) -> Value) -> Value {
    T::decode(any.value.as_slice()).map_or_else(|_| raw(any), show)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_get_their_point() {
        assert_eq!(dec("100000000000000000"), "0.100000000000000000");
        assert_eq!(dec("1500000000000000000"), "1.500000000000000000");
        assert_eq!(dec("0"), "0.000000000000000000");
        assert_eq!(dec(""), "");
        assert_eq!(dec("odd"), "odd");
    }

    #[test]
    fn times_durations_and_pages_have_the_sdks_form() {
        assert_eq!(
            time(Some(&Timestamp {
                seconds: 0,
                nanos: 5_000_000
            })),
            "1970-01-01T00:00:00.005Z"
        );
        assert_eq!(
            duration(Some(&Duration {
                seconds: 1_814_400,
                nanos: 0
            })),
            "1814400s"
        );
        assert_eq!(page(None), json!({ "next_key": null, "total": "0" }));
        let more = PageResponse {
            next_key: vec![1],
            total: 3,
        };
        assert_eq!(page(Some(&more)), json!({ "next_key": "AQ==", "total": "3" }));
    }

    #[test]
    fn accounts_have_the_sdks_fields_and_odd_bytes_stay_bytes() {
        let base = BaseAccount {
            address: "braid1x".into(),
            pub_key: None,
            account_number: 7,
            sequence: 3,
        };
        let any = Any {
            type_url: "/cosmos.auth.v1beta1.BaseAccount".into(),
            value: base.encode_to_vec(),
        };
        let want = json!({
            "@type": "/cosmos.auth.v1beta1.BaseAccount", "address": "braid1x", "pub_key": null,
            "account_number": "7", "sequence": "3",
        });
        assert_eq!(account(&any), want);
        let broken = Any {
            value: vec![0xff],
            ..any
        };
        assert_eq!(account(&broken)["value"], "/w==");
    }
}
