//! A database that fails as disks do, for tests: power cuts, full disks, failed syncs, damaged values.
//!
//! What is written since the last sync is kept apart, in atomic groups: a write of at most [`Caps::atomic`] changes is
//! one; of a longer one each early change is one by itself. [`FaultyBackend::cut`] is a power cut. An ordered database
//! loses groups from the end; any other keeps some and loses some, as a disk does that reorders.
use super::memory::Tables;
use super::{Backend, Caps, Result, Table, Write};
use parking_lot::Mutex;
use state::{Bytes, StoreError};

/// A database in memory that fails where told to.
#[derive(Debug)]
pub struct FaultyBackend {
    caps: Caps,
    state: Mutex<State>,
}

/// What goes wrong, and when: 1 is the next operation of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full in the middle of a write: the first half of its groups are written.
    Write(u64),
    /// A sync fails. As with Linux, what it should have synced may be lost even if a later one succeeds.
    Sync(u64),
    /// The power goes in the middle of a write or a sync, counted together. All fails from then on:
    /// [`FaultyBackend::cut`] says what is left.
    Off(u64),
    /// A value read has lost its last byte.
    Short(u64),
    /// A value read has one bit flipped.
    Flipped(u64),
}

/// How many operations there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes.
    pub writes: u64,
    /// Syncs.
    pub syncs: u64,
    /// Values read.
    pub gets: u64,
}

type Change = (Table, Vec<u8>, Option<Bytes>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// A power cut may lose it.
    Unsynced,
    /// A sync of it failed: a power cut may lose it, whatever succeeds later.
    Doubtful,
    /// It is synced, after something doubtful.
    Synced,
}

#[derive(Debug, Default)]
struct State {
    /// What a power cut leaves at least.
    durable: Tables,
    /// Atomic groups since then.
    since: Vec<(Vec<Change>, Fate)>,
    /// All of it, as readers see it.
    now: Tables,
    counts: Counts,
    /// Faults with the count of operations at which they come.
    faults: Vec<Fault>,
    /// The power is off.
    off: bool,
}

impl FaultyBackend {
    /// A database without content, which applies `atomic` changes atomically and holds values of `chunk` bytes.
    pub fn new(atomic: usize, chunk: usize, ordered: bool) -> Self {
        let caps = Caps {
            name: "faulty",
            atomic: atomic.max(1),
            chunk: chunk.max(1),
            ordered,
            durable: true,
        };
        Self {
            caps,
            state: Mutex::default(),
        }
    }
    /// Lets something go wrong, once.
    pub fn fail(&self, fault: Fault) {
        let mut state = self.state.lock();
        let Counts { writes, syncs, gets } = state.counts;
        state.faults.push(match fault {
            Fault::Write(n) => Fault::Write(writes + n),
            Fault::Sync(n) => Fault::Sync(syncs + n),
            Fault::Off(n) => Fault::Off(writes + syncs + n),
            Fault::Short(n) => Fault::Short(gets + n),
            Fault::Flipped(n) => Fault::Flipped(gets + n),
        });
    }
    /// How many operations there were.
    pub fn counts(&self) -> Counts {
        self.state.lock().counts
    }
    /// How many atomic groups a power cut could lose.
    pub fn at_risk(&self) -> usize {
        let state = self.state.lock();
        let lost = state.since.iter().filter(|(_, fate)| *fate != Fate::Synced);
        lost.count()
    }
    /// Forgets the faults that did not come.
    pub fn heal(&self) {
        self.state.lock().faults.clear();
    }
    /// Gives the power back.
    pub fn restore(&self) {
        self.state.lock().off = false;
    }
    /// Cuts the power: loses what `seed` says of what is not synced; all fails until [`FaultyBackend::restore`]. Faults
    /// that did not come are forgotten.
    pub fn cut(&self, seed: u64) {
        let mut random = Random(seed);
        let state = &mut *self.state.lock();
        let lost = state.since.iter().filter(|(_, fate)| *fate != Fate::Synced);
        let mut first = random.below(lost.count() as u64 + 1);
        let mut ends = false;
        for (group, fate) in std::mem::take(&mut state.since) {
            let kept = if self.caps.ordered {
                // A log ends where something of it is lost, whatever was synced after.
                if fate != Fate::Synced {
                    ends |= first == 0;
                    first = first.saturating_sub(1);
                }
                !ends
            } else {
                fate == Fate::Synced || random.below(2) == 0
            };
            if kept {
                for (table, key, value) in group {
                    state.durable.apply(table, key, value);
                }
            }
        }
        state.now = state.durable.clone();
        state.faults.clear();
        state.off = true;
    }
}

