//! What a method works with, and how block names become heights and state.
use super::JsonRpcOptions;
use super::args::BlockId;
use super::error::{RpcResult, app, header_not_found, internal, server};
use crate::{Chain, State, Submit};
use app::{ChainInfo, StoredBlock};
use module::BlockContext;
use std::sync::Arc;

/// What a method works with.
#[derive(Clone)]
pub(crate) struct Ctx {
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) submit: Arc<dyn Submit>,
    pub(crate) options: Arc<JsonRpcOptions>,
}

impl Ctx {
    /// The chain's names.
    pub(crate) fn info(&self) -> RpcResult<Arc<ChainInfo>> {
        self.chain
            .info()
            .ok_or_else(|| server("the chain has no genesis yet"))
    }
    /// The newest block's number: genesis before the first block.
    pub(crate) fn head(&self) -> u64 {
        self.chain
            .height()
            .max(self.chain.initial_height().saturating_sub(1))
    }
    /// The height that `id` names, where there is such a block.
    pub(crate) fn height(&self, id: BlockId) -> RpcResult<Option<u64>> {
        let head = self.head();
        Ok(match id {
            BlockId::Latest | BlockId::Pending => Some(head),
            BlockId::Earliest => Some(self.chain.initial_height().saturating_sub(1)),
            BlockId::Number(n) => (n <= head).then_some(n),
            BlockId::Hash(hash) => self.chain.find_block(&hash).map_err(app)?,
        })
    }
    /// The block that `id` names.
    pub(crate) fn block(&self, id: BlockId) -> RpcResult<Option<Arc<StoredBlock>>> {
        match self.height(id)? {
            None => Ok(None),
            Some(h) => self.chain.block(h).map_err(app),
        }
    }
    /// A block that must be there, since the chain has passed it.
    pub(crate) fn known_block(&self, height: u64) -> RpcResult<Arc<StoredBlock>> {
        self.chain
            .block(height)
            .map_err(app)?
            .ok_or_else(|| server(format!("block {height} is not available")))
    }
    /// State after the block that `id` names.
    pub(crate) fn state(&self, id: BlockId) -> RpcResult<State> {
        let height = match id {
            BlockId::Latest | BlockId::Pending => 0,
            other => self.height(other)?.ok_or_else(header_not_found)?,
        };
        self.state_at(height, id)
    }
    fn state_at(&self, height: u64, id: BlockId) -> RpcResult<State> {
        let latest = matches!(id, BlockId::Latest | BlockId::Pending);
        // Genesis state is committed with the first block and kept under no height of its own.
        if !latest && height < self.chain.initial_height() && self.chain.height() != 0 {
            return Err(server(format!(
                "state of block {height} is not available: genesis is part of the first block"
            )));
        }
        let genesis = height < self.chain.initial_height();
        self.chain.state_at(if genesis { 0 } else { height }).map_err(app)
    }
    /// State and block environment for a simulation on top of the block that `id` names.
    pub(crate) fn environment(&self, id: BlockId) -> RpcResult<(State, BlockContext)> {
        if id == BlockId::Pending {
            return Ok((self.state(id)?, self.chain.next_context().map_err(app)?));
        }
        let height = self.height(id)?.ok_or_else(header_not_found)?;
        let context = if self.chain.height() == 0 {
            self.chain.next_context().map_err(app)?
        } else {
            self.chain.context_at(height).map_err(app)?
        };
        // The same height for both, also where a block is committed in between.
        let id = if height < self.chain.initial_height() {
            id
        } else {
            BlockId::Number(height)
        };
        Ok((self.state_at(height, id)?, context))
    }
}

/// Writes what serde knows as JSON.
pub(crate) fn json<T: serde::Serialize>(value: T) -> RpcResult<serde_json::Value> {
    serde_json::to_value(value).map_err(internal)
}

/// Writes a quantity: `0x` and hex without leading zeros.
pub(crate) fn hex_u64(value: u64) -> serde_json::Value {
    format!("{value:#x}").into()
}
