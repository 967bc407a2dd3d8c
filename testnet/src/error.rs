//! Why a network does not come up, or does not answer.
use std::path::{Path, PathBuf};

/// Why a network does not come up, or does not answer.
#[derive(Debug, thiserror::Error)]
pub enum TestnetError {
    /// The manifest cannot be.
    #[error("{0}")]
    Invalid(String),
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// A file's content.
    #[error("{path}: {why}")]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A node's files could not be made.
    #[error(transparent)]
    Node(#[from] node::NodeError),
    /// A node ended by itself.
    #[error("node {index} ended ({status}): see {log}")]
    Ended {
        /// Which.
        index: usize,
        /// How.
        status: String,
        /// Its log.
        log: PathBuf,
    },
    /// A node's RPC did not answer, or answered with an error.
    #[error("{url}: {why}")]
    Rpc {
        /// Who was asked.
        url: String,
        /// What came back.
        why: String,
    },
    /// Something did not come in time.
    #[error("timed out after {seconds} s: {what}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
}

impl TestnetError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File {
            path: path.into(),
            source,
        }
    }
    pub(crate) fn format(path: &Path, why: impl ToString) -> Self {
        Self::Format {
            path: path.into(),
            why: why.to_string(),
        }
    }
}
