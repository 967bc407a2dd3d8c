//! Talk to a node over CometBFT's RPC.
use crate::home::Home;
use anyhow::{Context as _, Result, anyhow, bail};
use prost::Message;
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use tendermint_rpc::client::CompatMode;
use tendermint_rpc::endpoint::{block, status, tx};
use tendermint_rpc::error::ErrorDetail;
use tendermint_rpc::query::Query;
use tendermint_rpc::{Client as _, Error, HttpClient, HttpClientUrl, Order};

/// Which node.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct NodeArgs {
    /// CometBFT's RPC [default: tcp://127.0.0.1:26657].
    #[arg(short = 'n', long, global = true, value_name = "URL")]
    pub(crate) node: Option<String>,
}

impl NodeArgs {
    /// A client of the flag's node, else of `client.toml`'s, else of the local one. Connects on first use.
    pub(crate) fn client(&self, home: &Home) -> Result<Client> {
        let address = match &self.node {
            Some(node) => node.clone(),
            None => home
                .client_config()?
                .node
                .unwrap_or_else(|| "tcp://127.0.0.1:26657".into()),
        };
        Client::new(&address)
    }
}

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A node's RPC.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: HttpClient,
    address: String,
}

/// The chain answered a query with a code other than 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("code {code} ({codespace}): {log}")]
pub(crate) struct Refused {
    /// Its code.
    pub(crate) code: u32,
    /// Whose code it is.
    pub(crate) codespace: String,
    /// Why.
    pub(crate) log: String,
}

/// What became of a transaction at the node's door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broadcast {
    /// CometBFT's hash, upper-case hex.
    pub(crate) hash: String,
    /// 0, or why CheckTx refused it.
    pub(crate) code: u32,
    /// Whose code it is.
    pub(crate) codespace: String,
    /// CheckTx's words.
    pub(crate) log: String,
}

impl Client {
    /// A client of `tcp://host:port`, `http://…`, `https://…` or `host:port`.
    pub(crate) fn new(address: &str) -> Result<Self> {
        let url = match address.split_once("://") {
            Some(("tcp", rest)) => format!("http://{rest}"),
            Some(("http" | "https", _)) => address.into(),
            Some((scheme, _)) => {
                bail!("invalid node {address:?}: {scheme}:// is not tcp://, http:// or https://")
            }
            None => format!("http://{address}"),
        };
        let parsed: HttpClientUrl = url
            .parse()
            .map_err(|e: Error| anyhow!("invalid node {address:?}: {}", e.detail()))?;
        let http = HttpClient::builder(parsed)
            .compat_mode(CompatMode::V0_38)
            .timeout(TIMEOUT)
            .user_agent(concat!("braidd/", env!("CARGO_PKG_VERSION")).into())
            .build()
            .map_err(|e| anyhow!("node {address:?}: {}", e.detail()))?;
        Ok(Self {
            http,
            address: address.into(),
        })
    }
    /// The node, as it was named.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
    fn failed(&self, e: &Error) -> anyhow::Error {
        match response_error(e) {
            Some((message, data)) => anyhow!("the node at {} says: {message}: {data}", self.address),
            None => anyhow!("no answer from the node at {}: {:#}", self.address, e.trace()),
        }
    }
    /// Who the node is and how far it is.
    pub(crate) async fn status(&self) -> Result<status::Response> {
        self.http.status().await.map_err(|e| self.failed(&e))
    }
    /// A query of the chain's own; the error is a [`Refused`] where the chain gave a code. No height is the newest.
    pub(crate) async fn query<Q: Message, R: Message + Default>(
        &self,
        path: &str,
        request: &Q,
        height: Option<u64>,
    ) -> Result<R> {
        let height = height.map(height_of).transpose()?;
        let answer = self
            .http
            .abci_query(Some(path.into()), request.encode_to_vec(), height, false)
            .await
            .map_err(|e| self.failed(&e))?;
        if answer.code.is_err() {
            let refused = Refused {
                code: answer.code.into(),
                codespace: answer.codespace,
                log: answer.log,
            };
            return Err(refused.into());
        }
        R::decode(answer.value.as_slice()).with_context(|| format!("decode the answer to {path}"))
    }
    /// Hands over a transaction; `check` waits for CheckTx.
    pub(crate) async fn broadcast(&self, tx: Vec<u8>, check: bool) -> Result<Broadcast> {
        let hash = hex::encode_upper(Sha256::digest(&tx));
        let answer = if check {
            let answer = self.http.broadcast_tx_sync(tx).await;
            answer.map(|r| Broadcast {
                hash: hash.clone(),
                code: r.code.into(),
                codespace: r.codespace,
                log: r.log,
            })
        } else {
            let answer = self.http.broadcast_tx_async(tx).await;
            answer.map(|r| Broadcast {
                hash: hash.clone(),
                code: r.code.into(),
                codespace: String::new(),
                log: r.log,
            })
        };
        answer.or_else(|e| {
            let refused = response_error(&e).and_then(|(_, data)| mempool_code(&data));
            let (code, log) = refused.ok_or_else(|| self.failed(&e))?;
            Ok(Broadcast {
                hash,
                code,
                codespace: "sdk".into(),
                log: log.into(),
            })
        })
    }
    /// An included transaction, by CometBFT's hash.
    pub(crate) async fn tx(&self, hash: [u8; 32]) -> Result<Option<tx::Response>> {
        match self.http.tx(tendermint::Hash::Sha256(hash), false).await {
            Ok(tx) => Ok(Some(tx)),
            Err(e) if response_error(&e).is_some_and(|(_, data)| data.contains("not found")) => Ok(None),
            Err(e) => Err(self.failed(&e)),
        }
    }
    /// An included transaction, by its Ethereum hash.
    pub(crate) async fn eth_tx(&self, hash: [u8; 32]) -> Result<Option<tx::Response>> {
        let query = Query::eq("ethereum_tx.ethereumTxHash", format!("0x{}", hex::encode(hash)));
        let found = self
            .http
            .tx_search(query, false, 1, 1, Order::Ascending)
            .await
            .map_err(|e| self.failed(&e))?;
        Ok(found.txs.into_iter().next())
    }
    /// A block; no height is the newest.
    pub(crate) async fn block(&self, height: Option<u64>) -> Result<block::Response> {
        match height.map(height_of).transpose()? {
            Some(height) => self.http.block(height).await,
            None => self.http.latest_block().await,
        }
        .map_err(|e| self.failed(&e))
    }
}

