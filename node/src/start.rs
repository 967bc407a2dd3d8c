//! `braidd start`: a node under CometBFT.
use crate::comet_client::CometClient;
use crate::open::{NodeApp, open};
use crate::supervise::{Comet, find};
use crate::{AppConfig, CometConfig, Execution, Home, KeepOptions, NodeError, Stop, StopReason, StoreConfig};
use abci::{AbciApp, Address, SOCKET_PATH_MAX, Server};
use rpc::{JsonRpcOptions, serve_json_rpc};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::Damaged;

/// What `start` is told; what is `None` comes from `app.toml`.
#[derive(Clone, Debug)]
pub struct StartOptions {
    /// The node's folder.
    pub home: Home,
    /// Serve ABCI only: CometBFT is run by someone else, on the same home.
    pub abci_only: bool,
    /// The `cometbft` program; looked for on the PATH where absent.
    pub comet_bin: Option<PathBuf>,
    /// `unix:///path` or `tcp://host:port`.
    pub abci_address: Option<String>,
    /// Executor and threads.
    pub execution: Option<Execution>,
    /// How the commit store writes.
    pub store: Option<StoreConfig>,
    /// What is kept.
    pub keep: KeepOptions,
    /// Where Ethereum JSON-RPC listens.
    pub json_rpc: Option<SocketAddr>,
}

impl StartOptions {
    /// A supervised node with the settings of its files.
    pub fn new(home: Home) -> Self {
        Self {
            home,
            abci_only: false,
            comet_bin: None,
            abci_address: None,
            execution: None,
            store: None,
            keep: KeepOptions::default(),
            json_rpc: None,
        }
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

/// How often a starting CometBFT is asked whether it is there.
const POLL: Duration = Duration::from_millis(50);

/// Runs a node until `stop`; `ready` is called once it answers (with `abci_only`: once ABCI does).
///
/// The parts end in the order servers, CometBFT, ABCI, store, so that none loses what it stands on.
pub async fn start(
    options: StartOptions,
    stop: Stop,
    ready: impl FnOnce(&Endpoints) + Send,
) -> Result<(), NodeError> {
    let home = &options.home;
    let mut config = settings(home)?;
    options.keep.over(&mut config);
    let execution = options.execution.unwrap_or(config.execution);
    let store = options.store.unwrap_or(config.store);
    let bin = if options.abci_only {
        None
    } else {
        Some(find(options.comet_bin.as_deref())?)
    };
    let app = {
        let (home, config) = (home.clone(), config.clone());
        blocking(move || open(&home, &config, execution, store, Damaged::SetAside)).await??
    };
    let wanted = options.abci_address.as_deref().unwrap_or(&config.abci_address);
    let (address, _folder) = abci_address(home, wanted)?;
    let fatal = stop.clone();
    let server = Server::start(
        &address,
        AbciApp::new(app.clone()),
        Arc::new(move |why| fatal.fail(why)),
    )
    .map_err(|source| NodeError::Listen {
        what: "ABCI",
        address: address.to_string(),
        source,
    })?;
    let rpc_address = CometConfig::read_rpc_address(home)?;
    let client = CometClient::new(&rpc_address);
    tokio::spawn(client.clone().watch(stop.clone()));
    let json_rpc = match (options.json_rpc, config.json_rpc.enable) {
        (Some(at), _) => Some(at),
        (None, true) => Some(config.json_rpc.address),
        (None, false) => None,
    };
    let parts = Parts {
        app,
        client,
        json_rpc,
        bin,
        home,
    };
    let endpoints = Endpoints {
        json_rpc,
        comet_rpc: Some(rpc_address),
        abci: Some(server.address().to_string()),
        home: home.root().into(),
    };
    let result = parts.run(endpoints, &stop, ready).await;
    // Connections under way end here; then the store closes with the last handle on the app.
    blocking(move || server.stop()).await?;
    // Watchers and whoever else waits end too where a part failed by itself.
    stop.ask();
    result
}

struct Parts<'a> {
    app: Arc<NodeApp>,
    client: Arc<CometClient>,
    json_rpc: Option<SocketAddr>,
    bin: Option<PathBuf>,
    home: &'a Home,
}

impl Parts<'_> {
    async fn run(
        &self,
        mut endpoints: Endpoints,
        stop: &Stop,
        ready: impl FnOnce(&Endpoints),
    ) -> Result<(), NodeError> {
        let mut servers = Vec::new();
        if let Some(at) = self.json_rpc {
            let served = serve_json_rpc(
                at,
                self.app.clone(),
                self.client.clone(),
                JsonRpcOptions::default(),
            );
            let server = served.await?;
            endpoints.json_rpc = Some(server.addr());
            servers.push(server);
        }
        let result = match &self.bin {
            None => {
                ready(&endpoints);
                ended(stop.wait().await)
            }
            Some(bin) => {
                let abci = endpoints.abci.clone().expect("ABCI is served");
                match Comet::start(bin, self.home, &abci).await {
                    Ok(comet) => self.supervise(comet, &endpoints, stop, ready).await,
                    Err(e) => Err(e),
                }
            }
        };
        for server in servers {
            server.stop().await;
        }
        result
    }

