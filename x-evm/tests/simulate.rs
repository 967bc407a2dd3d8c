//! Calls, estimates, queries and genesis: what changes nothing.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod common;

use common::*;
use module::{GenesisContext, Module, QueryContext};
use prost::Message;
use types::{Address, U256};
use x_evm::{
    Call, CallError, EstimateGasResponse, EthCallRequest, MsgEthereumTxResponse, call, estimate_gas,
};

const CAP: u64 = 50_000_000;

fn to(to: Address) -> Call {
    Call {
        from: Some(who(1)),
        to: Some(to),
        ..Call::default()
    }
}

#[test]
fn a_call_answers_without_fee_nonce_or_trace() {
    let mut chain = Chain::new();
    let at = Address::repeat_byte(1);
    // Returns the base fee and the gas price it sees.
    chain.install(at, &[0x48, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3], 0);
    let env = chain.env();
    let seen = |fee| {
        call(
            &chain.state,
            &env,
            &Call {
                fee_cap: fee,
                ..to(at)
            },
            CAP,
        )
        .unwrap()
        .output
    };
    assert_eq!(U256::from_be_slice(&seen(None)), U256::ZERO);
    assert_eq!(
        U256::from_be_slice(&seen(Some(u128::from(2 * GWEI)))),
        U256::from(GWEI)
    );
    // Nobody, with nothing.
    assert!(call(&chain.state, &env, &Call { from: None, ..to(at) }, CAP).is_ok());
    let low = call(
        &chain.state,
        &env,
        &Call {
            fee_cap: Some(5),
            ..to(at)
        },
        CAP,
    )
    .unwrap_err();
    assert!(
        low.to_string()
            .contains("max fee per gas less than block base fee"),
        "{low}"
    );
    let poor = Call {
        from: Some(Address::repeat_byte(0xee)),
        value: U256::from(1),
        ..to(at)
    };
    let poor = call(&chain.state, &env, &poor, CAP).unwrap_err().to_string();
    assert!(
        poor.starts_with("err: insufficient funds for gas * price + value: address 0xEe"),
        "{poor}"
    );
    let few = call(
        &chain.state,
        &env,
        &Call {
            gas: Some(20_000),
            ..to(at)
        },
        CAP,
    )
    .unwrap_err();
    assert_eq!(
        few.to_string(),
        "err: intrinsic gas too low: have 20000, want 21000 (supplied gas 20000)"
    );
}

#[test]
fn reverts_and_halts_are_told_apart() {
    let mut chain = Chain::new();
    let (reverts, loops) = (Address::repeat_byte(1), Address::repeat_byte(2));
    // Reverts with one word.
    chain.install(reverts, &[0x60, 7, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xfd], 0);
    chain.install(loops, &LOOPS, 0);
    let env = chain.env();
    let reverted = call(&chain.state, &env, &to(reverts), CAP).unwrap_err();
    assert_eq!(reverted.to_string(), "execution reverted");
    let CallError::Reverted { data } = reverted else {
        panic!()
    };
    assert_eq!(U256::from_be_slice(&data), U256::from(7));
    assert_eq!(
        call(&chain.state, &env, &to(loops), 100_000),
        Err(CallError::Failed("out of gas".into()))
    );
    assert!(matches!(
        estimate_gas(&chain.state, &env, &to(reverts), CAP),
        Err(CallError::Reverted { .. })
    ));
    let gas = |cap| estimate_gas(&chain.state, &env, &to(loops), cap);
    assert_eq!(
        gas(100_000),
        Err(CallError::Failed(
            "gas required exceeds allowance (100000)".into()
        ))
    );
    let refused = call(
        &chain.state,
        &env,
        &Call {
            value: U256::from(1),
            ..to(blocked())
        },
        CAP,
    )
    .unwrap_err();
    assert!(
        refused.to_string().contains("not allowed to receive funds"),
        "{refused}"
    );
}

