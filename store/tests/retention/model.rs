//! Random blocks, and a twin that keeps everything.
use state::{
    BlockRecord, Bytes, ChangeSet, CommitStore, IndexEntry, Key, KeyRange, StateScan, StoreError, StoreId,
    Value, Version,
};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use store::{Config, DiskStore, MemoryStore};

pub(crate) const BANK: StoreId = StoreId::new("bank");
pub(crate) const EVM: StoreId = StoreId::new("evm");

pub(crate) fn config() -> Config {
    Config {
        ring: 3,
        checkpoint_interval: 0,
        ..Config::new([EVM, BANK])
    }
}

/// Another one each time; said, so that a failure can be had again with `BRAID_TEST_SEED`.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("BRAID_TEST_SEED").ok().and_then(|s| s.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = given.unwrap_or(now.as_nanos() as u64);
    println!("seed {seed}");
    seed
}

/// splitmix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

pub(crate) struct Model {
    twin: MemoryStore,
    blocks: Vec<(ChangeSet, BlockRecord)>,
    versions: Vec<Version>,
    states: Vec<State>,
}

type State = BTreeMap<Key, Value>;

impl Default for Model {
    fn default() -> Self {
        let keeps_all = Config {
            ring: usize::MAX,
            ring_nodes: u64::MAX,
            ..config()
        };
        Self {
            twin: MemoryStore::new(keeps_all),
            blocks: Vec::new(),
            versions: Vec::new(),
            states: Vec::new(),
        }
    }
}

impl Model {
    pub(crate) fn latest(&self) -> u64 {
        self.blocks.len() as u64
    }
    pub(crate) fn version(&self, height: u64) -> Version {
        self.versions[height as usize - 1]
    }
    pub(crate) fn body(&self, height: u64) -> Bytes {
        self.blocks[height as usize - 1].1.body.clone()
    }
    /// The next block, known to the twin from now on.
    pub(crate) fn block(&mut self, random: &mut Random) -> (ChangeSet, BlockRecord) {
        let height = self.latest() + 1;
        let mut changes = ChangeSet::new();
        for _ in 0..random.below(12) {
            let store = [BANK, EVM][random.below(2) as usize];
            let key = Key::new(store, &[&random.below(40).to_be_bytes()]);
            let value = (random.below(4) > 0).then(|| vec![random.next() as u8; random.below(40) as usize]);
            changes.insert(key, value.map(Value::from));
        }
        let entry = |key: String, value: u64| IndexEntry {
            key: key.into(),
            value: value.to_string().into(),
        };
        let mut index = vec![entry(format!("tx{height}"), height)];
        for _ in 0..random.below(4) {
            // Some keys come again, some with the same value.
            index.push(entry(format!("again{}", random.below(9)), random.below(3)));
        }
        let body = vec![random.next() as u8; 1 + random.below(200) as usize * 700];
        let record = BlockRecord {
            body: body.into(),
            index,
        };
        self.take(changes.clone(), record.clone());
        (changes, record)
    }
    fn take(&mut self, changes: ChangeSet, record: BlockRecord) {
        let height = self.latest() + 1;
        let (_, staged) = self.twin.stage(height, changes.clone()).unwrap();
        let version = self.twin.commit(staged, record.clone()).unwrap();
        self.versions.push(version);
        let mut state = self.states.last().cloned().unwrap_or_else(State::new);
        for (key, value) in &changes {
            match value {
                Some(value) => state.insert(key.clone(), value.clone()),
                None => state.remove(key),
            };
        }
        self.states.push(state);
        self.blocks.push((changes, record));
    }
    /// Commits the next block to `store`.
    pub(crate) fn commit(&mut self, store: &DiskStore, random: &mut Random) {
        let (changes, record) = self.block(random);
        self.put(store, changes, record);
    }
    /// Commits a block that the twin knows, again.
    pub(crate) fn replay(&self, store: &DiskStore) {
        let (changes, record) = self.blocks[store.latest().height as usize].clone();
        self.put(store, changes, record);
    }
    fn put(&self, store: &DiskStore, changes: ChangeSet, record: BlockRecord) {
        let height = store.latest().height + 1;
        let (root, staged) = store.stage(height, changes).unwrap();
        assert_eq!(root, self.version(height).root, "height {height}");
        store.commit(staged, record).unwrap();
    }
    pub(crate) fn rollback(&mut self, to: u64) {
        let mut blocks = std::mem::take(&mut self.blocks);
        *self = Self::default();
        blocks.truncate(to as usize);
        for (changes, record) in blocks {
            self.take(changes, record);
        }
    }
    pub(crate) fn same_state(&self, view: &impl StateScan, height: u64) {
        let mut pairs = Vec::new();
        for store in [BANK, EVM] {
            let mut take = |key: &Key, value: &Value| {
                pairs.push((key.clone(), value.clone()));
                state::Control::Continue(())
            };
            view.scan(&KeyRange::prefix(store, &[]), &mut take).unwrap();
        }
        let want = &self.states[height as usize - 1];
        let wrong = pairs.iter().zip(want).position(|((k, v), want)| (k, v) != want);
        assert_eq!((pairs.len(), wrong), (want.len(), None), "height {height}");
    }
    /// Whatever `store` may be asked is answered as the twin does, or refused where that was pruned.
    pub(crate) fn check(&self, store: &DiskStore, config: &Config) {
        use state::Snapshot;
        let latest = self.latest();
        assert_eq!(store.latest().height, latest);
        if latest == 0 {
            return;
        }
        assert_eq!(store.durable().unwrap(), self.version(latest));
        let oldest = store.oldest();
        assert!((1..=latest).contains(&oldest), "{oldest} of {latest}");
        for height in 1..=latest {
            if height < oldest {
                assert!(matches!(
                    store.snapshot(height),
                    Err(StoreError::NoVersion { .. })
                ));
                continue;
            }
            let view = store.snapshot(height).unwrap();
            assert_eq!(view.version(), self.version(height));
            self.same_state(&view, height);
            if height % 5 == 0 {
                assert_eq!(store.frozen(height).unwrap().version(), self.version(height));
            }
        }
        let first = (1..=latest).find(|height| store.record(*height).unwrap().is_some());
        // After a rollback below the oldest body there is none, until a block comes.
        let first = first.unwrap_or(latest + 1);
        assert!(
            config.keep_blocks > 0 || first == 1,
            "bodies from {first} on, all are kept"
        );
        for height in first..=latest {
            assert_eq!(store.record(height).unwrap(), Some(self.body(height)));
        }
        assert_eq!(store.record(latest + 1), Ok(None));
        self.check_look_ups(store, first);
        store.verify().unwrap();
    }
    /// Each look-up finds its newest entry, where that is of height `first` or above.
    pub(crate) fn check_look_ups(&self, store: &DiskStore, first: u64) {
        let mut newest = BTreeMap::new();
        for (height, (_, record)) in (1..).zip(&self.blocks) {
            for entry in &record.index {
                newest.insert(entry.key.clone(), (height, entry.value.clone()));
            }
        }
        for (key, (height, value)) in newest {
            let want = (height >= first).then_some(value);
            assert_eq!(store.find(&key).unwrap(), want, "{key:?} of height {height}");
        }
    }
}
