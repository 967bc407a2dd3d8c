//! From the section into state, part by part.
use crate::hooks::StakingHooks;
use crate::json::{self, Duration, Section};
use crate::records::{Delegation, Redelegation, RedelegationEntry, Unbonding, UnbondingEntry};
use crate::validator::{
    Commission, Description, Status, Validator, operator_text, put_validator, read_pubkey, validator,
};
use crate::{Params, errors, index, keys, mature, pool};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cosmrs::proto::cosmos::staking::v1beta1::{DvPair, DvPairs, DvvTriplet, DvvTriplets};
use module::{Result, TxContext, ValidatorUpdate};
use prost::Message as _;
use state::{Deferral, StateWrite, Value, apply_deferrals};
use std::collections::BTreeMap;
use types::{Address, Bytes, ChainConfig, Dec, U256};

/// What the pools must hold: stake of the bonded; all else.
#[derive(Default)]
pub(super) struct Sums {
    bonded: U256,
    loose: U256,
}

fn add(sum: &mut U256, more: U256) -> Result<()> {
    *sum = sum
        .checked_add(more)
        .ok_or_else(|| errors::genesis("stake beyond 256 bits"))?;
    Ok(())
}

pub(super) fn params(p: &json::Params) -> Result<Params> {
    let Duration(unbonding_time) = p.unbonding_time;
    let params = Params {
        unbonding_time,
        max_validators: p.max_validators,
        max_entries: p.max_entries,
        historical_entries: p.historical_entries,
        bond_denom: p.bond_denom.clone(),
        min_commission_rate: p.min_commission_rate,
    };
    params
        .check()
        .map_err(|why| errors::genesis(format_args!("params: {why}")))?;
    Ok(params)
}

fn one(config: &ChainConfig, v: &json::Validator) -> Result<Validator> {
    let bad = |why: String| errors::genesis(format_args!("validator {}: {why}", v.operator_address));
    let key = STANDARD
        .decode(&v.consensus_pubkey.key)
        .map_err(|e| bad(e.to_string()))?;
    let any = cosmrs::proto::Any {
        type_url: v.consensus_pubkey.kind.clone(),
        value: cosmrs::proto::cosmos::crypto::ed25519::PubKey { key }.encode_to_vec(),
    };
    let (d, rates) = (&v.description, &v.commission.commission_rates);
    Ok(Validator {
        operator: json::operator(config, &v.operator_address)?,
        pubkey: read_pubkey(&any).map_err(|why| bad(format!("consensus_pubkey: {why}")))?,
        jailed: v.jailed,
        status: Status::parse(&v.status).ok_or_else(|| bad(format!("status {:?}", v.status)))?,
        tokens: v.tokens.0,
        shares: v.delegator_shares,
        description: Description {
            moniker: d.moniker.clone(),
            identity: d.identity.clone(),
            website: d.website.clone(),
            security_contact: d.security_contact.clone(),
            details: d.details.clone(),
        },
        unbonding_height: v.unbonding_height.0,
        unbonding_time: v.unbonding_time.0,
        commission: Commission {
            rate: rates.rate,
            max_rate: rates.max_rate,
            max_change_rate: rates.max_change_rate,
            update_time: v.commission.update_time.0,
        },
        min_self_delegation: v.min_self_delegation.0,
        on_hold: v.unbonding_on_hold_ref_count.0,
        unbonding_ids: v.unbonding_ids.iter().map(|n| n.0).collect(),
    })
}