#[test]
fn an_estimate_is_enough_and_little_more() {
    let mut chain = Chain::new();
    let at = Address::repeat_byte(1);
    chain.install(at, &FORWARDS, 0);
    let env = chain.env();
    assert_eq!(estimate_gas(&chain.state, &env, &to(who(2)), CAP), Ok(21_000));
    let data = word(Address::repeat_byte(0x55));
    for value in [0, 9] {
        let request = Call {
            value: U256::from(value),
            data: data.clone().into(),
            ..to(at)
        };
        let gas = estimate_gas(&chain.state, &env, &request, CAP).unwrap();
        let with = |gas_limit| {
            let nonce = 0;
            sign(
                alloy_consensus::TxEip1559 {
                    gas_limit,
                    ..calls(nonce, at, value, data.clone())
                },
                1,
            )
        };
        let mut again = Chain::new();
        again.install(at, &FORWARDS, 0);
        let done = again.run(&with(gas));
        assert!(
            done.success && gas < done.gas_used * 11 / 10 + 2_400,
            "{gas} for {}",
            done.gas_used
        );
    }
    let create = Call {
        to: None,
        data: deploys(&FORWARDS).into(),
        ..to(at)
    };
    let gas = estimate_gas(&chain.state, &env, &create, CAP).unwrap();
    assert!((53_000..80_000).contains(&gas), "{gas}");
    // No more than the caller can pay for.
    let price = u128::from(ETHER);
    let dear = Call {
        fee_cap: Some(price),
        data: data.into(),
        ..to(at)
    };
    assert_eq!(
        estimate_gas(&chain.state, &env, &dear, CAP),
        Err(CallError::Failed("gas required exceeds allowance (100)".into()))
    );
}

#[test]
fn warming_up_runs_the_slowest_precompile() {
    assert_eq!(x_evm::warm_up(), Ok(()));
}

#[test]
fn a_call_can_run_over_state_as_if() {
    use std::collections::BTreeMap;
    use x_evm::{Override, apply_overrides};
    let chain = Chain::new();
    let (env, at) = (chain.env(), Address::repeat_byte(0x21));
    let one = |slot: u64, word: u64| BTreeMap::from([(U256::from(slot), U256::from(word))]);
    // Returns slot 0, slot 1 and its balance.
    let code = [
        0x5f, 0x54, 0x5f, 0x52, 0x60, 1, 0x54, 0x60, 0x20, 0x52, 0x47, 0x60, 0x40, 0x52, 0x60, 0x60, 0x5f,
        0xf3,
    ];
    let first = Override {
        code: Some(code.to_vec().into()),
        balance: Some(U256::from(7)),
        state_diff: one(0, 5),
        ..Override::default()
    };
    let second = Override {
        state: Some(one(1, 6)),
        balance: Some(U256::ZERO),
        ..Override::default()
    };
    let mut over = state::Overlay::new(&chain.state);
    for (wanted, want) in [(first, [5u64, 0, 7]), (second, [0, 6, 0])] {
        apply_overrides(&mut over, &env.config, &[(at, wanted)].into()).unwrap();
        let output = call(&over, &env, &to(at), CAP).unwrap().output;
        let words: Vec<U256> = output.chunks(32).map(U256::from_be_slice).collect();
        assert_eq!(words, want.map(U256::from));
    }
    assert!(call(&chain.state, &env, &to(at), CAP).unwrap().output.is_empty());
}

