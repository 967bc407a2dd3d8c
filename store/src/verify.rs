//! Checks everything a store has against everything else: records, look-ups, checkpoints, trees, history.
//!
//! 1. Every record: its hash, its place in the chain, the hashes of its parts. Every look-up is the newest entry under its
//!    key, and there are no others.
//! 2. Every checkpoint: its hash, its trees against the app hash in it, and against the record of its height.
//! 3. The newest version: its trees built anew, node by node, from their leaves; every key read through the index.
//! 4. From the oldest height on, every block is applied again and its app hash compared with the record's. Flat history
//!    is asked for every changed key at every height, and for all keys at some.
//! 5. Every page of flat history.
use crate::flat::FlatHistory;
use crate::history::fits;
use crate::iavl::{Importer, Tree};
use crate::multistore::{Trees, app_hash};
use crate::record::{Digest, Kind, Part, decode_changes, decode_index};
use crate::versions::apply;
use crate::{DiskStore, Frozen, checkpoint};
use state::CommitStore;
use state::{Bytes, Control, Key, KeyRange, Snapshot, StateRead, StateScan, StoreError, StoreId, Value};
use std::collections::{BTreeMap, VecDeque};

type Result<T> = std::result::Result<T, StoreError>;

/// No more differences are told than these: where there are so many, the rest says nothing new.
const MAX_DIFFERENCES: usize = 100;
/// At so many heights all keys of flat history are compared, beside the first, the last and those of checkpoints.
const SAMPLES: u64 = 8;

/// What was checked, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Records whose hashes and place in the chain were checked.
    pub records: u64,
    /// Bytes of their parts.
    pub bytes: u64,
    /// Look-ups compared with the records.
    pub look_ups: u64,
    /// Checkpoints read and built.
    pub checkpoints: Vec<u64>,
    /// Nodes built anew for the newest height.
    pub nodes: u64,
    /// Keys of the newest height read through the index.
    pub keys: u64,
    /// The heights whose app hash was computed again: first and last.
    pub heights: Option<(u64, u64)>,
    /// Reads from flat history compared with trees.
    pub history_reads: u64,
    /// Pages of flat history checked.
    pub history_pages: u64,
    /// What is not as it should be, each with where.
    pub differences: Vec<String>,
}

impl Audit {
    fn differs(&mut self, what: impl ToString) {
        if self.differences.len() < MAX_DIFFERENCES {
            self.differences.push(what.to_string());
        }
    }
    /// Takes note of damage; what else may go wrong ends the audit.
    fn note<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(e @ (StoreError::Corrupt(_) | StoreError::NoVersion { .. })) => {
                self.differs(e);
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }
}

impl DiskStore {
    /// Checks everything, and tells of each step with `tell`. Takes the time of applying all kept blocks again, and the
    /// memory of a second state.
    pub fn audit(&self, tell: &mut dyn FnMut(&str)) -> Result<Audit> {
        self.catch_up()?;
        let mut audit = Audit::default();
        if let Some(history) = &self.disk.flat {
            if let Err(e) = history.settled() {
                audit.differs(format!("history is behind: {e}"));
            }
            history
                .troubles()
                .iter()
                .for_each(|trouble| audit.differs(trouble));
        }
        tell("records and look-ups");
        self.check_records(&mut audit)?;
        tell("checkpoints");
        self.check_checkpoints(&mut audit)?;
        tell("the newest trees and their index");
        self.check_newest(&mut audit)?;
        tell("all heights, and history at them");
        self.check_heights(&mut audit)?;
        if let Some(history) = &self.disk.flat {
            tell("pages of history");
            let pages = history.check_pages();
            audit.history_pages = audit.note(pages)?.unwrap_or(0);
        }
        Ok(audit)
    }

    fn check_records(&self, audit: &mut Audit) -> Result<()> {
        let (journal, floors) = (&self.disk.journal, self.disk.floors());
        let Some((first, last)) = journal.bounds()? else {
            return Ok(());
        };
        let first = first.max(floors.meta());
        let mut previous: Option<Digest> = None;
        // How many look-ups there must be.
        let mut newest = 0;
        for height in first..=last {
            let Some((meta, hash)) = audit.note(journal.expect(height))? else {
                previous = None;
                continue;
            };
            let unknown = height == first && (floors.meta() > 0 || meta.kind == Kind::Seed);
            if previous.is_some_and(|previous| previous != meta.previous)
                || (height == first && !unknown && meta.previous != Digest::default())
            {
                audit.differs(format!(
                    "record of height {height} does not follow the record before it"
                ));
            }
            previous = Some(hash);
            audit.records += 1;
            for (part, floor) in [
                (Part::Changes, floors.changes),
                (Part::Body, floors.blocks),
                (Part::Index, floors.blocks),
            ] {
                if height < floor {
                    continue;
                }
                let Some(bytes) = audit.note(journal.read(&meta, part))? else {
                    continue;
                };
                audit.bytes += bytes.len() as u64;
                if part == Part::Index {
                    newest += self.check_look_ups(audit, height, last, &bytes)?;
                }
            }
        }
        audit.look_ups = newest;
        let mut there = 0;
        let mut from = Vec::new();
        loop {
            let keys = journal
                .backend()
                .keys(crate::backend::Table::Index, &from, None, 1024)?;
            let Some(last) = keys.last() else { break };
            there += keys.len() as u64;
            from = [&last[..], &[0]].concat();
        }
        // Where old blocks go, some of their look-ups may still wait to.
        if there != newest && (floors.blocks == 0 || there < newest) {
            audit.differs(format!("there are {there} look-ups, the records have {newest}"));
        }
        Ok(())
    }

