//! Flat history says what the trees say, at every height, in every range, over restarts, kills, damage and pruning.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use state::{
    BlockRecord, ChangeSet, CommitStore, Control, Key, KeyRange, MemoryState, Snapshot, StateRead, StateScan,
    StoreId, Value,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Commit, Config, DiskStore, Point, Points, Pruning, View};

const BANK: StoreId = StoreId::new("bank");
const EVM: StoreId = StoreId::new("evm");
const VOID: StoreId = StoreId::new("void");

/// Sebastiano Vigna's splitmix64.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = std::env::var("BRAID_SEED")
            .ok()
            .and_then(|s| s.parse().ok())
            .unwrap_or(4711);
        println!("BRAID_SEED={seed}");
        Self(seed)
    }
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

fn config() -> Config {
    Config {
        ring: 2,
        checkpoint_interval: 0,
        history_tail: 20,
        commit: Commit::Async,
        ..Config::new([EVM, BANK, VOID])
    }
}

/// Keys of both stores, some of them the beginning of others; one value in 40 is bigger than a page.
fn random_key(random: &mut Random) -> Key {
    let store = if random.below(3) == 0 { BANK } else { EVM };
    let n = random.below(150);
    match random.below(3) {
        0 => Key::new(store, &[&[n as u8]]),
        1 => Key::new(store, &[&[n as u8], &[0; 3]]),
        _ => Key::new(store, &[b"prefix", &n.to_be_bytes()]),
    }
}

fn random_block(random: &mut Random, height: u64) -> ChangeSet {
    let change = |random: &mut Random| {
        let len = if random.below(40) == 0 {
            40_000
        } else {
            random.below(90) as usize
        };
        let mut value = format!("{height}:").into_bytes();
        value.resize(value.len() + len, height as u8);
        let value = (random.below(4) > 0).then(|| Value::from(value));
        (random_key(random), value)
    };
    (0..random.below(30)).map(|_| change(random)).collect()
}

/// A store, and what it must say of each height.
struct Twin {
    states: BTreeMap<u64, MemoryState>,
    state: MemoryState,
}

impl Twin {
    fn new() -> Self {
        Self {
            states: BTreeMap::new(),
            state: MemoryState::default(),
        }
    }
    fn commit(&mut self, store: &DiskStore, height: u64, block: ChangeSet) {
        for (key, value) in &block {
            match value {
                Some(value) => self.state.0.insert(key.clone(), value.clone()),
                None => self.state.0.remove(key),
            };
        }
        self.states.insert(height, self.state.clone());
        let (_, staged) = store.stage(height, block).unwrap();
        store.commit(staged, BlockRecord::default()).unwrap();
    }
    /// What a reader of `height` sees is what was there.
    fn check(&self, view: &View, random: &mut Random) {
        let want = &self.states[&view.version().height];
        for _ in 0..20 {
            let key = random_key(random);
            assert_eq!(
                view.get(&key),
                want.get(&key),
                "{key:?} at {}",
                view.version().height
            );
        }
        for store in [BANK, EVM, VOID] {
            for descending in [false, true] {
                let bounds = [random_key(random), random_key(random)].map(|key| key.bytes().to_vec());
                let [start, end] = bounds;
                let whole = random.below(3) == 0;
                let range = KeyRange {
                    store,
                    start: if whole { Vec::new() } else { start },
                    end: (!whole && random.below(4) > 0).then_some(end),
                    descending,
                };
                let limit = if random.below(2) == 0 {
                    usize::MAX
                } else {
                    random.below(5) as usize + 1
                };
                assert_eq!(
                    pairs(view, &range, limit),
                    pairs(want, &range, limit),
                    "{range:?}"
                );
            }
        }
    }
    fn check_all(&self, store: &DiskStore, random: &mut Random) {
        for height in store.oldest()..=store.latest().height {
            let view = store.snapshot(height).unwrap();
            assert_eq!(view.version().height, height);
            self.check(&view, random);
        }
    }
}

fn pairs(state: &dyn StateScan, range: &KeyRange, limit: usize) -> Vec<(Key, Value)> {
    let mut found = Vec::new();
    let visit = &mut |key: &Key, value: &Value| {
        found.push((key.clone(), value.clone()));
        if found.len() < limit {
            Control::Continue(())
        } else {
            Control::Break(())
        }
    };
    state.scan(range, visit).unwrap();
    found
}

fn flat(store: &DiskStore, height: u64) -> View {
    let view = store.snapshot(height).unwrap();
    assert!(
        matches!(view, View::Flat(_)),
        "height {height} is read from trees"
    );
    view
}

