//! Keep state versioned, hashed, provable and durable: IAVL trees and flat state on sled.
//!
//! Reading order: [`iavl`] is one module's tree, byte for byte that of cosmos/iavl v1; [`multistore`] ties the trees of
//! all modules into one app hash; a [`Frozen`] version is what readers hold; `versions.rs` stages blocks and keeps recent
//! versions. [`MemoryStore`] is that and nothing more. [`DiskStore`] adds the journal (`record.rs`, `journal.rs`) in a
//! database ([`backend`]), the checkpoints, the way back to old heights (`history.rs`) and the writing behind
//! (`writer.rs`); how they work together stands above `disk.rs` and `open.rs`. What is kept is said in `retain.rs`, and
//! let go of by `prune.rs`.

pub mod iavl;
pub mod multistore;
pub mod backend;
mod background;
mod points;
mod config;
mod frozen;
mod versions;
mod memory;
mod codec;
mod record;
mod journal;
mod head;
mod checkpoint;
mod history;
mod flat;
mod view;
mod writer;
mod disk;
mod stats;
mod verify;
mod snapshot;
mod open;
mod retain;
mod prune;
mod rollback;
mod aside;
pub mod vectors;

pub use aside::SetAside;
pub use config::{Commit, Config, Damaged};
pub use disk::DiskStore;
pub use flat::{Flat, HistoryStats, SegmentStats};
pub use frozen::Frozen;
pub use memory::MemoryStore;
pub use points::{Point, Points};
pub use retain::{Pruning, PruningError};
pub use snapshot::StateFileError;
pub use stats::{Stats, TreeStats};
pub use verify::Audit;
pub use versions::Staged;
pub use view::View;
