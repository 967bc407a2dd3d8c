//! CometBFT's RPC for the solo engine, as tendermint-rpc and CosmJS use it.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;
use common::{CHAIN_ID, Client, Node, hex};
use serde_json::{Value, json};
use std::sync::Arc;
use tendermint_rpc::client::Client as _;
use tendermint_rpc::query::Query;
use tendermint_rpc::{HttpClient, Order};
use types::{Address, Bytes};

async fn start() -> (Arc<Node>, Client, HttpClient) {
    let node = Node::start();
    let client = node.comet().await;
    let typed = HttpClient::new(client.url.as_str()).unwrap();
    (node, client, typed)
}

fn payment(node: &Node, sequence: u64) -> Bytes {
    let send = node.accounts[1].send(&node.chain, &Address::repeat_byte(0xee), 9);
    node.accounts[1].native_at(&node.chain, sequence, vec![send], 200_000)
}

fn sha2(bytes: &[u8]) -> [u8; 32] {
    use ::sha2::Digest;
    ::sha2::Sha256::digest(bytes).into()
}

#[tokio::test]
async fn tendermint_rpc_sends_a_transaction_and_finds_it() {
    let (node, client, typed) = start().await;
    assert_eq!(
        typed
            .status()
            .await
            .unwrap()
            .sync_info
            .latest_block_height
            .value(),
        0
    );
    let tx = payment(&node, 0);
    let sent = typed.broadcast_tx_sync(tx.clone()).await.unwrap();
    assert!(sent.code.is_ok(), "{}", sent.log);
    assert_eq!(sent.hash.as_bytes(), sha2(&tx));
    let again = typed.broadcast_tx_sync(tx.clone()).await.unwrap_err().to_string();
    assert!(again.contains("tx already exists in cache"), "{again}");
    assert_eq!(client.ok("num_unconfirmed_txs", json!({})).await["n_txs"], "1");
    assert_eq!(
        client.ok("unconfirmed_txs", json!({"limit": "5"})).await["txs"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let missing = typed.tx(sent.hash, false).await.unwrap_err().to_string();
    assert!(missing.contains("not found"), "{missing}");
    let block = node.mine();
    node.mine();

    let found = typed.tx(sent.hash, false).await.unwrap();
    assert_eq!((found.height.value(), found.index, found.tx), (1, 0, tx.to_vec()));
    assert!(found.tx_result.code.is_ok());
    assert!(found.tx_result.events.iter().any(|e| e.kind == "transfer"));

    for query in [
        Query::from(tendermint_rpc::query::EventType::NewBlock),
        Query::eq("tx.hash", sent.hash.to_string()),
        Query::eq("tx.height", 1),
        Query::eq("message.action", "/cosmos.bank.v1beta1.MsgSend"),
        Query::eq(
            "transfer.recipient",
            types::bech32_address("braid", &Address::repeat_byte(0xee)),
        ),
        Query::gte("tx.height", 1).and_eq("message.action", "/cosmos.bank.v1beta1.MsgSend"),
    ] {
        let hits = typed
            .tx_search(query.clone(), false, 1, 30, Order::Ascending)
            .await
            .unwrap();
        // The first asks for tm.event='NewBlock': transactions have no such event.
        let want = u32::from(!query.to_string().contains("NewBlock"));
        assert_eq!(
            (hits.total_count, hits.txs.len()),
            (want, want as usize),
            "{query}"
        );
    }

    let shown = typed.block(1u32).await.unwrap();
    assert_eq!(shown.block.data, [tx.to_vec()]);
    assert_eq!(shown.block.header.chain_id.as_str(), CHAIN_ID);
    assert_eq!(shown.block_id.hash.as_bytes(), block.comet_hash.as_slice());
    let data_hash = {
        // One leaf: sha256(0 ‖ sha256(tx)).
        let mut leaf = vec![0];
        leaf.extend(sha2(&tx));
        sha2(&leaf)
    };
    assert_eq!(shown.block.header.data_hash.unwrap().as_bytes(), data_hash);
    let next = typed.block(2u32).await.unwrap().block;
    assert_eq!(next.header.last_block_id.unwrap().hash, shown.block_id.hash);
    assert_eq!(
        next.header.app_hash.as_bytes(),
        block.header.state_root.as_slice()
    );
    assert_eq!(
        typed
            .block_by_hash(shown.block_id.hash)
            .await
            .unwrap()
            .block
            .unwrap(),
        shown.block
    );
    let results = typed.block_results(1u32).await.unwrap();
    assert_eq!(results.txs_results.unwrap().len(), 1);
    assert_eq!(typed.latest_block().await.unwrap().block.header.height.value(), 2);
    assert_eq!(
        typed.health().await.map(|_| ()).map_err(|e| e.to_string()),
        Ok(())
    );
}

#[tokio::test]
async fn tendermint_rpc_reads_the_node_and_its_state() {
    let (node, client, typed) = start().await;
    node.mine();
    let status = typed.status().await.unwrap();
    assert_eq!(status.node_info.network.as_str(), CHAIN_ID);
    assert_eq!(status.node_info.version.to_string(), "0.38.26");
    assert_eq!(status.validator_info.power.value(), 100);
    assert!(!status.sync_info.catching_up);
    let info = typed.abci_info().await.unwrap();
    assert_eq!(info.last_block_height.value(), 1);
    // CometBFT writes base64 here; tendermint-rpc 0.40 keeps the text as it is.
    let root = node.app.block(1).unwrap().unwrap().header.state_root;
    let text = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(root)
    };
    assert_eq!(
        client.ok("abci_info", json!({})).await["response"]["last_block_app_hash"],
        text
    );
    let set = typed.validators(1u32, tendermint_rpc::Paging::All).await.unwrap();
    assert_eq!(
        (set.total, set.validators.len(), set.validators[0].power.value()),
        (1, 1, 100)
    );
    let params = typed.consensus_params(1u32).await.unwrap();
    assert_eq!(params.consensus_params.block.max_gas, 60_000_000);
    assert_eq!(typed.net_info().await.unwrap().n_peers, 0);
    assert_eq!(
        client.ok("genesis", json!({})).await["genesis"]["chain_id"],
        CHAIN_ID
    );

    let key = x_auth_key(&node.accounts[0].address);
    let raw = typed
        .abci_query(Some("/store/acc/key".into()), key.clone(), None, false)
        .await
        .unwrap();
    assert!(raw.code.is_ok() && !raw.value.is_empty(), "{}", raw.log);
    assert_eq!(raw.height.value(), 1);
    let proven = typed
        .abci_query(Some("/store/acc/key".into()), key, None, true)
        .await
        .unwrap();
    // As the SDK, proofs at height 1 may be refused: with a code, not with an error.
    assert!(proven.code.is_err() || proven.proof.unwrap().ops.len() == 2);
    let unknown = typed
        .abci_query(Some("/nowhere".into()), vec![], None, false)
        .await
        .unwrap();
    assert!(unknown.code.is_err(), "{unknown:?}");
}

fn x_auth_key(who: &Address) -> Vec<u8> {
    [&[1][..], who.as_slice()].concat()
}

#[tokio::test]
async fn shapes_are_those_that_cosmjs_decodes() {
    let (node, client, _) = start().await;
    let status = client.ok("status", json!({})).await;
    // CosmJS insists on each of these being non-empty, also before the first block.
    for (part, fields) in [
        (
            "node_info",
            &["id", "listen_addr", "network", "version", "channels", "moniker"][..],
        ),
        (
            "sync_info",
            &[
                "latest_block_hash",
                "latest_app_hash",
                "latest_block_time",
                "latest_block_height",
            ],
        ),
        ("validator_info", &["address", "voting_power"]),
    ] {
        for field in fields {
            assert!(
                status[part][field].as_str().is_some_and(|s| !s.is_empty()),
                "{part}.{field}: {status}"
            );
        }
    }
    assert_eq!(status["node_info"]["other"]["tx_index"], "on");
    node.check(payment(&node, 0)).unwrap();
    node.mine();
    let query = json!({"path": "/cosmos.bank.v1beta1.Query/Nothing", "data": "", "prove": false});
    let response = &client.ok("abci_query", query).await["response"];
    assert_eq!(
        (&response["index"], &response["height"].is_string()),
        (&json!("0"), &true),
        "{response}"
    );
    assert!(response["code"].as_u64().unwrap() > 0);
    let results = client.ok("block_results", json!({"height": "1"})).await;
    let result = &results["txs_results"][0];
    assert_eq!(result["code"], 0);
    assert!(result["gas_used"].is_string() && result["gas_wanted"].is_string());
    let attribute = &result["events"][0]["attributes"][0];
    assert!(attribute["key"].is_string() && attribute["value"].is_string() && attribute["index"] == true);
    let search = client
        .ok(
            "tx_search",
            json!({"query": "tx.height=1", "prove": false, "page": "1", "per_page": "30"}),
        )
        .await;
    assert_eq!(
        (&search["total_count"], &search["txs"][0]["height"]),
        (&json!("1"), &json!("1"))
    );
    assert_eq!(
        search["txs"][0]["hash"],
        json!(::hex::encode_upper(sha2(&payment(&node, 0))))
    );
    let block = client.ok("block", json!({})).await;
    assert_eq!(block["block"]["last_commit"]["height"], "0");
    assert_eq!(block["block"]["header"]["version"]["block"], "11");
}

#[tokio::test]
async fn refusals_are_cometbfts() {
    let (node, client, _) = start().await;
    node.mine();
    for (method, params, code, data) in [
        (
            "block",
            json!({"height": "9"}),
            -32603,
            "height 9 must be less than or equal to the current blockchain height 1",
        ),
        (
            "block",
            json!({"height": "0"}),
            -32603,
            "height must be greater than 0, but got 0",
        ),
        (
            "block",
            json!({"height": "-3"}),
            -32603,
            "height must be greater than 0, but got -3",
        ),
        ("block", json!({"height": {}}), -32602, "height"),
        ("block_by_hash", json!({"hash": "AQI="}), -32602, "2 bytes"),
        ("tx", json!({"hash": "AQI="}), -32603, "tx (0102) not found"),
        ("tx", json!({"hash": "%%"}), -32602, "%%"),
        ("tx_search", json!({"query": "nonsense"}), -32603, "nonsense"),
        ("tx_search", json!({"query": "tx.hash='zz'"}), -32603, "zz"),
        (
            "tx_search",
            json!({"query": "tx.height=1", "page": "7"}),
            -32603,
            "page should be within [1, 1] range, given 7",
        ),
        (
            "tx_search",
            json!({"query": "tx.height=1", "order_by": "up"}),
            -32603,
            "expected order_by",
        ),
        (
            "validators",
            json!(["1", "9", "1"]),
            -32603,
            "page should be within [1, 1] range, given 9",
        ),
        ("validators", json!(["1"]), -32602, "expected 3 parameters"),
        ("abci_query", json!({"path": "/x", "data": "zz"}), -32602, "zz"),
        ("broadcast_tx_sync", json!({"tx": "@"}), -32602, "@"),
    ] {
        let error = client.call(method, params.clone()).await.unwrap_err();
        assert_eq!(error["code"], code, "{method} {params}: {error}");
        assert!(
            error["data"].as_str().unwrap().contains(data),
            "{method} {params}: {error}"
        );
    }
    assert_eq!(client.refused("dial_seeds", json!({})).await.0, -32601);
    let checked = client.ok("broadcast_tx_sync", json!({"tx": "AQI="})).await;
    assert!(
        checked["code"].as_u64().unwrap() > 0 && !checked["log"].as_str().unwrap().is_empty(),
        "{checked}"
    );
    for (body, code) in [
        ("{", -32700),
        ("7", -32600),
        (r#"{"id":1}"#, -32600),
        (r#"{"id":[],"method":"status"}"#, -32600),
    ] {
        let (_, text) = client.post(body).await;
        let reply: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(reply["error"]["code"], code, "{body}: {text}");
    }
    assert_eq!(client.post(vec![b' '; 2_000_000]).await.0, 413);
    let (_, text) = client
        .post(
            json!([{"id": 1, "method": "health"}, {"method": "health"}, {"id": 2, "method": "status"}])
                .to_string(),
        )
        .await;
    let replies: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(
        replies
            .iter()
            .map(|r| r["id"].as_i64().unwrap())
            .collect::<Vec<_>>(),
        [1, 2]
    );
}

#[tokio::test]
async fn uris_are_answered() {
    let (node, client, _) = start().await;
    let get = async |path: &str| {
        let reply = client
            .http
            .get(format!("{}{path}", client.url))
            .send()
            .await
            .unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    };
    let tx = payment(&node, 0);
    let (status, text) = get(&format!("/broadcast_tx_sync?tx={}", hex(&tx))).await;
    let reply: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (status, &reply["id"], &reply["result"]["code"]),
        (200, &json!(-1), &json!(0)),
        "{text}"
    );
    node.mine();
    let (_, text) = get(&format!("/tx?hash={}", hex(sha2(&tx)))).await;
    assert!(text.contains("\"height\":\"1\""), "{text}");
    let (_, text) = get("/tx_search?query=\"tx.height=1\"&order_by=\"desc\"").await;
    assert!(text.contains("\"total_count\":\"1\""), "{text}");
    let (_, text) = get("/abci_query?path=\"/store/acc/key\"&data=0x01").await;
    assert!(text.contains("\"code\":0"), "{text}");
    let (status, text) = get("/block?height=77").await;
    assert!(status == 500 && text.contains("-32603"), "{status} {text}");
    assert_eq!(get("/block?height=1").await.0, 200);
    assert_eq!(get("/nothing").await.0, 404);
    assert!(get("/").await.1.contains("/tx_search?query=_"));
}

#[tokio::test]
async fn broadcast_commit_waits_for_the_block() {
    let (node, client, _) = start().await;
    let tx = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(payment(&node, 0))
    };
    let miner = node.clone();
    let mining = tokio::task::spawn_blocking(move || {
        while rpc::SoloNode::pool(&*miner, 0).count == 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        miner.mine();
    });
    let done = client.ok("broadcast_tx_commit", json!({"tx": tx})).await;
    mining.await.unwrap();
    assert_eq!(
        (
            &done["check_tx"]["code"],
            &done["tx_result"]["code"],
            &done["height"]
        ),
        (&json!(0), &json!(0), &json!("1"))
    );
    let refused = client.ok("broadcast_tx_commit", json!({"tx": "AQI="})).await;
    assert!(refused["check_tx"]["code"].as_u64().unwrap() > 0);
    assert_eq!(refused["height"], "0");
}
