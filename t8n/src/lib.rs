//! Run one Ethereum block given as JSON on the chain's own executor, as geth's `evm t8n` does.
//!
//! Reading order: an [`Input`] is what geth reads, [`Output`] what it writes; [`run`] turns one into the other with the
//! executor and the EVM that the chain runs on; [`Fork`] names the rules. A [`Chain`] does so with blocks in RLP, one after
//! another.

mod number;
mod fork;
mod difficulty;
mod input;
mod tx;
mod alloc;
mod transition;
mod job;
mod requests;
mod reason;
mod result;
mod header;
mod chain;

pub use alloc::{Account, Alloc, state_root};
pub use chain::{Block, Chain, Refused};
pub use fork::{FORKS, Fork};
pub use input::{BlockEnv, Ommer};
pub use result::{Output, Receipt, ReceiptLog, Rejected, Report};
pub use transition::{Input, run};
pub use tx::{Decoded, body, from_json, from_list, from_raw};

/// Why there is no result. Codes are geth's (`cmd/evm/internal/t8ntool`): they are the process's exit code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The block could not be run.
    #[error("ERROR(2): {0}")]
    Evm(String),
    /// Fork and environment do not fit.
    #[error("ERROR(3): {0}")]
    Config(String),
    /// Not the JSON that is wanted.
    #[error("ERROR(10): {0}")]
    Json(String),
    /// A file could not be read or written.
    #[error("ERROR(11): {0}")]
    Io(String),
    /// Not the RLP that is wanted.
    #[error("ERROR(12): {0}")]
    Rlp(String),
}

impl Error {
    /// The process's exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Evm(_) => 2,
            Self::Config(_) => 3,
            Self::Json(_) => 10,
            Self::Io(_) => 11,
            Self::Rlp(_) => 12,
        }
    }
}
