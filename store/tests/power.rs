//! What is left after power cuts, full disks, failed syncs and damaged values: everything acknowledged, or a reason.
//!
//! The database is the faulty one. HEAD and the checkpoints are real files; a power cut takes HEAD, which is not synced,
//! back to any earlier state of it. `BRAID_SEED=n` runs one seed again.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use state::{
    BlockRecord, ChangeSet, CommitStore, IndexEntry, Key, Snapshot, StateRead, StoreError, StoreId, Value,
    Version,
};
use std::path::Path;
use std::sync::Arc;
use store::backend::{Counts, Database, Fault, FaultyBackend};
use store::{Commit, Config, DiskStore, MemoryStore};

const BANK: StoreId = StoreId::new("bank");
const EVM: StoreId = StoreId::new("evm");

/// Numbers from a seed (splitmix64).
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

/// The block of a height: some take one chunk, some dozens, one in seven has nothing.
fn block(seed: u64, height: u64) -> (ChangeSet, BlockRecord) {
    let mut random = Random(seed ^ height.wrapping_mul(0x1234_5678_9abc_def1));
    let changes = match height % 7 {
        0 => 0,
        3 => 60,
        _ => random.below(8),
    };
    let mut set = ChangeSet::new();
    for _ in 0..changes {
        let store = if random.below(2) == 0 { BANK } else { EVM };
        let key = Key::new(store, &[&random.below(50).to_be_bytes()]);
        let value = (random.below(4) > 0).then(|| Value::from(vec![height as u8; random.below(60) as usize]));
        set.insert(key, value);
    }
    let entry = |key: String| IndexEntry {
        key: key.into(),
        value: height.to_string().into(),
    };
    let body = vec![height as u8; if height.is_multiple_of(5) { 3000 } else { 40 }];
    let record = BlockRecord {
        body: body.into(),
        index: vec![entry(format!("tx{height}")), entry("newest".into())],
    };
    (set, record)
}

/// A chain on a faulty database, and what it must still have.
struct World {
    seed: u64,
    random: Random,
    home: tempfile::TempDir,
    db: Arc<FaultyBackend>,
    config: Config,
    /// Every height's version, from a store that never touched a disk.
    twin: MemoryStore,
    acknowledged: u64,
    /// Earlier states of HEAD.
    heads: Vec<Vec<u8>>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let (atomic, chunk) = (1 + random.below(40) as usize, 40 + random.below(200) as usize);
        let db = Arc::new(FaultyBackend::new(atomic, chunk, random.below(2) == 0));
        let config = Config {
            ring: 3,
            checkpoint_interval: [0, 2, 5][random.below(3) as usize],
            checkpoints: 2,
            commit: if random.below(2) == 0 {
                Commit::Sync
            } else {
                Commit::Async
            },
            database: Database::Given(Arc::clone(&db) as _),
            ..Config::new([BANK, EVM])
        };
        let twin = MemoryStore::new(Config {
            ring: usize::MAX,
            ..config.clone()
        });
        let home = tempfile::tempdir().unwrap();
        let heads = vec![Vec::new()];
        Self {
            seed,
            random,
            home,
            db,
            config,
            twin,
            acknowledged: 0,
            heads,
        }
    }
    fn open(&self) -> Result<DiskStore, StoreError> {
        DiskStore::open(self.home.path(), self.config.clone())
    }
    fn head(&self) -> std::path::PathBuf {
        self.home.path().join("HEAD")
    }
    /// The version of a height, as it must be.
    fn version(&self, height: u64) -> Version {
        while self.twin.latest().height < height {
            let next = self.twin.latest().height + 1;
            let (changes, record) = block(self.seed, next);
            let (_, staged) = self.twin.stage(next, changes).unwrap();
            self.twin.commit(staged, record).unwrap();
        }
        self.twin.snapshot(height).unwrap().version()
    }
    /// Commits up to `blocks` blocks; ends early where something fails.
    fn commit(&mut self, store: &DiskStore, blocks: u64) -> Result<(), StoreError> {
        for _ in 0..blocks {
            let height = store.latest().height + 1;
            let (changes, record) = block(self.seed, height);
            let (root, staged) = store.stage(height, changes)?;
            assert_eq!(Version { height, root }, self.version(height));
            store.commit(staged, record)?;
            if self.config.commit == Commit::Sync || self.random.below(4) == 0 {
                self.acknowledged = store.durable()?.height;
                self.heads.push(std::fs::read(self.head()).unwrap());
            }
        }
        Ok(())
    }
    /// Everything up to the newest height is there and right, and what was acknowledged is.
    fn check(&self, store: &DiskStore) {
        let (last, seed) = (store.latest().height, self.seed);
        assert!(
            last >= self.acknowledged,
            "seed {seed}: {last} of {}",
            self.acknowledged
        );
        assert_eq!(store.durable().unwrap(), store.latest(), "seed {seed}");
        for height in 1..=last {
            assert_eq!(
                store.snapshot(height).unwrap().version(),
                self.version(height),
                "seed {seed}"
            );
            let (changes, record) = block(seed, height);
            assert_eq!(
                store.record(height).unwrap().unwrap(),
                record.body,
                "seed {seed}: height {height}"
            );
            let found = store.find(format!("tx{height}").as_bytes()).unwrap();
            assert_eq!(
                found.unwrap_or_default(),
                height.to_string(),
                "seed {seed}: look-up of height {height} of {last}"
            );
            for (key, value) in changes {
                assert_eq!(
                    store.snapshot(height).unwrap().get(&key).unwrap(),
                    value,
                    "seed {seed}"
                );
            }
        }
        let newest = store.find(b"newest").unwrap();
        assert_eq!(newest, (last > 0).then(|| last.to_string().into()), "seed {seed}");
        assert_eq!(
            store.find(format!("tx{}", last + 1).as_bytes()),
            Ok(None),
            "seed {seed}"
        );
        store.verify().unwrap();
    }
    /// The power goes and comes back.
    fn cut(&mut self) {
        self.db.cut(self.random.below(u64::MAX));
        if self.head().exists() && self.random.below(2) == 0 {
            let earlier = &self.heads[self.random.below(self.heads.len() as u64) as usize];
            std::fs::write(self.head(), earlier).unwrap();
        }
    }
}

