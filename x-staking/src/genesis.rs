//! How a chain's stake begins: reading the section at `InitChain`, and building one for a new chain.
use crate::hooks::StakingHooks;
use crate::json::{self, Amount, Duration, Moment, Num, Section};
use crate::records::{Delegation, Redelegation, RedelegationEntry, Unbonding, UnbondingEntry};
use crate::validator::{
    Commission, Description, Status, Validator, operator_text, put_validator, read_pubkey, validator,
};
use crate::{Params, errors, export, index, keys, mature, pool, updates};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cosmrs::proto::cosmos::staking::v1beta1::{DvPair, DvPairs, DvvTriplet, DvvTriplets};
use module::{GenesisContext, Result, TxContext, ValidatorUpdate};
use prost::Message as _;
use state::{Deferral, Value, apply_deferrals};
use types::{Address, Bytes, ChainConfig, Coin, Dec, U256};

/// A validator that a new chain starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisValidator {
    /// Who runs it; the account of the same bytes holds the self-delegation.
    pub operator: Address,
    /// Its name.
    pub moniker: String,
    /// Ed25519 key it signs blocks with.
    pub consensus_pubkey: [u8; 32],
    /// Self-delegation in base units: at least one unit of power.
    pub tokens: U256,
    /// Commission.
    pub rate: Dec,
    /// Most commission ever.
    pub max_rate: Dec,
    /// Most rise a day.
    pub max_change_rate: Dec,
}

impl GenesisValidator {
    /// A validator with the usual commission: 5 %, at most 20 %, at most 1 % more a day.
    pub fn new(operator: Address, moniker: &str, consensus_pubkey: [u8; 32], tokens: U256) -> Self {
        let percent = |n: u64| Dec::from_raw(U256::from(n * 10_000_000_000_000_000));
        Self {
            operator,
            moniker: moniker.into(),
            consensus_pubkey,
            tokens,
            rate: percent(5),
            max_rate: percent(20),
            max_change_rate: percent(1),
        }
    }
}

/// A genesis section, and the pool balances that the bank's section must hold for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisStake {
    /// The section `staking` of `app_state`.
    pub section: serde_json::Value,
    /// Who must hold what: the pools, where not empty.
    pub balances: Vec<(Address, Coin)>,
}

/// The section of a chain whose validators start bonded with their own stake, under the SDK's default parameters.
/// An error names what is wrong with a validator.
pub fn bonded_validators(
    validators: &[GenesisValidator],
    config: &ChainConfig,
) -> Result<GenesisStake, String> {
    bonded_validators_with(validators, config, &Params::new(&config.base_denom))
}

/// [`bonded_validators`] under other parameters.
pub fn bonded_validators_with(
    validators: &[GenesisValidator],
    config: &ChainConfig,
    params: &Params,
) -> Result<GenesisStake, String> {
    params.check()?;
    if validators.len() > params.max_validators as usize {
        return Err(format!(
            "{} validators, at most {} can be bonded",
            validators.len(),
            params.max_validators
        ));
    }
    let mut total = U256::ZERO;
    let mut records = Vec::new();
    let mut delegations = Vec::new();
    for g in validators {
        let who = operator_text(config, &g.operator);
        let v = start(g, config).map_err(|why| format!("validator {who}: {why}"))?;
        total = total
            .checked_add(v.tokens)
            .ok_or("the validators' stake is beyond 256 bits")?;
        delegations.push(Delegation {
            delegator: g.operator,
            operator: g.operator,
            shares: v.shares,
        });
        records.push(v);
    }
    let section = Section {
        params: export::params(params),
        last_total_power: Num(0),
        last_validator_powers: Vec::new(),
        validators: records.iter().map(|v| export::validator(config, v)).collect(),
        delegations: delegations
            .iter()
            .map(|d| export::delegation(config, d))
            .collect(),
        unbonding_delegations: Vec::new(),
        redelegations: Vec::new(),
        exported: false,
    };
    let pool = (pool(Status::Bonded), Coin::new(total, params.bond_denom.clone()));
    let balances = if total.is_zero() { Vec::new() } else { vec![pool] };
    Ok(GenesisStake {
        section: serde_json::to_value(section).expect("plain data"),
        balances,
    })
}

