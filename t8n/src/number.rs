//! Numbers and words as geth's tools read them: hexadecimal or decimal text, padded or not, or JSON numbers.
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use types::{Address, B256, U256};

/// A number: read in any form, written as `0x` and the shortest hexadecimal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(pub(crate) U256);

impl std::str::FromStr for Number {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some("") => Ok(U256::ZERO),
            Some(digits) => U256::from_str_radix(digits, 16),
            None => U256::from_str_radix(text, 10),
        };
        number
            .map(Self)
            .map_err(|e| format!("{text:?} is no number: {e}"))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Plain(u64),
            Text(String),
        }
        match Form::deserialize(from)? {
            Form::Plain(number) => Ok(Self(U256::from(number))),
            Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{:#x}", self.0))
    }
}

/// Reads a number of at most 64 bits.
pub(crate) fn narrow<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let Number(wide) = Number::deserialize(from)?;
    u64::try_from(wide).map_err(|_| serde::de::Error::custom(format!("{wide}: want 64 bits")))
}

/// The same where it may be absent or `null`.
pub(crate) fn narrow_option<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let Some(Number(wide)) = Option::deserialize(from)? else {
        return Ok(None);
    };
    match u64::try_from(wide) {
        Ok(narrow) => Ok(Some(narrow)),
        Err(_) => Err(serde::de::Error::custom(format!("{wide}: want 64 bits"))),
    }
}

/// Reads an address with or without `0x`.
pub(crate) fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Address, D::Error> {
    let text = String::deserialize(from)?;
    text.parse()
        .map_err(|e| serde::de::Error::custom(format!("{text:?} is no address: {e}")))
}

/// A number as a 32-byte word.
pub(crate) fn word(number: Number) -> B256 {
    B256::from(number.0.to_be_bytes::<32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_in_every_form() {
        for (text, want) in [
            ("\"0x10\"", 16),
            ("\"0x0010\"", 16),
            ("\"16\"", 16),
            ("16", 16),
            ("\"0x\"", 0),
            ("\"\"", 0),
        ] {
            let Number(have) = serde_json::from_str(text).unwrap();
            assert_eq!(have, U256::from(want), "{text}");
        }
        for bad in ["\"0xg\"", "-1", "\"ten\"", "true"] {
            assert!(serde_json::from_str::<Number>(bad).is_err(), "{bad}");
        }
        assert_eq!(
            serde_json::to_string(&Number(U256::from(16))).unwrap(),
            "\"0x10\""
        );
    }
}
