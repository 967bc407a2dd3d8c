//! A node's two ed25519 keys, in CometBFT's JSON.
use crate::{Home, NodeError};
use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::Path;
use types::Address;

/// The key that names a node to its peers, and the key that signs blocks.
#[derive(Clone)]
pub struct NodeKeys {
    node: SigningKey,
    validator: SigningKey,
}

impl std::fmt::Debug for NodeKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeKeys")
            .field("node_id", &self.node_id())
            .finish_non_exhaustive()
    }
}

/// CometBFT's address of an ed25519 key: the first 20 bytes of its sha256.
fn address(key: &SigningKey) -> Address {
    Address::from_slice(&Sha256::digest(key.verifying_key().as_bytes())[..20])
}

impl NodeKeys {
    /// Two new keys from the system's randomness.
    pub fn generate() -> Self {
        let new = || SigningKey::generate(&mut rand::rngs::OsRng);
        Self {
            node: new(),
            validator: new(),
        }
    }
    /// Keys from 64 bytes of a seed: fixed networks in tests.
    pub fn from_seed(node: [u8; 32], validator: [u8; 32]) -> Self {
        Self {
            node: SigningKey::from_bytes(&node),
            validator: SigningKey::from_bytes(&validator),
        }
    }
    /// What peers call the node: 40 lower-case hex digits.
    pub fn node_id(&self) -> String {
        hex::encode(self.node_address())
    }
    /// The node id's bytes.
    pub(crate) fn node_address(&self) -> Address {
        address(&self.node)
    }
    /// The validator's public key.
    pub fn validator_pub_key(&self) -> [u8; 32] {
        self.validator.verifying_key().to_bytes()
    }
    /// The validator's consensus address.
    pub fn validator_address(&self) -> Address {
        address(&self.validator)
    }

    /// `node_key.json`.
    pub(crate) fn node_json(&self) -> Value {
        json!({ "priv_key": private(&self.node) })
    }
    /// `priv_validator_key.json`.
    pub(crate) fn validator_json(&self) -> Value {
        json!({
            "address": hex::encode_upper(self.validator_address()),
            "pub_key": { "type": "tendermint/PubKeyEd25519", "value": STANDARD.encode(self.validator_pub_key()) },
            "priv_key": private(&self.validator),
        })
    }
    /// The keys of an initialised home.
    pub fn read(home: &Home) -> Result<Self, NodeError> {
        Ok(Self {
            node: read_key(&home.node_key())?,
            validator: read_key(&home.validator_key())?,
        })
    }
}

/// CometBFT keeps the seed and the public key, 64 bytes, in base64.
fn private(key: &SigningKey) -> Value {
    json!({ "type": "tendermint/PrivKeyEd25519", "value": STANDARD.encode(key.to_keypair_bytes()) })
}

fn read_key(path: &Path) -> Result<SigningKey, NodeError> {
    let text = std::fs::read(path).map_err(NodeError::file(path))?;
    let json: Value = serde_json::from_slice(&text).map_err(|e| NodeError::format(path, e))?;
    let kind = json["priv_key"]["type"].as_str().unwrap_or("");
    if kind != "tendermint/PrivKeyEd25519" {
        return Err(NodeError::format(
            path,
            format!("key type {kind:?}, want tendermint/PrivKeyEd25519"),
        ));
    }
    let value = json["priv_key"]["value"].as_str().unwrap_or("");
    let bytes = STANDARD
        .decode(value)
        .map_err(|e| NodeError::format(path, format!("priv_key: {e}")))?;
    let pair: [u8; 64] = bytes
        .try_into()
        .map_err(|b: Vec<u8>| NodeError::format(path, format!("priv_key: {} bytes, want 64", b.len())))?;
    SigningKey::from_keypair_bytes(&pair).map_err(|e| NodeError::format(path, format!("priv_key: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_cometbft_does() {
        // Made by `cometbft init` (v0.38.26).
        let pair = "6j1fLHWxwKWEzI9Ioj1z4ugO270pYw9zHTkebsFR24d2+hOl5e2TMKxwsTl1zdn/br3FZz+ZR2Wlt0uXxjUyyw==";
        let bytes: [u8; 64] = STANDARD.decode(pair).unwrap().try_into().unwrap();
        let seed: [u8; 32] = bytes[..32].try_into().unwrap();
        let keys = NodeKeys::from_seed([7; 32], seed);
        let json = keys.validator_json();
        assert_eq!(json["address"], "C57812D9049BDB5107D928BE218A1B395BC0C90F");
        assert_eq!(
            json["pub_key"]["value"],
            "dvoTpeXtkzCscLE5dc3Z/269xWc/mUdlpbdLl8Y1Mss="
        );
        assert_eq!(json["priv_key"]["value"], pair);
        assert_eq!(keys.node_id().len(), 40);
    }

    #[test]
    fn a_damaged_key_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        std::fs::create_dir_all(home.config()).unwrap();
        std::fs::write(home.node_key(), "{}").unwrap();
        let err = NodeKeys::read(&home).unwrap_err().to_string();
        assert!(err.contains("node_key.json") && err.contains("key type"), "{err}");
    }
}
