//! `braidd dev`: a chain in one process, without CometBFT.
use crate::open::open;
use crate::solo::{Solo, SoloHandle, SoloOptions};
use crate::start::{blocking, ended, settings};
use crate::{
    ChainSpec, CometConfig, CommitKind, DatabaseKind, Endpoints, Execution, Home, InitOptions, NodeError,
    NodeKeys, Stop, StoreConfig, genesis, init,
};
use rpc::{JsonRpcOptions, serve_comet_rpc, serve_json_rpc};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What `dev` is told.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// The node's folder, kept; a temporary one, removed at the end, where absent.
    pub home: Option<PathBuf>,
    /// The chain to make where the folder has none: its accounts are the funded ones, the first operates the validator.
    pub chain: ChainSpec,
    /// A block every so often; on demand where absent.
    pub block_time: Option<Duration>,
    /// Executor and threads.
    pub execution: Execution,
    /// Which database keeps the store's journal; what the home says, where absent.
    pub database: Option<DatabaseKind>,
    /// Where Ethereum JSON-RPC listens.
    pub json_rpc: SocketAddr,
    /// Where the CometBFT RPC subset listens.
    pub comet_rpc: Option<SocketAddr>,
}

impl DevOptions {
    /// The default ports, blocks on demand, in a temporary folder.
    pub fn new(chain: ChainSpec) -> Self {
        Self {
            home: None,
            chain,
            block_time: None,
            execution: Execution::default(),
            database: None,
            json_rpc: SocketAddr::from(([127, 0, 0, 1], 8545)),
            comet_rpc: Some(SocketAddr::from(([127, 0, 0, 1], 26657))),
        }
    }
}

/// The node's name in `dev`.
const MONIKER: &str = "dev";

/// Runs the chain until `stop`; `ready` is called once it answers.
pub async fn dev(
    options: DevOptions,
    stop: Stop,
    ready: impl FnOnce(&Endpoints) + Send,
) -> Result<(), NodeError> {
    // Kept until the end: dropping it removes the folder.
    let mut _temporary = None;
    let home = match &options.home {
        Some(path) => Home::new(path),
        None => {
            let temp = std::env::temp_dir();
            let folder = tempfile::Builder::new()
                .prefix("braid-dev")
                .tempdir()
                .map_err(NodeError::file(&temp))?;
            Home::new(_temporary.insert(folder).path())
        }
    };
    let solo = {
        let (options, home) = (options.clone(), home.clone());
        blocking(move || engine(&home, &options)).await??
    };
    let result = serve(&solo, &options, &home, &stop, ready).await;
    // Requests under way may hold the engine a moment longer; nothing is staged then, so nothing is lost.
    stop.ask();
    drop(solo);
    result
}

type DevSolo = Arc<Solo<store::DiskStore>>;

fn engine(home: &Home, options: &DevOptions) -> Result<DevSolo, NodeError> {
    if !home.genesis().exists() {
        let mut fresh = InitOptions::new(options.chain.clone(), MONIKER)?;
        fresh.app.execution = options.execution;
        fresh.app.store.database = options.database.unwrap_or_default();
        fresh.app.json_rpc.address = options.json_rpc;
        if let Some(at) = options.comet_rpc {
            fresh.comet = CometConfig {
                rpc_address: format!("tcp://{at}"),
                ..CometConfig::default()
            };
        }
        init(home, &fresh)?;
    }
    let config = settings(home)?;
    // Nobody could replay what was not written: chain.md rule 12.
    let store = StoreConfig {
        commit: CommitKind::Sync,
        database: options.database.unwrap_or(config.store.database),
        ..config.store
    };
    let app = open(home, &config, options.execution, store, store::Damaged::Refuse)?;
    Solo::open(
        app,
        SoloOptions {
            block_time: options.block_time,
            keys: NodeKeys::read(home)?,
            moniker: MONIKER.into(),
            genesis: genesis::read(&home.genesis())?,
        },
    )
}

async fn serve(
    solo: &DevSolo,
    options: &DevOptions,
    home: &Home,
    stop: &Stop,
    ready: impl FnOnce(&Endpoints),
) -> Result<(), NodeError> {
    let node = Arc::new(SoloHandle(solo.clone()));
    let json_rpc = serve_json_rpc(
        options.json_rpc,
        solo.app.clone(),
        node.clone(),
        JsonRpcOptions::default(),
    )
    .await?;
    let mut servers = vec![];
    let mut comet_rpc = None;
    if let Some(at) = options.comet_rpc {
        let server = serve_comet_rpc(at, solo.app.clone(), node).await?;
        comet_rpc = Some(server.addr().to_string());
        servers.push(server);
    }
    let thread = solo
        .run(stop.clone())
        .map_err(|e| NodeError::Failed(format!("no thread for blocks: {e}")))?;
    ready(&Endpoints {
        json_rpc: Some(json_rpc.addr()),
        comet_rpc,
        abci: None,
        home: home.root().into(),
    });
    servers.push(json_rpc);
    let reason = stop.wait().await;
    for server in servers {
        server.stop().await;
    }
    solo.wake();
    // The block under way is finished: it would be lost otherwise, though nobody was told of it.
    blocking(move || thread.join())
        .await?
        .map_err(|_| NodeError::Failed("the solo engine panicked".into()))?;
    ended(reason)
}
