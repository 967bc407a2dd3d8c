//! Start, load, break and check a network of real nodes from a TOML manifest.
//!
//! Reading order: a [`Manifest`] says what the network is; [`Network`] is its homes on disk; [`Running`] its processes:
//! each node is a `braidd start` with a CometBFT of its own, on loopback.

mod manifest;
mod network;
mod running;
mod ask;
mod error;

pub use ask::{NodeStatus, ask, eth, status};
pub use error::TestnetError;
pub use manifest::{Manifest, NodeManifest};
pub use network::{Member, Network, Ports};
pub use running::{Programs, Running, stop};
