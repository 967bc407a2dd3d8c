//! `dev` over its JSON-RPC: the chain in one process, as Ethereum tools see it.
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Signature, TxKind};
use k256::ecdsa::SigningKey;
use node::{ChainSpec, DevOptions, Endpoints, GenesisAccount, NodeError, Stop, dev};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use types::{Address, ChainConfig, Coin, U256};

const CHAIN_ID: u64 = 8118;

fn key() -> SigningKey {
    SigningKey::from_slice(&[1; 32]).unwrap()
}

fn options() -> DevOptions {
    let mut chain = ChainSpec::new("braid-local-1", ChainConfig::braid());
    let coins = vec![Coin::new(U256::from(10).pow(U256::from(21)), "abraid")];
    chain.accounts = vec![GenesisAccount {
        address: Address::from_private_key(&key()),
        coins,
    }];
    let mut options = DevOptions::new(chain);
    options.json_rpc.set_port(0);
    options.comet_rpc = Some(([127, 0, 0, 1], 0).into());
    options
}

fn payment(nonce: u64, to: Address, wei: u64) -> String {
    let tx = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 3_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(to),
        value: U256::from(wei),
        ..TxEip1559::default()
    };
    let (sig, parity) = key()
        .sign_prehash_recoverable(tx.signature_hash().as_slice())
        .unwrap();
    let signed = tx.into_signed(Signature::from((sig, parity)));
    format!("0x{}", hex::encode(TxEnvelope::from(signed).encoded_2718()))
}

async fn ask(url: &str, method: &str, params: Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let sent = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    let mut answer: Value = sent.json().await.unwrap();
    assert!(
        answer.get("error").is_none_or(Value::is_null),
        "{method}: {answer}"
    );
    answer["result"].take()
}

async fn running<W: Future<Output = ()>>(
    options: DevOptions,
    work: impl FnOnce(Endpoints) -> W,
) -> Result<(), NodeError> {
    let (stop, (tell, told)) = (Stop::new(), tokio::sync::oneshot::channel());
    let node = tokio::spawn(dev(options, stop.clone(), move |e| tell.send(e.clone()).unwrap()));
    if let Ok(endpoints) = told.await {
        work(endpoints).await;
    }
    stop.ask();
    node.await.unwrap()
}

/// Sends a payment and waits for its receipt.
async fn pay(url: &str, nonce: u64, to: Address, wei: u64) -> Value {
    let hash = ask(url, "eth_sendRawTransaction", json!([payment(nonce, to, wei)])).await;
    let begun = Instant::now();
    loop {
        let receipt = ask(url, "eth_getTransactionReceipt", json!([hash])).await;
        if !receipt.is_null() {
            return receipt;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "no receipt of {hash}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_sent_over_json_rpc_is_included_and_the_temporary_home_goes() {
    let mut home = None;
    running(options(), async |at| {
        home = Some(at.home.clone());
        assert!(at.home.join("config/genesis.json").exists());
        let url = format!("http://{}", at.json_rpc.unwrap());
        assert_eq!(ask(&url, "eth_chainId", json!([])).await, "0x1fb6");
        let to = Address::repeat_byte(9);
        let receipt = pay(&url, 0, to, 77).await;
        assert_eq!(
            (&receipt["status"], &receipt["gasUsed"]),
            (&json!("0x1"), &json!("0x5208"))
        );
        assert_eq!(ask(&url, "eth_getBalance", json!([to, "latest"])).await, "0x4d");
        let comet = format!("http://{}", at.comet_rpc.unwrap());
        let status = ask(&comet, "status", json!({})).await;
        assert_eq!(status["node_info"]["network"], "braid-local-1");
    })
    .await
    .unwrap();
    let home = home.expect("it was ready");
    assert!(!home.exists(), "{}", home.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_home_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let kept = DevOptions {
        home: Some(dir.path().join("home")),
        ..options()
    };
    let to = Address::repeat_byte(8);
    for nonce in 0..2 {
        running(kept.clone(), async |at| {
            let url = format!("http://{}", at.json_rpc.unwrap());
            assert_eq!(pay(&url, nonce, to, 5).await["status"], "0x1");
        })
        .await
        .unwrap();
    }
    running(kept, async |at| {
        let url = format!("http://{}", at.json_rpc.unwrap());
        assert_eq!(ask(&url, "eth_getBalance", json!([to, "latest"])).await, "0xa");
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_and_a_home_in_use_are_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut busy = options();
    busy.json_rpc = taken.local_addr().unwrap();
    let err = running(busy, async |_| panic!("it started"))
        .await
        .unwrap_err()
        .to_string();
    assert!(err.contains(&taken.local_addr().unwrap().to_string()), "{err}");

    let dir = tempfile::tempdir().unwrap();
    let kept = DevOptions {
        home: Some(dir.path().into()),
        ..options()
    };
    running(kept.clone(), async |_| {
        let err = running(kept.clone(), async |_| panic!("it started"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            err.contains("in use") && err.contains(&dir.path().display().to_string()),
            "{err}"
        );
    })
    .await
    .unwrap();
}
