//! A funded key, and Ethereum JSON-RPC as a client speaks it.
#![allow(dead_code, reason = "each test uses its part")]
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Signature, TxKind};
use k256::ecdsa::SigningKey;
use node::{ChainSpec, GenesisAccount};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use types::{Address, ChainConfig, Coin, U256};

const CHAIN_ID: u64 = 8118;

pub(crate) fn key() -> SigningKey {
    SigningKey::from_slice(&[1; 32]).unwrap()
}

/// A chain whose one account is [`key`]'s.
pub(crate) fn chain(chain_id: &str) -> ChainSpec {
    let mut chain = ChainSpec::new(chain_id, ChainConfig::braid());
    let coins = vec![Coin::new(U256::from(10).pow(U256::from(21)), "abraid")];
    chain.accounts = vec![GenesisAccount {
        address: Address::from_private_key(&key()),
        coins,
    }];
    chain
}

/// A signed payment, in hex.
pub(crate) fn payment(nonce: u64, to: Address, wei: u64) -> String {
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

/// The whole answer.
pub(crate) async fn answer(url: &str, method: &str, params: Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let sent = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    sent.json().await.unwrap()
}

/// The result; an error fails the test.
pub(crate) async fn ask(url: &str, method: &str, params: Value) -> Value {
    let mut answer = answer(url, method, params).await;
    assert!(
        answer.get("error").is_none_or(Value::is_null),
        "{method}: {answer}"
    );
    answer["result"].take()
}

/// Sends a payment and waits for its receipt.
pub(crate) async fn pay(url: &str, nonce: u64, to: Address, wei: u64) -> Value {
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