fn seeds(many: u64) -> Vec<u64> {
    let one = std::env::var("BRAID_SEED")
        .ok()
        .map(|seed| vec![seed.parse().unwrap()]);
    one.unwrap_or_else(|| (0..many).collect())
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_acknowledged() {
    for seed in seeds(60) {
        let mut world = World::new(seed);
        for _ in 0..6 {
            let off = 1 + world.random.below(30);
            world.db.fail(Fault::Off(off));
            if let Ok(store) = world.open() {
                world.check(&store);
                let blocks = world.random.below(12);
                let _ = world.commit(&store, blocks);
                // Drawn now: what is still queued is written, or not, with the power off.
                world.cut();
            } else {
                world.cut();
            }
            world.db.restore();
        }
        let store = world.open().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        world.check(&store);
        world.commit(&store, 3).unwrap();
        world.check(&store);
    }
}

#[test]
fn a_full_disk_or_a_failed_sync_poisons_until_it_is_opened_again() {
    for seed in seeds(40) {
        let mut world = World::new(seed);
        let mut failures = 0;
        for round in 0..6 {
            let n = 1 + world.random.below(8);
            let store = world.open().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            world.check(&store);
            world.db.fail(if round % 2 == 0 {
                Fault::Write(n)
            } else {
                Fault::Sync(n)
            });
            let result = world.commit(&store, 12).and_then(|()| store.durable());
            if let Err(e) = result {
                failures += 1;
                let why = e.to_string();
                assert!(
                    why.contains("no space left") || why.contains("input/output error"),
                    "{why}"
                );
                let next = store
                    .stage(store.latest().height + 1, ChangeSet::new())
                    .map(|s| s.0);
                assert!(
                    matches!(next, Err(StoreError::Poisoned(_))),
                    "seed {seed}: {next:?}"
                );
                assert!(
                    matches!(store.durable(), Err(StoreError::Poisoned(_))),
                    "seed {seed}"
                );
            }
            drop(store);
            world.db.heal();
            // Sometimes with a power cut on top. After a failed sync always: without, what it did not put on the disk
            // looks as if it were there, on a real disk too, and no later sync puts it there.
            if round % 2 > 0 || world.random.below(2) == 0 {
                world.cut();
                world.db.restore();
            }
        }
        assert!(failures > 0, "seed {seed}: nothing failed");
    }
}

#[test]
fn a_value_read_short_or_flipped_is_refused_and_never_believed() {
    let mut world = World::new(5);
    world.config.commit = Commit::Sync;
    world.config.checkpoint_interval = 4;
    let store = world.open().unwrap();
    world.commit(&store, 10).unwrap();
    drop(store);
    let gets = |world: &World| -> Counts { world.db.counts() };
    let before = gets(&world);
    let store = world.open().unwrap();
    let opening = gets(&world).gets - before.gets;
    assert!(opening > 20, "{opening}");
    drop(store);
    let mut refused = 0;
    for n in 1..=opening {
        for fault in [Fault::Short(n), Fault::Flipped(n)] {
            world.db.fail(fault);
            let opened = world.open();
            world.db.heal();
            match opened {
                // The older checkpoint, or genesis, served.
                Ok(store) => world.check(&store),
                // Incompatible: it was the database's name that was read wrong.
                Err(StoreError::Corrupt(_) | StoreError::Incompatible(_)) => refused += 1,
                Err(e) => panic!("{fault:?}: {e}"),
            }
        }
    }
    // Where the newest checkpoint is damaged, the older one or genesis serves.
    assert!(refused > 5, "{refused} of {opening}");
    let store = world.open().unwrap();
    world.check(&store);
    for fault in [Fault::Short(1), Fault::Flipped(1)] {
        world.db.fail(fault);
        assert!(matches!(store.find(b"tx3"), Err(StoreError::Corrupt(_))));
        world.db.fail(fault);
        assert!(matches!(store.record(3), Err(StoreError::Corrupt(_))));
        world.db.fail(fault);
        assert!(matches!(store.verify(), Err(StoreError::Corrupt(_))));
    }
    world.check(&store);
}

#[test]
fn a_home_and_its_database_belong_together() {
    let mut world = World::new(1);
    world.config.checkpoint_interval = 2;
    let store = world.open().unwrap();
    world.commit(&store, 6).unwrap();
    drop(store);
    let elsewhere = |home: &Path, db| {
        let config = Config {
            database: Database::Given(db),
            ..world.config.clone()
        };
        DiskStore::open(home, config).map(|s| s.latest().height)
    };
    // The home with an empty database: its HEAD, or its checkpoints, tell.
    let empty = Arc::new(FaultyBackend::new(9, 99, true));
    let refused = elsewhere(world.home.path(), empty).unwrap_err().to_string();
    assert!(refused.contains("height 6"), "{refused}");
}
