//! Ethereum JSON-RPC over a real chain in memory.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;
use common::{Node, hex};
use serde_json::{Value, json};
use types::{Address, U256};
use workload::{EthCall, contracts};

#[tokio::test]
async fn every_method_of_the_table_answers() {
    let node = Node::start();
    let client = node.ethereum().await;
    for round in ["before the first block", "after it"] {
        for (method, example) in rpc::methods().filter(|(m, _)| *m != "eth_sendRawTransaction") {
            let params: Value = serde_json::from_str(example).unwrap();
            if let Err(e) = client.call(method, params).await {
                panic!("{method} {example} {round}: {e}");
            }
        }
        node.mine();
    }
    let version = client.ok("web3_clientVersion", json!([])).await;
    assert!(
        version.as_str().unwrap().starts_with("Braid/v0.1.0/"),
        "{version}"
    );
    assert_eq!(client.ok("net_version", json!([])).await, "8118");
    assert_eq!(client.ok("eth_chainId", json!([])).await, "0x1fb6");
    assert_eq!(client.ok("net_peerCount", json!([])).await, "0x0");
    assert_eq!(client.ok("eth_blockNumber", json!([])).await, "0x2");
    let empty = "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
    assert_eq!(client.ok("web3_sha3", json!(["0x"])).await, empty);
    for unknown in [
        "eth_coinbase",
        "eth_sign",
        "personal_listAccounts",
        "debug_setHead",
        "",
    ] {
        assert_eq!(client.refused(unknown, json!([])).await.0, -32601, "{unknown}");
    }
}

#[tokio::test]
async fn a_payment_is_sent_waits_is_included_and_read_back() {
    let node = Node::start();
    let client = node.ethereum().await;
    let (from, to) = (node.accounts[0].address, Address::repeat_byte(0xbb));
    let tx = node.accounts[0].eth_at(&node.chain, 0, &EthCall::pay(to, 5));
    let hash = client.ok("eth_sendRawTransaction", json!([hex(&tx.raw)])).await;
    assert_eq!(hash, json!(tx.hash));

    let pending = client.ok("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!(
        (&pending["blockHash"], &pending["from"]),
        (&Value::Null, &json!(from))
    );
    assert_eq!(
        client.ok("eth_getTransactionReceipt", json!([hash])).await,
        Value::Null
    );
    assert_eq!(
        client
            .ok("eth_getTransactionCount", json!([from, "latest"]))
            .await,
        "0x0"
    );
    assert_eq!(
        client
            .ok("eth_getTransactionCount", json!([from, "pending"]))
            .await,
        "0x1"
    );
    let (code, text) = client
        .refused("eth_sendRawTransaction", json!([hex(&tx.raw)]))
        .await;
    assert_eq!((code, text.as_str()), (-32000, "already known"));

    let block = node.mine();
    let comet_hash = types::B256::from_slice(&sha2(&block.txs[0].raw));
    let receipt = client.ok("eth_getTransactionReceipt", json!([hash])).await;
    for (field, want) in [
        ("status", json!("0x1")),
        ("type", json!("0x2")),
        ("gasUsed", json!("0x5208")),
        ("cumulativeGasUsed", json!("0x5208")),
        ("effectiveGasPrice", json!("0x77359400")),
        ("transactionIndex", json!("0x0")),
        ("blockNumber", json!("0x1")),
        ("blockHash", json!(block.hash)),
        ("from", json!(from)),
        ("to", json!(to)),
        ("contractAddress", Value::Null),
        ("logs", json!([])),
    ] {
        assert_eq!(receipt[field], want, "{field}");
    }
    assert_eq!(
        client.ok("eth_getTransactionReceipt", json!([comet_hash])).await,
        receipt
    );
    assert_eq!(
        client.ok("eth_getBlockReceipts", json!(["0x1"])).await,
        json!([receipt])
    );

    let mined = client.ok("eth_getTransactionByHash", json!([hash])).await;
    for (field, want) in [
        ("blockNumber", json!("0x1")),
        ("value", json!("0x5")),
        ("gasPrice", json!("0x77359400")),
        ("maxFeePerGas", json!("0x174876e800")),
        ("chainId", json!("0x1fb6")),
        ("input", json!("0x")),
        ("nonce", json!("0x0")),
    ] {
        assert_eq!(mined[field], want, "{field}");
    }
    assert_eq!(
        client
            .ok(
                "eth_getTransactionByBlockNumberAndIndex",
                json!(["latest", "0x0"])
            )
            .await,
        mined
    );
    assert_eq!(
        client
            .ok(
                "eth_getTransactionByBlockHashAndIndex",
                json!([block.hash, "0x0"])
            )
            .await,
        mined
    );
    assert_eq!(
        client
            .ok(
                "eth_getTransactionByBlockHashAndIndex",
                json!([block.hash, "0x1"])
            )
            .await,
        Value::Null
    );

    let full = client.ok("eth_getBlockByNumber", json!(["0x1", true])).await;
    assert_eq!(full["transactions"], json!([mined]));
    for id in [json!(block.hash), json!(block.comet_hash)] {
        let by_hash = client.ok("eth_getBlockByHash", json!([id, false])).await;
        assert_eq!(
            (&by_hash["transactions"], &by_hash["hash"]),
            (&json!([hash]), &full["hash"])
        );
    }
    for field in [
        "parentHash",
        "sha3Uncles",
        "miner",
        "stateRoot",
        "logsBloom",
        "baseFeePerGas",
        "size",
        "mixHash",
    ] {
        assert!(full[field].is_string(), "{field}: {full}");
    }
    assert_eq!((&full["uncles"], &full["withdrawals"]), (&json!([]), &json!([])));
    assert_eq!(
        client
            .ok("eth_getBlockTransactionCountByNumber", json!(["0x1"]))
            .await,
        "0x1"
    );
    assert_eq!(
        client
            .ok("eth_getUncleCountByBlockHash", json!([block.hash]))
            .await,
        "0x0"
    );

    // Older heights answer as they were.
    node.run(0, &[EthCall::pay(to, 6)]);
    let balance = |at: Value| client.ok("eth_getBalance", json!([to, at]));
    assert_eq!(balance(json!("0x1")).await, "0x5");
    assert_eq!(balance(json!("latest")).await, "0xb");
    assert_eq!(balance(json!({"blockHash": block.hash})).await, "0x5");
    let nonce = client.ok("eth_getTransactionCount", json!([from, "0x1"])).await;
    assert_eq!(nonce, "0x1");
    assert_eq!(
        client.refused("eth_getBalance", json!([to, "0x3"])).await,
        (-32000, "header not found".into())
    );
    assert_eq!(
        client.refused("eth_getBalance", json!([to, "0x0"])).await.0,
        -32000
    );
    assert_eq!(
        client.ok("eth_getBlockByNumber", json!(["0x3", false])).await,
        Value::Null
    );
    assert_eq!(
        client
            .ok("eth_getBlockByNumber", json!(["earliest", false]))
            .await["number"],
        "0x0"
    );
}

