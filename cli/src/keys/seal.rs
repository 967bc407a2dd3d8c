//! A private key under a passphrase: Argon2id, then XChaCha20-Poly1305.
use anyhow::{Context as _, Result, anyhow, bail};
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305,
    aead::{Aead as _, Payload},
};
use rand::RngCore as _;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A sealed secret, as it lies in a file. Binary fields are hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sealed {
    /// `argon2id`.
    kdf: String,
    /// Argon2's memory in KiB.
    memory_kib: u32,
    /// Argon2's passes.
    passes: u32,
    /// `xchacha20poly1305`.
    cipher: String,
    salt: String,
    nonce: String,
    ciphertext: String,
}

// OWASP's first recommendation for Argon2id: 46 MiB, one pass, one lane.
const MEMORY_KIB: u32 = 46 * 1024;
const PASSES: u32 = 1;
// A file may ask for more, but not for all of the machine.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 64;

impl Sealed {
    /// Seals `secret`. `label` is not secret, but opening with another one fails: it ties the file to its account.
    pub(crate) fn seal(secret: &[u8; 32], passphrase: &str, label: &str) -> Result<Self> {
        let (mut salt, mut nonce) = ([0u8; 16], [0u8; 24]);
        for bytes in [&mut salt[..], &mut nonce[..]] {
            rand::rngs::OsRng
                .try_fill_bytes(bytes)
                .context("the system's randomness")?;
        }
        let key = stretch(passphrase, &salt, MEMORY_KIB, PASSES)?;
        let payload = Payload {
            msg: secret,
            aad: label.as_bytes(),
        };
        let ciphertext = XChaCha20Poly1305::new((&*key).into())
            .encrypt((&nonce).into(), payload)
            .map_err(|_| anyhow!("encryption failed"))?;
        Ok(Self {
            kdf: "argon2id".into(),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            cipher: "xchacha20poly1305".into(),
            salt: hex::encode(salt),
            nonce: hex::encode(nonce),
            ciphertext: hex::encode(ciphertext),
        })
    }
    /// Opens with the passphrase and the label it was sealed with.
    pub(crate) fn open(&self, passphrase: &str, label: &str) -> Result<Zeroizing<Vec<u8>>> {
        if self.kdf != "argon2id" || self.cipher != "xchacha20poly1305" {
            bail!(
                "sealed with {} and {}: want argon2id and xchacha20poly1305",
                self.kdf,
                self.cipher
            );
        }
        if self.memory_kib > MEMORY_KIB_MAX || self.passes > PASSES_MAX {
            bail!(
                "sealed with {} KiB and {} passes: more than this program spends",
                self.memory_kib,
                self.passes
            );
        }
        let field = |name, text: &str| hex::decode(text).map_err(|e| anyhow!("sealed key: {name}: {e}"));
        let (salt, nonce) = (field("salt", &self.salt)?, field("nonce", &self.nonce)?);
        let nonce: [u8; 24] = nonce
            .try_into()
            .map_err(|n: Vec<u8>| anyhow!("sealed key: nonce has {} bytes, want 24", n.len()))?;
        let ciphertext = field("ciphertext", &self.ciphertext)?;
        let key = stretch(passphrase, &salt, self.memory_kib, self.passes)?;
        let payload = Payload {
            msg: ciphertext.as_slice(),
            aad: label.as_bytes(),
        };
        XChaCha20Poly1305::new((&*key).into())
            .decrypt((&nonce).into(), payload)
            .map(Zeroizing::new)
            .map_err(|_| anyhow!("wrong passphrase, or the file was changed"))
    }
}

fn stretch(passphrase: &str, salt: &[u8], memory_kib: u32, passes: u32) -> Result<Zeroizing<[u8; 32]>> {
    let params = Params::new(memory_kib, passes, 1, Some(32)).map_err(|e| anyhow!("argon2: {e}"))?;
    let mut key = Zeroizing::new([0u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(|e| anyhow!("argon2: {e}"))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_passphrase_and_label_open_it() {
        let sealed = Sealed::seal(&[7; 32], "correct horse", "0xabc").unwrap();
        assert_eq!(*sealed.open("correct horse", "0xabc").unwrap(), vec![7; 32]);
        assert!(sealed.open("wrong horse", "0xabc").is_err());
        assert!(sealed.open("correct horse", "0xdef").is_err());
        assert!(!serde_json::to_string(&sealed).unwrap().contains("0707"));
        let mut changed = sealed.clone();
        changed.ciphertext.replace_range(
            0..2,
            if &sealed.ciphertext[..2] == "00" {
                "11"
            } else {
                "00"
            },
        );
        assert!(changed.open("correct horse", "0xabc").is_err());
    }

    #[test]
    fn a_file_cannot_ask_for_all_of_the_machine() {
        let sealed = Sealed::seal(&[7; 32], "p", "l").unwrap();
        let greedy = Sealed {
            memory_kib: u32::MAX,
            ..sealed.clone()
        };
        assert!(
            greedy
                .open("p", "l")
                .unwrap_err()
                .to_string()
                .contains("more than")
        );
        let odd = Sealed {
            kdf: "md5".into(),
            ..sealed
        };
        assert!(odd.open("p", "l").unwrap_err().to_string().contains("md5"));
    }
}
