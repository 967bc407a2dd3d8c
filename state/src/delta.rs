//! Amounts as the bank stores them, and blind additions to them.
use crate::{Key, StateError, Value};
use types::U256;

/// A signed change to an amount. Commutes with other deltas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Whether it takes away.
    pub negative: bool,
    /// How much.
    pub amount: U256,
}

impl Delta {
    /// Adds `amount`.
    pub const fn plus(amount: U256) -> Self {
        Self {
            negative: false,
            amount,
        }
    }
    /// Takes `amount` away.
    pub const fn minus(amount: U256) -> Self {
        Self {
            negative: true,
            amount,
        }
    }
    /// Both changes, one after the other; `None` beyond 256 bits.
    pub fn then(self, next: Self) -> Option<Self> {
        if self.negative == next.negative {
            let amount = self.amount.checked_add(next.amount)?;
            return Some(Self {
                negative: self.negative,
                amount,
            });
        }
        let (big, small) = if self.amount >= next.amount {
            (self, next)
        } else {
            (next, self)
        };
        Some(Self {
            negative: big.negative,
            amount: big.amount - small.amount,
        })
    }
    /// `amount` after this change; `None` below zero or beyond 256 bits.
    pub fn apply(self, amount: U256) -> Option<U256> {
        if self.negative {
            amount.checked_sub(self.amount)
        } else {
            amount.checked_add(self.amount)
        }
    }
}

/// Writes an amount in the SDK's layout: ASCII decimal; zero is stored as absence.
pub fn encode_amount(amount: U256) -> Option<Value> {
    (!amount.is_zero()).then(|| Value::from(amount.to_string()))
}

/// Reads an amount; an absent one is zero.
pub fn decode_amount(key: &Key, value: Option<&Value>) -> Result<U256, StateError> {
    let Some(value) = value else { return Ok(U256::ZERO) };
    let corrupt = || StateError::Corrupt {
        key: key.clone(),
        why: "not a decimal amount".into(),
    };
    if value.is_empty() || value.len() > 78 || !value.iter().all(u8::is_ascii_digit) {
        return Err(corrupt());
    }
    // Most amounts fit 19 digits chunks of a u64; parse by chunks.
    let mut amount = U256::ZERO;
    for chunk in value.chunks(19) {
        let mut part = 0u64;
        for digit in chunk {
            part = part * 10 + u64::from(digit - b'0');
        }
        let scale = U256::from(10u64.pow(u32::try_from(chunk.len()).expect("at most 19")));
        amount = amount
            .checked_mul(scale)
            .and_then(|a| a.checked_add(U256::from(part)))
            .ok_or_else(corrupt)?;
    }
    Ok(amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreId;

    #[test]
    fn amounts_read_back() {
        let key = Key::new(StoreId::new("bank"), &[]);
        let u = |v: u64| U256::from(v);
        for v in [
            u(1),
            u(10),
            u(u64::MAX),
            u(u64::MAX) * u(u64::MAX),
            U256::MAX,
            u(10).pow(u(38)),
        ] {
            assert_eq!(decode_amount(&key, encode_amount(v).as_ref()), Ok(v));
        }
        assert_eq!(encode_amount(U256::ZERO), None);
        for bad in ["", "-1", "1.0", "a", &"9".repeat(78), &"1".repeat(79)] {
            assert!(
                decode_amount(&key, Some(&Value::from(bad.to_owned()))).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn deltas_commute() {
        let (a, b) = (Delta::plus(U256::from(5)), Delta::minus(U256::from(7)));
        assert_eq!(a.then(b), b.then(a));
        assert_eq!(a.then(b), Some(Delta::minus(U256::from(2))));
        assert_eq!(a.then(b).unwrap().apply(U256::from(1)), None);
        assert_eq!(Delta::plus(U256::MAX).then(a), None);
    }
}
