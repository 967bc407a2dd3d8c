//! Methods about transactions: one by its hash, many by what they did.
use super::Comet;
use super::args::Args;
use super::error::{Error, Result};
use super::info::page;
use super::merkle::tx_hash;
use super::search::{self, Condition};
use super::shapes::{base64, hex_upper, tx_result};
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

impl Comet {
    fn tx_json((block, index): &Place) -> Result<Value> {
        let Some(StoredTx { raw, result, .. }) = block.txs.get(*index) else {
            return Err(Error::internal(format!(
                "block {} has no transaction {index}",
                block.header.number
            )));
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
        let Some(place) = self.chain.find_tx(hash)? else {
            return Ok(None);
        };
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
            _ => {
                return Err(Error::internal(
                    "expected order_by to be either `asc` or `desc` or empty",
                ));
            }
        };
        let mut found = self.search(&query)?;
        if descending {
            found.reverse();
        }
        let shown: Result<Vec<Value>> = found[page(args, found.len())?]
            .iter()
            .map(Self::tx_json)
            .collect();
        Ok(json!({"txs": shown?, "total_count": found.len().to_string()}))
    }

    /// The transactions that meet all conditions, in block order.
    fn search(&self, query: &[Condition]) -> Result<Vec<Place>> {
        if let Some(hash) = query
            .iter()
            .find(|c| c.key == "tx.hash")
            .and_then(Condition::exactly)
        {
            let Ok(hash) = hash.trim_start_matches("0x").parse::<B256>() else {
                return Err(Error::internal(format!(
                    "error during searching for a hash in the query: {hash:?}"
                )));
            };
            let place = self.find(&hash)?;
            return Ok(place.into_iter().filter(|p| passes(query, p)).collect());
        }
        let all = (self.chain.initial_height(), self.chain.height());
        let (low, high) = query
            .iter()
            .filter(|c| c.key == "tx.height")
            .fold(all, |range, c| c.narrow(range));
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
            let Some(block) = self.chain.block(height)? else {
                continue;
            };
            found.extend(
                (0..block.txs.len())
                    .map(|i| (block.clone(), i))
                    .filter(|p| passes(query, p)),
            );
            if found.len() > FOUND_MAX {
                return Err(Error::internal(format!(
                    "more than {FOUND_MAX} transactions found: narrow the query"
                )));
            }
        }
        Ok(found)
    }
}

fn passes(query: &[Condition], (block, index): &Place) -> bool {
    let Some(tx) = block.txs.get(*index) else {
        return false;
    };
    query.iter().all(|condition| match condition.key.as_str() {
        // Found by it already; Ethereum's hash is allowed there too.
        "tx.hash" => true,
        "tx.height" => condition.matches([block.header.number.to_string().as_str()].into_iter()),
        key => condition.matches(tx.result.events.iter().flat_map(|event| {
            let attribute = key
                .strip_prefix(event.kind.as_str())
                .and_then(|rest| rest.strip_prefix('.'));
            event
                .attributes
                .iter()
                .filter(move |(k, _)| attribute == Some(k.as_str()))
                .map(|(_, v)| v.as_str())
        })),
    })
}