impl State {
    fn powered(&self) -> Result<()> {
        if self.off {
            Err(failed("the power is off"))
        } else {
            Ok(())
        }
    }
    /// Whether the power goes now.
    fn goes_off(&mut self) -> bool {
        self.off = self.due(Fault::Off(self.counts.writes + self.counts.syncs));
        self.off
    }
    fn due(&mut self, fault: Fault) -> bool {
        let place = self.faults.iter().position(|f| *f == fault);
        place.map(|at| self.faults.swap_remove(at)).is_some()
    }
}

impl Backend for FaultyBackend {
    fn caps(&self) -> Caps {
        self.caps
    }
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>> {
        let mut state = self.state.lock();
        state.powered()?;
        state.counts.gets += 1;
        let (n, value) = (state.counts.gets, state.now.get(table, key));
        let (short, flipped) = (state.due(Fault::Short(n)), state.due(Fault::Flipped(n)));
        Ok(value.map(|value| {
            let mut value = value.to_vec();
            if short {
                value.pop();
            }
            if flipped && !value.is_empty() {
                let at = n as usize % value.len();
                value[at] ^= 1 << (n % 8);
            }
            value.into()
        }))
    }
    fn first(&self, table: Table) -> Result<Option<Vec<u8>>> {
        let state = self.state.lock();
        state.powered()?;
        Ok(state.now.first(table))
    }
    fn last(&self, table: Table) -> Result<Option<Vec<u8>>> {
        let state = self.state.lock();
        state.powered()?;
        Ok(state.now.last(table))
    }
    fn keys(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Vec<u8>>> {
        let state = self.state.lock();
        state.powered()?;
        Ok(state.now.keys(table, from, to, limit))
    }
    fn write(&self, changes: &[Write<'_>]) -> Result<()> {
        let own = |w: &Write<'_>| (w.table, w.key.clone(), w.value.map(Bytes::copy_from_slice));
        let (early, last) = changes.split_at(changes.len().saturating_sub(self.caps.atomic));
        let mut groups: Vec<Vec<Change>> = early.iter().map(|change| vec![own(change)]).collect();
        groups.push(last.iter().map(own).collect());
        let state = &mut *self.state.lock();
        state.powered()?;
        state.counts.writes += 1;
        let full = state.due(Fault::Write(state.counts.writes));
        let off = state.goes_off();
        if full {
            groups.truncate(groups.len() / 2);
        }
        for group in groups {
            for (table, key, value) in group.iter().cloned() {
                state.now.apply(table, key, value);
            }
            state.since.push((group, Fate::Unsynced));
        }
        if full {
            return Err(failed("no space left on device"));
        }
        if off {
            return Err(failed("the power went"));
        }
        Ok(())
    }
    fn sync(&self) -> Result<()> {
        let state = &mut *self.state.lock();
        state.powered()?;
        state.counts.syncs += 1;
        if state.goes_off() {
            return Err(failed("the power went"));
        }
        let failing = state.due(Fault::Sync(state.counts.syncs));
        for (_, fate) in &mut state.since {
            *fate = match *fate {
                Fate::Unsynced if failing => Fate::Doubtful,
                Fate::Unsynced => Fate::Synced,
                settled => settled,
            };
        }
        if failing {
            return Err(failed("input/output error"));
        }
        if state.since.iter().all(|(_, fate)| *fate == Fate::Synced) {
            state.since.clear();
            state.durable = state.now.clone();
        }
        Ok(())
    }
    fn size(&self) -> Result<u64> {
        Ok(self.state.lock().now.size())
    }
}

fn failed(why: &str) -> StoreError {
    StoreError::Database(format!("journal: {why}"))
}

/// Numbers from a seed (splitmix64).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}
