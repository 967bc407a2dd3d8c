//! `MsgSend`: coins from one account to another.
use super::{GAS_PER_COIN, address, check_recipient, debit_all, send_enabled_access, valid_coins};
use crate::{balance_key, credit, events, params};
use cosmrs::proto::cosmos::bank::v1beta1::MsgSend;
use module::{BlockContext, Message, Response, Result, TxContext, decode_strict, from_proto_coins};
use state::{Access, StateRead};
use std::{collections::BTreeSet, sync::Arc};
use types::{Address, ChainConfig, Coin};

#[derive(Clone, Debug)]
pub(crate) struct Send {
    message: MsgSend,
    amount: Vec<Coin>,
    blocked: Arc<BTreeSet<Address>>,
}

impl Send {
    pub(crate) const TYPE_URL: &str = "/cosmos.bank.v1beta1.MsgSend";

    pub(crate) fn decode(value: &[u8], blocked: Arc<BTreeSet<Address>>) -> Result<Self> {
        let message: MsgSend = decode_strict("MsgSend", value)?;
        let amount = from_proto_coins(&message.amount)?;
        Ok(Self {
            message,
            amount,
            blocked,
        })
    }
    fn from(&self, config: &ChainConfig) -> Result<Address> {
        address(config, "from", &self.message.from_address)
    }
    fn to(&self, config: &ChainConfig) -> Result<Address> {
        address(config, "to", &self.message.to_address)
    }
}

impl Message for Send {
    fn type_url(&self) -> &'static str {
        Self::TYPE_URL
    }
    fn validate(&self, config: &ChainConfig) -> Result<()> {
        self.from(config)?;
        self.to(config)?;
        valid_coins(&self.amount)
    }
    fn signers(&self, config: &ChainConfig) -> Result<Vec<Address>> {
        Ok(vec![self.from(config)?])
    }
    fn access(&self, block: &BlockContext, _state: &dyn StateRead) -> Access {
        let mut access = Access {
            complete: true,
            ..Access::default()
        };
        if let (Ok(from), Ok(to)) = (self.from(&block.config), self.to(&block.config)) {
            send_enabled_access(&mut access, &self.amount);
            access
                .writes
                .extend(self.amount.iter().map(|c| balance_key(&from, &c.denom)));
            access
                .adds
                .extend(self.amount.iter().map(|c| balance_key(&to, &c.denom)));
        }
        access
    }
    fn gas(&self) -> u64 {
        GAS_PER_COIN.saturating_mul(2 * self.amount.len() as u64)
    }
    fn amino_json(&self) -> Option<serde_json::Value> {
        Some(serde_json::json!({
            "type": "cosmos-sdk/MsgSend",
            "value": {
                "from_address": self.message.from_address,
                "to_address": self.message.to_address,
                "amount": x_auth::amino::coins(&self.amount),
            },
        }))
    }
    fn execute(&self, ctx: &mut TxContext<'_>) -> Result<Response> {
        let config = &ctx.block.config;
        let (from, to) = (self.from(config)?, self.to(config)?);
        params::check_send_enabled(ctx.state.as_scan(), &self.amount)?;
        check_recipient(&self.blocked, &to, &self.message.to_address)?;
        debit_all(ctx.state, &from, &self.amount)?;
        self.amount.iter().for_each(|coin| credit(ctx.state, &to, coin));
        ctx.events
            .extend(events::payment(config, &from, &to, &self.amount));
        Ok(Response {
            type_url: "/cosmos.bank.v1beta1.MsgSendResponse",
            value: Vec::new(),
        })
    }
}
