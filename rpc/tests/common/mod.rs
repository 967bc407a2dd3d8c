//! A chain in memory with a first-in-first-out mempool, behind the real servers.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
use app::genesis::{GenesisAccount, GenesisSpec, app_state};
use app::{App, Block, CheckKind, ConsensusParams, InitChain, Options, StoredBlock, TxResult};
use executor::AnyExecutor;
use rpc::{
    BoxFuture, JsonRpcOptions, PoolView, ServerHandle, SoloIdentity, SoloNode, SoloValidator, Submit,
    SubmitError, serve_comet_rpc, serve_json_rpc,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use store::{Config, MemoryStore};
use types::{Address, Bytes, Coin, Timestamp, U256, keccak256};
use workload::{Account, Chain, EthCall};
use x_staking::GenesisValidator;

pub const CHAIN_ID: &str = "braid-test-1";
pub const KEY: [u8; 32] = [7; 32];

pub struct Node {
    pub app: Arc<App<MemoryStore>>,
    pub chain: Chain,
    pub accounts: Vec<Account>,
    pool: Mutex<Vec<Bytes>>,
}

impl Node {
    pub fn start() -> Arc<Self> {
        let chain = Chain::new(CHAIN_ID);
        let accounts = numbered(Account::many(3));
        let one = U256::from(1_000_000_000_000_000_000u64);
        let coins = vec![Coin::new(one * U256::from(1000), &chain.config.base_denom)];
        let spec = GenesisSpec {
            config: (*chain.config).clone(),
            accounts: accounts
                .iter()
                .map(|a| GenesisAccount {
                    address: a.address,
                    coins: coins.clone(),
                })
                .collect(),
            validators: vec![GenesisValidator::new(
                Address::repeat_byte(0xa1),
                "v",
                KEY,
                one * U256::from(100),
            )],
        };
        let options = Options {
            executor: Arc::new(AnyExecutor::Serial),
            sender_cache: 100,
            call_gas_cap: 50_000_000,
        };
        let app = App::open(MemoryStore::new(Config::new(app::stores())), options).unwrap();
        app.init_chain(&InitChain {
            chain_id: CHAIN_ID.into(),
            time: Timestamp {
                seconds: 1_700_000_000,
                nanos: 0,
            },
            initial_height: 1,
            params: ConsensusParams {
                max_bytes: 22_020_096,
                max_gas: 60_000_000,
                app_version: 1,
            },
            validators: Vec::new(),
            app_state: serde_json::to_vec(&app_state(&spec).unwrap()).unwrap().into(),
        })
        .unwrap();
        Arc::new(Self {
            app: Arc::new(app),
            chain,
            accounts,
            pool: Mutex::default(),
        })
    }
    /// Puts what waits into a block.
    pub fn mine(&self) -> Arc<StoredBlock> {
        let txs = std::mem::take(&mut *self.pool.lock().unwrap());
        let height = self.app.height() + 1;
        self.app
            .finalize_block(&Block {
                height,
                time: Timestamp {
                    seconds: 1_700_000_000 + 5 * height as i64,
                    nanos: 7,
                },
                hash: keccak256(height.to_be_bytes()),
                proposer: x_staking::consensus_address(&KEY),
                txs,
                votes: Vec::new(),
            })
            .unwrap();
        self.app.commit().unwrap();
        self.app.block(height).unwrap().unwrap()
    }
    /// Puts Ethereum transactions of `from` into one block.
    pub fn run(&self, from: usize, calls: &[EthCall]) -> Arc<StoredBlock> {
        let account = &self.accounts[from];
        let first = self.app.pending_sequence(&account.address).unwrap();
        for (nonce, call) in (first..).zip(calls) {
            let tx = account.eth_at(&self.chain, nonce, call);
            self.check(x_evm::wrap(&tx, &self.chain.config)).unwrap();
        }
        self.mine()
    }
    pub fn check(&self, tx: Bytes) -> Result<TxResult, SubmitError> {
        let mut pool = self.pool.lock().unwrap();
        if pool.contains(&tx) {
            return Err(SubmitError::AlreadyKnown);
        }
        let checked = self.app.check_tx(&tx, CheckKind::New);
        if checked.code == 0 {
            pool.push(tx);
        }
        Ok(checked)
    }
    pub async fn ethereum(self: &Arc<Self>) -> Client {
        let options = JsonRpcOptions::default();
        let addr = "127.0.0.1:0".parse().unwrap();
        Client::new(
            serve_json_rpc(addr, self.app.clone(), self.clone(), options)
                .await
                .unwrap(),
        )
    }
    pub async fn comet(self: &Arc<Self>) -> Client {
        let addr = "127.0.0.1:0".parse().unwrap();
        Client::new(
            serve_comet_rpc(addr, self.app.clone(), self.clone())
                .await
                .unwrap(),
        )
    }
}

fn numbered(mut accounts: Vec<Account>) -> Vec<Account> {
    let mut order: Vec<Address> = accounts.iter().map(|a| a.address).collect();
    order.sort_unstable();
    for account in &mut accounts {
        account.number = order.binary_search(&account.address).unwrap() as u64;
    }
    accounts
}

impl Submit for Node {
    fn submit(&self, tx: Bytes) -> BoxFuture<'_, Result<TxResult, SubmitError>> {
        Box::pin(async move { self.check(tx) })
    }
}

impl SoloNode for Node {
    fn identity(&self) -> SoloIdentity {
        SoloIdentity {
            node_id: [3; 20],
            moniker: "test".into(),
            pub_key: KEY,
        }
    }
    fn validators(&self, _: u64) -> Result<Vec<SoloValidator>, String> {
        Ok(vec![SoloValidator {
            pub_key: KEY,
            power: 100,
        }])
    }
    fn pool(&self, limit: usize) -> PoolView {
        let pool = self.pool.lock().unwrap();
        let bytes = pool.iter().map(|tx| tx.len() as u64).sum();
        PoolView {
            count: pool.len(),
            bytes,
            txs: pool.iter().take(limit).cloned().collect(),
        }
    }
    fn genesis(&self) -> Arc<Value> {
        Arc::new(json!({"chain_id": CHAIN_ID}))
    }
}

/// A client that shows whole answers.
pub struct Client {
    pub http: reqwest::Client,
    pub url: String,
    pub server: ServerHandle,
}

impl Client {
    fn new(server: ServerHandle) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: format!("http://{}", server.addr()),
            server,
        }
    }
    pub async fn post(&self, body: impl Into<reqwest::Body>) -> (u16, String) {
        let request = self
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .body(body);
        let reply = request.send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    }
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, Value> {
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let (status, text) = self.post(body.to_string()).await;
        assert_eq!(status, 200, "{text}");
        let mut reply: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&reply["jsonrpc"], &reply["id"]),
            (&json!("2.0"), &json!(7)),
            "{reply}"
        );
        if reply.get("error").is_some() {
            Err(reply["error"].take())
        } else {
            Ok(reply["result"].take())
        }
    }
    pub async fn ok(&self, method: &str, params: Value) -> Value {
        self.call(method, params.clone())
            .await
            .unwrap_or_else(|e| panic!("{method} {params}: {e}"))
    }
    /// Code and message of a refusal.
    pub async fn refused(&self, method: &str, params: Value) -> (i64, String) {
        match self.call(method, params.clone()).await {
            Ok(v) => panic!("{method} {params}: {v}"),
            Err(e) => (
                e["code"].as_i64().unwrap(),
                e["message"].as_str().unwrap().to_owned(),
            ),
        }
    }
}

pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", ::hex::encode(bytes))
}
