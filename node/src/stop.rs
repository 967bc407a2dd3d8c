//! One switch that ends a node, from a signal, a failed part, or a test.
use std::sync::Arc;
use tokio::sync::watch;

/// Why a node ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Someone asked: Ctrl-C, SIGTERM, the caller.
    Asked,
    /// A part failed: the node ends with an error.
    Failed(String),
}

/// Ends a node once; the first reason given stays.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<Option<StopReason>>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Stop {
    /// A switch that only the caller throws.
    pub fn new() -> Self {
        Self::default()
    }
    /// Asks for an orderly end.
    pub fn ask(&self) {
        self.set(StopReason::Asked);
    }
    /// Ends the node with an error.
    pub fn fail(&self, why: impl Into<String>) {
        self.set(StopReason::Failed(why.into()));
    }
    fn set(&self, reason: StopReason) {
        self.0.send_if_modified(|r| {
            let first = r.is_none();
            if first {
                *r = Some(reason);
            }
            first
        });
    }
    /// The reason, once there is one.
    pub fn reason(&self) -> Option<StopReason> {
        self.0.borrow().clone()
    }
    /// Waits for the end.
    pub async fn wait(&self) -> StopReason {
        let mut watch = self.0.subscribe();
        let reason = watch
            .wait_for(Option::is_some)
            .await
            .expect("this switch holds the sender")
            .clone();
        reason.expect("waited for it")
    }
    /// Throws the switch on Ctrl-C and SIGTERM. Must be called inside a tokio runtime.
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let stop = self.clone();
        tokio::spawn(async move {
            tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
            stop.ask();
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays() {
        let stop = Stop::new();
        let waiter = tokio::spawn({
            let stop = stop.clone();
            async move { stop.wait().await }
        });
        stop.fail("disk full");
        stop.ask();
        assert_eq!(waiter.await.unwrap(), StopReason::Failed("disk full".into()));
        assert_eq!(stop.wait().await, stop.reason().unwrap());
    }
}