pub(super) fn validators(
    tx: &mut TxContext<'_>,
    section: &Section,
    hooks: &dyn StakingHooks,
) -> Result<Sums> {
    let config = tx.block.config.clone();
    let mut sums = Sums::default();
    for v in &section.validators {
        let v = one(&config, v)?;
        let by_consensus = keys::by_consensus(&v.consensus());
        let twice =
            validator(tx.state.as_scan(), &v.operator)?.is_some() || tx.state.get(&by_consensus)?.is_some();
        if twice {
            let text = operator_text(&config, &v.operator);
            return Err(errors::genesis(format_args!(
                "duplicate validator or consensus key: {text}"
            )));
        }
        put_validator(tx.state, &config, &v);
        tx.state
            .put(by_consensus, Value::copy_from_slice(v.operator.as_slice()));
        index::set(tx.state, &config, &v);
        if !section.exported {
            hooks.after_validator_created(tx, &v.operator)?;
        }
        if v.status == Status::Unbonding {
            mature::queue(tx, &v)?;
            for id in &v.unbonding_ids {
                number(tx, *id, index::Kind::Validator, &keys::validator(&v.operator))?;
            }
        }
        add(
            if v.is_bonded() {
                &mut sums.bonded
            } else {
                &mut sums.loose
            },
            v.tokens,
        )?;
    }
    Ok(sums)
}

/// Keeps an id's indexes and the counter in line with an imported record.
fn number(tx: &mut TxContext<'_>, id: u64, kind: index::Kind, record: &state::Key) -> Result<()> {
    if id == 0 {
        return Ok(());
    }
    index::index_id(tx.state, id, kind, record);
    let key = keys::unbonding_id();
    let last = tx.state.get(&key)?;
    // Eight big-endian bytes: the greater number is the greater string.
    if last.is_none_or(|l| l[..] < id.to_be_bytes()[..]) {
        tx.state.put(key, Value::copy_from_slice(&id.to_be_bytes()));
    }
    Ok(())
}

pub(super) fn delegations(tx: &mut TxContext<'_>, section: &Section, hooks: &dyn StakingHooks) -> Result<()> {
    let config = tx.block.config.clone();
    let mut given: BTreeMap<Address, Dec> = BTreeMap::new();
    for d in &section.delegations {
        let delegator = json::delegator(&config, &d.delegator_address)?;
        let operator = json::operator(&config, &d.validator_address)?;
        if !section.exported {
            hooks.before_delegation_created(tx, &delegator, &operator)?;
        }
        Delegation {
            delegator,
            operator,
            shares: d.shares,
        }
        .put(tx.state, &config);
        if !section.exported {
            hooks.after_delegation_modified(tx, &delegator, &operator)?;
        }
        let sum = given.entry(operator).or_insert(Dec::ZERO);
        *sum = sum
            .checked_add(d.shares)
            .ok_or_else(|| errors::genesis("shares beyond 256 bits"))?;
    }
    for v in crate::validators(tx.state.as_scan())? {
        let sum = given.remove(&v.operator).unwrap_or(Dec::ZERO);
        if sum != v.shares {
            let who = operator_text(&config, &v.operator);
            let text = format!("validator {who} has {} shares, its delegations {sum}", v.shares);
            return Err(errors::genesis(text));
        }
    }
    match given.keys().next() {
        None => Ok(()),
        Some(o) => {
            let who = operator_text(&config, o);
            Err(errors::genesis(format_args!(
                "delegation to {who}, which is no validator"
            )))
        }
    }
}

