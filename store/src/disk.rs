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
//! A failure in 2 or 4 poisons the store: what reached the disk is unknown until it is opened again.
//!
//! How a store is opened again stands in `open.rs`.
use crate::head::Head;
use crate::history::History;
use crate::journal::Journal;
use crate::multistore::commit_info;
use crate::open::{Opened, chained, failed, load, lock, sync_folders};
use crate::record::{Digest, Draft, Part, decode_index, encode_changes, encode_index};
use crate::versions::Versions;
use crate::{Config, Frozen, Staged, checkpoint};
use parking_lot::{Mutex, RwLock};
use prost::Message;
use state::{
    AppHash, BlockRecord, Bytes, ChangeSet, CommitStore, Key, Proven, Snapshot, StoreError, Version,
};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

type Result<T> = std::result::Result<T, StoreError>;

/// The durable commit store. All heights since the first are kept.
#[derive(Debug)]
pub struct SledStore {
    config: Config,
    versions: Versions,
    /// The newest height's index entries, published with its version.
    recent: RwLock<BTreeMap<Bytes, Bytes>>,
    journal: Journal,
    head: Head,
    /// The first height; 0 before the first commit.
    first: RwLock<u64>,
    checkpoints: PathBuf,
    history: History,
    /// Held throughout a commit.
    writer: Mutex<Writer>,
    poison: RwLock<Option<String>>,
    /// Dropped last: the folder is ours until the journal is closed.
    _lock: File,
}

#[derive(Debug)]
struct Writer {
    /// The newest record's hash.
    last: Digest,
    /// Journal bytes since the newest checkpoint.
    bytes: u64,
    /// The newest checkpoint's size.
    size: u64,
    checkpoint: Option<JoinHandle<Result<u64>>>,
    failed: Option<StoreError>,
}

impl SledStore {
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
        let journal = Journal::open(&home.join("journal"))?;
        let head = Head::open(home)?;
        sync_folders(home)?;
        let bounds = journal.bounds()?;
        let last = bounds.map_or(0, |(_, last)| last);
        head.check(last)?;
        journal.drop_above(last)?;
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
        let (mut first, mut recent) = (0, BTreeMap::new());
        if let Some((start, last)) = bounds {
            first = start;
            let (meta, _) = journal.expect(last)?;
            let index = decode_index(&journal.read(&meta, Part::Index)?, last)?;
            journal.put_index(&index)?;
            recent.extend(index.into_iter().map(|entry| (entry.key, entry.value)));
        }
        let Opened {
            versions,
            last,
            bytes,
            size,
        } = opened;
        let writer = Writer {
            last,
            bytes,
            size,
            checkpoint: None,
            failed: None,
        };
        Ok(Self {
            config,
            versions,
            recent: RwLock::new(recent),
            journal,
            head,
            first: RwLock::new(first),
            checkpoints,
            history: History::default(),
            writer: Mutex::new(writer),
            poison: RwLock::new(None),
            _lock: lock,
        })
    }

    /// Why the last checkpoint could not be written, if it could not. The journal has all that is needed to open
    /// without it, and the next one is tried when due.
    pub fn checkpoint_failure(&self) -> Option<StoreError> {
        let mut writer = self.writer.lock();
        writer.reap(true);
        writer.failed.clone()
    }

    /// Reads every record and checks its hash and its place in the chain. Returns how many there are.
    pub fn verify(&self) -> Result<u64> {
        let Some((first, last)) = self.journal.bounds()? else {
            return Ok(0);
        };
        let mut previous = Digest::default();
        for height in first..=last {
            let (meta, hash) = chained(&self.journal, height, previous)?;
            for part in Part::ALL {
                self.journal.read(&meta, part)?;
            }
            previous = hash;
        }
        Ok(last - first + 1)
    }

    fn poisoned(&self) -> Result<()> {
        self.poison
            .read()
            .clone()
            .map_or(Ok(()), |why| Err(StoreError::Poisoned(why)))
    }

    /// Step 2.
    fn write(&self, writer: &mut Writer, staged: &Staged, record: &BlockRecord, index: &[u8]) -> Result<()> {
        let Version { height, root } = staged.version();
        let changes = encode_changes(&staged.changes);
        let commit_info = commit_info(height, staged.next.trees()).encode_to_vec();
        let draft = Draft {
            height,
            root,
            previous: writer.last,
            commit_info,
        };
        let (hash, bytes) = self.journal.append(&draft, [&changes, &record.body, index])?;
        self.head.write(height, hash)?;
        writer.last = hash;
        writer.bytes += bytes;
        Ok(())
    }

    /// Step 3.
    fn publish(&self, staged: &Staged, record: &BlockRecord) {
        let index = record
            .index
            .iter()
            .map(|entry| (entry.key.clone(), entry.value.clone()))
            .collect();
        let mut recent = self.recent.write();
        let mut first = self.first.write();
        if *first == 0 {
            *first = staged.version().height;
        }
        self.versions.publish(staged);
        let old = std::mem::replace(&mut *recent, index);
        drop((first, recent));
        drop(old);
    }

    /// Step 5.
    fn checkpoint(&self, writer: &mut Writer, frozen: &Frozen) {
        writer.reap(false);
        let Config {
            checkpoint_interval: every,
            checkpoint_bytes: most,
            checkpoints: keep,
            ..
        } = self.config;
        let height = frozen.version().height;
        let due = (every > 0 && height.is_multiple_of(every))
            || (most > 0 && writer.bytes >= most.max(writer.size));
        if !due || writer.checkpoint.is_some() {
            return;
        }
        writer.bytes = 0;
        let (frozen, record, folder) = (frozen.clone(), writer.last, self.checkpoints.clone());
        let work = move || checkpoint::write(&folder, &frozen, record, keep);
        match std::thread::Builder::new().name("checkpoint".into()).spawn(work) {
            Ok(running) => writer.checkpoint = Some(running),
            Err(e) => writer.failed = Some(failed(&self.checkpoints, &e)),
        }
    }
}

