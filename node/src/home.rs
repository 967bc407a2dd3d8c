//! Where a node's files are: CometBFT's and the SDK's layout in one folder.
use std::path::{Path, PathBuf};

/// A node's folder, `~/.braid` unless told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The folder at `root`, made absolute so that a supervised CometBFT sees the same one.
    pub fn new(root: impl AsRef<Path>) -> Self {
        let root = root.as_ref();
        Self(std::path::absolute(root).unwrap_or_else(|_| root.to_owned()))
    }
    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.0
    }
    /// `config/`.
    pub fn config(&self) -> PathBuf {
        self.0.join("config")
    }
    /// `data/`.
    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }
    /// The genesis document.
    pub fn genesis(&self) -> PathBuf {
        self.config().join("genesis.json")
    }
    /// CometBFT's settings.
    pub fn comet_config(&self) -> PathBuf {
        self.config().join("config.toml")
    }
    /// This node's own settings.
    pub fn app_config(&self) -> PathBuf {
        self.config().join("app.toml")
    }
    /// The command line's settings.
    pub fn client_config(&self) -> PathBuf {
        self.config().join("client.toml")
    }
    /// The key that names the node to its peers.
    pub fn node_key(&self) -> PathBuf {
        self.config().join("node_key.json")
    }
    /// The key that signs blocks.
    pub fn validator_key(&self) -> PathBuf {
        self.config().join("priv_validator_key.json")
    }
    /// What the key signed last.
    pub fn validator_state(&self) -> PathBuf {
        self.data().join("priv_validator_state.json")
    }
    /// The commit store.
    pub fn database(&self) -> PathBuf {
        self.data().join("application.db")
    }
    /// The ABCI socket, unless its path is too long for one.
    pub fn abci_socket(&self) -> PathBuf {
        self.data().join("abci.sock")
    }
    /// What a supervised CometBFT prints.
    pub fn comet_log(&self) -> PathBuf {
        self.data().join("cometbft.log")
    }
}
