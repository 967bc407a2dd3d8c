//! The durable commit store: RAM is the tree, sled is the journal, files are the checkpoints.
//!
//! # Commit
//! 1. `stage` hashes a block on top of the newest version. Nothing is written.
//! 2. `commit` writes the height's record: change set, body, index entries and the meta record that vouches for them, in
//!    one atomic step, syncs the file (`journal.rs`), and notes the height as acknowledged (`head.rs`).
//! 3. The version is published together with its index entries: no reader sees one without the other, and none sees
//!    what is not durable.
//! 4. Index entries become look-ups in sled. They follow from the record, so this needs no sync of its own.
//! 5. Where one is due, a checkpoint is written in the background from the frozen version (`checkpoint.rs`).
//!
//! With [`Commit::Async`] steps 2, 4 and 5 are a writer thread's (`writer.rs`), and step 3 comes first: `durable` waits for
//! the thread, and is what a restart comes back to at least.
//!
//! A failure in 2 or 4 poisons the store: what reached the disk is unknown until it is opened again.
//!
//! How a store is opened again stands in `open.rs`, how old heights go in `prune.rs`, how it goes back to one in
//! `rollback.rs`.
use crate::aside::SetAside;
use crate::flat::{FlatHistory, HistoryStats, Threads};
use crate::history::History;
use crate::open::{self, Loaded, Opened, chained, lock};
use crate::points::Point;
use crate::prune::{Bell, Pruner};
use crate::record::{Digest, Kind, Part};
use crate::retain::Retention;
use crate::snapshot::Snapshots;
use crate::versions::Versions;
use crate::writer::{Behind, Disk, Published, Writer};
use crate::{Commit, Config, Frozen, Staged, View};
use parking_lot::{Mutex, RwLock};
use state::{AppHash, BlockRecord, Bytes, ChangeSet, CommitStore, Key, Proven, StoreError, Version};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

type Result<T> = std::result::Result<T, StoreError>;

/// The durable commit store. It keeps the heights that its configuration says.
#[derive(Debug)]
pub struct DiskStore {
    pub(crate) config: Config,
    pub(crate) versions: Versions,
    pub(crate) disk: Arc<Disk>,
    /// Where heights are written behind.
    pub(crate) behind: Option<Behind>,
    /// Held throughout a commit.
    pub(crate) commit: Mutex<()>,
    history: History,
    /// Who lets go of what retention no longer needs.
    pruner: Option<Pruner>,
    aside: Option<SetAside>,
    /// What keeps flat history.
    flat: Option<Threads>,
    pub(crate) snapshots: Snapshots,
    /// Dropped last: the folder is ours until the journal is closed.
    _lock: File,
}

impl DiskStore {
    /// Opens the store in the folder `home`, made where it is missing.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another process, or another store of this one, has it open;
    /// [`StoreError::Corrupt`] where what is there is not what was written; [`StoreError::Database`] where the disk
    /// fails.
    pub fn open(home: impl AsRef<Path>, config: Config) -> Result<Self> {
        let home = home.as_ref();
        let checkpoints = open::checkpoints(home)?;
        let lock = lock(home)?;
        let Opened {
            journal,
            head,
            loaded,
            floors,
            first,
            recent,
            aside,
        } = open::open(home, &config)?;
        let Loaded {
            versions,
            last,
            bytes,
            size,
        } = loaded;
        let snapshots = Snapshots::open(home, versions.latest().height)?;
        let writer = Writer {
            last,
            floors,
            bytes,
            size,
            checkpoint: None,
            failed: None,
        };
        let flat = if config.history {
            let history = FlatHistory::open(home, &config, &journal)?;
            history.prune(floors.state);
            Some(Arc::new(history))
        } else {
            None
        };
        let disk = Arc::new(Disk {
            journal,
            head,
            checkpoints,
            config: config.clone(),
            recent: RwLock::new(recent),
            writer: Mutex::new(writer),
            poison: RwLock::new(None),
            flat,
            first: RwLock::new(first),
            retention: Retention {
                pruning: config.pruning,
                blocks: config.keep_blocks,
            },
            floors: RwLock::new(floors),
            uncovered: AtomicU64::new(floors.changes),
            retain: AtomicU64::new(0),
            thinning: Mutex::new(()),
            removing: Mutex::new(()),
            bell: Bell::default(),
            prune_failure: Mutex::new(None),
        });
        disk.thin()?;
        let flat = match &disk.flat {
            Some(flat) => Some(Threads::start(&disk, flat, versions.head())?),
            None => None,
        };
        let behind = match config.commit {
            Commit::Sync => None,
            Commit::Async => Some(Behind::start(Arc::clone(&disk), versions.latest())?),
        };
        let pruner = if disk.retention.prunes() {
            Some(Pruner::start(Arc::clone(&disk))?)
        } else {
            None
        };
        Ok(Self {
            config,
            versions,
            disk,
            behind,
            commit: Mutex::new(()),
            history: History::default(),
            pruner,
            aside,
            flat,
            snapshots,
            _lock: lock,
        })
    }

