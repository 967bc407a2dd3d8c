//! Twenty bytes, spelled as 0x-hex to Ethereum tools and as bech32 to Cosmos tools.
use bech32::{Bech32, Hrp};

/// An account's address. Both spellings name the same account.
pub type Address = alloy_primitives::Address;

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not 0x-hex and not bech32.
    #[error("invalid address {0:?}: want 0x followed by 40 hex digits, or bech32")]
    Malformed(String),
    /// Bech32 of another chain, or of another kind (operator, consensus).
    #[error("invalid address {text:?}: prefix {have:?}, want {want:?}")]
    Prefix {
        /// The address as given.
        text: String,
        /// Its prefix.
        have: String,
        /// The chain's prefix.
        want: String,
    },
    /// Not twenty bytes.
    #[error("invalid address {text:?}: {len} bytes, want 20")]
    Length {
        /// The address as given.
        text: String,
        /// The bytes it holds.
        len: usize,
    },
}

/// Writes `bytes` in bech32 under the human-readable part `prefix`.
///
/// # Panics
/// Where `prefix` is not a valid human-readable part: prefixes are checked when genesis is read.
pub fn bech32_encode(prefix: &str, bytes: &[u8]) -> String {
    let hrp = Hrp::parse(prefix).expect("the chain's prefixes are checked at genesis");
    bech32::encode::<Bech32>(hrp, bytes).expect("at most 64 bytes are encoded")
}

/// Writes an account address in bech32.
pub fn bech32_address(prefix: &str, address: &Address) -> String {
    bech32_encode(prefix, address.as_slice())
}

/// Reads bech32 of any length under exactly `prefix`.
pub fn bech32_decode(prefix: &str, text: &str) -> Result<Vec<u8>, AddressError> {
    let (hrp, bytes) = bech32::decode(text).map_err(|_| AddressError::Malformed(text.into()))?;
    if hrp.as_str() != prefix {
        return Err(AddressError::Prefix {
            text: text.into(),
            have: hrp.as_str().into(),
            want: prefix.into(),
        });
    }
    Ok(bytes)
}

/// Reads an account address in either spelling; bech32 must carry `prefix`.
pub fn parse_address(prefix: &str, text: &str) -> Result<Address, AddressError> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return format!("0x{digits}")
            .parse()
            .map_err(|_| AddressError::Malformed(text.into()));
    }
    let bytes = bech32_decode(prefix, text)?;
    Address::try_from(bytes.as_slice()).map_err(|_| AddressError::Length {
        text: text.into(),
        len: bytes.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_name_one_account() {
        let a: Address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".parse().unwrap();
        let b = bech32_address("braid", &a);
        assert!(b.starts_with("braid1"));
        assert_eq!(parse_address("braid", &b).unwrap(), a);
        assert_eq!(parse_address("braid", &a.to_string()).unwrap(), a);
    }

    #[test]
    fn a_foreign_prefix_is_named() {
        let text = bech32_address("cosmos", &Address::ZERO);
        let err = parse_address("braid", &text).unwrap_err();
        assert!(
            matches!(err, AddressError::Prefix { ref have, .. } if have == "cosmos"),
            "{err}"
        );
        assert!(parse_address("braid", "0x12").is_err());
        assert!(parse_address("braid", "").is_err());
        assert!(parse_address("braid", &bech32_encode("braid", &[1; 32])).is_err());
    }
}
