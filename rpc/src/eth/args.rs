//! Positional parameters, read strictly: what is refused is named.
use super::error::{RpcResult, invalid};
use alloy_primitives::hex::FromHex;
use jsonrpsee::types::Params;
use serde_json::Value;
use types::{Address, B256, Bytes, U256};

/// A request's parameters.
#[derive(Debug)]
pub(crate) struct Args(Vec<Value>);

/// A block as a request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockId {
    /// The newest. `safe` and `finalized` are the same: a committed block is final.
    Latest,
    /// The newest, and what waits.
    Pending,
    /// Genesis.
    Earliest,
    /// By number.
    Number(u64),
    /// By Ethereum or CometBFT hash.
    Hash(B256),
}

/// Values longer than this are cut where an error names them.
const NAMED_MAX: usize = 80;

fn name(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(NAMED_MAX) {
        None => text,
        Some((cut, _)) => format!("{}…", &text[..cut]),
    }
}

impl Args {
    /// Takes an array of at most `max` values; nothing is an empty array.
    pub(crate) fn new(params: &Params<'_>, max: usize) -> RpcResult<Self> {
        let values: Vec<Value> = match params.as_str() {
            None => Vec::new(),
            Some(text) if text.trim_start().starts_with('[') => {
                serde_json::from_str(text).map_err(|e| invalid(format!("invalid params: {e}")))?
            }
            Some(_) => return Err(invalid("non-array args")),
        };
        if values.len() > max {
            return Err(invalid(format!("too many arguments, want at most {max}")));
        }
        Ok(Self(values))
    }
    /// The value at `i`, unless absent or null.
    pub(crate) fn get(&self, i: usize) -> Option<&Value> {
        self.0.get(i).filter(|v| !v.is_null())
    }
    fn need(&self, i: usize) -> RpcResult<&Value> {
        self.get(i)
            .ok_or_else(|| invalid(format!("missing value for required argument {i}")))
    }
    fn wrong(&self, i: usize, want: &str) -> jsonrpsee::types::ErrorObjectOwned {
        let have = self.0.get(i).map_or_else(|| "nothing".into(), name);
        invalid(format!("invalid argument {i}: {have}: want {want}"))
    }
    fn text(&self, i: usize, want: &str) -> RpcResult<&str> {
        self.need(i)?.as_str().ok_or_else(|| self.wrong(i, want))
    }
    /// 20 bytes.
    pub(crate) fn address(&self, i: usize) -> RpcResult<Address> {
        let want = "an address of 0x and 40 hex digits";
        fixed(self.text(i, want)?)
            .map(Address::new)
            .ok_or_else(|| self.wrong(i, want))
    }
    /// 32 bytes.
    pub(crate) fn hash(&self, i: usize) -> RpcResult<B256> {
        let want = "a hash of 0x and 64 hex digits";
        fixed(self.text(i, want)?)
            .map(B256::new)
            .ok_or_else(|| self.wrong(i, want))
    }
    /// Bytes of any length.
    pub(crate) fn bytes(&self, i: usize) -> RpcResult<Bytes> {
        let want = "bytes as 0x and an even number of hex digits";
        let text = self.text(i, want)?;
        let digits = text.strip_prefix("0x").ok_or_else(|| self.wrong(i, want))?;
        Ok(hex::decode(digits).map_err(|_| self.wrong(i, want))?.into())
    }
    /// A number as Ethereum writes them: `0x0`, `0x1f`, without leading zeros.
    pub(crate) fn quantity(&self, i: usize) -> RpcResult<u64> {
        let want = "a number as 0x and hex digits without leading zeros, at most 64 bits";
        quantity(self.text(i, want)?).ok_or_else(|| self.wrong(i, want))
    }
    /// A number in hex or as a JSON number (`eth_feeHistory`).
    pub(crate) fn count(&self, i: usize) -> RpcResult<u64> {
        let value = self.need(i)?;
        value
            .as_u64()
            .or_else(|| quantity(value.as_str()?))
            .ok_or_else(|| self.wrong(i, "a count"))
    }
    /// A storage slot: hex of up to 32 bytes, leading zeros or not (geth `decodeHash`).
    pub(crate) fn slot(&self, i: usize) -> RpcResult<U256> {
        let want = "a storage slot of 0x and at most 64 hex digits";
        let text = self.text(i, want)?;
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() > 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) || text.is_empty() {
            return Err(self.wrong(i, want));
        }
        if digits.is_empty() {
            return Ok(U256::ZERO);
        }
        U256::from_str_radix(digits, 16).map_err(|_| self.wrong(i, want))
    }
    /// A flag; absent is `false`.
    pub(crate) fn flag(&self, i: usize) -> RpcResult<bool> {
        match self.get(i) {
            None => Ok(false),
            Some(v) => v.as_bool().ok_or_else(|| self.wrong(i, "true or false")),
        }
    }
    /// A tag, a number, a hash, or EIP-1898's object; absent is the newest.
    pub(crate) fn block(&self, i: usize) -> RpcResult<BlockId> {
        let Some(value) = self.get(i) else {
            return Ok(BlockId::Latest);
        };
        block_id(value).ok_or_else(|| {
            self.wrong(
                i,
                "a block: latest, pending, earliest, safe, finalized, a number in hex, or {blockHash}",
            )
        })
    }
    /// A tag or a number.
    pub(crate) fn block_number(&self, i: usize) -> RpcResult<BlockId> {
        self.need(i)?;
        match self.block(i)? {
            BlockId::Hash(_) => Err(self.wrong(i, "a block number in hex, or a tag")),
            id => Ok(id),
        }
    }
    /// Any object that serde knows.
    pub(crate) fn object<T: serde::de::DeserializeOwned>(&self, i: usize) -> RpcResult<T> {
        let value = self.need(i)?.clone();
        serde_json::from_value(value).map_err(|e| invalid(format!("invalid argument {i}: {e}")))
    }
    /// Any object that serde knows, or nothing.
    pub(crate) fn object_opt<T: serde::de::DeserializeOwned>(&self, i: usize) -> RpcResult<Option<T>> {
        self.get(i).map(|_| self.object(i)).transpose()
    }
}

fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    // FromHex also takes bare digits; Ethereum's clients do not.
    text.starts_with("0x")
        .then(|| <[u8; N]>::from_hex(text).ok())
        .flatten()
}

/// Reads a quantity: no sign, no leading zeros, at most 64 bits.
pub(crate) fn quantity(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit()) && (digits == "0" || !digits.starts_with('0'));
    plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// Reads a block as requests name it.
pub(crate) fn block_id(value: &Value) -> Option<BlockId> {
    match value {
        Value::String(text) => match text.as_str() {
            "latest" | "safe" | "finalized" => Some(BlockId::Latest),
            "pending" => Some(BlockId::Pending),
            "earliest" => Some(BlockId::Earliest),
            hash if hash.len() == 66 => fixed(hash).map(|h| BlockId::Hash(B256::new(h))),
            number => quantity(number).map(BlockId::Number),
        },
        // EIP-1898. `requireCanonical` changes nothing: there are no forks.
        Value::Object(fields) => match (fields.get("blockHash"), fields.get("blockNumber")) {
            (Some(hash), None) => fixed(hash.as_str()?).map(|h| BlockId::Hash(B256::new(h))),
            (None, Some(number)) => block_id(number).filter(|id| !matches!(id, BlockId::Hash(_))),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn args(v: Value) -> Args {
        Args::new(&Params::new(Some(&v.to_string())), 4).unwrap()
    }

    #[test]
    fn blocks_are_named_in_every_form_geth_takes() {
        let hash = format!("0x{}", "ab".repeat(32));
        let by_hash = Some(BlockId::Hash(B256::repeat_byte(0xab)));
        for (value, want) in [
            (json!("latest"), Some(BlockId::Latest)),
            (json!("safe"), Some(BlockId::Latest)),
            (json!("pending"), Some(BlockId::Pending)),
            (json!("0x10"), Some(BlockId::Number(16))),
            (json!(hash), by_hash),
            (json!({"blockHash": hash, "requireCanonical": true}), by_hash),
            (json!({"blockNumber": "0x0"}), Some(BlockId::Number(0))),
            (json!({"blockNumber": "0x0", "blockHash": hash}), None),
            (json!("0x01"), None),
            (json!("16"), None),
            (json!(16), None),
            (json!("0x1ffffffffffffffff"), None),
            (json!({}), None),
        ] {
            assert_eq!(block_id(&value), want, "{value}");
        }
    }

    #[test]
    fn what_is_refused_is_named() {
        let e = args(json!(["0x12"])).address(0).unwrap_err();
        assert_eq!(e.code(), -32602);
        assert_eq!(
            e.message(),
            "invalid argument 0: \"0x12\": want an address of 0x and 40 hex digits"
        );
        assert_eq!(
            args(json!([])).hash(0).unwrap_err().message(),
            "missing value for required argument 0"
        );
        let long = args(json!(["z".repeat(500)])).bytes(0).unwrap_err();
        assert!(long.message().len() < 200, "{long:?}");
        assert!(Args::new(&Params::new(Some("{}")), 1).is_err());
        assert!(Args::new(&Params::new(Some("[1,2]")), 1).is_err());
        assert!(args(json!([" 0x1"])).quantity(0).is_err());
        assert!(args(json!(["0x123"])).bytes(0).is_err());
    }

    #[test]
    fn slots_take_short_and_padded_hex() {
        assert_eq!(args(json!(["0x0"])).slot(0).unwrap(), U256::ZERO);
        assert_eq!(
            args(json!([format!("0x{:064x}", 5)])).slot(0).unwrap(),
            U256::from(5)
        );
        assert!(args(json!([format!("0x{:065x}", 5)])).slot(0).is_err());
        assert!(args(json!(["0xg"])).slot(0).is_err());
    }
}
