//! Queries of `cosmos.auth.v1beta1.Query`, with the error texts that clients match on.
use crate::{Account, STORE, account, owner_of, params};
use cosmrs::proto::cosmos::auth::v1beta1::{
    AddressBytesToStringRequest, AddressBytesToStringResponse, AddressStringToBytesRequest,
    AddressStringToBytesResponse, BaseAccount, Bech32PrefixResponse, QueryAccountAddressByIdRequest,
    QueryAccountAddressByIdResponse, QueryAccountInfoRequest, QueryAccountInfoResponse, QueryAccountRequest,
    QueryAccountResponse, QueryAccountsRequest, QueryAccountsResponse, QueryModuleAccountByNameRequest,
    QueryModuleAccountByNameResponse, QueryModuleAccountsResponse, QueryParamsResponse,
};
use module::{Error, QueryContext, Result, paginate};
use prost::Message as _;
use state::Control;
use types::{Address, bech32_address, bech32_encode, parse_address};

fn read<T: prost::Message + Default>(data: &[u8]) -> Result<T> {
    T::decode(data).map_err(Error::invalid_argument)
}

/// The answer to `method`; `None` where there is no such method.
pub(crate) fn answer(method: &str, data: &[u8], ctx: &QueryContext<'_>) -> Option<Result<Vec<u8>>> {
    Some(match method {
        "Account" => one(data, ctx),
        "AccountInfo" => info(data, ctx),
        "Accounts" => all(data, ctx),
        "AccountAddressByID" => by_number(data, ctx),
        "Params" => params(ctx.state)
            .map(|p| QueryParamsResponse { params: Some(p) }.encode_to_vec())
            .map_err(Error::from),
        "ModuleAccounts" => modules(ctx),
        "ModuleAccountByName" => module_by_name(data, ctx),
        "Bech32Prefix" => Ok(Bech32PrefixResponse {
            bech32_prefix: ctx.block.config.bech32_prefix.clone(),
        }
        .encode_to_vec()),
        "AddressBytesToString" => to_text(data, ctx),
        "AddressStringToBytes" => to_bytes(data, ctx),
        _ => return None,
    })
}

fn find(text: &str, ctx: &QueryContext<'_>) -> Result<Account> {
    if text.is_empty() {
        return Err(Error::invalid_argument("Address cannot be empty"));
    }
    let address = parse_address(&ctx.block.config.bech32_prefix, text).map_err(Error::invalid_argument)?;
    account(ctx.state, &address)?.ok_or_else(|| Error::not_found(format!("account {text} not found")))
}

fn one(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let request: QueryAccountRequest = read(data)?;
    let account = find(&request.address, ctx)?;
    Ok(QueryAccountResponse {
        account: Some(account.to_any(&ctx.block.config)),
    }
    .encode_to_vec())
}

fn info(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let request: QueryAccountInfoRequest = read(data)?;
    let account = find(&request.address, ctx)?;
    let info = BaseAccount {
        address: bech32_address(&ctx.block.config.bech32_prefix, &account.address),
        pub_key: account.pub_key,
        account_number: account.number,
        sequence: account.sequence,
    };
    Ok(QueryAccountInfoResponse { info: Some(info) }.encode_to_vec())
}

fn all(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let request: QueryAccountsRequest = read(data)?;
    let mut addresses = Vec::new();
    let page = paginate(ctx.state, STORE, &[1], request.pagination.as_ref(), |rest, _| {
        addresses.extend(Address::try_from(rest).ok());
        Ok(true)
    })?;
    let mut accounts = Vec::with_capacity(addresses.len());
    for address in addresses {
        accounts.extend(account(ctx.state, &address)?.map(|a| a.to_any(&ctx.block.config)));
    }
    Ok(QueryAccountsResponse {
        accounts,
        pagination: Some(page),
    }
    .encode_to_vec())
}

#[allow(deprecated, reason = "clients still send `id`")]
fn by_number(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let request: QueryAccountAddressByIdRequest = read(data)?;
    let number = if request.account_id == 0 {
        u64::try_from(request.id).unwrap_or(0)
    } else {
        request.account_id
    };
    let owner = owner_of(ctx.state, number)?
        .ok_or_else(|| Error::not_found(format!("account address not found with account number {number}")))?;
    let account_address = bech32_address(&ctx.block.config.bech32_prefix, &owner);
    Ok(QueryAccountAddressByIdResponse { account_address }.encode_to_vec())
}

/// Module accounts are made at genesis, so they have the lowest numbers after the genesis accounts: walk the records.
fn modules(ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let (mut accounts, mut walked) = (Vec::new(), 0u64);
    ctx.state.scan(&crate::account_prefix(), &mut |key, value| {
        walked += 1;
        // A module's record names its type; nothing is decoded for the others.
        if value.windows(13).take(48).any(|w| w == b"ModuleAccount") {
            accounts.extend(Address::try_from(&key.bytes()[1..]).ok());
        }
        if walked > module::WALK_LIMIT {
            Control::Break(())
        } else {
            Control::Continue(())
        }
    })?;
    let mut found = Vec::new();
    for address in accounts {
        found.extend(account(ctx.state, &address)?.filter(|a| a.module.is_some()));
    }
    found.sort_by(|a, b| a.module.cmp(&b.module));
    let accounts = found.iter().map(|a| a.to_any(&ctx.block.config)).collect();
    Ok(QueryModuleAccountsResponse { accounts }.encode_to_vec())
}

fn module_by_name(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let request: QueryModuleAccountByNameRequest = read(data)?;
    let address = crate::module_address(&request.name);
    let account = account(ctx.state, &address)?
        .filter(|a| a.module.is_some())
        .ok_or_else(|| Error::not_found(format!("account {} not found", request.name)))?;
    Ok(QueryModuleAccountByNameResponse {
        account: Some(account.to_any(&ctx.block.config)),
    }
    .encode_to_vec())
}

fn to_text(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let request: AddressBytesToStringRequest = read(data)?;
    let len = request.address_bytes.len();
    if len == 0 || len > 64 {
        return Err(Error::invalid_argument(format!(
            "address of {len} bytes: want 1 to 64"
        )));
    }
    let address_string = bech32_encode(&ctx.block.config.bech32_prefix, &request.address_bytes);
    Ok(AddressBytesToStringResponse { address_string }.encode_to_vec())
}

fn to_bytes(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let request: AddressStringToBytesRequest = read(data)?;
    if request.address_string.is_empty() {
        return Err(Error::invalid_argument("empty address string is not allowed"));
    }
    let address_bytes = types::bech32_decode(&ctx.block.config.bech32_prefix, &request.address_string)
        .map_err(Error::invalid_argument)?;
    Ok(AddressStringToBytesResponse { address_bytes }.encode_to_vec())
}
