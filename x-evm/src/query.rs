//! Answers `cosmos.evm.vm.v1.Query`, the part that tools use.
use crate::envelope::MsgEthereumTxResponse;
use crate::keys;
use crate::module::Evm;
use crate::params::{Params, params};
use crate::simulate::{Call, CallError, call, estimate_gas};
use alloy_eips::eip2930::AccessList;
use alloy_primitives::B256;
use module::{Error, QueryContext, Result};
use prost::Message;
use types::{Address, Bytes, U256, bech32_address, parse_address};

/// `QueryAccountRequest`, `QueryBalanceRequest`, `QueryCodeRequest`, `QueryCosmosAccountRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct AddressRequest {
    /// 0x-hex or bech32.
    #[prost(string, tag = "1")]
    pub address: String,
}

/// `QueryAccountResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct AccountResponse {
    /// Decimal.
    #[prost(string, tag = "1")]
    pub balance: String,
    /// 0x-hex.
    #[prost(string, tag = "2")]
    pub code_hash: String,
    /// The sequence.
    #[prost(uint64, tag = "3")]
    pub nonce: u64,
}

/// `QueryCosmosAccountResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct CosmosAccountResponse {
    /// Bech32.
    #[prost(string, tag = "1")]
    pub cosmos_address: String,
    /// The nonce.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    /// Given out in order of appearance.
    #[prost(uint64, tag = "3")]
    pub account_number: u64,
}

/// `QueryBalanceResponse`, `QueryStorageResponse`, `QueryBaseFeeResponse`: one text.
#[derive(Clone, PartialEq, Message)]
pub struct TextResponse {
    /// The answer.
    #[prost(string, tag = "1")]
    pub text: String,
}

/// `QueryStorageRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct StorageRequest {
    /// 0x-hex or bech32.
    #[prost(string, tag = "1")]
    pub address: String,
    /// The slot, 0x-hex.
    #[prost(string, tag = "2")]
    pub key: String,
}

/// `QueryCodeResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct CodeResponse {
    /// Runtime code.
    #[prost(bytes = "bytes", tag = "1")]
    pub code: Bytes,
}

/// `QueryParamsResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct ParamsResponse {
    /// The parameters.
    #[prost(message, optional, tag = "1")]
    pub params: Option<Params>,
}

/// `QueryConfigResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct ConfigResponse {
    /// The configuration.
    #[prost(message, optional, tag = "1")]
    pub config: Option<Config>,
}

/// `ChainConfig`, the fields that are not forks: all forks up to Osaka are active from the first block on.
#[derive(Clone, PartialEq, Message)]
pub struct Config {
    /// EIP-155.
    #[prost(uint64, tag = "24")]
    pub chain_id: u64,
    /// Base denomination.
    #[prost(string, tag = "25")]
    pub denom: String,
    /// Its decimals.
    #[prost(uint64, tag = "26")]
    pub decimals: u64,
}

/// `EthCallRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct EthCallRequest {
    /// The call, in the JSON of `eth_call`'s first parameter.
    #[prost(bytes = "bytes", tag = "1")]
    pub args: Bytes,
    /// The most gas; the block's limit where zero.
    #[prost(uint64, tag = "2")]
    pub gas_cap: u64,
}

/// `EstimateGasResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct EstimateGasResponse {
    /// The estimate.
    #[prost(uint64, tag = "1")]
    pub gas: u64,
    /// Revert data.
    #[prost(bytes = "bytes", tag = "2")]
    pub ret: Bytes,
    /// Why there is no estimate.
    #[prost(string, tag = "3")]
    pub vm_error: String,
}

/// `eth_call`'s first parameter.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Args {
    #[serde(default)]
    from: Option<Address>,
    #[serde(default)]
    to: Option<Address>,
    #[serde(default)]
    gas: Option<U256>,
    #[serde(default)]
    gas_price: Option<U256>,
    #[serde(default)]
    max_fee_per_gas: Option<U256>,
    #[serde(default)]
    max_priority_fee_per_gas: Option<U256>,
    #[serde(default)]
    value: Option<U256>,
    #[serde(default)]
    data: Option<alloy_primitives::Bytes>,
    #[serde(default)]
    input: Option<alloy_primitives::Bytes>,
    #[serde(default)]
    access_list: Option<AccessList>,
    #[serde(default)]
    authorization_list: Option<Vec<alloy_eips::eip7702::SignedAuthorization>>,
}

fn parse_call(args: &[u8]) -> Result<Call> {
    let args: Args = serde_json::from_slice(args).map_err(Error::invalid_argument)?;
    let narrow = |v: Option<U256>| -> Result<Option<u128>> {
        v.map(|v| {
            u128::try_from(v).map_err(|_| Error::invalid_argument(format!("price {v} beyond 128 bits")))
        })
        .transpose()
    };
    Ok(Call {
        from: args.from,
        to: args.to,
        gas: args.gas.map(|gas| u64::try_from(gas).unwrap_or(u64::MAX)),
        fee_cap: narrow(args.max_fee_per_gas.or(args.gas_price))?,
        tip_cap: narrow(args.max_priority_fee_per_gas.or(args.gas_price))?,
        value: args.value.unwrap_or(U256::ZERO),
        data: args.input.or(args.data).map_or_else(Bytes::new, |data| data.0),
        access_list: AccessList(args.access_list.into_iter().flat_map(|list| list.0).collect()),
        authorizations: args.authorization_list.into_iter().flatten().collect(),
    })
}

