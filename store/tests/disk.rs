//! What the store on sled keeps over restarts, interrupted commits, kills, damage and a full disk.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use state::{
    BlockRecord, ChangeSet, CommitStore, EMPTY_ROOT, IndexEntry, Key, Snapshot, StateRead, StoreError,
    StoreId, Value, Version,
};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use store::backend::{Database, FaultyBackend, MemoryBackend};
use store::{Commit, Config, DiskStore, MemoryStore};

const BANK: StoreId = StoreId::new("bank");
const EVM: StoreId = StoreId::new("evm");

fn config() -> Config {
    Config {
        ring: 5,
        checkpoint_interval: 0,
        ..Config::new([EVM, BANK])
    }
}
fn block(height: u64) -> ChangeSet {
    let pair = |store, key: u64| {
        (
            Key::new(store, &[&key.to_be_bytes()]),
            Some(Value::from(height.to_string())),
        )
    };
    let mut changes: ChangeSet = [
        pair(BANK, height % 11),
        pair(EVM, height * height % 17),
        pair(EVM, 99),
    ]
    .into();
    changes.insert(Key::new(BANK, &[&(height * 7 % 11).to_be_bytes()]), None);
    changes
}
fn record(height: u64) -> BlockRecord {
    let entry = |key: String| IndexEntry {
        key: key.into(),
        value: height.to_string().into(),
    };
    BlockRecord {
        body: format!("block {height}").into(),
        index: vec![entry(format!("tx{height}")), entry("newest".into())],
    }
}
fn commit<S: CommitStore>(store: &S, height: u64) -> Version {
    let (root, staged) = store.stage(height, block(height)).unwrap();
    let version = store.commit(staged, record(height)).unwrap();
    assert_eq!(version, Version { height, root });
    version
}
fn open(home: &Path) -> Result<DiskStore, StoreError> {
    DiskStore::open(home, config())
}
/// The app hashes of heights `1..=last`, from a store that never touched a disk.
fn roots(last: u64) -> Vec<Version> {
    let twin = MemoryStore::new(Config {
        ring: usize::MAX,
        ..config()
    });
    (1..=last).map(|height| commit(&twin, height)).collect()
}
/// The journal, opened behind the store's back.
fn raw(home: &Path) -> (sled::Db, sled::Tree, sled::Tree) {
    let config = sled::Config::new()
        .path(home.join("journal"))
        .segment_size(4 << 20);
    // sled's lock outlives its user by a moment.
    let db = loop {
        match config.open() {
            Err(e) if e.to_string().contains("could not acquire lock") => std::thread::yield_now(),
            result => break result.unwrap(),
        }
    };
    let (log, meta) = (db.open_tree("log").unwrap(), db.open_tree("meta").unwrap());
    (db, log, meta)
}
/// Everything a reader can ask for is as after `last` blocks.
fn check_whole(store: &DiskStore, last: u64) {
    let roots = roots(last);
    assert_eq!(
        store.latest(),
        roots.last().copied().unwrap_or(Version {
            height: 0,
            root: EMPTY_ROOT
        })
    );
    assert_eq!(store.durable().unwrap(), store.latest());
    for want in &roots {
        let snapshot = store.snapshot(want.height).unwrap();
        assert_eq!(snapshot.version(), *want);
        let slot = snapshot.get(&Key::new(EVM, &[&99u64.to_be_bytes()])).unwrap();
        assert_eq!(slot.unwrap(), want.height.to_string());
        assert_eq!(
            store.record(want.height).unwrap().unwrap(),
            format!("block {}", want.height)
        );
        assert_eq!(
            store
                .find(format!("tx{}", want.height).as_bytes())
                .unwrap()
                .unwrap(),
            want.height.to_string()
        );
    }
    let newest = store
        .find(b"newest")
        .unwrap()
        .map(|v| String::from_utf8(v.to_vec()).unwrap().parse().unwrap());
    assert_eq!(newest, (last > 0).then_some(last));
    assert_eq!(store.record(last + 1), Ok(None));
    assert_eq!(store.find(format!("tx{}", last + 1).as_bytes()), Ok(None));
    assert_eq!(store.verify().unwrap(), last);
}

