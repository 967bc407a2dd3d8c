//! MsgCancelUnbondingDelegation: put coins that are unbonding back on their validator.
use super::{Native, coin, delegator, operator, response, stake_access};
use crate::records::unbonding;
use crate::stake::{Source, existing};
use crate::validator::Status;
use crate::{errors, keys, stake};
use cosmrs::proto::cosmos::staking::v1beta1::{
    MsgCancelUnbondingDelegation, MsgCancelUnbondingDelegationResponse,
};
use module::{BlockContext, Error, Message, Response, Result, TxContext};
use state::{Access, StateRead};
use types::{Address, ChainConfig, Coin, Event};

pub(super) const URL: &str = "/cosmos.staking.v1beta1.MsgCancelUnbondingDelegation";

impl Native<MsgCancelUnbondingDelegation> {
    fn parse(&self, config: &ChainConfig) -> Result<(Address, Address, Coin)> {
        let operator = operator(config, &self.msg.validator_address)?;
        let delegator = delegator(config, &self.msg.delegator_address)?;
        let coin = coin(self.msg.amount.as_ref()).ok_or_else(|| errors::request("invalid amount"))?;
        if self.msg.creation_height <= 0 {
            return Err(errors::request("invalid height"));
        }
        Ok((delegator, operator, coin))
    }
}

impl Message for Native<MsgCancelUnbondingDelegation> {
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
        if let Ok((delegator, operator, _)) = self.parse(&block.config) {
            access.writes.push(keys::unbonding(&delegator, &operator));
            access
                .writes
                .push(keys::unbonding_by_validator(&operator, &delegator));
        }
        access
    }
    fn amino_json(&self) -> Option<serde_json::Value> {
        super::amino::cancel(&self.msg)
    }
    fn gas(&self) -> u64 {
        160_000
    }
    fn execute(&self, ctx: &mut TxContext<'_>) -> Result<Response> {
        let (delegator, operator, coin) = self.parse(&ctx.block.config)?;
        let params = crate::params(ctx.state.as_scan())?;
        if coin.denom != params.bond_denom {
            return Err(errors::denom(&coin.denom, &params.bond_denom));
        }
        let mut v = existing(ctx, &operator)?;
        if v.bad_rate() {
            return Err(errors::bad_rate());
        }
        if v.jailed {
            let text = "validator for this address is currently jailed";
            return Err(Error::module("staking", 7, text));
        }
        let (m, now) = (&self.msg, ctx.block.time);
        let mut ubd = unbonding(ctx.state.as_scan(), &delegator, &operator)?.ok_or_else(|| {
            let (d, v) = (&m.delegator_address, &m.validator_address);
            errors::not_found(format_args!(
                "unbonding delegation with delegator {d} not found for validator {v}"
            ))
        })?;
        let found = ubd
            .entries
            .iter()
            .position(|e| e.height == m.creation_height && e.completion > now);
        let i = found.ok_or_else(|| {
            let height = m.creation_height;
            errors::not_found(format_args!(
                "unbonding delegation entry is not found at block height {height}"
            ))
        })?;
        let left = ubd.entries[i].balance.checked_sub(coin.amount).ok_or_else(|| {
            errors::request("amount is greater than the unbonding delegation entry balance")
        })?;
        stake::delegate(
            ctx,
            &*self.hooks,
            &delegator,
            &mut v,
            &coin,
            Source::Pool(Status::Unbonding),
        )?;
        if left.is_zero() {
            ubd.entries.remove(i);
        } else {
            ubd.entries[i].balance = left;
        }
        ubd.put(ctx.state, &ctx.block.config);
        ctx.events.push(Event::new(
            "cancel_unbonding_delegation",
            [
                ("amount", coin.to_string()),
                ("validator", m.validator_address.clone()),
                ("delegator", m.delegator_address.clone()),
                ("creation_height", m.creation_height.to_string()),
            ],
        ));
        let answer = MsgCancelUnbondingDelegationResponse {};
        Ok(response(
            "/cosmos.staking.v1beta1.MsgCancelUnbondingDelegationResponse",
            &answer,
        ))
    }
}