    /// Why the last checkpoint could not be written, if it could not. The journal has all that is needed to open
    /// without it, and the next one is tried when due.
    pub fn checkpoint_failure(&self) -> Option<StoreError> {
        let mut writer = self.disk.writer.lock();
        writer.reap(true);
        writer.failed.clone()
    }

    /// Waits for the snapshot that is being written, if one is. Returns why the newest could not be written, if it could
    /// not: the next one is tried when due.
    pub fn snapshot_failure(&self) -> Option<StoreError> {
        self.snapshots.failure()
    }

    /// Why pruning did not get on, if it did not. It goes on with the next height that is due.
    pub fn prune_failure(&self) -> Option<StoreError> {
        self.disk.prune_failure.lock().clone()
    }

    /// What opening did about a damaged journal, if it had to ([`crate::Damaged::SetAside`]).
    pub fn set_aside(&self) -> Option<&SetAside> {
        self.aside.as_ref()
    }

    /// Reads every record and checks its hash and its place in the chain. Returns how many there are.
    pub fn verify(&self) -> Result<u64> {
        self.catch_up()?;
        let Some((first, last)) = self.disk.journal.bounds()? else {
            return Ok(0);
        };
        let floors = self.disk.floors();
        let first = first.max(floors.meta());
        let (begin, _) = self.disk.journal.expect(first)?;
        // Whether the record before the first was pruned, never was, or is one that a checkpoint names.
        let pruned = floors.meta() > 0 || begin.kind == Kind::Seed;
        let mut previous = if pruned { begin.previous } else { Digest::default() };
        for height in first..=last {
            let (meta, hash) = chained(&self.disk.journal, height, previous)?;
            for (part, floor) in [
                (Part::Changes, floors.changes),
                (Part::Body, floors.blocks),
                (Part::Index, floors.blocks),
            ] {
                if height >= floor {
                    self.disk.journal.read(&meta, part)?;
                }
            }
            previous = hash;
        }
        Ok(last - first + 1)
    }

    /// The trees of a height: those in RAM, else rebuilt from the nearest checkpoint and the journal, which may take as
    /// much time and memory as opening does.
    pub fn frozen(&self, height: u64) -> Result<Frozen> {
        self.check_kept(height)?;
        if let Some(frozen) = self.versions.get(height) {
            return Ok(frozen);
        }
        // It left the ring, but may not be in the journal yet.
        self.catch_up()?;
        let rebuilt = self
            .history
            .get(height, &self.disk.journal, &self.disk.checkpoints, &self.config);
        // What was being read may have been pruned meanwhile.
        if rebuilt.is_err() {
            self.check_kept(height)?;
        }
        rebuilt.map_err(
            |e| match (e, self.disk.flat.as_ref().map(|history| history.troubles())) {
                (StoreError::Corrupt(why), Some(troubles)) if !troubles.is_empty() => {
                    StoreError::Corrupt(format!("{why}; {}", troubles.join("; ")))
                }
                (e, _) => e,
            },
        )
    }

    fn check_kept(&self, height: u64) -> Result<()> {
        let (oldest, latest) = (self.oldest(), self.latest().height);
        if (oldest..=latest).contains(&height) {
            return Ok(());
        }
        Err(StoreError::NoVersion {
            height,
            oldest,
            latest,
        })
    }

    /// Waits until flat history has every durable height. Returns why it cannot, where it cannot.
    pub fn history_settled(&self) -> Result<()> {
        self.catch_up()?;
        self.disk
            .flat
            .as_ref()
            .map_or(Ok(()), |history| history.settled())
    }

    /// What flat history has; `None` where it is switched off.
    pub fn history_stats(&self) -> Option<HistoryStats> {
        self.disk.flat.as_ref().map(|history| history.stats())
    }

    /// Waits for what is written behind.
    pub(crate) fn catch_up(&self) -> Result<()> {
        self.behind
            .as_ref()
            .map_or(Ok(()), |behind| behind.drained(&self.disk).map(drop))
    }

