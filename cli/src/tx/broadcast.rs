//! `braidd tx broadcast`: send what was signed elsewhere.
use super::session::Session;
use anyhow::{Context as _, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;

/// What to send.
#[derive(Debug, Args)]
pub(crate) struct BroadcastCommand {
    /// The signed transaction: base64 or 0x-hex, a file with either, or the JSON that --offline printed.
    tx: String,
}

impl BroadcastCommand {
    /// Runs it.
    pub(crate) async fn run(&self, session: &Session) -> Result<()> {
        let text = if std::path::Path::new(&self.tx).is_file() {
            std::fs::read_to_string(&self.tx).with_context(|| format!("read {}", self.tx))?
        } else {
            self.tx.clone()
        };
        let bytes = decode(text.trim())?;
        session.send(0, |_, _| {}, |_| Ok(bytes.clone())).await
    }
}

fn decode(text: &str) -> Result<Vec<u8>> {
    if text.starts_with('{') {
        let printed: serde_json::Value = serde_json::from_str(text).context("the transaction is not JSON")?;
        let Some(bytes) = printed["tx_bytes"].as_str() else {
            bail!("the JSON has no tx_bytes: is it signed?")
        };
        return decode(bytes);
    }
    let bytes = match text.strip_prefix("0x") {
        Some(digits) => hex::decode(digits).context("the transaction is not hex")?,
        None => STANDARD
            .decode(text)
            .context("the transaction is neither a file nor base64")?,
    };
    if crate::response::tx_json(&bytes).is_null() {
        bail!("{} bytes that are not a transaction", bytes.len());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_transactions_are_sent() {
        for bad in ["", "0x", "zz", "0xff", "/w==", "{}", "{\"tx_bytes\":\"/w==\"}"] {
            // An empty text is an empty transaction, which the node refuses.
            assert!(decode(bad).is_err() || decode(bad).unwrap().is_empty(), "{bad}");
        }
    }
}