#[test]
fn queries_answer_in_protobuf() {
    let mut chain = Chain::new();
    let at = Address::repeat_byte(1);
    chain.install(at, &[0x60, 0x20, 0x5f, 0xf3], 0);
    let ctx = QueryContext {
        block: &chain.block,
        state: &chain.state,
    };
    let ask = |method: &str, data: Vec<u8>| {
        chain
            .evm
            .query(&format!("/cosmos.evm.vm.v1.Query/{method}"), &data, &ctx)
            .unwrap()
    };
    let args = format!(r#"{{"from":"{}","to":"{at}","gas":"0x186a0"}}"#, who(1));
    let request = EthCallRequest {
        args: args.clone().into(),
        gas_cap: 0,
    }
    .encode_to_vec();
    let answer = MsgEthereumTxResponse::decode(ask("EthCall", request.clone()).unwrap().as_slice()).unwrap();
    assert_eq!((answer.ret.len(), answer.vm_error.as_str()), (32, ""));
    let answer = EstimateGasResponse::decode(ask("EstimateGas", request).unwrap().as_slice()).unwrap();
    assert!(answer.gas > 21_000 && answer.vm_error.is_empty());
    let address = x_evm::AddressRequest {
        address: types::bech32_address("braid", &who(1)),
    }
    .encode_to_vec();
    let account = x_evm::AccountResponse::decode(ask("Account", address).unwrap().as_slice()).unwrap();
    assert_eq!(
        (account.balance.as_str(), account.nonce),
        ("100000000000000000000", 0)
    );
    let params = x_evm::ParamsResponse::decode(ask("Params", Vec::new()).unwrap().as_slice()).unwrap();
    assert_eq!(params.params.unwrap().evm_denom, "abraid");
    for bad in [
        b"\xff".to_vec(),
        x_evm::AddressRequest {
            address: "0x12".into(),
        }
        .encode_to_vec(),
    ] {
        assert!(
            ask("Account", bad)
                .unwrap_err()
                .to_string()
                .contains("InvalidArgument")
        );
    }
    let bad = EthCallRequest {
        args: "{".into(),
        gas_cap: 0,
    }
    .encode_to_vec();
    assert!(ask("EthCall", bad).is_err());
    assert!(
        chain
            .evm
            .query("/cosmos.evm.vm.v1.Query/Nothing", &[], &ctx)
            .is_none()
    );
    assert!(
        chain
            .evm
            .query("/cosmos.bank.v1beta1.Query/Balance", &[], &ctx)
            .is_none()
    );
}

#[test]
fn genesis_reads_back_what_it_wrote() {
    let mut chain = Chain::new();
    let at = Address::repeat_byte(1);
    chain.install(at, &FORWARDS, 0);
    chain.run(&sign(calls(0, at, 1, word(Address::repeat_byte(5))), 1));
    let export = |chain: &Chain| {
        chain
            .evm
            .export_genesis(&QueryContext {
                block: &chain.block,
                state: &chain.state,
            })
            .unwrap()
    };
    let section = export(&chain);
    let mut again = Chain::new();
    again.state = state::MemoryState::default();
    again.edit(|state, block, evm| {
        let mut updates = Vec::new();
        let mut ctx = GenesisContext {
            block,
            state,
            validators: &[],
            validator_updates: &mut updates,
        };
        evm.init_genesis(&section, &mut ctx).unwrap();
    });
    assert_eq!(export(&again), section);
    assert_eq!(
        (again.code(at), again.slot(at, 0), again.nonce(at)),
        (FORWARDS.to_vec(), U256::from(1), 1)
    );
    let refused = |section: &str| {
        let mut out = String::new();
        Chain::new().edit(|state, block, evm| {
            let mut updates = Vec::new();
            let mut ctx = GenesisContext {
                block,
                state,
                validators: &[],
                validator_updates: &mut updates,
            };
            out = evm
                .init_genesis(&section.parse().unwrap(), &mut ctx)
                .unwrap_err()
                .to_string();
        });
        out
    };
    let account = format!(r#"{{"address":"{at}","code":"0x00"}}"#);
    for (section, want) in [
        (
            r#"{"params":{"evm_denom":"wei","history_serve_window":1}}"#.to_owned(),
            "evm_denom \"wei\"",
        ),
        (r#"{"oops":1}"#.to_owned(), "oops"),
        (
            r#"{"accounts":[{"address":"nobody","code":"0x00"}]}"#.to_owned(),
            "nobody",
        ),
        (
            format!(r#"{{"accounts":[{{"address":"{at}","code":"0x"}}]}}"#),
            "has no code",
        ),
        (format!(r#"{{"accounts":[{account},{account}]}}"#), "listed twice"),
    ] {
        let error = refused(&section);
        assert!(error.contains(want), "{error}");
    }
}
