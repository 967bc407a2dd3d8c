//! Speak ABCI 0.38 with CometBFT. The only crate that knows the ABCI protocol.
//!
//! Reading order: [`AbciApp`] turns protobuf into the app's types and back, nothing else; [`Server`] listens, a thread
//! a connection; `dispatch` holds the sixteen calls; `frame` the bytes between. The listener is our own because
//! tendermint-abci's never sets TCP_NODELAY, which costs 43 ms a query, and copies its whole buffer on every read.

mod application;
mod convert;
mod server;
mod connection;
mod dispatch;
mod frame;
mod address;

pub use address::{Address, SOCKET_PATH_MAX};
pub use application::AbciApp;
pub use dispatch::{Failing, Failure};
pub use frame::{FRAME_MAX, FrameError, ReadBuffer, write_frame};
pub use server::{CONNECTIONS_MAX, OnFatal, Server};
