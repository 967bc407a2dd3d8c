//! Adds durable heights to the history, in the background.
use super::compact;
use super::files::FlatHistory;
use super::merge::merge;
use super::read::{ROOT_KEY, flat_key};
use super::segment::{BASE, Builder, Head, Segment};
use super::{FAN, TAIL_BYTES};
use crate::history::fits;
use crate::record::{Kind, Part, each_change};
use crate::writer::Disk;
use crate::{Frozen, background, checkpoint};
use parking_lot::Mutex;
use state::{Control, Snapshot, StoreError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

type Result<T> = std::result::Result<T, StoreError>;

/// The threads that feed and merge. Dropping this ends them.
#[derive(Debug)]
pub(crate) struct Threads {
    history: Arc<FlatHistory>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts them. `newest` is what history begins with where neither the journal nor a checkpoint goes further back.
    pub(crate) fn start(disk: &Arc<Disk>, history: &Arc<FlatHistory>, newest: Frozen) -> Result<Self> {
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            background::spawn(name, work).map_err(|e| StoreError::Database(format!("{name}: no thread: {e}")))
        };
        let mut all = Self {
            history: Arc::clone(history),
            threads: Vec::new(),
        };
        let (theirs, disk) = (Arc::clone(history), Arc::clone(disk));
        let feed = move || feed(&theirs, &disk, &Mutex::new(Some(newest)));
        all.threads.push(spawn("history", Box::new(feed))?);
        let theirs = Arc::clone(history);
        let merges = move || compact::run(&theirs);
        all.threads.push(spawn("history-merge", Box::new(merges))?);
        Ok(all)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.history.progress.lock().stop = true;
        self.history.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic inside is told as a failure.
            let _ = thread.join();
        }
    }
}

/// A background thread that panicked says so, and does no more.
pub(super) fn guarded<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(StoreError::Database(format!("history: {what} panicked"))))
}

fn feed(history: &FlatHistory, disk: &Disk, newest: &Mutex<Option<Frozen>>) {
    // Where it failed, it is tried again when there is something new.
    let mut failed_at = None;
    loop {
        let mut progress = history.progress.lock();
        let reached = loop {
            let reached = history.layers().reached(|_| true);
            let again = progress.failed.is_none() || failed_at != Some(progress.durable);
            if progress.stop {
                return;
            }
            if reached < progress.durable && again && !progress.paused {
                break reached;
            }
            // Told once: two threads that wake each other would never sleep.
            if std::mem::take(&mut progress.feeding) {
                history.changed.notify_all();
            }
            history.changed.wait(&mut progress);
        };
        progress.feeding = true;
        let durable = progress.durable;
        drop(progress);
        let result = guarded("adding heights", || step(history, disk, newest, reached, durable));
        let mut progress = history.progress.lock();
        failed_at = result.is_err().then_some(durable);
        if result.is_err() || progress.failed.is_some() {
            progress.failed = result.err();
            history.changed.notify_all();
        }
    }
}

/// Adds the height after `reached`, or what history begins with.
fn step(
    history: &FlatHistory,
    disk: &Disk,
    newest: &Mutex<Option<Frozen>>,
    reached: u64,
    durable: u64,
) -> Result<()> {
    let journal = &disk.journal;
    let height = match (reached, journal.bounds()?) {
        (_, None) => return Err(StoreError::Corrupt("the journal is empty".into())),
        (0, Some((first, _))) => first,
        (reached, _) => reached + 1,
    };
    let begins = reached == 0;
    let changes = match journal.meta(height)? {
        Some((meta, digest)) if !begins || (meta.kind == Kind::Block && meta.previous == [0; 32]) => {
            match journal.read(&meta, Part::Changes) {
                Ok(changes) => Some((meta.root, digest, changes)),
                // It is gone, or damaged.
                Err(StoreError::Corrupt(_)) => None,
                Err(e) => return Err(e),
            }
        }
        _ => None,
    };
    let Some((root, digest, changes)) = changes else {
        return base(history, disk, newest, reached, durable);
    };
    *newest.lock() = None;
    let head = Head {
        level: 0,
        complete: begins,
        from: height,
        to: height,
    };
    let mut out = Builder::memory(head);
    out.push(ROOT_KEY, height, Some(&[root, digest].concat()))?;
    let mut result = Ok(());
    each_change(&changes, height, &mut |store, key, value| {
        if result.is_ok() && !(begins && value.is_none()) {
            result = out.push(&flat_key(store, key), height, value);
        }
    })?;
    result?;
    history.swap(&[], Some(Arc::new(out.finish(history.id())?)), |_| ())?;
    tidy(history, height)
}

