//! The part of CometBFT 0.38's RPC that the CLI and CosmJS use, for a chain without CometBFT.
//!
//! Reading order: `node.rs` is what only the solo engine knows; this file takes requests in JSON and as URIs;
//! `info.rs`, `blocks.rs` and `broadcast.rs` answer them; `shapes.rs` writes CometBFT's JSON.

mod node;
mod info;
mod blocks;
mod broadcast;
mod search;
mod shapes;
mod merkle;
mod args;
mod error;

pub use node::{PoolView, SoloIdentity, SoloNode, SoloValidator};

use crate::Chain;
use crate::gate::Gate;
use crate::serve::{RpcError, ServerHandle, bind};
use app::{ChainInfo, StoredBlock};
use args::Args;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use error::{Error, Result};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tower_http::cors::{Any, CorsLayer};
use types::Bytes;

/// The CometBFT that this RPC answers like: clients choose their dialect by it.
const COMET_VERSION: &str = "0.38.26";
/// Bytes of a request at most (CometBFT `max_body_bytes`).
const REQUEST_BYTES_MAX: usize = 1_000_000;
/// Requests in a batch at most (CometBFT 0.38 has no limit of its own).
const BATCH_MAX: usize = 100;
/// Requests that read the disk at a time, and that wait.
const READERS: usize = 8;
const WAITING: usize = 1_000;

const WHAT: &str = "CometBFT RPC";

/// Methods and the order of their parameters (CometBFT rpc/core/routes.go).
const METHODS: &[(&str, &[&str])] = &[
    ("health", &[]),
    ("status", &[]),
    ("net_info", &[]),
    ("genesis", &[]),
    ("abci_info", &[]),
    ("abci_query", &["path", "data", "height", "prove"]),
    ("block", &["height"]),
    ("block_by_hash", &["hash"]),
    ("block_results", &["height"]),
    ("header", &["height"]),
    ("tx", &["hash", "prove"]),
    ("tx_search", &["query", "prove", "page", "per_page", "order_by"]),
    ("validators", &["height", "page", "per_page"]),
    ("consensus_params", &["height"]),
    ("unconfirmed_txs", &["limit"]),
    ("num_unconfirmed_txs", &[]),
    ("broadcast_tx_sync", &["tx"]),
    ("broadcast_tx_async", &["tx"]),
    ("broadcast_tx_commit", &["tx"]),
];

/// What the methods work with.
#[derive(Clone)]
pub(crate) struct Comet {
    chain: Arc<dyn Chain>,
    node: Arc<dyn SoloNode>,
    gate: Arc<Gate>,
    addr: SocketAddr,
}

/// Answers CometBFT's RPC on `addr` (port 0: any).
///
/// # Errors
/// Where `addr` cannot be listened on.
pub async fn serve_comet_rpc(
    addr: SocketAddr,
    chain: Arc<dyn Chain>,
    node: Arc<dyn SoloNode>,
) -> Result<ServerHandle, RpcError> {
    let listener = bind(addr, WHAT).await?;
    let addr = listener.local_addr().map_err(|source| RpcError::Bind { addr, what: WHAT, source })?;
    let comet = Comet { chain, node, gate: Arc::new(Gate::new(READERS, WAITING)), addr };
    let cors = CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers(Any);
    let router = Router::new()
        .route("/", get(listing).post(post))
        .route("/{method}", get(uri))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .layer(cors)
        .with_state(comet);
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let done = tokio::spawn(async move {
        let until = async move {
            if stopped.wait_for(|stop| *stop).await.is_err() {
                // The handle was dropped without stopping: the server goes on with the process.
                std::future::pending::<()>().await;
            }
        };
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until).await {
            tracing::error!(%error, "the CometBFT RPC server ended");
        }
    });
    Ok(ServerHandle::new(addr, stop, done))
}

/// `GET /`: what there is.
async fn listing() -> String {
    let mut text = String::from("Available endpoints:\n");
    for (name, args) in METHODS {
        let args: Vec<String> = args.iter().map(|a| format!("{a}=_")).collect();
        text.push_str(&format!("/{name}?{}\n", args.join("&")));
    }
    text
}

