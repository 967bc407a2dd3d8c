//! MsgBeginRedelegate: move stake from one validator to another, without unbonding it first.
use super::{Native, coin, delegator, operator, response, rfc3339_seconds, stake_access};
use crate::index::{self, Kind};
use crate::records::{Redelegation, RedelegationEntry, delegation, redelegation};
use crate::stake::{Source, existing};
use crate::validator::{Status, validator};
use crate::{errors, keys, num, stake};
use cosmrs::proto::cosmos::staking::v1beta1::{
    DvvTriplet, DvvTriplets, MsgBeginRedelegate, MsgBeginRedelegateResponse,
};
use module::{BlockContext, Error, Message, Response, Result, TxContext};
use prost::Message as _;
use state::{Access, Control, Deferral, StateRead};
use types::{Address, ChainConfig, Coin, Event, Timestamp, bech32_address};

pub(super) const URL: &str = "/cosmos.staking.v1beta1.MsgBeginRedelegate";

/// Go's zero time, which the SDK answers where nothing has to be waited for.
const GO_ZERO_TIME: Timestamp = Timestamp {
    seconds: -62_135_596_800,
    nanos: 0,
};

struct Parsed {
    delegator: Address,
    source: Address,
    target: Address,
    coin: Coin,
}

impl Native<MsgBeginRedelegate> {
    fn parse(&self, config: &ChainConfig) -> Result<Parsed> {
        let source = operator(config, &self.msg.validator_src_address)?;
        let target = operator(config, &self.msg.validator_dst_address)?;
        let delegator = delegator(config, &self.msg.delegator_address)?;
        let coin = coin(self.msg.amount.as_ref()).ok_or_else(|| errors::request("invalid shares amount"))?;
        Ok(Parsed {
            delegator,
            source,
            target,
            coin,
        })
    }
}

/// Until when, and since which height, the source's faults count; `None` where it has unbonded (`getBeginInfo`).
fn begin_info(ctx: &TxContext<'_>, source: &Address) -> Result<Option<(Timestamp, i64)>> {
    Ok(match validator(ctx.state.as_scan(), source)? {
        Some(v) if v.status == Status::Unbonded => None,
        Some(v) if v.status == Status::Unbonding => Some((v.unbonding_time, v.unbonding_height)),
        _ => {
            let span = crate::params(ctx.state.as_scan())?.unbonding_time;
            Some((span.after(ctx.block.time), crate::height(ctx.block)))
        }
    })
}

fn check(ctx: &TxContext<'_>, p: &Parsed, max_entries: u32) -> Result<()> {
    if p.source == p.target {
        return Err(errors::self_redelegation());
    }
    let mut incoming = false;
    ctx.state
        .scan(&keys::redelegations_into(&p.delegator, &p.source), &mut |_, _| {
            incoming = true;
            Control::Break(())
        })?;
    if incoming {
        return Err(errors::transitive());
    }
    let red = redelegation(ctx.state.as_scan(), &p.delegator, &p.source, &p.target)?;
    if red.is_some_and(|r| r.entries.len() >= max_entries as usize) {
        return Err(errors::max_redelegation_entries());
    }
    Ok(())
}

/// Stores the entry and queues its end and its id.
fn begin(ctx: &mut TxContext<'_>, p: &Parsed, entry: RedelegationEntry) -> Result<()> {
    let config = &ctx.block.config;
    let (delegator, source, target) = (p.delegator, p.source, p.target);
    let mut red =
        redelegation(ctx.state.as_scan(), &delegator, &source, &target)?.unwrap_or_else(|| Redelegation {
            delegator,
            source,
            target,
            entries: Vec::new(),
        });
    red.entries.push(entry);
    red.put(ctx.state, config);
    index::ask_id(
        ctx.state,
        Kind::Redelegation,
        true,
        [&delegator, &source, &target],
    );
    let triplet = DvvTriplet {
        delegator_address: bech32_address(&config.bech32_prefix, &delegator),
        validator_src_address: super::valoper(config, &source),
        validator_dst_address: super::valoper(config, &target),
    };
    let tail = DvvTriplets {
        triplets: vec![triplet],
    }
    .encode_to_vec();
    ctx.state.defer(Deferral::Append(
        keys::redelegation_queue(entry.completion),
        tail.into(),
    ));
    Ok(())
}

