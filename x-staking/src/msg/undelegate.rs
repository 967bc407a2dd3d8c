//! MsgUndelegate: take coins off a validator. They are paid out when the unbonding time is over.
use super::{Native, coin, delegator, operator, response, rfc3339_seconds, stake_access};
use crate::index::{self, Kind};
use crate::records::{Unbonding, unbonding};
use crate::validator::Status;
use crate::{errors, keys, num, pool, stake};
use cosmrs::proto::cosmos::base::v1beta1::Coin as ProtoCoin;
use cosmrs::proto::cosmos::staking::v1beta1::{DvPair, DvPairs, MsgUndelegate, MsgUndelegateResponse};
use module::{BlockContext, Message, Response, Result, TxContext};
use prost::Message as _;
use state::{Access, Deferral, StateRead};
use types::{Address, ChainConfig, Coin, Event, Timestamp, U256, bech32_address};

pub(super) const URL: &str = "/cosmos.staking.v1beta1.MsgUndelegate";

impl Native<MsgUndelegate> {
    fn parse(&self, config: &ChainConfig) -> Result<(Address, Address, Coin)> {
        let operator = operator(config, &self.msg.validator_address)?;
        let delegator = delegator(config, &self.msg.delegator_address)?;
        let coin = coin(self.msg.amount.as_ref()).ok_or_else(|| errors::request("invalid shares amount"))?;
        Ok((delegator, operator, coin))
    }
}

impl Message for Native<MsgUndelegate> {
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
        let mut access = stake_access(&*self.hooks, state, &block.config, who, true);
        if let Ok((delegator, operator, _)) = self.parse(&block.config) {
            access.writes.push(keys::unbonding(&delegator, &operator));
            access
                .writes
                .push(keys::unbonding_by_validator(&operator, &delegator));
        }
        access
    }
    fn amino_json(&self) -> Option<serde_json::Value> {
        super::amino::undelegate(&self.msg)
    }
    fn gas(&self) -> u64 {
        180_000
    }
    fn execute(&self, ctx: &mut TxContext<'_>) -> Result<Response> {
        let (delegator, operator, coin) = self.parse(&ctx.block.config)?;
        let shares = stake::shares_for(ctx, &delegator, &operator, coin.amount)?;
        let params = crate::params(ctx.state.as_scan())?;
        if coin.denom != params.bond_denom {
            return Err(errors::denom(&coin.denom, &params.bond_denom));
        }
        let status = stake::existing(ctx, &operator)?.status;
        let mut ubd = unbonding(ctx.state.as_scan(), &delegator, &operator)?.unwrap_or_else(|| Unbonding {
            delegator,
            operator,
            entries: Vec::new(),
        });
        if ubd.entries.len() >= params.max_entries as usize {
            return Err(errors::max_unbonding_entries());
        }
        let amount = stake::unbond(ctx, &*self.hooks, &delegator, &operator, shares)?;
        pool::shift(ctx, status, Status::Unbonded, &params.bond_denom, amount);
        let completion = params.unbonding_time.after(ctx.block.time);
        begin(ctx, &mut ubd, completion, amount)?;
        let coin = Coin::new(amount, params.bond_denom);
        ctx.events.push(Event::new(
            "unbond",
            [
                ("validator", self.msg.validator_address.clone()),
                ("delegator", self.msg.delegator_address.clone()),
                ("amount", coin.to_string()),
                ("completion_time", rfc3339_seconds(completion)),
            ],
        ));
        let answer = MsgUndelegateResponse {
            completion_time: Some(num::proto_time(completion)),
            amount: Some(ProtoCoin {
                denom: coin.denom,
                amount: coin.amount.to_string(),
            }),
        };
        Ok(response("/cosmos.staking.v1beta1.MsgUndelegateResponse", &answer))
    }
}

/// Adds an entry to `ubd`, stores it, and queues its end and its id.
fn begin(ctx: &mut TxContext<'_>, ubd: &mut Unbonding, completion: Timestamp, amount: U256) -> Result<()> {
    let config = &ctx.block.config;
    let new = ubd.add(crate::height(ctx.block), completion, amount)?;
    ubd.put(ctx.state, config);
    index::ask_id(
        ctx.state,
        Kind::Unbonding,
        new,
        [&ubd.delegator, &ubd.operator, &Address::ZERO],
    );
    let pair = DvPair {
        delegator_address: bech32_address(&config.bech32_prefix, &ubd.delegator),
        validator_address: super::valoper(config, &ubd.operator),
    };
    let tail = DvPairs { pairs: vec![pair] }.encode_to_vec();
    ctx.state
        .defer(Deferral::Append(keys::unbonding_queue(completion), tail.into()));
    Ok(())
}
