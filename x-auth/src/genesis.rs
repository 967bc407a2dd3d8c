//! Accounts and parameters in a genesis document, in the SDK's JSON.
use crate::{
    Account, ETH_SECP256K1_URL, ETHERMINT_SECP256K1_URL, MULTISIG_URL, Params, PublicKey, SECP256K1_URL,
    account_prefix, next_number, numbers, params, put_params,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cosmrs::proto::{
    Any,
    cosmos::crypto::{multisig::LegacyAminoPubKey, secp256k1::PubKey as ProtoKey},
};
use module::{Error, QueryContext, Result, codes};
use prost::Message as _;
use serde_json::{Value, json};
use state::{Control, StateWrite};
use std::collections::{BTreeMap, BTreeSet};
use types::{Address, ChainConfig, parse_address};

fn bad(why: impl std::fmt::Display) -> Error {
    Error::sdk(
        codes::INVALID_REQUEST,
        format!("genesis, auth: {why}: invalid request"),
    )
}

/// A 64-bit number as JSON has it: a string, or a number.
fn number(object: &Value, field: &str, absent: u64) -> Result<u64> {
    match &object[field] {
        Value::Null => Ok(absent),
        Value::String(text) => text
            .parse()
            .map_err(|_| bad(format!("{field}: {text:?} is not a number"))),
        Value::Number(n) => n
            .as_u64()
            .ok_or_else(|| bad(format!("{field}: {n} is not a number"))),
        other => Err(bad(format!("{field}: {other} is not a number"))),
    }
}

fn text<'v>(object: &'v Value, field: &str) -> Result<&'v str> {
    object[field]
        .as_str()
        .ok_or_else(|| bad(format!("{field}: want a string, have {}", object[field])))
}

/// A list; absent and `null` are empty.
fn list<'v>(object: &'v Value, field: &str) -> Result<&'v [Value]> {
    match &object[field] {
        Value::Null => Ok(&[]),
        Value::Array(items) => Ok(items),
        other => Err(bad(format!("{field}: want a list, have {other}"))),
    }
}

/// Writes parameters and accounts; accounts with the same number get the next free ones, as in the SDK.
pub(crate) fn init(section: &Value, state: &mut dyn StateWrite, config: &ChainConfig) -> Result<()> {
    put_params(state, &read_params(&section["params"])?);
    let mut accounts = Vec::new();
    let mut seen = BTreeSet::new();
    for item in list(section, "accounts")? {
        let account = read_account(item, config)?;
        if !seen.insert(account.address) {
            return Err(bad(format!("account {} is there twice", account.address)));
        }
        accounts.push(account);
    }
    let mut next = next_number(state.as_scan())?;
    for account in renumber(accounts) {
        numbers::put_numbered(state, config, &account);
        let after = account
            .number
            .checked_add(1)
            .ok_or_else(|| bad(format!("account_number {}", account.number)))?;
        next = next.max(after);
    }
    numbers::put_next_number(state, next);
    Ok(())
}

/// SDK `SanitizeGenesisAccounts`: sorted by number, repeats moved to unused numbers.
fn renumber(mut accounts: Vec<Account>) -> Vec<Account> {
    accounts.sort_by_key(|a| a.number);
    let mut by_number: BTreeMap<u64, Account> = BTreeMap::new();
    let mut repeats = Vec::new();
    for account in accounts {
        if let std::collections::btree_map::Entry::Vacant(slot) = by_number.entry(account.number) {
            slot.insert(account);
        } else {
            repeats.push(account);
        }
    }
    let mut free = 0;
    for mut account in repeats {
        while by_number.contains_key(&free) {
            free += 1;
        }
        account.number = free;
        by_number.insert(free, account);
    }
    by_number.into_values().collect()
}

fn read_params(json: &Value) -> Result<Params> {
    let default = crate::DEFAULT_PARAMS;
    let params = Params {
        max_memo_characters: number(json, "max_memo_characters", default.max_memo_characters)?,
        tx_sig_limit: number(json, "tx_sig_limit", default.tx_sig_limit)?,
        tx_size_cost_per_byte: number(json, "tx_size_cost_per_byte", default.tx_size_cost_per_byte)?,
        sig_verify_cost_ed25519: number(json, "sig_verify_cost_ed25519", default.sig_verify_cost_ed25519)?,
        sig_verify_cost_secp256k1: number(
            json,
            "sig_verify_cost_secp256k1",
            default.sig_verify_cost_secp256k1,
        )?,
    };
    let p = &params;
    let all = [
        p.max_memo_characters,
        p.tx_sig_limit,
        p.tx_size_cost_per_byte,
        p.sig_verify_cost_ed25519,
    ];
    if all.contains(&0) || p.sig_verify_cost_secp256k1 == 0 {
        return Err(bad("params: zero is not allowed"));
    }
    Ok(params)
}

