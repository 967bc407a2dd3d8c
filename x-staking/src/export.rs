//! State as a genesis section.
use crate::json::{self, Duration, Num, Section};
use crate::records::{self, Delegation, Redelegation, Unbonding};
use crate::updates::last_powers;
use crate::validator::{ED25519_URL, Validator, operator_text};
use crate::{Params, keys};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use module::{QueryContext, Result};
use types::{ChainConfig, bech32_address};

/// The section of a chain that goes on where this one stands.
pub(crate) fn export(ctx: &QueryContext<'_>) -> Result<serde_json::Value> {
    let (state, config) = (ctx.state, &*ctx.block.config);
    let last = last_powers(state)?;
    let section = Section {
        params: params(&crate::params(&state)?),
        last_total_power: Num(last.values().sum()),
        last_validator_powers: last
            .iter()
            .map(|(o, p)| json::LastPower {
                address: operator_text(config, o),
                power: Num(*p),
            })
            .collect(),
        validators: crate::validators(state)?
            .iter()
            .map(|v| validator(config, v))
            .collect(),
        delegations: crate::scan(state, &keys::delegations(), records::decode)?
            .iter()
            .map(|d| delegation(config, d))
            .collect(),
        unbonding_delegations: crate::scan(state, &keys::unbondings(), records::decode)?
            .iter()
            .map(|u| unbonding(config, u))
            .collect(),
        redelegations: crate::scan(state, &keys::redelegations(), records::decode)?
            .iter()
            .map(|r| redelegation(config, r))
            .collect(),
        exported: true,
    };
    Ok(serde_json::to_value(section).expect("plain data"))
}

pub(crate) fn params(p: &Params) -> json::Params {
    json::Params {
        unbonding_time: Duration(p.unbonding_time),
        max_validators: p.max_validators,
        max_entries: p.max_entries,
        historical_entries: p.historical_entries,
        bond_denom: p.bond_denom.clone(),
        min_commission_rate: p.min_commission_rate,
    }
}

pub(crate) fn validator(config: &ChainConfig, v: &Validator) -> json::Validator {
    let d = &v.description;
    json::Validator {
        operator_address: operator_text(config, &v.operator),
        consensus_pubkey: json::PubKey {
            kind: ED25519_URL.into(),
            key: STANDARD.encode(v.pubkey),
        },
        jailed: v.jailed,
        status: v.status.name().into(),
        tokens: v.tokens.into(),
        delegator_shares: v.shares,
        description: json::Description {
            moniker: d.moniker.clone(),
            identity: d.identity.clone(),
            website: d.website.clone(),
            security_contact: d.security_contact.clone(),
            details: d.details.clone(),
        },
        unbonding_height: Num(v.unbonding_height),
        unbonding_time: v.unbonding_time.into(),
        commission: json::Commission {
            commission_rates: json::Rates {
                rate: v.commission.rate,
                max_rate: v.commission.max_rate,
                max_change_rate: v.commission.max_change_rate,
            },
            update_time: v.commission.update_time.into(),
        },
        min_self_delegation: v.min_self_delegation.into(),
        unbonding_on_hold_ref_count: Num(v.on_hold),
        unbonding_ids: v.unbonding_ids.iter().map(|n| Num(*n)).collect(),
    }
}

pub(crate) fn delegation(config: &ChainConfig, d: &Delegation) -> json::Delegation {
    json::Delegation {
        delegator_address: bech32_address(&config.bech32_prefix, &d.delegator),
        validator_address: operator_text(config, &d.operator),
        shares: d.shares,
    }
}

fn unbonding(config: &ChainConfig, u: &Unbonding) -> json::Unbonding {
    let entry = |e: &records::UnbondingEntry| json::UnbondingEntry {
        creation_height: Num(e.height),
        completion_time: e.completion.into(),
        initial_balance: e.initial.into(),
        balance: e.balance.into(),
        unbonding_id: Num(e.id),
        unbonding_on_hold_ref_count: Num(e.on_hold),
    };
    json::Unbonding {
        delegator_address: bech32_address(&config.bech32_prefix, &u.delegator),
        validator_address: operator_text(config, &u.operator),
        entries: u.entries.iter().map(entry).collect(),
    }
}

fn redelegation(config: &ChainConfig, r: &Redelegation) -> json::Redelegation {
    let entry = |e: &records::RedelegationEntry| json::RedelegationEntry {
        creation_height: Num(e.height),
        completion_time: e.completion.into(),
        initial_balance: e.initial.into(),
        shares_dst: e.shares,
        unbonding_id: Num(e.id),
        unbonding_on_hold_ref_count: Num(e.on_hold),
    };
    json::Redelegation {
        delegator_address: bech32_address(&config.bech32_prefix, &r.delegator),
        validator_src_address: operator_text(config, &r.source),
        validator_dst_address: operator_text(config, &r.target),
        entries: r.entries.iter().map(entry).collect(),
    }
}
