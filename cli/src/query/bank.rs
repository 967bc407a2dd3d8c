//! `braidd query bank`: balances and supply.
use super::ask::{Ask, PageArgs};
use crate::render::{coin, coins, page};
use anyhow::Result;
use clap::Subcommand;
use cosmrs::proto::cosmos::bank::v1beta1::{
    QueryAllBalancesRequest, QueryAllBalancesResponse, QueryBalanceRequest, QueryBalanceResponse,
    QueryTotalSupplyRequest, QueryTotalSupplyResponse,
};
use serde_json::json;

/// What to ask.
#[derive(Debug, Subcommand)]
pub(crate) enum Bank {
    /// All coins of an account.
    Balances {
        /// 0x or bech32 address, or a key's name.
        address: String,
        #[command(flatten)]
        page: PageArgs,
    },
    /// One coin of an account.
    Balance {
        /// 0x or bech32 address, or a key's name.
        address: String,
        /// Denomination [default: the chain's].
        denom: Option<String>,
    },
    /// How much there is of everything.
    #[command(alias = "total")]
    TotalSupply {
        #[command(flatten)]
        page: PageArgs,
    },
}

impl Bank {
    /// Runs it.
    pub(crate) async fn run(&self, ask: &Ask) -> Result<()> {
        match self {
            Self::Balances { address, page: which } => {
                let address = ask.account(address)?;
                let pagination = which.request()?;
                let request = QueryAllBalancesRequest {
                    address,
                    pagination,
                    ..QueryAllBalancesRequest::default()
                };
                let r: QueryAllBalancesResponse = ask
                    .get("/cosmos.bank.v1beta1.Query/AllBalances", &request)
                    .await?;
                ask.print(
                    &json!({ "balances": coins(&r.balances), "pagination": page(r.pagination.as_ref()) }),
                )
            }
            Self::Balance { address, denom } => {
                let denom = denom.as_ref().unwrap_or(&ask.chain.config.base_denom).clone();
                let request = QueryBalanceRequest {
                    address: ask.account(address)?,
                    denom,
                };
                let r: QueryBalanceResponse = ask.get("/cosmos.bank.v1beta1.Query/Balance", &request).await?;
                ask.print(&json!({ "balance": r.balance.as_ref().map(coin) }))
            }
            Self::TotalSupply { page: which } => {
                let request = QueryTotalSupplyRequest {
                    pagination: which.request()?,
                };
                let r: QueryTotalSupplyResponse = ask
                    .get("/cosmos.bank.v1beta1.Query/TotalSupply", &request)
                    .await?;
                ask.print(&json!({ "supply": coins(&r.supply), "pagination": page(r.pagination.as_ref()) }))
            }
        }
    }
}
