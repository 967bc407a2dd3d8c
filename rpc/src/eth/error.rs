//! JSON-RPC errors with the codes and texts that geth gives, since tools match on them.
use crate::gate::GateError;
use app::AppError;
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::types::error::{INTERNAL_ERROR_CODE, INVALID_PARAMS_CODE};
use state::{StateError, StoreError};
use std::fmt::Display;
use types::Bytes;

/// Result of a method.
pub(crate) type RpcResult<T> = Result<T, ErrorObjectOwned>;

/// geth's code for everything that the request itself does not explain.
const SERVER: i32 = -32000;
/// EIP-1474 `Limit exceeded`: the node has too much to do; trying again helps.
const BUSY: i32 = -32005;
/// geth's code for a reverted call; `data` holds the revert data.
const REVERT: i32 = 3;

/// The parameters are wrong, and how.
pub(crate) fn invalid(message: impl Display) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INVALID_PARAMS_CODE, message.to_string(), None::<()>)
}

/// The request is fine and cannot be answered.
pub(crate) fn server(message: impl Display) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(SERVER, message.to_string(), None::<()>)
}

/// geth's answer where a block named by a state query does not exist.
pub(crate) fn header_not_found() -> ErrorObjectOwned {
    server("header not found")
}

/// Work that was not done: there is too much of it, or it broke.
pub(crate) fn gate(error: GateError) -> ErrorObjectOwned {
    match error {
        GateError::Busy => ErrorObjectOwned::owned(BUSY, error.to_string(), None::<()>),
        GateError::Lost(_) => internal(error),
    }
}

/// The node's fault. The log says more than the client is told.
pub(crate) fn internal(error: impl Display) -> ErrorObjectOwned {
    tracing::error!(%error, "a JSON-RPC request failed");
    ErrorObjectOwned::owned(
        INTERNAL_ERROR_CODE,
        format!("internal error: {error}"),
        None::<()>,
    )
}

/// A call that reverted, with its data.
pub(crate) fn revert(data: &Bytes) -> ErrorObjectOwned {
    let hex = format!("0x{}", hex::encode(data));
    ErrorObjectOwned::owned(REVERT, x_evm::revert_message(data), Some(hex))
}

/// The app's failures: a height that is not kept is the client's to know, the rest is ours.
pub(crate) fn app(error: AppError) -> ErrorObjectOwned {
    match error {
        AppError::Store(StoreError::NoVersion { .. }) | AppError::NotStarted => server(error),
        other => internal(other),
    }
}

/// State that cannot be read.
pub(crate) fn state(error: StateError) -> ErrorObjectOwned {
    internal(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revert_carries_code_3_and_its_data() {
        let e = revert(&Bytes::from_static(&[1, 2]));
        assert_eq!((e.code(), e.message()), (3, "execution reverted"));
        assert_eq!(e.data().unwrap().get(), "\"0x0102\"");
    }

    #[test]
    fn a_pruned_height_is_told_and_corruption_is_internal() {
        let pruned = app(AppError::Store(StoreError::NoVersion {
            height: 3,
            oldest: 5,
            latest: 9,
        }));
        assert_eq!(
            (pruned.code(), pruned.message()),
            (-32000, "height 3 is not available: have 5 to 9")
        );
        assert_eq!(
            app(AppError::Store(StoreError::Corrupt("x".into()))).code(),
            -32603
        );
    }
}
