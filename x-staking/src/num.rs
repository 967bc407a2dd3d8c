//! Numbers and times between Rust and protobuf.
use crate::errors;
use cosmrs::proto::Timestamp as ProtoTime;
use module::Result;
use types::{Dec, Timestamp, U256};

/// A non-negative integer as `cosmos.Int` writes it.
pub(crate) fn int(text: &str) -> Option<U256> {
    let digits = !text.is_empty() && text.len() <= 78 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| U256::from_str_radix(text, 10).ok())?
}

/// A non-negative `cosmos.Dec` of protobuf: the raw integer.
pub(crate) fn dec(text: &str) -> Option<Dec> {
    int(text).map(Dec::from_raw)
}

/// How protobuf writes a decimal.
pub(crate) fn raw(dec: Dec) -> String {
    dec.raw().to_string()
}

/// A moment for protobuf.
pub(crate) fn proto_time(t: Timestamp) -> ProtoTime {
    ProtoTime {
        seconds: t.seconds,
        nanos: i32::try_from(t.nanos).expect("below 10^9"),
    }
}

/// A moment from protobuf; an absent one is 1970 (Go's zero `Timestamp` message).
pub(crate) fn time(t: Option<&ProtoTime>) -> Option<Timestamp> {
    let Some(t) = t else {
        return Some(Timestamp::default());
    };
    let nanos = u32::try_from(t.nanos).ok().filter(|n| *n < 1_000_000_000)?;
    Some(Timestamp {
        seconds: t.seconds,
        nanos,
    })
}

/// A span of time, as protobuf's `Duration` has it; never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds beyond, 0 to 999,999,999.
    pub nanos: u32,
}

impl Span {
    /// The moment this long after `t`; saturates.
    pub fn after(self, t: Timestamp) -> Timestamp {
        let nanos = t.nanos + self.nanos;
        let carry = i64::from(nanos / 1_000_000_000);
        let seconds = t.seconds.saturating_add(self.seconds).saturating_add(carry);
        Timestamp {
            seconds,
            nanos: nanos % 1_000_000_000,
        }
    }
}

/// A result of share arithmetic, or the rejection of a sum nobody can hold.
pub(crate) fn fits<T>(value: Option<T>) -> Result<T> {
    value.ok_or_else(errors::overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_digits_are_numbers() {
        assert_eq!(int("0120"), Some(U256::from(120)));
        for bad in ["", "-1", "+1", "1.0", "0x1", " 1"] {
            assert_eq!(int(bad), None, "{bad}");
        }
        assert_eq!(int(&"9".repeat(78)), None);
        assert_eq!(dec("500000000000000000"), "0.5".parse().ok());
    }

    #[test]
    fn spans_carry_nanoseconds() {
        let t = Timestamp {
            seconds: 5,
            nanos: 600_000_000,
        };
        assert_eq!(
            Span {
                seconds: 1,
                nanos: 400_000_000
            }
            .after(t),
            Timestamp { seconds: 7, nanos: 0 }
        );
        assert_eq!(
            Span {
                seconds: i64::MAX,
                nanos: 0
            }
            .after(t)
            .seconds,
            i64::MAX
        );
    }
}
