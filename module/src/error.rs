//! Why module code stopped: the sender's fault, or the node's.
use state::StateError;

/// Result of module code.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a message, a check or a query failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The sender's fault. The transaction gets this code; its writes are dropped save fee and nonce.
    #[error("{message}")]
    Rejected {
        /// The refusing module, as the SDK names it: `sdk`, `bank`, `staking`.
        codespace: &'static str,
        /// Stable within the codespace: clients match on it.
        code: u32,
        /// For people, with the values in it.
        message: String,
    },
    /// State could not be read: the node's fault. Stops the block.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Error {
    /// A rejection in codespace `sdk` (see [`codes`]).
    pub fn sdk(code: u32, message: impl Into<String>) -> Self {
        Self::Rejected {
            codespace: "sdk",
            code,
            message: message.into(),
        }
    }
    /// A rejection in a module's codespace.
    pub fn module(codespace: &'static str, code: u32, message: impl Into<String>) -> Self {
        Self::Rejected {
            codespace,
            code,
            message: message.into(),
        }
    }
    /// The SDK's form of a gRPC `NotFound` from a query, which CosmJS matches on.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::sdk(
            codes::KEY_NOT_FOUND,
            format!("rpc error: code = NotFound desc = {what}: key not found"),
        )
    }
    /// The SDK's form of a gRPC `InvalidArgument` from a query.
    pub fn invalid_argument(what: impl std::fmt::Display) -> Self {
        Self::sdk(
            codes::INVALID_REQUEST,
            format!("rpc error: code = InvalidArgument desc = {what}: invalid request"),
        )
    }
}

/// Codes of codespace `sdk` (cosmos-sdk types/errors/errors.go).
pub mod codes {
    #![allow(missing_docs, reason = "the SDK's names say it")]
    pub const TX_DECODE: u32 = 2;
    pub const INVALID_SEQUENCE: u32 = 3;
    pub const UNAUTHORIZED: u32 = 4;
    pub const INSUFFICIENT_FUNDS: u32 = 5;
    pub const UNKNOWN_REQUEST: u32 = 6;
    pub const INVALID_ADDRESS: u32 = 7;
    pub const INVALID_PUBKEY: u32 = 8;
    pub const UNKNOWN_ADDRESS: u32 = 9;
    pub const INVALID_COINS: u32 = 10;
    pub const OUT_OF_GAS: u32 = 11;
    pub const MEMO_TOO_LARGE: u32 = 12;
    pub const INSUFFICIENT_FEE: u32 = 13;
    pub const TOO_MANY_SIGNATURES: u32 = 14;
    pub const NO_SIGNATURES: u32 = 15;
    pub const INVALID_REQUEST: u32 = 18;
    pub const TX_IN_MEMPOOL: u32 = 19;
    pub const MEMPOOL_FULL: u32 = 20;
    pub const TX_TOO_LARGE: u32 = 21;
    pub const KEY_NOT_FOUND: u32 = 22;
    pub const INVALID_HEIGHT: u32 = 26;
    pub const INVALID_CHAIN_ID: u32 = 28;
    pub const INVALID_TYPE: u32 = 29;
    pub const TX_TIMEOUT_HEIGHT: u32 = 30;
    pub const UNKNOWN_EXTENSION: u32 = 31;
    pub const WRONG_SEQUENCE: u32 = 32;
    pub const LOGIC: u32 = 35;
    pub const NOT_SUPPORTED: u32 = 37;
    pub const INVALID_GAS_LIMIT: u32 = 41;
}