/// A home on every database, which outlives its stores.
fn on_all(test: impl Fn(&Path, Config)) {
    let memory = || Database::Given(Arc::new(MemoryBackend::new()));
    let faulty = |ordered| Database::Given(Arc::new(FaultyBackend::new(7, 1000, ordered)));
    for database in [
        Database::Sled,
        Database::Redb,
        memory(),
        faulty(true),
        faulty(false),
    ] {
        let home = tempfile::tempdir().unwrap();
        test(home.path(), Config { database, ..config() });
    }
}

#[test]
fn everything_is_there_after_a_restart() {
    on_all(|home, config| {
        let open = || DiskStore::open(home, config.clone()).unwrap();
        check_whole(&open(), 0);
        for last in [1, 2, 20, 31] {
            let store = open();
            for height in store.latest().height + 1..=last {
                commit(&store, height);
            }
            check_whole(&store, last);
            drop(store);
            check_whole(&open(), last);
        }
    });
}

#[test]
fn what_is_written_behind_is_readable_at_once_and_there_after_a_restart() {
    on_all(|home, config| {
        let config = Config {
            ring: 1,
            checkpoint_interval: 10,
            commit: Commit::Async,
            ..config
        };
        for last in [1, 2, 30, 77] {
            let store = DiskStore::open(home, config.clone()).unwrap();
            for height in store.latest().height + 1..=last {
                commit(&store, height);
                let find = |key: String| store.find(key.as_bytes()).unwrap().unwrap();
                assert_eq!(find("newest".into()), height.to_string());
                assert_eq!(
                    find(format!("tx{}", height.saturating_sub(3).max(1))),
                    height.saturating_sub(3).max(1).to_string()
                );
                assert_eq!(store.record(height).unwrap().unwrap(), format!("block {height}"));
                // Out of the ring, and perhaps not in the journal yet.
                let before = height.saturating_sub(1).max(1);
                assert_eq!(store.snapshot(before).unwrap().version().height, before);
            }
            if last == 30 {
                check_whole(&store, last);
            }
            // What is queued is written by who drops the store.
            drop(store);
            check_whole(
                &DiskStore::open(
                    home,
                    Config {
                        commit: Commit::Sync,
                        ..config.clone()
                    },
                )
                .unwrap(),
                last,
            );
        }
    });
}

#[test]
fn a_commit_waits_while_too_much_is_unwritten_and_durable_waits_for_all() {
    let home = tempfile::tempdir().unwrap();
    let config = Config {
        commit: Commit::Async,
        ..config()
    };
    let store = DiskStore::open(home.path(), config).unwrap();
    for height in 1..=40 {
        let (root, staged) = store.stage(height, block(height)).unwrap();
        let record = BlockRecord {
            body: vec![height as u8; 4 << 20].into(),
            ..record(height)
        };
        store.commit(staged, record).unwrap();
        if height % 10 == 0 {
            assert_eq!(store.durable().unwrap(), Version { height, root });
        }
    }
    assert_eq!(store.verify().unwrap(), 40);
    assert_eq!(store.record(39).unwrap().unwrap(), vec![39; 4 << 20]);
}

#[test]
fn checkpoints_shorten_the_way_to_old_heights_and_to_opening() {
    let home = tempfile::tempdir().unwrap();
    let config = Config {
        checkpoint_interval: 10,
        checkpoints: 2,
        history: false,
        ..config()
    };
    let store = DiskStore::open(home.path(), config.clone()).unwrap();
    for height in 1..=45 {
        commit(&store, height);
        assert_eq!(store.checkpoint_failure(), None);
    }
    check_whole(&store, 45);
    drop(store);
    let mut names: Vec<_> = home
        .path()
        .join("checkpoints")
        .read_dir()
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["ckpt-30", "ckpt-40"]);
    check_whole(&DiskStore::open(home.path(), config.clone()).unwrap(), 45);
    // Opening reads from the checkpoint on: damage below it is found by `verify`, and by who reads it.
    let (db, log, _) = raw(home.path());
    for key in log.range(..39u64.to_be_bytes()).keys() {
        let key = key.unwrap();
        // Change sets; the index sections of the newest heights are read at every start.
        if key[8] == 0 {
            log.remove(key).unwrap();
        }
    }
    drop((db, log));
    let store = DiskStore::open(home.path(), config.clone()).unwrap();
    assert_eq!(store.latest(), roots(45)[44]);
    assert_eq!(store.snapshot(40).unwrap().version(), roots(45)[39]);
    assert!(matches!(store.verify(), Err(StoreError::Corrupt(_))));
    let refused = store.snapshot(35).unwrap_err();
    assert_eq!(
        refused,
        StoreError::Corrupt("Changes of height 31: chunk 0 is missing".into())
    );
    // A damaged checkpoint is passed over. Here the older one and genesis do not help: the journal has a hole.
    drop(store);
    let newest = home.path().join("checkpoints/ckpt-40");
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let refused = DiskStore::open(home.path(), config).unwrap_err().to_string();
    assert!(
        refused.contains("ckpt-40") && refused.contains("chunk 0 is missing"),
        "{refused}"
    );
}

