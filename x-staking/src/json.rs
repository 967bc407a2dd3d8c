//! The genesis section as the SDK writes it: integers and decimals as text, durations as `1814400s`.
use crate::num::{Span, int};
use crate::{errors, msg};
use module::Result;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt::Display;
use std::str::FromStr;
use types::{Address, ChainConfig, Dec, Timestamp, U256};

/// An integer that JSON carries as text; plain numbers are read too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Num<T>(pub(crate) T);

impl<T: Display> Serialize for Num<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}
impl<'de, T: FromStr> Deserialize<'de> for Num<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = match serde_json::Value::deserialize(d)? {
            serde_json::Value::String(s) => s,
            serde_json::Value::Number(n) => n.to_string(),
            other => return Err(D::Error::custom(format!("want an integer, got {other}"))),
        };
        text.parse()
            .map(Self)
            .map_err(|_| D::Error::custom(format!("want an integer, got {text:?}")))
    }
}

/// An amount as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount(pub(crate) U256);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        int(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("invalid amount {text:?}")))
    }
}

/// A moment in RFC 3339, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0.rfc3339())
    }
}
impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let bad = || D::Error::custom(format!("invalid time {text:?}: want 2006-01-02T15:04:05Z"));
        parse_time(&text).map(Self).ok_or_else(bad)
    }
}

fn fraction(digits: &str) -> Option<u32> {
    let fine = digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit());
    fine.then(|| format!("{digits:0<9}").parse().ok())?
}

fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let (whole, frac) = text.split_once('.').unwrap_or((text, ""));
    let b = whole.as_bytes();
    let shape = b.len() == 19
        && b.iter().enumerate().all(|(i, c)| match i {
            4 | 7 => *c == b'-',
            10 => *c == b'T',
            13 | 16 => *c == b':',
            _ => c.is_ascii_digit(),
        });
    if !shape {
        return None;
    }
    let n = |r: std::ops::Range<usize>| whole[r].parse::<i64>().ok();
    let (y, m, d) = (n(0..4)?, n(5..7)?, n(8..10)?);
    let (h, mi, s) = (n(11..13)?, n(14..16)?, n(17..19)?);
    // Days since 1970 of a civil date: Howard Hinnant's algorithm (public domain).
    let year = if m <= 2 { y - 1 } else { y };
    let era = year.div_euclid(400);
    let yoe = year - era * 400;
    let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    let t = Timestamp {
        seconds: days * 86_400 + h * 3600 + mi * 60 + s,
        nanos: fraction(frac)?,
    };
    // Dates that are none, such as the 30th of February, read back differently.
    (t.sortable()[..19] == *whole).then_some(t)
}

/// A duration such as `1814400s` or `0.5s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Duration(pub(crate) Span);

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let Span { seconds, nanos } = self.0;
        if nanos == 0 {
            return s.collect_str(&format_args!("{seconds}s"));
        }
        let digits = format!("{nanos:09}");
        s.collect_str(&format_args!("{seconds}.{}s", digits.trim_end_matches('0')))
    }
}
impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let read = || {
            let (whole, frac) = text
                .strip_suffix('s')?
                .split_once('.')
                .unwrap_or((text.strip_suffix('s')?, ""));
            let digits = !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit());
            let seconds = digits.then(|| whole.parse().ok())??;
            // Protobuf's own bound: 10,000 years.
            (seconds <= 315_576_000_000).then_some(Span {
                seconds,
                nanos: fraction(frac)?,
            })
        };
        read()
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("invalid duration {text:?}: want such as 1814400s")))
    }
}

