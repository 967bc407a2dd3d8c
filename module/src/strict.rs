//! Read protobuf strictly: what is not encoded the one canonical way is refused.
use crate::{Error, Result, codes};
use cosmrs::proto::cosmos::base::v1beta1::Coin as ProtoCoin;
use types::{Coin, U256};

/// Reads `bytes` as a `T` if encoding that `T` again gives `bytes`: no unknown or repeated fields, no fields out of
/// order, no explicit defaults, no padded numbers (ADR-027, applied to every part of a transaction). Error `sdk/2`.
pub fn decode_strict<T: prost::Message + Default>(what: &str, bytes: &[u8]) -> Result<T> {
    let bad = |why: String| Error::sdk(codes::TX_DECODE, format!("{what}: {why}: tx parse error"));
    let value = T::decode(bytes).map_err(|e| bad(e.to_string()))?;
    // Compare lengths first: cheap, and it bounds the second encoding.
    if value.encoded_len() != bytes.len() || value.encode_to_vec() != bytes {
        return Err(bad("unknown fields or non-canonical encoding".into()));
    }
    Ok(value)
}

/// A coin out of protobuf. The denomination is not checked; error `sdk/10` where the amount is not an integer from 0
/// to 2^256 - 1.
pub fn from_proto_coin(coin: &ProtoCoin) -> Result<Coin> {
    let bad = || {
        Error::sdk(
            codes::INVALID_COINS,
            format!("{}{}: invalid coins", coin.amount, coin.denom),
        )
    };
    // 2^256 has 78 digits.
    if coin.amount.is_empty() || coin.amount.len() > 78 || !coin.amount.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let amount = U256::from_str_radix(&coin.amount, 10).map_err(|_| bad())?;
    Ok(Coin {
        denom: coin.denom.clone(),
        amount,
    })
}

/// Coins out of protobuf, in the order given.
pub fn from_proto_coins(coins: &[ProtoCoin]) -> Result<Vec<Coin>> {
    coins.iter().map(from_proto_coin).collect()
}

/// A coin for protobuf.
pub fn to_proto_coin(coin: &Coin) -> ProtoCoin {
    ProtoCoin {
        denom: coin.denom.clone(),
        amount: coin.amount.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    #[test]
    fn only_the_canonical_encoding_is_read() {
        let coin = ProtoCoin {
            denom: "abraid".into(),
            amount: "5".into(),
        };
        let good = coin.encode_to_vec();
        assert_eq!(decode_strict::<ProtoCoin>("coin", &good), Ok(coin));
        let unknown = [good.as_slice(), &[0x1a, 0]].concat();
        let twice = [good.as_slice(), good.as_slice()].concat();
        let cut = &good[..good.len() - 1];
        for bad in [unknown.as_slice(), &twice, cut, &[0x0a, 0]] {
            let err = decode_strict::<ProtoCoin>("coin", bad).unwrap_err();
            assert!(matches!(err, Error::Rejected { code: 2, .. }), "{err}");
        }
    }

    #[test]
    fn amounts_are_non_negative_integers_below_two_to_the_256() {
        let of = |amount: &str| {
            from_proto_coin(&ProtoCoin {
                denom: "a".into(),
                amount: amount.into(),
            })
        };
        assert_eq!(of(&U256::MAX.to_string()).unwrap().amount, U256::MAX);
        for bad in ["", "-1", "1.5", "0x1", &"9".repeat(78), &"1".repeat(79)] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
