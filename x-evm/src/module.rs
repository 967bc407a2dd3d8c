//! The EVM as the app holds it: genesis, block hooks, queries.
use crate::env::{CHAIN_SPEC, Env};
use crate::execute::fatal;
use crate::machine;
use crate::{envelope, genesis, query, revert, writes};
use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_eips::eip4788::BEACON_ROOTS_ADDRESS;
use module::{
    BlockContext, Error, GenesisContext, HookContext, Message, Module, QueryContext, Result, codes,
};
use revm::primitives::hardfork::SpecId;
use state::{Op, StateError, StateScan, StoreId, WriteSet};
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{Address, B256, Bytes};

/// The EVM module.
#[derive(Clone, Debug, Default)]
pub struct Evm {
    blocked: Arc<BTreeSet<Address>>,
}

impl Evm {
    /// An EVM in which nobody may send value to `blocked`: the module accounts.
    pub fn new(blocked: impl IntoIterator<Item = Address>) -> Self {
        Self {
            blocked: Arc::new(blocked.into_iter().collect()),
        }
    }
    /// The rules and the block that the transactions of `block` run under.
    pub fn env(&self, block: &BlockContext) -> Env {
        Env::chain(block, self.blocked.clone())
    }
    /// Who may not be sent value.
    pub fn blocked(&self) -> &BTreeSet<Address> {
        &self.blocked
    }
}

/// What the system calls at a block's begin change: the parent's hash (EIP-2935, from Prague) and the beacon root
/// (EIP-4788, from Cancun). A contract that is not there makes its call do nothing.
pub fn begin_block_writes(
    view: &dyn StateScan,
    env: &Env,
    parent_hash: B256,
    beacon_root: B256,
) -> Result<Vec<WriteSet>, StateError> {
    let calls = [
        (SpecId::PRAGUE, HISTORY_STORAGE_ADDRESS, parent_hash),
        (SpecId::CANCUN, BEACON_ROOTS_ADDRESS, beacon_root),
    ];
    let mut out = Vec::new();
    for (since, to, word) in calls {
        if env.spec().is_enabled_in(since) {
            let data = Bytes::copy_from_slice(word.as_slice());
            out.extend(system_call(view, env, to, data)?.map(|(_, writes)| writes));
        }
    }
    Ok(out)
}

/// Calls the system contract `to` as block hooks do: nobody pays, 30 million gas (EIP-4788, EIP-7002). What it returned
/// and changed; `None` where it failed, and changed nothing.
pub fn system_call(
    view: &dyn StateScan,
    env: &Env,
    to: Address,
    data: Bytes,
) -> Result<Option<(Bytes, WriteSet)>, StateError> {
    let ran = machine::run_system(view, env, to, data).map_err(fatal)?;
    if !ran.result.is_success() {
        return Ok(None);
    }
    let output = ran.result.output().map_or_else(Bytes::new, revert::bytes);
    Ok(Some((
        output,
        writes::as_writes(
            &view,
            env,
            writes::of_changes(&view, env, &ran.state, None, None)?,
        )?,
    )))
}

impl Module for Evm {
    fn name(&self) -> &'static str {
        "evm"
    }

    fn stores(&self) -> &'static [StoreId] {
        &[crate::keys::STORE]
    }

    fn key_name(&self, key: &state::Key) -> Option<::module::KeyName> {
        crate::keys::key_name(key)
    }

    fn decode(&self, type_url: &str, _value: &[u8]) -> Option<Result<Box<dyn Message>>> {
        // The app unwraps the one envelope that is allowed before it asks modules.
        (type_url == envelope::MSG_TYPE).then(|| {
            Err(Error::sdk(
                codes::INVALID_TYPE,
                format!(
                    "{type_url} must be alone in a transaction with {}",
                    envelope::OPTION_TYPE
                ),
            ))
        })
    }

    fn init_genesis(&self, section: &serde_json::Value, ctx: &mut GenesisContext<'_>) -> Result<()> {
        genesis::init(section, ctx)
    }

    fn query(&self, path: &str, data: &[u8], ctx: &QueryContext<'_>) -> Option<Result<Vec<u8>>> {
        query::answer(self, path, data, ctx)
    }

    fn begin_block(&self, ctx: &mut HookContext<'_>) -> Result<()> {
        debug_assert!(
            CHAIN_SPEC.is_enabled_in(SpecId::PRAGUE),
            "the history contract serves BLOCKHASH"
        );
        let env = self.env(ctx.block);
        let (parent, root) = (ctx.block.parent_hash, ctx.block.parent_beacon_root);
        for writes in begin_block_writes(ctx.state.as_scan(), &env, parent, root)? {
            for (key, op) in writes {
                match op {
                    Op::Put(value) => ctx.state.put(key, value),
                    Op::Delete => ctx.state.delete(key),
                    Op::Add(delta) => ctx.state.add(key, delta),
                }
            }
        }
        Ok(())
    }

    fn export_genesis(&self, ctx: &QueryContext<'_>) -> Result<serde_json::Value> {
        genesis::export(ctx)
    }
}
