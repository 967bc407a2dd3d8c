//! The keyring: one JSON file a key, in `keyring-test` (plain) or `keyring-file` (sealed under a passphrase).
//!
//! The SDK's keyring files are JWE; these are a format of our own, with the public part readable without a passphrase:
//! `{"version":1,"name":…,"key_type":…,"address":"0x…","public_key":"<base64>","secret":"<hex>" | "sealed":{…}}`.
use super::derive::{KeyKind, Secret};
use super::seal::Sealed;
use crate::home::Home;
use anyhow::{Context as _, Result, anyhow, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use types::Address;
use x_auth::PublicKey;
use zeroize::Zeroizing;

/// How keys rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Backend {
    /// In plain files: for development only.
    Test,
    /// Sealed under a passphrase, asked for or read from standard input.
    File,
}

/// Which keyring.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct KeyringArgs {
    /// How keys rest [default: test].
    #[arg(long, value_enum, global = true, value_name = "BACKEND")]
    keyring_backend: Option<Backend>,
    /// Folder that holds the keyring's folder [default: the home].
    #[arg(long, global = true, value_name = "DIR")]
    keyring_dir: Option<PathBuf>,
}

impl KeyringArgs {
    /// The keyring named by the flags, `client.toml` and the home.
    pub(crate) fn open(&self, home: &Home) -> Result<Keyring> {
        let backend = match (
            self.keyring_backend,
            home.client_config()?.keyring_backend.as_deref(),
        ) {
            (Some(b), _) => b,
            (None, None | Some("test")) => Backend::Test,
            (None, Some("file")) => Backend::File,
            (None, Some(other)) => bail!("client.toml: keyring-backend {other:?}: want test or file"),
        };
        let base = self.keyring_dir.as_deref().unwrap_or(home.path());
        Ok(Keyring::new(base, backend))
    }
}

/// A folder of keys.
#[derive(Clone, Debug)]
pub(crate) struct Keyring {
    dir: PathBuf,
    backend: Backend,
}

/// A key as stored. The secret may be sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    version: u32,
    /// What its owner calls it.
    pub(crate) name: String,
    /// How it signs.
    pub(crate) key_type: KeyKind,
    /// Its account.
    pub(crate) address: Address,
    public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<Sealed>,
}

// Longest name: file systems take 255 bytes.
const NAME_MAX: usize = 64;
// Keys in one folder at most; a listing reads them all.
const KEYS_MAX: usize = 10_000;
// A passphrase of the file backend, in characters, at least: the SDK's rule.
const PASSPHRASE_MIN: usize = 8;

/// Refuses names that are not plain file names, or that could be taken for an address.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let head = name
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let body = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if !head || !body || name.len() > NAME_MAX {
        bail!(
            "invalid key name {name:?}: want 1 to {NAME_MAX} letters, digits, '.', '_' or '-', not starting with '.' or '-'"
        );
    }
    let address_like = name.len() == 42 && name.starts_with("0x") || name.len() > 38 && name.contains('1');
    if address_like {
        bail!("invalid key name {name:?}: it looks like an address");
    }
    Ok(())
}

