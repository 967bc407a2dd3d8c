//! Public keys: their protobuf, their addresses, and the check of one signature.
use cosmrs::proto::{
    Any,
    cosmos::crypto::{multisig::LegacyAminoPubKey, secp256k1::PubKey as ProtoKey},
};
use k256::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
use module::{Error, Result, codes, decode_strict};
use prost::Message as _;
use ripemd::Ripemd160;
use sha2::{Digest, Sha256};
use types::{Address, keccak256};

/// Type of Cosmos secp256k1 keys.
pub const SECP256K1_URL: &str = "/cosmos.crypto.secp256k1.PubKey";
/// Type of Ethereum-style keys, as cosmos/evm and CosmJS write it.
pub const ETH_SECP256K1_URL: &str = "/cosmos.evm.crypto.v1.ethsecp256k1.PubKey";
/// The same keys, as Ethermint's chains write them.
pub const ETHERMINT_SECP256K1_URL: &str = "/ethermint.crypto.v1.ethsecp256k1.PubKey";
/// Type of multisig keys.
pub const MULTISIG_URL: &str = "/cosmos.crypto.multisig.LegacyAminoPubKey";

/// Keys in a multisig at most: the SDK's default `tx_sig_limit` allows 7 signatures anyway, and the amino address is
/// hashed over all of them.
pub const MULTISIG_KEYS_MAX: usize = 32;

/// What a signer is checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// Cosmos secp256k1, compressed: signs sha256, address ripemd160(sha256(key)).
    Secp256k1([u8; 33]),
    /// Ethereum's secp256k1, compressed: signs keccak256, address keccak256(x ‖ y)[12..].
    EthSecp256k1([u8; 33]),
    /// `threshold` of several single keys.
    Multisig {
        /// Signatures needed.
        threshold: u32,
        /// The keys, in order.
        keys: Vec<Self>,
    },
}

fn bad_key(why: impl std::fmt::Display) -> Error {
    Error::sdk(codes::INVALID_PUBKEY, format!("{why}: invalid pubkey"))
}

impl PublicKey {
    /// Reads a key; error `sdk/8` where its type is unknown or it is not a point of the curve.
    pub fn from_any(any: &Any) -> Result<Self> {
        if any.type_url == MULTISIG_URL {
            let key: LegacyAminoPubKey = decode_strict("multisig public key", &any.value)?;
            let (n, of) = (key.threshold as usize, key.public_keys.len());
            if n == 0 || n > of || of > MULTISIG_KEYS_MAX {
                return Err(bad_key(format!(
                    "multisig of {n} of {of}: want 1 to {MULTISIG_KEYS_MAX} keys"
                )));
            }
            let keys = key.public_keys.iter().map(Self::single).collect::<Result<_>>()?;
            return Ok(Self::Multisig {
                threshold: key.threshold,
                keys,
            });
        }
        Self::single(any)
    }
    // Not nested: a multisig within a multisig is refused.
    fn single(any: &Any) -> Result<Self> {
        let key = |any: &Any| -> Result<[u8; 33]> {
            let key = decode_strict::<ProtoKey>("public key", &any.value)?.key;
            VerifyingKey::from_sec1_bytes(&key).map_err(|_| bad_key("not a point of secp256k1"))?;
            key.try_into()
                .map_err(|k: Vec<u8>| bad_key(format!("{} bytes, want 33", k.len())))
        };
        match any.type_url.as_str() {
            SECP256K1_URL => Ok(Self::Secp256k1(key(any)?)),
            ETH_SECP256K1_URL | ETHERMINT_SECP256K1_URL => Ok(Self::EthSecp256k1(key(any)?)),
            other => Err(bad_key(format!("unsupported public key type {other:?}"))),
        }
    }
    /// As stored and sent.
    pub fn to_any(&self) -> Any {
        let single = |url: &str, key: &[u8; 33]| Any {
            type_url: url.into(),
            value: ProtoKey { key: key.to_vec() }.encode_to_vec(),
        };
        match self {
            Self::Secp256k1(key) => single(SECP256K1_URL, key),
            Self::EthSecp256k1(key) => single(ETH_SECP256K1_URL, key),
            Self::Multisig { threshold, keys } => Any {
                type_url: MULTISIG_URL.into(),
                value: LegacyAminoPubKey {
                    threshold: *threshold,
                    public_keys: keys.iter().map(Self::to_any).collect(),
                }
                .encode_to_vec(),
            },
        }
    }
    /// Whose key it is.
    pub fn address(&self) -> Address {
        match self {
            Self::Secp256k1(key) => Address::from_slice(&Ripemd160::digest(Sha256::digest(key))),
            Self::EthSecp256k1(key) => {
                let point = VerifyingKey::from_sec1_bytes(key).expect("checked when the key was read");
                let point = point.to_encoded_point(false);
                Address::from_slice(&keccak256(&point.as_bytes()[1..])[12..])
            }
            Self::Multisig { .. } => Address::from_slice(&Sha256::digest(self.amino_bytes())[..20]),
        }
    }
    /// Amino's binary form: what a multisig's address is hashed over.
    fn amino_bytes(&self) -> Vec<u8> {
        let single = |name: &str, key: &[u8; 33]| [&amino_prefix(name)[..], &[33], key].concat();
        match self {
            Self::Secp256k1(key) => single("tendermint/PubKeySecp256k1", key),
            Self::EthSecp256k1(key) => single("os/PubKeyEthSecp256k1", key),
            Self::Multisig { threshold, keys } => {
                let mut out = amino_prefix("tendermint/PubKeyMultisigThreshold").to_vec();
                out.push(0x08);
                prost::encoding::encode_varint(u64::from(*threshold), &mut out);
                for key in keys {
                    let key = key.amino_bytes();
                    out.push(0x12);
                    prost::encoding::encode_varint(key.len() as u64, &mut out);
                    out.extend(key);
                }
                out
            }
        }
    }
    /// Gas of one signature by this key; `None` for a multisig, which costs what its parts cost. `secp256k1` is the
    /// parameter `sig_verify_cost_secp256k1`; Ethereum-style keys cost cosmos/evm's 21,000.
    pub fn verify_gas(&self, secp256k1: u64) -> Option<u64> {
        match self {
            Self::Secp256k1(_) => Some(secp256k1),
            Self::EthSecp256k1(_) => Some(ETH_VERIFY_GAS),
            Self::Multisig { .. } => None,
        }
    }
}