/// `GET /method?name=value`.
async fn uri(
    State(comet): State<Comet>,
    Path(method): Path<String>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Response {
    if !METHODS.iter().any(|(name, _)| *name == method) {
        return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
    }
    let result = comet.call(&method, Args::uri(pairs)).await;
    let status = if result.is_ok() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    // CometBFT's id of requests that have none.
    (status, [(header::CONTENT_TYPE, "application/json")], answer(json!(-1), result).to_string()).into_response()
}

/// `POST /`: one request, or a batch.
async fn post(State(comet): State<Comet>, body: Bytes) -> Response {
    let reply = match serde_json::from_slice::<Value>(&body) {
        Err(e) => Some(answer(Value::Null, Err(Error::parse(format!("error unmarshaling request: {e}"))))),
        Ok(Value::Array(requests)) if requests.len() > BATCH_MAX => {
            let why = format!("batch of {} requests, want at most {BATCH_MAX}", requests.len());
            Some(answer(Value::Null, Err(Error::request(why))))
        }
        Ok(Value::Array(requests)) => {
            let mut replies = Vec::with_capacity(requests.len());
            for request in requests {
                replies.extend(comet.reply(request).await);
            }
            (!replies.is_empty()).then_some(Value::Array(replies))
        }
        Ok(request) => comet.reply(request).await,
    };
    let text = reply.map_or_else(String::new, |r| r.to_string());
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn answer(id: Value, result: Result<Value>) -> Value {
    match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error.to_json()}),
    }
}

impl Comet {
    /// Answers one request; a notification (no id) gets no answer.
    async fn reply(&self, request: Value) -> Option<Value> {
        let Value::Object(mut fields) = request else {
            return Some(answer(Value::Null, Err(Error::request("want a JSON-RPC object"))));
        };
        let id = match fields.remove("id") {
            None => return None,
            Some(id @ (Value::String(_) | Value::Number(_) | Value::Null)) => id,
            Some(id) => return Some(answer(Value::Null, Err(Error::request(format!("id {id}: want text or number"))))),
        };
        let Some(Value::String(method)) = fields.remove("method") else {
            return Some(answer(id, Err(Error::request("no method"))));
        };
        let Some((_, names)) = METHODS.iter().find(|(name, _)| *name == method) else {
            return Some(answer(id, Err(Error::method())));
        };
        let result = match Args::json(fields.remove("params"), names) {
            Ok(args) => self.call(&method, args).await,
            Err(e) => Err(e),
        };
        Some(answer(id, result))
    }

    async fn call(&self, method: &str, args: Args) -> Result<Value> {
        match method {
            "health" => Ok(json!({})),
            "broadcast_tx_sync" => self.broadcast_sync(&args).await,
            "broadcast_tx_async" => self.broadcast_async(&args).await,
            "broadcast_tx_commit" => self.broadcast_commit(&args).await,
            _ => {
                let (comet, method) = (self.clone(), method.to_owned());
                self.gate.run(move || comet.read(&method, &args)).await.map_err(Error::internal)?
            }
        }
    }

    fn read(&self, method: &str, args: &Args) -> Result<Value> {
        match method {
            "status" => self.status(),
            "net_info" => Ok(self.net_info()),
            "genesis" => Ok(json!({"genesis": &*self.node.genesis()})),
            "abci_info" => self.abci_info(),
            "abci_query" => self.abci_query(args),
            "block" => self.block(args),
            "block_by_hash" => self.block_by_hash(args),
            "block_results" => self.block_results(args),
            "header" => self.header_at(args),
            "tx" => self.tx(args),
            "tx_search" => self.tx_search(args),
            "validators" => self.validators(args),
            "consensus_params" => self.consensus_params(args),
            "unconfirmed_txs" => self.unconfirmed_txs(args),
            "num_unconfirmed_txs" => Ok(self.num_unconfirmed_txs()),
            _ => Err(Error::method()),
        }
    }

    fn info(&self) -> Result<Arc<ChainInfo>> {
        self.chain.info().ok_or_else(|| Error::internal("the chain has no genesis yet"))
    }
    /// The newest height; genesis before the first block.
    fn head(&self) -> u64 {
        self.chain.height().max(self.chain.initial_height().saturating_sub(1))
    }
    fn known_block(&self, height: u64) -> Result<Arc<StoredBlock>> {
        let found = self.chain.block(height)?;
        found.ok_or_else(|| Error::internal(format!("block {height} is not available")))
    }
    /// The parameter `height`, checked (CometBFT rpc/core/env.go `getHeight`); `newest` is allowed, the newest
    /// committed one is meant where there is none.
    fn height(&self, args: &Args, newest: u64) -> Result<u64> {
        let Some(height) = args.int("height")? else { return Ok(self.head()) };
        let base = self.chain.initial_height();
        let Some(height) = u64::try_from(height).ok().filter(|h| *h > 0) else {
            return Err(Error::internal(format!("height must be greater than 0, but got {height}")));
        };
        if height > newest {
            return Err(Error::internal(format!(
                "height {height} must be less than or equal to the current blockchain height {newest}"
            )));
        }
        if height < base {
            return Err(Error::internal(format!("height {height} is not available, lowest height is {base}")));
        }
        Ok(height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_named_once() {
        let mut names: Vec<_> = METHODS.iter().map(|(n, _)| n).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METHODS.len());
    }
}