impl Record {
    /// A key under a name, sealed if a passphrase is given.
    pub(crate) fn new(name: &str, secret: &Secret, passphrase: Option<&str>) -> Result<Self> {
        check_name(name)?;
        let public = secret.public();
        let sealed = passphrase
            .map(|p| Sealed::seal(secret.bytes(), p, &label(&secret.address())))
            .transpose()?;
        Ok(Self {
            version: 1,
            name: name.into(),
            key_type: secret.kind(),
            address: secret.address(),
            public_key: STANDARD.encode(public_bytes(&public)),
            secret: passphrase
                .is_none()
                .then(|| Zeroizing::new(hex::encode(secret.bytes()))),
            sealed,
        })
    }
    /// Its public key.
    pub(crate) fn public(&self) -> Result<PublicKey> {
        let bytes = STANDARD
            .decode(&self.public_key)
            .with_context(|| format!("key {}: public key", self.name))?;
        let bytes: [u8; 33] = bytes
            .try_into()
            .map_err(|b: Vec<u8>| anyhow!("key {}: public key of {} bytes", self.name, b.len()))?;
        let key = match self.key_type {
            KeyKind::Eth => PublicKey::EthSecp256k1(bytes),
            KeyKind::Cosmos => PublicKey::Secp256k1(bytes),
        };
        // Reading it back checks that it is a point of the curve.
        PublicKey::from_any(&key.to_any()).map_err(|e| anyhow!("key {}: {e}", self.name))
    }
    /// The private key; `passphrase` is asked for only where the record is sealed.
    pub(crate) fn secret(&self, passphrase: impl FnOnce() -> Result<Zeroizing<String>>) -> Result<Secret> {
        let secret = match (&self.secret, &self.sealed) {
            (Some(hex), None) => Secret::from_hex(self.key_type, hex)?,
            (None, Some(sealed)) => {
                let opened = sealed.open(&passphrase()?, &label(&self.address));
                Secret::new(
                    self.key_type,
                    &opened.with_context(|| format!("key {}", self.name))?,
                )?
            }
            _ => bail!("key {}: want either a plain or a sealed secret", self.name),
        };
        if secret.address() != self.address {
            bail!(
                "key {}: its file says {}, its secret is {}'s",
                self.name,
                self.address,
                secret.address()
            );
        }
        Ok(secret)
    }
    fn parse(text: &str, from: &str) -> Result<Self> {
        let record: Self = serde_json::from_str(text).with_context(|| format!("{from} is not a key file"))?;
        if record.version != 1 {
            bail!("{from}: key file of version {}, want 1", record.version);
        }
        if record.public()?.address() != record.address {
            bail!("{from}: the address {} is not the public key's", record.address);
        }
        Ok(record)
    }
}

/// Reads an exported key.
pub(crate) fn parse_export(text: &str) -> Result<Record> {
    Record::parse(text, "the input")
}

fn label(address: &Address) -> String {
    format!("braid key {address}")
}

fn public_bytes(key: &PublicKey) -> &[u8] {
    match key {
        PublicKey::EthSecp256k1(b) | PublicKey::Secp256k1(b) => b,
        PublicKey::Multisig { .. } => &[],
    }
}

