//! Methods about blocks and transactions, answered from the app's own records.
use super::args::Args;
use super::error::{Error, Result};
use super::info::page;
use super::merkle::{data_hash, params_hash, results_hash, root, tx_hash, validators_hash};
use super::search::{self, Condition};
use super::shapes::{base64, block_id, events, hex_upper, no_block_id, tx_result, validator_update};
use super::Comet;
use app::{StoredBlock, StoredTx};
use serde_json::{Value, json};
use std::sync::Arc;
use types::B256;

/// Blocks that a search looks through: each is a record to decode, some microseconds.
const SCAN_MAX: u64 = 100_000;
/// Transactions that a search finds, at most: each is an answer to sort.
const FOUND_MAX: usize = 100_000;

/// A transaction's place: the block, and the index in it.
type Place = (Arc<StoredBlock>, usize);

fn hash32(bytes: &[u8], name: &str) -> Result<B256> {
    B256::try_from(bytes).map_err(|_| Error::params(format!("{name} has {} bytes, want 32", bytes.len())))
}

impl Comet {
    /// The header in CometBFT's shape, derived from the app's record: the solo engine has no other. `block_id` is the
    /// engine's; it is not the hash of this header.
    fn header(&self, block: &StoredBlock) -> Result<Value> {
        let height = block.header.number;
        let first = height <= self.chain.initial_height();
        let parent = self.known_block(height.saturating_sub(1))?;
        let info = self.info()?;
        let set = |height| self.validator_set(height).map(|set| hex_upper(validators_hash(&set)));
        let results = if first { root(&[]) } else { results_hash(parent.txs.iter().map(|t| &t.result)) };
        Ok(json!({
            "version": {"block": "11", "app": info.params.app_version.to_string()},
            "chain_id": &*info.chain_id,
            "height": height.to_string(),
            "time": block.time.rfc3339(),
            "last_block_id": if first { no_block_id() } else { block_id(&parent) },
            "last_commit_hash": hex_upper(root(&[])),
            "data_hash": hex_upper(data_hash(block.txs.iter().map(|t| &t.raw))),
            "validators_hash": set(height)?,
            "next_validators_hash": set(height + 1)?,
            "consensus_hash": hex_upper(params_hash(info.params.max_bytes, info.params.max_gas)),
            "app_hash": hex_upper(parent.header.state_root),
            "last_results_hash": hex_upper(results),
            "evidence_hash": hex_upper(root(&[])),
            "proposer_address": hex_upper(block.proposer),
        }))
    }

    fn block_json(&self, block: &StoredBlock) -> Result<Value> {
        let height = block.header.number;
        let (last, id) = if height <= self.chain.initial_height() {
            (0, no_block_id())
        } else {
            (height - 1, block_id(&*self.known_block(height - 1)?))
        };
        let txs: Vec<String> = block.txs.iter().map(|t| base64(&t.raw)).collect();
        Ok(json!({
            "block_id": block_id(block),
            "block": {
                "header": self.header(block)?,
                "data": {"txs": txs},
                "evidence": {"evidence": []},
                "last_commit": {"height": last.to_string(), "round": 0, "block_id": id, "signatures": []},
            },
        }))
    }

    /// The block that the parameter `height` names; the newest without it.
    fn block_at(&self, args: &Args) -> Result<Arc<StoredBlock>> {
        self.known_block(self.height(args, self.head())?)
    }

    pub(crate) fn block(&self, args: &Args) -> Result<Value> {
        self.block_json(&*self.block_at(args)?)
    }

    pub(crate) fn header_at(&self, args: &Args) -> Result<Value> {
        Ok(json!({"header": self.header(&*self.block_at(args)?)?}))
    }

    pub(crate) fn block_by_hash(&self, args: &Args) -> Result<Value> {
        let hash = hash32(&args.bytes("hash")?, "hash")?;
        match self.chain.find_block(&hash)?.filter(|h| *h >= self.chain.initial_height()) {
            // CometBFT answers so, without an error.
            None => Ok(json!({"block_id": no_block_id(), "block": null})),
            Some(height) => self.block_json(&*self.known_block(height)?),
        }
    }