#[test]
fn a_damaged_checkpoint_costs_time_only() {
    let home = tempfile::tempdir().unwrap();
    let config = Config {
        checkpoint_interval: 4,
        ..config()
    };
    let store = DiskStore::open(home.path(), config.clone()).unwrap();
    for height in 1..=6 {
        commit(&store, height);
    }
    drop(store);
    let file = home.path().join("checkpoints/ckpt-4");
    let whole = std::fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&file, bytes).unwrap();
        let store = DiskStore::open(home.path(), config.clone()).unwrap();
        assert_eq!(store.latest(), roots(6)[5], "byte {at}");
    }
    for len in [0, 20, whole.len() - 1] {
        std::fs::write(&file, &whole[..len]).unwrap();
        check_whole(&DiskStore::open(home.path(), config.clone()).unwrap(), 6);
    }
}

#[test]
fn chunks_without_their_meta_record_leave_no_trace() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).unwrap();
    for height in 1..=3 {
        commit(&store, height);
    }
    drop(store);
    let (db, log, _) = raw(home.path());
    let key = |height: u64, part: u8, chunk: u32| {
        [&height.to_be_bytes()[..], &[part], &chunk.to_be_bytes()].concat()
    };
    for (part, chunk) in [(0, 0), (0, 40), (1, 0), (1, 7)] {
        log.insert(key(4, part, chunk), vec![7; 32 << 10]).unwrap();
    }
    drop((db, log));
    let store = open(home.path()).unwrap();
    check_whole(&store, 3);
    commit(&store, 4);
    check_whole(&store, 4);
    drop(store);
    check_whole(&open(home.path()).unwrap(), 4);
    let (_db, log, _) = raw(home.path());
    assert!(!log.contains_key(key(4, 0, 40)).unwrap(), "dropped at the start");
}

#[test]
fn a_record_of_many_transactions_is_whole_after_a_restart() {
    let value = |i: u64| Value::from(vec![i as u8; 200]);
    let pair = |i: u64| (Key::new(BANK, &[&i.to_be_bytes()]), Some(value(i)));
    let body = vec![5u8; (3 << 20) + 17];
    let index: Vec<_> = (0..3000u32)
        .map(|i| IndexEntry {
            key: i.to_be_bytes().to_vec().into(),
            value: vec![1; 40].into(),
        })
        .collect();
    on_all(|home, config| {
        let store = DiskStore::open(home, config.clone()).unwrap();
        let (root, staged) = store.stage(1, (0..20_000).map(pair).collect()).unwrap();
        store
            .commit(
                staged,
                BlockRecord {
                    body: body.clone().into(),
                    index: index.clone(),
                },
            )
            .unwrap();
        drop(store);
        let store = DiskStore::open(home, config).unwrap();
        assert_eq!(store.latest(), Version { height: 1, root });
        assert_eq!(store.record(1).unwrap().unwrap(), body);
        assert_eq!(store.find(&2999u32.to_be_bytes()).unwrap().unwrap(), vec![1; 40]);
        assert_eq!(
            store.snapshot(1).unwrap().get(&pair(777).0).unwrap(),
            Some(value(777))
        );
    });
}