fn start(g: &GenesisValidator, config: &ChainConfig) -> Result<Validator, String> {
    let description = Description {
        moniker: g.moniker.clone(),
        ..Description::default()
    };
    let mut v = Validator::new(g.operator, g.consensus_pubkey, description);
    v.status = Status::Bonded;
    v.add_tokens(g.tokens).map_err(|e| e.to_string())?;
    if v.potential_power(config) == 0 {
        let least = &config.power_reduction;
        return Err(format!(
            "stake {} is less than one unit of power ({least})",
            g.tokens
        ));
    }
    if g.max_rate > Dec::ONE || g.rate > g.max_rate || g.max_change_rate > g.max_rate {
        return Err(format!(
            "commission {} of at most {} (+{})",
            g.rate, g.max_rate, g.max_change_rate
        ));
    }
    let (rate, max_rate, max_change_rate) = (g.rate, g.max_rate, g.max_change_rate);
    v.commission = Commission {
        rate,
        max_rate,
        max_change_rate,
        ..v.commission
    };
    Ok(v)
}

/// Reads the section and reports the validators it bonds. The bank's genesis must have run: the pools must hold what
/// the section says. A missing section is that of a chain whose validators come from genesis transactions, or from
/// CometBFT's genesis document alone.
pub(crate) fn init(
    section: &serde_json::Value,
    ctx: &mut GenesisContext<'_>,
    hooks: &dyn StakingHooks,
) -> Result<()> {
    let config = &ctx.block.config;
    let section = if section.is_null() {
        empty(config)
    } else {
        read(section)?
    };
    let params = import::params(&section.params)?;
    crate::params::put_params(ctx.state, &params);
    let mut events = Vec::new();
    let mut tx = TxContext {
        block: ctx.block,
        state: &mut *ctx.state,
        events: &mut events,
    };
    updates::put_total(&mut tx, section.last_total_power.0);
    let mut sums = import::validators(&mut tx, &section, hooks)?;
    import::delegations(&mut tx, &section, hooks)?;
    import::moving(&mut tx, &section, &mut sums)?;
    import::check_pools(&tx, &params, &sums)?;
    let updates = if section.exported {
        import::last_powers(&mut tx, &section)?
    } else {
        updates::apply(&mut tx, hooks)?
    };
    ctx.validator_updates.extend(updates);
    Ok(())
}

fn empty(config: &ChainConfig) -> Section {
    Section {
        params: export::params(&Params::new(&config.base_denom)),
        last_total_power: Num(0),
        last_validator_powers: Vec::new(),
        validators: Vec::new(),
        delegations: Vec::new(),
        unbonding_delegations: Vec::new(),
        redelegations: Vec::new(),
        exported: false,
    }
}

fn read(section: &serde_json::Value) -> Result<Section> {
    use serde::Deserialize as _;
    Section::deserialize(section).map_err(|e| errors::genesis(format_args!("section staking: {e}")))
}

/// From the section into state, part by part.
mod import {
    use super::*;
    use state::StateWrite;
    use std::collections::BTreeMap;

    /// What the pools must hold: bonded, not bonded; and the shares each validator has given out.
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
            let twice = validator(tx.state.as_scan(), &v.operator)?.is_some()
                || tx.state.get(&by_consensus)?.is_some();
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

    pub(super) fn delegations(
        tx: &mut TxContext<'_>,
        section: &Section,
        hooks: &dyn StakingHooks,
    ) -> Result<()> {
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
}

impl From<U256> for Amount {
    fn from(v: U256) -> Self {
        Self(v)
    }
}
impl From<types::Timestamp> for Moment {
    fn from(t: types::Timestamp) -> Self {
        Self(t)
    }
}
