//! The module as the app holds it.
use crate::hooks::StakingHooks;
use crate::{export, genesis, history, index, keys, mature, msg, query, updates};
use module::{GenesisContext, HookContext, Message, Module, QueryContext, Result, TxContext};
use state::StoreId;
use std::sync::Arc;

/// The staking module.
#[derive(Clone, Debug)]
pub struct Staking {
    hooks: Arc<dyn StakingHooks>,
}

impl Staking {
    /// The module; `hooks` hear what happens to stake ([`crate::NoHooks`] where nobody needs to).
    pub fn new(hooks: Arc<dyn StakingHooks>) -> Self {
        Self { hooks }
    }

    /// To be called once the messages of genesis transactions have run, with their deferred changes applied: brings
    /// the validator set up to date and reports it.
    pub fn finish_gen_txs(&self, ctx: &mut GenesisContext<'_>) -> Result<()> {
        let mut events = Vec::new();
        let mut tx = TxContext {
            block: ctx.block,
            state: &mut *ctx.state,
            events: &mut events,
        };
        index::settle(&mut tx)?;
        let updates = updates::apply(&mut tx, &*self.hooks)?;
        ctx.validator_updates.extend(updates);
        Ok(())
    }
}

impl Module for Staking {
    fn name(&self) -> &'static str {
        "staking"
    }
    fn stores(&self) -> &'static [StoreId] {
        &[keys::STORE]
    }
    fn key_name(&self, key: &state::Key) -> Option<module::KeyName> {
        keys::key_name(key)
    }
    fn decode(&self, type_url: &str, value: &[u8]) -> Option<Result<Box<dyn Message>>> {
        msg::decode(type_url, value, &self.hooks)
    }
    fn init_genesis(&self, section: &serde_json::Value, ctx: &mut GenesisContext<'_>) -> Result<()> {
        genesis::init(section, ctx, &*self.hooks)
    }
    fn query(&self, path: &str, data: &[u8], ctx: &QueryContext<'_>) -> Option<Result<Vec<u8>>> {
        query::answer(path.strip_prefix("/cosmos.staking.v1beta1.Query/")?, data, ctx)
    }
    fn begin_block(&self, ctx: &mut HookContext<'_>) -> Result<()> {
        history::track(ctx.block, ctx.state)
    }
    fn end_block(&self, ctx: &mut HookContext<'_>) -> Result<()> {
        let mut tx = TxContext {
            block: ctx.block,
            state: &mut *ctx.state,
            events: &mut *ctx.events,
        };
        index::settle(&mut tx)?;
        // The set before the queues: with an instant unbonding time a validator passes through both in one block.
        let updates = updates::apply(&mut tx, &*self.hooks)?;
        mature::validators(&mut tx, &*self.hooks)?;
        mature::unbondings(&mut tx)?;
        mature::redelegations(&mut tx)?;
        ctx.validator_updates.extend(updates);
        Ok(())
    }
    fn export_genesis(&self, ctx: &QueryContext<'_>) -> Result<serde_json::Value> {
        export::export(ctx)
    }
}
