//! CometBFT's JSON-RPC errors (rpc/jsonrpc/types/types.go).
use serde_json::{Value, json};
use std::fmt::Display;

/// Result of a method.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// An error as CometBFT writes it: a fixed message, and the reason in `data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    pub(crate) code: i32,
    message: &'static str,
    data: String,
}

impl Error {
    /// What CometBFT answers whenever a method returns an error.
    pub(crate) fn internal(why: impl Display) -> Self {
        Self {
            code: -32603,
            message: "Internal error",
            data: why.to_string(),
        }
    }
    /// Parameters that do not decode.
    pub(crate) fn params(why: impl Display) -> Self {
        Self {
            code: -32602,
            message: "Invalid params",
            data: why.to_string(),
        }
    }
    /// Not a request.
    pub(crate) fn request(why: impl Display) -> Self {
        Self {
            code: -32600,
            message: "Invalid Request",
            data: why.to_string(),
        }
    }
    /// Not JSON.
    pub(crate) fn parse(why: impl Display) -> Self {
        Self {
            code: -32700,
            message: "Parse error. Invalid JSON",
            data: why.to_string(),
        }
    }
    /// Not served.
    pub(crate) fn method() -> Self {
        Self {
            code: -32601,
            message: "Method not found",
            data: String::new(),
        }
    }
    /// The member `error` of the answer.
    pub(crate) fn to_json(&self) -> Value {
        if self.data.is_empty() {
            json!({"code": self.code, "message": self.message})
        } else {
            json!({"code": self.code, "message": self.message, "data": self.data})
        }
    }
}

impl From<app::AppError> for Error {
    fn from(error: app::AppError) -> Self {
        Self::internal(error)
    }
}