    /// Compares a record's entries with the look-ups. Returns how many of these are its own.
    fn check_look_ups(&self, audit: &mut Audit, height: u64, last: u64, bytes: &[u8]) -> Result<u64> {
        let Some(index) = audit.note(decode_index(bytes, height))? else {
            return Ok(0);
        };
        let entries: BTreeMap<Bytes, Bytes> =
            index.into_iter().map(|entry| (entry.key, entry.value)).collect();
        let mut own = 0;
        for (key, value) in entries {
            let Some(found) = audit.note(self.disk.journal.find(&key))? else {
                // Damaged, and there.
                own += 1;
                continue;
            };
            match found {
                Some((of, found)) if of == height && found == value => own += 1,
                Some((of, _)) if of > height && of <= last => {}
                found => audit.differs(format!(
                    "look-up {}: height {height} has {}, found {}",
                    hex::encode(&key),
                    hex::encode(&value),
                    found.map_or("nothing".into(), |(of, found)| format!(
                        "{} of height {of}",
                        hex::encode(&found)
                    ))
                )),
            }
        }
        Ok(own)
    }

    fn check_checkpoints(&self, audit: &mut Audit) -> Result<()> {
        for (height, path) in checkpoint::list(&self.disk.checkpoints)? {
            let checked = checkpoint::read(&path)
                .and_then(|(frozen, record)| fits(&frozen, record, &self.disk.journal).map(|_| frozen));
            if let Some(frozen) = audit.note(checked)? {
                audit.checkpoints.push(height);
                if let Some(history) = self.history_from(height) {
                    compare_all(audit, history, &frozen)?;
                }
            }
        }
        Ok(())
    }

    /// Flat history, where it must have `height`.
    fn history_from(&self, height: u64) -> Option<&FlatHistory> {
        let history = self.disk.flat.as_deref();
        history.filter(|_| (self.oldest()..=self.latest().height).contains(&height))
    }

    fn check_newest(&self, audit: &mut Audit) -> Result<()> {
        let head = self.versions.head();
        let version = head.version();
        if version.height == 0 {
            return Ok(());
        }
        for (id, tree) in head.trees() {
            let Some(anew) = audit.note(built_anew(*id, tree))? else {
                continue;
            };
            audit.nodes += (anew.size() * 2).saturating_sub(1);
            if anew.hash() != tree.hash() {
                audit.differs(format!("store {}: its nodes do not have its root", id.name()));
            }
            let mut keys = 0;
            let _ = anew.scan(&[], None, false, &mut |key, value| {
                keys += 1;
                if tree.get(key).as_ref() != Some(value) {
                    audit.differs(format!(
                        "store {}: the index has another value under {}",
                        id.name(),
                        hex::encode(key)
                    ));
                }
                Control::Continue(())
            });
            audit.keys += keys;
        }
        let root = app_hash(head.trees());
        let recorded = self.disk.journal.expect(version.height)?.0.root;
        if root != recorded {
            audit.differs(format!(
                "height {}: its trees have app hash {}, recorded {}",
                version.height,
                hex::encode(root),
                hex::encode(recorded)
            ));
        }
        Ok(())
    }

    fn check_heights(&self, audit: &mut Audit) -> Result<()> {
        let (journal, last) = (&self.disk.journal, self.latest().height);
        if last == 0 {
            return Ok(());
        }
        let oldest = self.oldest();
        let Some(base) = audit.note(self.frozen(oldest))? else {
            return Ok(());
        };
        // Trees of their own: those that are served stay as they are.
        let mut trees = Trees::new();
        for (id, tree) in base.trees() {
            let Some(tree) = audit.note(built_anew(*id, tree))? else {
                return Ok(());
            };
            trees.insert(*id, tree);
        }
        drop(base);
        let every = ((last - oldest) / SAMPLES).max(1);
        for height in oldest..=last {
            let Some((meta, _)) = audit.note(journal.expect(height))? else {
                return Ok(());
            };
            let mut changed = Vec::new();
            if height > oldest {
                let changes = journal
                    .read(&meta, Part::Changes)
                    .and_then(|bytes| decode_changes(&bytes, height));
                let Some(changes) = audit.note(changes)? else {
                    return Ok(());
                };
                apply(&mut trees, &changes, height)?;
                changed = changes.into_iter().collect();
            }
            let root = app_hash(&trees);
            if root != meta.root {
                audit.differs(format!(
                    "height {height} applied again has app hash {}, recorded {}",
                    hex::encode(root),
                    hex::encode(meta.root)
                ));
                return Ok(());
            }
            audit.heights = Some((oldest, height));
            let Some(history) = self.history_from(height) else {
                continue;
            };
            compare_some(audit, history, height, &changed)?;
            if height == last || (height - oldest).is_multiple_of(every) {
                let version = state::Version {
                    height,
                    root: meta.root,
                };
                compare_all(audit, history, &Frozen::new(version, trees.clone()))?;
            }
        }
        Ok(())
    }
}