impl Keyring {
    /// The keyring of `backend` under the folder `base`.
    pub(crate) fn new(base: &Path, backend: Backend) -> Self {
        let name = match backend {
            Backend::Test => "keyring-test",
            Backend::File => "keyring-file",
        };
        Self {
            dir: base.join(name),
            backend,
        }
    }
    /// The plain keyring under `base`, for development accounts.
    pub(crate) fn test(base: &Path) -> Self {
        Self::new(base, Backend::Test)
    }
    /// Whether its keys need a passphrase.
    pub(crate) fn seals(&self) -> bool {
        self.backend == Backend::File
    }
    fn path(&self, name: &str) -> Result<PathBuf> {
        check_name(name)?;
        Ok(self.dir.join(format!("{name}.json")))
    }
    /// Stores a key. Refused where the name or the address is taken.
    pub(crate) fn add(&self, name: &str, secret: &Secret, passphrase: Option<&str>) -> Result<Record> {
        if let Some(p) = passphrase.filter(|p| p.chars().count() < PASSPHRASE_MIN) {
            bail!(
                "passphrase of {} characters: want at least {PASSPHRASE_MIN}",
                p.chars().count()
            );
        }
        if passphrase.is_some() != self.seals() {
            bail!(
                "{}: a passphrase is for the file backend, and needed there",
                self.dir.display()
            );
        }
        let path = self.path(name)?;
        if let Some(other) = self
            .list()?
            .into_iter()
            .find(|r| r.address == secret.address() && r.name != name)
        {
            bail!(
                "{} is already in the keyring, as {}",
                secret.address(),
                other.name
            );
        }
        let record = Record::new(name, secret, passphrase)?;
        let text = Zeroizing::new(serde_json::to_string_pretty(&record)?);
        make_private_dir(&self.dir)?;
        let mut file =
            tempfile::NamedTempFile::new_in(&self.dir).with_context(|| format!("{}", self.dir.display()))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        // Never over another key: the money behind it would be lost.
        file.persist_noclobber(&path).map_err(|e| match e.error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                anyhow!("key {name:?} exists already in {}", self.dir.display())
            }
            _ => anyhow!("{}: {}", path.display(), e.error),
        })?;
        Ok(record)
    }
    /// All keys, by name.
    pub(crate) fn list(&self) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        let entries = match std::fs::read_dir(&self.dir) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(records),
            other => other.with_context(|| format!("read {}", self.dir.display()))?,
        };
        for entry in entries {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|s| s.to_str());
            let Some(name) = stem.filter(|_| path.extension().is_some_and(|e| e == "json")) else {
                continue;
            };
            if records.len() == KEYS_MAX {
                bail!("{}: more than {KEYS_MAX} keys", self.dir.display());
            }
            records.extend(self.get(name)?);
        }
        records.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(records)
    }
    fn get(&self, name: &str) -> Result<Option<Record>> {
        let path = self.path(name)?;
        let Some(text) = crate::home::read_optional(&path)? else {
            return Ok(None);
        };
        Record::parse(&Zeroizing::new(text), &path.display().to_string()).map(Some)
    }
    /// The key called `text`, or the key of the account `text` in either spelling.
    pub(crate) fn find(&self, prefix: &str, text: &str) -> Result<Record> {
        let missing = || {
            anyhow!(
                "no key {text:?} in {} (try `braidd keys list`)",
                self.dir.display()
            )
        };
        if let Ok(address) = super::parse_account(prefix, text) {
            return self
                .list()?
                .into_iter()
                .find(|r| r.address == address)
                .ok_or_else(missing);
        }
        self.get(text)?.ok_or_else(missing)
    }
    /// Forgets a key.
    pub(crate) fn delete(&self, name: &str) -> Result<()> {
        let path = self.path(name)?;
        std::fs::remove_file(&path).with_context(|| format!("delete {}", path.display()))
    }
    /// Asks for the keyring's passphrase, twice where it is new; `None` for a keyring without.
    pub(crate) fn passphrase(&self, new: bool) -> Result<Option<Zeroizing<String>>> {
        if !self.seals() {
            return Ok(None);
        }
        ask_passphrase(&format!("passphrase for {}", self.dir.display()), new).map(Some)
    }
}

/// Asks for a passphrase without echo, or reads a line where standard input is no terminal.
pub(crate) fn ask_passphrase(what: &str, new: bool) -> Result<Zeroizing<String>> {
    use std::io::IsTerminal as _;
    if !std::io::stdin().is_terminal() {
        let mut line = Zeroizing::new(String::new());
        std::io::stdin().read_line(&mut line)?;
        if line.is_empty() {
            bail!("{what}: standard input ended");
        }
        return Ok(Zeroizing::new(line.trim_end_matches(['\n', '\r']).to_owned()));
    }
    let first = Zeroizing::new(rpassword::prompt_password(format!("{what}: "))?);
    if new && *first != *Zeroizing::new(rpassword::prompt_password("the same again: ")?) {
        bail!("the two passphrases differ");
    }
    Ok(first)
}