/// Coins on their way out or over, with their queues.
pub(super) fn moving(tx: &mut TxContext<'_>, section: &Section, sums: &mut Sums) -> Result<()> {
    let config = tx.block.config.clone();
    let mut appends = Vec::new();
    for u in &section.unbonding_delegations {
        let delegator = json::delegator(&config, &u.delegator_address)?;
        let operator = json::operator(&config, &u.validator_address)?;
        let entry = |e: &json::UnbondingEntry| UnbondingEntry {
            height: e.creation_height.0,
            completion: e.completion_time.0,
            initial: e.initial_balance.0,
            balance: e.balance.0,
            id: e.unbonding_id.0,
            on_hold: e.unbonding_on_hold_ref_count.0,
        };
        let record = Unbonding {
            delegator,
            operator,
            entries: u.entries.iter().map(entry).collect(),
        };
        record.put(tx.state, &config);
        let (delegator_address, validator_address) =
            (u.delegator_address.clone(), u.validator_address.clone());
        let tail = DvPairs {
            pairs: vec![DvPair {
                delegator_address,
                validator_address,
            }],
        }
        .encode_to_vec();
        for e in &record.entries {
            add(&mut sums.loose, e.balance)?;
            appends.push(Deferral::Append(
                keys::unbonding_queue(e.completion),
                tail.clone().into(),
            ));
            number(
                tx,
                e.id,
                index::Kind::Unbonding,
                &keys::unbonding(&delegator, &operator),
            )?;
        }
    }
    for r in &section.redelegations {
        let delegator = json::delegator(&config, &r.delegator_address)?;
        let source = json::operator(&config, &r.validator_src_address)?;
        let target = json::operator(&config, &r.validator_dst_address)?;
        let entry = |e: &json::RedelegationEntry| RedelegationEntry {
            height: e.creation_height.0,
            completion: e.completion_time.0,
            initial: e.initial_balance.0,
            shares: e.shares_dst,
            id: e.unbonding_id.0,
            on_hold: e.unbonding_on_hold_ref_count.0,
        };
        let entries = r.entries.iter().map(entry).collect();
        let record = Redelegation {
            delegator,
            source,
            target,
            entries,
        };
        record.put(tx.state, &config);
        let triplet = DvvTriplet {
            delegator_address: r.delegator_address.clone(),
            validator_src_address: r.validator_src_address.clone(),
            validator_dst_address: r.validator_dst_address.clone(),
        };
        let tail = DvvTriplets {
            triplets: vec![triplet],
        }
        .encode_to_vec();
        for e in &record.entries {
            appends.push(Deferral::Append(
                keys::redelegation_queue(e.completion),
                tail.clone().into(),
            ));
            let key = keys::redelegation(&delegator, &source, &target);
            number(tx, e.id, index::Kind::Redelegation, &key)?;
        }
    }
    // Genesis runs alone: appends are made here and now.
    let mut writes = state::WriteSet::new();
    apply_deferrals(&tx.state.as_scan(), &mut writes, appends)?;
    put_all(tx.state, writes);
    Ok(())
}

fn put_all(state: &mut dyn StateWrite, writes: state::WriteSet) {
    for (key, op) in writes {
        if let state::Op::Put(value) = op {
            state.put(key, value);
        }
    }
}

pub(super) fn check_pools(tx: &TxContext<'_>, params: &Params, sums: &Sums) -> Result<()> {
    for (status, want) in [(Status::Bonded, sums.bonded), (Status::Unbonded, sums.loose)] {
        let who = pool(status);
        let have = x_bank::balance(tx.state.as_scan(), &who, &params.bond_denom)?;
        if have != want {
            let name = if status == Status::Bonded {
                pool::BONDED_POOL
            } else {
                pool::NOT_BONDED_POOL
            };
            let denom = &params.bond_denom;
            return Err(errors::genesis(format_args!(
                "{name} holds {have}{denom}, stake says {want}{denom}"
            )));
        }
    }
    Ok(())
}

/// An exported chain goes on with the powers CometBFT was last told.
pub(super) fn last_powers(tx: &mut TxContext<'_>, section: &Section) -> Result<Vec<ValidatorUpdate>> {
    let config = tx.block.config.clone();
    let mut updates = Vec::new();
    for last in &section.last_validator_powers {
        let operator = json::operator(&config, &last.address)?;
        let v = validator(tx.state.as_scan(), &operator)?.ok_or_else(|| {
            errors::genesis(format_args!("last power of unknown validator {}", last.address))
        })?;
        let power = last.power.0;
        if power <= 0 {
            return Err(errors::genesis(format_args!(
                "last power {power} of {}",
                last.address
            )));
        }
        tx.state
            .put(keys::last_power(&operator), power.encode_to_vec().into());
        updates.push(ValidatorUpdate {
            pub_key: Bytes::copy_from_slice(&v.pubkey),
            power,
        });
    }
    Ok(updates)
}
