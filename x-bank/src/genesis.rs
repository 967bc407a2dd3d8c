//! Balances, supply and descriptions in a genesis document, in the SDK's JSON.
use crate::params::{self, Metadata, Params, put_metadata, put_send_enabled};
use crate::{STORE, balance, balance_key, parse_balance_key, supply, supply_key};
use cosmrs::proto::cosmos::bank::v1beta1::DenomUnit;
use module::{Error, GenesisContext, QueryContext, Result, codes};
use serde_json::{Value, json};
use state::{Control, KeyRange, StateScan, encode_amount};
use std::collections::BTreeMap;
use types::{Address, Coin, U256, bech32_address, format_coins, parse_address};

fn bad(why: impl std::fmt::Display) -> Error {
    Error::sdk(
        codes::INVALID_REQUEST,
        format!("genesis, bank: {why}: invalid request"),
    )
}

fn list<'v>(object: &'v Value, field: &str) -> Result<&'v [Value]> {
    match &object[field] {
        Value::Null => Ok(&[]),
        Value::Array(items) => Ok(items),
        other => Err(bad(format!("{field}: want a list, have {other}"))),
    }
}

fn text<'v>(object: &'v Value, field: &str) -> Result<&'v str> {
    match &object[field] {
        Value::Null => Ok(""),
        Value::String(text) => Ok(text),
        other => Err(bad(format!("{field}: want a string, have {other}"))),
    }
}

/// Coins in the order given: positive, sorted, no denomination twice.
fn coins(items: &[Value]) -> Result<Vec<Coin>> {
    let mut out: Vec<Coin> = Vec::with_capacity(items.len());
    for item in items {
        let coin: Coin = format!("{}{}", text(item, "amount")?, text(item, "denom")?)
            .parse()
            .map_err(bad)?;
        if coin.amount.is_zero() {
            return Err(bad(format!("coin {coin}: want a positive amount")));
        }
        out.push(coin);
    }
    match out.windows(2).find(|w| w[0].denom >= w[1].denom) {
        Some(w) => Err(bad(format!("coins {} and {} are not sorted", w[0], w[1]))),
        None => Ok(out),
    }
}

/// Writes the section; every holder gets an account. Refuses a stated supply that is not the sum of the balances.
pub(crate) fn init(section: &Value, ctx: &mut GenesisContext<'_>) -> Result<()> {
    let config = &ctx.block.config;
    init_params(section, ctx)?;
    let mut holders: BTreeMap<Address, Vec<Coin>> = BTreeMap::new();
    let mut total: BTreeMap<String, U256> = BTreeMap::new();
    for item in list(section, "balances")? {
        let who = parse_address(&config.bech32_prefix, text(item, "address")?).map_err(bad)?;
        let coins = coins(list(item, "coins")?)?;
        for coin in &coins {
            let entry = total.entry(coin.denom.clone()).or_insert(U256::ZERO);
            *entry = entry
                .checked_add(coin.amount)
                .ok_or_else(|| bad(format!("supply of {} is beyond 256 bits", coin.denom)))?;
        }
        if holders.insert(who, coins).is_some() {
            return Err(bad(format!(
                "balance of {} is there twice",
                text(item, "address")?
            )));
        }
    }
    let total: Vec<Coin> = total
        .into_iter()
        .map(|(denom, amount)| Coin { denom, amount })
        .collect();
    let stated = coins(list(section, "supply")?)?;
    if !stated.is_empty() && stated != total {
        let (stated, total) = (format_coins(&stated), format_coins(&total));
        return Err(bad(format!(
            "genesis supply is incorrect, expected {stated}, got {total}"
        )));
    }
    for coin in &total {
        ctx.state.put(
            supply_key(&coin.denom),
            encode_amount(coin.amount).expect("positive"),
        );
    }
    for (who, coins) in &holders {
        for coin in coins {
            ctx.state.put(
                balance_key(who, &coin.denom),
                encode_amount(coin.amount).expect("positive"),
            );
        }
    }
    let holders = holders
        .into_iter()
        .filter(|(_, coins)| !coins.is_empty())
        .map(|(who, _)| who);
    Ok(x_auth::assign_numbers(ctx.state, config, holders)?)
}

