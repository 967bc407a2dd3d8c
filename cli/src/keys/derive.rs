//! From words or hex to a private key: BIP-39, BIP-32, BIP-44.
use anyhow::{Context as _, Result, anyhow, bail};
use bip39::{Language, Mnemonic};
use types::Address;
use x_auth::{PublicKey, SigningKey};
use zeroize::Zeroizing;

/// How a key signs and what address it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
pub(crate) enum KeyKind {
    /// Ethereum's: signs Ethereum and native transactions; address keccak256(key)[12..].
    #[value(name = "eth_secp256k1")]
    #[serde(rename = "eth_secp256k1")]
    Eth,
    /// Cosmos': signs native transactions only; address ripemd160(sha256(key)).
    #[value(name = "secp256k1")]
    #[serde(rename = "secp256k1")]
    Cosmos,
}

/// A private key. Wiped from memory when dropped, never shown by `Debug`.
#[derive(Clone)]
pub(crate) struct Secret {
    kind: KeyKind,
    bytes: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret")
            .field("kind", &self.kind)
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl Secret {
    /// The key with these 32 bytes; refused where they are zero or not below the curve's order.
    pub(crate) fn new(kind: KeyKind, bytes: &[u8]) -> Result<Self> {
        let bytes: [u8; 32] = bytes
            .try_into()
            .map_err(|_| anyhow!("a private key has 32 bytes, not {}", bytes.len()))?;
        SigningKey::eth(&bytes)
            .ok_or_else(|| anyhow!("not a private key of secp256k1: zero, or beyond the curve's order"))?;
        Ok(Self {
            kind,
            bytes: Zeroizing::new(bytes),
        })
    }
    /// Reads 64 hex digits, with or without 0x. The value stays out of the error: it may be a key.
    pub(crate) fn from_hex(kind: KeyKind, text: &str) -> Result<Self> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let bytes = hex::decode(digits).map_err(|e| anyhow!("private key in hex: {e}"))?;
        Self::new(kind, &Zeroizing::new(bytes))
    }
    /// Derives along `path`, such as `m/44'/60'/0'/0/0`.
    pub(crate) fn from_mnemonic(kind: KeyKind, words: &str, path: &str) -> Result<Self> {
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let mnemonic =
            Mnemonic::parse_in(Language::English, words.as_str()).map_err(|e| anyhow!("mnemonic: {e}"))?;
        let seed = Zeroizing::new(mnemonic.to_seed(""));
        let parsed = path
            .parse::<bip32::DerivationPath>()
            .with_context(|| format!("invalid HD path {path:?}"))?;
        let key = bip32::XPrv::derive_from_path(*seed, &parsed).with_context(|| format!("derive {path}"))?;
        Self::new(kind, &key.private_key().to_bytes())
    }
    /// Its kind.
    pub(crate) fn kind(&self) -> KeyKind {
        self.kind
    }
    /// The 32 bytes.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
    /// What signs native transactions.
    pub(crate) fn signing_key(&self) -> SigningKey {
        let key = match self.kind {
            KeyKind::Eth => SigningKey::eth(&self.bytes),
            KeyKind::Cosmos => SigningKey::cosmos(&self.bytes),
        };
        key.expect("checked when the secret was made")
    }
    /// Its public key.
    pub(crate) fn public(&self) -> PublicKey {
        self.signing_key().public()
    }
    /// Its account.
    pub(crate) fn address(&self) -> Address {
        self.public().address()
    }
}

/// Twenty-four new words from the system's randomness.
pub(crate) fn new_mnemonic() -> Result<String> {
    use rand::RngCore as _;
    let mut entropy = Zeroizing::new([0u8; 32]);
    rand::rngs::OsRng
        .try_fill_bytes(&mut *entropy)
        .context("the system's randomness")?;
    Ok(Mnemonic::from_entropy(&*entropy)
        .expect("32 bytes make 24 words")
        .to_string())
}

/// BIP-44's path; every part but the last two is hardened.
pub(crate) fn bip44(coin_type: u32, account: u32, index: u32) -> Result<String> {
    for (name, value) in [("coin type", coin_type), ("account", account), ("index", index)] {
        if value >= 1 << 31 {
            bail!("{name} {value}: want less than 2147483648");
        }
    }
    Ok(format!("m/44'/{coin_type}'/{account}'/0/{index}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::bech32_address;

    const JUNK: &str = crate::keys::DEV_MNEMONIC;

    #[test]
    fn well_known_words_give_their_well_known_keys() {
        let first = Secret::from_mnemonic(KeyKind::Eth, JUNK, "m/44'/60'/0'/0/0").unwrap();
        assert_eq!(
            first.address().to_string(),
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        );
        let hex = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        assert_eq!(hex::encode(first.bytes()), hex);
        assert_eq!(
            Secret::from_hex(KeyKind::Eth, &format!("0x{hex}"))
                .unwrap()
                .address(),
            first.address()
        );
        // BIP-39's own vector ("abandon … about"): the first account of coin type 118, as Cosmos wallets show it.
        let words =
            "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
        let cosmos = Secret::from_mnemonic(KeyKind::Cosmos, words, &bip44(118, 0, 0).unwrap()).unwrap();
        assert_eq!(
            bech32_address("cosmos", &cosmos.address()),
            "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4"
        );
        // The same words, whatever lies between them.
        let spread = Secret::from_mnemonic(
            KeyKind::Eth,
            &format!("  {}\n", JUNK.replace(' ', "  ")),
            "m/44'/60'/0'/0/0",
        );
        assert_eq!(spread.unwrap().address(), first.address());
    }

    #[test]
    fn bad_words_paths_and_hex_are_refused() {
        let bad = |words: &str, path: &str| {
            Secret::from_mnemonic(KeyKind::Eth, words, path)
                .unwrap_err()
                .to_string()
        };
        assert!(bad("test test", "m/44'").starts_with("mnemonic"));
        assert!(bad(&JUNK.replace("junk", "test"), "m/44'").contains("checksum"));
        assert!(bad(JUNK, "44/x").contains("44/x"));
        for hex in [
            "",
            "0x",
            "12",
            "zz",
            &"0".repeat(64),
            &"f".repeat(64),
            &"1".repeat(66),
        ] {
            assert!(Secret::from_hex(KeyKind::Eth, hex).is_err(), "{hex}");
        }
        assert!(bip44(1 << 31, 0, 0).is_err());
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        let key = Secret::new(KeyKind::Eth, &[7; 32]).unwrap();
        assert!(!format!("{key:?}").contains("0707"), "{key:?}");
    }

    #[test]
    fn new_words_are_new_and_usable() {
        let (a, b) = (new_mnemonic().unwrap(), new_mnemonic().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.split(' ').count(), 24);
        assert!(Secret::from_mnemonic(KeyKind::Eth, &a, "m/44'/60'/0'/0/0").is_ok());
    }
}
