//! `eth_call` and `eth_estimateGas`: simulations over any state, with overrides.
use super::args::Args;
use super::ctx::{Ctx, json};
use super::error::{RpcResult, invalid, revert, server, state as state_error};
use super::overrides::{self, Replaced};
use super::state::hex_bytes;
use alloy_primitives::U64;
use alloy_rpc_types_eth::{BlockOverrides, TransactionRequest, state::StateOverride};
use serde_json::Value;
use types::Bytes;
use x_evm::{Call, CallError, Env};

fn failed(error: CallError) -> jsonrpsee::types::ErrorObjectOwned {
    match error {
        CallError::Reverted { data } => revert(&data),
        CallError::State(e) => state_error(e),
        CallError::Failed(text) => server(text),
    }
}

/// Reads geth's `TransactionArgs`, refusing what contradicts itself.
fn request(ctx: &Ctx, args: &Args) -> RpcResult<Call> {
    let tx: TransactionRequest = args.object(0)?;
    let want = ctx.info()?.config.evm_chain_id;
    if let Some(have) = tx.chain_id.filter(|have| *have != want) {
        return Err(server(format!(
            "chainId does not match node's (have={have}, want={want})"
        )));
    }
    if tx.blob_versioned_hashes.is_some() || tx.max_fee_per_blob_gas.is_some() || tx.sidecar.is_some() {
        return Err(server("transaction type not supported: blob"));
    }
    let dynamic = tx.max_fee_per_gas.is_some() || tx.max_priority_fee_per_gas.is_some();
    if tx.gas_price.is_some() && dynamic {
        return Err(server(
            "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
        ));
    }
    if let (Some(cap), Some(tip)) = (tx.max_fee_per_gas, tx.max_priority_fee_per_gas)
        && cap < tip
    {
        return Err(server(format!(
            "maxFeePerGas ({cap}) < maxPriorityFeePerGas ({tip})"
        )));
    }
    let text = "both \"data\" and \"input\" are set and not equal. Please use \"input\" to pass transaction call data";
    let data = tx
        .input
        .clone()
        .try_into_unique_input()
        .map_err(|_| invalid(text))?;
    Ok(Call {
        from: tx.from,
        to: tx.to.and_then(|to| to.to().copied()),
        gas: tx.gas,
        fee_cap: tx.gas_price.or(tx.max_fee_per_gas),
        tip_cap: tx.gas_price.or(tx.max_priority_fee_per_gas),
        value: tx.value.unwrap_or_default(),
        data: data.map_or_else(Bytes::new, |d| d.0),
        access_list: tx.access_list.unwrap_or_default(),
        authorizations: tx.authorization_list.unwrap_or_default(),
    })
}

/// Runs `simulate` on the state and block that the arguments name, overrides applied.
fn with_environment<T>(
    ctx: &Ctx,
    args: &Args,
    simulate: impl FnOnce(&dyn state::StateScan, &Env) -> Result<T, CallError>,
) -> RpcResult<T> {
    let accounts: Option<StateOverride> = args.object_opt(2)?;
    let block: Option<BlockOverrides> = args.object_opt(3)?;
    let (view, context) = ctx.environment(args.block(1)?)?;
    let mut env = Env::chain(&context, ctx.chain.blocked());
    if let Some(block) = block {
        overrides::block(&mut env, &block)?;
    }
    let Some(accounts) = accounts else {
        return simulate(&*view, &env).map_err(failed);
    };
    let replaced = Replaced::new(&*view, &accounts)?;
    let mut overlay = state::Overlay::new(&replaced);
    overrides::accounts(&mut overlay, &context.config, &accounts)?;
    simulate(&overlay, &env).map_err(failed)
}

/// `eth_call(transaction, block, state overrides, block overrides)`.
pub(crate) fn call(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    let request = request(ctx, args)?;
    let cap = ctx.chain.call_gas_cap();
    let called = with_environment(ctx, args, |view, env| x_evm::call(view, env, &request, cap))?;
    Ok(hex_bytes(&called.output))
}

/// `eth_estimateGas(transaction, block, state overrides, block overrides)`.
pub(crate) fn estimate_gas(ctx: &Ctx, args: &Args) -> RpcResult<Value> {
    let request = request(ctx, args)?;
    let cap = ctx.chain.call_gas_cap();
    json(U64::from(with_environment(ctx, args, |view, env| {
        x_evm::estimate_gas(view, env, &request, cap)
    })?))
}
