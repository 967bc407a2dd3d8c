//! `braidd keys`: make, keep, show and forget private keys.
use super::derive::{KeyKind, Secret, bip44, new_mnemonic};
use super::ring::{self, Keyring, KeyringArgs, Record};
use super::show::{Spelled, key_json, parse_account, public_json};
use crate::{
    chain,
    home::HomeArgs,
    output::{self, Format, OutputArgs},
};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::io::Read as _;
use types::{Address, ChainConfig, bech32_encode};
use zeroize::Zeroizing;

/// Manage the keys that sign transactions.
#[derive(Debug, Args)]
pub(crate) struct KeysCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    keyring: KeyringArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key from new words, or from words you have (--recover).
    Add(Add),
    /// List all keys.
    List {
        /// Print names only.
        #[arg(short = 'n', long)]
        list_names: bool,
    },
    /// Show one key, by name or address.
    Show(Show),
    /// Store a private key: 64 hex digits, words, or what `keys export` wrote.
    Import(Import),
    /// Forget a key. Without its words or an export, its money is lost.
    Delete {
        /// Name or address.
        #[arg(required = true)]
        keys: Vec<String>,
        /// Do not ask.
        #[arg(short = 'y', long)]
        yes: bool,
    },
    /// Write a private key out: sealed under a passphrase, or as hex.
    Export {
        /// Name or address.
        key: String,
        /// Print the private key as plain hex; needs --unsafe too.
        #[arg(long, requires = "i_am_sure")]
        unarmored_hex: bool,
        /// Yes, print the secret.
        #[arg(id = "i_am_sure", long = "unsafe")]
        i_am_sure: bool,
    },
    /// Show an address in all its spellings, whatever its prefix.
    Parse {
        /// 0x-hex, hex or bech32.
        address: String,
    },
}

#[derive(Debug, Args)]
struct Add {
    /// What to call it.
    name: String,
    /// Read the words from standard input instead of making new ones.
    #[arg(long)]
    recover: bool,
    #[command(flatten)]
    path: PathArgs,
    /// Do not print the words: the key can then not be recovered.
    #[arg(long)]
    no_backup: bool,
    /// Show what it would be, and store nothing.
    #[arg(long)]
    dry_run: bool,
}

/// How words become a key.
#[derive(Debug, Args)]
struct PathArgs {
    /// Kind of key.
    #[arg(long, alias = "algo", value_enum, default_value = "eth_secp256k1")]
    key_type: KeyKind,
    /// BIP-44 coin type [default: the chain's (60) for eth_secp256k1, 118 for secp256k1].
    #[arg(long, value_name = "N")]
    coin_type: Option<u32>,
    /// BIP-44 account.
    #[arg(long, default_value_t = 0, value_name = "N")]
    account: u32,
    /// BIP-44 address index.
    #[arg(long, default_value_t = 0, value_name = "N")]
    index: u32,
    /// Whole BIP-32 path, such as m/44'/60'/0'/0/0; instead of the three above.
    #[arg(long, conflicts_with_all = ["coin_type", "account", "index"])]
    hd_path: Option<String>,
}

impl PathArgs {
    fn path(&self, config: &ChainConfig) -> Result<String> {
        if let Some(path) = &self.hd_path {
            return Ok(path.clone());
        }
        let usual = match self.key_type {
            KeyKind::Eth => config.coin_type,
            KeyKind::Cosmos => 118,
        };
        bip44(self.coin_type.unwrap_or(usual), self.account, self.index)
    }
}

