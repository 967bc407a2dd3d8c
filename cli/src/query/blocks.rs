//! `braidd query tx` and `braidd query block`.
use super::ask::Ask;
use anyhow::{Result, anyhow, bail};

/// A transaction, by either of its hashes.
pub(crate) async fn tx(ask: &Ask, text: &str) -> Result<()> {
    let hash = parse_hash(text)?;
    // 0x is how Ethereum writes hashes; either hash may be written either way.
    let found = if text.starts_with("0x") {
        match ask.client.eth_tx(hash).await? {
            Some(found) => Some(found),
            None => ask.client.tx(hash).await?,
        }
    } else {
        match ask.client.tx(hash).await? {
            Some(found) => Some(found),
            None => ask.client.eth_tx(hash).await?,
        }
    };
    let Some(found) = found else {
        bail!("no transaction {text} in any block (it may be waiting, or never have come)")
    };
    ask.print(&crate::tx::included(&ask.client, &found).await?)
}

fn parse_hash(text: &str) -> Result<[u8; 32]> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let bytes = hex::decode(digits).map_err(|e| anyhow!("invalid hash {text:?}: {e}"))?;
    bytes
        .try_into()
        .map_err(|b: Vec<u8>| anyhow!("invalid hash {text:?}: {} bytes, want 32", b.len()))
}

/// A block, as CometBFT's RPC has it.
pub(crate) async fn block(ask: &Ask, height: Option<u64>) -> Result<()> {
    if height == Some(0) {
        bail!("block 0: want 1 or more");
    }
    let block = ask.client.block(height).await?;
    ask.print(&serde_json::to_value(block)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_have_32_bytes_in_either_spelling() {
        let digits = "ab".repeat(32);
        assert_eq!(
            parse_hash(&digits).unwrap(),
            parse_hash(&format!("0x{}", digits.to_uppercase())).unwrap()
        );
        for bad in ["", "0x", "ab", "zz", &digits[1..]] {
            assert!(parse_hash(bad).is_err(), "{bad}");
        }
    }
}
