//! Threads whose work no block waits for: checkpoints, history, pruning, snapshots.
use std::io;
use std::thread::{Builder, JoinHandle};

/// How much they yield to the threads that execute and commit (`nice(2)`): a tenth of a core where all want one.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Starts such a thread.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.into()).spawn(move || {
        // On Linux a priority is a thread's own; elsewhere it would be the process's. Refused, it works as well.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::setpriority_process(None, NICE);
        work()
    })
}
