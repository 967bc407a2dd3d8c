//! A network on disk: one home a node, one genesis for all, and `testnet.json` that lists them.
use crate::{Manifest, TestnetError};
use node::{
    AppConfig, ChainSpec, CometConfig, CometStateSync, Execution, Home, HomeFiles, NodeKeys, Validator,
    genesis, write_home,
};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use types::{ChainConfig, U256};

/// Where a node listens, all on loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Ethereum JSON-RPC, HTTP and WebSocket.
    pub json_rpc: u16,
    /// CometBFT's peers.
    pub p2p: u16,
    /// CometBFT's RPC.
    pub rpc: u16,
}

impl Ports {
    /// The ports of node `index`: the base's last digits stay those of CometBFT's and geth's usual ports.
    fn of(base: u16, index: usize) -> Self {
        let first = base + 10 * u16::try_from(index).expect("checked: at most 64 nodes");
        Self {
            json_rpc: first + 5,
            p2p: first + 6,
            rpc: first + 7,
        }
    }
}

/// A node of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its place in the list.
    pub index: usize,
    /// Its home.
    pub home: PathBuf,
    /// Where it listens.
    pub ports: Ports,
    /// CometBFT's id of it.
    pub node_id: String,
    /// Whether it validates.
    pub validator: bool,
    /// Executor and threads.
    pub execution: Execution,
}

impl Member {
    /// CometBFT's RPC.
    pub fn rpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.rpc)
    }
    /// Ethereum JSON-RPC.
    pub fn json_rpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.json_rpc)
    }
    /// What the node's process prints.
    pub fn log(&self) -> PathBuf {
        self.home.join("braidd.log")
    }
    /// The node's process id, while it runs.
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.home.join("braidd.pid")
    }
    fn peer(&self) -> String {
        format!("{}@127.0.0.1:{}", self.node_id, self.ports.p2p)
    }
}

/// A network's homes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Network {
    /// The folder of all homes.
    pub root: PathBuf,
    /// What it was made from.
    pub manifest: Manifest,
    /// The nodes.
    pub members: Vec<Member>,
}

/// The list of nodes in a network's folder.
const FILE: &str = "testnet.json";
/// How long a block's validators are trusted: the networks here are younger.
const TRUST_PERIOD: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a node that joins looks for snapshots: CometBFT's least.
const DISCOVERY_TIME: Duration = Duration::from_secs(5);
/// Stake of each validator, in units of power.
const POWER: u64 = 100;

impl Network {
    /// Makes the homes of a new network under `root`. Refuses a folder that has one.
    pub fn create(root: &Path, manifest: &Manifest) -> Result<Self, TestnetError> {
        manifest.check()?;
        let file = root.join(FILE);
        if file.exists() {
            return Err(TestnetError::Invalid(format!(
                "{} exists: a network is there already",
                file.display()
            )));
        }
        let keys: Vec<NodeKeys> = (0..manifest.validators).map(|_| NodeKeys::generate()).collect();
        let config = manifest.config.clone().unwrap_or_else(ChainConfig::braid);
        let stake = config.power_reduction().saturating_mul(U256::from(POWER));
        let validators = keys.iter().enumerate().map(|(i, k)| Validator {
            pub_key: k.validator_pub_key(),
            operator: manifest
                .operators
                .get(i)
                .copied()
                .unwrap_or_else(|| k.validator_address()),
            moniker: format!("node{i}"),
            stake,
        });
        let mut spec = ChainSpec::new(manifest.chain_id.clone(), config);
        spec.max_gas = manifest.max_gas;
        spec.accounts = manifest.accounts.clone();
        spec.validators = validators.collect();
        let document = genesis(&spec)?;
        let mut network = Self {
            root: root.into(),
            manifest: manifest.clone(),
            members: Vec::new(),
        };
        for (i, k) in keys.iter().enumerate() {
            network.members.push(network.member(i, k, true));
        }
        for (member, k) in network.members.iter().zip(&keys) {
            network.write(member, k, &document, None)?;
        }
        network.save()?;
        Ok(network)
    }

    /// The network in `root`.
    pub fn open(root: &Path) -> Result<Self, TestnetError> {
        let path = root.join(FILE);
        let text = std::fs::read(&path).map_err(TestnetError::file(&path))?;
        serde_json::from_slice(&text).map_err(|e| TestnetError::format(&path, e))
    }

    /// Whether `root` has a network.
    pub fn exists(root: &Path) -> bool {
        root.join(FILE).exists()
    }

