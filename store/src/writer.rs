//! Writing heights to the disk: at once, or behind the commits by a thread with a bounded queue.
use crate::flat::FlatHistory;
use crate::head::Head;
use crate::journal::Journal;
use crate::multistore::commit_info;
use crate::open::failed;
use crate::points::Point;
use crate::prune::Bell;
use crate::record::{Digest, Draft, Kind, encode_changes, encode_index};
use crate::retain::{Floors, Retention};
use crate::{Config, Frozen, Staged, background, checkpoint};
use parking_lot::{Condvar, Mutex, RwLock};
use prost::Message;
use state::{BlockRecord, Bytes, Snapshot, StoreError, Version};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;

type Result<T> = std::result::Result<T, StoreError>;

/// A commit waits while so many heights are unwritten,
pub(crate) const MAX_HEIGHTS: usize = 8;
/// or so many bytes.
const MAX_BYTES: usize = 64 << 20;

/// What is on the disk, and what is on the way there.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) journal: Journal,
    pub(crate) head: Head,
    pub(crate) checkpoints: PathBuf,
    pub(crate) config: Config,
    pub(crate) recent: RwLock<Recent>,
    /// Held while a height is written.
    pub(crate) writer: Mutex<Writer>,
    pub(crate) poison: RwLock<Option<String>>,
    /// Follows what is durable.
    pub(crate) flat: Option<Arc<FlatHistory>>,
    /// The first height; 0 before the first commit.
    pub(crate) first: RwLock<u64>,
    pub(crate) retention: Retention,
    /// The floors in force: durable, and nothing below them is answered for.
    pub(crate) floors: RwLock<Floors>,
    /// The oldest change set that the checkpoints leave needed.
    pub(crate) uncovered: AtomicU64,
    /// The oldest checkpoint's height; 0 where there is none.
    pub(crate) retain: AtomicU64,
    /// Held while checkpoints are dropped,
    pub(crate) thinning: Mutex<()>,
    /// and while records are.
    pub(crate) removing: Mutex<()>,
    pub(crate) bell: Bell,
    /// Why pruning did not get on.
    pub(crate) prune_failure: Mutex<Option<StoreError>>,
}

/// The newest height and those that are not written, ascending. Each is published with its version.
pub(crate) type Recent = VecDeque<Published>;

/// What readers find of a height before sled has it.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) height: u64,
    /// `None` where the journal has it.
    pub(crate) body: Option<Bytes>,
    pub(crate) index: BTreeMap<Bytes, Bytes>,
}

#[derive(Debug)]
pub(crate) struct Writer {
    /// The newest record's hash.
    pub(crate) last: Digest,
    /// The floors noted with a record, perhaps not durable yet.
    pub(crate) floors: Floors,
    /// Journal bytes since the newest checkpoint.
    pub(crate) bytes: u64,
    /// The newest checkpoint's size.
    pub(crate) size: u64,
    pub(crate) checkpoint: Option<JoinHandle<Result<u64>>>,
    pub(crate) failed: Option<StoreError>,
}

impl Published {
    pub(crate) fn new(height: u64, record: &BlockRecord) -> Self {
        let index = record
            .index
            .iter()
            .map(|entry| (entry.key.clone(), entry.value.clone()));
        Self {
            height,
            body: Some(record.body.clone()),
            index: index.collect(),
        }
    }
}