fn init_params(section: &Value, ctx: &mut GenesisContext<'_>) -> Result<()> {
    let default_send_enabled = match &section["params"]["default_send_enabled"] {
        Value::Null => true,
        Value::Bool(b) => *b,
        other => {
            return Err(bad(format!(
                "default_send_enabled: want true or false, have {other}"
            )));
        }
    };
    params::put_params(
        ctx.state,
        &Params {
            default_send_enabled,
            ..Params::default()
        },
    );
    // The list moved out of the parameters in SDK 0.47; both places are read.
    let old = list(&section["params"], "send_enabled")?;
    for entry in old.iter().chain(list(section, "send_enabled")?) {
        let denom = text(entry, "denom")?;
        types::validate_denom(denom).map_err(bad)?;
        let enabled = entry["enabled"]
            .as_bool()
            .ok_or_else(|| bad(format!("send_enabled of {denom}: {entry}")))?;
        put_send_enabled(ctx.state, denom, enabled);
    }
    for entry in list(section, "denom_metadata")? {
        put_metadata(ctx.state, &read_metadata(entry)?)?;
    }
    Ok(())
}

fn read_metadata(json: &Value) -> Result<Metadata> {
    let field = |name: &str| text(json, name).map(str::to_owned);
    let mut denom_units = Vec::new();
    for unit in list(json, "denom_units")? {
        let exponent = match &unit["exponent"] {
            Value::Null => 0,
            n => n
                .as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .ok_or_else(|| bad(format!("exponent {n}")))?,
        };
        let alias = |a: &Value| {
            a.as_str()
                .map(str::to_owned)
                .ok_or_else(|| bad(format!("alias {a}")))
        };
        let aliases = list(unit, "aliases")?.iter().map(alias).collect::<Result<_>>()?;
        denom_units.push(DenomUnit {
            denom: text(unit, "denom")?.to_owned(),
            exponent,
            aliases,
        });
    }
    Ok(Metadata {
        description: field("description")?,
        denom_units,
        base: field("base")?,
        display: field("display")?,
        name: field("name")?,
        symbol: field("symbol")?,
        uri: field("uri")?,
        uri_hash: field("uri_hash")?,
    })
}

fn metadata_json(m: &Metadata) -> Value {
    let unit = |u: &DenomUnit| json!({ "denom": u.denom, "exponent": u.exponent, "aliases": u.aliases });
    json!({
        "description": m.description,
        "denom_units": m.denom_units.iter().map(unit).collect::<Vec<_>>(),
        "base": m.base,
        "display": m.display,
        "name": m.name,
        "symbol": m.symbol,
        "uri": m.uri,
        "uri_hash": m.uri_hash,
    })
}

/// The denominations under a one-byte prefix.
fn denoms(state: &dyn StateScan, prefix: u8) -> Result<Vec<String>> {
    let mut out = Vec::new();
    state.scan(&KeyRange::prefix(STORE, &[prefix]), &mut |key, _| {
        out.push(String::from_utf8_lossy(&key.bytes()[1..]).into_owned());
        Control::Continue(())
    })?;
    Ok(out)
}

/// The section that [`init`] reads back.
pub(crate) fn export(ctx: &QueryContext<'_>) -> Result<Value> {
    let coin_json = |c: &Coin| json!({ "denom": c.denom, "amount": c.amount.to_string() });
    let mut holders: BTreeMap<Address, Vec<Coin>> = BTreeMap::new();
    let mut keys = Vec::new();
    ctx.state.scan(&KeyRange::prefix(STORE, &[2]), &mut |key, _| {
        keys.extend(parse_balance_key(key).map(|(who, denom)| (who, denom.to_owned())));
        Control::Continue(())
    })?;
    for (who, denom) in keys {
        let amount = balance(ctx.state, &who, &denom)?;
        holders.entry(who).or_default().push(Coin { denom, amount });
    }
    let prefix = &ctx.block.config.bech32_prefix;
    let balances: Vec<Value> = holders
        .iter()
        .map(|(who, coins)| {
            let coins: Vec<Value> = coins.iter().map(coin_json).collect();
            json!({ "address": bech32_address(prefix, who), "coins": coins })
        })
        .collect();
    let mut total = Vec::new();
    for denom in denoms(ctx.state, 0)? {
        total.push(coin_json(&Coin::new(supply(ctx.state, &denom)?, denom)));
    }
    let mut send_enabled = Vec::new();
    for denom in denoms(ctx.state, 4)? {
        let enabled = params::send_enabled_entry(ctx.state, &denom)?;
        send_enabled.push(json!({ "denom": denom, "enabled": enabled }));
    }
    let mut described = Vec::new();
    for denom in denoms(ctx.state, 1)? {
        described.extend(params::metadata(ctx.state, &denom)?.as_ref().map(metadata_json));
    }
    Ok(json!({
        "params": { "send_enabled": [], "default_send_enabled": params::params(ctx.state)?.default_send_enabled },
        "balances": balances,
        "supply": total,
        "denom_metadata": described,
        "send_enabled": send_enabled,
    }))
}
