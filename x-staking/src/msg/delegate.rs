//! MsgDelegate: put coins on a validator.
use super::{Native, coin, delegator, operator, response, stake_access};
use crate::stake::{Source, existing};
use crate::{errors, stake};
use cosmrs::proto::cosmos::staking::v1beta1::{MsgDelegate, MsgDelegateResponse};
use module::{BlockContext, Message, Response, Result, TxContext};
use state::{Access, StateRead};
use types::{Address, ChainConfig, Coin, Event};

pub(super) const URL: &str = "/cosmos.staking.v1beta1.MsgDelegate";

impl Native<MsgDelegate> {
    fn parse(&self, config: &ChainConfig) -> Result<(Address, Address, Coin)> {
        let operator = operator(config, &self.msg.validator_address)?;
        let delegator = delegator(config, &self.msg.delegator_address)?;
        let coin =
            coin(self.msg.amount.as_ref()).ok_or_else(|| errors::request("invalid delegation amount"))?;
        Ok((delegator, operator, coin))
    }
}

impl Message for Native<MsgDelegate> {
    fn type_url(&self) -> &'static str {
        URL
    }
    fn validate(&self, config: &ChainConfig) -> Result<()> {
        self.parse(config).map(drop)
    }
    fn signers(&self, config: &ChainConfig) -> Result<Vec<Address>> {
        Ok(vec![delegator(config, &self.msg.delegator_address)?])
    }
    fn access(&self, block: &BlockContext, state: &dyn StateRead) -> Access {
        let who = (
            self.msg.delegator_address.as_str(),
            self.msg.validator_address.as_str(),
        );
        let mut access = stake_access(&*self.hooks, state, &block.config, who, false);
        if let Ok((delegator, _, coin)) = self.parse(&block.config) {
            access.writes.push(x_bank::balance_key(&delegator, &coin.denom));
        }
        access
    }
    fn amino_json(&self) -> Option<serde_json::Value> {
        super::amino::delegate(&self.msg)
    }
    fn gas(&self) -> u64 {
        120_000
    }
    fn execute(&self, ctx: &mut TxContext<'_>) -> Result<Response> {
        let (delegator, operator, coin) = self.parse(&ctx.block.config)?;
        let mut v = existing(ctx, &operator)?;
        let params = crate::params(ctx.state.as_scan())?;
        if coin.denom != params.bond_denom {
            return Err(errors::denom(&coin.denom, &params.bond_denom));
        }
        let shares = stake::delegate(ctx, &*self.hooks, &delegator, &mut v, &coin, Source::Balance)?;
        ctx.events.push(Event::new(
            "delegate",
            [
                ("validator", self.msg.validator_address.clone()),
                ("delegator", self.msg.delegator_address.clone()),
                ("amount", coin.to_string()),
                ("new_shares", shares.to_string()),
            ],
        ));
        Ok(response(
            "/cosmos.staking.v1beta1.MsgDelegateResponse",
            &MsgDelegateResponse {},
        ))
    }
}
