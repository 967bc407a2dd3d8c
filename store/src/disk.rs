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
//! How a store is opened again stands in `open.rs`.
use crate::flat::{FlatHistory, HistoryStats, Threads};
use crate::head::Head;
use crate::history::History;
use crate::journal::Journal;
use crate::open::{Opened, chained, failed, load, lock, sync_folders};
use crate::points::Point;
use crate::record::{Digest, Kind, Part, decode_index};
use crate::snapshot::Snapshots;
use crate::versions::Versions;
use crate::writer::{Behind, Disk, Published, Recent, Writer};
use crate::{Commit, Config, Frozen, Staged, View, checkpoint};
use parking_lot::{Mutex, RwLock};
use state::{AppHash, BlockRecord, Bytes, ChangeSet, CommitStore, Key, Proven, StoreError, Version};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

type Result<T> = std::result::Result<T, StoreError>;

/// The durable commit store. All heights since the first are kept.
#[derive(Debug)]
pub struct DiskStore {
    pub(crate) config: Config,
    pub(crate) versions: Versions,
    pub(crate) disk: Arc<Disk>,
    /// Where heights are written behind.
    pub(crate) behind: Option<Behind>,
    /// Held throughout a commit.
    pub(crate) commit: Mutex<()>,
    /// The first height; 0 before the first commit.
    pub(crate) first: RwLock<u64>,
    history: History,
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
        let checkpoints = home.join("checkpoints");
        fs::create_dir_all(&checkpoints).map_err(|e| failed(&checkpoints, &e))?;
        let lock = lock(home)?;
        let journal = Journal::open(home, &config.database)?;
        let head = Head::open(home)?;
        sync_folders(home, &config.database.path(home))?;
        config.points.at(Point::OpenStep);
        let bounds = journal.bounds()?;
        let last = bounds.map_or(0, |(_, last)| last);
        head.check(last)?;
        journal.drop_above(last)?;
        config.points.at(Point::OpenStep);
        checkpoint::drop_unfinished(&checkpoints)?;
        let opened = match bounds {
            None => Opened {
                versions: Versions::new(&config),
                last: Digest::default(),
                bytes: 0,
                size: 0,
            },
            Some((first, last)) => load(&journal, &checkpoints, &config, first, last)?,
        };
        let (mut first, mut recent) = (0, Recent::new());
        if let Some((start, last)) = bounds {
            first = start;
            let (meta, _) = journal.expect(last)?;
            let index = decode_index(&journal.read(&meta, Part::Index)?, last)?;
            journal.put_index(last, &index)?;
            config.points.at(Point::OpenStep);
            recent.push_back(Published::new(
                last,
                &BlockRecord {
                    body: Bytes::new(),
                    index,
                },
            ));
            recent[0].body = None;
        }
        let Opened {
            versions,
            last,
            bytes,
            size,
        } = opened;
        let snapshots = Snapshots::open(home, versions.latest().height)?;
        let writer = Writer {
            last,
            bytes,
            size,
            checkpoint: None,
            failed: None,
        };
        let flat = if config.history {
            Some(Arc::new(FlatHistory::open(home, &config, &journal)?))
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
        });
        let flat = match &disk.flat {
            Some(flat) => Some(Threads::start(&disk, flat, versions.head())?),
            None => None,
        };
        let behind = match config.commit {
            Commit::Sync => None,
            Commit::Async => Some(Behind::start(Arc::clone(&disk), versions.latest())?),
        };
        Ok(Self {
            config,
            versions,
            disk,
            behind,
            commit: Mutex::new(()),
            first: RwLock::new(first),
            history: History::default(),
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

    /// Reads every record and checks its hash and its place in the chain. Returns how many there are.
    pub fn verify(&self) -> Result<u64> {
        self.catch_up()?;
        let Some((first, last)) = self.disk.journal.bounds()? else {
            return Ok(0);
        };
        let mut previous = Digest::default();
        for height in first..=last {
            let (meta, hash) = chained(&self.disk.journal, height, previous)?;
            for part in Part::ALL {
                self.disk.journal.read(&meta, part)?;
            }
            previous = hash;
        }
        Ok(last - first + 1)
    }

    /// The trees of a height: those in RAM, else rebuilt from the nearest checkpoint and the journal, which may take as
    /// much time and memory as opening does.
    pub fn frozen(&self, height: u64) -> Result<Frozen> {
        if let Some(frozen) = self.versions.get(height) {
            return Ok(frozen);
        }
        self.check_kept(height)?;
        // It left the ring, but may not be in the journal yet.
        self.catch_up()?;
        let rebuilt = self
            .history
            .get(height, &self.disk.journal, &self.disk.checkpoints, &self.config);
        rebuilt.map_err(|e| match (e, self.disk.flat.as_ref().map(|history| history.troubles())) {
            (StoreError::Corrupt(why), Some(troubles)) if !troubles.is_empty() => {
                StoreError::Corrupt(format!("{why}; {}", troubles.join("; ")))
            }
            (e, _) => e,
        })
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
        self.disk.flat.as_ref().map_or(Ok(()), |history| history.settled())
    }

    /// What flat history has; `None` where it is switched off.
    pub fn history_stats(&self) -> Option<HistoryStats> {
        self.disk.flat.as_ref().map(|history| history.stats())
    }

    /// Waits for what is written behind.
    fn catch_up(&self) -> Result<()> {
        self.behind
            .as_ref()
            .map_or(Ok(()), |behind| behind.drained(&self.disk).map(drop))
    }

    /// Step 3.
    fn publish(&self, staged: &Staged, record: &BlockRecord) {
        let published = Published::new(staged.version().height, record);
        let mut recent = self.disk.recent.write();
        let mut first = self.first.write();
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
        *self.first.read()
    }
    fn snapshot(&self, height: u64) -> Result<View> {
        if let Some(frozen) = self.versions.get(height) {
            return Ok(View::Tree(frozen));
        }
        self.check_kept(height)?;
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
        let hash = self.disk.write(&mut writer, &staged, &record)?;
        self.disk.acknowledge(version.height, hash)?;
        self.publish(&staged, &record);
        self.disk.settle(&record, version.height)?;
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
        let Some((meta, _)) = self.disk.journal.meta(height)? else {
            return Ok(None);
        };
        if meta.kind == Kind::Seed {
            return Ok(None);
        }
        Ok(Some(self.disk.journal.read(&meta, Part::Body)?.into()))
    }
    fn find(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let recent = self.disk.recent.read();
        if let Some(value) = recent.iter().rev().find_map(|published| published.index.get(key)) {
            return Ok(Some(value.clone()));
        }
        drop(recent);
        Ok(self.disk.journal.find(key)?.map(|(_, value)| value))
    }
    fn prove(&self, height: u64, key: &Key) -> Result<Proven> {
        self.frozen(height)?.prove(key)
    }
}