/// Gas of an Ethereum-style signature (cosmos/evm ante/cosmos/sigverify.go).
pub const ETH_VERIFY_GAS: u64 = 21_000;

/// Whether `signature` by the single key `key` covers `sign_bytes`: 64 bytes r ‖ s with a low s, or 65 for an
/// Ethereum-style key (the recovery byte is ignored, as there). A pure function, so its result may be cached by its
/// three arguments (chain.md rule 18). A multisig has no single signature: `false`.
pub fn verify_signature(key: &PublicKey, sign_bytes: &[u8], signature: &[u8]) -> bool {
    let (key, digest, signature): (_, [u8; 32], _) = match key {
        PublicKey::Secp256k1(key) => (key, Sha256::digest(sign_bytes).into(), signature),
        PublicKey::EthSecp256k1(key) => {
            let cut = if signature.len() == 65 {
                &signature[..64]
            } else {
                signature
            };
            (key, keccak256(sign_bytes).0, cut)
        }
        PublicKey::Multisig { .. } => return false,
    };
    let Ok(signature) = Signature::from_slice(signature) else {
        return false;
    };
    // A high s is the same signature in another spelling: malleable, so refused.
    if signature.normalize_s().is_some() {
        return false;
    }
    VerifyingKey::from_sec1_bytes(key).is_ok_and(|key| key.verify_prehash(&digest, &signature).is_ok())
}

