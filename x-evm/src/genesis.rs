//! The EVM's part of genesis: accounts with code and storage, and the contracts that every chain expects.
use crate::keys;
use crate::params::{Params, put_params};
use alloy_eips::eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE};
use alloy_eips::eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE};
use alloy_primitives::{address, hex};
use module::{Error, GenesisContext, QueryContext, Result, codes};
use revm::primitives::KECCAK_EMPTY;
use serde::{Deserialize, Serialize};
use state::{Control, KeyRange, StateWrite, Value};
use std::collections::BTreeMap;
use types::{Address, B256, U256, keccak256};

/// The module's section of `app_state`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Genesis {
    /// Parameters; the chain's denomination where missing.
    #[serde(default)]
    pub(crate) params: Option<Params>,
    /// Contracts.
    #[serde(default)]
    pub(crate) accounts: Vec<Contract>,
    /// Well-known contracts; the default ones where missing.
    #[serde(default)]
    pub(crate) preinstalls: Option<Vec<Preinstall>>,
}

/// A contract in genesis. Its balance is the bank's matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contract {
    /// 0x-hex or bech32.
    pub(crate) address: String,
    /// Runtime code, 0x-hex.
    pub(crate) code: String,
    /// Words by slot, 0x-hex.
    #[serde(default)]
    pub(crate) storage: Vec<Slot>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slot {
    pub(crate) key: B256,
    pub(crate) value: B256,
}

/// A well-known contract that is there from the first block on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preinstall {
    /// Its name.
    pub name: String,
    /// Its usual address, 0x-hex.
    pub address: String,
    /// Runtime code, 0x-hex.
    pub code: String,
}

impl Preinstall {
    /// The contracts of a chain whose genesis names none.
    pub fn defaults() -> Vec<Self> {
        let one = |name: &str, address: Address, code: String| Self {
            name: name.into(),
            address: address.to_string(),
            code: format!("0x{code}"),
        };
        vec![
            one("Create2", CREATE2, hex::encode(CREATE2_CODE)),
            one("Multicall3", MULTICALL3, MULTICALL3_CODE.trim_end().into()),
            one("Permit2", PERMIT2, PERMIT2_CODE.trim_end().into()),
            one(
                "EIP-2935",
                HISTORY_STORAGE_ADDRESS,
                hex::encode(&HISTORY_STORAGE_CODE),
            ),
            one("EIP-4788", BEACON_ROOTS_ADDRESS, hex::encode(&BEACON_ROOTS_CODE)),
        ]
    }
}

/// The deterministic deployment proxy (github.com/Arachnid/deterministic-deployment-proxy).
const CREATE2: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");
const CREATE2_CODE: [u8; 69] = hex!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182"
    "fd5b8082525050506014600cf3"
);
/// See preinstalls/README.md.
const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");
const MULTICALL3_CODE: &str = include_str!("../preinstalls/multicall3.hex");
/// See preinstalls/README.md.
const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");
const PERMIT2_CODE: &str = include_str!("../preinstalls/permit2.hex");

