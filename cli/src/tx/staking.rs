//! `braidd tx staking`: bond coins to validators.
use super::bank::proto_coin;
use super::native;
use super::session::Session;
use crate::home::read_optional;
use crate::{amount, messages};
use anyhow::{Context as _, Result, anyhow, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Subcommand;
use cosmrs::proto::cosmos::crypto::ed25519::PubKey;
use cosmrs::proto::cosmos::staking::v1beta1::{
    CommissionRates, Description, MsgCreateValidator, MsgDelegate, MsgUndelegate,
};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use types::{Coin, Dec, U256};

/// What to do with stake.
#[derive(Debug, Subcommand)]
pub(crate) enum Staking {
    /// Bond coins to a validator.
    Delegate {
        /// Operator's address (…valoper1…), or its account in either spelling.
        validator: String,
        /// Such as 1.5braid.
        amount: String,
    },
    /// Take coins back; they are paid out after the unbonding time.
    Unbond {
        /// Operator's address (…valoper1…), or its account in either spelling.
        validator: String,
        /// Such as 1.5braid.
        amount: String,
    },
    /// Become a validator, as the JSON file says.
    CreateValidator {
        /// The SDK's validator.json: pubkey (this home's if absent), amount, moniker, commission-rate, …
        file: PathBuf,
    },
}

impl Staking {
    /// Runs it.
    pub(crate) async fn run(&self, session: &Session) -> Result<()> {
        let signer = session.signer(None)?;
        let me = session.bech32(&signer.address);
        let stake = |text: &str| -> Result<Coin> {
            let coin = amount::parse_coin(session.config(), text)?;
            if coin.amount.is_zero() {
                bail!("invalid amount {text:?}: want more than zero");
            }
            Ok(coin)
        };
        let message = match self {
            Self::Delegate { validator, amount } => messages::any(&MsgDelegate {
                delegator_address: me,
                validator_address: session.valoper(&session.account(validator)?),
                amount: Some(proto_coin(&stake(amount)?)),
            }),
            Self::Unbond { validator, amount } => messages::any(&MsgUndelegate {
                delegator_address: me,
                validator_address: session.valoper(&session.account(validator)?),
                amount: Some(proto_coin(&stake(amount)?)),
            }),
            Self::CreateValidator { file } => {
                let wanted = ValidatorFile::read(file)?;
                let key = match &wanted.pubkey {
                    Some(key) => key.bytes()?,
                    None => home_key(&session.home.config("priv_validator_key.json"))?,
                };
                let value = stake(&wanted.amount)?;
                messages::any(&wanted.message(key, session.valoper(&signer.address), &value)?)
            }
        };
        native::run(session, &signer, vec![message]).await
    }
}

/// The SDK's `validator.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ValidatorFile {
    pubkey: Option<KeyFile>,
    amount: String,
    moniker: String,
    #[serde(default)]
    identity: String,
    #[serde(default)]
    website: String,
    #[serde(default)]
    security: String,
    #[serde(default)]
    details: String,
    #[serde(default = "ten_percent")]
    commission_rate: String,
    #[serde(default = "twenty_percent")]
    commission_max_rate: String,
    #[serde(default = "one_percent")]
    commission_max_change_rate: String,
    #[serde(default = "one")]
    min_self_delegation: String,
}

#[derive(Debug, Deserialize)]
struct KeyFile {
    #[serde(rename = "@type")]
    kind: String,
    key: String,
}

// The SDK's defaults (x/staking/client/cli).
fn ten_percent() -> String {
    "0.1".into()
}
fn twenty_percent() -> String {
    "0.2".into()
}
fn one_percent() -> String {
    "0.01".into()
}
fn one() -> String {
    "1".into()
}

fn ed25519(text: &str) -> Result<Vec<u8>> {
    let key = STANDARD
        .decode(text)
        .with_context(|| format!("public key {text:?}"))?;
    if key.len() != 32 {
        bail!("public key {text:?}: {} bytes, want 32", key.len());
    }
    Ok(key)
}