fn sha2(bytes: &[u8]) -> [u8; 32] {
    use ::sha2::Digest;
    ::sha2::Sha256::digest(bytes).into()
}

#[tokio::test]
async fn contracts_are_created_called_and_leave_logs() {
    let node = Node::start();
    let client = node.ethereum().await;
    let me = node.accounts[0].address;
    let code = hex(contracts::token(1000));
    let gas = client
        .ok("eth_estimateGas", json!([{"from": me, "data": code}]))
        .await;
    let gas = u64::from_str_radix(gas.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    let created = node.run(0, &[EthCall::create(contracts::token(1000), gas)]);
    let receipt = client
        .ok(
            "eth_getTransactionReceipt",
            json!([created.evm_receipts().next().unwrap().hash]),
        )
        .await;
    assert_eq!(receipt["status"], "0x1", "the estimate {gas} is enough");
    assert_eq!(
        (&receipt["to"], &receipt["contractAddress"]),
        (&Value::Null, &json!(me.create(0)))
    );
    let token = me.create(0);

    let to = Address::repeat_byte(0xcc);
    let block = node.run(
        0,
        &[1, 2, 3].map(|n| EthCall::call(token, contracts::transfer(&to, n), 100_000)),
    );
    let call = |input: types::Bytes| json!({"to": token, "input": hex(input)});
    let balance_of = call(contracts::input("balanceOf(address)", &[contracts::word(&to)]));
    let word = |n: u64| json!(format!("0x{n:064x}"));
    assert_eq!(
        client.ok("eth_call", json!([balance_of, "latest"])).await,
        word(6)
    );
    assert_eq!(client.ok("eth_call", json!([balance_of, "0x1"])).await, word(0));
    assert_eq!(
        client
            .ok("eth_call", json!([balance_of, {"blockHash": block.hash}]))
            .await,
        word(6)
    );
    assert_eq!(
        client
            .ok("eth_getStorageAt", json!([token, "0x0", "latest"]))
            .await,
        word(1000)
    );
    assert!(
        client
            .ok("eth_getCode", json!([token, "latest"]))
            .await
            .as_str()
            .unwrap()
            .len()
            > 1000
    );
    assert_eq!(client.ok("eth_getCode", json!([to, "latest"])).await, "0x");

    // Block-wide log indexes; the same logs by range, by hash, by address and by topic.
    let logs = client
        .ok("eth_getLogs", json!([{"fromBlock": "0x2", "toBlock": "0x2"}]))
        .await;
    let indexes: Vec<&Value> = logs.as_array().unwrap().iter().map(|l| &l["logIndex"]).collect();
    assert_eq!(indexes, ["0x0", "0x1", "0x2"]);
    assert_eq!(logs[2]["transactionIndex"], "0x2");
    assert_eq!(
        client.ok("eth_getLogs", json!([{"blockHash": block.hash}])).await,
        logs
    );
    let topic = json!(types::B256::left_padding_from(to.as_slice()));
    let filter = json!({"fromBlock": "earliest", "address": [token], "topics": [null, null, [topic]]});
    assert_eq!(client.ok("eth_getLogs", json!([filter])).await, logs);
    let nobody = json!({"fromBlock": "0x0", "address": Address::repeat_byte(1)});
    assert_eq!(client.ok("eth_getLogs", json!([nobody])).await, json!([]));
    let beyond = json!({"fromBlock": "0x99", "toBlock": "0x9999"});
    assert_eq!(client.ok("eth_getLogs", json!([beyond])).await, json!([]));

    for (filter, part) in [
        (
            json!({"fromBlock": "0x2", "toBlock": "0x1"}),
            "invalid block range",
        ),
        (
            json!({"topics": [null, null, null, null, null]}),
            "exceed max topics",
        ),
        (json!({"fromBlock": "0x01"}), "0x01"),
        (json!({"address": "0x12"}), "invalid argument 0"),
        (json!({"address": vec![token; 1001]}), "1001"),
        (json!({"blockHash": block.hash, "fromBlock": "0x1"}), "blockHash"),
        (json!(7), "filter object"),
    ] {
        let (code, text) = client.refused("eth_getLogs", json!([filter])).await;
        assert!(code == -32602 && text.contains(part), "{filter}: {code} {text}");
    }
}

#[tokio::test]
async fn reverts_carry_code_3_and_their_data() {
    let node = Node::start();
    let client = node.ethereum().await;
    let me = node.accounts[0].address;
    node.run(0, &[EthCall::create(contracts::probe(), 5_000_000)]);
    let probe = me.create(0);
    let fail = |reason: u64| json!([{"to": probe, "data": hex(contracts::input("fail(uint256)", &[U256::from(reason)]))}]);
    for method in ["eth_call", "eth_estimateGas"] {
        let error = client.call(method, fail(0)).await.unwrap_err();
        assert_eq!(
            (&error["code"], &error["message"]),
            (&json!(3), &json!("execution reverted: asked to"))
        );
        assert!(
            error["data"].as_str().unwrap().starts_with("0x08c379a0"),
            "{error}"
        );
        let error = client.call(method, fail(2)).await.unwrap_err();
        assert_eq!(
            (&error["code"], &error["message"]),
            (&json!(3), &json!("execution reverted: assert(false)"))
        );
    }
    // An endless loop: `out of gas`, or where the last of it meets SSTORE's sentry.
    let (code, text) = client.refused("eth_call", fail(1)).await;
    assert!(
        code == -32000 && (text == "out of gas" || text.contains("reentrancy sentry")),
        "{code} {text}"
    );
    let poor = json!([{"from": Address::repeat_byte(1), "to": me, "value": "0x1"}]);
    let (code, text) = client.refused("eth_call", poor).await;
    assert!(code == -32000 && text.contains("insufficient funds"), "{text}");
    let both = json!([{"to": probe, "data": "0x01", "input": "0x02"}]);
    assert_eq!(client.refused("eth_call", both).await.0, -32602);
    let prices = json!([{"to": probe, "gasPrice": "0x1", "maxFeePerGas": "0x1"}]);
    assert!(
        client
            .refused("eth_call", prices)
            .await
            .1
            .contains("both gasPrice")
    );
}

#[tokio::test]
async fn overrides_pretend_accounts_and_blocks_for_one_call() {
    let node = Node::start();
    let client = node.ethereum().await;
    node.mine();
    let who = Address::repeat_byte(0xdd);
    // PUSH0 SLOAD PUSH0 MSTORE PUSH1 32 PUSH0 RETURN: gives slot 0.
    let slot0 = "0x5f545f5260205ff3";
    let one = json!(format!("0x{:064x}", 1));
    let zero = json!(format!("0x{:064x}", 0));
    let run = |overrides: Value| client.ok("eth_call", json!([{"to": who}, "latest", overrides]));
    assert_eq!(run(json!({})).await, "0x");
    assert_eq!(run(json!({who.to_string(): {"code": slot0}})).await, zero);
    assert_eq!(
        run(json!({who.to_string(): {"code": slot0, "stateDiff": {zero.as_str().unwrap(): one}}})).await,
        one
    );
    assert_eq!(
        run(json!({who.to_string(): {"code": slot0, "state": {zero.as_str().unwrap(): one}}})).await,
        one
    );
    // SELFBALANCE, then as above.
    let balance = json!({who.to_string(): {"code": "0x475f5260205ff3", "balance": "0x1"}});
    assert_eq!(run(balance).await, one);
    assert_eq!(client.ok("eth_getBalance", json!([who, "latest"])).await, "0x0");
    // NUMBER.
    let number =
        json!([{"to": who}, "latest", {who.to_string(): {"code": "0x435f5260205ff3"}}, {"number": "0x1"}]);
    assert_eq!(client.ok("eth_call", number).await, one);
    let both = json!([{"to": who}, "latest", {who.to_string(): {"state": {}, "stateDiff": {}}}]);
    assert_eq!(client.refused("eth_call", both).await.0, -32602);
}

#[tokio::test]
async fn storage_that_is_replaced_hides_what_was_there() {
    let node = Node::start();
    let client = node.ethereum().await;
    let token = node.accounts[0].address.create(0);
    node.run(0, &[EthCall::create(contracts::token(1000), 5_000_000)]);
    let supply = json!({"to": token, "data": hex(contracts::input("totalSupply()", &[]))});
    let word = |n: u64| json!(format!("0x{n:064x}"));
    assert_eq!(client.ok("eth_call", json!([supply, "latest"])).await, word(1000));
    let replaced = json!({token.to_string(): {"state": {}}});
    assert_eq!(
        client.ok("eth_call", json!([supply, "latest", replaced])).await,
        word(0)
    );
    let patched = json!({token.to_string(): {"stateDiff": {}}});
    assert_eq!(
        client.ok("eth_call", json!([supply, "latest", patched])).await,
        word(1000)
    );
}

/// A transaction with blobs: refused before its signature is looked at.
fn blob() -> types::Bytes {
    use alloy_consensus::{SignableTransaction, TxEip4844};
    use alloy_eips::eip2718::Encodable2718;
    let tx = TxEip4844 {
        chain_id: 8118,
        ..TxEip4844::default()
    };
    let signed = tx.into_signed(alloy_primitives::Signature::test_signature());
    x_evm::Envelope::Eip4844(signed).encoded_2718().into()
}

#[tokio::test]
async fn refused_transactions_say_why_in_geths_words() {
    let node = Node::start();
    let client = node.ethereum().await;
    let (me, other) = (&node.accounts[0], Address::repeat_byte(1));
    node.run(0, &[EthCall::pay(other, 1)]);
    let pay = EthCall::pay(other, 1);
    let foreign = {
        let mut chain = node.chain.clone();
        let mut config = (*chain.config).clone();
        config.evm_chain_id = 5;
        chain.config = config.into();
        me.eth_at(&chain, 1, &pay)
    };
    let cheap = {
        let mut chain = node.chain.clone();
        chain.fee_cap = 1;
        chain.tip = 1;
        me.eth_at(&chain, 1, &pay)
    };
    let at = |nonce: u64, call: &EthCall| me.eth_at(&node.chain, nonce, call).raw;
    let rich = EthCall {
        value: U256::MAX >> 8,
        ..pay.clone()
    };
    let big = EthCall {
        gas: 70_000_000,
        ..pay.clone()
    };
    let mut forged = at(1, &pay).to_vec();
    let end = forged.len() - 1;
    forged[end] ^= 1;
    for (raw, part) in [
        (at(0, &pay), "nonce too low"),
        (foreign.raw, "chain"),
        (cheap.raw, "max fee per gas less than block base fee"),
        (
            at(
                1,
                &EthCall {
                    gas: 20_000,
                    ..pay.clone()
                },
            ),
            "intrinsic gas too low",
        ),
        (at(1, &rich), "insufficient funds for gas * price + value"),
        (at(1, &big), "gas limit"),
        (blob(), "transaction type not supported"),
        (types::Bytes::new(), "rlp"),
        (vec![2].into(), "rlp"),
        (vec![0xc0].into(), "rlp"),
        (vec![9, 1].into(), "transaction type not supported"),
    ] {
        let (code, text) = client.refused("eth_sendRawTransaction", json!([hex(&raw)])).await;
        assert!(
            code == -32000 && text.contains(part),
            "want {part}: {code} {text}"
        );
    }
    for raw in ["0x0", "02", "0xzz", ""] {
        let (code, text) = client.refused("eth_sendRawTransaction", json!([raw])).await;
        assert!(
            code == -32602 && text.contains(&format!("{raw:?}")),
            "{raw}: {code} {text}"
        );
    }
    let oversized = format!("0x02{}", "00".repeat(128 * 1024));
    let (code, text) = client.refused("eth_sendRawTransaction", json!([oversized])).await;
    assert!(code == -32000 && text.contains("oversized data"), "{code} {text}");
    // Nothing was lost: the next good one passes.
    client
        .ok("eth_sendRawTransaction", json!([hex(at(1, &pay))]))
        .await;
    // A forged signature belongs to somebody without money, or to nobody.
    assert_eq!(
        client
            .refused("eth_sendRawTransaction", json!([hex(forged)]))
            .await
            .0,
        -32000
    );
}

#[tokio::test]
async fn fees_are_suggested_and_remembered() {
    let node = Node::start();
    let client = node.ethereum().await;
    assert_eq!(
        client.ok("eth_maxPriorityFeePerGas", json!([])).await,
        "0x3b9aca00"
    );
    assert_eq!(client.ok("eth_gasPrice", json!([])).await, "0x77359400");
    node.run(0, &[EthCall::pay(Address::repeat_byte(1), 1)]);
    node.mine();
    let history = client
        .ok("eth_feeHistory", json!(["0x5", "latest", [10, 50.5]]))
        .await;
    assert_eq!(history["oldestBlock"], "0x0");
    assert_eq!(history["baseFeePerGas"].as_array().unwrap().len(), 4);
    assert!(
        history["baseFeePerGas"]
            .as_array()
            .unwrap()
            .iter()
            .all(|fee| fee == "0x3b9aca00"),
        "{history}"
    );
    assert_eq!(
        history["reward"],
        json!([["0x0", "0x0"], ["0x3b9aca00", "0x3b9aca00"], ["0x0", "0x0"]])
    );
    assert_eq!(history["gasUsedRatio"][1], json!(21_000.0 / 60_000_000.0));
    let plain = client.ok("eth_feeHistory", json!([1_000_000, "0x1"])).await;
    assert_eq!(
        (plain["oldestBlock"].as_str(), plain.get("reward")),
        (Some("0x0"), None)
    );
    for percentiles in [
        json!([101]),
        json!([-1]),
        json!([50, 10]),
        json!(vec![1; 101]),
        json!("x"),
    ] {
        assert_eq!(
            client
                .refused("eth_feeHistory", json!([1, "latest", percentiles]))
                .await
                .0,
            -32602
        );
    }
    assert_eq!(
        client.refused("eth_feeHistory", json!([1, "0x99"])).await.0,
        -32000
    );
}

#[tokio::test]
async fn native_transactions_are_not_ethereums() {
    let node = Node::start();
    let client = node.ethereum().await;
    let to = Address::repeat_byte(0xee);
    let send = node.accounts[1].send(&node.chain, &to, 9);
    let tx = node.accounts[1].native_at(&node.chain, 0, vec![send], 200_000);
    let checked = node.check(tx.clone()).unwrap();
    assert_eq!(checked.code, 0, "{}", checked.log);
    let block = node.mine();
    assert_eq!(
        (block.txs.len(), block.txs[0].result.code),
        (1, 0),
        "{}",
        block.txs[0].result.log
    );
    assert_eq!(client.ok("eth_getBalance", json!([to, "latest"])).await, "0x9");
    assert_eq!(
        client.ok("eth_getBlockByNumber", json!(["latest", false])).await["transactions"],
        json!([])
    );
    let hash = types::B256::from(sha2(&tx));
    assert_eq!(
        client.ok("eth_getTransactionByHash", json!([hash])).await,
        Value::Null
    );
    assert_eq!(
        client.ok("eth_getTransactionReceipt", json!([hash])).await,
        Value::Null
    );
}
