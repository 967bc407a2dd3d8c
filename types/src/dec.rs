//! Decimals with eighteen digits after the point, as the SDK's `LegacyDec` rounds them.
use crate::{U256, U512};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

const ONE: u64 = 1_000_000_000_000_000_000;

/// A non-negative decimal: the stored integer is the value times 10^18.
///
/// Products and quotients go through 512 bits; a result beyond 256 bits is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dec(U256);

/// Why a text is not a decimal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid decimal: {0}")]
pub struct DecError(pub String);

fn narrow(v: U512) -> Option<U256> {
    let limbs = v.as_limbs();
    limbs[4..]
        .iter()
        .all(|l| *l == 0)
        .then(|| U256::from_limbs([limbs[0], limbs[1], limbs[2], limbs[3]]))
}

impl Dec {
    /// Zero.
    pub const ZERO: Self = Self(U256::ZERO);
    /// One.
    pub const ONE: Self = Self(U256::from_limbs([ONE, 0, 0, 0]));

    /// The decimal whose stored integer (value × 10^18) is `raw`: the form in protobuf.
    pub const fn from_raw(raw: U256) -> Self {
        Self(raw)
    }
    /// The stored integer: value × 10^18.
    pub const fn raw(self) -> U256 {
        self.0
    }
    /// A whole number.
    pub fn from_int(v: U256) -> Option<Self> {
        v.checked_mul(U256::from(ONE)).map(Self)
    }
    /// Whether it is zero.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
    /// Sum.
    pub fn checked_add(self, o: Self) -> Option<Self> {
        self.0.checked_add(o.0).map(Self)
    }
    /// Difference; `None` below zero.
    pub fn checked_sub(self, o: Self) -> Option<Self> {
        self.0.checked_sub(o.0).map(Self)
    }
    fn wide(self) -> U512 {
        U512::from(self.0)
    }
    /// Product, rounded half to even (`Mul`).
    #[allow(
        clippy::should_implement_trait,
        reason = "the SDK's name; a product may not fit, which an operator cannot say"
    )]
    pub fn mul(self, o: Self) -> Option<Self> {
        narrow(bankers(self.wide() * o.wide(), U512::from(ONE))).map(Self)
    }
    /// Product, rounded down (`MulTruncate`).
    pub fn mul_truncate(self, o: Self) -> Option<Self> {
        narrow(self.wide() * o.wide() / U512::from(ONE)).map(Self)
    }
    /// Product with a whole number (`MulInt`), exact.
    pub fn mul_int(self, v: U256) -> Option<Self> {
        self.0.checked_mul(v).map(Self)
    }
    /// Quotient, rounded half to even (`Quo`); `None` on division by zero.
    pub fn quo(self, o: Self) -> Option<Self> {
        if o.is_zero() {
            return None;
        }
        // The SDK multiplies by 10^36, divides (truncating), then rounds 18 digits away.
        let scaled = self
            .wide()
            .checked_mul(U512::from(ONE))?
            .checked_mul(U512::from(ONE))?
            / o.wide();
        narrow(bankers(scaled, U512::from(ONE))).map(Self)
    }
    /// Quotient, rounded down (`QuoTruncate`); `None` on division by zero.
    pub fn quo_truncate(self, o: Self) -> Option<Self> {
        if o.is_zero() {
            return None;
        }
        narrow(self.wide().checked_mul(U512::from(ONE))? / o.wide()).map(Self)
    }
    /// Quotient by a whole number (`QuoInt`), rounded down; `None` on division by zero.
    pub fn quo_int(self, v: U256) -> Option<Self> {
        self.0.checked_div(v).map(Self)
    }
    /// The whole part.
    pub fn truncate(self) -> U256 {
        self.0 / U256::from(ONE)
    }
    /// The nearest whole number, half to even (`RoundInt`).
    pub fn round(self) -> U256 {
        narrow(bankers(self.wide(), U512::from(ONE))).expect("a quotient fits")
    }
}

/// `v / by`, rounded half to even.
fn bankers(v: U512, by: U512) -> U512 {
    let (q, r) = v.div_rem(by);
    let twice = r << 1;
    if twice > by || (twice == by && q.bit(0)) {
        q + U512::from(1)
    } else {
        q
    }
}

impl fmt::Display for Dec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, frac) = self.0.div_rem(U256::from(ONE));
        write!(f, "{whole}.{:018}", frac.to::<u64>())
    }
}

impl std::str::FromStr for Dec {
    type Err = DecError;
    fn from_str(text: &str) -> Result<Self, DecError> {
        let bad = || DecError(text.into());
        let (whole, frac) = text.split_once('.').unwrap_or((text, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(frac) || frac.len() > 18 {
            return Err(bad());
        }
        if text.ends_with('.') || whole.len() > 78 {
            return Err(bad());
        }
        let raw = format!("{whole}{frac:0<18}");
        U256::from_str_radix(&raw, 10).map(Self).map_err(|_| bad())
    }
}

impl Serialize for Dec {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Dec {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(s: &str) -> Dec {
        s.parse().unwrap()
    }

    #[test]
    fn decimals_read_and_write() {
        assert_eq!(dec("1.5").to_string(), "1.500000000000000000");
        assert_eq!(dec("0.050000000000000000"), dec("0.05"));
        for bad in ["", ".5", "1.", "-1", "1e3", "0.0000000000000000001"] {
            assert!(bad.parse::<Dec>().is_err(), "{bad}");
        }
    }

    #[test]
    fn rounding_is_half_to_even() {
        assert_eq!(dec("2.5").round(), U256::from(2));
        assert_eq!(dec("3.5").round(), U256::from(4));
        assert_eq!(
            dec("1").quo(dec("3")).unwrap().to_string(),
            "0.333333333333333333"
        );
        assert_eq!(
            dec("2").quo(dec("3")).unwrap().to_string(),
            "0.666666666666666667"
        );
        assert_eq!(
            dec("2").quo_truncate(dec("3")).unwrap().to_string(),
            "0.666666666666666666"
        );
        assert_eq!(dec("1").quo(Dec::ZERO), None);
        let half_ulp = Dec::from_raw(U256::from(1)).mul(dec("0.5")).unwrap();
        assert!(half_ulp.is_zero());
        assert!(Dec::from_raw(U256::MAX).mul(dec("2")).is_none());
    }
}