    pub(crate) fn block_results(&self, args: &Args) -> Result<Value> {
        let block = self.block_at(args)?;
        let list = |all: Vec<Value>| if all.is_empty() { Value::Null } else { Value::Array(all) };
        Ok(json!({
            "height": block.header.number.to_string(),
            "txs_results": list(block.txs.iter().map(|t| tx_result(&t.result)).collect()),
            "finalize_block_events": events(&block.events),
            "validator_updates": list(block.validator_updates.iter().map(validator_update).collect()),
            "consensus_param_updates": null,
            "app_hash": base64(block.header.state_root),
        }))
    }

    fn tx_json((block, index): &Place) -> Result<Value> {
        let Some(StoredTx { raw, result, .. }) = block.txs.get(*index) else {
            return Err(Error::internal(format!("block {} has no transaction {index}", block.header.number)));
        };
        Ok(json!({
            "hash": hex_upper(tx_hash(raw)),
            "height": block.header.number.to_string(),
            "index": index,
            "tx_result": tx_result(result),
            "tx": base64(raw),
        }))
    }

    /// Finds a transaction by its CometBFT hash; Ethereum's works as well.
    pub(crate) fn find(&self, hash: &B256) -> Result<Option<Place>> {
        let Some(place) = self.chain.find_tx(hash)? else { return Ok(None) };
        Ok(Some((self.known_block(place.height)?, place.index as usize)))
    }

    pub(crate) fn tx(&self, args: &Args) -> Result<Value> {
        let bytes = args.bytes("hash")?;
        let found = match B256::try_from(bytes.as_slice()) {
            Ok(hash) => self.find(&hash)?,
            Err(_) => None,
        };
        match found {
            Some(place) => Self::tx_json(&place),
            None => Err(Error::internal(format!("tx ({}) not found", hex_upper(&bytes)))),
        }
    }

    pub(crate) fn tx_search(&self, args: &Args) -> Result<Value> {
        let query = search::parse(&args.text("query")?).map_err(Error::internal)?;
        let descending = match args.text("order_by")?.as_str() {
            "desc" => true,
            "asc" | "" => false,
            _ => return Err(Error::internal("expected order_by to be either `asc` or `desc` or empty")),
        };
        let mut found = self.search(&query)?;
        if descending {
            found.reverse();
        }
        let shown: Result<Vec<Value>> = found[page(args, found.len())?].iter().map(Self::tx_json).collect();
        Ok(json!({"txs": shown?, "total_count": found.len().to_string()}))
    }

    /// The transactions that meet all conditions, in block order.
    fn search(&self, query: &[Condition]) -> Result<Vec<Place>> {
        if let Some(hash) = query.iter().find(|c| c.key == "tx.hash").and_then(Condition::exactly) {
            let Ok(hash) = hash.trim_start_matches("0x").parse::<B256>() else {
                return Err(Error::internal(format!("error during searching for a hash in the query: {hash:?}")));
            };
            let place = self.find(&hash)?;
            return Ok(place.into_iter().filter(|p| passes(query, p)).collect());
        }
        let all = (self.chain.initial_height(), self.chain.height());
        let (low, high) = query.iter().filter(|c| c.key == "tx.height").fold(all, |range, c| c.narrow(range));
        if low > high {
            return Ok(Vec::new());
        }
        if high - low >= SCAN_MAX {
            return Err(Error::internal(format!(
                "the query spans {} blocks, {low} to {high}, at most {SCAN_MAX}: add conditions on tx.height",
                high - low + 1
            )));
        }
        let mut found = Vec::new();
        for height in low..=high {
            let Some(block) = self.chain.block(height)? else { continue };
            found.extend((0..block.txs.len()).map(|i| (block.clone(), i)).filter(|p| passes(query, p)));
            if found.len() > FOUND_MAX {
                return Err(Error::internal(format!("more than {FOUND_MAX} transactions found: narrow the query")));
            }
        }
        Ok(found)
    }
}

fn passes(query: &[Condition], (block, index): &Place) -> bool {
    let Some(tx) = block.txs.get(*index) else { return false };
    query.iter().all(|condition| match condition.key.as_str() {
        // Found by it already; Ethereum's hash is allowed there too.
        "tx.hash" => true,
        "tx.height" => condition.matches([block.header.number.to_string().as_str()].into_iter()),
        key => condition.matches(tx.result.events.iter().flat_map(|event| {
            let attribute = key.strip_prefix(event.kind.as_str()).and_then(|rest| rest.strip_prefix('.'));
            event.attributes.iter().filter(move |(k, _)| attribute == Some(k.as_str())).map(|(_, v)| v.as_str())
        })),
    })
}