#[derive(Debug, Args)]
struct Show {
    /// Name or address.
    key: String,
    /// Print the bech32 address only.
    #[arg(short = 'a', long, conflicts_with = "pubkey")]
    address: bool,
    /// Print the 0x address only.
    #[arg(long, conflicts_with_all = ["pubkey", "address"])]
    hex: bool,
    /// Print the public key only.
    #[arg(short = 'p', long)]
    pubkey: bool,
    /// Which of its bech32 addresses.
    #[arg(long, value_enum, default_value = "acc", value_name = "KIND")]
    bech: Bech,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Bech {
    /// Account.
    Acc,
    /// Validator's operator.
    Val,
    /// Consensus key.
    Cons,
}

#[derive(Debug, Args)]
struct Import {
    /// What to call it.
    name: String,
    /// The private key as hex, the words (quoted), or a file that holds either or an export; from standard input if absent.
    secret: Option<String>,
    #[command(flatten)]
    path: PathArgs,
}

impl KeysCommand {
    /// Runs it.
    pub(crate) fn run(&self, home: &HomeArgs) -> Result<()> {
        let home = home.dir()?;
        let ring = self.keyring.open(&home)?;
        let config = chain::local(&home)?.config;
        let format = self.output.format(home.client_config()?.output.as_deref())?;
        match &self.action {
            Action::Add(add) => output::print(format, &add.run(&ring, &config, format)?),
            Action::List { list_names: true } => {
                let names: Vec<_> = ring.list()?.into_iter().map(|r| r.name).collect();
                match format {
                    Format::Json => output::print(format, &json!(names)),
                    Format::Text => print_line(&names.join("\n")),
                }
            }
            Action::List { .. } => {
                let keys = ring
                    .list()?
                    .iter()
                    .map(|r| key_json(&config, r))
                    .collect::<Result<Vec<_>>>()?;
                output::print(format, &Value::Array(keys))
            }
            Action::Show(show) => show.run(&ring, &config, format),
            Action::Import(import) => output::print(format, &import.run(&ring, &config)?),
            Action::Delete { keys, yes } => delete(&ring, &config, keys, *yes),
            Action::Export {
                key, unarmored_hex, ..
            } => export(&ring, &config, key, *unarmored_hex),
            Action::Parse { address } => output::print(format, &parse(&config, address)?),
        }
    }
}

fn print_line(text: &str) -> Result<()> {
    output::print_text(&format!("{text}\n"))
}

impl Add {
    fn run(&self, ring: &Keyring, config: &ChainConfig, format: Format) -> Result<Value> {
        ring::check_name(&self.name)?;
        let words = Zeroizing::new(if self.recover {
            prompt("the words, in one line");
            read_line()?
        } else {
            new_mnemonic()?
        });
        let secret = Secret::from_mnemonic(self.path.key_type, &words, &self.path.path(config)?)?;
        let record = if self.dry_run {
            Record::new(&self.name, &secret, None)?
        } else {
            let pass = ring.passphrase(true)?;
            ring.add(&self.name, &secret, pass.as_deref().map(String::as_str))?
        };
        let mut shown = key_json(config, &record)?;
        if !self.recover && !self.no_backup {
            shown["mnemonic"] = words.as_str().into();
            if format == Format::Text {
                eprintln!("write the mnemonic down and keep it safe: it is the only way to recover the key");
            }
        }
        Ok(shown)
    }
}

impl Import {
    fn run(&self, ring: &Keyring, config: &ChainConfig) -> Result<Value> {
        ring::check_name(&self.name)?;
        let text = Zeroizing::new(self.read()?);
        let text = text.trim();
        let secret = if text.starts_with('{') {
            let record = ring::parse_export(text)?;
            record.secret(|| ring::ask_passphrase("passphrase of the export", false))?
        } else if text.contains(char::is_whitespace) {
            Secret::from_mnemonic(self.path.key_type, text, &self.path.path(config)?)?
        } else {
            Secret::from_hex(self.path.key_type, text)?
        };
        let pass = ring.passphrase(true)?;
        key_json(
            config,
            &ring.add(&self.name, &secret, pass.as_deref().map(String::as_str))?,
        )
    }
    fn read(&self) -> Result<String> {
        let Some(given) = &self.secret else {
            prompt("the private key in hex, or the words, in one line");
            return read_line();
        };
        // Neither hex digits nor several words: a file.
        let hex = given.strip_prefix("0x").unwrap_or(given);
        if given.contains(char::is_whitespace)
            || !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit())
        {
            return Ok(given.clone());
        }
        read_limited(given)
    }
}

// Exports are below 1 KiB.
const IMPORT_BYTES_MAX: u64 = 64 * 1024;

fn read_limited(path: &str) -> Result<String> {
    let file = std::fs::File::open(path).with_context(|| format!("read {path}"))?;
    let mut text = String::new();
    file.take(IMPORT_BYTES_MAX)
        .read_to_string(&mut text)
        .with_context(|| format!("read {path}"))?;
    Ok(text)
}

fn prompt(what: &str) {
    use std::io::IsTerminal as _;
    if std::io::stdin().is_terminal() {
        eprint!("{what}: ");
    }
}

fn read_line() -> Result<String> {
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .context("read standard input")?;
    if line.trim().is_empty() {
        bail!("nothing came in on standard input");
    }
    Ok(line)
}

