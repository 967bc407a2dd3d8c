//! What a network is: from flags, or from a TOML file (`testnet/networks/`).
use crate::TestnetError;
use node::{Execution, GenesisAccount, StateSync};
use serde::{Deserialize, Serialize};
use std::path::Path;
use types::{Address, ChainConfig};

/// Nodes of one machine at most: ten ports each, and CometBFT's gossip is all to all.
const NODES_MAX: usize = 64;

/// A network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// Cosmos chain id.
    pub chain_id: String,
    /// Validators, all of the same power.
    pub validators: usize,
    /// Node `i` listens on `base-port + 10 i` and the nine ports above.
    pub base_port: u16,
    /// Pause after a block, in milliseconds.
    pub block_time_ms: u64,
    /// Gas of a block at most.
    pub max_gas: i64,
    /// Settings of single nodes, in order; nodes beyond the list have the defaults.
    pub node: Vec<NodeManifest>,
    /// The chain's names.
    #[serde(skip)]
    pub config: Option<ChainConfig>,
    /// Nodes write a snapshot for others at every multiple of this height; 0 writes none.
    pub snapshot_interval: u64,
    /// Who owns what at genesis.
    #[serde(skip)]
    pub accounts: Vec<GenesisAccount>,
    /// Who operates the validators, in order; those beyond the list are operated by nobody.
    #[serde(skip)]
    pub operators: Vec<Address>,
}

/// Settings of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NodeManifest {
    /// Executor and threads.
    pub execution: Execution,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            chain_id: "braid-local-1".into(),
            validators: 4,
            base_port: 26_650,
            block_time_ms: 1_000,
            max_gas: 60_000_000,
            node: Vec::new(),
            config: None,
            snapshot_interval: StateSync::default().snapshot_interval,
            accounts: Vec::new(),
            operators: Vec::new(),
        }
    }
}

impl Manifest {
    /// Reads a manifest file.
    pub fn read(path: &Path) -> Result<Self, TestnetError> {
        let text = std::fs::read_to_string(path).map_err(TestnetError::file(path))?;
        toml::from_str(&text).map_err(|e| TestnetError::format(path, e))
    }
    /// Refuses what cannot be, naming the value.
    pub fn check(&self) -> Result<(), TestnetError> {
        if self.validators == 0 || self.validators > NODES_MAX {
            return Err(TestnetError::Invalid(format!(
                "{} validators: want 1 to {NODES_MAX}",
                self.validators
            )));
        }
        let last = usize::from(self.base_port) + 10 * NODES_MAX;
        if self.base_port < 1024 || last > usize::from(u16::MAX) {
            let most = usize::from(u16::MAX) - 10 * NODES_MAX;
            return Err(TestnetError::Invalid(format!(
                "base port {}: want 1024 to {most}",
                self.base_port
            )));
        }
        Ok(())
    }
    /// The executor of node `index`.
    pub fn execution(&self, index: usize) -> Execution {
        self.node
            .get(index)
            .map_or_else(Execution::default, |n| n.execution)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::ExecutorKind;

    #[test]
    fn the_networks_that_come_with_us_can_be() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("networks");
        for file in std::fs::read_dir(dir).unwrap() {
            let path = file.unwrap().path();
            Manifest::read(&path).unwrap().check().unwrap();
        }
    }

    #[test]
    fn a_manifest_reads_and_bad_values_are_named() {
        let text = "validators = 2\n[[node]]\nexecution = { executor = \"serial\" }\n[[node]]\nexecution = { threads = 4 }";
        let manifest: Manifest = toml::from_str(text).unwrap();
        assert_eq!(manifest.execution(0).executor, ExecutorKind::Serial);
        assert_eq!(
            (manifest.execution(1).threads, manifest.execution(2)),
            (4, Execution::default())
        );
        let bad = |m: Manifest| m.check().unwrap_err().to_string();
        assert!(
            bad(Manifest {
                validators: 0,
                ..Manifest::default()
            })
            .contains("0 validators")
        );
        assert!(
            bad(Manifest {
                base_port: 65_000,
                ..Manifest::default()
            })
            .contains("65000")
        );
        assert!(toml::from_str::<Manifest>("validator = 2").is_err());
    }
}
