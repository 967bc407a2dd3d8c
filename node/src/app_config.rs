//! `app.toml`: what this node decides for itself. Nothing in it can change a result.
use crate::{Count, Home, NodeError, StoreConfig};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// How blocks are executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutorKind {
    /// One transaction after another.
    Serial,
    /// Optimistically, on several threads.
    #[default]
    Parallel,
    /// The same without short cuts for blocks that gain nothing from threads: to compare.
    Optimistic,
}

impl std::str::FromStr for ExecutorKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "serial" => Ok(Self::Serial),
            "parallel" => Ok(Self::Parallel),
            "optimistic" => Ok(Self::Optimistic),
            _ => Err(format!(
                "unknown executor {text:?}: want serial, parallel or optimistic"
            )),
        }
    }
}

impl std::fmt::Display for ExecutorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Serial => "serial",
            Self::Parallel => "parallel",
            Self::Optimistic => "optimistic",
        })
    }
}

/// Which executor, on how many threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Execution {
    /// Serial, parallel or optimistic.
    pub executor: ExecutorKind,
    /// Worker threads; 0 = one a core.
    pub threads: usize,
}

/// The settings of `app.toml`. Missing ones have their defaults, unknown ones are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AppConfig {
    /// Where CometBFT finds the app: `unix:///path`, `tcp://127.0.0.1:26658`, or empty for a socket in the home.
    pub abci_address: String,
    /// Signatures remembered between CheckTx and the block, at most.
    pub sender_cache: usize,
    /// Gas of `eth_call`, `eth_estimateGas` and simulations, at most.
    pub call_gas_cap: u64,
    /// Which heights' state is kept: `default` (362,880), `nothing` is pruned, `everything` but the newest three, or
    /// `custom`, as the two settings below say.
    pub pruning: String,
    /// How many heights before the newest `custom` keeps: 2 at least.
    pub pruning_keep_recent: Count,
    /// At every multiple of which height `custom` lets old ones go: 10 at least.
    pub pruning_interval: Count,
    /// How many blocks before the newest are kept, here with their receipts and by CometBFT; 0 keeps all. More are kept
    /// where evidence, checkpoints or snapshots need them.
    pub min_retain_blocks: u64,
    /// Bytes that the newest state and its recent versions may take in memory before the node stops; 0 is no limit,
    /// absent three quarters of the machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// How blocks are executed.
    pub execution: Execution,
    /// How the commit store writes.
    pub store: StoreConfig,
    /// Ethereum JSON-RPC.
    pub json_rpc: JsonRpc,
    /// Snapshots, for nodes that join by state sync.
    pub state_sync: StateSync,
}

/// Snapshots, for nodes that join by state sync; the SDK's names. Whether this node itself joins that way stands in
/// CometBFT's `config.toml`, `[statesync]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StateSync {
    /// A snapshot is written at every multiple of this height; 0 writes none. Nodes that agree on it have the same
    /// snapshots, and a new node can fetch chunks from all of them.
    pub snapshot_interval: u64,
    /// How many snapshots are kept; 0 counts as 1.
    pub snapshot_keep_recent: u32,
    /// Bytes of state that a snapshot from others, or a state file, may have at most: they are held in memory before it
    /// is known whether they are the chain's.
    pub restore_max_bytes: u64,
}

impl StateSync {
    /// These settings over those of a store.
    pub(crate) fn over(self, config: store::Config) -> store::Config {
        store::Config {
            snapshot_interval: self.snapshot_interval,
            snapshots: self.snapshot_keep_recent as usize,
            restore_bytes: self.restore_max_bytes,
            ..config
        }
    }
}

impl Default for StateSync {
    fn default() -> Self {
        Self {
            // At a block a second one in a quarter of an hour: what a node that joins has to play again.
            snapshot_interval: 1_000,
            snapshot_keep_recent: 2,
            restore_max_bytes: 16 << 30,
        }
    }
}

/// Ethereum JSON-RPC, HTTP and WebSocket on one port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct JsonRpc {
    /// Whether it is served.
    pub enable: bool,
    /// Where; loopback unless changed.
    pub address: SocketAddr,
}

impl Default for JsonRpc {
    fn default() -> Self {
        Self {
            enable: true,
            address: SocketAddr::from(([127, 0, 0, 1], 8545)),
        }
    }
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            abci_address: String::new(),
            // A mempool's worth (CometBFT's default size) ten times over, about 10 MB.
            sender_cache: 50_000,
            call_gas_cap: 50_000_000,
            pruning: "default".into(),
            pruning_keep_recent: Count(0),
            pruning_interval: Count(0),
            min_retain_blocks: 0,
            memory_limit: None,
            execution: Execution::default(),
            store: StoreConfig::default(),
            json_rpc: JsonRpc::default(),
            state_sync: StateSync::default(),
        }
    }
}

impl AppConfig {
    /// The settings of an initialised home.
    pub fn read(home: &Home) -> Result<Self, NodeError> {
        let path = home.app_config();
        let text = std::fs::read_to_string(&path).map_err(NodeError::file(&path))?;
        toml::from_str(&text).map_err(|e| NodeError::format(&path, e))
    }
    /// The file's text.
    pub fn to_toml(&self) -> String {
        let body = toml::to_string(self).expect("plain settings have a TOML form");
        format!("# Settings of this node alone: none of them changes what a block does.\n\n{body}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_back_as_written_and_unknown_ones_are_refused() {
        let config = AppConfig {
            abci_address: "tcp://127.0.0.1:26658".into(),
            ..Default::default()
        };
        assert_eq!(toml::from_str::<AppConfig>(&config.to_toml()).unwrap(), config);
        assert_eq!(toml::from_str::<AppConfig>("").unwrap(), AppConfig::default());
        assert!(toml::from_str::<AppConfig>("thread = 1").is_err());
        assert!("fast".parse::<ExecutorKind>().unwrap_err().contains("fast"));
    }
}
