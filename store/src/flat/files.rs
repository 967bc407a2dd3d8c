//! Which files and segments in memory are the history, and how that changes.
use super::cache::Cache;
use super::filter::hash;
use super::layers::Layers;
use super::manifest::{self, segment_path};
use super::merge::merge;
use super::read::{Flat, ROOT_KEY};
use super::segment::{Builder, Head, Segment};
use crate::Config;
use crate::journal::Journal;
use crate::open::failed;
use crate::points::{Point, Points};
use crate::record::Kind;
use parking_lot::{Condvar, Mutex, RwLock};
use state::{StoreError, StoreId};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

type Result<T> = std::result::Result<T, StoreError>;

/// The history of a store.
#[derive(Debug)]
pub(crate) struct FlatHistory {
    folder: PathBuf,
    stores: Arc<[StoreId]>,
    points: Points,
    /// So many heights become a file.
    pub(super) tail: u64,
    pub(super) cache: Arc<Cache>,
    layers: RwLock<Arc<Layers>>,
    /// Held while the list of segments changes.
    changing: Mutex<()>,
    next_id: AtomicU64,
    /// Heights below are not asked for any more.
    pub(super) floor: AtomicU64,
    pub(super) progress: Mutex<Progress>,
    pub(super) changed: Condvar,
}

/// How far the threads are.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The newest durable height.
    pub(super) durable: u64,
    /// Why the last height could not be added, or the last merge not be done.
    pub(super) failed: Option<StoreError>,
    /// What was found damaged since the store was opened.
    pub(super) damage: Vec<String>,
    pub(super) feeding: bool,
    /// Something may be to merge.
    pub(super) merge_due: bool,
    pub(super) merging: bool,
    /// Heights are being dropped: the threads wait.
    pub(super) paused: bool,
    pub(super) stop: bool,
}

/// A segment of the flat history, as `store stats` tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentStats {
    /// First height.
    pub from: u64,
    /// Last height.
    pub to: u64,
    /// How often its rows were merged; `None` for a whole state.
    pub level: Option<u8>,
    /// Rows, each a key at a height.
    pub rows: u64,
    /// Different keys.
    pub keys: u64,
    /// Bytes of the file, or of memory.
    pub bytes: u64,
    /// Whether it is a file.
    pub file: bool,
}

/// The flat history, as `store stats` tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryStats {
    /// The heights that can be read, as ranges.
    pub heights: Vec<(u64, u64)>,
    /// Segments, the oldest first.
    pub segments: Vec<SegmentStats>,
    /// Bytes of files.
    pub disk: u64,
    /// Bytes of memory: fences, filters, segments in memory, cached pages.
    pub memory: u64,
    /// Why it is behind, where it is.
    pub failed: Option<StoreError>,
    /// What was found damaged since the store was opened.
    pub damage: Vec<String>,
}

impl FlatHistory {
    /// Opens what lies in the folder `history` of `home`, as far as it is the history of `journal`.
    pub(crate) fn open(home: &Path, config: &Config, journal: &Journal) -> Result<Self> {
        let folder = home.join("history");
        fs::create_dir_all(&folder).map_err(|e| failed(&folder, &e))?;
        let last = journal.bounds()?.map_or(0, |(_, last)| last);
        let mut damage = Vec::new();
        let read = manifest::read(&folder);
        let was_whole = read.is_ok();
        let list = match read {
            Ok(list) => list.unwrap_or(Vec::new()),
            Err(e) => {
                damage.push(e.to_string());
                found(&folder)?
            }
        };
        let mut layers = Layers::default();
        for (id, digest) in &list {
            let path = segment_path(&folder, *id);
            let opened = Segment::open(*id, path.clone()).and_then(|segment| {
                if segment.digest == *digest {
                    return Ok(segment);
                }
                let why = format!("history {}: it is not the file that was listed", path.display());
                Err(StoreError::Corrupt(why))
            });
            match opened {
                // Files found without a list may lie across each other.
                Ok(segment) if layers.parts.iter().all(|part| apart(part, &segment)) => {
                    layers.insert(Arc::new(segment));
                }
                Ok(_) => {}
                Err(e) => {
                    damage.push(e.to_string());
                    set_aside(&path);
                }
            }
        }
        let next_id = drop_unlisted(&folder, &list)?;
        let history = Self {
            folder,
            stores: config.stores.clone().into(),
            points: config.points.clone(),
            tail: config.history_tail,
            cache: Arc::new(Cache::new(config.history_cache)),
            layers: RwLock::new(Arc::new(layers)),
            changing: Mutex::new(()),
            next_id: AtomicU64::new(next_id),
            floor: AtomicU64::new(0),
            progress: Mutex::new(Progress {
                durable: last,
                damage,
                merge_due: true,
                ..Progress::default()
            }),
            changed: Condvar::new(),
        };
        history.truncate(last)?;
        history.unlink(journal)?;
        let listed = history.layers().parts.len();
        if listed != list.len() || !was_whole {
            history.list(&history.layers())?;
        }
        Ok(history)
    }

