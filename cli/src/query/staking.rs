//! `braidd query staking`: validators, delegations, the pool.
use super::ask::{Ask, PageArgs};
use crate::messages::description;
use crate::render::{coin, dec, duration, page, public_key, time};
use anyhow::Result;
use clap::Subcommand;
use cosmrs::proto::cosmos::staking::v1beta1::{
    BondStatus, DelegationResponse, Params, QueryDelegationRequest, QueryDelegationResponse,
    QueryDelegatorDelegationsRequest, QueryDelegatorDelegationsResponse,
    QueryDelegatorUnbondingDelegationsRequest, QueryDelegatorUnbondingDelegationsResponse,
    QueryParamsRequest, QueryParamsResponse, QueryPoolRequest, QueryPoolResponse, QueryValidatorRequest,
    QueryValidatorResponse, QueryValidatorsRequest, QueryValidatorsResponse, UnbondingDelegation, Validator,
};
use serde_json::{Value, json};

/// What to ask.
#[derive(Debug, Subcommand)]
pub(crate) enum Staking {
    /// All validators.
    Validators {
        /// Only those bonded, unbonding or unbonded.
        #[arg(long, value_enum)]
        status: Option<Status>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// One validator.
    Validator {
        /// Operator's address (…valoper1…), or its account.
        validator: String,
    },
    /// All delegations of an account.
    Delegations {
        /// 0x or bech32 address, or a key's name.
        delegator: String,
        #[command(flatten)]
        page: PageArgs,
    },
    /// What an account has with a validator.
    Delegation {
        /// 0x or bech32 address, or a key's name.
        delegator: String,
        /// Operator's address (…valoper1…), or its account.
        validator: String,
    },
    /// What an account is taking back.
    UnbondingDelegations {
        /// 0x or bech32 address, or a key's name.
        delegator: String,
        #[command(flatten)]
        page: PageArgs,
    },
    /// The module's parameters.
    Params,
    /// Coins bonded and not.
    Pool,
}

/// `--status`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Status {
    /// Validating.
    Bonded,
    /// On the way out.
    Unbonding,
    /// Out.
    Unbonded,
}

fn path(method: &str) -> String {
    format!("/cosmos.staking.v1beta1.Query/{method}")
}

impl Staking {
    /// Runs it.
    pub(crate) async fn run(&self, ask: &Ask) -> Result<()> {
        match self {
            Self::Validators { status, page } => validators(ask, *status, page).await,
            Self::Validator { validator: operator } => {
                let request = QueryValidatorRequest {
                    validator_addr: ask.valoper(operator)?,
                };
                let r: QueryValidatorResponse = ask.get(&path("Validator"), &request).await?;
                ask.print(&json!({ "validator": r.validator.as_ref().map(validator) }))
            }
            Self::Delegations {
                delegator,
                page: which,
            } => {
                let delegator_addr = ask.account(delegator)?;
                let request = QueryDelegatorDelegationsRequest {
                    delegator_addr,
                    pagination: which.request()?,
                };
                let r: QueryDelegatorDelegationsResponse =
                    ask.get(&path("DelegatorDelegations"), &request).await?;
                let list: Vec<Value> = r.delegation_responses.iter().map(delegation).collect();
                ask.print(&json!({ "delegation_responses": list, "pagination": page(r.pagination.as_ref()) }))
            }
            Self::Delegation { delegator, validator } => {
                let (delegator_addr, validator_addr) = (ask.account(delegator)?, ask.valoper(validator)?);
                let request = QueryDelegationRequest {
                    delegator_addr,
                    validator_addr,
                };
                let r: QueryDelegationResponse = ask.get(&path("Delegation"), &request).await?;
                ask.print(&json!({ "delegation_response": r.delegation_response.as_ref().map(delegation) }))
            }
            Self::UnbondingDelegations {
                delegator,
                page: which,
            } => {
                let delegator_addr = ask.account(delegator)?;
                let request = QueryDelegatorUnbondingDelegationsRequest {
                    delegator_addr,
                    pagination: which.request()?,
                };
                let r: QueryDelegatorUnbondingDelegationsResponse =
                    ask.get(&path("DelegatorUnbondingDelegations"), &request).await?;
                let list: Vec<Value> = r.unbonding_responses.iter().map(unbonding).collect();
                ask.print(&json!({ "unbonding_responses": list, "pagination": page(r.pagination.as_ref()) }))
            }
            Self::Params => {
                let r: QueryParamsResponse = ask.get(&path("Params"), &QueryParamsRequest {}).await?;
                ask.print(&json!({ "params": r.params.as_ref().map(params) }))
            }
            Self::Pool => {
                let r: QueryPoolResponse = ask.get(&path("Pool"), &QueryPoolRequest {}).await?;
                let show = |p: &cosmrs::proto::cosmos::staking::v1beta1::Pool| json!({ "not_bonded_tokens": p.not_bonded_tokens, "bonded_tokens": p.bonded_tokens });
                ask.print(&json!({ "pool": r.pool.as_ref().map(show) }))
            }
        }
    }
}

