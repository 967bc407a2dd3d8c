//! Blocks whose results geth states (its `cmd/evm/testdata`, the number in each name), on both executors.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod common;

use common::{input, run};
use serde_json::{Value, json};
use t8n::Input;

const NO_LOGS: &str = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";
const NOTHING: &str = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";

fn check(have: &Value, want: &Value) {
    for (name, want) in want.as_object().unwrap() {
        assert_eq!(&have[name], want, "{name}");
    }
}

#[test]
fn geth_1_a_transfer_and_its_repetition() {
    let tx = json!({
        "gas": "0x5208", "gasPrice": "0x2", "input": "0x", "nonce": "0x0", "value": "0x1", "v": "0x1b",
        "r": "0x9500e8ba27d3c33ca7764e107410f44cbd8c19794bde214d694683a7aa998cdb",
        "s": "0x7235ae07e4bd6e0206d102b1f8979d6adab280466b6a82d2208ee08951f1f600",
        "to": "0x8a8eafb1cf62bfbeb1741769dae1a9dd47996192",
    });
    let out = run(&input(
        "Byzantium",
        json!({
            "a94f5374fce5edbc8e2a8697c15331677e6ebf0b": { "balance": "0x5ffd4878be161d74", "code": "0x", "nonce": "0xac" },
            "0x8a8eafb1cf62bfbeb1741769dae1a9dd47996192": { "balance": "0xfeedbead", "nonce": "0x00" },
        }),
        json!({
            "currentCoinbase": "0xc94f5374fce5edbc8e2a8697c15331677e6ebf0b", "currentDifficulty": "0x20000",
            "currentGasLimit": "0x750a163df65e8a", "currentNumber": "1", "currentTimestamp": "1000",
        }),
        json!([tx, tx]),
    ));
    assert_eq!(
        serde_json::to_value(&out.alloc).unwrap(),
        json!({
            "0x8a8eafb1cf62bfbeb1741769dae1a9dd47996192": { "balance": "0xfeed1a9d", "nonce": "0x1" },
            "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b": { "balance": "0x5ffd4878be161d74", "nonce": "0xac" },
            "0xc94f5374fce5edbc8e2a8697c15331677e6ebf0b": { "balance": "0xa410" },
        })
    );
    let result = serde_json::to_value(&out.result).unwrap();
    check(
        &result,
        &json!({
            "stateRoot": "0x84208a19bc2b46ada7445180c1db162be5b39b9abc8c0a54b05d32943eae4e13",
            "txRoot": "0xc4761fd7b87ff2364c7c60b6c5c8d02e522e815328aaea3f20e3b7b7ef52c42d",
            "receiptsRoot": "0x056b23fbba480696b65fe5a59b8f2148a1299103c4f57df839233af2cf4ca2d2",
            "logsHash": NO_LOGS,
            "rejected": [{
                "index": 1,
                "error": "nonce too low: address 0x8A8eAFb1cf62BfBeb1741769DAE1a9dd47996192, tx: 0 state: 1",
            }],
            "currentDifficulty": "0x20000",
            "gasUsed": "0x5208",
        }),
    );
    let hash = "0x0557bacce3375c98d806609b8d5043072f0b6a8bae45ae5a67a00d3a1a18d673";
    let mut receipt = result["receipts"][0].clone();
    receipt.as_object_mut().unwrap().remove("logsBloom");
    assert_eq!(
        receipt,
        json!({
            "root": "0x", "status": "0x1", "cumulativeGasUsed": "0x5208", "logs": null, "transactionHash": hash,
            "contractAddress": "0x0000000000000000000000000000000000000000", "gasUsed": "0x5208",
            "effectiveGasPrice": null, "transactionIndex": "0x0",
            "blockHash": "0x0000000000000000000000000000000000000000000000000000000000000000",
        })
    );
    let again = t8n::from_list(&out.body).unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].as_ref().unwrap().tx_hash().to_string(), hash);
}

#[test]
fn geth_5_rewards_for_a_block_and_its_ommers() {
    let (a, b, c) = ("a".repeat(40), "b".repeat(40), "c".repeat(40));
    let block = input(
        "Byzantium",
        json!({}),
        json!({
            "currentCoinbase": format!("0x{a}"), "currentDifficulty": "0x20000", "currentGasLimit": "0x750a163df65e8a",
            "currentNumber": "1", "currentTimestamp": "1000",
            "ommers": [{ "delta": 1, "address": format!("0x{b}") }, { "delta": 2, "address": format!("0x{c}") }],
        }),
        json!([]),
    );
    let out = run(&Input {
        reward: Some(types::U256::from(0x80)),
        ..block
    });
    check(
        &serde_json::to_value(&out.result).unwrap(),
        &json!({
            "stateRoot": "0xa7312add33811645c6aa65d928a1a4f49d65d448801912c069a0aa8fe9c1f393",
            "txRoot": NOTHING, "receiptsRoot": NOTHING, "logsHash": NO_LOGS, "receipts": [],
            "currentDifficulty": "0x20000",
        }),
    );
}

