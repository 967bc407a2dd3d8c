//! `braidd start`: a node under CometBFT.
use crate::{Execution, Home, NodeError, Stop};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What `start` is told; what is `None` comes from `app.toml`.
#[derive(Clone, Debug)]
pub struct StartOptions {
    /// The node's folder.
    pub home: Home,
    /// Serve ABCI only: CometBFT is run by someone else.
    pub abci_only: bool,
    /// The `cometbft` program; looked for on the PATH where absent.
    pub comet_bin: Option<PathBuf>,
    /// `unix:///path` or `tcp://host:port`.
    pub abci_address: Option<String>,
    /// Executor and threads.
    pub execution: Option<Execution>,
    /// Where Ethereum JSON-RPC listens.
    pub json_rpc: Option<SocketAddr>,
}

impl StartOptions {
    /// A supervised node with the settings of its files.
    pub fn new(home: Home) -> Self {
        Self { home, abci_only: false, comet_bin: None, abci_address: None, execution: None, json_rpc: None }
    }
}

/// Where a running node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Ethereum JSON-RPC, HTTP and WebSocket.
    pub json_rpc: Option<SocketAddr>,
    /// CometBFT's RPC: `host:port`.
    pub comet_rpc: Option<String>,
    /// ABCI: `unix:///path` or `tcp://host:port`.
    pub abci: Option<String>,
    /// The node's folder.
    pub home: PathBuf,
}

/// Runs a node until `stop`; `ready` is called once it answers.
pub async fn start(
    options: StartOptions,
    stop: Stop,
    ready: impl FnOnce(&Endpoints) + Send,
) -> Result<(), NodeError> {
    let _ = (options, stop, ready);
    Err(NodeError::Failed("start: under construction".into()))
}
