//! A running server: where it listens, and how to stop it.
use std::net::SocketAddr;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The address cannot be listened on: in use, or not this machine's.
    #[error("cannot listen on {addr} for {what}: {source}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// Which server wanted it.
        what: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// A running server. Dropping the handle leaves it running; [`ServerHandle::stop`] ends it.
#[derive(Debug)]
pub struct ServerHandle {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    done: JoinHandle<()>,
}

impl ServerHandle {
    pub(crate) fn new(addr: SocketAddr, stop: watch::Sender<bool>, done: JoinHandle<()>) -> Self {
        Self { addr, stop, done }
    }
    /// Where it listens: the real port where 0 was asked for.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
    /// Stops taking requests, and waits until those under way are answered, a second at most.
    pub async fn stop(self) {
        // Nobody listens any more where the server has ended by itself.
        let _ = self.stop.send(true);
        let mut done = self.done;
        if tokio::time::timeout(std::time::Duration::from_secs(1), &mut done)
            .await
            .is_err()
        {
            done.abort();
        }
    }
}

/// Binds `addr`, naming it where that fails.
pub(crate) async fn bind(addr: SocketAddr, what: &'static str) -> Result<tokio::net::TcpListener, RpcError> {
    tokio::net::TcpListener::bind(addr)
        .await
        .map_err(|source| RpcError::Bind { addr, what, source })
}

/// The listener in the form servers take, with the real address.
pub(crate) fn listening(
    listener: tokio::net::TcpListener,
    addr: SocketAddr,
    what: &'static str,
) -> Result<(std::net::TcpListener, SocketAddr), RpcError> {
    let bound = listener
        .local_addr()
        .and_then(|real| Ok((listener.into_std()?, real)));
    bound.map_err(|source| RpcError::Bind { addr, what, source })
}
