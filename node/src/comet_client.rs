//! Handing transactions to CometBFT over its RPC.
use crate::Stop;
use app::TxResult;
use base64::{Engine, engine::general_purpose::STANDARD};
use parking_lot::Mutex;
use rpc::{BoxFuture, Submit, SubmitError};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use types::Bytes;

/// How often peers and progress are asked for.
const POLL: Duration = Duration::from_secs(2);
/// An RPC that takes longer is not there: CheckTx through CometBFT takes a millisecond or two.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    peers: u64,
    syncing: Option<(u64, u64)>,
}

/// CometBFT's RPC as the way into the mempool.
#[derive(Debug)]
pub(crate) struct CometClient {
    http: reqwest::Client,
    url: String,
    progress: Mutex<Progress>,
}

impl CometClient {
    /// A client of the RPC at `address` (`host:port`), which need not be there yet.
    pub(crate) fn new(address: &str) -> Arc<Self> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build();
        let http = http.expect("a plain HTTP client needs no files and no TLS");
        Arc::new(Self {
            http,
            url: format!("http://{address}"),
            progress: Mutex::default(),
        })
    }

    /// Asks for peers and progress until the node stops.
    pub(crate) async fn watch(self: Arc<Self>, stop: Stop) {
        loop {
            if let Some(progress) = self.ask().await {
                *self.progress.lock() = progress;
            }
            tokio::select! { _ = stop.wait() => return, () = tokio::time::sleep(POLL) => {} }
        }
    }

    async fn ask(&self) -> Option<Progress> {
        let net = self.call("net_info", json!({})).await.ok()?;
        let status = self.call("status", json!({})).await.ok()?;
        let number = |v: &Value| v.as_str().and_then(|t| t.parse::<u64>().ok());
        let sync = &status["sync_info"];
        let height = number(&sync["latest_block_height"])?;
        // CometBFT does not say how far its peers are.
        let syncing = sync["catching_up"].as_bool()?.then_some((height, height));
        Some(Progress {
            peers: number(&net["n_peers"])?,
            syncing,
        })
    }

    /// Whether the RPC answers.
    pub(crate) async fn is_up(&self) -> bool {
        self.call("health", json!({})).await.is_ok()
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value, SubmitError> {
        let unavailable = |e: reqwest::Error| SubmitError::Unavailable(e.to_string());
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let sent = self
            .http
            .post(&self.url)
            .json(&body)
            .send()
            .await
            .map_err(unavailable)?;
        let mut answer: Value = sent.json().await.map_err(unavailable)?;
        match answer.get("error") {
            None | Some(Value::Null) => Ok(answer["result"].take()),
            Some(error) => Err(refusal(error)),
        }
    }
}

/// CometBFT's mempool errors come as texts (mempool/errors.go).
fn refusal(error: &Value) -> SubmitError {
    let part = |name: &str| error[name].as_str().unwrap_or("");
    let data = if part("data").is_empty() {
        part("message")
    } else {
        part("data")
    };
    if data.contains("already exists in cache") {
        SubmitError::AlreadyKnown
    } else if data.contains("mempool is full") {
        SubmitError::Full(data.into())
    } else if data.to_ascii_lowercase().contains("too large") {
        SubmitError::TooLarge(data.into())
    } else {
        SubmitError::Unavailable(data.into())
    }
}

fn check_result(r: &Value) -> TxResult {
    let text = |name: &str| r[name].as_str().unwrap_or("").to_owned();
    TxResult {
        // A code that is missing or too large would be a broken CometBFT: never read it as success.
        code: r["code"]
            .as_u64()
            .and_then(|c| u32::try_from(c).ok())
            .unwrap_or(u32::MAX),
        codespace: text("codespace"),
        log: text("log"),
        data: STANDARD
            .decode(text("data"))
            .unwrap_or_else(|_| Vec::new())
            .into(),
        ..TxResult::default()
    }
}

impl Submit for CometClient {
    fn submit(&self, tx: Bytes) -> BoxFuture<'_, Result<TxResult, SubmitError>> {
        Box::pin(async move {
            let result = self
                .call("broadcast_tx_sync", json!({ "tx": STANDARD.encode(&tx) }))
                .await?;
            Ok(check_result(&result))
        })
    }
    fn peers(&self) -> u64 {
        self.progress.lock().peers
    }
    fn syncing(&self) -> Option<(u64, u64)> {
        self.progress.lock().syncing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cometbfts_refusals_are_told_apart() {
        let error =
            |data: &str| refusal(&json!({ "code": -32603, "message": "Internal error", "data": data }));
        assert_eq!(error("tx already exists in cache"), SubmitError::AlreadyKnown);
        let full = "mempool is full: number of txs 5000 (max: 5000), total txs bytes 9 (max: 10)";
        assert_eq!(error(full), SubmitError::Full(full.into()));
        let large = "Tx too large. Max size is 1048576, but got 1048577";
        assert_eq!(error(large), SubmitError::TooLarge(large.into()));
        assert_eq!(error("EOF"), SubmitError::Unavailable("EOF".into()));
        assert_eq!(check_result(&json!({ "code": 5, "log": "no" })).code, 5);
        assert_eq!(check_result(&json!({})).code, u32::MAX);
    }

    #[tokio::test]
    async fn nobody_there_is_unavailable() {
        let client = CometClient::new("127.0.0.1:1");
        assert!(matches!(
            client.submit(Bytes::new()).await,
            Err(SubmitError::Unavailable(_))
        ));
        assert!(!client.is_up().await);
    }
}
