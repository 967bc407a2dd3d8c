//! `braidd dev`: a chain in one process, without CometBFT.
use crate::{AppConfig, ChainSpec, Endpoints, Execution, NodeError, Stop};
use std::net::SocketAddr;
use std::path::PathBuf;
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
    /// Where Ethereum JSON-RPC listens.
    pub json_rpc: SocketAddr,
    /// Where the CometBFT RPC subset listens.
    pub comet_rpc: Option<SocketAddr>,
    /// Other settings.
    pub app: AppConfig,
}

impl DevOptions {
    /// The default ports, blocks on demand, in a temporary folder.
    pub fn new(chain: ChainSpec) -> Self {
        Self {
            home: None,
            chain,
            block_time: None,
            execution: Execution::default(),
            json_rpc: SocketAddr::from(([127, 0, 0, 1], 8545)),
            comet_rpc: Some(SocketAddr::from(([127, 0, 0, 1], 26657))),
            app: AppConfig::default(),
        }
    }
}

/// Runs the chain until `stop`; `ready` is called once it answers.
pub async fn dev(
    options: DevOptions,
    stop: Stop,
    ready: impl FnOnce(&Endpoints) + Send,
) -> Result<(), NodeError> {
    let _ = (options, stop, ready);
    Err(NodeError::Failed("dev: under construction".into()))
}