impl Disk {
    pub(crate) fn poisoned(&self) -> Result<()> {
        self.poison
            .read()
            .clone()
            .map_or(Ok(()), |why| Err(StoreError::Poisoned(why)))
    }
    pub(crate) fn poison<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|e| {
            self.poison.write().get_or_insert_with(|| e.to_string());
        })
    }
    /// Writes a height's record, not yet durable.
    pub(crate) fn write(&self, writer: &mut Writer, staged: &Staged, record: &BlockRecord) -> Result<()> {
        let Version { height, root } = staged.version();
        let changes = encode_changes(&staged.changes);
        let index = encode_index(&record.index);
        let commit_info = commit_info(height, staged.next.trees()).encode_to_vec();
        let draft = Draft {
            kind: Kind::Block,
            height,
            root,
            previous: writer.last,
            commit_info,
        };
        self.config.points.at(Point::CommitBegun);
        self.poison(self.note_floors(&mut writer.floors, height))?;
        let written = self.journal.append(&draft, [&changes, &record.body, &index]);
        self.config.points.at(Point::RecordWritten);
        let (hash, bytes) = self.poison(written)?;
        writer.last = hash;
        writer.bytes += bytes;
        Ok(())
    }
    /// Makes what was written durable, up to `height`, and notes that it is.
    pub(crate) fn acknowledge(&self, height: u64, hash: Digest) -> Result<()> {
        self.poison(self.journal.sync())?;
        self.config.points.at(Point::JournalSynced);
        self.poison(self.head.write(height, hash))?;
        self.config.points.at(Point::HeadWritten);
        if let Some(flat) = &self.flat {
            flat.durable(height);
        }
        Ok(())
    }
    /// Makes a durable height's index entries look-ups in sled, and lets go of what stood in for them.
    pub(crate) fn settle(&self, record: &BlockRecord, height: u64) -> Result<()> {
        self.poison(self.journal.put_index(height, &record.index))?;
        self.config.points.at(Point::IndexWritten);
        let mut old = Vec::new();
        let mut recent = self.recent.write();
        while recent.len() > 1 && recent.front().is_some_and(|p| p.height <= height) {
            old.extend(recent.pop_front());
        }
        drop(recent);
        drop(old);
        Ok(())
    }
    /// Writes a checkpoint in the background where one is due.
    pub(crate) fn checkpoint(self: &Arc<Self>, writer: &mut Writer, frozen: &Frozen) {
        writer.reap(false);
        let Config {
            checkpoint_interval: every,
            checkpoint_bytes: most,
            ..
        } = self.config;
        let height = frozen.version().height;
        let due = (every > 0 && height.is_multiple_of(every))
            || (most > 0 && writer.bytes >= most.max(writer.size));
        if !due || writer.checkpoint.is_some() {
            return;
        }
        writer.bytes = 0;
        let (disk, frozen, record) = (Arc::clone(self), frozen.clone(), writer.last);
        let work = move || {
            let size = checkpoint::write(&disk.checkpoints, &frozen, record, &disk.config.points)?;
            disk.thin()?;
            Ok(size)
        };
        match background::spawn("checkpoint", work) {
            Ok(running) => writer.checkpoint = Some(running),
            Err(e) => writer.failed = Some(failed(&self.checkpoints, &e)),
        }
    }
}

impl Writer {
    /// Takes note of how the running checkpoint ended; waits for it where told to.
    pub(crate) fn reap(&mut self, wait: bool) {
        if let Some(running) = self.checkpoint.take_if(|running| wait || running.is_finished()) {
            let result = running
                .join()
                .unwrap_or_else(|_| Err(StoreError::Database("checkpoint: panicked".into())));
            match result {
                Ok(size) => (self.size, self.failed) = (size, None),
                Err(e) => self.failed = Some(e),
            }
        }
    }
}