/// The tree of the same leaves and shape, every hash computed again.
fn built_anew(id: StoreId, tree: &Tree) -> Result<Tree> {
    let (mut importer, mut result) = (Importer::default(), Ok(()));
    let _ = tree.export(&mut |node| {
        result = match node.value {
            Some(value) => importer.leaf(node.key, value, node.version),
            None => importer.inner(node.height, node.version),
        };
        if result.is_ok() {
            Control::Continue(())
        } else {
            Control::Break(())
        }
    });
    result
        .and_then(|()| importer.finish())
        .map_err(|e| StoreError::Corrupt(format!("store {}: {e}", id.name())))
}

/// Compares what history says of the keys that `height` changed.
fn compare_some(
    audit: &mut Audit,
    history: &FlatHistory,
    height: u64,
    changed: &[(Key, Option<Value>)],
) -> Result<()> {
    let Some(flat) = audit.note(history.at(height))? else {
        return Ok(());
    };
    let Some(flat) = flat else {
        audit.differs(format!("history does not have height {height}"));
        return Ok(());
    };
    for (key, want) in changed {
        audit.history_reads += 1;
        match flat.get(key) {
            Ok(have) if have == *want => {}
            Ok(_) => audit.differs(format!(
                "history has another value under {key:?} at height {height}"
            )),
            Err(e) => audit.differs(e),
        }
    }
    Ok(())
}

/// Compares all that history says of a height with its trees.
fn compare_all(audit: &mut Audit, history: &FlatHistory, trees: &Frozen) -> Result<()> {
    let version = trees.version();
    let Some(flat) = audit.note(history.at(version.height))? else {
        return Ok(());
    };
    let Some(flat) = flat else {
        audit.differs(format!("history does not have height {}", version.height));
        return Ok(());
    };
    if flat.version() != version {
        audit.differs(format!(
            "history has another app hash at height {}",
            version.height
        ));
    }
    for (id, tree) in trees.trees() {
        let range = KeyRange::prefix(*id, &[]);
        let (mut want, mut wrong) = (Walk::new(tree), None);
        let found = flat.scan(&range, &mut |key, value| {
            audit.history_reads += 1;
            if want.next().is_some_and(|(k, v)| k == key.bytes() && v == *value) {
                return Control::Continue(());
            }
            wrong = Some(key.clone());
            Control::Break(())
        });
        let wrong = wrong.or_else(|| want.next().map(|(key, _)| Key::new(*id, &[&key])));
        match (found, wrong) {
            (Err(e), _) => audit.differs(e),
            (Ok(()), Some(key)) => {
                audit.differs(format!(
                    "history differs from the tree at {key:?}, height {}",
                    version.height
                ));
            }
            (Ok(()), None) => {}
        }
    }
    Ok(())
}

/// A tree's pairs in order, some at a time.
struct Walk<'a> {
    tree: &'a Tree,
    pairs: VecDeque<(Vec<u8>, Value)>,
    /// Where the next ones begin; `None` where there are no more.
    from: Option<Vec<u8>>,
}

impl<'a> Walk<'a> {
    const STEP: usize = 4096;

    fn new(tree: &'a Tree) -> Self {
        Self {
            tree,
            pairs: VecDeque::new(),
            from: Some(Vec::new()),
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = (Vec<u8>, Value);

    fn next(&mut self) -> Option<Self::Item> {
        if self.pairs.is_empty() {
            let from = self.from.take()?;
            let pairs = &mut self.pairs;
            let _ = self.tree.scan(&from, None, false, &mut |key, value| {
                pairs.push_back((key.to_vec(), value.clone()));
                if pairs.len() < Self::STEP {
                    Control::Continue(())
                } else {
                    Control::Break(())
                }
            });
            // The least key above the last.
            let last = self.pairs.back().filter(|_| self.pairs.len() == Self::STEP);
            self.from = last.map(|(key, _)| [&key[..], &[0]].concat());
        }
        self.pairs.pop_front()
    }
}
