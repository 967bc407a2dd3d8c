//! Queries as clients ask them.
use super::harness::*;
use cosmrs::proto::cosmos::base::query::v1beta1::PageRequest;
use cosmrs::proto::cosmos::staking::v1beta1::*;
use module::{Module as _, QueryContext, Result};
use types::U256;

fn text<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn what_is_asked_for_is_found() {
    let mut chain = Chain::new(&[10, 20]);
    chain.good(
        1,
        &[
            delegate(11, 1, units(5)),
            delegate(11, 2, units(6)),
            delegate(12, 1, units(7)),
        ],
    );
    chain.good(1, &[undelegate(11, 1, units(1)), create(13, U256::from(ONE))]);
    let all: QueryValidatorsResponse = chain
        .query("Validators", &QueryValidatorsRequest::default())
        .unwrap();
    assert_eq!((all.validators.len(), all.pagination.unwrap().total), (3, 3));
    let bonded = QueryValidatorsRequest {
        status: "BOND_STATUS_UNBONDED".into(),
        pagination: None,
    };
    let none: QueryValidatorsResponse = chain.query("Validators", &bonded).unwrap();
    assert!(none.validators.is_empty());

    let q = QueryDelegationRequest {
        delegator_addr: acc(&user(11)),
        validator_addr: val(&user(1)),
    };
    let found: QueryDelegationResponse = chain.query("Delegation", &q).unwrap();
    let d = found.delegation_response.unwrap();
    assert_eq!(d.balance, coin(units(4)));
    assert_eq!(
        d.delegation.unwrap().shares,
        (units(4) * U256::from(ONE)).to_string()
    );

    let limit = Some(PageRequest {
        limit: 1,
        ..PageRequest::default()
    });
    let q = QueryDelegatorDelegationsRequest {
        delegator_addr: acc(&user(11)),
        pagination: limit,
    };
    let first: QueryDelegatorDelegationsResponse = chain.query("DelegatorDelegations", &q).unwrap();
    let next = PageRequest {
        key: first.pagination.unwrap().next_key,
        limit: 1,
        ..PageRequest::default()
    };
    let q = QueryDelegatorDelegationsRequest {
        pagination: Some(next),
        ..q
    };
    let second: QueryDelegatorDelegationsResponse = chain.query("DelegatorDelegations", &q).unwrap();
    assert_eq!(second.delegation_responses[0].balance, coin(units(6)));
    assert!(second.pagination.unwrap().next_key.is_empty());

    let q = QueryValidatorDelegationsRequest {
        validator_addr: val(&user(1)),
        pagination: None,
    };
    let on: QueryValidatorDelegationsResponse = chain.query("ValidatorDelegations", &q).unwrap();
    assert_eq!(on.delegation_responses.len(), 3);
    let q = QueryDelegatorUnbondingDelegationsRequest {
        delegator_addr: acc(&user(11)),
        pagination: None,
    };
    let u: QueryDelegatorUnbondingDelegationsResponse =
        chain.query("DelegatorUnbondingDelegations", &q).unwrap();
    assert_eq!(u.unbonding_responses[0].entries[0].balance, units(1).to_string());
    let q = QueryDelegatorValidatorsRequest {
        delegator_addr: acc(&user(11)),
        pagination: None,
    };
    let v: QueryDelegatorValidatorsResponse = chain.query("DelegatorValidators", &q).unwrap();
    assert_eq!(v.validators.len(), 2);
    let p: QueryPoolResponse = chain.query("Pool", &QueryPoolRequest {}).unwrap();
    let p = p.pool.unwrap();
    assert_eq!(
        (p.bonded_tokens, p.not_bonded_tokens),
        (units(48).to_string(), units(1).to_string())
    );
    let p: QueryParamsResponse = chain.query("Params", &QueryParamsRequest {}).unwrap();
    assert_eq!(p.params.unwrap().bond_denom, "abraid");
    let q = QueryHistoricalInfoRequest { height: 1 };
    let h: QueryHistoricalInfoResponse = chain.query("HistoricalInfo", &q).unwrap();
    assert_eq!(h.hist.unwrap().valset.len(), 2);
}

#[test]
fn what_is_not_there_has_the_text_clients_match_on() {
    let chain = Chain::new(&[10]);
    let (d, v) = (acc(&user(11)), val(&user(1)));
    let q = QueryDelegationRequest {
        delegator_addr: d.clone(),
        validator_addr: v.clone(),
    };
    let result: Result<QueryDelegationResponse> = chain.query("Delegation", &q);
    assert_eq!(code(&result), ("sdk", 22));
    let want = format!(
        "rpc error: code = NotFound desc = delegation with delegator {d} not found for validator {v}: key not found"
    );
    assert_eq!(text(result), want);
    let q = QueryUnbondingDelegationRequest {
        delegator_addr: d,
        validator_addr: v,
    };
    assert!(
        text(chain.query::<QueryUnbondingDelegationResponse>("UnbondingDelegation", &q))
            .ends_with("key not found")
    );
    let q = QueryValidatorRequest {
        validator_addr: val(&user(9)),
    };
    assert_eq!(
        code(&chain.query::<QueryValidatorResponse>("Validator", &q)),
        ("sdk", 22)
    );
    let q = QueryValidatorRequest {
        validator_addr: String::new(),
    };
    assert_eq!(
        code(&chain.query::<QueryValidatorResponse>("Validator", &q)),
        ("sdk", 18)
    );
    let q = QueryValidatorsRequest {
        status: "bonded".into(),
        pagination: None,
    };
    assert_eq!(
        code(&chain.query::<QueryValidatorsResponse>("Validators", &q)),
        ("sdk", 18)
    );
    let ctx = QueryContext {
        block: &chain.block,
        state: &chain.state,
    };
    assert!(
        chain
            .staking
            .query("/cosmos.staking.v1beta1.Query/Nope", &[], &ctx)
            .is_none()
    );
    assert!(
        chain
            .staking
            .query("/cosmos.bank.v1beta1.Query/Params", &[], &ctx)
            .is_none()
    );
    let garbage = chain
        .staking
        .query("/cosmos.staking.v1beta1.Query/Validator", &[0xff], &ctx)
        .unwrap();
    assert_eq!(code(&garbage), ("sdk", 18));
}
