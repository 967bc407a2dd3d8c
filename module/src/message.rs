//! Messages and modules as the app holds them.
use crate::{BlockContext, GenesisContext, HookContext, QueryContext, Result, TxContext};
use state::{Access, StateRead, StoreId};
use std::fmt::Debug;
use types::{Address, ChainConfig};

/// What a message answers with: goes into the transaction's `TxMsgData`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The response's protobuf type, such as `/cosmos.bank.v1beta1.MsgSendResponse`.
    pub type_url: &'static str,
    /// Its encoding.
    pub value: Vec<u8>,
}

/// A decoded native message.
pub trait Message: Debug + Send + Sync {
    /// Its protobuf type, with the leading slash.
    fn type_url(&self) -> &'static str;
    /// Checks that need no state (the SDK's `ValidateBasic`). Runs in `CheckTx` and before execution.
    fn validate(&self, config: &ChainConfig) -> Result<()>;
    /// Who must have signed, without repeats, in the SDK's order. Only called after `validate`.
    fn signers(&self, config: &ChainConfig) -> Result<Vec<Address>>;
    /// What it is expected to touch, given the state at block start. Only called after `validate`.
    fn access(&self, block: &BlockContext, state: &dyn StateRead) -> Access;
    /// Gas, by a static schedule over the message's own bytes and item counts: never over what state holds.
    fn gas(&self) -> u64;
    /// Its amino JSON, `{"type": …, "value": …}` with integers as strings, for `SIGN_MODE_LEGACY_AMINO_JSON`;
    /// `None` where it can only be signed directly. The order of keys does not matter: the signer sorts them.
    fn amino_json(&self) -> Option<serde_json::Value> {
        None
    }
    /// Runs it.
    fn execute(&self, ctx: &mut TxContext<'_>) -> Result<Response>;
}

/// A part of the state machine: its genesis, its messages, its block hooks, its queries. Calls between modules are
/// plain function calls, not through this trait.
pub trait Module: Debug + Send + Sync + 'static {
    /// Names the module's section in genesis.
    fn name(&self) -> &'static str;
    /// The stores it owns, whose names enter the app hash.
    fn stores(&self) -> &'static [StoreId];
    /// Reads a message; `None` where `type_url` is not this module's. Refuses unknown fields and trailing bytes.
    fn decode(&self, type_url: &str, value: &[u8]) -> Option<Result<Box<dyn Message>>>;
    /// Writes the genesis state from the module's section of `app_state` (`null` where it is missing).
    fn init_genesis(&self, section: &serde_json::Value, ctx: &mut GenesisContext<'_>) -> Result<()>;
    /// Answers a query with its protobuf response; `None` where `path` (`/package.Service/Method`) is not this
    /// module's.
    fn query(&self, path: &str, data: &[u8], ctx: &QueryContext<'_>) -> Option<Result<Vec<u8>>>;
    /// Runs before a block's transactions, alone.
    fn begin_block(&self, _ctx: &mut HookContext<'_>) -> Result<()> {
        Ok(())
    }
    /// Runs after a block's transactions, alone.
    fn end_block(&self, _ctx: &mut HookContext<'_>) -> Result<()> {
        Ok(())
    }
    /// What one of its keys holds, for people; `None` where there is no name for it.
    fn key_name(&self, _key: &state::Key) -> Option<crate::KeyName> {
        None
    }
    /// The state as a genesis section that `init_genesis` reads back.
    fn export_genesis(&self, ctx: &QueryContext<'_>) -> Result<serde_json::Value>;
}