fn read_account(json: &Value, config: &ChainConfig) -> Result<Account> {
    let (base, module) = match text(json, "@type")? {
        "/cosmos.auth.v1beta1.BaseAccount" => (json, None),
        "/cosmos.auth.v1beta1.ModuleAccount" => {
            let permission = |p: &Value| {
                p.as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| bad(format!("permission {p}")))
            };
            let permissions = list(json, "permissions")?
                .iter()
                .map(permission)
                .collect::<Result<_>>()?;
            (
                &json["base_account"],
                Some((text(json, "name")?.to_owned(), permissions)),
            )
        }
        other => return Err(bad(format!("account type {other} is not supported"))),
    };
    let address = parse_address(&config.bech32_prefix, text(base, "address")?).map_err(bad)?;
    if let Some((name, _)) = &module
        && crate::module_address(name) != address
    {
        return Err(bad(format!("module account {name} has address {address}")));
    }
    let pub_key = match &base["pub_key"] {
        Value::Null => None,
        key => Some(read_key(key)?),
    };
    if pub_key.as_ref().is_some_and(|k| k.address() != address) {
        return Err(bad(format!("account {address} has another's public key")));
    }
    Ok(Account {
        address,
        pub_key: pub_key.map(|k| k.to_any()),
        number: number(base, "account_number", 0)?,
        sequence: number(base, "sequence", 0)?,
        module,
    })
}

fn key_any(json: &Value, nested: bool) -> Result<Any> {
    let url = text(json, "@type")?;
    let value = match url {
        SECP256K1_URL | ETH_SECP256K1_URL | ETHERMINT_SECP256K1_URL => {
            let key = text(json, "key")?;
            ProtoKey {
                key: STANDARD
                    .decode(key)
                    .map_err(|e| bad(format!("key {key:?}: {e}")))?,
            }
            .encode_to_vec()
        }
        MULTISIG_URL if !nested => {
            let threshold = number(json, "threshold", 0)?;
            let threshold = u32::try_from(threshold).map_err(|_| bad(format!("threshold {threshold}")))?;
            let public_keys = list(json, "public_keys")?
                .iter()
                .map(|k| key_any(k, true))
                .collect::<Result<_>>()?;
            LegacyAminoPubKey {
                threshold,
                public_keys,
            }
            .encode_to_vec()
        }
        other => return Err(bad(format!("public key type {other}"))),
    };
    Ok(Any {
        type_url: url.into(),
        value,
    })
}

fn read_key(json: &Value) -> Result<PublicKey> {
    PublicKey::from_any(&key_any(json, false)?)
}

fn key_json(key: &PublicKey) -> Value {
    let single = |url: &str, key: &[u8]| json!({ "@type": url, "key": STANDARD.encode(key) });
    match key {
        PublicKey::Secp256k1(key) => single(SECP256K1_URL, key),
        PublicKey::EthSecp256k1(key) => single(ETH_SECP256K1_URL, key),
        PublicKey::Multisig { threshold, keys } => json!({
            "@type": MULTISIG_URL,
            "threshold": threshold,
            "public_keys": keys.iter().map(key_json).collect::<Vec<_>>(),
        }),
    }
}

fn account_json(account: &Account, config: &ChainConfig) -> Result<Value> {
    let key = account.pub_key.as_ref().map(PublicKey::from_any).transpose()?;
    let mut base = json!({
        "address": types::bech32_address(&config.bech32_prefix, &account.address),
        "pub_key": key.as_ref().map(key_json),
        "account_number": account.number.to_string(),
        "sequence": account.sequence.to_string(),
    });
    Ok(match &account.module {
        None => {
            base["@type"] = "/cosmos.auth.v1beta1.BaseAccount".into();
            base
        }
        Some((name, permissions)) => json!({
            "@type": "/cosmos.auth.v1beta1.ModuleAccount",
            "base_account": base,
            "name": name,
            "permissions": permissions,
        }),
    })
}

/// Parameters and accounts, by address.
pub(crate) fn export(ctx: &QueryContext<'_>) -> Result<Value> {
    let p = params(ctx.state)?;
    let mut accounts: Vec<Address> = Vec::new();
    ctx.state.scan(&account_prefix(), &mut |key, _| {
        accounts.extend(Address::try_from(&key.bytes()[1..]).ok());
        Control::Continue(())
    })?;
    let mut items = Vec::with_capacity(accounts.len());
    for address in accounts {
        if let Some(account) = crate::account(ctx.state, &address)? {
            items.push(account_json(&account, &ctx.block.config)?);
        }
    }
    Ok(json!({
        "params": {
            "max_memo_characters": p.max_memo_characters.to_string(),
            "tx_sig_limit": p.tx_sig_limit.to_string(),
            "tx_size_cost_per_byte": p.tx_size_cost_per_byte.to_string(),
            "sig_verify_cost_ed25519": p.sig_verify_cost_ed25519.to_string(),
            "sig_verify_cost_secp256k1": p.sig_verify_cost_secp256k1.to_string(),
        },
        "accounts": items,
    }))
}
