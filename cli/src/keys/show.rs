//! Keys and addresses as they are shown: always in both spellings.
use super::ring::Record;
use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use types::{Address, ChainConfig, bech32_address, bech32_decode, parse_address};
use x_auth::PublicKey;

/// An address in its spellings.
#[derive(Clone, Debug)]
pub(crate) struct Spelled {
    /// Bech32 of the account.
    pub(crate) bech32: String,
    /// 0x-hex with EIP-55's checksum.
    pub(crate) hex: String,
}

impl Spelled {
    /// Both spellings on this chain.
    pub(crate) fn new(config: &ChainConfig, address: &Address) -> Self {
        Self {
            bech32: bech32_address(&config.bech32_prefix, address),
            hex: address.to_string(),
        }
    }
}

/// Reads an account in either spelling; an operator's address (`…valoper1…`) names its account too.
pub(crate) fn parse_account(prefix: &str, text: &str) -> Result<Address> {
    if let Ok(bytes) = bech32_decode(&format!("{prefix}valoper"), text) {
        return Address::try_from(bytes.as_slice())
            .map_err(|_| anyhow!("invalid address {text:?}: {} bytes, want 20", bytes.len()));
    }
    Ok(parse_address(prefix, text)?)
}

/// A public key as the SDK's JSON has it.
pub(crate) fn public_json(key: &PublicKey) -> Value {
    crate::render::public_key(&key.to_any())
}

/// A key as `keys list -o json` has it: the SDK's fields, and the address in hex.
pub(crate) fn key_json(config: &ChainConfig, record: &Record) -> Result<Value> {
    let spelled = Spelled::new(config, &record.address);
    Ok(json!({
        "name": record.name,
        "type": "local",
        "key_type": record.key_type,
        "address": spelled.bech32,
        "evm_address": spelled.hex,
        // A text within the JSON, as the SDK prints it.
        "pubkey": public_json(&record.public()?).to_string(),
    }))
}