    /// Makes the home of one more node, which follows the chain and does not validate. It plays all blocks. Gives its
    /// index.
    pub fn add(&mut self, execution: Execution) -> Result<usize, TestnetError> {
        self.add_node(execution, None)
    }

    /// The same of a node that joins by state sync: from a snapshot of the others, verified from a trusted block on.
    /// `trusted` is its height and hash in hex.
    pub fn add_synced(
        &mut self,
        execution: Execution,
        trusted: (u64, String),
    ) -> Result<usize, TestnetError> {
        let servers = self.members.iter().map(|m| format!("127.0.0.1:{}", m.ports.rpc));
        let (trust_height, trust_hash) = trusted;
        let sync = CometStateSync {
            rpc_servers: servers.collect(),
            trust_height,
            trust_hash,
            trust_period: TRUST_PERIOD,
            discovery_time: DISCOVERY_TIME,
        };
        self.add_node(execution, Some(sync))
    }

    fn add_node(
        &mut self,
        execution: Execution,
        sync: Option<CometStateSync>,
    ) -> Result<usize, TestnetError> {
        let index = self.members.len();
        let keys = NodeKeys::generate();
        let member = Member {
            execution,
            ..self.member(index, &keys, false)
        };
        let path = Home::new(&self.members[0].home).genesis();
        let text = std::fs::read(&path).map_err(TestnetError::file(&path))?;
        let document = serde_json::from_slice(&text).map_err(|e| TestnetError::format(&path, e))?;
        self.write(&member, &keys, &document, sync)?;
        self.members.push(member);
        self.save()?;
        Ok(index)
    }

    fn member(&self, index: usize, keys: &NodeKeys, validator: bool) -> Member {
        Member {
            index,
            home: self.root.join(format!("node{index}")),
            ports: Ports::of(self.manifest.base_port, index),
            node_id: keys.node_id(),
            validator,
            execution: self.manifest.execution(index),
        }
    }

    fn write(
        &self,
        member: &Member,
        keys: &NodeKeys,
        document: &serde_json::Value,
        state_sync: Option<CometStateSync>,
    ) -> Result<(), TestnetError> {
        let local = |port: u16| format!("tcp://127.0.0.1:{port}");
        let peers = self.members.iter().filter(|m| m.index != member.index);
        let block_time = Duration::from_millis(self.manifest.block_time_ms);
        let comet = CometConfig {
            moniker: format!("node{}", member.index),
            rpc_address: local(member.ports.rpc),
            p2p_address: local(member.ports.p2p),
            persistent_peers: peers.map(Member::peer).collect(),
            strict_addresses: false,
            timeout_commit: block_time,
            state_sync,
            ..CometConfig::default()
        };
        let mut app = AppConfig {
            execution: member.execution,
            ..AppConfig::default()
        };
        app.state_sync.snapshot_interval = self.manifest.snapshot_interval;
        app.json_rpc.address = SocketAddr::from(([127, 0, 0, 1], member.ports.json_rpc));
        let files = HomeFiles {
            genesis: document,
            keys,
            comet: &comet,
            app: &app,
        };
        Ok(write_home(&Home::new(&member.home), &files, false)?)
    }

    fn save(&self) -> Result<(), TestnetError> {
        let path = self.root.join(FILE);
        let text = serde_json::to_vec_pretty(self).map_err(|e| TestnetError::format(&path, e))?;
        std::fs::write(&path, text).map_err(TestnetError::file(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_share_a_genesis_and_name_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest {
            validators: 3,
            ..Manifest::default()
        };
        let mut network = Network::create(dir.path(), &manifest).unwrap();
        let read = |m: &Member| std::fs::read(Home::new(&m.home).genesis()).unwrap();
        assert_eq!(read(&network.members[0]), read(&network.members[2]));
        let config = std::fs::read_to_string(Home::new(&network.members[1].home).comet_config()).unwrap();
        assert!(
            config.contains(&network.members[0].node_id) && !config.contains(&network.members[1].node_id)
        );
        assert_eq!(
            network.members[0].ports,
            Ports {
                json_rpc: 26_655,
                p2p: 26_656,
                rpc: 26_657
            }
        );
        let again = Network::create(dir.path(), &manifest).unwrap_err().to_string();
        assert!(again.contains("testnet.json exists"), "{again}");
        assert_eq!(network.add(Execution::default()).unwrap(), 3);
        let open = Network::open(dir.path()).unwrap();
        assert_eq!(open.members, network.members);
        assert!(!open.members[3].validator);
    }
}