impl Message for Native<MsgBeginRedelegate> {
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
        let m = &self.msg;
        let config = &block.config;
        let who = |operator| (m.delegator_address.as_str(), operator);
        let mut access = stake_access(
            &*self.hooks,
            state,
            config,
            who(m.validator_src_address.as_str()),
            true,
        );
        access.extend(stake_access(
            &*self.hooks,
            state,
            config,
            who(m.validator_dst_address.as_str()),
            false,
        ));
        if let Ok(p) = self.parse(config) {
            access
                .ranges
                .push(keys::redelegations_into(&p.delegator, &p.source));
            access
                .writes
                .push(keys::redelegation(&p.delegator, &p.source, &p.target));
            access
                .writes
                .push(keys::redelegation_by_source(&p.delegator, &p.source, &p.target));
            access
                .writes
                .push(keys::redelegation_by_target(&p.delegator, &p.source, &p.target));
        }
        access
    }
    fn amino_json(&self) -> Option<serde_json::Value> {
        super::amino::redelegate(&self.msg)
    }
    fn gas(&self) -> u64 {
        250_000
    }
    fn execute(&self, ctx: &mut TxContext<'_>) -> Result<Response> {
        let p = self.parse(&ctx.block.config)?;
        let status = existing(ctx, &p.source)?.status;
        existing(ctx, &p.target)?;
        if delegation(ctx.state.as_scan(), &p.delegator, &p.source)?.is_none() {
            let m = &self.msg;
            let text = format!(
                "delegation with delegator {} not found for validator {}",
                m.delegator_address, m.validator_src_address
            );
            return Err(errors::not_found(text));
        }
        let shares = stake::shares_for(ctx, &p.delegator, &p.source, p.coin.amount)?;
        let params = crate::params(ctx.state.as_scan())?;
        if p.coin.denom != params.bond_denom {
            return Err(errors::denom(&p.coin.denom, &params.bond_denom));
        }
        check(ctx, &p, params.max_entries)?;
        let amount = stake::unbond(ctx, &*self.hooks, &p.delegator, &p.source, shares)?;
        if amount.is_zero() {
            return Err(errors::tiny_redelegation());
        }
        let moved = Coin::new(amount, params.bond_denom);
        let mut v = existing(ctx, &p.target).map_err(|e| match e {
            Error::Rejected { .. } => errors::bad_target(),
            state => state,
        })?;
        let bought = stake::delegate(
            ctx,
            &*self.hooks,
            &p.delegator,
            &mut v,
            &moved,
            Source::Pool(status),
        )?;
        let begun = begin_info(ctx, &p.source)?;
        if let Some((completion, height)) = begun {
            let entry = RedelegationEntry {
                height,
                completion,
                initial: amount,
                shares: bought,
                id: 0,
                on_hold: 0,
            };
            begin(ctx, &p, entry)?;
        }
        let completion = begun.map_or(GO_ZERO_TIME, |(t, _)| t);
        ctx.events.push(Event::new(
            "redelegate",
            [
                ("source_validator", self.msg.validator_src_address.clone()),
                ("destination_validator", self.msg.validator_dst_address.clone()),
                ("amount", p.coin.to_string()),
                ("completion_time", rfc3339_seconds(completion)),
            ],
        ));
        let answer = MsgBeginRedelegateResponse {
            completion_time: Some(num::proto_time(completion)),
        };
        Ok(response(
            "/cosmos.staking.v1beta1.MsgBeginRedelegateResponse",
            &answer,
        ))
    }
}