impl KeyFile {
    fn bytes(&self) -> Result<Vec<u8>> {
        if self.kind != "/cosmos.crypto.ed25519.PubKey" {
            bail!(
                "public key of type {:?}: validators sign with /cosmos.crypto.ed25519.PubKey",
                self.kind
            );
        }
        ed25519(&self.key)
    }
}

fn home_key(path: &Path) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    struct File {
        pub_key: Key,
    }
    #[derive(Deserialize)]
    struct Key {
        value: String,
    }
    let text = read_optional(path)?;
    let text = text.ok_or_else(|| anyhow!("no pubkey in the file, and no {}", path.display()))?;
    let file: File = serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
    ed25519(&file.pub_key.value)
}

impl ValidatorFile {
    fn read(path: &Path) -> Result<Self> {
        let text = read_optional(path)?.ok_or_else(|| anyhow!("no file {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{}", path.display()))
    }
    fn message(&self, key: Vec<u8>, operator: String, value: &Coin) -> Result<MsgCreateValidator> {
        let rate = |name: &str, text: &str| -> Result<String> {
            let dec: Dec = text.parse().map_err(|e| anyhow!("{name}: {e}"))?;
            Ok(dec.raw().to_string())
        };
        let least = &self.min_self_delegation;
        least
            .parse::<U256>()
            .map_err(|_| anyhow!("min-self-delegation {least:?}: want an integer"))?;
        Ok(MsgCreateValidator {
            description: Some(Description {
                moniker: self.moniker.clone(),
                identity: self.identity.clone(),
                website: self.website.clone(),
                security_contact: self.security.clone(),
                details: self.details.clone(),
            }),
            commission: Some(CommissionRates {
                rate: rate("commission-rate", &self.commission_rate)?,
                max_rate: rate("commission-max-rate", &self.commission_max_rate)?,
                max_change_rate: rate("commission-max-change-rate", &self.commission_max_change_rate)?,
            }),
            min_self_delegation: least.clone(),
            validator_address: operator,
            pubkey: Some(messages::any(&PubKey { key })),
            value: Some(proto_coin(value)),
            ..MsgCreateValidator::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdks_validator_file_is_read() {
        let text = r#"{"pubkey":{"@type":"/cosmos.crypto.ed25519.PubKey","key":"oWg2ISpLF405Jcm2vXV+2v4fnjodh6aafuIdeoW+rUw="},
            "amount":"1braid","moniker":"m","identity":"i","website":"w","security":"s","details":"d",
            "commission-rate":"0.1","commission-max-rate":"0.2","commission-max-change-rate":"0.01","min-self-delegation":"1"}"#;
        let file: ValidatorFile = serde_json::from_str(text).unwrap();
        let key = file.pubkey.as_ref().unwrap().bytes().unwrap();
        let message = file
            .message(key, "braidvaloper1x".into(), &Coin::new(U256::from(7), "abraid"))
            .unwrap();
        assert_eq!(message.commission.unwrap().rate, "100000000000000000");
        assert_eq!(message.description.unwrap().security_contact, "s");
        assert_eq!(message.pubkey.unwrap().type_url, "/cosmos.crypto.ed25519.PubKey");
        assert!(serde_json::from_str::<ValidatorFile>(&text.replace("moniker", "monicker")).is_err());
        let odd = KeyFile {
            kind: "/cosmos.crypto.secp256k1.PubKey".into(),
            key: String::new(),
        };
        assert!(odd.bytes().is_err());
        assert!(ed25519("AAAA").unwrap_err().to_string().contains("3 bytes"));
    }

    #[test]
    fn bad_rates_are_named() {
        let text = r#"{"amount":"1braid","moniker":"m","commission-rate":"ten"}"#;
        let file: ValidatorFile = serde_json::from_str(text).unwrap();
        let error = file
            .message(vec![0; 32], String::new(), &Coin::new(U256::from(7), "abraid"))
            .unwrap_err();
        assert!(error.to_string().contains("commission-rate"), "{error}");
    }
}