    pub(super) fn layers(&self) -> Arc<Layers> {
        Arc::clone(&self.layers.read())
    }

    /// State at `height`; `None` where history does not have it (yet).
    pub(crate) fn at(&self, height: u64) -> Result<Option<Flat>> {
        let layers = self.layers();
        let Some(range) = layers.at(height) else {
            return Ok(None);
        };
        let parts = layers.parts[range].to_vec();
        let flat = if parts.iter().any(|part| part.damage().is_some()) {
            None
        } else {
            Flat::new(
                height,
                parts.clone(),
                Arc::clone(&self.cache),
                Arc::clone(&self.stores),
            )
            .ok()
        };
        if flat.is_none() {
            self.repair(&parts)?;
        }
        Ok(flat)
    }

    /// Sets aside those of `parts` that were found damaged.
    pub(super) fn repair(&self, parts: &[Arc<Segment>]) -> Result<()> {
        for part in parts {
            let (Some(why), Some(path)) = (part.damage(), part.path()) else {
                continue;
            };
            if self.swap(&[part.id], None, set_aside)? {
                let mut progress = self.progress.lock();
                progress
                    .damage
                    .push(format!("{why}; {} is set aside", path.display()));
                progress.failed = None;
                self.changed.notify_all();
            }
        }
        Ok(())
    }

    /// The lowest height whose change set history still needs from the journal.
    pub(crate) fn needs(&self) -> u64 {
        self.layers().reached(Segment::is_file) + 1
    }

    /// Heights below `floor` are not asked for any more: what only they see goes in the background.
    pub(crate) fn prune(&self, floor: u64) {
        self.floor.fetch_max(floor, Ordering::AcqRel);
        self.progress.lock().merge_due = true;
        self.changed.notify_all();
    }

    /// `height` and all before are durable.
    pub(crate) fn durable(&self, height: u64) {
        self.progress.lock().durable = height;
        self.changed.notify_all();
    }

    /// Drops what is above `height`, which is now the newest durable one.
    pub(crate) fn truncate(&self, height: u64) -> Result<()> {
        let mut progress = self.progress.lock();
        progress.paused = true;
        progress.durable = progress.durable.min(height);
        self.changed.notify_all();
        while progress.feeding || progress.merging {
            self.changed.wait(&mut progress);
        }
        drop(progress);
        let result = self.cut_above(height);
        self.progress.lock().paused = false;
        self.changed.notify_all();
        result
    }

    fn cut_above(&self, height: u64) -> Result<()> {
        for part in &self.layers().parts {
            if part.head.from > height {
                self.swap(&[part.id], None, remove)?;
            } else if part.head.to > height {
                let head = Head {
                    to: height,
                    ..part.head
                };
                let parts = [Arc::clone(part)];
                let result = if part.is_file() {
                    self.merged(&parts, head, &mut || false).map(drop)
                } else {
                    let mut out = Builder::memory(head);
                    merge(&parts, head, &mut out, &mut || false)
                        .and_then(|_| self.swap(&[part.id], Some(Arc::new(out.finish(self.id())?)), remove))
                        .map(drop)
                };
                match result {
                    Err(StoreError::Corrupt(_)) if part.damage().is_some() => self.repair(&parts)?,
                    result => result?,
                }
            }
        }
        Ok(())
    }

