//! What every query needs: the node, the chain's names, pages.
use super::QueryFlags;
use crate::chain::{self, Chain};
use crate::client::Client;
use crate::home::HomeArgs;
use crate::keys::{Keyring, parse_account};
use crate::output::{self, Format};
use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cosmrs::proto::cosmos::base::query::v1beta1::PageRequest;
use prost::Message;
use serde_json::Value;
use types::{Address, bech32_address, bech32_encode};

/// One query's surroundings.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The node.
    pub(crate) client: Client,
    /// The chain's names.
    pub(crate) chain: Chain,
    ring: Keyring,
    height: Option<u64>,
    format: Format,
}

/// Which part of a long answer.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Pages")]
pub(crate) struct PageArgs {
    /// Entries at most.
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u64,
    /// Entries to leave out.
    #[arg(long, default_value_t = 0, value_name = "N")]
    offset: u64,
    /// Where to go on: the answer's `next_key`.
    #[arg(long, value_name = "BASE64", conflicts_with = "offset")]
    page_key: Option<String>,
    /// Count all entries.
    #[arg(long)]
    count_total: bool,
    /// From the end.
    #[arg(long)]
    reverse: bool,
}

impl PageArgs {
    /// As protobuf.
    pub(crate) fn request(&self) -> Result<Option<PageRequest>> {
        let key = match &self.page_key {
            Some(text) => STANDARD
                .decode(text)
                .with_context(|| format!("page key {text:?}"))?,
            None => Vec::new(),
        };
        Ok(Some(PageRequest {
            key,
            offset: self.offset,
            limit: self.limit,
            count_total: self.count_total,
            reverse: self.reverse,
        }))
    }
}

impl Ask {
    /// Reads the home and asks the node for the chain's names.
    pub(crate) async fn open(home: &HomeArgs, flags: &QueryFlags) -> Result<Self> {
        let home = home.dir()?;
        let client = flags.node.client(&home)?;
        let chain = chain::of_node(&home, &client, None).await?;
        let format = flags.output.format(home.client_config()?.output.as_deref())?;
        // Names of keys stand for their addresses; none needs a passphrase for that.
        let ring = crate::keys::KeyringArgs::default().open(&home)?;
        Ok(Self {
            client,
            chain,
            ring,
            height: flags.height,
            format,
        })
    }
    /// A query at the height asked for.
    pub(crate) async fn get<Q: Message, R: Message + Default>(&self, path: &str, request: &Q) -> Result<R> {
        self.client.query(path, request, self.height).await
    }
    /// An account in either spelling, or a key's name, as bytes.
    pub(crate) fn address(&self, text: &str) -> Result<Address> {
        let prefix = &self.chain.config.bech32_prefix;
        match parse_account(prefix, text) {
            Ok(address) => Ok(address),
            Err(e) => self.ring.find(prefix, text).map(|r| r.address).map_err(|_| e),
        }
    }
    /// An account in bech32, however it was named.
    pub(crate) fn account(&self, text: &str) -> Result<String> {
        Ok(bech32_address(
            &self.chain.config.bech32_prefix,
            &self.address(text)?,
        ))
    }
    /// An operator in bech32, however it was named.
    pub(crate) fn valoper(&self, text: &str) -> Result<String> {
        Ok(bech32_encode(
            &self.chain.config.valoper_prefix(),
            self.address(text)?.as_slice(),
        ))
    }
    /// Prints a value.
    pub(crate) fn print(&self, value: &Value) -> Result<()> {
        output::print(self.format, value)
    }
}