impl Writer {
    /// Takes note of how the running checkpoint ended; waits for it where told to.
    fn reap(&mut self, wait: bool) {
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

impl Drop for SledStore {
    fn drop(&mut self) {
        self.writer.get_mut().reap(true);
    }
}

impl CommitStore for SledStore {
    type Snapshot = Frozen;
    type Staged = Staged;

    fn latest(&self) -> Version {
        self.versions.latest()
    }
    fn durable(&self) -> Result<Version> {
        // A commit is durable before it is published; one that runs is waited for.
        let _writer = self.writer.lock();
        self.poisoned()?;
        Ok(self.latest())
    }
    fn oldest(&self) -> u64 {
        *self.first.read()
    }
    fn snapshot(&self, height: u64) -> Result<Frozen> {
        if let Some(frozen) = self.versions.get(height) {
            return Ok(frozen);
        }
        let (oldest, latest) = (self.oldest(), self.latest().height);
        if height < oldest || height > latest {
            return Err(StoreError::NoVersion {
                height,
                oldest,
                latest,
            });
        }
        self.history
            .get(height, &self.journal, &self.checkpoints, &self.config)
    }
    fn stage(&self, height: u64, changes: ChangeSet) -> Result<(AppHash, Staged)> {
        self.poisoned()?;
        self.versions.stage(height, changes)
    }
    fn commit(&self, staged: Staged, record: BlockRecord) -> Result<Version> {
        let mut writer = self.writer.lock();
        self.poisoned()?;
        self.versions.check(&staged)?;
        let poison = |e: StoreError| {
            *self.poison.write() = Some(e.to_string());
            e
        };
        let index = encode_index(&record.index);
        self.write(&mut writer, &staged, &record, &index)
            .map_err(poison)?;
        self.publish(&staged, &record);
        self.journal.put_index(&record.index).map_err(poison)?;
        self.checkpoint(&mut writer, &staged.next);
        Ok(staged.version())
    }
    fn record(&self, height: u64) -> Result<Option<Bytes>> {
        if height > self.latest().height {
            return Ok(None);
        }
        let Some((meta, _)) = self.journal.meta(height)? else {
            return Ok(None);
        };
        Ok(Some(self.journal.read(&meta, Part::Body)?.into()))
    }
    fn find(&self, key: &[u8]) -> Result<Option<Bytes>> {
        if let Some(value) = self.recent.read().get(key) {
            return Ok(Some(value.clone()));
        }
        self.journal.find(key)
    }
    fn prove(&self, height: u64, key: &Key) -> Result<Proven> {
        self.snapshot(height)?.prove(key)
    }
}