#[test]
fn geth_19_a_difficulty_worked_out() {
    for (fork, want) in [("GrayGlacier", "0x2000000004000"), ("London", "0x2000080000000")] {
        let out = run(&input(
            fork,
            json!({ "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b": { "balance": "1" } }),
            json!({
                "currentCoinbase": "0xc94f5374fce5edbc8e2a8697c15331677e6ebf0b", "currentGasLimit": "0x750a163df65e8a",
                "currentBaseFee": "0x500", "currentNumber": "13000000", "currentTimestamp": "100015",
                "parentTimestamp": "99999", "parentDifficulty": "0x2000000000000",
            }),
            json!([]),
        ));
        let want = json!({ "currentDifficulty": want, "currentBaseFee": "0x500", "gasUsed": "0x0", "requests": null });
        check(&serde_json::to_value(&out.result).unwrap(), &want);
    }
}

#[test]
fn geth_33_delegations_signed_here() {
    let out = run(&input(
        "Prague",
        json!({
            "0x8a0a19589531694250d570040a0c4b74576919b8": {
                "nonce": "0x00", "balance": "0x0de0b6b3a7640000",
                "code": "0x600060006000600060007310000000000000000000000000000000000000015af160015560006000600060006000\
                         7310000000000000000000000000000000000000025af16002553d600060003e600051600355",
                "storage": { "0x01": "0x0100", "0x02": "0x0100", "0x03": "0x0100" },
            },
            "0x000000000000000000000000000000000000aaaa": {
                "balance": "0x4563918244f40000",
                "code": "0x58808080600173703c4b2bd70c169f5717101caee543299fc946c75af100",
            },
            "0x000000000000000000000000000000000000bbbb": { "balance": "0x29a2241af62c0000", "code": "0x6042805500" },
            "0x71562b71999873DB5b286dF957af199Ec94617F7": { "balance": "0x6124fee993bc0000", "code": "0x" },
        }),
        json!({
            "currentCoinbase": "0x2adc25665018aa1fe0e6bc666dac8fc2697ff9ba", "currentGasLimit": "71794957647893862",
            "currentNumber": "1", "currentTimestamp": "1000", "currentRandom": "0", "currentDifficulty": "0",
            "blockHashes": {}, "ommers": [], "currentBaseFee": "7", "withdrawals": [],
            "parentUncleHash": "0x0000000000000000000000000000000000000000000000000000000000000000",
            "parentBeaconBlockRoot": "0x0000000000000000000000000000000000000000000000000000000000000000",
        }),
        json!([{
            "type": "0x4", "chainId": "0x1", "nonce": "0x0", "to": "0x71562b71999873db5b286df957af199ec94617f7",
            "gas": "0x7a120", "gasPrice": null, "maxPriorityFeePerGas": "0x2", "maxFeePerGas": "0x12a05f200",
            "value": "0x0", "input": "0x", "accessList": [],
            "authorizationList": [
                {
                    "chainId": "0x1", "address": "0x000000000000000000000000000000000000aaaa", "nonce": "0x1",
                    "yParity": "0x1", "v": "0x1",
                    "r": "0xf7e3e597fc097e71ed6c26b14b25e5395bc8510d58b9136af439e12715f2d721",
                    "s": "0x6cf7c3d7939bfdb784373effc0ebb0bd7549691a513f395e3cdabf8602724987",
                },
                {
                    "chainId": "0x0", "address": "0x000000000000000000000000000000000000bbbb", "nonce": "0x0",
                    "yParity": "0x1",
                    "r": "0x5011890f198f0356a887b0779bde5afa1ed04e6acb1e3f37f8f18c7b6f521b98",
                    "s": "0x56c3fa3456b103f3ef4a0acb4b647b9cab9ec4bc68fbcdf1e10b49fb2bcbcf61",
                },
            ],
            "secretKey": "0xb71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291",
            "v": "0x0", "r": "0x0", "s": "0x0",
        }]),
    ));
    check(
        &serde_json::to_value(&out.result).unwrap(),
        &json!({
            "stateRoot": "0x9fdcacd4510e93c4488e537dc51578b5c6d505771db64a2610036eeb4be7b26f",
            "txRoot": "0x5d13a0b074e80388dc754da92b22922313a63417b3e25a10f324935e09697a53",
            "receiptsRoot": "0x504c5d86c34391f70d210e6c482615b391db4bdb9f43479366399d9c5599850a",
            "logsHash": NO_LOGS, "currentDifficulty": null, "gasUsed": "0x15fa9", "currentBaseFee": "0x7",
            "withdrawalsRoot": NOTHING,
            "requestsHash": "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "requests": [],
        }),
    );
    assert_eq!(
        serde_json::to_value(&out.alloc).unwrap()["0x703c4b2bd70c169f5717101caee543299fc946c7"],
        json!({
            "code": "0xef0100000000000000000000000000000000000000bbbb",
            "storage": {
                "0x0000000000000000000000000000000000000000000000000000000000000042":
                    "0x0000000000000000000000000000000000000000000000000000000000000042",
            },
            "balance": "0x1", "nonce": "0x1",
        })
    );
}
