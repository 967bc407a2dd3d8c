//! Work that blocks: off the async threads, a few at a time, with a bounded queue.
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Lets a few through at a time.
pub(crate) struct Gate {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// Why work was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateError {
    /// The queue is full: trying again helps.
    #[error("too many requests wait for an answer: try again")]
    Busy,
    /// It panicked, or the runtime ends.
    #[error("request failed: {0}")]
    Lost(String),
}

impl Gate {
    /// `running` at a time, with at most `waiting` more in the queue.
    pub(crate) fn new(running: usize, waiting: usize) -> Self {
        let running = running.max(1);
        let all = running.saturating_add(waiting).min(Semaphore::MAX_PERMITS);
        Self {
            running: Arc::new(Semaphore::new(running)),
            waiting: Arc::new(Semaphore::new(all)),
        }
    }
    /// Runs `work` on a thread that may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, GateError> {
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(GateError::Busy);
        };
        let lost = |e: &dyn std::fmt::Display| GateError::Lost(e.to_string());
        let permit = self.running.clone().acquire_owned().await.map_err(|e| lost(&e))?;
        let task = tokio::task::spawn_blocking(move || {
            // Held by the work, not by the request: a client that hangs up does not free the thread.
            let _permit = permit;
            work()
        });
        task.await.map_err(|e| lost(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_and_an_empty_one_serves() {
        let gate = Arc::new(Gate::new(1, 0));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let first = {
            let gate = gate.clone();
            tokio::spawn(async move { gate.run(move || wait.recv()).await })
        };
        while gate.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(gate.run(|| 1).await, Err(GateError::Busy)));
        go.send(()).unwrap();
        assert!(first.await.unwrap().is_ok());
        assert!(matches!(gate.run(|| 1).await, Ok(1)));
        assert!(matches!(
            gate.run(|| panic!("boom")).await.map(|()| 0),
            Err(GateError::Lost(_))
        ));
    }
}
