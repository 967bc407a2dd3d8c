//! Queries (x/staking/keeper/grpc_query.go), with the error texts that clients match on.
use crate::records::{Delegation, Record, Unbonding, decode, delegation, get, unbonding};
use crate::validator::{Status, Validator, decode_entry, validator};
use crate::{keys, msg, pool};
use cosmrs::proto::cosmos::base::{
    query::v1beta1::{PageRequest, PageResponse},
    v1beta1::Coin,
};
use cosmrs::proto::cosmos::staking::v1beta1::*;
use module::{Error, QueryContext, Result};
use prost::Message;
use state::{Key, KeyRange, StateError, Value};
use types::{Address, Dec};

type Ctx<'a> = &'a QueryContext<'a>;

/// Answers `method` of the staking query service; `None` where it has none of that name.
pub(crate) fn answer(method: &str, data: &[u8], ctx: Ctx<'_>) -> Option<Result<Vec<u8>>> {
    fn ask<Q: Message + Default, A: Message>(
        data: &[u8],
        ctx: Ctx<'_>,
        answer: fn(Q, Ctx<'_>) -> Result<A>,
    ) -> Result<Vec<u8>> {
        let request = Q::decode(data).map_err(Error::invalid_argument)?;
        answer(request, ctx).map(|a| a.encode_to_vec())
    }
    Some(match method {
        "Validators" => ask(data, ctx, all_validators),
        "Validator" => ask(data, ctx, one_validator),
        "ValidatorDelegations" => ask(data, ctx, validator_delegations),
        "ValidatorUnbondingDelegations" => ask(data, ctx, validator_unbondings),
        "Delegation" => ask(data, ctx, one_delegation),
        "UnbondingDelegation" => ask(data, ctx, one_unbonding),
        "DelegatorDelegations" => ask(data, ctx, delegator_delegations),
        "DelegatorUnbondingDelegations" => ask(data, ctx, delegator_unbondings),
        "DelegatorValidators" => ask(data, ctx, delegator_validators),
        "DelegatorValidator" => ask(data, ctx, delegator_validator),
        "HistoricalInfo" => ask(data, ctx, historical),
        "Pool" => ask(data, ctx, pools),
        "Params" => ask(data, ctx, params),
        _ => return None,
    })
}

/// A page, and how to get the next.
struct Page<T> {
    items: Vec<T>,
    response: PageResponse,
}

/// Reads one page of the entries that share `range`'s prefix. `pick` decodes an entry, or passes over it.
fn paginate<T>(
    ctx: Ctx<'_>,
    range: &KeyRange,
    request: Option<PageRequest>,
    pick: impl Fn(&Key, &Value) -> Result<Option<T>, StateError>,
) -> Result<Page<T>> {
    let mut items = Vec::new();
    let response = module::paginate(
        ctx.state,
        range.store,
        &range.start,
        request.as_ref(),
        |rest, value| {
            let item = pick(&Key::new(range.store, &[&range.start, rest]), value)?;
            let counts = item.is_some();
            items.extend(item);
            Ok(counts)
        },
    )?;
    Ok(Page { items, response })
}

fn operator(ctx: Ctx<'_>, text: &str) -> Result<Address> {
    if text.is_empty() {
        return Err(Error::invalid_argument("validator address cannot be empty"));
    }
    msg::operator(&ctx.block.config, text)
}

fn delegator(ctx: Ctx<'_>, text: &str) -> Result<Address> {
    if text.is_empty() {
        return Err(Error::invalid_argument("delegator address cannot be empty"));
    }
    msg::delegator(&ctx.block.config, text)
}

fn missing_delegation(delegator: &str, validator: &str) -> Error {
    Error::not_found(format_args!(
        "delegation with delegator {delegator} not found for validator {validator}"
    ))
}

fn all_validators(q: QueryValidatorsRequest, ctx: Ctx<'_>) -> Result<QueryValidatorsResponse> {
    let want = match q.status.as_str() {
        "" => None,
        text => Some(
            Status::parse(text)
                .ok_or_else(|| Error::invalid_argument(format_args!("invalid validator status {text}")))?,
        ),
    };
    let Page { items, response } = paginate(ctx, &keys::validators(), q.pagination, |key, value| {
        let v = decode_entry(key, value)?;
        Ok(want
            .is_none_or(|s| s == v.status)
            .then(|| v.to_proto(&ctx.block.config)))
    })?;
    Ok(QueryValidatorsResponse {
        validators: items,
        pagination: Some(response),
    })
}

fn one_validator(q: QueryValidatorRequest, ctx: Ctx<'_>) -> Result<QueryValidatorResponse> {
    let found = validator(&ctx.state, &operator(ctx, &q.validator_addr)?)?;
    let v =
        found.ok_or_else(|| Error::not_found(format_args!("validator {} not found", q.validator_addr)))?;
    Ok(QueryValidatorResponse {
        validator: Some(v.to_proto(&ctx.block.config)),
    })
}

/// A delegation with what it is worth.
fn priced(ctx: Ctx<'_>, d: &Delegation, v: Option<&Validator>) -> Result<DelegationResponse> {
    let worth = v
        .map_or(Ok(Dec::ZERO), |v| v.tokens_from_shares(d.shares))?
        .truncate();
    let denom = crate::params(&ctx.state)?.bond_denom;
    Ok(DelegationResponse {
        delegation: Some(d.to_proto(&ctx.block.config)),
        balance: Some(Coin {
            denom,
            amount: worth.to_string(),
        }),
    })
}

fn one_delegation(q: QueryDelegationRequest, ctx: Ctx<'_>) -> Result<QueryDelegationResponse> {
    let (who, on) = (
        delegator(ctx, &q.delegator_addr)?,
        operator(ctx, &q.validator_addr)?,
    );
    let d = delegation(&ctx.state, &who, &on)?
        .ok_or_else(|| missing_delegation(&q.delegator_addr, &q.validator_addr))?;
    let v = validator(&ctx.state, &on)?;
    Ok(QueryDelegationResponse {
        delegation_response: Some(priced(ctx, &d, v.as_ref())?),
    })
}

fn price_all(ctx: Ctx<'_>, delegations: &[Delegation]) -> Result<Vec<DelegationResponse>> {
    let price = |d: &Delegation| priced(ctx, d, validator(&ctx.state, &d.operator)?.as_ref());
    delegations.iter().map(price).collect()
}

fn delegator_delegations(
    q: QueryDelegatorDelegationsRequest,
    ctx: Ctx<'_>,
) -> Result<QueryDelegatorDelegationsResponse> {
    let range = keys::delegations_of(&delegator(ctx, &q.delegator_addr)?);
    let Page { items, response } = paginate(ctx, &range, q.pagination, record)?;
    Ok(QueryDelegatorDelegationsResponse {
        delegation_responses: price_all(ctx, &items)?,
        pagination: Some(response),
    })
}

fn record<T: Record>(key: &Key, value: &Value) -> Result<Option<T>, StateError> {
    decode(key, value).map(Some)
}

/// The delegator at the end of an index key.
fn last_address(key: &Key) -> Address {
    let bytes = key.bytes();
    Address::from_slice(&bytes[bytes.len() - 20..])
}

fn validator_delegations(
    q: QueryValidatorDelegationsRequest,
    ctx: Ctx<'_>,
) -> Result<QueryValidatorDelegationsResponse> {
    let on = operator(ctx, &q.validator_addr)?;
    let found = paginate(ctx, &keys::delegators_of(&on), q.pagination, |key, _| {
        delegation(&ctx.state, &last_address(key), &on)
    })?;
    Ok(QueryValidatorDelegationsResponse {
        delegation_responses: price_all(ctx, &found.items)?,
        pagination: Some(found.response),
    })
}

fn one_unbonding(
    q: QueryUnbondingDelegationRequest,
    ctx: Ctx<'_>,
) -> Result<QueryUnbondingDelegationResponse> {
    let (who, on) = (
        delegator(ctx, &q.delegator_addr)?,
        operator(ctx, &q.validator_addr)?,
    );
    let u = unbonding(&ctx.state, &who, &on)?.ok_or_else(|| {
        let (d, v) = (&q.delegator_addr, &q.validator_addr);
        Error::not_found(format_args!(
            "unbonding delegation with delegator {d} not found for validator {v}"
        ))
    })?;
    Ok(QueryUnbondingDelegationResponse {
        unbond: Some(u.to_proto(&ctx.block.config)),
    })
}

fn delegator_unbondings(
    q: QueryDelegatorUnbondingDelegationsRequest,
    ctx: Ctx<'_>,
) -> Result<QueryDelegatorUnbondingDelegationsResponse> {
    let range = keys::unbondings_of(&delegator(ctx, &q.delegator_addr)?);
    let Page { items, response } = paginate(ctx, &range, q.pagination, |key, value| {
        Ok(Some(decode::<Unbonding>(key, value)?.to_proto(&ctx.block.config)))
    })?;
    Ok(QueryDelegatorUnbondingDelegationsResponse {
        unbonding_responses: items,
        pagination: Some(response),
    })
}

fn validator_unbondings(
    q: QueryValidatorUnbondingDelegationsRequest,
    ctx: Ctx<'_>,
) -> Result<QueryValidatorUnbondingDelegationsResponse> {
    let on = operator(ctx, &q.validator_addr)?;
    let Page { items, response } = paginate(ctx, &keys::unbondings_from(&on), q.pagination, |key, _| {
        let found: Option<Unbonding> = get(&ctx.state, &keys::unbonding(&last_address(key), &on))?;
        Ok(found.map(|u| u.to_proto(&ctx.block.config)))
    })?;
    Ok(QueryValidatorUnbondingDelegationsResponse {
        unbonding_responses: items,
        pagination: Some(response),
    })
}

fn delegator_validators(
    q: QueryDelegatorValidatorsRequest,
    ctx: Ctx<'_>,
) -> Result<QueryDelegatorValidatorsResponse> {
    let range = keys::delegations_of(&delegator(ctx, &q.delegator_addr)?);
    let Page { items, response } = paginate(ctx, &range, q.pagination, |key, value| {
        let d: Delegation = decode(key, value)?;
        Ok(validator(&ctx.state, &d.operator)?.map(|v| v.to_proto(&ctx.block.config)))
    })?;
    Ok(QueryDelegatorValidatorsResponse {
        validators: items,
        pagination: Some(response),
    })
}

fn delegator_validator(
    q: QueryDelegatorValidatorRequest,
    ctx: Ctx<'_>,
) -> Result<QueryDelegatorValidatorResponse> {
    let (who, on) = (
        delegator(ctx, &q.delegator_addr)?,
        operator(ctx, &q.validator_addr)?,
    );
    let missing = || missing_delegation(&q.delegator_addr, &q.validator_addr);
    delegation(&ctx.state, &who, &on)?.ok_or_else(missing)?;
    let v = validator(&ctx.state, &on)?.ok_or_else(missing)?;
    Ok(QueryDelegatorValidatorResponse {
        validator: Some(v.to_proto(&ctx.block.config)),
    })
}

fn historical(q: QueryHistoricalInfoRequest, ctx: Ctx<'_>) -> Result<QueryHistoricalInfoResponse> {
    let height = u64::try_from(q.height).map_err(|_| Error::invalid_argument("height cannot be negative"))?;
    let key = keys::historical(height);
    let value = state::StateRead::get(&ctx.state, &key)?
        .ok_or_else(|| Error::not_found(format_args!("historical info for height {height} not found")))?;
    let info = HistoricalInfo::decode(value.as_ref()).map_err(|e| StateError::Corrupt {
        key,
        why: e.to_string(),
    })?;
    Ok(QueryHistoricalInfoResponse { hist: Some(info) })
}

fn pools(_: QueryPoolRequest, ctx: Ctx<'_>) -> Result<QueryPoolResponse> {
    let denom = crate::params(&ctx.state)?.bond_denom;
    let held = |status| x_bank::balance(&ctx.state, &pool(status), &denom);
    let (bonded, loose) = (held(Status::Bonded)?, held(Status::Unbonded)?);
    let pool = Pool {
        not_bonded_tokens: loose.to_string(),
        bonded_tokens: bonded.to_string(),
    };
    Ok(QueryPoolResponse { pool: Some(pool) })
}

fn params(_: QueryParamsRequest, ctx: Ctx<'_>) -> Result<QueryParamsResponse> {
    Ok(QueryParamsResponse {
        params: Some(crate::params(&ctx.state)?.to_proto()),
    })
}