/// The thread that writes behind. Dropping this writes what is queued and ends it.
#[derive(Debug)]
pub(crate) struct Behind {
    queue: Arc<(Mutex<Queue>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Queue {
    jobs: VecDeque<(Staged, BlockRecord)>,
    /// Queued or being written.
    heights: usize,
    bytes: usize,
    durable: Version,
    stop: bool,
}

fn size((staged, record): &(Staged, BlockRecord)) -> usize {
    const PAIR: usize = 16;
    let index = record.index.iter();
    let index = index.map(|entry| entry.key.len() + entry.value.len() + PAIR);
    staged.bytes + staged.changes.len() * PAIR + index.sum::<usize>() + record.body.len()
}

impl Behind {
    pub(crate) fn start(disk: Arc<Disk>, durable: Version) -> Result<Self> {
        let queue = Queue {
            jobs: VecDeque::new(),
            heights: 0,
            bytes: 0,
            durable,
            stop: false,
        };
        let queue = Arc::new((Mutex::new(queue), Condvar::new()));
        let theirs = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || run(&disk, &theirs));
        let thread = thread.map_err(|e| StoreError::Database(format!("journal: no thread: {e}")))?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }
    /// Waits until another height may be queued.
    pub(crate) fn wait_for_room(&self, disk: &Disk) -> Result<()> {
        let mut queue = self.queue.0.lock();
        while queue.heights >= MAX_HEIGHTS || queue.bytes >= MAX_BYTES {
            disk.poisoned()?;
            self.queue.1.wait(&mut queue);
        }
        disk.poisoned()
    }
    pub(crate) fn push(&self, staged: Staged, record: BlockRecord) {
        let job = (staged, record);
        let bytes = size(&job);
        let mut queue = self.queue.0.lock();
        queue.bytes += bytes;
        queue.heights += 1;
        queue.jobs.push_back(job);
        self.queue.1.notify_all();
    }
    /// Takes note that the store was given `durable` as its only version; nothing is queued.
    pub(crate) fn restart(&self, durable: Version) {
        self.queue.0.lock().durable = durable;
    }
    /// Waits until nothing is unwritten. Returns the newest durable version.
    pub(crate) fn drained(&self, disk: &Disk) -> Result<Version> {
        let mut queue = self.queue.0.lock();
        while queue.heights > 0 {
            disk.poisoned()?;
            self.queue.1.wait(&mut queue);
        }
        disk.poisoned()?;
        Ok(queue.durable)
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.queue.0.lock().stop = true;
        self.queue.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic inside has poisoned the store, and is told there.
            let _ = thread.join();
        }
    }
}

/// Writes what is queued, all of it with one sync, until told to stop or unable to go on.
fn run(disk: &Arc<Disk>, (queue, changed): &(Mutex<Queue>, Condvar)) {
    loop {
        let mut guard = queue.lock();
        while guard.jobs.is_empty() && !guard.stop {
            changed.wait(&mut guard);
        }
        let jobs = std::mem::take(&mut guard.jobs);
        drop(guard);
        let Some((newest, _)) = jobs.back() else { return };
        let (durable, bytes) = (newest.version(), jobs.iter().map(size).sum::<usize>());
        let written = catch_unwind(AssertUnwindSafe(|| write(disk, &jobs))).unwrap_or_else(|_| {
            disk.poison(Err(StoreError::Database("journal: the writer panicked".into())))
        });
        let heights = jobs.len();
        drop(jobs);
        // The poison is set before those who wait look for it: they hold the queue when they look.
        let mut guard = queue.lock();
        guard.heights -= heights;
        guard.bytes -= bytes;
        if written.is_ok() {
            guard.durable = durable;
        } else {
            // Nothing after it may be written: it would not follow.
            guard.jobs.clear();
            guard.heights = 0;
            guard.bytes = 0;
        }
        changed.notify_all();
        if written.is_err() {
            return;
        }
    }
}

fn write(disk: &Arc<Disk>, jobs: &VecDeque<(Staged, BlockRecord)>) -> Result<()> {
    let mut writer = disk.writer.lock();
    let mut last = None;
    for (staged, record) in jobs {
        disk.write(&mut writer, staged, record)?;
        last = Some(staged);
    }
    let Some(staged) = last else { return Ok(()) };
    disk.acknowledge(staged.version().height, writer.last)?;
    for (job, record) in jobs {
        disk.settle(record, job.version().height)?;
    }
    disk.enforce(writer.floors);
    disk.checkpoint(&mut writer, &staged.next);
    Ok(())
}