/// The files of flat history.
fn files(home: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(home.join("history")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    files.sort();
    files
}

#[test]
fn old_heights_read_as_they_were_in_any_order_and_range_over_restarts() {
    let (mut random, mut twin) = (Random::new(), Twin::new());
    let home = tempfile::tempdir().unwrap();
    // Not the first height of all, as a genesis document may say.
    let mut height = 40;
    for restart in 0..6 {
        let store = DiskStore::open(home.path(), config()).unwrap();
        for _ in 0..30 + random.below(40) {
            height += 1;
            twin.commit(&store, height, random_block(&mut random, height));
            if random.below(20) == 0 {
                let old = 41 + random.below(height - 40);
                twin.check(&store.snapshot(old).unwrap(), &mut random);
            }
        }
        store.history_settled().unwrap();
        for _ in 0..60 {
            twin.check(&flat(&store, 41 + random.below(height - 42)), &mut random);
        }
        let stats = store.history_stats().unwrap();
        assert_eq!(stats.heights, [(41, height)], "restart {restart}");
        if restart == 5 {
            assert!(
                stats.segments.iter().any(|s| s.level == Some(1) && s.file),
                "{stats:?}"
            );
        }
    }
    let store = DiskStore::open(home.path(), config()).unwrap();
    store.history_settled().unwrap();
    twin.check_all(&store, &mut random);
    let unknown = Key::new(StoreId::new("nostore"), &[b"k"]);
    assert!(flat(&store, 50).get(&unknown).is_err());
    assert!(store.snapshot(40).is_err());
}

#[test]
fn history_that_was_switched_off_catches_up_when_it_is_on_again() {
    let (mut random, mut twin) = (Random::new(), Twin::new());
    let home = tempfile::tempdir().unwrap();
    let mut height = 0;
    for on in [false, true, false, true] {
        let config = Config {
            history: on,
            ..config()
        };
        let store = DiskStore::open(home.path(), config).unwrap();
        for _ in 0..70 {
            height += 1;
            twin.commit(&store, height, random_block(&mut random, height));
        }
        store.history_settled().unwrap();
        assert_eq!(store.history_stats().is_some(), on);
        for _ in 0..5 {
            let view = store.snapshot(1 + random.below(height - 2)).unwrap();
            assert_eq!(matches!(view, View::Flat(_)), on);
            twin.check(&view, &mut random);
        }
    }
}

#[test]
fn a_reader_keeps_its_height_while_segments_are_merged_and_replaced() {
    let (mut random, mut twin) = (Random::new(), Twin::new());
    let home = tempfile::tempdir().unwrap();
    let store = DiskStore::open(home.path(), config()).unwrap();
    let mut readers = Vec::new();
    for height in 1..=200 {
        twin.commit(&store, height, random_block(&mut random, height));
        if height % 18 == 0 {
            store.history_settled().unwrap();
            readers.push(flat(&store, 1 + random.below(height - 2)));
        }
    }
    store.history_settled().unwrap();
    assert!(files(home.path()).len() < 4, "eight files became one");
    readers.iter().for_each(|view| twin.check(view, &mut random));
}

#[test]
fn a_damaged_page_is_not_served_and_comes_from_the_journal_again() {
    let (mut random, mut twin) = (Random::new(), Twin::new());
    let home = tempfile::tempdir().unwrap();
    {
        let store = DiskStore::open(home.path(), config()).unwrap();
        (1..=50).for_each(|height| twin.commit(&store, height, random_block(&mut random, height)));
        store.history_settled().unwrap();
    }
    let files = files(home.path());
    assert_eq!(files.len(), 2);
    for (i, path) in files.iter().enumerate() {
        let mut bytes = std::fs::read(path).unwrap();
        // Its pages; and its trailer.
        let (first, step) = if i == 0 {
            (20, 3_000)
        } else {
            (bytes.len() - 100, 1_000)
        };
        (first..bytes.len() - if i == 0 { 4_000 } else { 0 })
            .step_by(step)
            .for_each(|at| bytes[at] ^= 4);
        std::fs::write(path, bytes).unwrap();
        let store = DiskStore::open(home.path(), config()).unwrap();
        for _ in 0..50 {
            // A view that was there before the damage was met may refuse; none says anything wrong.
            let height = 1 + random.below(48);
            let view = store.snapshot(height).unwrap();
            let want = &twin.states[&height];
            let key = random_key(&mut random);
            if let Ok(value) = view.get(&key) {
                assert_eq!(Ok(value), want.get(&key));
            }
        }
        store.snapshot(10).unwrap();
        store.history_settled().unwrap();
        let stats = store.history_stats().unwrap();
        assert_eq!(stats.damage.len(), 1, "{stats:?}");
        assert!(path.with_extension("damaged").exists());
        twin.check_all(&store, &mut random);
        assert!(matches!(store.snapshot(10).unwrap(), View::Flat(_)));
    }
}

#[test]
fn history_of_another_chain_is_not_taken_for_this_ones() {
    let mut random = Random::new();
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut twin = Twin::new();
    for home in &homes {
        twin = Twin::new();
        let store = DiskStore::open(home.path(), config()).unwrap();
        (1..=50).for_each(|height| twin.commit(&store, height, random_block(&mut random, height)));
        store.history_settled().unwrap();
    }
    for entry in std::fs::read_dir(homes[0].path().join("history")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(
            &path,
            homes[1].path().join("history").join(path.file_name().unwrap()),
        )
        .unwrap();
    }
    let store = DiskStore::open(homes[1].path(), config()).unwrap();
    store.history_settled().unwrap();
    twin.check_all(&store, &mut random);
}

#[test]
fn pruned_history_answers_from_the_floor_on_and_its_files_shrink() {
    let (mut random, mut twin) = (Random::new(), Twin::new());
    let home = tempfile::tempdir().unwrap();
    let keep = Config {
        pruning: Pruning::custom(60, 10).unwrap(),
        checkpoint_interval: 40,
        ..config()
    };
    let mut height = 0;
    for _ in 0..4 {
        let store = DiskStore::open(home.path(), keep.clone()).unwrap();
        for _ in 0..150 {
            height += 1;
            twin.commit(&store, height, random_block(&mut random, height));
            if height % 50 == 0 {
                store.history_settled().unwrap();
                let oldest = store.oldest();
                assert!(
                    height < 100 || (height - 70..=height - 60).contains(&oldest),
                    "{oldest}"
                );
                twin.check(&store.snapshot(oldest).unwrap(), &mut random);
            }
        }
        store.history_settled().unwrap();
        assert!(matches!(store.snapshot(store.oldest()).unwrap(), View::Flat(_)));
        twin.check_all(&store, &mut random);
        let stats = store.history_stats().unwrap();
        let reaches = stats.heights[0];
        assert!(
            reaches.0 <= store.oldest() && reaches.0 + 140 > store.oldest(),
            "{stats:?}"
        );
        let rows: u64 = stats.segments.iter().map(|segment| segment.rows).sum();
        // 130 heights of at most 30 changes, and what is left of the state: three kinds of 150 keys in two stores.
        assert!(rows < 130 * 31 + 900, "{stats:?}");
        assert!(store.snapshot(store.oldest() - 1).is_err());
        assert_eq!(
            store.audit(&mut |_| ()).unwrap().differences,
            Vec::<String>::new()
        );
    }
}

#[test]
fn history_goes_back_with_a_rollback() {
    let (mut random, mut twin) = (Random::new(), Twin::new());
    let home = tempfile::tempdir().unwrap();
    {
        let store = DiskStore::open(home.path(), config()).unwrap();
        (1..=130).for_each(|height| twin.commit(&store, height, random_block(&mut random, height)));
        store.history_settled().unwrap();
    }
    // Within the tail, within a file, and at the end of one.
    for (back, on) in [(125, 131), (87, 120), (100, 140)] {
        DiskStore::rollback(home.path(), &config(), back).unwrap();
        twin.state = twin.states[&back].clone();
        let store = DiskStore::open(home.path(), config()).unwrap();
        assert_eq!(store.latest().height, back);
        (back + 1..=on).for_each(|height| twin.commit(&store, height, random_block(&mut random, height)));
        store.history_settled().unwrap();
        twin.check_all(&store, &mut random);
        assert_eq!(store.history_stats().unwrap().heights, [(1, on)]);
    }
}

#[test]
fn a_store_that_began_with_another_ones_state_has_history_from_there_on() {
    let (mut random, mut twin) = (Random::new(), Twin::new());
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut state = Vec::new();
    {
        let store = DiskStore::open(homes[0].path(), config()).unwrap();
        (1..=70).for_each(|height| twin.commit(&store, height, random_block(&mut random, height)));
        store.export(70, &mut state).unwrap();
    }
    for _ in 0..2 {
        let store = DiskStore::open(homes[1].path(), config()).unwrap();
        if store.latest().height == 0 {
            store.import(&mut &state[..], None).unwrap();
        }
        for height in store.latest().height + 1..=store.latest().height + 45 {
            twin.commit(&store, height, random_block(&mut random, height));
        }
        store.history_settled().unwrap();
        assert_eq!(
            store.history_stats().unwrap().heights,
            [(70, store.latest().height)]
        );
        twin.check_all(&store, &mut random);
        assert!(matches!(store.snapshot(70).unwrap(), View::Flat(_)));
        assert!(store.snapshot(69).is_err());
        assert_eq!(
            store.audit(&mut |_| ()).unwrap().differences,
            Vec::<String>::new()
        );
    }
}

/// Not a test of its own: the process that the next one ends.
#[test]
fn child_writes_until_it_is_ended() {
    let Ok(plan) = std::env::var("BRAID_FLAT_CHILD") else {
        return;
    };
    let mut parts = plan.split('|');
    let mut next = || parts.next().unwrap().to_owned();
    let (home, point, count) = (next(), next(), next().parse::<u64>().unwrap());
    let hits = AtomicU64::new(0);
    let points = Points::new(move |at| {
        if format!("{at:?}") == point && hits.fetch_add(1, Ordering::SeqCst) == count {
            std::process::abort();
        }
    });
    let config = Config { points, ..config() };
    let store = DiskStore::open(&home, config).unwrap();
    for height in store.latest().height + 1..=400 {
        let (_, staged) = store.stage(height, fixed_block(height)).unwrap();
        store.commit(staged, BlockRecord::default()).unwrap();
        // So that the points of history come while blocks are committed.
        if height % 5 == 0 {
            store.history_settled().unwrap();
        }
    }
    store.history_settled().unwrap();
}

fn fixed_block(height: u64) -> ChangeSet {
    random_block(&mut Random(height), height)
}

#[test]
fn a_process_may_end_anywhere_and_history_catches_up() {
    let mut random = Random::new();
    for point in [
        Point::HistoryWritten,
        Point::HistoryNamed,
        Point::HistoryListed,
        Point::HistoryDropped,
    ] {
        let home = tempfile::tempdir().unwrap();
        // The first file, one in the middle, and around the first merge of files.
        // Files are dropped after a merge only.
        let counts: &[u64] = if point == Point::HistoryDropped {
            &[0]
        } else {
            &[0, 2, 8]
        };
        for count in counts {
            let plan = format!("{}|{point:?}|{count}", home.path().display());
            let ended = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "child_writes_until_it_is_ended"])
                .env("BRAID_FLAT_CHILD", plan)
                .output()
                .unwrap();
            assert!(!ended.status.success(), "{point:?} {count} was reached");
            let store = DiskStore::open(home.path(), config()).unwrap();
            store.history_settled().unwrap();
            let last = store.latest().height;
            let mut twin = Twin::new();
            for height in 1..=last {
                for (key, value) in fixed_block(height) {
                    match value {
                        Some(value) => twin.state.0.insert(key, value),
                        None => twin.state.0.remove(&key),
                    };
                }
                twin.states.insert(height, twin.state.clone());
            }
            for _ in 0..40 {
                let view = store.snapshot(1 + random.below(last)).unwrap();
                twin.check(&view, &mut random);
            }
            let stats = store.history_stats().unwrap();
            assert_eq!(
                (stats.heights, stats.damage),
                (vec![(1, last)], Vec::new()),
                "{point:?} {count}"
            );
        }
    }
}

#[test]
fn readers_on_all_cores_agree_while_history_grows() {
    let (mut random, mut twin) = (Random::new(), Twin::new());
    let home = tempfile::tempdir().unwrap();
    let store = DiskStore::open(home.path(), config()).unwrap();
    (1..=100).for_each(|height| twin.commit(&store, height, random_block(&mut random, height)));
    store.history_settled().unwrap();
    let (store, old) = (Arc::new(store), Arc::new(twin));
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let (store, old) = (Arc::clone(&store), Arc::clone(&old));
            scope.spawn(move || {
                let mut random = Random(seed);
                for _ in 0..60 {
                    old.check(&store.snapshot(1 + random.below(98)).unwrap(), &mut random);
                }
            });
        }
        for height in 101..=300 {
            let (_, staged) = store.stage(height, random_block(&mut random, height)).unwrap();
            store.commit(staged, BlockRecord::default()).unwrap();
        }
    });
}
