//! The part of CometBFT 0.38's RPC that the CLI and CosmJS use, for a chain without CometBFT.
//!
//! Reading order: `node.rs` is what only the solo engine knows; `http.rs` takes requests in JSON and as URIs; this file
//! lists the methods; `info.rs`, `blocks.rs`, `txs.rs` and `broadcast.rs` answer them; `shapes.rs` writes CometBFT's
//! JSON.

mod node;
mod http;
mod info;
mod blocks;
mod txs;
mod broadcast;
mod search;
mod shapes;
mod merkle;
mod args;
mod error;

pub use http::serve_comet_rpc;
pub use node::{PoolView, SoloIdentity, SoloNode, SoloValidator};

use crate::Chain;
use crate::gate::Gate;
use app::{ChainInfo, StoredBlock};
use args::Args;
use error::{Error, Result};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

/// The CometBFT that this RPC answers like: clients choose their dialect by it.
const COMET_VERSION: &str = "0.38.26";
/// Methods and the order of their parameters (CometBFT rpc/core/routes.go).
const METHODS: &[(&str, &[&str])] = &[
    ("health", &[]),
    ("status", &[]),
    ("net_info", &[]),
    ("genesis", &[]),
    ("abci_info", &[]),
    ("abci_query", &["path", "data", "height", "prove"]),
    ("block", &["height"]),
    ("block_by_hash", &["hash"]),
    ("block_results", &["height"]),
    ("header", &["height"]),
    ("tx", &["hash", "prove"]),
    ("tx_search", &["query", "prove", "page", "per_page", "order_by"]),
    ("validators", &["height", "page", "per_page"]),
    ("consensus_params", &["height"]),
    ("unconfirmed_txs", &["limit"]),
    ("num_unconfirmed_txs", &[]),
    ("broadcast_tx_sync", &["tx"]),
    ("broadcast_tx_async", &["tx"]),
    ("broadcast_tx_commit", &["tx"]),
];

/// What the methods work with.
#[derive(Clone)]
pub(crate) struct Comet {
    chain: Arc<dyn Chain>,
    node: Arc<dyn SoloNode>,
    gate: Arc<Gate>,
    addr: SocketAddr,
}

impl Comet {
    async fn call(&self, method: &str, args: Args) -> Result<Value> {
        match method {
            "health" => Ok(json!({})),
            "broadcast_tx_sync" => self.broadcast_sync(&args).await,
            "broadcast_tx_async" => self.broadcast_async(&args).await,
            "broadcast_tx_commit" => self.broadcast_commit(&args).await,
            _ => {
                let (comet, method) = (self.clone(), method.to_owned());
                self.gate
                    .run(move || comet.read(&method, &args))
                    .await
                    .map_err(Error::internal)?
            }
        }
    }

    fn read(&self, method: &str, args: &Args) -> Result<Value> {
        match method {
            "status" => self.status(),
            "net_info" => Ok(self.net_info()),
            "genesis" => Ok(json!({"genesis": &*self.node.genesis()})),
            "abci_info" => self.abci_info(),
            "abci_query" => self.abci_query(args),
            "block" => self.block(args),
            "block_by_hash" => self.block_by_hash(args),
            "block_results" => self.block_results(args),
            "header" => self.header_at(args),
            "tx" => self.tx(args),
            "tx_search" => self.tx_search(args),
            "validators" => self.validators(args),
            "consensus_params" => self.consensus_params(args),
            "unconfirmed_txs" => self.unconfirmed_txs(args),
            "num_unconfirmed_txs" => Ok(self.num_unconfirmed_txs()),
            _ => Err(Error::method()),
        }
    }

    fn info(&self) -> Result<Arc<ChainInfo>> {
        self.chain
            .info()
            .ok_or_else(|| Error::internal("the chain has no genesis yet"))
    }
    /// The newest height; genesis before the first block.
    fn head(&self) -> u64 {
        self.chain
            .height()
            .max(self.chain.initial_height().saturating_sub(1))
    }
    fn known_block(&self, height: u64) -> Result<Arc<StoredBlock>> {
        let found = self.chain.block(height)?;
        found.ok_or_else(|| Error::internal(format!("block {height} is not available")))
    }
    /// The parameter `height`, checked (CometBFT rpc/core/env.go `getHeight`); `newest` is allowed, the newest
    /// committed one is meant where there is none.
    fn height(&self, args: &Args, newest: u64) -> Result<u64> {
        let Some(height) = args.int("height")? else {
            return Ok(self.head());
        };
        let base = self.chain.initial_height();
        let Some(height) = u64::try_from(height).ok().filter(|h| *h > 0) else {
            return Err(Error::internal(format!(
                "height must be greater than 0, but got {height}"
            )));
        };
        if height > newest {
            return Err(Error::internal(format!(
                "height {height} must be less than or equal to the current blockchain height {newest}"
            )));
        }
        if height < base {
            return Err(Error::internal(format!(
                "height {height} is not available, lowest height is {base}"
            )));
        }
        Ok(height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_named_once() {
        let mut names: Vec<_> = METHODS.iter().map(|(n, _)| n).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METHODS.len());
    }
}
