//! Work that blocks: off the async threads, a few at a time, with a bounded queue.
use super::ctx::Ctx;
use super::error::{RpcResult, busy, internal};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Lets a few through at a time.
pub(crate) struct Gate {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Gate {
    /// `running` at a time, with at most `waiting` more in the queue.
    pub(crate) fn new(running: usize, waiting: usize) -> Self {
        let running = running.max(1);
        Self {
            running: Arc::new(Semaphore::new(running)),
            waiting: Arc::new(Semaphore::new(running.saturating_add(waiting).min(Semaphore::MAX_PERMITS))),
        }
    }
    /// Runs `work` on a thread that may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        ctx: &Ctx,
        work: impl FnOnce(&Ctx) -> RpcResult<T> + Send + 'static,
    ) -> RpcResult<T> {
        let Ok(_place) = self.waiting.try_acquire() else { return Err(busy()) };
        let permit = self.running.clone().acquire_owned().await.map_err(internal)?;
        let ctx = ctx.clone();
        let task = tokio::task::spawn_blocking(move || {
            // Held by the work, not by the request: a client that hangs up does not free the thread.
            let _permit = permit;
            work(&ctx)
        });
        task.await.map_err(internal)?
    }
}
