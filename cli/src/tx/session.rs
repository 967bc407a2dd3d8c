//! What every `tx` command needs: the chain, the keyring, the node.
use super::flags::{BroadcastMode, TxFlags};
use crate::chain::{self, Chain};
use crate::client::Client;
use crate::home::{Home, HomeArgs};
use crate::keys::{Keyring, Record, Secret, parse_account};
use crate::output::{self, Format};
use crate::{render, response};
use anyhow::{Context as _, Result, bail};
use cosmrs::proto::cosmos::auth::v1beta1::{
    BaseAccount, ModuleAccount, QueryAccountRequest, QueryAccountResponse,
};
use prost::Message as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use types::{Address, ChainConfig, bech32_address, bech32_encode};
use zeroize::Zeroizing;

/// One command's surroundings.
#[derive(Debug)]
pub(crate) struct Session {
    /// The command's flags.
    pub(crate) flags: TxFlags,
    /// The home.
    pub(crate) home: Home,
    /// The chain's names.
    pub(crate) chain: Chain,
    /// The node, unless offline.
    pub(crate) client: Option<Client>,
    ring: Keyring,
    format: Format,
    mode: BroadcastMode,
}

/// Who signs.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    /// The account.
    pub(crate) address: Address,
    /// Its key; absent where only an unsigned transaction is wanted.
    pub(crate) record: Option<Record>,
}

/// How often a transaction is built again for the sequence that the node asked for: others may send with the same key.
pub(crate) const SEQUENCE_RETRIES: usize = 10;
/// Between two looks for a transaction.
const POLL: Duration = Duration::from_millis(100);

impl Session {
    /// Reads the home and asks the node for the chain's names.
    pub(crate) async fn open(home: &HomeArgs, flags: &TxFlags) -> Result<Self> {
        let home = home.dir()?;
        let defaults = home.client_config()?;
        let mode = match (flags.broadcast_mode, defaults.broadcast_mode.as_deref()) {
            (Some(mode), _) => mode,
            (None, None | Some("sync")) => BroadcastMode::Sync,
            (None, Some("async")) => BroadcastMode::Async,
            (None, Some(other)) => bail!("client.toml: broadcast-mode {other:?}: want sync or async"),
        };
        let client = if flags.offline {
            None
        } else {
            Some(flags.node.client(&home)?)
        };
        let chain = match &client {
            Some(client) => chain::of_node(&home, client, flags.chain_id.as_deref()).await?,
            None => chain::offline(&home, flags.chain_id.as_deref())?,
        };
        let ring = flags.keyring.open(&home)?;
        let format = flags.output.format(defaults.output.as_deref())?;
        Ok(Self {
            flags: flags.clone(),
            home,
            chain,
            client,
            ring,
            format,
            mode,
        })
    }
    /// The chain's names.
    pub(crate) fn config(&self) -> &ChainConfig {
        &self.chain.config
    }
    /// An account, as the chain's messages spell it.
    pub(crate) fn bech32(&self, address: &Address) -> String {
        bech32_address(&self.config().bech32_prefix, address)
    }
    /// An operator, as the chain's messages spell it.
    pub(crate) fn valoper(&self, address: &Address) -> String {
        bech32_encode(&self.config().valoper_prefix(), address.as_slice())
    }
    /// An account in either spelling, or a key's name.
    pub(crate) fn account(&self, text: &str) -> Result<Address> {
        match parse_account(&self.config().bech32_prefix, text) {
            Ok(address) => Ok(address),
            // Names of keys cannot look like addresses, so what looks like one is a mistyped one.
            Err(e)
                if text.starts_with("0x")
                    || text.starts_with(&format!("{}1", self.config().bech32_prefix)) =>
            {
                Err(e)
            }
            Err(_) => {
                let known = self.ring.find(&self.config().bech32_prefix, text);
                Ok(known
                    .with_context(|| format!("{text:?} is neither an address nor a key"))?
                    .address)
            }
        }
    }
    /// The signer: named in the command, or with `--from`.
    pub(crate) fn signer(&self, named: Option<&str>) -> Result<Signer> {
        let text = match (named, self.flags.from.as_deref()) {
            (Some(a), Some(b)) if self.account(a)? != self.account(b)? => bail!("signs {a} or --from {b}?"),
            (Some(text), _) | (None, Some(text)) => text,
            (None, None) => bail!("who signs? give --from KEY"),
        };
        if self.flags.generate_only {
            return Ok(Signer {
                address: self.account(text)?,
                record: None,
            });
        }
        let record = self.ring.find(&self.config().bech32_prefix, text)?;
        Ok(Signer {
            address: record.address,
            record: Some(record),
        })
    }
    /// The signer's private key; asks for a passphrase where it is sealed.
    pub(crate) fn secret(&self, record: &Record) -> Result<Secret> {
        record.secret(|| {
            Ok(self
                .ring
                .passphrase(false)?
                .unwrap_or_else(|| Zeroizing::new(String::new())))
        })
    }
    /// The node.
    pub(crate) fn online(&self) -> Result<&Client> {
        self.client.as_ref().context("--offline asks no node")
    }
    /// Account number and sequence: the flags, else the chain's.
    pub(crate) async fn account_numbers(&self, who: &Address) -> Result<(u64, u64)> {
        let (number, sequence) = (self.flags.account_number, self.flags.sequence);
        if let (Some(number), Some(sequence)) = (number, sequence) {
            return Ok((number, sequence));
        }
        let Some(client) = &self.client else {
            bail!("offline: give --account-number and --sequence")
        };
        let (n, s) = fetch_account(client, &self.bech32(who)).await?;
        Ok((number.unwrap_or(n), sequence.unwrap_or(s)))
    }
    /// Prints a value.
    pub(crate) fn print(&self, value: &Value) -> Result<()> {
        output::print(self.format, value)
    }
    /// Asks before money moves, unless told not to.
    pub(crate) fn confirm(&self, shown: &Value) -> Result<()> {
        use std::io::IsTerminal as _;
        if self.flags.yes || !std::io::stdin().is_terminal() {
            return Ok(());
        }
        eprint!("{}", output::to_yaml(shown));
        if super::confirm("broadcast this transaction")? {
            Ok(())
        } else {
            bail!("cancelled: nothing was sent")
        }
    }
    /// Broadcasts what `build` makes for a sequence. Where the node expects another sequence, and none was insisted
    /// on, it is built again for that one. Prints the answer, waits if asked to; an error where it failed.
    pub(crate) async fn send(
        &self,
        mut sequence: u64,
        extra: impl Fn(&mut Value, u64),
        build: impl Fn(u64) -> Result<Vec<u8>>,
    ) -> Result<()> {
        let client = self.online()?;
        let mut tx = build(sequence)?;
        let mut answer = client
            .broadcast(tx.clone(), self.mode == BroadcastMode::Sync)
            .await?;
        for _ in 0..SEQUENCE_RETRIES {
            let expected = if answer.code == 32 {
                expected_sequence(&answer.log)
            } else {
                None
            };
            let Some(expected) = expected.filter(|e| self.flags.sequence.is_none() && *e != sequence) else {
                break;
            };
            let again = build(expected)?;
            if again == tx {
                break;
            }
            (sequence, tx) = (expected, again);
            answer = client
                .broadcast(tx.clone(), self.mode == BroadcastMode::Sync)
                .await?;
        }
        let mut shown = response::of_broadcast(&answer);
        if let Some(hash) = response::eth_hash(&tx) {
            shown["eth_hash"] = hash.into();
        }
        if let (Some(seconds), 0) = (self.flags.wait, answer.code) {
            shown = wait_for(client, &tx, Duration::from_secs(seconds)).await?;
        }
        extra(&mut shown, sequence);
        self.print(&shown)?;
        response::check(&shown)
    }
    /// Prints a signed transaction instead of broadcasting it.
    pub(crate) fn print_signed(&self, tx: &[u8]) -> Result<()> {
        let mut shown = serde_json::json!({
            "tx_bytes": render::base64(tx),
            "txhash": hex::encode_upper(Sha256::digest(tx)),
            "tx": response::tx_json(tx),
        });
        if let Some(hash) = response::eth_hash(tx) {
            shown["eth_hash"] = hash.into();
        }
        self.print(&shown)
    }
}

