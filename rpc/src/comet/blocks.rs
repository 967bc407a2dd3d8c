//! Methods about blocks, answered from the app's own records.
use super::Comet;
use super::args::Args;
use super::error::{Error, Result};
use super::merkle::{data_hash, params_hash, results_hash, root, validators_hash};
use super::shapes::{base64, block_id, events, hex_upper, no_block_id, tx_result, validator_update};
use app::StoredBlock;
use serde_json::{Value, json};
use std::sync::Arc;
use types::B256;

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
        let set = |height| {
            self.validator_set(height)
                .map(|set| hex_upper(validators_hash(&set)))
        };
        let results = if first {
            root(&[])
        } else {
            results_hash(parent.txs.iter().map(|t| &t.result))
        };
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
            let parent = self.known_block(height - 1)?;
            (height - 1, block_id(&parent))
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
        let block = self.block_at(args)?;
        self.block_json(&block)
    }

    pub(crate) fn header_at(&self, args: &Args) -> Result<Value> {
        let block = self.block_at(args)?;
        Ok(json!({"header": self.header(&block)?}))
    }

    pub(crate) fn block_by_hash(&self, args: &Args) -> Result<Value> {
        let hash = hash32(&args.bytes("hash")?, "hash")?;
        match self
            .chain
            .find_block(&hash)?
            .filter(|h| *h >= self.chain.initial_height())
        {
            // CometBFT answers so, without an error.
            None => Ok(json!({"block_id": no_block_id(), "block": null})),
            Some(height) => {
                let block = self.known_block(height)?;
                self.block_json(&block)
            }
        }
    }

    pub(crate) fn block_results(&self, args: &Args) -> Result<Value> {
        let block = self.block_at(args)?;
        let list = |all: Vec<Value>| {
            if all.is_empty() {
                Value::Null
            } else {
                Value::Array(all)
            }
        };
        Ok(json!({
            "height": block.header.number.to_string(),
            "txs_results": list(block.txs.iter().map(|t| tx_result(&t.result)).collect()),
            "finalize_block_events": events(&block.events),
            "validator_updates": list(block.validator_updates.iter().map(validator_update).collect()),
            "consensus_param_updates": null,
            "app_hash": base64(block.header.state_root),
        }))
    }
}
