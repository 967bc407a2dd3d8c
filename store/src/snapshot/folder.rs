//! The snapshots a node keeps for others: a folder each, written in the background.
//!
//! ```text
//! snapshots/<height>/metadata    metadata.rs; written last
//! snapshots/<height>/<index>     a chunk, compressed
//! ```
//! A folder has another name until it is whole and synced.
use super::chunk::Chunker;
use super::metadata::{FORMAT, Metadata};
use super::restore::Restore;
use super::stream;
use crate::open::failed;
use crate::{Config, Frozen, background};
use parking_lot::{Mutex, RwLock};
use state::{Bytes, Snapshot as _, StoreError, SyncSnapshot};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const METADATA: &str = "metadata";
const UNFINISHED: &str = "tmp";

/// Snapshots that are there, one that is being written, and one that is being taken.
#[derive(Debug)]
pub(crate) struct Snapshots {
    shared: Arc<Shared>,
    running: Mutex<Option<JoinHandle<()>>>,
    /// What comes from other nodes.
    pub(super) restore: Mutex<Option<Restore>>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    /// Newest first.
    kept: RwLock<Vec<Kept>>,
    /// The one being written need not be finished.
    stop: AtomicBool,
    failed: Mutex<Option<StoreError>>,
}

#[derive(Debug)]
struct Kept {
    metadata: Metadata,
    offer: SyncSnapshot,
}

impl Snapshots {
    /// Finds the snapshots in `home`. Drops what is not whole, and what is above `latest`: blocks that were rolled back
    /// may come again otherwise.
    pub(crate) fn open(home: &Path, latest: u64) -> Result<Self, StoreError> {
        let folder = home.join("snapshots");
        let found = find(&folder, latest).map_err(|e| failed(&folder, &e))?;
        let shared = Shared {
            folder,
            kept: RwLock::new(found),
            stop: AtomicBool::new(false),
            failed: Mutex::new(None),
        };
        Ok(Self {
            shared: Arc::new(shared),
            running: Mutex::new(None),
            restore: Mutex::new(None),
        })
    }
    /// Writes `frozen` in the background where its height is a multiple of the interval and no other is being written.
    pub(crate) fn offer(&self, frozen: &Frozen, config: &Config) {
        let (every, height) = (config.snapshot_interval, frozen.version().height);
        if every == 0 || !height.is_multiple_of(every) {
            return;
        }
        let mut running = self.running.lock();
        if running.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let (shared, frozen, keep) = (Arc::clone(&self.shared), frozen.clone(), config.snapshots);
        let thread = background::spawn("snapshot", move || shared.make(&frozen, keep));
        match thread {
            Ok(thread) => *running = Some(thread),
            Err(e) => *self.shared.failed.lock() = Some(failed(&self.shared.folder, &e)),
        }
    }
    /// Waits for the one being written. Returns why the newest could not be written, if it could not.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        if let Some(thread) = self.running.lock().take()
            && thread.join().is_err()
        {
            return Some(StoreError::Database("snapshot: panicked".into()));
        }
        self.shared.failed.lock().clone()
    }
    /// What other nodes may ask for, newest first.
    pub(super) fn list(&self) -> Vec<SyncSnapshot> {
        self.shared
            .kept
            .read()
            .iter()
            .map(|kept| kept.offer.clone())
            .collect()
    }
    /// The lowest height from which a node goes on that takes one of these; `None` where there is none.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.shared.kept.read().last().map(|kept| kept.offer.height)
    }
    /// A chunk that is still what its hash says.
    pub(super) fn load(&self, height: u64, format: u32, index: u32) -> Result<Option<Bytes>, StoreError> {
        let kept = self.shared.kept.read();
        let at = kept
            .iter()
            .find(|kept| kept.offer.height == height && format == FORMAT);
        let Some(chunk) = at.and_then(|kept| kept.metadata.chunks.get(index as usize).copied()) else {
            return Ok(None);
        };
        drop(kept);
        let path = self
            .shared
            .folder
            .join(height.to_string())
            .join(index.to_string());
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| chunk.is(bytes)).map(Bytes::from)),
            // Newer ones took its place meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(&path, &e)),
        }
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.failure();
    }
}

