//! Queries of `cosmos.bank.v1beta1.Query`.
use crate::params::{self, Params, SendEnabled};
use crate::{STORE, balance, fold::owners_prefix, supply};
use cosmrs::proto::cosmos::{
    bank::v1beta1::{
        DenomOwner, Metadata, QueryAllBalancesRequest, QueryAllBalancesResponse, QueryBalanceRequest,
        QueryBalanceResponse, QueryDenomMetadataRequest, QueryDenomMetadataResponse, QueryDenomOwnersRequest,
        QueryDenomOwnersResponse, QueryDenomsMetadataRequest, QueryDenomsMetadataResponse,
        QueryParamsResponse, QuerySendEnabledRequest, QuerySendEnabledResponse,
        QuerySpendableBalanceByDenomRequest, QuerySpendableBalanceByDenomResponse,
        QuerySpendableBalancesRequest, QuerySpendableBalancesResponse, QuerySupplyOfRequest,
        QuerySupplyOfResponse, QueryTotalSupplyRequest, QueryTotalSupplyResponse,
    },
    base::{
        query::v1beta1::{PageRequest, PageResponse},
        v1beta1::Coin as ProtoCoin,
    },
};
use module::{Error, QueryContext, Result, paginate, to_proto_coin};
use prost::Message as _;
use state::{Key, StateError, Value, decode_amount};
use types::{Address, Coin, bech32_address, parse_address, validate_denom};

/// Denominations in one SendEnabled request at most: each is a read.
const DENOMS_MAX: usize = 100;

fn read<T: prost::Message + Default>(data: &[u8]) -> Result<T> {
    T::decode(data).map_err(Error::invalid_argument)
}

fn who(text: &str, ctx: &QueryContext<'_>) -> Result<Address> {
    let prefix = &ctx.block.config.bech32_prefix;
    parse_address(prefix, text).map_err(|e| Error::invalid_argument(format!("invalid address: {e}")))
}

fn named(denom: &str) -> Result<&str> {
    validate_denom(denom)
        .map(|()| denom)
        .map_err(Error::invalid_argument)
}

/// The answer to `method`; `None` where there is no such method.
pub(crate) fn answer(method: &str, data: &[u8], ctx: &QueryContext<'_>) -> Option<Result<Vec<u8>>> {
    Some(match method {
        "Balance" => one_balance(data, ctx),
        "SpendableBalanceByDenom" => one_spendable(data, ctx),
        "AllBalances" => all_balances(data, ctx),
        "SpendableBalances" => all_spendable(data, ctx),
        "TotalSupply" => total_supply(data, ctx),
        "SupplyOf" => supply_of(data, ctx),
        "Params" => all_params(ctx),
        // The same requests and answers by other names: their REST paths put the denomination in the query string.
        "DenomMetadata" | "DenomMetadataByQueryString" => one_metadata(data, ctx),
        "DenomsMetadata" => all_metadata(data, ctx),
        "DenomOwners" | "DenomOwnersByQuery" => owners(data, ctx),
        "SendEnabled" => send_enabled(data, ctx),
        _ => return None,
    })
}

fn balance_of(address: &str, denom: &str, ctx: &QueryContext<'_>) -> Result<ProtoCoin> {
    let (who, denom) = (who(address, ctx)?, named(denom)?);
    Ok(to_proto_coin(&Coin::new(balance(ctx.state, &who, denom)?, denom)))
}

fn one_balance(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let r: QueryBalanceRequest = read(data)?;
    let balance = Some(balance_of(&r.address, &r.denom, ctx)?);
    Ok(QueryBalanceResponse { balance }.encode_to_vec())
}

// Nothing is locked: there are no vesting accounts.
fn one_spendable(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let r: QuerySpendableBalanceByDenomRequest = read(data)?;
    let balance = Some(balance_of(&r.address, &r.denom, ctx)?);
    Ok(QuerySpendableBalanceByDenomResponse { balance }.encode_to_vec())
}

/// A page of amounts whose keys are `prefix` and a denomination.
fn coins(
    prefix: &[u8],
    page: Option<&PageRequest>,
    ctx: &QueryContext<'_>,
) -> Result<(Vec<ProtoCoin>, PageResponse)> {
    let mut coins = Vec::new();
    let page = paginate(ctx.state, STORE, prefix, page, |denom, value| {
        let key = Key::new(STORE, &[prefix, denom]);
        let amount = decode_amount(&key, Some(value))?;
        coins.push(to_proto_coin(&Coin::new(amount, String::from_utf8_lossy(denom))));
        Ok(true)
    })?;
    Ok((coins, page))
}

fn balances(
    address: &str,
    page: Option<&PageRequest>,
    ctx: &QueryContext<'_>,
) -> Result<(Vec<ProtoCoin>, PageResponse)> {
    let who = who(address, ctx)?;
    coins(&[&[2, 20], who.as_slice()].concat(), page, ctx)
}