    /// Step 3.
    fn publish(&self, staged: &Staged, record: &BlockRecord) {
        let published = Published::new(staged.version().height, record);
        let mut recent = self.disk.recent.write();
        let mut first = self.disk.first.write();
        if *first == 0 {
            *first = staged.version().height;
        }
        self.versions.publish(staged);
        recent.push_back(published);
        drop((recent, first));
        self.config.points.at(Point::Published);
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        self.behind = None;
        self.pruner = None;
        self.flat = None;
        self.disk.writer.lock().reap(true);
    }
}

impl CommitStore for DiskStore {
    type Snapshot = View;
    type Staged = Staged;

    fn latest(&self) -> Version {
        self.versions.latest()
    }
    fn durable(&self) -> Result<Version> {
        if let Some(behind) = &self.behind {
            return behind.drained(&self.disk);
        }
        // A commit is durable before it is published; one that runs is waited for.
        let _commit = self.commit.lock();
        self.disk.poisoned()?;
        Ok(self.latest())
    }
    fn oldest(&self) -> u64 {
        self.disk.oldest()
    }
    fn retain(&self) -> u64 {
        let checkpoint = self.disk.retain.load(Ordering::Acquire);
        // Whoever takes a snapshot gets the blocks after it from others.
        self.snapshots
            .oldest()
            .map_or(checkpoint, |snapshot| checkpoint.min(snapshot))
    }
    fn snapshot(&self, height: u64) -> Result<View> {
        self.check_kept(height)?;
        if let Some(frozen) = self.versions.get(height) {
            return Ok(View::Tree(frozen));
        }
        if let Some(history) = &self.disk.flat
            && let Some(flat) = history.at(height)?
        {
            return Ok(View::Flat(flat));
        }
        // History does not have it, or not yet.
        self.frozen(height).map(View::Tree)
    }
    fn stage(&self, height: u64, changes: ChangeSet) -> Result<(AppHash, Staged)> {
        self.disk.poisoned()?;
        self.versions.stage(height, changes)
    }
    fn commit(&self, staged: Staged, record: BlockRecord) -> Result<Version> {
        let _commit = self.commit.lock();
        self.disk.poisoned()?;
        self.versions.check(&staged)?;
        let version = staged.version();
        if self.latest().height == 0 {
            self.drop_checkpoints()?;
        }
        if let Some(behind) = &self.behind {
            behind.wait_for_room(&self.disk)?;
            self.publish(&staged, &record);
            self.snapshots.offer(&staged.next, &self.config);
            behind.push(staged, record);
            return Ok(version);
        }
        let mut writer = self.disk.writer.lock();
        self.disk.write(&mut writer, &staged, &record)?;
        self.disk.acknowledge(version.height, writer.last)?;
        self.publish(&staged, &record);
        self.disk.settle(&record, version.height)?;
        self.disk.enforce(writer.floors);
        self.disk.checkpoint(&mut writer, &staged.next);
        drop(writer);
        self.snapshots.offer(&staged.next, &self.config);
        Ok(version)
    }
    fn record(&self, height: u64) -> Result<Option<Bytes>> {
        if height > self.latest().height {
            return Ok(None);
        }
        let recent = self.disk.recent.read();
        if let Some(body) = recent
            .iter()
            .find(|p| p.height == height)
            .and_then(|p| p.body.clone())
        {
            return Ok(Some(body));
        }
        drop(recent);
        let kept = || height >= self.disk.floors().blocks;
        if !kept() {
            return Ok(None);
        }
        let Some((meta, _)) = self.disk.journal.meta(height)? else {
            return Ok(None);
        };
        if meta.kind == Kind::Seed {
            return Ok(None);
        }
        match self.disk.journal.read(&meta, Part::Body) {
            // It may have been pruned meanwhile.
            Err(_) if !kept() => Ok(None),
            body => body.map(|body| Some(body.into())),
        }
    }
    fn find(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let recent = self.disk.recent.read();
        if let Some(value) = recent.iter().rev().find_map(|published| published.index.get(key)) {
            return Ok(Some(value.clone()));
        }
        drop(recent);
        let found = self.disk.journal.find(key)?;
        let floor = self.disk.floors().blocks;
        Ok(found.filter(|(of, _)| *of >= floor).map(|(_, value)| value))
    }
    fn prove(&self, height: u64, key: &Key) -> Result<Proven> {
        self.frozen(height)?.prove(key)
    }
}