/// Amino's type prefix: sha256(name), without leading zeros, after three bytes, again without leading zeros.
fn amino_prefix(name: &str) -> [u8; 4] {
    let hash = Sha256::digest(name.as_bytes());
    let skip = |from: usize| from + hash[from..].iter().take_while(|b| **b == 0).count();
    let from = skip(skip(0) + 3);
    [hash[from], hash[from + 1], hash[from + 2], hash[from + 3]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::bech32_address;

    #[test]
    fn amino_prefixes_are_the_published_ones() {
        assert_eq!(
            amino_prefix("tendermint/PubKeySecp256k1"),
            [0xeb, 0x5a, 0xe9, 0x87]
        );
        assert_eq!(
            amino_prefix("tendermint/PubKeyMultisigThreshold"),
            [0x22, 0xc1, 0xf7, 0xe2]
        );
    }

    #[test]
    fn each_kind_of_key_has_its_address() {
        // The first account of the "test test … junk" mnemonic.
        let key = crate::SigningKey::eth(&KEY).expect("a key");
        assert_eq!(
            key.public().address().to_string(),
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        );
        // The faucet of CosmJS's test chains, and another key.
        let b64 = |t: &str| -> [u8; 33] {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD
                .decode(t)
                .unwrap()
                .try_into()
                .unwrap()
        };
        let keys = [
            "A08EGB7ro1ORuFhjOnZcSgwYlpe0DSFjVNUIkNNQxwKQ",
            "AtQaCqFnshaZQp6rIkvAPyzThvCvXSDO+9AzbxVErqJP",
        ];
        let single = PublicKey::Secp256k1(b64(keys[0]));
        assert_eq!(
            bech32_address("cosmos", &single.address()),
            "cosmos1pkptre7fdkl6gfrzlesjjvhxhlc3r4gmmk8rs6"
        );
        let multi = PublicKey::Multisig {
            threshold: 2,
            keys: keys.map(|k| PublicKey::Secp256k1(b64(k))).to_vec(),
        };
        assert_eq!(PublicKey::from_any(&multi.to_any()), Ok(multi.clone()));
        let amino = multi.amino_bytes();
        let head = [
            0x22, 0xc1, 0xf7, 0xe2, 0x08, 2, 0x12, 38, 0xeb, 0x5a, 0xe9, 0x87, 33, 3,
        ];
        assert_eq!((&amino[..14], amino.len()), (&head[..], 4 + 2 + 2 * 40));
        assert_ne!(multi.address(), single.address());
    }

    const KEY: [u8; 32] = [
        0xac, 0x09, 0x74, 0xbe, 0xc3, 0x9a, 0x17, 0xe3, 0x6b, 0xa4, 0xa6, 0xb4, 0xd2, 0x38, 0xff, 0x94, 0x4b,
        0xac, 0xb4, 0x78, 0xcb, 0xed, 0x5e, 0xfc, 0xae, 0x78, 0x4d, 0x7b, 0xf4, 0xf2, 0xff, 0x80,
    ];

    #[test]
    fn a_signature_in_another_spelling_is_refused() {
        for key in [
            crate::SigningKey::eth(&KEY).unwrap(),
            crate::SigningKey::cosmos(&KEY).unwrap(),
        ] {
            let public = key.public();
            let good = key.sign(b"hello");
            assert!(verify_signature(&public, b"hello", &good));
            assert!(!verify_signature(&public, b"hellO", &good));
            let parsed = Signature::from_slice(&good).unwrap();
            let high = Signature::from_scalars(*parsed.r(), -*parsed.s()).unwrap();
            assert!(!verify_signature(&public, b"hello", &high.to_bytes()));
            assert!(!verify_signature(&public, b"hello", &[0; 64]));
            assert!(!verify_signature(&public, b"hello", &good[..63]));
            let long = [good.as_slice(), &[27]].concat();
            assert_eq!(
                verify_signature(&public, b"hello", &long),
                matches!(public, PublicKey::EthSecp256k1(_))
            );
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        let bad = [
            Any {
                type_url: "/cosmos.crypto.ed25519.PubKey".into(),
                value: vec![],
            },
            Any {
                type_url: SECP256K1_URL.into(),
                value: ProtoKey { key: vec![2; 32] }.encode_to_vec(),
            },
            Any {
                type_url: SECP256K1_URL.into(),
                value: ProtoKey { key: vec![0; 33] }.encode_to_vec(),
            },
            Any {
                type_url: MULTISIG_URL.into(),
                value: vec![],
            },
        ];
        for any in bad {
            assert!(
                matches!(PublicKey::from_any(&any), Err(Error::Rejected { code: 8, .. })),
                "{any:?}"
            );
        }
        // An uncompressed point is a key, but not in the stored spelling.
        let key = crate::SigningKey::eth(&KEY).unwrap();
        let PublicKey::EthSecp256k1(compressed) = key.public() else {
            panic!("an eth key")
        };
        let point = VerifyingKey::from_sec1_bytes(&compressed)
            .unwrap()
            .to_encoded_point(false);
        let any = Any {
            type_url: SECP256K1_URL.into(),
            value: ProtoKey {
                key: point.as_bytes().to_vec(),
            }
            .encode_to_vec(),
        };
        assert!(PublicKey::from_any(&any).is_err());
    }
}