/// The section.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    pub(crate) params: Params,
    #[serde(default)]
    pub(crate) last_total_power: Num<i64>,
    #[serde(default)]
    pub(crate) last_validator_powers: Vec<LastPower>,
    #[serde(default)]
    pub(crate) validators: Vec<Validator>,
    #[serde(default)]
    pub(crate) delegations: Vec<Delegation>,
    #[serde(default)]
    pub(crate) unbonding_delegations: Vec<Unbonding>,
    #[serde(default)]
    pub(crate) redelegations: Vec<Redelegation>,
    #[serde(default)]
    pub(crate) exported: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    pub(crate) unbonding_time: Duration,
    pub(crate) max_validators: u32,
    pub(crate) max_entries: u32,
    pub(crate) historical_entries: u32,
    pub(crate) bond_denom: String,
    pub(crate) min_commission_rate: Dec,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LastPower {
    pub(crate) address: String,
    pub(crate) power: Num<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PubKey {
    #[serde(rename = "@type")]
    pub(crate) kind: String,
    pub(crate) key: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    pub(crate) moniker: String,
    #[serde(default)]
    pub(crate) identity: String,
    #[serde(default)]
    pub(crate) website: String,
    #[serde(default)]
    pub(crate) security_contact: String,
    #[serde(default)]
    pub(crate) details: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rates {
    pub(crate) rate: Dec,
    pub(crate) max_rate: Dec,
    pub(crate) max_change_rate: Dec,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Commission {
    pub(crate) commission_rates: Rates,
    pub(crate) update_time: Moment,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Validator {
    pub(crate) operator_address: String,
    pub(crate) consensus_pubkey: PubKey,
    pub(crate) jailed: bool,
    pub(crate) status: String,
    pub(crate) tokens: Amount,
    pub(crate) delegator_shares: Dec,
    pub(crate) description: Description,
    pub(crate) unbonding_height: Num<i64>,
    pub(crate) unbonding_time: Moment,
    pub(crate) commission: Commission,
    pub(crate) min_self_delegation: Amount,
    #[serde(default)]
    pub(crate) unbonding_on_hold_ref_count: Num<i64>,
    #[serde(default)]
    pub(crate) unbonding_ids: Vec<Num<u64>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delegation {
    pub(crate) delegator_address: String,
    pub(crate) validator_address: String,
    pub(crate) shares: Dec,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unbonding {
    pub(crate) delegator_address: String,
    pub(crate) validator_address: String,
    pub(crate) entries: Vec<UnbondingEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnbondingEntry {
    pub(crate) creation_height: Num<i64>,
    pub(crate) completion_time: Moment,
    pub(crate) initial_balance: Amount,
    pub(crate) balance: Amount,
    #[serde(default)]
    pub(crate) unbonding_id: Num<u64>,
    #[serde(default)]
    pub(crate) unbonding_on_hold_ref_count: Num<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redelegation {
    pub(crate) delegator_address: String,
    pub(crate) validator_src_address: String,
    pub(crate) validator_dst_address: String,
    pub(crate) entries: Vec<RedelegationEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedelegationEntry {
    pub(crate) creation_height: Num<i64>,
    pub(crate) completion_time: Moment,
    pub(crate) initial_balance: Amount,
    pub(crate) shares_dst: Dec,
    #[serde(default)]
    pub(crate) unbonding_id: Num<u64>,
    #[serde(default)]
    pub(crate) unbonding_on_hold_ref_count: Num<i64>,
}

/// An operator address of the section.
pub(crate) fn operator(config: &ChainConfig, text: &str) -> Result<Address> {
    msg::operator(config, text).map_err(errors::genesis)
}

/// A delegator address of the section.
pub(crate) fn delegator(config: &ChainConfig, text: &str) -> Result<Address> {
    msg::delegator(config, text).map_err(errors::genesis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_read_back() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2024-02-29T23:59:59.5Z",
            "2026-11-23T01:02:03.000000001Z",
        ] {
            assert_eq!(parse_time(text).unwrap().rfc3339(), text);
        }
        for bad in [
            "2023-02-29T00:00:00Z",
            "2023-01-01 00:00:00Z",
            "2023-01-01T00:00:00",
            "2023-01-01T24:00:00Z",
            "x",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
        for text in ["\"1814400s\"", "\"0.5s\""] {
            assert_eq!(
                serde_json::to_string(&serde_json::from_str::<Duration>(text).unwrap()).unwrap(),
                text
            );
        }
        for bad in [
            "\"5\"",
            "\"-5s\"",
            "\"s\"",
            "\".5s\"",
            "5",
            "\"999999999999999s\"",
        ] {
            assert!(serde_json::from_str::<Duration>(bad).is_err(), "{bad}");
        }
    }
}