/// Merges segments in memory, eight of a level into one of the next, and writes them to a file where there is enough.
fn tidy(history: &FlatHistory, height: u64) -> Result<()> {
    loop {
        let layers = history.layers();
        let tail: Vec<Arc<Segment>> = layers
            .parts
            .iter()
            .filter(|part| !part.is_file())
            .cloned()
            .collect();
        let (Some(oldest), Some(top)) = (tail.first(), tail.last()) else {
            return Ok(());
        };
        let bytes: u64 = tail.iter().map(|part| part.bytes).sum();
        // Files above wait for a gap to be filled.
        let meets = layers
            .parts
            .iter()
            .any(|part| part.is_file() && part.head.from == height + 1);
        if meets || bytes >= TAIL_BYTES || height - oldest.head.from + 1 >= history.tail {
            let head = Head {
                level: 0,
                complete: oldest.head.complete,
                from: oldest.head.from,
                to: top.head.to,
            };
            history.merged(&tail, head, &mut || false)?;
            history.progress.lock().merge_due = true;
            history.changed.notify_all();
            return Ok(());
        }
        let level = top.head.level;
        let same = tail
            .iter()
            .rev()
            .take_while(|part| part.head.level == level)
            .count();
        if same < FAN {
            return Ok(());
        }
        let parts = &tail[tail.len() - FAN..];
        let head = Head {
            level: level + 1,
            from: parts[0].head.from,
            ..top.head
        };
        let head = Head {
            complete: parts[0].head.complete,
            ..head
        };
        let mut out = Builder::memory(head);
        merge(parts, head, &mut out, &mut || false)?;
        let old: Vec<u64> = parts.iter().map(|part| part.id).collect();
        history.swap(&old, Some(Arc::new(out.finish(history.id())?)), |_| ())?;
    }
}

/// Begins anew with a whole state above `reached`: the oldest checkpoint from which the journal goes on, else the newest
/// version.
fn base(
    history: &FlatHistory,
    disk: &Disk,
    newest: &Mutex<Option<Frozen>>,
    reached: u64,
    durable: u64,
) -> Result<()> {
    for (height, path) in checkpoint::list(&disk.checkpoints)? {
        if height <= reached || height > durable || !goes_on(disk, height, durable)? {
            continue;
        }
        if let Ok((frozen, record)) = checkpoint::read(&path)
            && fits(&frozen, record, &disk.journal).is_ok()
        {
            return write_base(history, &frozen, record);
        }
    }
    let newest = newest.lock().take();
    match newest.filter(|newest| newest.version().height > reached) {
        Some(frozen) => {
            let (meta, digest) = disk.journal.expect(frozen.version().height)?;
            let record = if meta.kind == Kind::Seed {
                meta.previous
            } else {
                digest
            };
            write_base(history, &frozen, record)
        }
        None => Err(StoreError::Corrupt(format!(
            "history: neither the journal nor a checkpoint leads on from height {reached}; \
             the next checkpoint, or the next start, will"
        ))),
    }
}

/// Whether the journal has the height after `height`, if that is not the last.
fn goes_on(disk: &Disk, height: u64, durable: u64) -> Result<bool> {
    if height == durable {
        return Ok(true);
    }
    let Some((meta, _)) = disk.journal.meta(height + 1)? else {
        return Ok(false);
    };
    match disk.journal.read(&meta, Part::Changes) {
        Ok(_) => Ok(true),
        Err(StoreError::Corrupt(_)) => Ok(false),
        Err(e) => Err(e),
    }
}

fn write_base(history: &FlatHistory, frozen: &Frozen, record: [u8; 32]) -> Result<()> {
    let version = frozen.version();
    let head = Head {
        level: BASE,
        complete: true,
        from: version.height,
        to: version.height,
    };
    let file = history.file(head, |out| {
        out.push(ROOT_KEY, version.height, Some(&[version.root, record].concat()))?;
        for (store, tree) in frozen.trees() {
            let (mut result, mut rows) = (Ok(()), 0_u32);
            let _ = tree.scan(&[], None, false, &mut |key, value| {
                result = out.push(&flat_key(*store, key), version.height, Some(value));
                rows = rows.wrapping_add(1);
                if result.is_err() || (rows.is_multiple_of(4096) && history.leaving()) {
                    return Control::Break(());
                }
                Control::Continue(())
            });
            result?;
        }
        Ok(!history.leaving())
    })?;
    let Some(file) = file else { return Ok(()) };
    // What lies across it, or waits above it for heights that will not come, is in the way.
    let over = |part: &&Arc<Segment>| part.head.from <= version.height && part.head.to >= version.height;
    let old: Vec<u64> = history
        .layers()
        .parts
        .iter()
        .filter(over)
        .map(|part| part.id)
        .collect();
    history.swap(&old, Some(Arc::new(file)), |path| {
        // Where that fails it is dropped at the next start.
        let _ = std::fs::remove_file(path);
    })?;
    Ok(())
}
