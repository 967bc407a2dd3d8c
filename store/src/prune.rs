//! Letting go of what retention no longer needs: in the background, in bounded steps, between commits.
//!
//! 1. A commit at a multiple of the interval notes the new floors in the same sync as its record.
//! 2. Once that is durable the floors are in force: nothing below them is answered for.
//! 3. Behind the commits, checkpoints that are not needed go ([`thin`]); what they leave uncovered is what the next floors
//!    may let go of.
//! 4. Step by step look-ups, sections and meta records below the floors are removed. Before each step a note says how far
//!    the steps before it went; a kill in between costs doing one again.
//!
//! Nothing is removed before a durable floor says that it may be missing, so opening never takes what was pruned for
//! damage.
use crate::backend::{Table, Write};
use crate::journal::{Journal, chunk_key};
use crate::points::Point;
use crate::record::{Kind, Part, decode_index};
use crate::retain::{Floors, changes_floor, thin};
use crate::writer::Disk;
use crate::{DiskStore, Pruning, background, checkpoint};
use parking_lot::{Condvar, Mutex, MutexGuard};
use state::StoreError;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

type Result<T> = std::result::Result<T, StoreError>;

/// Under this name the floors in force are noted,
const FLOORS: &str = "floors";
/// and under this one how far removal has come.
const REMOVED: &str = "removed";
/// How many keys a step removes: about a millisecond of sled's, for which a commit may wait.
const STEP: usize = 64;

/// The floors that are noted in `journal`.
pub(crate) fn floors(journal: &Journal) -> Result<Floors> {
    noted(journal, FLOORS)
}

/// Notes the floors; the next sync makes them durable.
pub(crate) fn note_floors(journal: &Journal, floors: &Floors) -> Result<()> {
    journal.set_mark(FLOORS, Some(&floors.encode()))
}

/// Brings both notes down to what a journal that ends at `last` can have: after a rollback.
pub(crate) fn cap(journal: &Journal, last: u64) -> Result<()> {
    for name in [FLOORS, REMOVED] {
        let floors = noted(journal, name)?;
        if floors != floors.capped(last) {
            journal.set_mark(name, Some(&floors.capped(last).encode()))?;
        }
    }
    Ok(())
}

fn noted(journal: &Journal, name: &str) -> Result<Floors> {
    journal
        .mark(name)?
        .map_or(Ok(Floors::default()), |bytes| Floors::decode(&bytes))
}

/// The thread that lets go. Dropping this ends it after the step it is at; what is left is done after the next start.
#[derive(Debug)]
pub(crate) struct Pruner {
    disk: Arc<Disk>,
    thread: Option<JoinHandle<()>>,
}

/// Says that there may be something to let go of, or that it is enough.
#[derive(Debug, Default)]
pub(crate) struct Bell(Mutex<Signal>, Condvar);

#[derive(Debug, Default)]
struct Signal {
    due: bool,
    stop: bool,
}

impl Bell {
    fn ring(&self, stop: bool) {
        let mut signal = self.0.lock();
        signal.due = true;
        signal.stop |= stop;
        self.1.notify_all();
    }
    fn stopped(&self) -> bool {
        self.0.lock().stop
    }
    /// Waits until it rings; whether there is something to do.
    fn wait(&self) -> bool {
        let mut signal = self.0.lock();
        while !signal.due {
            self.1.wait(&mut signal);
        }
        signal.due = false;
        !signal.stop
    }
}

impl Pruner {
    /// Starts it; it first does what was left.
    pub(crate) fn start(disk: Arc<Disk>) -> Result<Self> {
        disk.bell.ring(false);
        let theirs = Arc::clone(&disk);
        let thread = background::spawn("prune", move || run(&theirs))
            .map_err(|e| StoreError::Database(format!("prune: no thread: {e}")))?;
        Ok(Self {
            disk,
            thread: Some(thread),
        })
    }
}

impl Drop for Pruner {
    fn drop(&mut self) {
        self.disk.bell.ring(true);
        if let Some(thread) = self.thread.take() {
            // It catches its own panics.
            let _ = thread.join();
        }
    }
}

fn run(disk: &Disk) {
    while disk.bell.wait() {
        let work = || disk.thin().and_then(|()| remove(disk, &|| disk.bell.stopped()));
        let done = catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|_| Err(StoreError::Database("prune: panicked".into())));
        *disk.prune_failure.lock() = done.err();
    }
}

