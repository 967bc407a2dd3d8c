//! `config.toml`: the settings of CometBFT that matter here; it has defaults for the rest.
use crate::{Home, NodeError};
use std::time::Duration;

/// Settings of one CometBFT node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CometConfig {
    /// The node's name among people.
    pub moniker: String,
    /// RPC, such as `tcp://127.0.0.1:26657`.
    pub rpc_address: String,
    /// Peer-to-peer, such as `tcp://127.0.0.1:26656`.
    pub p2p_address: String,
    /// `id@host:port` of nodes to stay connected with.
    pub persistent_peers: Vec<String>,
    /// Whether addresses must be routable: false for networks on one machine.
    pub strict_addresses: bool,
    /// Pause after a block.
    pub timeout_commit: Duration,
    /// Wait for a proposal.
    pub timeout_propose: Duration,
    /// Transactions in the mempool, at most.
    pub mempool_size: u64,
    /// Whether blocks are made when nothing waits.
    pub empty_blocks: bool,
    /// `info`, `error`, `none`, or a list such as `consensus:info,*:error`.
    pub log_level: String,
    /// Prometheus metrics, such as `127.0.0.1:26660`.
    pub metrics_address: Option<String>,
    /// Joining by state sync: where given, a node without blocks starts from another's snapshot.
    pub state_sync: Option<CometStateSync>,
}

/// What CometBFT's light client verifies a snapshot with. The trusted block's hash comes from someone who is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CometStateSync {
    /// RPC of at least two nodes, such as `127.0.0.1:26657`.
    pub rpc_servers: Vec<String>,
    /// A height whose block is trusted.
    pub trust_height: u64,
    /// That block's hash, in hex.
    pub trust_hash: String,
    /// How long after a block its validators can be held to what they signed: less than the unbonding time.
    pub trust_period: Duration,
    /// How long to look for snapshots before one is chosen: 5 s at least.
    pub discovery_time: Duration,
}

impl Default for CometConfig {
    fn default() -> Self {
        Self {
            moniker: "braid".into(),
            rpc_address: "tcp://127.0.0.1:26657".into(),
            // Nothing listens to the world unless told (chain.md): a node with peers elsewhere names its address.
            p2p_address: "tcp://127.0.0.1:26656".into(),
            persistent_peers: Vec::new(),
            strict_addresses: true,
            timeout_commit: Duration::from_secs(1),
            timeout_propose: Duration::from_secs(3),
            mempool_size: 5_000,
            empty_blocks: true,
            log_level: "info".into(),
            metrics_address: None,
            state_sync: None,
        }
    }
}

impl CometStateSync {
    fn pairs(&self) -> Vec<(&'static str, toml::Value)> {
        vec![
            ("enable", true.into()),
            ("rpc_servers", self.rpc_servers.join(",").into()),
            (
                "trust_height",
                i64::try_from(self.trust_height).unwrap_or(i64::MAX).into(),
            ),
            ("trust_hash", self.trust_hash.clone().into()),
            ("trust_period", millis(self.trust_period).into()),
            ("discovery_time", millis(self.discovery_time).into()),
        ]
    }
}

fn millis(d: Duration) -> String {
    format!("{}ms", d.as_millis())
}

impl CometConfig {
    /// The file's text.
    pub fn to_toml(&self) -> String {
        let mut root = toml::Table::new();
        root.insert("moniker".into(), self.moniker.clone().into());
        root.insert("log_level".into(), self.log_level.clone().into());
        let mut section = |name: &str, pairs: Vec<(&str, toml::Value)>| {
            let table: toml::Table = pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
            root.insert(name.into(), table.into());
        };
        section(
            "rpc",
            vec![
                ("laddr", self.rpc_address.clone().into()),
                // A transaction of the mempool's full MiB in base64 must fit; CometBFT's default is a million bytes.
                ("max_body_bytes", (2i64 << 20).into()),
            ],
        );
        section(
            "p2p",
            vec![
                ("laddr", self.p2p_address.clone().into()),
                ("persistent_peers", self.persistent_peers.join(",").into()),
                ("addr_book_strict", self.strict_addresses.into()),
                // Several nodes of one machine share its address.
                ("allow_duplicate_ip", (!self.strict_addresses).into()),
                // Votes wait for this before they are sent: CometBFT's 100 ms would be most of a short block time.
                ("flush_throttle_timeout", "10ms".into()),
            ],
        );
        section(
            "mempool",
            vec![
                (
                    "size",
                    i64::try_from(self.mempool_size).unwrap_or(i64::MAX).into(),
                ),
                (
                    "cache_size",
                    i64::try_from(self.mempool_size.saturating_mul(2))
                        .unwrap_or(i64::MAX)
                        .into(),
                ),
                // chain.md rule 20: a transaction refused today may be good tomorrow (funds, nonce).
                ("recheck", true.into()),
            ],
        );
        section(
            "consensus",
            vec![
                ("timeout_propose", millis(self.timeout_propose).into()),
                ("timeout_commit", millis(self.timeout_commit).into()),
                ("create_empty_blocks", self.empty_blocks.into()),
            ],
        );
        section(
            "instrumentation",
            vec![
                ("prometheus", self.metrics_address.is_some().into()),
                (
                    "prometheus_listen_addr",
                    self.metrics_address
                        .clone()
                        .unwrap_or_else(|| "127.0.0.1:26660".into())
                        .into(),
                ),
            ],
        );
        if let Some(sync) = &self.state_sync {
            section("statesync", sync.pairs());
        }
        let body = toml::to_string(&root).expect("strings, numbers and booleans have a TOML form");
        format!("# CometBFT v0.38; a setting that is not here has CometBFT's default.\n\n{body}")
    }

    /// Where CometBFT's RPC of an initialised home listens: `host:port`.
    pub fn read_rpc_address(home: &Home) -> Result<String, NodeError> {
        let path = home.comet_config();
        let text = std::fs::read_to_string(&path).map_err(NodeError::file(&path))?;
        let table: toml::Table = toml::from_str(&text).map_err(|e| NodeError::format(&path, e))?;
        let address = table
            .get("rpc")
            .and_then(|r| r.get("laddr"))
            .and_then(toml::Value::as_str);
        let address = address.unwrap_or("tcp://127.0.0.1:26657");
        let host = address.strip_prefix("tcp://").unwrap_or(address);
        if host.contains("://") || !host.contains(':') {
            return Err(NodeError::format(
                &path,
                format!("rpc.laddr {address:?}: want tcp://host:port"),
            ));
        }
        Ok(host.replace("0.0.0.0", "127.0.0.1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_toml_with_the_given_addresses() {
        let config = CometConfig {
            persistent_peers: vec!["ab@127.0.0.1:1".into()],
            ..Default::default()
        };
        let table: toml::Table = toml::from_str(&config.to_toml()).unwrap();
        assert_eq!(table["p2p"]["persistent_peers"].as_str(), Some("ab@127.0.0.1:1"));
        assert_eq!(table["consensus"]["timeout_commit"].as_str(), Some("1000ms"));
        assert_eq!(table["moniker"].as_str(), Some("braid"));
    }
}
