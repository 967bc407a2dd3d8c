//! Ethereum JSON-RPC, as geth answers it.
//!
//! Reading order: `methods.rs` is the table of what is served; each file below answers a group of it; `args.rs` reads
//! parameters, `convert.rs` writes blocks, transactions and receipts, `error.rs` has the codes and texts.

mod methods;
mod node;
mod state;
mod blocks;
mod logs;
mod fees;
mod call;
mod parallelism;
mod overrides;
mod send;
mod convert;
mod args;
mod ctx;
mod error;

use crate::gate::Gate;
use crate::serve::{RpcError, ServerHandle, bind, listening};
use crate::{Chain, Submit};
use args::Args;
use ctx::Ctx;
use error::RpcResult;
use jsonrpsee::RpcModule;
use jsonrpsee::server::{BatchRequestConfig, Server, ServerConfig};
use methods::{Cost, Method, SEND, TABLE};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tower_http::cors::{Any, CorsLayer};

/// Bytes of a request at most (geth's `defaultBodyLimit`: 5 MiB).
const REQUEST_BYTES_MAX: u32 = 5 * 1024 * 1024;
/// Bytes of an answer at most (geth's `BatchResponseMaxSize`: 25 MB).
const RESPONSE_BYTES_MAX: u32 = 25_000_000;
/// Requests in a batch at most (geth's `BatchRequestLimit`).
const BATCH_MAX: u32 = 1_000;
/// A connection that asks nothing for so long is closed.
const FIRST_REQUEST: Duration = Duration::from_secs(30);

const WHAT: &str = "JSON-RPC";

/// How the server is run: node-local.
#[derive(Clone, Debug)]
pub struct JsonRpcOptions {
    /// `web3_clientVersion`, one line.
    pub client_version: String,
    /// Connections at a time.
    pub connections: u32,
    /// Requests that read the disk at a time; the others wait.
    pub readers: usize,
    /// Requests that run the EVM at a time: low, so that a storm of them leaves cores to the blocks.
    pub simulations: usize,
    /// Requests that wait for either, at most; beyond, they are refused.
    pub waiting: usize,
}

impl Default for JsonRpcOptions {
    fn default() -> Self {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            client_version: format!("Braid/v{}/{os}-{arch}", env!("CARGO_PKG_VERSION")),
            connections: 1_000,
            readers: 8,
            simulations: (cores / 2).max(1),
            waiting: 10_000,
        }
    }
}

/// Every method served, with parameters that any chain answers without an error (save the empty transaction of
/// `eth_sendRawTransaction`, which is refused).
pub fn methods() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE
        .iter()
        .map(|m| (m.name, m.example))
        .chain([(SEND, r#"["0x"]"#)])
}

/// Answers JSON-RPC over HTTP and WebSocket on `addr` (port 0: any). `Arc<App<S>>` is an `Arc<dyn Chain>`.
///
/// # Errors
/// Where `addr` cannot be listened on.
pub async fn serve_json_rpc(
    addr: SocketAddr,
    chain: Arc<dyn Chain>,
    submit: Arc<dyn Submit>,
    options: JsonRpcOptions,
) -> Result<ServerHandle, RpcError> {
    let (listener, addr) = listening(bind(addr, WHAT).await?, addr, WHAT)?;
    let config = ServerConfig::builder()
        .max_request_body_size(REQUEST_BYTES_MAX)
        .max_response_body_size(RESPONSE_BYTES_MAX)
        .max_connections(options.connections)
        .set_batch_request_config(BatchRequestConfig::Limit(BATCH_MAX))
        .set_first_request_timeout(Some(FIRST_REQUEST))
        .set_tcp_no_delay(true)
        .build();
    // Wallets in browsers ask from pages of any origin; there are no keys here to protect.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(Any)
        .allow_headers(Any);
    let server = Server::builder()
        .set_config(config)
        .set_http_middleware(tower::ServiceBuilder::new().layer(cors))
        .build_from_tcp(listener)
        .map_err(|source| RpcError::Bind {
            addr,
            what: WHAT,
            source,
        })?;
    let handle = server.start(module(chain, submit, options));
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let done = tokio::spawn(async move {
        // An error means that the handle was dropped without stopping: the server goes on with the process.
        if stopped.wait_for(|stop| *stop).await.is_err() {
            return handle.stopped().await;
        }
        // An error means that it has stopped already.
        let _ = handle.stop();
        handle.stopped().await;
    });
    Ok(ServerHandle::new(addr, stop, done))
}

fn module(
    chain: Arc<dyn Chain>,
    submit: Arc<dyn Submit>,
    options: JsonRpcOptions,
) -> RpcModule<(Ctx, Gates)> {
    let gates = Gates {
        read: Gate::new(options.readers, options.waiting),
        simulate: Gate::new(options.simulations, options.waiting),
    };
    let mut module = RpcModule::new((
        Ctx {
            chain,
            submit,
            options: Arc::new(options),
        },
        gates,
    ));
    for method in TABLE {
        module
            .register_async_method(method.name, move |params, shared, _| async move {
                let (ctx, gates) = &*shared;
                let args = Args::new(&params, method.args)?;
                match method.cost {
                    Cost::Nothing => (method.run)(ctx, &args),
                    Cost::Read => gates
                        .read
                        .run(work(ctx, method, args))
                        .await
                        .map_err(error::gate)?,
                    Cost::Simulate => gates
                        .simulate
                        .run(work(ctx, method, args))
                        .await
                        .map_err(error::gate)?,
                }
            })
            .expect("names in the table are unique");
    }
    module
        .register_async_method(SEND, |params, shared, _| async move {
            let (ctx, gates) = &*shared;
            let args = Args::new(&params, 1)?;
            let owned = ctx.clone();
            let wrapped = gates
                .read
                .run(move || send::wrap(&owned, &args))
                .await
                .map_err(error::gate)?;
            let (envelope, hash) = wrapped?;
            send::submit(ctx, envelope, hash).await
        })
        .expect("not in the table");
    module
}

fn work(
    ctx: &Ctx,
    method: &'static Method,
    args: Args,
) -> impl FnOnce() -> RpcResult<Value> + Send + 'static {
    let ctx = ctx.clone();
    move || (method.run)(&ctx, &args)
}

/// How many requests of each kind run at a time.
struct Gates {
    read: Gate,
    simulate: Gate,
}