#[test]
fn a_flipped_byte_anywhere_in_a_record_is_refused_at_open() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).unwrap();
    for height in 1..=3 {
        commit(&store, height);
    }
    drop(store);
    let mut tried = 0;
    let mut at = 0;
    loop {
        let (db, log, meta) = raw(home.path());
        // Every 5th byte of every value: each open takes milliseconds.
        let mut place = at;
        let all: Vec<_> = [&log, &meta]
            .into_iter()
            .flat_map(|t| t.iter().map(move |kv| (t, kv.unwrap())))
            .collect();
        let Some((tree, (key, value))) = all.into_iter().find(|(_, (_, value))| {
            let here = place < value.len();
            place -= if here { 0 } else { value.len() };
            here
        }) else {
            break;
        };
        let mut bad = value.to_vec();
        bad[place] ^= 0x40;
        tree.insert(&key, bad).unwrap();
        drop((log, meta, db));
        match open(home.path()) {
            Err(StoreError::Corrupt(why)) => assert!(why.contains("of height "), "{why}"),
            other => panic!("byte {at}: {other:?}"),
        }
        let (db, log, meta) = raw(home.path());
        let tree = if key.len() == 8 { &meta } else { &log };
        tree.insert(&key, value).unwrap();
        drop((log, meta, db));
        (at, tried) = (at + 5, tried + 1);
    }
    assert!(tried > 100, "{tried}");
    check_whole(&open(home.path()).unwrap(), 3);
}

#[test]
fn a_flipped_byte_in_sleds_own_file_never_loses_blocks_in_silence() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).unwrap();
    for height in 1..=20 {
        commit(&store, height);
    }
    drop(store);
    let file = home.path().join("journal/db");
    let whole = std::fs::read(&file).unwrap();
    let mut refused = 0;
    // sled takes some damage for the end of its log; where it hits what is never read, the store is whole.
    for at in (0..whole.len()).step_by(whole.len() / 100) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        std::fs::write(&file, bytes).unwrap();
        match open(home.path()) {
            Ok(store) => check_whole(&store, 20),
            Err(StoreError::Corrupt(_)) => refused += 1,
            Err(e) => panic!("byte {at}: {e}"),
        }
        std::fs::write(&file, &whole).unwrap();
    }
    assert!(refused > 50, "{refused}");
    check_whole(&open(home.path()).unwrap(), 20);
}

#[test]
fn a_journal_with_a_hole_or_of_other_stores_is_refused_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).unwrap();
    for height in 1..=4 {
        commit(&store, height);
    }
    drop(store);
    let refused = DiskStore::open(home.path(), Config::new([BANK]))
        .unwrap_err()
        .to_string();
    assert_eq!(
        refused,
        r#"incompatible store: the database has stores {"bank", "evm"}, opened with {"bank"}"#
    );
    let (db, _, meta) = raw(home.path());
    let record = meta.remove(2u64.to_be_bytes()).unwrap().unwrap();
    drop((db, meta));
    assert_eq!(
        open(home.path()).unwrap_err(),
        StoreError::Corrupt("record of height 2 is missing".into())
    );
    let (db, _, meta) = raw(home.path());
    meta.insert(2u64.to_be_bytes(), record).unwrap();
    let third = meta.get(3u64.to_be_bytes()).unwrap().unwrap();
    meta.insert(4u64.to_be_bytes(), third).unwrap();
    drop((db, meta));
    let refused = open(home.path()).unwrap_err();
    assert_eq!(
        refused,
        StoreError::Corrupt("record of height 4: it is of height 3".into())
    );
}

#[test]
fn one_home_has_one_store() {
    on_all(|home, config| {
        let open = || DiskStore::open(home, config.clone());
        let store = open().unwrap();
        let refused = StoreError::Locked(home.display().to_string());
        assert_eq!(open().unwrap_err(), refused);
        commit(&store, 1);
        drop(store);
        check_whole(&open().unwrap(), 1);
    });
}

#[test]
fn a_home_that_cannot_be_made_is_named() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = open(&file).unwrap_err().to_string();
    assert!(refused.contains(file.to_str().unwrap()), "{refused}");
}

