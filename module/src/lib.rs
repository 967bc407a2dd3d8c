//! Say what a module is, and hold many of different types in one list.

mod context;
mod error;
mod key_name;
mod message;
mod page;
mod strict;

pub use context::{
    BlockContext, GenesisContext, HookContext, QueryContext, TxContext, ValidatorUpdate, Vote,
};
pub use error::{Error, Result, codes};
pub use key_name::KeyName;
pub use message::{Message, Module, Response};
pub use page::{PAGE_LIMIT, WALK_LIMIT, paginate};
pub use state::Access;
pub use strict::{decode_strict, from_proto_coin, from_proto_coins, to_proto_coin};
