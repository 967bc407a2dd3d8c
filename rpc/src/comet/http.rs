//! Requests as JSON-RPC in a POST, and as URIs in a GET.
use super::args::Args;
use super::error::{Error, Result};
use super::{Comet, METHODS, SoloNode};
use crate::Chain;
use crate::gate::Gate;
use crate::serve::{RpcError, ServerHandle, bind};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt as _;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tower_http::cors::{Any, CorsLayer};
use types::Bytes;

/// Bytes of a request at most (CometBFT `max_body_bytes`).
const REQUEST_BYTES_MAX: usize = 1_000_000;
/// Requests in a batch at most (CometBFT 0.38 has no limit of its own).
const BATCH_MAX: usize = 100;
/// Requests that read the disk at a time, and that wait.
const READERS: usize = 8;
const WAITING: usize = 1_000;

const WHAT: &str = "CometBFT RPC";

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
    let addr = listener.local_addr().map_err(|source| RpcError::Bind {
        addr,
        what: WHAT,
        source,
    })?;
    let comet = Comet {
        chain,
        node,
        gate: Arc::new(Gate::new(READERS, WAITING)),
        addr,
    };
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(Any)
        .allow_headers(Any);
    let router = Router::new()
        .route("/", get(listing).post(post))
        .route("/{method}", get(uri))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .layer(cors)
        .with_state(comet);
    let listener = listener.tap_io(|socket| {
        // Without it, small answers wait for the client's delayed acknowledgement: 40 ms.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
    });
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
    let status = if result.is_ok() {
        StatusCode::OK
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    };
    // CometBFT's id of requests that have none.
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        answer(json!(-1), result).to_string(),
    )
        .into_response()
}

/// `POST /`: one request, or a batch.
async fn post(State(comet): State<Comet>, body: Bytes) -> Response {
    let reply = match serde_json::from_slice::<Value>(&body) {
        Err(e) => Some(answer(
            Value::Null,
            Err(Error::parse(format!("error unmarshaling request: {e}"))),
        )),
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
            Some(id) => {
                return Some(answer(
                    Value::Null,
                    Err(Error::request(format!("id {id}: want text or number"))),
                ));
            }
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
}