    async fn supervise(
        &self,
        mut comet: Comet,
        endpoints: &Endpoints,
        stop: &Stop,
        ready: impl FnOnce(&Endpoints),
    ) -> Result<(), NodeError> {
        let up = async {
            while !self.client.is_up().await {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::select! {
            () = up => ready(endpoints),
            e = comet.ended() => return Err(or_reason(stop, e)),
            reason = stop.wait() => { comet.stop().await; return ended(reason) }
        }
        tokio::select! {
            e = comet.ended() => Err(or_reason(stop, e)),
            reason = stop.wait() => { comet.stop().await; ended(reason) }
        }
    }
}

/// CometBFT ends when the app answers with an exception: the app's reason says more.
fn or_reason(stop: &Stop, comet: NodeError) -> NodeError {
    match stop.reason() {
        Some(StopReason::Failed(why)) => NodeError::Failed(why),
        _ => comet,
    }
}

pub(crate) fn ended(reason: StopReason) -> Result<(), NodeError> {
    match reason {
        StopReason::Asked => Ok(()),
        StopReason::Failed(why) => Err(NodeError::Failed(why)),
    }
}

/// Runs what reads the disk or waits, off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NodeError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| NodeError::Failed(e.to_string()))
}

/// The settings of a home that is complete.
pub(crate) fn settings(home: &Home) -> Result<AppConfig, NodeError> {
    let files = [
        (home.genesis(), "config/genesis.json"),
        (home.comet_config(), "config/config.toml"),
        (home.app_config(), "config/app.toml"),
        (home.node_key(), "config/node_key.json"),
        (home.validator_key(), "config/priv_validator_key.json"),
    ];
    for (path, name) in files {
        if !path.is_file() {
            return Err(NodeError::NotInitialised(home.root().into(), name));
        }
    }
    AppConfig::read(home)
}

/// The address wanted, or a socket in the home, or in a temporary folder where the home's path is too long for one.
fn abci_address(home: &Home, wanted: &str) -> Result<(Address, Option<tempfile::TempDir>), NodeError> {
    if !wanted.is_empty() {
        return Ok((wanted.parse().map_err(NodeError::Invalid)?, None));
    }
    let path = home.abci_socket();
    if path.as_os_str().len() <= SOCKET_PATH_MAX {
        return Ok((Address::Unix(path), None));
    }
    let temp = std::env::temp_dir();
    let folder = tempfile::Builder::new()
        .prefix("braid")
        .tempdir()
        .map_err(NodeError::file(&temp))?;
    let path = folder.path().join("abci.sock");
    if path.as_os_str().len() > SOCKET_PATH_MAX {
        let why = format!("no room for a socket path of at most {SOCKET_PATH_MAX} bytes: set abci-address");
        return Err(NodeError::Format { path, why });
    }
    Ok((Address::Unix(path), Some(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_too_deep_for_a_socket_gets_one_in_a_temporary_folder() {
        let near = Home::new("/tmp/a");
        assert_eq!(
            abci_address(&near, "").unwrap().0,
            Address::Unix(near.abci_socket())
        );
        let deep = Home::new(format!("/tmp/{}", "d".repeat(120)));
        let (address, folder) = abci_address(&deep, "").unwrap();
        let Address::Unix(path) = address else {
            panic!("{address}")
        };
        assert!(path.starts_with(folder.as_ref().unwrap().path()));
        assert!(
            abci_address(&near, "ftp://x")
                .unwrap_err()
                .to_string()
                .contains("ftp://x")
        );
    }

    #[test]
    fn a_home_that_is_not_initialised_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let err = settings(&Home::new(dir.path())).unwrap_err().to_string();
        assert!(
            err.contains(&dir.path().display().to_string()) && err.contains("genesis.json"),
            "{err}"
        );
    }
}