fn height_of(height: u64) -> Result<tendermint::block::Height> {
    tendermint::block::Height::try_from(height).map_err(|_| anyhow!("height {height} is beyond 2^63"))
}

/// What CometBFT's mempool refuses before the chain is asked, by the SDK's codes (client/broadcast.go).
fn mempool_code(data: &str) -> Option<(u32, &'static str)> {
    let data = data.to_lowercase();
    let known = [
        (
            "tx already exists in cache",
            (19, "tx already in mempool: this very transaction was sent before"),
        ),
        ("mempool is full", (20, "mempool is full")),
        ("tx too large", (21, "tx too large")),
    ];
    known
        .into_iter()
        .find(|(text, _)| data.contains(text))
        .map(|(_, code)| code)
}

/// What the node itself said, if it was reached.
fn response_error(e: &Error) -> Option<(String, String)> {
    match e.detail() {
        ErrorDetail::Response(r) => Some((r.source.message().into(), r.source.data().unwrap_or("").into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mempools_words_have_the_sdks_codes() {
        assert_eq!(mempool_code("tx already exists in cache").map(|c| c.0), Some(19));
        assert_eq!(
            mempool_code("mempool is full: number of txs 5000").map(|c| c.0),
            Some(20)
        );
        assert_eq!(
            mempool_code("Tx too large. Max size is 1048576, but got 2000000").map(|c| c.0),
            Some(21)
        );
        assert_eq!(mempool_code("height 9 must be less"), None);
    }

    #[test]
    fn nodes_are_named_by_url_or_host_and_port() {
        for good in [
            "tcp://127.0.0.1:26657",
            "http://127.0.0.1:26657",
            "127.0.0.1:26657",
            "https://rpc.example.com:443",
        ] {
            assert_eq!(Client::new(good).unwrap().address(), good);
        }
        for bad in ["ws://127.0.0.1:26657", "unix:///tmp/x", "tcp://", "http://a b"] {
            assert!(
                Client::new(bad).unwrap_err().to_string().contains("invalid node"),
                "{bad}"
            );
        }
    }
}
