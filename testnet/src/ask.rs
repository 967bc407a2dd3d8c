//! Questions to nodes, over their RPC.
use crate::{Member, TestnetError};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

async fn post(url: &str, method: &str, params: Value) -> Result<Value, TestnetError> {
    let failed = |why: String| TestnetError::Rpc { url: url.into(), why };
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .map_err(|e| failed(e.to_string()))?;
    let sent = client
        .post(url)
        .json(&body)
        .send()
        .await
        .map_err(|e| failed(e.to_string()))?;
    let answer: Value = sent.json().await.map_err(|e| failed(e.to_string()))?;
    match answer.get("error") {
        Some(error) if !error.is_null() => Err(failed(format!("{method}: {error}"))),
        _ => Ok(answer["result"].clone()),
    }
}

/// Asks CometBFT's RPC of a node.
pub async fn ask(member: &Member, method: &str, params: Value) -> Result<Value, TestnetError> {
    post(&member.rpc_url(), method, params).await
}

/// Asks the Ethereum JSON-RPC of a node.
pub async fn eth(member: &Member, method: &str, params: Value) -> Result<Value, TestnetError> {
    post(&member.json_rpc_url(), method, params).await
}

/// How a node is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Newest height that its app committed. CometBFT's own newest may be one ahead: it stores a block, then runs it.
    pub height: u64,
    /// App hash after that height, as the app reports it.
    pub app_hash: String,
    /// Whether it still catches up.
    pub catching_up: bool,
    /// Peers.
    pub peers: u64,
}

/// How `member` is doing.
pub async fn status(member: &Member) -> Result<NodeStatus, TestnetError> {
    let status = ask(member, "status", json!({})).await?;
    let net = ask(member, "net_info", json!({})).await?;
    let info = ask(member, "abci_info", json!({})).await?;
    let number = |v: &Value| v.as_str().and_then(|s| s.parse().ok()).unwrap_or(0);
    Ok(NodeStatus {
        height: number(&info["response"]["last_block_height"]),
        app_hash: info["response"]["last_block_app_hash"]
            .as_str()
            .unwrap_or("")
            .into(),
        catching_up: status["sync_info"]["catching_up"].as_bool().unwrap_or(true),
        peers: number(&net["n_peers"]),
    })
}
