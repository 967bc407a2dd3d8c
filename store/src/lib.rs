//! Keep state versioned, hashed, provable and durable: IAVL trees and flat state on sled.
//!
//! Reading order: [`iavl`] is one module's tree, byte for byte that of cosmos/iavl v1; [`multistore`] ties the trees
//! of all modules into one app hash; a [`Frozen`] version is what readers hold; [`MemoryStore`] keeps versions in RAM.

pub mod iavl;
pub mod multistore;
mod config;
mod frozen;
mod versions;
mod memory;

pub use config::Config;
pub use frozen::Frozen;
pub use memory::MemoryStore;
pub use versions::Staged;
