//! Put the parts together: under CometBFT, or with the embedded solo engine.
//!
//! Reading order: [`Home`] says where files are; [`init`] makes them; [`start`] runs a node under CometBFT; [`dev`]
//! runs one on its own. All of them end when [`Stop`] says so, or with the [`NodeError`] that ended them.

mod home;
mod keys;
mod genesis;
mod comet_config;
mod store_config;
mod app_config;
mod init;
mod stop;
mod start;
mod supervise;
mod comet_client;
mod dev;
mod solo;
mod retention;
mod open;
mod rollback;
mod inspect;
mod state_file;
mod clock;
mod error;

pub use app::genesis::GenesisAccount;
pub use app_config::{AppConfig, Execution, ExecutorKind, StateSync};
pub use comet_config::{CometConfig, CometStateSync};
pub use dev::{DevOptions, dev};
pub use error::NodeError;
pub use genesis::{ChainSpec, Validator, genesis};
pub use home::Home;
pub use init::{HomeFiles, InitOptions, Initialised, init, write_home};
pub use inspect::{Verified, store_stats, verify_store};
pub use keys::NodeKeys;
pub use retention::{Count, KeepOptions};
pub use rollback::{RollbackOptions, prune, rollback};
pub use start::{Endpoints, StartOptions, start};
pub use state_file::{export_state, import_state};
pub use stop::{Stop, StopReason};
pub use store::Pruning;
pub use store_config::{CommitKind, DatabaseKind, StoreConfig};
