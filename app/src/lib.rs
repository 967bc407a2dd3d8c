//! Turn blocks into state: decode, check, execute, hash, commit.

mod api;
mod record;

pub use api::{
    AppError, Block, ChainInitialised, CheckKind, Committed, ConsensusParams, Finalized, Info, InitChain, Options,
    Query, QueryResult, TxPlace, TxResult, ValidatorUpdate, Vote,
};
pub use record::{EvmReceipt, StoredBlock, StoredTx};