impl Shared {
    fn make(&self, frozen: &Frozen, keep: usize) {
        let result = write(&self.folder, frozen, &self.stop).and_then(|kept| self.keep(kept, keep));
        if !self.stop.load(Ordering::Acquire) {
            *self.failed.lock() = result.err().map(|e| failed(&self.folder, &e));
        }
    }
    /// Shows a written one, and drops all but the newest `keep`.
    fn keep(&self, new: Kept, keep: usize) -> io::Result<()> {
        let mut kept = self.kept.write();
        kept.retain(|old| old.offer.height != new.offer.height);
        kept.insert(0, new);
        let from = keep.max(1).min(kept.len());
        let old = kept.split_off(from);
        drop(kept);
        old.iter()
            .try_for_each(|old| fs::remove_dir_all(self.folder.join(old.offer.height.to_string())))
    }
}

fn find(folder: &Path, latest: u64) -> io::Result<Vec<Kept>> {
    fs::create_dir_all(folder)?;
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        match name.parse::<u64>() {
            Ok(height) if height <= latest => match read(&path, height) {
                Some(kept) => found.push(kept),
                None => fs::remove_dir_all(&path)?,
            },
            Ok(_) => fs::remove_dir_all(&path)?,
            Err(_) if name.ends_with(UNFINISHED) => fs::remove_dir_all(&path)?,
            Err(_) => {}
        }
    }
    found.sort_by_key(|kept| std::cmp::Reverse(kept.offer.height));
    Ok(found)
}

/// The snapshot in a folder, where it is whole. Its chunks are checked as they are given out.
fn read(folder: &Path, height: u64) -> Option<Kept> {
    let metadata = Metadata::decode(&fs::read(folder.join(METADATA)).ok()?).ok()?;
    let whole = (0u32..).zip(&metadata.chunks).all(|(index, chunk)| {
        let file = fs::metadata(folder.join(index.to_string()));
        file.is_ok_and(|file| file.len() == u64::from(chunk.size))
    });
    let offer = metadata.offer().ok()?;
    (whole && metadata.version.height == height).then_some(Kept { metadata, offer })
}

/// Writes a snapshot, durably.
fn write(folder: &Path, frozen: &Frozen, stop: &AtomicBool) -> io::Result<Kept> {
    let path = folder.join(frozen.version().height.to_string());
    let temporary = path.with_extension(UNFINISHED);
    for old in [&temporary, &path] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    fs::create_dir(&temporary)?;
    let done = write_files(&temporary, frozen, stop);
    let kept = done.inspect_err(|_| drop(fs::remove_dir_all(&temporary)))?;
    fs::rename(&temporary, &path)?;
    File::open(folder)?.sync_all()?;
    Ok(kept)
}

fn write_files(folder: &Path, frozen: &Frozen, stop: &AtomicBool) -> io::Result<Kept> {
    let put = |name: &str, bytes: &[u8]| {
        let mut file = File::create(folder.join(name))?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    let mut chunks = Vec::new();
    let mut sink = |meta, chunk: &[u8]| {
        if stop.load(Ordering::Acquire) {
            return Err(io::Error::other("the store closes"));
        }
        put(&chunks.len().to_string(), chunk)?;
        chunks.push(meta);
        Ok(())
    };
    let mut chunker = Chunker::new(&mut sink)?;
    let nodes = stream::write(frozen.trees(), &mut |bytes| chunker.put(bytes))?;
    let bytes = chunker.finish()?;
    let metadata = Metadata {
        version: frozen.version(),
        nodes,
        bytes,
        chunks,
    };
    let offer = metadata.offer().map_err(io::Error::other)?;
    put(METADATA, &offer.metadata)?;
    File::open(folder)?.sync_all()?;
    Ok(Kept { metadata, offer })
}