impl Show {
    fn run(&self, ring: &Keyring, config: &ChainConfig, format: Format) -> Result<()> {
        let record = ring.find(&config.bech32_prefix, &self.key)?;
        let prefix = match self.bech {
            Bech::Acc => config.bech32_prefix.clone(),
            Bech::Val => config.valoper_prefix(),
            Bech::Cons => config.valcons_prefix(),
        };
        let bech32 = bech32_encode(&prefix, record.address.as_slice());
        if self.address {
            return print_line(&bech32);
        }
        if self.hex {
            return print_line(&record.address.to_string());
        }
        if self.pubkey {
            return print_line(&public_json(&record.public()?).to_string());
        }
        let mut shown = key_json(config, &record)?;
        shown["address"] = bech32.into();
        output::print(format, &shown)
    }
}

fn delete(ring: &Keyring, config: &ChainConfig, keys: &[String], yes: bool) -> Result<()> {
    let records = keys
        .iter()
        .map(|k| ring.find(&config.bech32_prefix, k))
        .collect::<Result<Vec<_>>>()?;
    for record in records {
        if !yes && !crate::tx::confirm(&format!("forget the key {} of {}", record.name, record.address))? {
            bail!("{} is kept", record.name);
        }
        ring.delete(&record.name)?;
        eprintln!("{} is forgotten", record.name);
    }
    Ok(())
}

fn export(ring: &Keyring, config: &ChainConfig, key: &str, plain: bool) -> Result<()> {
    let record = ring.find(&config.bech32_prefix, key)?;
    let secret = record.secret(|| {
        Ok(ring
            .passphrase(false)?
            .unwrap_or_else(|| Zeroizing::new(String::new())))
    })?;
    if plain {
        return print_line(&hex::encode(secret.bytes()));
    }
    let pass = ring::ask_passphrase("passphrase for the export", true)?;
    print_line(&serde_json::to_string_pretty(&Record::new(
        &record.name,
        &secret,
        Some(&pass),
    )?)?)
}

fn parse(config: &ChainConfig, text: &str) -> Result<Value> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let (human, bytes) = match hex::decode(digits) {
        Ok(bytes) => (config.bech32_prefix.clone(), bytes),
        Err(_) => match text.rsplit_once('1') {
            Some((prefix, _)) => (prefix.to_owned(), types::bech32_decode(prefix, text)?),
            None => bail!("invalid address {text:?}: want hex or bech32"),
        },
    };
    if bytes.is_empty() || bytes.len() > 64 {
        bail!("invalid address {text:?}: {} bytes, want 1 to 64", bytes.len());
    }
    let mut shown = json!({ "human": human, "bytes": hex::encode_upper(&bytes) });
    if let Ok(address) = Address::try_from(bytes.as_slice()) {
        let spelled = Spelled::new(config, &address);
        debug_assert!(parse_account(&config.bech32_prefix, &spelled.bech32).is_ok());
        shown["evm_address"] = spelled.hex.into();
    }
    let prefixes = [
        config.bech32_prefix.clone(),
        config.valoper_prefix(),
        config.valcons_prefix(),
    ];
    shown["formats"] = prefixes
        .iter()
        .map(|p| bech32_encode(p, &bytes))
        .collect::<Vec<_>>()
        .into();
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_parses_from_any_spelling() {
        let config = ChainConfig::braid();
        let want = parse(&config, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266").unwrap();
        assert_eq!(want["evm_address"], "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        for spelling in want["formats"].as_array().unwrap() {
            let parsed = parse(&config, spelling.as_str().unwrap()).unwrap();
            assert_eq!(parsed["bytes"], want["bytes"]);
        }
        for bad in ["", "0x", "zz", "braid1qqqq", &"11".repeat(65)] {
            assert!(parse(&config, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn coin_types_follow_the_kind_of_key() {
        let args = |key_type, coin_type, hd_path: Option<&str>| PathArgs {
            key_type,
            coin_type,
            account: 1,
            index: 2,
            hd_path: hd_path.map(Into::into),
        };
        let config = ChainConfig::braid();
        assert_eq!(
            args(KeyKind::Eth, None, None).path(&config).unwrap(),
            "m/44'/60'/1'/0/2"
        );
        assert_eq!(
            args(KeyKind::Cosmos, None, None).path(&config).unwrap(),
            "m/44'/118'/1'/0/2"
        );
        assert_eq!(
            args(KeyKind::Cosmos, Some(60), None).path(&config).unwrap(),
            "m/44'/60'/1'/0/2"
        );
        assert_eq!(
            args(KeyKind::Eth, None, Some("m/0")).path(&config).unwrap(),
            "m/0"
        );
    }
}
