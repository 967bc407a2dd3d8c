//! Say what a module is, and hold many of different types in one list.

mod context;
mod error;
mod message;

pub use context::{BlockContext, GenesisContext, HookContext, QueryContext, TxContext, ValidatorUpdate, Vote};
pub use error::{Error, Result, codes};
pub use message::{Message, Module, Response};
pub use state::Access;
