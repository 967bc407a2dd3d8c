//! The embedded engine: one process, no CometBFT, the same app. Transactions that pass CheckTx wait in a [`Pool`]; a
//! thread of its own makes a block of what waits, at once or every so often.
mod pool;
mod engine;
mod hash;
mod view;
#[cfg(test)]
mod tests;

pub(crate) use engine::{Solo, SoloOptions};
pub(crate) use view::SoloHandle;