impl Disk {
    /// Step 1, for `height`, which is about to be written.
    pub(crate) fn note_floors(&self, noted: &mut Floors, height: u64) -> Result<()> {
        let Some(next) = self.retention.floors(height) else {
            return Ok(());
        };
        let changes = self.uncovered();
        let next = noted.max(Floors { changes, ..next });
        if next != *noted {
            note_floors(&self.journal, &next)?;
            *noted = next;
        }
        Ok(())
    }
    /// Step 2, for floors that are durable.
    pub(crate) fn enforce(&self, floors: Floors) {
        let mut have = self.floors.write();
        if *have != floors {
            *have = floors;
            drop(have);
            if let Some(flat) = &self.flat {
                flat.prune(floors.state);
            }
            self.bell.ring(false);
        }
    }
    /// The oldest change set that is still needed: to go on from the checkpoints, or by flat history.
    fn uncovered(&self) -> u64 {
        let uncovered = self.uncovered.load(Ordering::Acquire);
        self.flat
            .as_ref()
            .map_or(uncovered, |flat| uncovered.min(flat.needs()))
    }
    pub(crate) fn floors(&self) -> Floors {
        *self.floors.read()
    }
    /// The oldest height whose state can be read; 0 before the first commit.
    pub(crate) fn oldest(&self) -> u64 {
        let first = self.first.read();
        (*first).max(self.floors().state)
    }
    /// Step 3. Also done where nothing is ever pruned, after each checkpoint: their number is bounded.
    pub(crate) fn thin(&self) -> Result<()> {
        let _one = self.thinning.lock();
        let all = checkpoint::list(&self.checkpoints)?;
        let heights: Vec<u64> = all.iter().map(|(height, _)| *height).collect();
        let oldest = self.oldest();
        let kept = thin(&heights, oldest, self.config.checkpoints);
        self.retain
            .store(kept.first().copied().unwrap_or(0), Ordering::Release);
        for (height, path) in &all {
            if !kept.contains(height) {
                fs::remove_file(path).map_err(|e| crate::open::failed(path, &e))?;
            }
        }
        self.config.points.at(Point::CheckpointsDropped);
        if self.config.pruning != Pruning::NOTHING {
            self.uncovered
                .fetch_max(changes_floor(&kept, oldest), Ordering::AcqRel);
        }
        Ok(())
    }
}

impl DiskStore {
    /// Lets go of the state of all heights up to `height` at once, whatever the configuration keeps, and returns when
    /// it is gone. The newest height stays in any case; bodies stay as configured.
    pub fn prune(&self, height: u64) -> Result<()> {
        let _commit = self.commit.lock();
        self.catch_up()?;
        self.disk.poisoned()?;
        let latest = self.versions.latest().height;
        if latest == 0 {
            return Ok(());
        }
        let state = height.saturating_add(1).clamp(self.disk.oldest(), latest);
        // What is kept is rebuilt from here; the newest is written too, so that there are two.
        self.disk.writer.lock().reap(true);
        for at in [state, latest] {
            let files = checkpoint::list(&self.disk.checkpoints)?;
            if files.iter().all(|(of, _)| *of != at) {
                let frozen = self.frozen(at)?;
                let (meta, hash) = self.disk.journal.expect(at)?;
                let record = match meta.kind {
                    Kind::Block => hash,
                    Kind::Seed => meta.previous,
                };
                let points = &self.disk.config.points;
                checkpoint::write(&self.disk.checkpoints, &frozen, record, points)?;
            }
        }
        let blocks = match self.disk.retention.blocks {
            0 => 0,
            keep => latest.saturating_sub(keep),
        };
        let floors = Floors {
            state,
            changes: 0,
            blocks,
        };
        self.lower(floors)?;
        self.disk.thin()?;
        if let Some(flat) = &self.disk.flat {
            // Where it cannot go on it holds change sets back, and says so itself.
            let _ = flat.settled();
        }
        let covered = changes_floor(
            &checkpoint::list(&self.disk.checkpoints)?
                .iter()
                .map(|(of, _)| *of)
                .collect::<Vec<_>>(),
            state,
        );
        self.disk.uncovered.fetch_max(covered, Ordering::AcqRel);
        let changes = self.disk.uncovered();
        self.lower(Floors { changes, ..floors })?;
        remove(&self.disk, &|| false)?;
        self.disk.journal.sync()
    }
    /// Puts floors in force, now.
    fn lower(&self, floors: Floors) -> Result<()> {
        let mut writer = self.disk.writer.lock();
        writer.floors = writer.floors.max(floors);
        note_floors(&self.disk.journal, &writer.floors)?;
        self.disk.journal.sync()?;
        self.disk.enforce(writer.floors);
        Ok(())
    }
}

