//! Turn blocks into state: decode, check, execute, hash, commit.
//!
//! Reading order: `block.rs` is a block from begin to end; `tx.rs` reads transactions; `job.rs` runs one; `settle.rs`
//! does what depends on order; `check.rs`, `proposal.rs`, `early.rs`, `query.rs` and `read.rs` work beside it on
//! snapshots; [`explain`] tells how parallel a block was and why; [`App`] ties them to a store.

mod api;
mod app;
mod cache;
mod block;
mod tx;
mod job;
mod settle;
mod receipt;
mod chain;
mod view;
mod check;
mod proposal;
mod early;
mod learned;
mod query;
mod read;
pub mod explain;
mod snapshots;
mod record;
mod retain;
pub mod genesis;
mod modules;

pub use api::{
    AppError, Block, ChainInitialised, CheckKind, Committed, ConsensusParams, Finalized, Info, InitChain,
    Options, Query, QueryResult, TxPlace, TxResult, ValidatorUpdate, Vote,
};
pub use app::App;
pub use chain::ChainInfo;
pub use early::EarlyStats;
pub use learned::LearnedStats;
pub use modules::stores;
pub use record::{EvmReceipt, StoredBlock, StoredTx};
pub use retain::BlockRetention;
pub use view::StateView;
