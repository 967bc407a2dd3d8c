//! MsgEditValidator: change a validator's description, commission or least self-delegation.
use super::{Native, create::check_description, operator, response};
use crate::num::{dec, int};
use crate::stake::existing;
use crate::validator::{Commission, Description, Validator, put_validator};
use crate::{errors, keys};
use cosmrs::proto::cosmos::staking::v1beta1::{MsgEditValidator, MsgEditValidatorResponse};
use module::{BlockContext, Message, Response, Result, TxContext};
use state::{Access, StateRead};
use types::{Address, ChainConfig, Dec, Event, Timestamp, U256};

pub(super) const URL: &str = "/cosmos.staking.v1beta1.MsgEditValidator";

/// Leaves a field of the description as it is.
const DO_NOT_MODIFY: &str = "[do-not-modify]";
const DAY_S: i64 = 86_400;

struct Parsed {
    operator: Address,
    description: Description,
    rate: Option<Dec>,
    min_self_delegation: Option<U256>,
}

impl Native<MsgEditValidator> {
    fn parse(&self, config: &ChainConfig) -> Result<Parsed> {
        let m = &self.msg;
        let operator = operator(config, &m.validator_address)?;
        let description = m.description.clone().filter(|d| *d != Description::default());
        let description = description.ok_or_else(|| errors::request("empty description"))?;
        let given = |text: &str| !text.is_empty();
        let min_self_delegation = given(&m.min_self_delegation).then(|| {
            let least = int(&m.min_self_delegation).filter(|v| !v.is_zero());
            least.ok_or_else(|| errors::request("minimum self delegation must be a positive integer"))
        });
        let rate = given(&m.commission_rate).then(|| {
            let rate = dec(&m.commission_rate).filter(|r| *r <= Dec::ONE);
            rate.ok_or_else(|| errors::request("commission rate must be between 0 and 1 (inclusive)"))
        });
        let (rate, min_self_delegation) = (rate.transpose()?, min_self_delegation.transpose()?);
        Ok(Parsed {
            operator,
            description,
            rate,
            min_self_delegation,
        })
    }
}

/// The fields of `new`, and those of `old` where `new` says so.
fn merged(old: &Description, new: Description) -> Description {
    let pick = |new: String, old: &String| if new == DO_NOT_MODIFY { old.clone() } else { new };
    Description {
        moniker: pick(new.moniker, &old.moniker),
        identity: pick(new.identity, &old.identity),
        website: pick(new.website, &old.website),
        security_contact: pick(new.security_contact, &old.security_contact),
        details: pick(new.details, &old.details),
    }
}

/// SDK `Commission.ValidateNewRate`: once a day, within the maximum, and no jump up.
fn changed(old: Commission, rate: Dec, now: Timestamp) -> Result<Commission> {
    if now < old.update_time.plus_seconds(DAY_S) {
        return Err(errors::commission_too_soon());
    }
    if rate > old.max_rate {
        return Err(errors::commission_above_max());
    }
    if rate
        .checked_sub(old.rate)
        .is_some_and(|rise| rise > old.max_change_rate)
    {
        return Err(errors::commission_jump());
    }
    Ok(Commission {
        rate,
        update_time: now,
        ..old
    })
}

fn raise_least(v: &mut Validator, least: U256) -> Result<()> {
    if least <= v.min_self_delegation {
        return Err(errors::min_self_decreased());
    }
    if least > v.tokens {
        return Err(errors::below_min_self());
    }
    v.min_self_delegation = least;
    Ok(())
}

impl Message for Native<MsgEditValidator> {
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
        let mut access = Access {
            reads: vec![keys::params()],
            complete: true,
            ..Access::default()
        };
        if let Ok(p) = self.parse(&block.config) {
            access.writes.push(keys::validator(&p.operator));
            access.extend(self.hooks.access(&p.operator, &p.operator, state));
        }
        access
    }
    fn amino_json(&self) -> Option<serde_json::Value> {
        super::amino::edit(&self.msg)
    }
    fn gas(&self) -> u64 {
        80_000
    }
    fn execute(&self, ctx: &mut TxContext<'_>) -> Result<Response> {
        let p = self.parse(&ctx.block.config)?;
        if let Some(rate) = p.rate {
            let least = crate::params(ctx.state.as_scan())?.min_commission_rate;
            if rate < least {
                let text = format!("commission rate cannot be less than the min commission rate {least}");
                return Err(errors::request(text));
            }
        }
        let mut v = existing(ctx, &p.operator)?;
        v.description = merged(&v.description, p.description);
        check_description(&v.description)?;
        if let Some(rate) = p.rate {
            let commission = changed(v.commission, rate, ctx.block.time)?;
            self.hooks.before_validator_modified(ctx, &p.operator)?;
            v.commission = commission;
        }
        if let Some(least) = p.min_self_delegation {
            raise_least(&mut v, least)?;
        }
        put_validator(ctx.state, &ctx.block.config, &v);
        ctx.events.push(Event::new(
            "edit_validator",
            [
                ("commission_rate", v.commission.rate.to_string()),
                ("min_self_delegation", v.min_self_delegation.to_string()),
            ],
        ));
        Ok(response(
            "/cosmos.staking.v1beta1.MsgEditValidatorResponse",
            &MsgEditValidatorResponse {},
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use module::Error;

    #[test]
    fn a_commission_changes_once_a_day_and_by_a_bounded_step() {
        let dec = |s: &str| s.parse::<Dec>().unwrap();
        let at = |seconds| Timestamp { seconds, nanos: 0 };
        let old = Commission {
            rate: dec("0.1"),
            max_rate: dec("0.3"),
            max_change_rate: dec("0.05"),
            update_time: at(100),
        };
        let code = |rate: &str, t| match changed(old, dec(rate), at(t)) {
            Err(Error::Rejected { code, .. }) => code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code("0.11", 100 + DAY_S - 1), 12);
        assert_eq!(code("0.4", 100 + DAY_S), 11);
        assert_eq!(code("0.2", 100 + DAY_S), 15);
        assert_eq!(
            changed(old, dec("0.15"), at(100 + DAY_S)).unwrap().rate,
            dec("0.15")
        );
        assert_eq!(
            changed(old, dec("0"), at(100 + DAY_S)).unwrap().update_time,
            at(100 + DAY_S)
        );
    }

    #[test]
    fn a_description_field_can_be_left_alone() {
        let old = Description {
            moniker: "a".into(),
            website: "w".into(),
            ..Description::default()
        };
        let new = Description {
            moniker: DO_NOT_MODIFY.into(),
            details: "d".into(),
            ..Description::default()
        };
        let m = merged(&old, new);
        assert_eq!(
            (m.moniker.as_str(), m.website.as_str(), m.details.as_str()),
            ("a", "", "d")
        );
    }
}
