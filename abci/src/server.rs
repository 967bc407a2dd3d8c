//! The listener: a thread that accepts, and a thread a connection.
use crate::connection::{Stream, serve};
use crate::{Address, Failing, FrameError};
use std::collections::BTreeMap;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Connections at a time, at most: CometBFT opens four; the rest is room for a restart that overlaps, and for tools.
pub const CONNECTIONS_MAX: usize = 32;

/// Called once where the node must stop, with the reason: a fatal failure or a panic in a call.
pub type OnFatal = Arc<dyn Fn(String) + Send + Sync>;

#[derive(Debug)]
enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(l) => l.accept().map(|(s, _)| Stream::Unix(s)),
            Self::Tcp(l) => {
                let (stream, _) = l.accept()?;
                // Without this an answer waits up to 40 ms for the peer's delayed acknowledgement.
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    open: Mutex<BTreeMap<u64, Stream>>,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Stream>> {
        // A map of handles is sound whatever its holder did.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running ABCI server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: Address,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `address` and serves a clone of `app` to every connection.
    ///
    /// A socket file that nobody answers on any more is replaced; one in use is an error, as is a port in use.
    pub fn start<A>(address: &Address, app: A, on_fatal: OnFatal) -> io::Result<Self>
    where
        A: Failing,
    {
        let (listener, address) = match address {
            Address::Unix(path) => (Listener::Unix(bind_unix(path)?), address.clone()),
            Address::Tcp(addr) => {
                let listener = TcpListener::bind(addr)?;
                let bound = Address::Tcp(listener.local_addr()?);
                (Listener::Tcp(listener), bound)
            }
        };
        let shared = Arc::<Shared>::default();
        let accepting = std::thread::Builder::new().name("abci".into()).spawn({
            let shared = shared.clone();
            move || accept(&listener, &app, &shared, &on_fatal)
        })?;
        Ok(Self {
            address,
            shared,
            accepting: Some(accepting),
        })
    }
    /// Where it listens: the real port where 0 was asked for.
    pub fn address(&self) -> &Address {
        &self.address
    }
    /// Shuts every connection and waits until the calls under way have ended.
    pub fn stop(mut self) {
        self.end();
    }
    fn end(&mut self) {
        let Some(accepting) = self.accepting.take() else {
            return;
        };
        self.shared.stopping.store(true, Ordering::SeqCst);
        // `accept` waits for a connection: here is one.
        let woken = match &self.address {
            Address::Unix(path) => UnixStream::connect(path).is_ok(),
            Address::Tcp(addr) => TcpStream::connect_timeout(addr, Duration::from_secs(1)).is_ok(),
        };
        for stream in self.shared.open().values() {
            stream.shut();
        }
        // Not woken: someone removed the socket file. The thread then ends with the process.
        if woken && accepting.join().is_err() {
            tracing::error!("the ABCI listener panicked");
        }
        if let Address::Unix(path) = &self.address {
            // Gone already where someone cleaned up.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn bind_unix(path: &PathBuf) -> io::Result<UnixListener> {
    if is_stale(path) {
        std::fs::remove_file(path)?;
    }
    UnixListener::bind(path)
}

/// Whether `path` is a socket that a dead process left behind.
fn is_stale(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let socket = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
    socket && UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

fn accept<A: Failing>(listener: &Listener, app: &A, shared: &Arc<Shared>, on_fatal: &OnFatal) {
    let (mut next, mut threads) = (0u64, Vec::<JoinHandle<()>>::new());
    loop {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        threads.retain(|t| !t.is_finished());
        let opened = accepted.and_then(|stream| Ok((stream.try_clone()?, stream)));
        let (handle, stream) = match opened {
            Ok(pair) => pair,
            Err(e) => {
                // Out of file handles, or a peer that left at once: neither is a reason to stop listening.
                tracing::error!(error = %e, "could not accept an ABCI connection");
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        if threads.len() >= CONNECTIONS_MAX {
            tracing::error!(
                limit = CONNECTIONS_MAX,
                "refused an ABCI connection: too many are open"
            );
            stream.shut();
            continue;
        }
        next += 1;
        let id = next;
        shared.open().insert(id, handle);
        let work = {
            let (app, shared, on_fatal) = (app.clone(), shared.clone(), on_fatal.clone());
            move || {
                converse(stream, &app, &on_fatal);
                shared.open().remove(&id);
            }
        };
        match std::thread::Builder::new().name(format!("abci-{id}")).spawn(work) {
            Ok(thread) => threads.push(thread),
            Err(e) => {
                tracing::error!(error = %e, "could not start a thread for an ABCI connection");
                shared.open().remove(&id);
            }
        }
    }
    for stream in shared.open().values() {
        stream.shut();
    }
    for thread in threads {
        if thread.join().is_err() {
            on_fatal("an ABCI connection panicked".into());
        }
    }
}

fn converse<A: Failing>(mut stream: Stream, app: &A, on_fatal: &OnFatal) {
    match serve(&mut stream, app) {
        Ok(None) => {}
        Ok(Some(failure)) => {
            tracing::error!(error = failure.message, "stopping: the app cannot go on");
            on_fatal(failure.message);
        }
        Err(FrameError::Io(e)) => tracing::debug!(error = %e, "ABCI connection ended"),
        Err(bad) => tracing::error!(error = %bad, "closed an ABCI connection"),
    }
    stream.shut();
}
