//! The bank module as the app lists it.
use crate::{STORE, genesis, messages, query};
use module::{GenesisContext, Message, Module, QueryContext, Result};
use state::StoreId;
use std::{collections::BTreeSet, sync::Arc};
use types::Address;

/// The bank module.
#[derive(Clone, Debug)]
pub struct Bank {
    blocked: Arc<BTreeSet<Address>>,
}

impl Bank {
    /// The module; nobody may send to `blocked` (the modules' accounts).
    pub fn new(blocked: impl IntoIterator<Item = Address>) -> Self {
        Self {
            blocked: Arc::new(blocked.into_iter().collect()),
        }
    }
    /// Who may not be sent to.
    pub fn blocked(&self) -> &BTreeSet<Address> {
        &self.blocked
    }
}

fn boxed<M: Message + 'static>(message: Result<M>) -> Result<Box<dyn Message>> {
    message.map(|m| Box::new(m) as Box<dyn Message>)
}

impl Module for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }
    fn stores(&self) -> &'static [StoreId] {
        &[STORE]
    }
    fn key_name(&self, key: &state::Key) -> Option<module::KeyName> {
        if let Some((who, denom)) = crate::balance::parse_balance_key(key) {
            return Some(module::KeyName::of("balance", who, denom));
        }
        let denom = key.bytes().strip_prefix(&[0])?;
        let denom = std::str::from_utf8(denom).ok()?;
        Some(module::KeyName::shared("supply", denom))
    }
    fn decode(&self, type_url: &str, value: &[u8]) -> Option<Result<Box<dyn Message>>> {
        let blocked = self.blocked.clone();
        match type_url {
            messages::Send::TYPE_URL => Some(boxed(messages::Send::decode(value, blocked))),
            messages::MultiSend::TYPE_URL => Some(boxed(messages::MultiSend::decode(value, blocked))),
            _ => None,
        }
    }
    fn init_genesis(&self, section: &serde_json::Value, ctx: &mut GenesisContext<'_>) -> Result<()> {
        genesis::init(section, ctx)
    }
    fn query(&self, path: &str, data: &[u8], ctx: &QueryContext<'_>) -> Option<Result<Vec<u8>>> {
        query::answer(path.strip_prefix("/cosmos.bank.v1beta1.Query/")?, data, ctx)
    }
    fn export_genesis(&self, ctx: &QueryContext<'_>) -> Result<serde_json::Value> {
        genesis::export(ctx)
    }
}