async fn validators(ask: &Ask, status: Option<Status>, which: &PageArgs) -> Result<()> {
    let status = match status {
        None => "",
        Some(Status::Bonded) => "BOND_STATUS_BONDED",
        Some(Status::Unbonding) => "BOND_STATUS_UNBONDING",
        Some(Status::Unbonded) => "BOND_STATUS_UNBONDED",
    };
    let request = QueryValidatorsRequest {
        status: status.into(),
        pagination: which.request()?,
    };
    let r: QueryValidatorsResponse = ask.get(&path("Validators"), &request).await?;
    let list: Vec<Value> = r.validators.iter().map(validator).collect();
    ask.print(&json!({ "validators": list, "pagination": page(r.pagination.as_ref()) }))
}

fn validator(v: &Validator) -> Value {
    let status =
        BondStatus::try_from(v.status).map_or_else(|_| v.status.to_string(), |s| s.as_str_name().into());
    let commission = v.commission.as_ref().map(|c| {
        let rates = c.commission_rates.as_ref().map(|r| {
            json!({ "rate": dec(&r.rate), "max_rate": dec(&r.max_rate), "max_change_rate": dec(&r.max_change_rate) })
        });
        json!({ "commission_rates": rates, "update_time": time(c.update_time.as_ref()) })
    });
    let ids: Vec<String> = v.unbonding_ids.iter().map(u64::to_string).collect();
    json!({
        "operator_address": v.operator_address,
        "consensus_pubkey": v.consensus_pubkey.as_ref().map(public_key),
        "jailed": v.jailed,
        "status": status,
        "tokens": v.tokens,
        "delegator_shares": dec(&v.delegator_shares),
        "description": v.description.as_ref().map(description),
        "unbonding_height": v.unbonding_height.to_string(),
        "unbonding_time": time(v.unbonding_time.as_ref()),
        "commission": commission,
        "min_self_delegation": v.min_self_delegation,
        "unbonding_on_hold_ref_count": v.unbonding_on_hold_ref_count.to_string(),
        "unbonding_ids": ids,
    })
}

fn delegation(r: &DelegationResponse) -> Value {
    let d = r.delegation.as_ref().map(|d| {
        json!({
            "delegator_address": d.delegator_address,
            "validator_address": d.validator_address,
            "shares": dec(&d.shares),
        })
    });
    json!({ "delegation": d, "balance": r.balance.as_ref().map(coin) })
}

fn unbonding(u: &UnbondingDelegation) -> Value {
    let entries: Vec<Value> = u
        .entries
        .iter()
        .map(|e| {
            json!({
                "creation_height": e.creation_height.to_string(),
                "completion_time": time(e.completion_time.as_ref()),
                "initial_balance": e.initial_balance,
                "balance": e.balance,
                "unbonding_id": e.unbonding_id.to_string(),
                "unbonding_on_hold_ref_count": e.unbonding_on_hold_ref_count.to_string(),
            })
        })
        .collect();
    json!({ "delegator_address": u.delegator_address, "validator_address": u.validator_address, "entries": entries })
}

fn params(p: &Params) -> Value {
    json!({
        "unbonding_time": duration(p.unbonding_time.as_ref()),
        "max_validators": p.max_validators,
        "max_entries": p.max_entries,
        "historical_entries": p.historical_entries,
        "bond_denom": p.bond_denom,
        "min_commission_rate": dec(&p.min_commission_rate),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosmrs::proto::cosmos::base::v1beta1::Coin;
    use cosmrs::proto::cosmos::staking::v1beta1::Delegation;

    #[test]
    fn a_validator_shows_as_the_sdk_shows_it() {
        let shown = validator(&Validator {
            operator_address: "v".into(),
            status: 3,
            tokens: "12".into(),
            delegator_shares: "12000000000000000000".into(),
            ..Validator::default()
        });
        assert_eq!(shown["status"], "BOND_STATUS_BONDED");
        assert_eq!(shown["delegator_shares"], "12.000000000000000000");
        assert_eq!(shown["unbonding_height"], "0");
        assert_eq!(shown.as_object().unwrap().len(), 13);
    }

    #[test]
    fn a_delegation_shows_shares_and_balance() {
        let shown = delegation(&DelegationResponse {
            delegation: Some(Delegation {
                delegator_address: "d".into(),
                validator_address: "v".into(),
                shares: "1000000000000000000".into(),
            }),
            balance: Some(Coin {
                denom: "abraid".into(),
                amount: "1".into(),
            }),
        });
        assert_eq!(shown["delegation"]["shares"], "1.000000000000000000");
        assert_eq!(shown["balance"], json!({ "denom": "abraid", "amount": "1" }));
    }
}
