//! What happens between and around a block's transactions.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod common;

use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use common::{input, run};
use serde_json::{Value, json};
use t8n::Input;

const MINER: &str = "0xc94f5374fce5edbc8e2a8697c15331677e6ebf0b";
/// Whose keys are 0x…01, 0x…02 and 0x…03.
const PAYERS: [&str; 3] = [
    "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf",
    "0x2b5ad5c4795c026514f8317c7a215e218dccd6cf",
    "0x6813eb9362372eef6200f3b1dbc3f819671cba69",
];

fn rich() -> Value {
    PAYERS
        .iter()
        .map(|who| ((*who).to_owned(), json!({ "balance": "0xde0b6b3a7640000" })))
        .collect()
}

fn pays(payer: usize, nonce: u64, gas: u64, to: &str, more: &Value) -> Value {
    let mut tx = json!({
        "nonce": nonce, "gas": gas, "gasPrice": "0xa", "to": to, "value": "0x1", "input": "0x",
        "secretKey": format!("0x{:064x}", payer + 1),
    });
    for (name, value) in more.as_object().unwrap() {
        tx[name] = value.clone();
    }
    tx
}

fn env(more: &Value) -> Value {
    let mut env = json!({
        "currentCoinbase": MINER, "currentDifficulty": "0", "currentGasLimit": "50000", "currentNumber": "1",
        "currentTimestamp": "1000", "currentBaseFee": "7", "currentRandom": "0", "withdrawals": [],
        "currentExcessBlobGas": "0",
    });
    for (name, value) in more.as_object().unwrap() {
        env[name] = value.clone();
    }
    env
}

#[test]
fn what_has_no_room_is_rejected_and_leaves_room_for_the_next() {
    let to = "0x00000000000000000000000000000000000000aa";
    let txs = json!([
        pays(0, 0, 21_000, to, &json!({})),
        pays(1, 0, 30_000, to, &json!({})),
        pays(2, 0, 21_000, to, &json!({})),
        pays(0, 1, 21_000, to, &json!({})),
        pays(1, 7, 8_000, to, &json!({})),
        pays(1, 0, 60_000, to, &json!({})),
    ]);
    let out = run(&input("Osaka", rich(), env(&json!({})), txs));
    let gas: Vec<String> = out
        .result
        .receipts
        .iter()
        .map(|r| serde_json::to_value(r).unwrap()["cumulativeGasUsed"].to_string())
        .collect();
    assert_eq!(gas, ["\"0x5208\"", "\"0xa410\""]);
    let rejected: Vec<(usize, &str)> = out
        .result
        .rejected
        .iter()
        .map(|r| (r.index, r.error.as_str()))
        .collect();
    let high = "nonce too high: address 0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF, tx: 7 state: 0";
    assert_eq!(
        rejected,
        [
            (1, "gas limit reached"),
            (3, "gas limit reached"),
            (4, high),
            (5, "gas limit reached")
        ]
    );
}

#[test]
fn before_byzantium_receipts_hold_state_roots() {
    for fork in ["Frontier", "Homestead", "EIP150", "EIP158"] {
        let plain = json!({ "protected": false });
        let txs = json!([
            pays(0, 0, 21_000, PAYERS[1], &plain),
            pays(1, 0, 21_000, PAYERS[0], &plain)
        ]);
        let out = run(&Input {
            reward: None,
            ..input(fork, rich(), env(&json!({})), txs)
        });
        let root = |n: usize| serde_json::to_value(&out.result.receipts[n]).unwrap()["root"].clone();
        assert_eq!(
            root(1),
            json!(out.result.state_root),
            "{fork}: the last is the block's"
        );
        assert_ne!(root(0), root(1), "{fork}");
    }
}

#[test]
fn who_is_paid_nothing_exists_before_spurious_dragon() {
    for (fork, exists) in [("EIP150", true), ("EIP158", false)] {
        let out = run(&input(fork, json!({}), env(&json!({})), json!([])));
        assert_eq!(
            out.alloc
                .0
                .contains_key(&MINER.parse::<types::Address>().unwrap()),
            exists,
            "{fork}"
        );
    }
}

#[test]
fn withdrawals_are_paid_in_gwei() {
    let withdrawal =
        json!({ "index": "0x0", "validatorIndex": "0x1", "address": PAYERS[2], "amount": "0x5" });
    let given = env(&json!({ "withdrawals": [withdrawal, withdrawal] }));
    let out = run(&input("Shanghai", json!({}), given, json!([])));
    let who: types::Address = PAYERS[2].parse().unwrap();
    assert_eq!(out.alloc.0[&who].balance, types::U256::from(10_000_000_000u64));
}

#[test]
fn system_contracts_are_called_and_their_requests_hashed() {
    let request = format!("0x{}{}", "ab".repeat(48), "00000000000000ff");
    let contract = format!("{:#x}", eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS);
    let mut alloc = rich();
    for (at, code) in [
        (
            eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            &eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE,
        ),
        (
            eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            &eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE,
        ),
        (eip2935::HISTORY_STORAGE_ADDRESS, &eip2935::HISTORY_STORAGE_CODE),
        (eip4788::BEACON_ROOTS_ADDRESS, &eip4788::BEACON_ROOTS_CODE),
    ] {
        alloc[format!("{at:#x}")] = json!({ "code": code, "nonce": "1" });
    }
    let (parent, root) = (format!("0x{}", "11".repeat(32)), format!("0x{}", "22".repeat(32)));
    let given = env(&json!({
        "currentGasLimit": "1000000", "blockHashes": { "0": parent }, "parentBeaconBlockRoot": root,
    }));
    let txs = json!([pays(0, 0, 300_000, &contract, &json!({ "input": request }))]);
    let out = run(&input("Prague", alloc, given, txs));
    let requests = out.result.requests.unwrap();
    let want = format!("0x01{}{}{}", &PAYERS[0][2..], "ab".repeat(48), "ff00000000000000");
    assert_eq!(
        requests.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [want]
    );
    assert_ne!(
        out.result.requests_hash,
        Some(alloy_eips::eip7685::EMPTY_REQUESTS_HASH)
    );
    let slot = |who, slot: u64| out.alloc.0[who].storage[&types::U256::from(slot)].to_string();
    let number = |hex: &str| hex.parse::<types::U256>().unwrap().to_string();
    assert_eq!(slot(&eip2935::HISTORY_STORAGE_ADDRESS, 0), number(&parent));
    assert_eq!(slot(&eip4788::BEACON_ROOTS_ADDRESS, 1000 + 8191), number(&root));
}

#[test]
fn an_environment_that_lacks_something_says_what() {
    for (fork, without, want) in [
        (
            "London",
            "currentBaseFee",
            "ERROR(3): EIP-1559 config but missing 'parentBaseFee' in env section",
        ),
        (
            "Shanghai",
            "withdrawals",
            "ERROR(3): Shanghai config but missing 'withdrawals' in env section",
        ),
        (
            "Paris",
            "currentRandom",
            "ERROR(3): post-merge requires currentRandom to be defined in env",
        ),
        (
            "Berlin",
            "currentDifficulty",
            "ERROR(3): currentDifficulty was not provided, and cannot be calculated due to missing parentDifficulty",
        ),
    ] {
        let mut given = env(&json!({}));
        given.as_object_mut().unwrap().remove(without);
        let error = t8n::run(&input(fork, json!({}), given, json!([])), &executor::Serial).unwrap_err();
        assert_eq!(error.to_string(), want);
    }
}