/// Step 4, until all below the floors is gone or `stop` says so.
pub(crate) fn remove(disk: &Disk, stop: &dyn Fn() -> bool) -> Result<()> {
    let _one = disk.removing.lock();
    let (floors, before) = (disk.floors(), noted(&disk.journal, REMOVED)?);
    let Some((first, _)) = disk.journal.bounds()? else {
        return Ok(());
    };
    let mut step = Step {
        disk,
        keys: Vec::new(),
    };
    let mut removed = before;
    let from = |removed: u64, floor: u64| if removed < floor { removed } else { u64::MAX };
    let from = from(removed.changes, floors.changes).min(from(removed.blocks, floors.blocks));
    for at in from.max(first)..floors.changes.max(floors.blocks) {
        if stop() {
            return Ok(());
        }
        if (removed.blocks..floors.blocks).contains(&at) {
            step.look_ups(at)?;
            step.log(chunk_key(at, Part::Body, 0), chunk_key(at + 1, Part::Changes, 0))?;
            removed.blocks = at + 1;
        }
        if (removed.changes..floors.changes).contains(&at) {
            step.log(chunk_key(at, Part::Changes, 0), chunk_key(at, Part::Body, 0))?;
            removed.changes = at + 1;
        }
        // All of the heights so far has come together: that much can be noted.
        if step.keys.len() >= STEP / 2 {
            step.apply(Some(&removed))?;
        }
    }
    removed = removed.max(Floors { state: 0, ..floors });
    if removed != before || !step.keys.is_empty() {
        step.apply(Some(&removed))?;
    }
    // What an interrupted step left behind its note goes here too.
    let meta = floors.meta();
    let end = chunk_key(meta, Part::Changes, 0);
    while !stop() {
        let log = disk.journal.backend().keys(Table::Log, &[], Some(&end), STEP)?;
        step.keys.extend(log.into_iter().map(|key| (Table::Log, key)));
        if step.keys.is_empty() {
            let below = meta.to_be_bytes();
            let metas = disk
                .journal
                .backend()
                .keys(Table::Meta, &[], Some(&below), STEP)?;
            step.keys.extend(metas.into_iter().map(|key| (Table::Meta, key)));
        }
        if step.keys.is_empty() {
            break;
        }
        step.apply(None)?;
    }
    Ok(())
}

/// Keys that go next, in this order.
struct Step<'a> {
    disk: &'a Disk,
    keys: Vec<(Table, Vec<u8>)>,
}

impl Step<'_> {
    /// The look-ups of `height` that no later height replaced.
    fn look_ups(&mut self, height: u64) -> Result<()> {
        let journal = &self.disk.journal;
        let index = journal.meta(height)?.map(|(meta, _)| {
            let bytes = journal.read(&meta, Part::Index)?;
            decode_index(&bytes, height)
        });
        // A section that is not whole was removed before, after its look-ups.
        let Some(Ok(index)) = index else { return Ok(()) };
        for entry in index {
            if matches!(journal.find(&entry.key), Ok(Some((of, _))) if of <= height) {
                self.keys.push((Table::Index, entry.key.to_vec()));
                self.drain()?;
            }
        }
        Ok(())
    }
    /// The keys of the log in a range.
    fn log(&mut self, from: [u8; 13], to: [u8; 13]) -> Result<()> {
        let mut from = from.to_vec();
        loop {
            let keys = self
                .disk
                .journal
                .backend()
                .keys(Table::Log, &from, Some(&to), STEP)?;
            let Some(last) = keys.last() else { return Ok(()) };
            from = [&last[..], &[0]].concat();
            self.keys.extend(keys.into_iter().map(|key| (Table::Log, key)));
            self.drain()?;
        }
    }
    /// Removes what has come together, where that is a step's worth; how far that goes is not noted yet.
    fn drain(&mut self) -> Result<()> {
        if self.keys.len() >= STEP {
            self.apply(None)?;
        }
        Ok(())
    }
    /// Removes what has come together, and notes how far that goes.
    fn apply(&mut self, removed: Option<&Floors>) -> Result<()> {
        // A database has one writer at a time. A commit that comes now waits for this step only.
        let writer = self.disk.writer.lock();
        let (journal, floor) = (&self.disk.journal, self.disk.floors().blocks);
        // A commit since this step was gathered may have put a newer look-up in the place of one that goes.
        self.keys.retain(|(table, key)| {
            *table != Table::Index || matches!(journal.find(key), Ok(Some((of, _))) if of < floor)
        });
        let note = removed.map(Floors::encode);
        let mut changes: Vec<Write<'_>> = std::mem::take(&mut self.keys)
            .into_iter()
            .map(|(table, key)| Write {
                table,
                key,
                value: None,
            })
            .collect();
        if let Some(note) = &note {
            changes.push(Write {
                table: Table::Marks,
                key: REMOVED.into(),
                value: Some(note),
            });
        }
        let written = journal.backend().write(&changes);
        MutexGuard::unlock_fair(writer);
        written?;
        self.disk.config.points.at(Point::Pruned);
        Ok(())
    }
}