fn all_balances(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let r: QueryAllBalancesRequest = read(data)?;
    let (balances, page) = balances(&r.address, r.pagination.as_ref(), ctx)?;
    Ok(QueryAllBalancesResponse {
        balances,
        pagination: Some(page),
    }
    .encode_to_vec())
}

fn all_spendable(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let r: QuerySpendableBalancesRequest = read(data)?;
    let (balances, page) = balances(&r.address, r.pagination.as_ref(), ctx)?;
    Ok(QuerySpendableBalancesResponse {
        balances,
        pagination: Some(page),
    }
    .encode_to_vec())
}

fn total_supply(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let r: QueryTotalSupplyRequest = read(data)?;
    let (supply, page) = coins(&[0], r.pagination.as_ref(), ctx)?;
    Ok(QueryTotalSupplyResponse {
        supply,
        pagination: Some(page),
    }
    .encode_to_vec())
}

fn supply_of(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let r: QuerySupplyOfRequest = read(data)?;
    let denom = named(&r.denom)?;
    let amount = Some(to_proto_coin(&Coin::new(supply(ctx.state, denom)?, denom)));
    Ok(QuerySupplyOfResponse { amount }.encode_to_vec())
}

fn all_params(ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let params: Params = params::params(ctx.state)?;
    Ok(QueryParamsResponse { params: Some(params) }.encode_to_vec())
}

fn one_metadata(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let r: QueryDenomMetadataRequest = read(data)?;
    let metadata = params::metadata(ctx.state, named(&r.denom)?)?
        .ok_or_else(|| Error::not_found(format!("client metadata for denom {}", r.denom)))?;
    Ok(QueryDenomMetadataResponse {
        metadata: Some(metadata),
    }
    .encode_to_vec())
}

fn corrupt(prefix: u8, rest: &[u8], why: impl std::fmt::Display) -> Error {
    Error::State(StateError::Corrupt {
        key: Key::new(STORE, &[&[prefix], rest]),
        why: why.to_string(),
    })
}

fn all_metadata(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let r: QueryDenomsMetadataRequest = read(data)?;
    let mut metadatas = Vec::new();
    let page = paginate(
        ctx.state,
        STORE,
        &[1],
        r.pagination.as_ref(),
        |denom, value: &Value| {
            metadatas.push(Metadata::decode(&value[..]).map_err(|e| corrupt(1, denom, e))?);
            Ok(true)
        },
    )?;
    Ok(QueryDenomsMetadataResponse {
        metadatas,
        pagination: Some(page),
    }
    .encode_to_vec())
}

fn owners(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let r: QueryDenomOwnersRequest = read(data)?;
    let denom = named(&r.denom)?;
    let mut found = Vec::new();
    let page = paginate(
        ctx.state,
        STORE,
        &owners_prefix(denom),
        r.pagination.as_ref(),
        |rest, _| {
            // One byte of length, then the address.
            found.extend(rest.get(1..).and_then(|a| Address::try_from(a).ok()));
            Ok(true)
        },
    )?;
    let mut denom_owners = Vec::with_capacity(found.len());
    for who in found {
        denom_owners.push(DenomOwner {
            address: bech32_address(&ctx.block.config.bech32_prefix, &who),
            balance: Some(to_proto_coin(&Coin::new(balance(ctx.state, &who, denom)?, denom))),
        });
    }
    Ok(QueryDenomOwnersResponse {
        denom_owners,
        pagination: Some(page),
    }
    .encode_to_vec())
}

fn send_enabled(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let r: QuerySendEnabledRequest = read(data)?;
    if r.denoms.len() > DENOMS_MAX {
        return Err(Error::invalid_argument(format!(
            "{} denoms, at most {DENOMS_MAX}",
            r.denoms.len()
        )));
    }
    let mut send_enabled = Vec::new();
    if !r.denoms.is_empty() {
        for denom in r.denoms {
            let entry = params::send_enabled_entry(ctx.state, named(&denom)?)?;
            send_enabled.extend(entry.map(|enabled| SendEnabled { denom, enabled }));
        }
        return Ok(QuerySendEnabledResponse {
            send_enabled,
            pagination: None,
        }
        .encode_to_vec());
    }
    let page = paginate(ctx.state, STORE, &[4], r.pagination.as_ref(), |denom, value| {
        let enabled = value[..] == [1];
        send_enabled.push(SendEnabled {
            denom: String::from_utf8_lossy(denom).into_owned(),
            enabled,
        });
        Ok(true)
    })?;
    Ok(QuerySendEnabledResponse {
        send_enabled,
        pagination: Some(page),
    }
    .encode_to_vec())
}
