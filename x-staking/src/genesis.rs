//! How a chain's stake begins: reading the section at `InitChain`, and building one for a new chain.
mod import;

use crate::hooks::StakingHooks;
use crate::json::{Amount, Moment, Num, Section};
use crate::records::Delegation;
use crate::validator::{Commission, Description, Status, Validator, operator_text};
use crate::{Params, errors, export, pool, updates};
use module::{GenesisContext, Result, TxContext};
use types::{Address, ChainConfig, Coin, Dec, U256};

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
