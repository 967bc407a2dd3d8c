//! MsgCreateValidator: start a validator with its own delegation.
use super::{Native, coin, operator, response};
use crate::num::dec;
use crate::stake::Source;
use crate::validator::{
    Commission, Description, Validator, consensus_address, put_validator, read_pubkey, validator,
};
use crate::{errors, index, keys, num, stake};
use cosmrs::proto::cosmos::staking::v1beta1::{
    CommissionRates, MsgCreateValidator, MsgCreateValidatorResponse,
};
use module::{BlockContext, Error, Message, Response, Result, TxContext};
use state::{Access, StateRead, Value};
use types::{Address, ChainConfig, Coin, Dec, Event, Timestamp, U256};

pub(super) const URL: &str = "/cosmos.staking.v1beta1.MsgCreateValidator";

struct Parsed {
    operator: Address,
    pubkey: [u8; 32],
    coin: Coin,
    description: Description,
    commission: Commission,
    min_self_delegation: U256,
}

/// A commission rate; negative ones and nonsense have codes of their own.
fn rate(text: &str, negative: fn() -> Error) -> Result<Dec> {
    match dec(text) {
        Some(rate) => Ok(rate),
        None if text.starts_with('-') => Err(negative()),
        None => Err(errors::request(format_args!("invalid commission rate {text:?}"))),
    }
}

/// Checks the rates among themselves (SDK `CommissionRates.Validate`).
fn commission(rates: &CommissionRates) -> Result<Commission> {
    let max_rate = rate(&rates.max_rate, errors::commission_negative)?;
    let own = rate(&rates.rate, errors::commission_negative)?;
    let max_change_rate = rate(&rates.max_change_rate, errors::change_rate_negative)?;
    if max_rate > Dec::ONE {
        return Err(errors::commission_huge());
    }
    if own > max_rate {
        return Err(errors::commission_above_max());
    }
    if max_change_rate > max_rate {
        return Err(errors::change_rate_above_max());
    }
    Ok(Commission {
        rate: own,
        max_rate,
        max_change_rate,
        update_time: Timestamp::default(),
    })
}

/// Refuses a description that is too long (SDK `EnsureLength`; lengths in bytes).
pub(super) fn check_description(d: &Description) -> Result<()> {
    let limits = [
        ("moniker", &d.moniker, 70),
        ("identity", &d.identity, 3000),
        ("website", &d.website, 140),
        ("security contact", &d.security_contact, 140),
        ("details", &d.details, 280),
    ];
    match limits.into_iter().find(|(_, text, max)| text.len() > *max) {
        None => Ok(()),
        Some((name, text, max)) => {
            let len = text.len();
            Err(errors::request(format_args!(
                "invalid {name} length; got: {len}, max: {max}"
            )))
        }
    }
}

impl Native<MsgCreateValidator> {
    fn parse(&self, config: &ChainConfig) -> Result<Parsed> {
        let m = &self.msg;
        let operator = operator(config, &m.validator_address)?;
        let any = m.pubkey.as_ref().ok_or_else(errors::no_pubkey)?;
        let pubkey = read_pubkey(any).map_err(|got| {
            let text = format!("got: {got}, expected: [ed25519]: validator pubkey type is not supported");
            Error::module("staking", 6, text)
        })?;
        let coin = coin(m.value.as_ref()).ok_or_else(|| errors::request("invalid delegation amount"))?;
        let description = m.description.clone().filter(|d| *d != Description::default());
        let description = description.ok_or_else(|| errors::request("empty description"))?;
        check_description(&description)?;
        let rates = m
            .commission
            .as_ref()
            .filter(|c| **c != CommissionRates::default());
        let commission = commission(rates.ok_or_else(|| errors::request("empty commission"))?)?;
        let least = num::int(&m.min_self_delegation).filter(|v| !v.is_zero());
        let min_self_delegation =
            least.ok_or_else(|| errors::request("minimum self delegation must be a positive integer"))?;
        if coin.amount < min_self_delegation {
            return Err(errors::below_min_self());
        }
        Ok(Parsed {
            operator,
            pubkey,
            coin,
            description,
            commission,
            min_self_delegation,
        })
    }
}

impl Message for Native<MsgCreateValidator> {
    fn type_url(&self) -> &'static str {
        URL
    }
    fn validate(&self, config: &ChainConfig) -> Result<()> {
        self.parse(config).map(drop)
    }
    fn signers(&self, config: &ChainConfig) -> Result<Vec<Address>> {
        Ok(vec![operator(config, &self.msg.validator_address)?])
    }
    fn access(&self, block: &BlockContext, state: &dyn StateRead) -> Access {
        let Ok(p) = self.parse(&block.config) else {
            return Access {
                complete: true,
                ..Access::default()
            };
        };
        let mut access = Access {
            reads: vec![keys::params()],
            writes: vec![
                keys::validator(&p.operator),
                keys::by_consensus(&consensus_address(&p.pubkey)),
                keys::delegation(&p.operator, &p.operator),
                keys::delegation_by_validator(&p.operator, &p.operator),
                x_bank::balance_key(&p.operator, &p.coin.denom),
            ],
            adds: super::pools(state),
            ranges: Vec::new(),
            complete: true,
        };
        access.extend(self.hooks.access(&p.operator, &p.operator, state));
        access
    }
    fn amino_json(&self) -> Option<serde_json::Value> {
        super::amino::create(&self.msg)
    }
    fn gas(&self) -> u64 {
        200_000
    }
    fn execute(&self, ctx: &mut TxContext<'_>) -> Result<Response> {
        let p = self.parse(&ctx.block.config)?;
        let params = crate::params(ctx.state.as_scan())?;
        if p.commission.rate < params.min_commission_rate {
            let least = params.min_commission_rate;
            let text = format!("cannot set validator commission to less than minimum rate of {least}");
            return Err(Error::module(
                "staking",
                40,
                format!("{text}: commission cannot be less than min rate"),
            ));
        }
        if validator(ctx.state.as_scan(), &p.operator)?.is_some() {
            return Err(errors::owner_exists());
        }
        let by_consensus = keys::by_consensus(&consensus_address(&p.pubkey));
        if ctx.state.get(&by_consensus)?.is_some() {
            return Err(errors::pubkey_exists());
        }
        if p.coin.denom != params.bond_denom {
            return Err(errors::denom(&p.coin.denom, &params.bond_denom));
        }
        let mut v = Validator::new(p.operator, p.pubkey, p.description);
        v.commission = Commission {
            update_time: ctx.block.time,
            ..p.commission
        };
        v.min_self_delegation = p.min_self_delegation;
        put_validator(ctx.state, &ctx.block.config, &v);
        ctx.state
            .put(by_consensus, Value::copy_from_slice(p.operator.as_slice()));
        index::touch(ctx.state, &ctx.block.config, &p.operator, None);
        self.hooks.after_validator_created(ctx, &p.operator)?;
        stake::delegate(ctx, &*self.hooks, &p.operator, &mut v, &p.coin, Source::Balance)?;
        let validator = self.msg.validator_address.clone();
        let attributes = [("validator", validator), ("amount", p.coin.to_string())];
        ctx.events.push(Event::new("create_validator", attributes));
        Ok(response(
            "/cosmos.staking.v1beta1.MsgCreateValidatorResponse",
            &MsgCreateValidatorResponse {},
        ))
    }
}