    /// Whether a thread has to leave what it is at.
    pub(super) fn leaving(&self) -> bool {
        let progress = self.progress.lock();
        progress.stop || progress.paused
    }

    /// Drops what is not the journal's: its record of a segment's last height must be the one that history has.
    fn unlink(&self, journal: &Journal) -> Result<()> {
        for part in self.layers().parts.iter().rev() {
            let height = part.head.to;
            // Pruned, or damaged: that is told by others.
            let Ok(Some((meta, digest))) = journal.meta(height) else {
                continue;
            };
            let record = match meta.kind {
                Kind::Block => digest,
                Kind::Seed => meta.previous,
            };
            let row = part.find(ROOT_KEY, hash(ROOT_KEY), height, &self.cache);
            let Ok(row) = row else {
                self.repair(std::slice::from_ref(part))?;
                continue;
            };
            let value = row.flatten();
            let fits = value.is_some_and(|value| value[..] == [meta.root, record].concat());
            if !fits {
                self.swap(&[part.id], None, remove)?;
            }
        }
        Ok(())
    }

    pub(super) fn id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// A file, written by `fill`; `None` where that did not come to its end.
    pub(super) fn file(
        &self,
        head: Head,
        fill: impl FnOnce(&mut Builder) -> Result<bool>,
    ) -> Result<Option<Segment>> {
        let id = self.id();
        let path = segment_path(&self.folder, id);
        let temporary = path.with_extension("tmp");
        let written = Builder::file(head, &temporary).and_then(|mut out| {
            if fill(&mut out)? {
                out.finish(id).map(Some)
            } else {
                Ok(None)
            }
        });
        let Ok(Some(segment)) = written else {
            // What is left of it is dropped at the next start, too.
            let _ = fs::remove_file(&temporary);
            return written;
        };
        self.points.at(Point::HistoryWritten);
        let segment = segment.named(path)?;
        self.points.at(Point::HistoryNamed);
        Ok(Some(segment))
    }

    /// Merges `parts` into a file that takes their place. Returns whether it did.
    pub(super) fn merged(
        &self,
        parts: &[Arc<Segment>],
        head: Head,
        stop: &mut dyn FnMut() -> bool,
    ) -> Result<bool> {
        let Some(file) = self.file(head, |out| merge(parts, head, out, stop))? else {
            return Ok(false);
        };
        let old: Vec<u64> = parts.iter().map(|part| part.id).collect();
        let path = file.path().map(Path::to_owned);
        let done = self.swap(&old, Some(Arc::new(file)), remove);
        if !matches!(done, Ok(true))
            && let Some(path) = path
        {
            remove(&path);
        }
        done
    }

    /// Puts `new` in the place of the segments numbered `old`, durably where files change, and then does `gone` with
    /// the files of the old. Returns whether the old ones were all there: where not, nothing is done.
    pub(super) fn swap(&self, old: &[u64], new: Option<Arc<Segment>>, gone: impl Fn(&Path)) -> Result<bool> {
        let _changing = self.changing.lock();
        let before = self.layers();
        let mut layers = Layers::clone(&before);
        let files = new.as_ref().is_some_and(|new| new.is_file());
        if !layers.replace(old, new) {
            return Ok(false);
        }
        let paths = before
            .parts
            .iter()
            .filter(|part| old.contains(&part.id))
            .filter_map(|part| part.path());
        let paths: Vec<&Path> = paths.collect();
        if files || !paths.is_empty() {
            self.list(&layers)?;
            self.points.at(Point::HistoryListed);
        }
        *self.layers.write() = Arc::new(layers);
        paths.iter().for_each(|path| gone(path));
        if !paths.is_empty() {
            self.points.at(Point::HistoryDropped);
        }
        Ok(true)
    }

    fn list(&self, layers: &Layers) -> Result<()> {
        let files = layers.parts.iter().filter(|part| part.is_file());
        let list: Vec<_> = files.map(|part| (part.id, part.digest)).collect();
        manifest::write(&self.folder, &list)
    }