pub(crate) fn answer(evm: &Evm, path: &str, data: &[u8], ctx: &QueryContext<'_>) -> Option<Result<Vec<u8>>> {
    let method = path.strip_prefix("/cosmos.evm.vm.v1.Query/")?;
    Some(match method {
        "Account" => by_address(data, ctx, account),
        "CosmosAccount" => by_address(data, ctx, cosmos_account),
        "Balance" => by_address(data, ctx, |ctx, who| {
            let balance = x_bank::balance(ctx.state, &who, &ctx.block.config.base_denom)?;
            Ok(TextResponse {
                text: balance.to_string(),
            }
            .encode_to_vec())
        }),
        "Code" => by_address(data, ctx, |ctx, who| {
            let code = keys::code(ctx.state, &keys::code_hash(ctx.state, &who)?)?;
            Ok(CodeResponse { code }.encode_to_vec())
        }),
        "Storage" => storage(data, ctx),
        "Params" => params(ctx.state)
            .map_err(Error::from)
            .map(|params| ParamsResponse { params: Some(params) }.encode_to_vec()),
        "Config" => Ok(config(ctx)),
        "BaseFee" => Ok(TextResponse {
            text: ctx.block.base_fee.to_string(),
        }
        .encode_to_vec()),
        "EthCall" => eth_call(evm, data, ctx),
        "EstimateGas" => estimate(evm, data, ctx),
        _ => return None,
    })
}

fn decode<M: Message + Default>(data: &[u8]) -> Result<M> {
    M::decode(data).map_err(Error::invalid_argument)
}

fn who(text: &str, ctx: &QueryContext<'_>) -> Result<Address> {
    parse_address(&ctx.block.config.bech32_prefix, text).map_err(Error::invalid_argument)
}

fn by_address(
    data: &[u8],
    ctx: &QueryContext<'_>,
    then: impl FnOnce(&QueryContext<'_>, Address) -> Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    let AddressRequest { address } = decode(data)?;
    then(ctx, who(&address, ctx)?)
}

fn account(ctx: &QueryContext<'_>, who: Address) -> Result<Vec<u8>> {
    let hash = keys::code_hash(ctx.state, &who)?;
    let answer = AccountResponse {
        balance: x_bank::balance(ctx.state, &who, &ctx.block.config.base_denom)?.to_string(),
        code_hash: hash.to_string(),
        nonce: x_auth::sequence(ctx.state, &who)?,
    };
    Ok(answer.encode_to_vec())
}

fn cosmos_account(ctx: &QueryContext<'_>, who: Address) -> Result<Vec<u8>> {
    let account = x_auth::account(ctx.state, &who)?;
    let answer = CosmosAccountResponse {
        cosmos_address: bech32_address(&ctx.block.config.bech32_prefix, &who),
        sequence: account.as_ref().map_or(0, |a| a.sequence),
        account_number: account.as_ref().map_or(0, |a| a.number),
    };
    Ok(answer.encode_to_vec())
}

fn storage(data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let StorageRequest { address, key } = decode(data)?;
    let digits = key.strip_prefix("0x").unwrap_or(&key);
    let slot =
        U256::from_str_radix(digits, 16).map_err(|e| Error::invalid_argument(format!("key {key:?}: {e}")))?;
    let word = keys::slot(ctx.state, &who(&address, ctx)?, &slot, 0)?;
    Ok(TextResponse {
        text: B256::from(word).to_string(),
    }
    .encode_to_vec())
}

fn config(ctx: &QueryContext<'_>) -> Vec<u8> {
    let c = &ctx.block.config;
    let config = Config {
        chain_id: c.evm_chain_id,
        denom: c.base_denom.clone(),
        decimals: u64::from(c.decimals),
    };
    ConfigResponse { config: Some(config) }.encode_to_vec()
}

fn request(data: &[u8], ctx: &QueryContext<'_>) -> Result<(Call, u64)> {
    let EthCallRequest { args, gas_cap } = decode(data)?;
    let cap = if gas_cap == 0 {
        ctx.block.gas_limit
    } else {
        gas_cap.min(ctx.block.gas_limit)
    };
    Ok((parse_call(&args)?, cap))
}

fn eth_call(evm: &Evm, data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let (request, cap) = request(data, ctx)?;
    let answer = match call(ctx.state, &evm.env(ctx.block), &request, cap) {
        Ok(called) => MsgEthereumTxResponse {
            ret: called.output,
            gas_used: called.gas_used,
            ..Default::default()
        },
        Err(CallError::Reverted { data }) => MsgEthereumTxResponse {
            ret: data,
            vm_error: "execution reverted".into(),
            ..Default::default()
        },
        Err(CallError::Failed(why)) => MsgEthereumTxResponse {
            vm_error: why,
            ..Default::default()
        },
        Err(CallError::State(e)) => return Err(e.into()),
    };
    Ok(answer.encode_to_vec())
}

fn estimate(evm: &Evm, data: &[u8], ctx: &QueryContext<'_>) -> Result<Vec<u8>> {
    let (request, cap) = request(data, ctx)?;
    let answer = match estimate_gas(ctx.state, &evm.env(ctx.block), &request, cap) {
        Ok(gas) => EstimateGasResponse {
            gas,
            ..Default::default()
        },
        Err(e @ CallError::Reverted { .. }) => {
            let vm_error = e.to_string();
            let CallError::Reverted { data } = e else {
                unreachable!("matched above")
            };
            EstimateGasResponse {
                ret: data,
                vm_error,
                ..Default::default()
            }
        }
        Err(CallError::Failed(why)) => EstimateGasResponse {
            vm_error: why,
            ..Default::default()
        },
        Err(CallError::State(e)) => return Err(e.into()),
    };
    Ok(answer.encode_to_vec())
}
