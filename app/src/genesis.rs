//! Genesis: reading `app_state` at `InitChain`, and writing it for `init`, `dev` and `testnet`.
use crate::api::{AppError, ConsensusParams, InitChain, ValidatorUpdate};
use crate::app::{init_chain_store, init_modules};
use crate::chain::{ChainInfo, check_params};
use crate::modules::Modules;
use module::BlockContext;
use serde_json::{Value, json};
use state::WriteSet;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Address, ChainConfig, Coin, Timestamp, bech32_address};

/// The section of `app_state` that names the chain's things.
const SECTION: &str = "chain";

/// An account and what it starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisAccount {
    /// Whose.
    pub address: Address,
    /// Its coins.
    pub coins: Vec<Coin>,
}

/// What a new chain starts with.
#[derive(Clone, Debug)]
pub struct GenesisSpec {
    /// Its names.
    pub config: ChainConfig,
    /// Who has what.
    pub accounts: Vec<GenesisAccount>,
    /// Who validates; each one's stake comes on top of `accounts`.
    pub validators: Vec<x_staking::GenesisValidator>,
}

/// Runs genesis: checks everything, and gives back what to write and the validator set to start with.
pub(crate) fn run(
    modules: &Modules,
    req: &InitChain,
) -> Result<(ChainInfo, WriteSet, Vec<ValidatorUpdate>), AppError> {
    check_params(&req.params, req.initial_height)?;
    let bad = |why: String| AppError::Genesis(why);
    let app_state: Value =
        serde_json::from_slice(&req.app_state).map_err(|e| bad(format!("app_state is not JSON: {e}")))?;
    let section = app_state
        .get(SECTION)
        .ok_or_else(|| bad(format!("app_state has no section {SECTION:?}")))?;
    let config: ChainConfig =
        serde_json::from_value(section.clone()).map_err(|e| bad(format!("section {SECTION:?}: {e}")))?;
    config.check().map_err(bad)?;
    let info = ChainInfo {
        chain_id: req.chain_id.as_str().into(),
        config: Arc::new(config),
        initial_height: req.initial_height,
        genesis_time: req.time,
        params: req.params.clone(),
    };
    let mut ctx = BlockContext::plain(info.config.clone(), &info.chain_id, req.initial_height, req.time);
    ctx.gas_limit = info.gas_limit();
    let (writes, updates) = init_modules(modules, &app_state, &ctx, req)?;
    let validators = starting_set(&req.validators, updates)?;
    Ok((info.clone(), init_chain_store(writes, &info)?, validators))
}

/// CometBFT insists that a set named in the genesis document is the set the app answers with.
fn starting_set(
    named: &[ValidatorUpdate],
    ours: Vec<ValidatorUpdate>,
) -> Result<Vec<ValidatorUpdate>, AppError> {
    if ours.is_empty() && named.is_empty() {
        return Err(AppError::Genesis(
            "no validators: neither the document nor staking names any".into(),
        ));
    }
    if named.is_empty() {
        return Ok(ours);
    }
    let by_key = |list: &[ValidatorUpdate]| -> BTreeMap<Vec<u8>, i64> {
        list.iter().map(|v| (v.pub_key.to_vec(), v.power)).collect()
    };
    let (want, have) = (by_key(named), by_key(&ours));
    if want != have {
        let show =
            |m: &BTreeMap<Vec<u8>, i64>| m.values().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let why = format!(
            "the document's {} validators (powers {}) are not staking's {} (powers {})",
            want.len(),
            show(&want),
            have.len(),
            show(&have)
        );
        return Err(AppError::Genesis(why));
    }
    Ok(ours)
}

/// Builds `app_state` for a new chain.
pub fn app_state(spec: &GenesisSpec) -> Result<Value, AppError> {
    let config = &spec.config;
    config.check().map_err(AppError::Genesis)?;
    let staking = x_staking::bonded_validators(&spec.validators, config)
        .map_err(|e| AppError::Genesis(format!("validators: {e}")))?;
    let mut balances: BTreeMap<Address, BTreeMap<String, types::U256>> = BTreeMap::new();
    let pools = staking.balances.iter().map(|(who, coin)| (*who, coin.clone()));
    let listed = spec
        .accounts
        .iter()
        .flat_map(|a| a.coins.iter().map(|c| (a.address, c.clone())));
    for (who, coin) in listed.chain(pools) {
        let sum = balances
            .entry(who)
            .or_default()
            .entry(coin.denom.clone())
            .or_default();
        *sum = sum
            .checked_add(coin.amount)
            .ok_or_else(|| AppError::Genesis(format!("balance of {who} beyond 256 bits")))?;
    }
    let mut supply: BTreeMap<String, types::U256> = BTreeMap::new();
    for (denom, amount) in balances.values().flatten() {
        let sum = supply.entry(denom.clone()).or_default();
        *sum = sum
            .checked_add(*amount)
            .ok_or_else(|| AppError::Genesis(format!("supply of {denom} beyond 256 bits")))?;
    }
    let text = |who: &Address| bech32_address(&config.bech32_prefix, who);
    let coins = |coins: &BTreeMap<String, types::U256>| -> Vec<Value> {
        coins
            .iter()
            .map(|(d, a)| json!({ "denom": d, "amount": a.to_string() }))
            .collect()
    };
    let modules: Vec<Address> = crate::modules::MODULE_ACCOUNTS
        .iter()
        .map(|(name, _)| x_auth::module_address(name))
        .collect();
    let accounts: Vec<Value> = balances
        .keys()
        .filter(|who| !modules.contains(who))
        .map(|who| {
            json!({
                "@type": "/cosmos.auth.v1beta1.BaseAccount",
                "address": text(who), "pub_key": null, "account_number": "0", "sequence": "0",
            })
        })
        .collect();
    let balances: Vec<Value> = balances
        .iter()
        .map(|(who, c)| json!({ "address": text(who), "coins": coins(c) }))
        .collect();
    Ok(json!({
        SECTION: config,
        "auth": { "accounts": accounts },
        "bank": {
            "params": { "send_enabled": [], "default_send_enabled": true },
            "balances": balances,
            "supply": coins(&supply),
            "denom_metadata": [{
                "description": "", "base": config.base_denom, "display": config.display_denom,
                "name": config.display_denom, "symbol": config.display_denom.to_uppercase(),
                "uri": "", "uri_hash": "",
                "denom_units": [
                    { "denom": config.base_denom, "exponent": 0, "aliases": [] },
                    { "denom": config.display_denom, "exponent": config.decimals, "aliases": [] },
                ],
            }],
            "send_enabled": [],
        },
        "staking": staking.section,
        "evm": {},
    }))
}

/// A whole `genesis.json` in CometBFT's form, which SDK tools read too.
pub fn document(
    chain_id: &str,
    time: Timestamp,
    params: &ConsensusParams,
    validators: &[Value],
    app_state: &Value,
) -> Value {
    json!({
        "genesis_time": time.rfc3339(),
        "chain_id": chain_id,
        "initial_height": "1",
        "consensus_params": {
            "block": { "max_bytes": params.max_bytes.to_string(), "max_gas": params.max_gas.to_string() },
            "evidence": { "max_age_num_blocks": "100000", "max_age_duration": "172800000000000", "max_bytes": "1048576" },
            "validator": { "pub_key_types": ["ed25519"] },
            "version": { "app": params.app_version.to_string() },
            "abci": { "vote_extensions_enable_height": "0" },
        },
        "validators": validators,
        "app_hash": "",
        "app_state": app_state,
    })
}
