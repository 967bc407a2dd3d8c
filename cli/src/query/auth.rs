//! `braidd query auth`: accounts.
use super::ask::Ask;
use crate::keys::Spelled;
use crate::render;
use anyhow::{Context as _, Result};
use clap::Subcommand;
use cosmrs::proto::cosmos::auth::v1beta1::{QueryAccountRequest, QueryAccountResponse};
use serde_json::json;

/// What to ask.
#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// An account's number, sequence (nonce) and public key.
    Account {
        /// 0x or bech32 address, or a key's name.
        address: String,
    },
}

impl Auth {
    /// Runs it.
    pub(crate) async fn run(&self, ask: &Ask) -> Result<()> {
        let Self::Account { address } = self;
        let who = ask.address(address)?;
        let request = QueryAccountRequest {
            address: ask.account(address)?,
        };
        let r: QueryAccountResponse = ask.get("/cosmos.auth.v1beta1.Query/Account", &request).await?;
        let account = render::account(&r.account.context("the node's answer names no account")?);
        ask.print(&json!({ "account": account, "evm_address": Spelled::new(&ask.chain.config, &who).hex }))
    }
}