/// Writes the section into state.
pub(crate) fn init(section: &serde_json::Value, ctx: &mut GenesisContext<'_>) -> Result<()> {
    let bad = |why: String| Error::sdk(codes::INVALID_REQUEST, format!("genesis of evm: {why}"));
    let section = if section.is_null() {
        &serde_json::Value::Object(serde_json::Map::new())
    } else {
        section
    };
    let genesis: Genesis = serde_json::from_value(section.clone()).map_err(|e| bad(e.to_string()))?;
    let config = &ctx.block.config;
    let params = genesis.params.unwrap_or_else(|| Params::new(&config.base_denom));
    if params.evm_denom != config.base_denom {
        return Err(bad(format!(
            "evm_denom {:?}: want the base denomination {:?}",
            params.evm_denom, config.base_denom
        )));
    }
    put_params(ctx.state, &params);
    let preinstalls = genesis.preinstalls.unwrap_or_else(Preinstall::defaults);
    let contracts = preinstalls
        .into_iter()
        .map(|p| Contract {
            address: p.address,
            code: p.code,
            storage: Vec::new(),
        })
        .chain(genesis.accounts);
    let mut seen = std::collections::BTreeSet::new();
    for contract in contracts {
        let who =
            types::parse_address(&config.bech32_prefix, &contract.address).map_err(|e| bad(e.to_string()))?;
        let code = hex::decode(&contract.code).map_err(|e| bad(format!("code of {who}: {e}")))?;
        // Storage without code or nonce would be a create's collision that no check sees (EIP-7610).
        if code.is_empty() {
            return Err(bad(format!(
                "account {who} has no code: balances belong to bank, sequences to auth"
            )));
        }
        if !seen.insert(who) {
            return Err(bad(format!("account {who} is listed twice")));
        }
        install(ctx.state, config, &who, &code)?;
        for Slot { key, value } in contract.storage {
            if !value.is_zero() {
                let key = keys::slot_key(&who, &U256::from_be_bytes(key.0), 0);
                ctx.state.put(key, Value::copy_from_slice(value.as_slice()));
            }
        }
    }
    Ok(())
}

/// Puts `code` at `who`, with the nonce that a created contract has.
fn install(
    state: &mut dyn StateWrite,
    config: &types::ChainConfig,
    who: &Address,
    code: &[u8],
) -> Result<()> {
    let hash = keccak256(code);
    state.put(keys::code_key(&hash), Value::copy_from_slice(code));
    state.put(keys::code_hash_key(who), Value::copy_from_slice(hash.as_slice()));
    if x_auth::sequence(state.as_scan(), who)? == 0 {
        x_auth::set_sequence(state, config, who, 1)?;
    }
    Ok(())
}

/// The state as a section that [`init`] reads back.
pub(crate) fn export(ctx: &QueryContext<'_>) -> Result<serde_json::Value> {
    let mut contracts: BTreeMap<Address, Contract> = BTreeMap::new();
    let mut holders = Vec::new();
    ctx.state
        .scan(&KeyRange::prefix(keys::STORE, &[4]), &mut |key, _| {
            holders.push(Address::from_slice(&key.bytes()[1..]));
            Control::Continue(())
        })?;
    for who in holders {
        let hash = keys::code_hash(ctx.state, &who)?;
        if hash == KECCAK_EMPTY {
            continue;
        }
        let code = hex::encode_prefixed(keys::code(ctx.state, &hash)?);
        let mut storage = Vec::new();
        let slots = KeyRange::prefix(keys::STORE, &[&[2], who.as_slice()].concat());
        ctx.state.scan(&slots, &mut |key, value| {
            if let (Ok(key), Ok(value)) = (B256::try_from(&key.bytes()[21..]), B256::try_from(value.as_ref()))
            {
                storage.push(Slot { key, value });
            }
            Control::Continue(())
        })?;
        contracts.insert(
            who,
            Contract {
                address: who.to_string(),
                code,
                storage,
            },
        );
    }
    let genesis = Genesis {
        params: Some(crate::params::params(ctx.state)?),
        accounts: contracts.into_values().collect(),
        preinstalls: Some(Vec::new()),
    };
    serde_json::to_value(genesis).map_err(|e| Error::sdk(codes::LOGIC, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preinstalls_are_the_contracts_everyone_knows() {
        let want = [
            (
                "Create2",
                "0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989",
            ),
            (
                "Multicall3",
                "0x5a29a1eb2f59e45e4249b938c8192cac0d2bd32398e1afa03f302a867db692ea",
            ),
            (
                "Permit2",
                "0xc67d1657868aa5146eaf24fb879fb1fdec3d2d493b3683a61c9c2f4fb2851131",
            ),
        ];
        let all = Preinstall::defaults();
        for (name, hash) in want {
            let one = all.iter().find(|p| p.name == name).unwrap();
            assert_eq!(
                keccak256(hex::decode(&one.code).unwrap()).to_string(),
                hash,
                "{name}"
            );
        }
    }
}
