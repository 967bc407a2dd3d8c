//! How long a synchronous `abci_query` takes: through CometBFT's RPC, and straight through the ABCI socket; idle, and
//! while blocks of payments are executed. `cargo run --release -p node --example query_latency [COMETBFT]`.
use abci::{ReadBuffer, write_frame};
use alloy_consensus::{SignableTransaction, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Signature, TxKind};
use base64::{Engine, engine::general_purpose::STANDARD};
use k256::ecdsa::SigningKey;
use node::{ChainSpec, CometConfig, GenesisAccount, Home, InitOptions, StartOptions, Stop, init, start};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use tendermint_proto::v0_38::abci as pb;
use types::{Address, ChainConfig, Coin, U256};

type Failed = Box<dyn std::error::Error + Send + Sync>;

const SENDERS: u8 = 100;
const PAYMENTS: u64 = 40;
const QUERIES: usize = 2_000;
const WARM_UP: usize = 200;

fn key(i: u8) -> SigningKey {
    SigningKey::from_slice(&[i + 1; 32]).expect("a small number is a key")
}

fn payment(from: u8, nonce: u64) -> Result<String, Failed> {
    let config = ChainConfig::braid();
    let tx = TxLegacy {
        chain_id: Some(config.evm_chain_id),
        nonce,
        gas_price: 100_000_000_000,
        gas_limit: 21_000,
        to: TxKind::Call(Address::with_last_byte(from)),
        value: U256::from(1),
        ..TxLegacy::default()
    };
    let (sig, parity) = key(from).sign_prehash_recoverable(tx.signature_hash().as_slice())?;
    let raw = TxEnvelope::from(tx.into_signed(Signature::from((sig, parity)))).encoded_2718();
    let tx = x_evm::EvmTx::decode(&raw, config.evm_chain_id)?;
    Ok(STANDARD.encode(x_evm::wrap(&tx, &config)))
}

struct Comet {
    http: reqwest::Client,
    url: String,
}

impl Comet {
    async fn ask(&self, method: &str, params: Value) -> Result<Value, Failed> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer: Value = self.http.post(&self.url).json(&body).send().await?.json().await?;
        if answer["error"].is_object() {
            return Err(answer["error"].to_string().into());
        }
        Ok(answer["result"].take())
    }
    /// Bank parameters: a point read of the newest state.
    async fn query(&self) -> Result<(), Failed> {
        self.ask("abci_query", json!({ "path": "/store/bank/key", "data": "05" }))
            .await
            .map(|_| ())
    }
    async fn height(&self) -> Result<u64, Failed> {
        let status = self.ask("status", json!({})).await?;
        Ok(status["sync_info"]["latest_block_height"]
            .as_str()
            .unwrap_or("0")
            .parse()?)
    }
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 1000].as_secs_f64() * 1000.0;
    println!(
        "{what}: median {:.3} ms, p99 {:.3} ms, max {:.3} ms ({} queries)",
        at(500),
        at(990),
        at(1000),
        times.len()
    );
}

async fn through_comet(comet: &Comet, queries: usize) -> Result<Vec<Duration>, Failed> {
    let mut times = Vec::with_capacity(queries);
    for i in 0..WARM_UP + queries {
        let begun = Instant::now();
        comet.query().await?;
        if i >= WARM_UP {
            times.push(begun.elapsed());
        }
    }
    Ok(times)
}

fn through_socket(path: &str) -> Result<Vec<Duration>, Failed> {
    let mut stream = UnixStream::connect(path)?;
    let (mut buffer, mut out, mut times) = (ReadBuffer::default(), Vec::new(), Vec::new());
    let ask = pb::RequestQuery {
        path: "/store/bank/key".into(),
        data: vec![5].into(),
        ..Default::default()
    };
    let ask = pb::Request {
        value: Some(pb::request::Value::Query(ask)),
    };
    for i in 0..WARM_UP + QUERIES {
        let begun = Instant::now();
        out.clear();
        write_frame(&ask, &mut out);
        stream.write_all(&out)?;
        while buffer.next::<pb::Response>()?.is_none() {
            buffer.fill(&mut stream)?;
        }
        if i >= WARM_UP {
            times.push(begun.elapsed());
        }
    }
    Ok(times)
}

async fn measure(comet: &Comet, socket: &str) -> Result<(), Failed> {
    let path = socket.trim_start_matches("unix://").to_owned();
    report(
        "abci_query, ABCI socket, idle",
        tokio::task::spawn_blocking(move || through_socket(&path)).await??,
    );
    report(
        "abci_query, CometBFT RPC, idle",
        through_comet(comet, QUERIES).await?,
    );
    println!("signing {} payments", u64::from(SENDERS) * PAYMENTS);
    let mut payments = Vec::new();
    for nonce in 0..PAYMENTS {
        for from in 0..SENDERS {
            payments.push(payment(from, nonce)?);
        }
    }
    let before = comet.height().await?;
    let sender = Comet {
        http: comet.http.clone(),
        url: comet.url.clone(),
    };
    let sending = tokio::spawn(async move {
        for tx in payments {
            sender.ask("broadcast_tx_async", json!({ "tx": tx })).await?;
        }
        Ok::<_, Failed>(())
    });
    let mut times = Vec::new();
    while !sending.is_finished() {
        times.extend(through_comet(comet, 100).await?);
    }
    sending.await??;
    report("abci_query, CometBFT RPC, under load", times);
    let after = comet.height().await?;
    let mut included = 0;
    for height in before + 1..=after {
        let block = comet
            .ask("block", json!({ "height": height.to_string() }))
            .await?;
        included += block["block"]["data"]["txs"].as_array().map_or(0, Vec::len);
    }
    println!(
        "{included} payments in blocks {} to {after} meanwhile",
        before + 1
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let home = Home::new(dir.path());
    let mut chain = ChainSpec::new("braid-bench-1", ChainConfig::braid());
    let coins = vec![Coin::new(U256::from(10).pow(U256::from(21)), "abraid")];
    let account = |i| GenesisAccount {
        address: Address::from_private_key(&key(i)),
        coins: coins.clone(),
    };
    chain.accounts = (0..SENDERS).map(account).collect();
    let mut options = InitOptions::new(chain, "bench")?;
    options.comet = CometConfig {
        rpc_address: "tcp://127.0.0.1:27657".into(),
        p2p_address: "tcp://127.0.0.1:27656".into(),
        timeout_commit: Duration::from_millis(500),
        ..CometConfig::default()
    };
    options.app.json_rpc.enable = false;
    init(&home, &options)?;
    let stop = Stop::new();
    let (tell, told) = tokio::sync::oneshot::channel();
    let options = StartOptions {
        comet_bin: std::env::args_os().nth(1).map(Into::into),
        ..StartOptions::new(home)
    };
    let running = tokio::spawn(start(options, stop.clone(), move |e| {
        // The receiver waits until the node is ready or has failed.
        let _ = tell.send(e.clone());
    }));
    let Ok(endpoints) = told.await else {
        running.await??;
        return Ok(());
    };
    let address = endpoints.comet_rpc.ok_or("no CometBFT")?;
    let comet = Comet {
        http: reqwest::Client::new(),
        url: format!("http://{address}"),
    };
    while comet.height().await? < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let result = measure(&comet, &endpoints.abci.ok_or("no ABCI")?).await;
    stop.ask();
    running.await??;
    result
}
