//! Named places where a process may die: tests end it there and open the store again.
use std::fmt;
use std::sync::Arc;

/// A place in the store's life. Each is named after what was just done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// A commit began; nothing of it is written.
    CommitBegun,
    /// The height's record is with the database, not synced.
    RecordWritten,
    /// The journal is synced.
    JournalSynced,
    /// The height is noted as acknowledged.
    HeadWritten,
    /// The version is published.
    Published,
    /// The height's index entries are look-ups.
    IndexWritten,
    /// A checkpoint's temporary file is open.
    CheckpointBegun,
    /// A checkpoint's temporary file is whole and synced.
    CheckpointWritten,
    /// A checkpoint has its name; its folder is synced.
    CheckpointNamed,
    /// Older checkpoints are gone.
    CheckpointsDropped,
    /// A step of pruning is done.
    Pruned,
    /// What a rollback is going to do is noted, durably.
    RollbackNoted,
    /// Some of what a rollback drops is gone.
    RollbackStep,
    /// A rollback is done; the note of it is still there.
    RollbackDone,
    /// A step of setting a damaged journal aside is done.
    SetAsideStep,
    /// A file of flat history is whole and synced.
    HistoryWritten,
    /// A file of flat history has its name; its folder is synced.
    HistoryNamed,
    /// A file of flat history counts, those it replaces do not, durably.
    HistoryListed,
    /// Files of flat history that do not count are gone.
    HistoryDropped,
    /// A step of opening is done.
    OpenStep,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::CommitBegun,
        Self::RecordWritten,
        Self::JournalSynced,
        Self::HeadWritten,
        Self::Published,
        Self::IndexWritten,
        Self::CheckpointBegun,
        Self::CheckpointWritten,
        Self::CheckpointNamed,
        Self::CheckpointsDropped,
        Self::Pruned,
        Self::RollbackNoted,
        Self::RollbackStep,
        Self::RollbackDone,
        Self::SetAsideStep,
        Self::HistoryWritten,
        Self::HistoryNamed,
        Self::HistoryListed,
        Self::HistoryDropped,
        Self::OpenStep,
    ];
}

/// What is called at every point: nothing, unless a test says otherwise.
#[derive(Clone, Default)]
pub struct Points(Option<Arc<dyn Fn(Point) + Send + Sync>>);

impl Points {
    /// Calls `hook` at every point, in the thread that reached it.
    pub fn new(hook: impl Fn(Point) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }
    pub(crate) fn at(&self, point: Point) {
        if let Some(hook) = &self.0 {
            hook(point);
        }
    }
}

impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Points").field(&self.0.is_some()).finish()
    }
}
