//! Why a node could not be made, or stopped.
use std::io;
use std::path::{Path, PathBuf};

/// What ends a node. Every message names the path, port or value it is about.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// `init` on a home that has files already.
    #[error("genesis.json file already exists: {0}")]
    Initialised(PathBuf),
    /// `start` on a home that has no files yet.
    #[error("no node at {0}: run `braidd init` first ({1} is missing)")]
    NotInitialised(PathBuf, &'static str),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {why}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Another program listens there.
    #[error("cannot listen on {address} for {what}: {source}")]
    Listen {
        /// The service.
        what: &'static str,
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The `cometbft` program is missing.
    #[error("cometbft not found: looked for {0}; install v0.38.26 or give --comet-bin (or use --abci-only)")]
    NoComet(String),
    /// CometBFT ended by itself.
    #[error("cometbft ended: {status}; its log is {log}")]
    CometEnded {
        /// Exit status.
        status: String,
        /// Where it logged.
        log: PathBuf,
    },
    /// A value that cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// The app failed.
    #[error(transparent)]
    App(#[from] app::AppError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] state::StoreError),
    /// State was not exported or imported.
    #[error(transparent)]
    StateFile(#[from] store::StateFileError),
    /// A server did not start.
    #[error(transparent)]
    Server(#[from] rpc::RpcError),
    /// A part of the node failed while it ran.
    #[error("node stopped: {0}")]
    Failed(String),
}

impl NodeError {
    /// For `map_err` on file operations.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::File {
            path: path.into(),
            source,
        }
    }
    /// For files that do not parse.
    pub(crate) fn format(path: &Path, why: impl std::fmt::Display) -> Self {
        Self::Format {
            path: path.into(),
            why: why.to_string(),
        }
    }
}