async fn wait_for(client: &Client, tx: &[u8], longest: Duration) -> Result<Value> {
    let hash: [u8; 32] = Sha256::digest(tx).into();
    let start = std::time::Instant::now();
    loop {
        if let Some(found) = client.tx(hash).await? {
            return included(client, &found).await;
        }
        if start.elapsed() >= longest {
            bail!(
                "transaction {} is in no block after {} s; it may still come: braidd query tx <hash>",
                hex::encode_upper(hash),
                longest.as_secs()
            );
        }
        tokio::time::sleep(POLL).await;
    }
}

/// An included transaction with its block's time.
pub(crate) async fn included(client: &Client, tx: &tendermint_rpc::endpoint::tx::Response) -> Result<Value> {
    let block = client.block(Some(tx.height.value())).await?;
    Ok(response::of_included(tx, &block.block.header.time.to_rfc3339()))
}

async fn fetch_account(client: &Client, address: &str) -> Result<(u64, u64)> {
    let request = QueryAccountRequest {
        address: address.into(),
    };
    let path = "/cosmos.auth.v1beta1.Query/Account";
    let answer: QueryAccountResponse = match client.query(path, &request, None).await {
        Err(e)
            if e.downcast_ref::<crate::client::Refused>()
                .is_some_and(|r| r.log.contains("not found")) =>
        {
            bail!("the account {address} does not exist: it has never received anything")
        }
        other => other?,
    };
    let any = answer.account.context("the node's answer names no account")?;
    let base = match any.type_url.as_str() {
        "/cosmos.auth.v1beta1.ModuleAccount" => ModuleAccount::decode(any.value.as_slice())?
            .base_account
            .unwrap_or_default(),
        _ => BaseAccount::decode(any.value.as_slice())
            .with_context(|| format!("account of type {}", any.type_url))?,
    };
    Ok((base.account_number, base.sequence))
}

/// The sequence a node asked for: the SDK's words, or geth's.
pub(crate) fn expected_sequence(log: &str) -> Option<u64> {
    let after = |mark: &str| log.split_once(mark).map(|(_, rest)| rest);
    let rest = after("expected ").or_else(|| after("next nonce "))?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .map_or(rest, |end| &rest[..end]);
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_sequence_is_read_from_both_dialects() {
        let sdk = "account sequence mismatch, expected 12, got 10: incorrect account sequence";
        assert_eq!(expected_sequence(sdk), Some(12));
        assert_eq!(
            expected_sequence("nonce too low: next nonce 7, tx nonce 3"),
            Some(7)
        );
        assert_eq!(expected_sequence("insufficient funds"), None);
        assert_eq!(expected_sequence("expected many"), None);
    }
}
