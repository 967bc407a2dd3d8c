//! What must be true of a home whose process was killed: compared with a store in memory that never was.
use super::world::{Life, Random, STORES};
use state::{CommitStore as _, Key, Snapshot as _, StateRead as _, StoreError, Version};
use std::path::Path;
use store::{Config, DiskStore, MemoryStore};

/// What is known of a home.
pub(super) struct Chain<'a> {
    home: &'a Path,
    life: &'a Life,
    /// Of every height from 1 on that was acknowledged, or seen in the store, which child committed it.
    eras: Vec<u64>,
    /// The last child went about going back to this height; it did not say that it came there.
    rolling: Option<u64>,
    oldest: u64,
    /// The highest height there ever was: what it let go of does not come back with a rollback.
    peak: u64,
    era: u64,
    twin: Option<(Vec<u64>, MemoryStore)>,
}

/// What became of a home.
#[derive(Debug)]
pub(super) enum Verdict {
    Whole,
    /// Something acknowledged is not there.
    Lost(String),
    /// Something is there that is not whole.
    Torn(String),
    /// It does not open, or does not go on.
    Unrecoverable(String),
}

impl<'a> Chain<'a> {
    pub(super) fn new(home: &'a Path, life: &'a Life) -> Self {
        Self {
            home,
            life,
            eras: Vec::new(),
            rolling: None,
            oldest: 0,
            peak: 0,
            era: 0,
            twin: None,
        }
    }
    pub(super) fn height(&self) -> u64 {
        self.eras.len() as u64
    }
    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }
    /// The last child's.
    pub(super) fn era(&self) -> u64 {
        self.era
    }
    /// Takes down a line of a child's. Returns whether it acknowledges a height.
    pub(super) fn hear(&mut self, line: &str, era: u64) -> bool {
        let Some((what, height)) = line.split_once(' ') else {
            return false;
        };
        let Ok(height) = height.parse::<u64>() else {
            return false;
        };
        match what {
            "rolling" => self.rolling = Some(height),
            "rolled" => {
                self.rolling = None;
                self.eras.truncate(height as usize);
            }
            "ack" if height > self.height() => self.eras.resize(height as usize, era),
            _ => {}
        }
        what == "ack"
    }
    /// Opens the home and compares all of it.
    pub(super) fn check(&mut self, era: u64, random: &mut Random) -> Verdict {
        self.era = era;
        let store = match DiskStore::open(self.home, self.life.config()) {
            Ok(store) => store,
            Err(e) => return Verdict::Unrecoverable(format!("it does not open: {e}")),
        };
        let last = store.latest().height;
        match self.rolling.take() {
            Some(height) if last == height => self.eras.truncate(height as usize),
            _ if last < self.height() => {
                return Verdict::Lost(format!("{} was acknowledged, {last} is there", self.height()));
            }
            _ => {}
        }
        self.peak = self.peak.max(self.height()).max(last);
        self.eras.resize(last as usize, era);
        self.oldest = store.oldest();
        self.compare(&store, last, random)
            .unwrap_or_else(|e| Verdict::Unrecoverable(format!("height {last}: {e}")))
    }
    /// The store in memory, with the same blocks.
    fn twin(&mut self) -> Result<&MemoryStore, StoreError> {
        let (eras, store) = match self.twin.take() {
            Some((eras, store)) if self.eras.starts_with(&eras) => (eras, store),
            _ => {
                let config = Config {
                    ring: usize::MAX,
                    ring_nodes: u64::MAX,
                    ..Config::new(STORES)
                };
                (Vec::new(), MemoryStore::new(config))
            }
        };
        for (height, era) in (1..).zip(&self.eras).skip(eras.len()) {
            let (changes, record) = self.life.block(height, *era);
            let (_, staged) = store.stage(height, changes)?;
            store.commit(staged, record)?;
        }
        let (_, store) = self.twin.insert((self.eras.clone(), store));
        Ok(store)
    }
    fn compare(&mut self, store: &DiskStore, last: u64, random: &mut Random) -> Result<Verdict, StoreError> {
        let (life, eras, peak) = (self.life, self.eras.clone(), self.peak);
        let twin = self.twin()?;
        let torn = |what: String| Ok(Verdict::Torn(format!("newest {last}: {what}")));
        if store.latest() != twin.latest() || store.durable()? != twin.latest() {
            return torn(format!("it is {:?}, must be {:?}", store.latest(), twin.latest()));
        }
        if last == 0 {
            return Ok(Verdict::Whole);
        }
        if store.oldest() > life.state_from(peak) {
            return torn(format!("state begins at {} only", store.oldest()));
        }
        store.verify()?;
        for height in store.oldest().max(1)..=last {
            let (have, want) = (store.snapshot(height)?, twin.snapshot(height)?);
            let (is, must): (Version, Version) = (have.version(), want.version());
            if is != must {
                return torn(format!("height {height} is {is:?}, must be {must:?}"));
            }
            let (changes, _) = life.block(height, eras[height as usize - 1]);
            let few = changes.keys().step_by(1 + changes.len() / 8);
            for key in few {
                if have.get(key) != want.get(key) {
                    return torn(format!("{key:?} at height {height}"));
                }
            }
        }
        for (height, era) in (1..).zip(&eras) {
            let (_, record) = life.block(height, *era);
            let must = height >= life.bodies_from(peak);
            match store.record(height)? {
                Some(body) if body != record.body => return torn(format!("body of height {height}")),
                None if must => return Ok(Verdict::Lost(format!("newest {last}: body of height {height}"))),
                _ => {}
            }
            let entry = &record.index[0];
            match store.find(&entry.key)? {
                Some(value) if value != entry.value => {
                    return torn(format!("look-up of height {height}: {value:?}"));
                }
                None if must => {
                    return Ok(Verdict::Lost(format!(
                        "newest {last}: look-up of height {height}"
                    )));
                }
                _ => {}
            }
        }
        for key in ["newest".to_owned(), format!("era {}", eras[last as usize - 1])] {
            if store.find(key.as_bytes())? != twin.find(key.as_bytes())? {
                return torn(format!("look-up {key:?}: {:?}", store.find(key.as_bytes())?));
            }
        }
        if store.find(format!("block {}", last + 1).as_bytes())?.is_some()
            || store.record(last + 1)?.is_some()
        {
            return torn(format!("something of height {} is there", last + 1));
        }
        for height in [
            last,
            store.oldest().max(1) + random.below(last - store.oldest().max(1) + 1),
        ] {
            for _ in 0..3 {
                let key = Key::new(
                    STORES[random.below(2) as usize],
                    &[&random.below(4000).to_be_bytes()],
                );
                if store.prove(height, &key)? != twin.prove(height, &key)? {
                    return torn(format!("proof of {key:?} at height {height}"));
                }
            }
        }
        Ok(Verdict::Whole)
    }
}
