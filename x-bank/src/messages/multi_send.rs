//! `MsgMultiSend`: coins from one account to many.
use super::{GAS_PER_COIN, address, check_recipient, debit_all, send_enabled_access, sum, valid_coins};
use crate::{balance_key, credit, events, params};
use cosmrs::proto::cosmos::bank::v1beta1::MsgMultiSend;
use module::{BlockContext, Error, Message, Response, Result, TxContext, decode_strict, from_proto_coins};
use state::{Access, StateRead};
use std::{collections::BTreeSet, sync::Arc};
use types::{Address, ChainConfig, Coin};

#[derive(Clone, Debug)]
pub(crate) struct MultiSend {
    inputs: Vec<Part>,
    outputs: Vec<Part>,
    blocked: Arc<BTreeSet<Address>>,
}

/// One side of a transfer.
#[derive(Clone, Debug)]
struct Part {
    address: String,
    coins: Vec<Coin>,
}

impl Part {
    fn check(&self, what: &str, config: &ChainConfig) -> Result<()> {
        address(config, what, &self.address)?;
        valid_coins(&self.coins)
    }
}

impl MultiSend {
    pub(crate) const TYPE_URL: &str = "/cosmos.bank.v1beta1.MsgMultiSend";

    pub(crate) fn decode(value: &[u8], blocked: Arc<BTreeSet<Address>>) -> Result<Self> {
        let message: MsgMultiSend = decode_strict("MsgMultiSend", value)?;
        let mut inputs = Vec::with_capacity(message.inputs.len());
        for input in message.inputs {
            inputs.push(Part {
                coins: from_proto_coins(&input.coins)?,
                address: input.address,
            });
        }
        let mut outputs = Vec::with_capacity(message.outputs.len());
        for output in message.outputs {
            outputs.push(Part {
                coins: from_proto_coins(&output.coins)?,
                address: output.address,
            });
        }
        Ok(Self {
            inputs,
            outputs,
            blocked,
        })
    }
    /// The one sender and what it sends.
    fn input(&self, config: &ChainConfig) -> Result<(Address, &Part)> {
        match self.inputs.as_slice() {
            [] => Err(Error::module("bank", 2, "no inputs to send transaction")),
            [input] => Ok((address(config, "input", &input.address)?, input)),
            _ => Err(Error::module("bank", 9, "multiple senders not allowed")),
        }
    }
    fn recipients(&self, config: &ChainConfig) -> Result<Vec<Address>> {
        self.outputs
            .iter()
            .map(|o| address(config, "output", &o.address))
            .collect()
    }
}

impl Message for MultiSend {
    fn type_url(&self) -> &'static str {
        Self::TYPE_URL
    }
    fn validate(&self, config: &ChainConfig) -> Result<()> {
        let (_, input) = self.input(config)?;
        if self.outputs.is_empty() {
            return Err(Error::module("bank", 3, "no outputs to send transaction"));
        }
        input.check("input", config)?;
        self.outputs.iter().try_for_each(|o| o.check("output", config))?;
        let (sent, received) = (sum(&input.coins), sum(self.outputs.iter().flat_map(|o| &o.coins)));
        if sent.is_none() || sent != received {
            return Err(Error::module("bank", 4, "sum inputs != sum outputs"));
        }
        Ok(())
    }
    fn signers(&self, config: &ChainConfig) -> Result<Vec<Address>> {
        Ok(vec![self.input(config)?.0])
    }
    fn access(&self, block: &BlockContext, _state: &dyn StateRead) -> Access {
        let mut access = Access {
            complete: true,
            ..Access::default()
        };
        if let (Ok((from, input)), Ok(to)) = (self.input(&block.config), self.recipients(&block.config)) {
            send_enabled_access(&mut access, &input.coins);
            access
                .writes
                .extend(input.coins.iter().map(|c| balance_key(&from, &c.denom)));
            for (to, output) in to.iter().zip(&self.outputs) {
                access
                    .adds
                    .extend(output.coins.iter().map(|c| balance_key(to, &c.denom)));
            }
        }
        access
    }
    fn gas(&self) -> u64 {
        let coins: u64 = self
            .inputs
            .iter()
            .chain(&self.outputs)
            .map(|p| p.coins.len() as u64)
            .sum();
        GAS_PER_COIN.saturating_mul(coins)
    }
    fn amino_json(&self) -> Option<serde_json::Value> {
        let part =
            |p: &Part| serde_json::json!({ "address": p.address, "coins": x_auth::amino::coins(&p.coins) });
        Some(serde_json::json!({
            "type": "cosmos-sdk/MsgMultiSend",
            "value": {
                "inputs": self.inputs.iter().map(part).collect::<Vec<_>>(),
                "outputs": self.outputs.iter().map(part).collect::<Vec<_>>(),
            },
        }))
    }
    fn execute(&self, ctx: &mut TxContext<'_>) -> Result<Response> {
        let config = &ctx.block.config;
        let (from, input) = self.input(config)?;
        let recipients = self.recipients(config)?;
        params::check_send_enabled(ctx.state.as_scan(), &input.coins)?;
        for (to, output) in recipients.iter().zip(&self.outputs) {
            check_recipient(&self.blocked, to, &output.address)?;
        }
        debit_all(ctx.state, &from, &input.coins)?;
        ctx.events.push(events::coin_spent(config, &from, &input.coins));
        ctx.events.push(events::message_sender(config, &from));
        for (to, output) in recipients.iter().zip(&self.outputs) {
            output.coins.iter().for_each(|coin| credit(ctx.state, to, coin));
            ctx.events.push(events::coin_received(config, to, &output.coins));
            ctx.events
                .push(events::transferred(config, &from, to, &output.coins));
        }
        Ok(Response {
            type_url: "/cosmos.bank.v1beta1.MsgMultiSendResponse",
            value: Vec::new(),
        })
    }
}
