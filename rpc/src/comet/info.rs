//! Methods about the node and the newest state: status, ABCI, validators, mempool.
use super::args::Args;
use super::error::{Error, Result};
use super::merkle::validator_address;
use super::node::SoloValidator;
use super::shapes::{base64, hex_upper, pub_key, query_result, validator};
use super::{COMET_VERSION, Comet};
use app::Query;
use serde_json::{Value, json};

/// Bytes of an `abci_query` path at most: the longest service names are far below.
const PATH_MAX: usize = 512;
/// Validators of a page at most (CometBFT `maxPerPage`).
pub(crate) const PAGE_MAX: usize = 100;
/// Validators of a page unless said otherwise (CometBFT `defaultPerPage`).
pub(crate) const PAGE_DEFAULT: usize = 30;

/// The slice of `total` items that a request's `page` and `per_page` name (CometBFT rpc/core/env.go).
pub(crate) fn page(args: &Args, total: usize) -> Result<std::ops::Range<usize>> {
    let per_page = match args.int("per_page")? {
        None => PAGE_DEFAULT,
        Some(n) if n < 1 => PAGE_DEFAULT,
        Some(n) => usize::try_from(n).map_or(PAGE_MAX, |n| n.min(PAGE_MAX)),
    };
    let pages = total.div_ceil(per_page).max(1);
    let page = args.int("page")?.unwrap_or(1);
    let index = usize::try_from(page).ok().filter(|p| (1..=pages).contains(p));
    let Some(index) = index else {
        return Err(Error::internal(format!(
            "page should be within [1, {pages}] range, given {page}"
        )));
    };
    let start = (index - 1) * per_page;
    Ok(start..(start + per_page).min(total))
}

impl Comet {
    pub(crate) fn status(&self) -> Result<Value> {
        let me = self.node.identity();
        let info = self.info()?;
        let head = self.head();
        let newest = self.known_block(head)?;
        let first = self.known_block(self.chain.initial_height().min(head))?;
        let power = self.node.validators(head.max(1)).map_err(Error::internal)?;
        let power = power
            .iter()
            .find(|v| v.pub_key == me.pub_key)
            .map_or(0, |v| v.power);
        Ok(json!({
            "node_info": {
                "protocol_version": {"p2p": "8", "block": "11", "app": info.params.app_version.to_string()},
                "id": hex::encode(me.node_id),
                "listen_addr": "tcp://127.0.0.1:26656",
                "network": &*info.chain_id,
                "version": COMET_VERSION,
                "channels": "40202122233038606100",
                "moniker": me.moniker,
                "other": {"tx_index": "on", "rpc_address": format!("tcp://{}", self.addr)},
            },
            "sync_info": {
                "latest_block_hash": hex_upper(newest.comet_hash),
                "latest_app_hash": hex_upper(newest.header.state_root),
                "latest_block_height": head.to_string(),
                "latest_block_time": newest.time.rfc3339(),
                "earliest_block_hash": hex_upper(first.comet_hash),
                "earliest_app_hash": hex_upper(first.header.state_root),
                "earliest_block_height": first.header.number.to_string(),
                "earliest_block_time": first.time.rfc3339(),
                "catching_up": false,
            },
            "validator_info": {
                "address": hex_upper(validator_address(&me.pub_key)),
                "pub_key": pub_key(&me.pub_key),
                "voting_power": power.to_string(),
            },
        }))
    }

    pub(crate) fn abci_info(&self) -> Result<Value> {
        let head = self.head();
        let newest = self.known_block(head)?;
        Ok(json!({"response": {
            "data": "braid",
            "version": env!("CARGO_PKG_VERSION"),
            "app_version": self.info()?.params.app_version.to_string(),
            "last_block_height": head.to_string(),
            "last_block_app_hash": base64(newest.header.state_root),
        }}))
    }

    pub(crate) fn abci_query(&self, args: &Args) -> Result<Value> {
        let path = args.text("path")?;
        if path.len() > PATH_MAX {
            return Err(Error::params(format!(
                "path of {} bytes, want at most {PATH_MAX}",
                path.len()
            )));
        }
        let query = Query {
            path,
            data: args.hex("data")?.into(),
            height: args.int("height")?.unwrap_or(0),
            prove: args.flag("prove")?,
        };
        Ok(json!({"response": query_result(&self.chain.query(&query))}))
    }

    /// The set at `height` in CometBFT's order: power down, then address up.
    pub(crate) fn validator_set(&self, height: u64) -> Result<Vec<SoloValidator>> {
        let mut set = self.node.validators(height).map_err(Error::internal)?;
        set.sort_by_key(|v| (std::cmp::Reverse(v.power), validator_address(&v.pub_key)));
        Ok(set)
    }

    pub(crate) fn validators(&self, args: &Args) -> Result<Value> {
        // The next block's set is known already.
        let height = self.height(args, self.head() + 1)?;
        let set = self.validator_set(height)?;
        let shown: Vec<Value> = set[page(args, set.len())?].iter().map(validator).collect();
        Ok(json!({
            "block_height": height.to_string(),
            "count": shown.len().to_string(),
            "total": set.len().to_string(),
            "validators": shown,
        }))
    }

    pub(crate) fn consensus_params(&self, args: &Args) -> Result<Value> {
        let height = self.height(args, self.head() + 1)?;
        let params = &self.info()?.params;
        // What the app does not decide is CometBFT's default (types/params.go).
        Ok(json!({"block_height": height.to_string(), "consensus_params": {
            "block": {"max_bytes": params.max_bytes.to_string(), "max_gas": params.max_gas.to_string()},
            "evidence": {"max_age_num_blocks": "100000", "max_age_duration": "172800000000000", "max_bytes": "1048576"},
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": params.app_version.to_string()},
            "abci": {"vote_extensions_enable_height": "0"},
        }}))
    }

    pub(crate) fn net_info(&self) -> Value {
        json!({"listening": true, "listeners": ["Listener(@)"], "n_peers": "0", "peers": []})
    }

    pub(crate) fn unconfirmed_txs(&self, args: &Args) -> Result<Value> {
        let limit = match args.int("limit")? {
            Some(n) if n >= 1 => usize::try_from(n).map_or(PAGE_MAX, |n| n.min(PAGE_MAX)),
            _ => PAGE_DEFAULT,
        };
        let pool = self.node.pool(limit);
        let txs: Vec<String> = pool.txs.iter().take(limit).map(base64).collect();
        Ok(json!({
            "n_txs": txs.len().to_string(),
            "total": pool.count.to_string(),
            "total_bytes": pool.bytes.to_string(),
            "txs": txs,
        }))
    }

    pub(crate) fn num_unconfirmed_txs(&self) -> Value {
        let pool = self.node.pool(0);
        let count = pool.count.to_string();
        json!({"n_txs": count, "total": count, "total_bytes": pool.bytes.to_string(), "txs": null})
    }
}
