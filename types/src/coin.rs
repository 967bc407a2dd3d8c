//! Amounts of named coins, as the Cosmos SDK writes them: `12abraid`.
use crate::U256;
use std::fmt;

/// An amount of one denomination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Coin {
    /// What is counted.
    pub denom: String,
    /// How much, in the smallest unit.
    pub amount: U256,
}

/// Why a text is not coins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoinError {
    /// Not `[a-zA-Z][a-zA-Z0-9/:._-]{2,127}`.
    #[error("invalid denom: {0}")]
    Denom(String),
    /// Not a non-negative integer below 2^256.
    #[error("invalid amount: {0}")]
    Amount(String),
    /// Denominations must ascend, without repeats.
    #[error("denominations not sorted or duplicated: {0}")]
    Order(String),
}

impl Coin {
    /// `amount` of `denom`.
    pub fn new(amount: U256, denom: impl Into<String>) -> Self {
        Self {
            denom: denom.into(),
            amount,
        }
    }
}

impl fmt::Display for Coin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.amount, self.denom)
    }
}

impl std::str::FromStr for Coin {
    type Err = CoinError;
    fn from_str(text: &str) -> Result<Self, CoinError> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, denom) = text.split_at(split);
        if digits.is_empty() || digits.len() > 78 {
            return Err(CoinError::Amount(text.into()));
        }
        let amount = U256::from_str_radix(digits, 10).map_err(|_| CoinError::Amount(text.into()))?;
        validate_denom(denom)?;
        Ok(Self {
            denom: denom.into(),
            amount,
        })
    }
}

/// Checks `[a-zA-Z][a-zA-Z0-9/:._-]{2,127}` (SDK types/coin.go).
pub fn validate_denom(denom: &str) -> Result<(), CoinError> {
    let bytes = denom.as_bytes();
    let head = bytes.first().is_some_and(u8::is_ascii_alphabetic);
    let body = bytes
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || b"/:._-".contains(b));
    if head && body && (3..=128).contains(&bytes.len()) {
        Ok(())
    } else {
        Err(CoinError::Denom(denom.into()))
    }
}

/// Reads a comma-separated list, sorted by denomination on return. An empty text is no coins.
pub fn parse_coins(text: &str) -> Result<Vec<Coin>, CoinError> {
    let mut coins = Vec::new();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        coins.push(part.parse::<Coin>()?);
    }
    coins.sort();
    if let Some(w) = coins.windows(2).find(|w| w[0].denom == w[1].denom) {
        return Err(CoinError::Order(w[0].denom.clone()));
    }
    Ok(coins)
}

/// Writes coins as the SDK's events do: comma-separated.
pub fn format_coins(coins: &[Coin]) -> String {
    coins
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coins_read_and_write() {
        let c: Coin = "12abraid".parse().unwrap();
        assert_eq!(c, Coin::new(U256::from(12), "abraid"));
        assert_eq!(c.to_string(), "12abraid");
        for bad in ["", "abraid", "12", "-1abraid", "1.5abraid", "1ab", "1a b"] {
            assert!(bad.parse::<Coin>().is_err(), "{bad}");
        }
        assert_eq!(
            format_coins(&parse_coins("2stake,1atom").unwrap()),
            "1atom,2stake"
        );
        assert!(parse_coins("1atom,2atom").is_err());
    }
}