fn make_private_dir(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(dir)
        .with_context(|| format!("create {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret::new(KeyKind::Eth, &[byte; 32]).unwrap()
    }

    #[test]
    fn what_goes_in_comes_out_in_both_backends() {
        for (backend, pass) in [(Backend::Test, None), (Backend::File, Some("correct horse"))] {
            let dir = tempfile::tempdir().unwrap();
            let ring = Keyring::new(dir.path(), backend);
            assert!(ring.list().unwrap().is_empty());
            ring.add("alice", &secret(1), pass).unwrap();
            let cosmos = Secret::new(KeyKind::Cosmos, &[2; 32]).unwrap();
            ring.add("bob", &cosmos, pass).unwrap();
            let names: Vec<_> = ring.list().unwrap().into_iter().map(|r| r.name).collect();
            assert_eq!(names, ["alice", "bob"]);
            let ask = || Ok(Zeroizing::new("correct horse".to_owned()));
            for (text, want) in [("alice", secret(1)), ("bob", cosmos.clone())] {
                let record = ring.find("braid", text).unwrap();
                assert_eq!(record.sealed.is_some(), pass.is_some());
                assert_eq!(record.secret(ask).unwrap().bytes(), want.bytes());
                assert_eq!(record.public().unwrap(), want.public());
                for spelling in [
                    want.address().to_string(),
                    types::bech32_address("braid", &want.address()),
                ] {
                    assert_eq!(ring.find("braid", &spelling).unwrap().name, text);
                }
            }
            let file = std::fs::read_to_string(dir.path().join(ring.dir.join("alice.json"))).unwrap();
            assert_eq!(file.contains(&"01".repeat(32)), pass.is_none(), "{file}");
            ring.delete("alice").unwrap();
            assert!(
                ring.find("braid", "alice")
                    .unwrap_err()
                    .to_string()
                    .contains("alice")
            );
            assert!(ring.delete("alice").is_err());
        }
    }

    #[test]
    fn a_taken_name_or_address_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::test(dir.path());
        ring.add("alice", &secret(1), None).unwrap();
        assert!(
            ring.add("alice", &secret(2), None)
                .unwrap_err()
                .to_string()
                .contains("exists already")
        );
        assert!(
            ring.add("alias", &secret(1), None)
                .unwrap_err()
                .to_string()
                .contains("as alice")
        );
        let kept = ring.find("braid", "alice").unwrap();
        assert_eq!(kept.address, secret(1).address());
        let leftovers = std::fs::read_dir(&ring.dir).unwrap().count();
        assert_eq!(leftovers, 1, "no temporary file stays behind");
    }

    #[cfg(unix)]
    #[test]
    fn others_on_the_machine_cannot_read_keys() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::test(&dir.path().join("new"));
        ring.add("alice", &secret(1), None).unwrap();
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&ring.dir), 0o700);
        assert_eq!(mode(&ring.dir.join("alice.json")), 0o600);
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::test(dir.path());
        let long = "a".repeat(NAME_MAX + 1);
        let address = secret(1).address().to_string();
        let bech32 = types::bech32_address("braid", &secret(1).address());
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc/passwd",
            "-f",
            ".hidden",
            "a\0b",
            "a b",
            "ä",
            &long,
            &address,
            &bech32,
        ] {
            assert!(ring.add(name, &secret(1), None).is_err(), "{name:?}");
            assert!(ring.delete(name).is_err(), "{name:?}");
        }
        assert!(!ring.dir.exists());
    }

    #[test]
    fn a_changed_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::test(dir.path());
        ring.add("alice", &secret(1), None).unwrap();
        let path = ring.dir.join("alice.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(&"01".repeat(32), &"02".repeat(32))).unwrap();
        let error = ring
            .find("braid", "alice")
            .unwrap()
            .secret(|| bail!("not asked"))
            .unwrap_err();
        assert!(error.to_string().contains("its file says"), "{error}");
        std::fs::write(&path, "{}").unwrap();
        assert!(format!("{:#}", ring.list().unwrap_err()).contains("alice.json"));
    }

    #[test]
    fn short_passphrases_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::new(dir.path(), Backend::File);
        assert!(
            ring.add("a", &secret(1), Some("short"))
                .unwrap_err()
                .to_string()
                .contains("at least 8")
        );
        assert!(ring.add("a", &secret(1), None).is_err());
    }
}