    /// Waits until history has every durable height and nothing is left to merge.
    pub(crate) fn settled(&self) -> Result<()> {
        let mut progress = self.progress.lock();
        loop {
            if let Some(e) = &progress.failed {
                return Err(e.clone());
            }
            if progress.stop {
                return Ok(());
            }
            let idle = !progress.feeding && !progress.merging && !progress.merge_due;
            if idle && self.layers().reached(|_| true) >= progress.durable {
                return Ok(());
            }
            self.changed.wait(&mut progress);
        }
    }

    /// What was found damaged since the store was opened, and what keeps it from going on.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let progress = self.progress.lock();
        let failed = progress.failed.iter().map(ToString::to_string);
        progress.damage.iter().cloned().chain(failed).collect()
    }

    /// Checks every page of every file. Returns how many there are.
    pub(crate) fn check_pages(&self) -> Result<u64> {
        let mut pages = 0;
        for part in &self.layers().parts {
            for n in 0..part.pages() {
                part.page(n, None)?.decode()?;
                pages += 1;
            }
        }
        Ok(pages)
    }

    pub(crate) fn stats(&self) -> HistoryStats {
        let layers = self.layers();
        let progress = self.progress.lock();
        let segments = layers.parts.iter().map(|part| SegmentStats {
            from: part.head.from,
            to: part.head.to,
            level: (part.head.level != super::segment::BASE).then_some(part.head.level),
            rows: part.rows,
            keys: part.keys,
            bytes: part.bytes,
            file: part.is_file(),
        });
        let memory: u64 = layers.parts.iter().map(|part| part.memory()).sum();
        HistoryStats {
            heights: layers.ranges(),
            segments: segments.collect(),
            disk: layers
                .parts
                .iter()
                .filter(|part| part.is_file())
                .map(|part| part.bytes)
                .sum(),
            memory: memory + self.cache.bytes(),
            failed: progress.failed.clone(),
            damage: progress.damage.clone(),
        }
    }
}

fn apart(a: &Segment, b: &Segment) -> bool {
    a.head.to < b.head.from || b.head.to < a.head.from
}

/// The files there are, whole states first, then those with most heights: what a list that is lost may have named. All
/// say the truth of their heights, or are dropped where the journal says otherwise.
fn found(folder: &Path) -> Result<Vec<manifest::Entry>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| failed(folder, &e))? {
        let path = entry.map_err(|e| failed(folder, &e))?.path();
        let id = path
            .file_stem()
            .and_then(|name| name.to_str()?.parse::<u64>().ok());
        if let Some(id) = id
            && let Ok(segment) = Segment::open(id, path)
        {
            let Head {
                complete, from, to, ..
            } = segment.head;
            found.push((!complete, u64::MAX - (to - from), (id, segment.digest)));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, _, entry)| entry).collect())
}

/// Renames a damaged file, for whoever wants to know what happened to it.
fn set_aside(path: &Path) {
    // Where that fails it is dropped at the next start: it is not listed any more.
    let _ = fs::rename(path, path.with_extension("damaged"));
}

/// Removes a file that is not listed any more.
fn remove(path: &Path) {
    // Where that fails it is dropped at the next start.
    let _ = fs::remove_file(path);
}

/// Drops files that are not listed. Returns a number that no file has.
fn drop_unlisted(folder: &Path, list: &[manifest::Entry]) -> Result<u64> {
    let mut next = list.iter().map(|(id, _)| id + 1).max().unwrap_or(1);
    for entry in fs::read_dir(folder).map_err(|e| failed(folder, &e))? {
        let path = entry.map_err(|e| failed(folder, &e))?.path();
        let kind = path.extension().and_then(|e| e.to_str());
        let id = path
            .file_stem()
            .and_then(|name| name.to_str()?.parse::<u64>().ok());
        next = next.max(id.map_or(0, |id| id + 1));
        let listed = id.is_some_and(|id| list.iter().any(|(listed, _)| *listed == id));
        if kind == Some("tmp") || (kind == Some("seg") && !listed) {
            fs::remove_file(&path).map_err(|e| failed(&path, &e))?;
        }
    }
    Ok(next)
}