/// Run in a process of its own by the tests below: commits blocks for ever, and says so.
#[test]
fn child_commits_until_it_ends() {
    let Ok(home) = std::env::var("BRAID_STORE_TEST_HOME") else {
        return;
    };
    let behind = std::env::var("BRAID_STORE_TEST_BEHIND").is_ok();
    let config = Config {
        checkpoint_interval: 7,
        commit: if behind { Commit::Async } else { Commit::Sync },
        ..config()
    };
    let store = DiskStore::open(&home, config).unwrap();
    loop {
        let height = store.latest().height + 1;
        let record = BlockRecord {
            body: big(height),
            ..record(height)
        };
        let staged = store.stage(height, block(height));
        match staged.and_then(|(_, staged)| store.commit(staged, record)) {
            Ok(_) if behind && !height.is_multiple_of(3) => {}
            Ok(_) if behind => match store.durable() {
                Ok(version) => println!("committed {}", version.height),
                Err(e) => println!("not durable: {e}"),
            },
            Ok(version) => println!("committed {}", version.height),
            Err(e) => {
                println!("failed {e}");
                let next = store.stage(height, block(height)).map(|s| s.0);
                assert!(matches!(next, Err(StoreError::Poisoned(_))), "{next:?}");
                assert!(matches!(store.durable(), Err(StoreError::Poisoned(_))));
                return;
            }
        }
    }
}
/// Some bodies take many transactions.
fn big(height: u64) -> state::Bytes {
    vec![height as u8; if height.is_multiple_of(5) { 2 << 20 } else { 100 }].into()
}
fn child(home: &Path, before: &str, behind: bool) -> std::process::Child {
    let exe = std::env::current_exe().unwrap();
    let run = format!("{before} exec \"$0\" child_commits_until_it_ends --exact --nocapture");
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(run)
        .arg(exe)
        .env("BRAID_STORE_TEST_HOME", home);
    if behind {
        command.env("BRAID_STORE_TEST_BEHIND", "1");
    }
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
/// The height that a line of the child's says is committed.
fn said(line: &str) -> Option<u64> {
    line.rsplit_once("committed ")?.1.trim().parse().ok()
}
fn check_blocks(home: &Path, at_least: u64) -> u64 {
    let store = open(home).unwrap();
    let last = store.latest().height;
    assert!(
        last >= at_least,
        "block {at_least} was acknowledged, {last} is there"
    );
    store.verify().unwrap();
    if let Some(want) = roots(last).last() {
        assert_eq!(store.latest(), *want);
        assert_eq!(store.find(b"newest").unwrap().unwrap(), last.to_string());
        assert_eq!(store.record(last).unwrap().unwrap(), big(last));
    }
    last
}

#[test]
fn a_kill_loses_nothing_acknowledged_and_tears_nothing() {
    let home = tempfile::tempdir().unwrap();
    let seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    println!("seed {seed}");
    let mut acknowledged = 0;
    for i in 0..12u32 {
        let mut process = child(home.path(), "", i % 2 > 0);
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let target = acknowledged + 1 + u64::from((seed >> i) % 13);
        while acknowledged < target {
            let line = lines.next().expect("it commits until it is killed").unwrap();
            acknowledged = said(&line).unwrap_or(acknowledged);
        }
        std::thread::sleep(std::time::Duration::from_micros(u64::from(
            seed.rotate_left(i) % 4000,
        )));
        process.kill().unwrap();
        for line in lines.map_while(Result::ok) {
            acknowledged = said(&line).unwrap_or(acknowledged);
        }
        process.wait().unwrap();
        acknowledged = check_blocks(home.path(), acknowledged);
    }
}

#[test]
fn a_full_disk_poisons_the_store_and_loses_nothing() {
    fill_the_disk(false);
    fill_the_disk(true);
}

fn fill_the_disk(behind: bool) {
    let home = tempfile::tempdir().unwrap();
    // Files may not pass 24 MiB; the signal that would kill is ignored, so writes fail as on a full disk.
    let mut process = child(home.path(), "trap '' XFSZ; ulimit -f 49152;", behind);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut process.stdout.take().unwrap(), &mut text).unwrap();
    let status = process.wait().unwrap();
    assert!(text.contains("failed ") && status.success(), "{status}: {text}");
    let last = text.lines().filter_map(said).next_back().unwrap();
    check_blocks(home.path(), last);
    let store = open(home.path()).unwrap();
    commit(&store, store.latest().height + 1);
}
