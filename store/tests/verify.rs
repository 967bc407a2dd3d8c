//! `store verify` finds whatever is not as it should be, and says where; on a sound store it finds nothing.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use state::{BlockRecord, ChangeSet, CommitStore, IndexEntry, Key, StoreId, Value};
use std::path::{Path, PathBuf};
use store::{Audit, Config, DiskStore};

const BANK: StoreId = StoreId::new("bank");
const EVM: StoreId = StoreId::new("evm");
const LAST: u64 = 120;

fn config() -> Config {
    Config {
        ring: 4,
        checkpoint_interval: 50,
        history_tail: 10,
        ..Config::new([EVM, BANK])
    }
}
fn block(height: u64) -> ChangeSet {
    let pair = |store, key: u64, value: Option<u64>| {
        let value = value.map(|value| Value::from(value.to_string()));
        (Key::new(store, &[&key.to_be_bytes()]), value)
    };
    [
        pair(BANK, height % 23, Some(height)),
        pair(BANK, height * 5 % 23, None),
        pair(EVM, height * height % 61, Some(height)),
        pair(EVM, 1000 + height, Some(height)),
    ]
    .into()
}
fn record(height: u64) -> BlockRecord {
    let entry = |key: String| IndexEntry {
        key: key.into(),
        value: height.to_string().into(),
    };
    BlockRecord {
        body: format!("block {height}").into(),
        index: vec![
            entry(format!("tx{height}")),
            entry("newest".into()),
            entry(format!("in{}", height % 9)),
        ],
    }
}
/// A home with a chain in it; its store is closed.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let store = DiskStore::open(home.path(), config()).unwrap();
    for height in 1..=LAST {
        let (_, staged) = store.stage(height, block(height)).unwrap();
        store.commit(staged, record(height)).unwrap();
    }
    store.history_settled().unwrap();
    assert_eq!(store.checkpoint_failure(), None);
    drop(store);
    home
}
fn audit(home: &Path) -> Audit {
    let store = DiskStore::open(home, config()).unwrap();
    store.audit(&mut |_| ()).unwrap()
}
/// The journal, opened behind the store's back.
fn raw(home: &Path, tree: &str) -> (sled::Db, sled::Tree) {
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
    let tree = db.open_tree(tree).unwrap();
    (db, tree)
}
fn check_found(home: &Path, what: &str) {
    let found = audit(home).differences;
    assert!(
        found.iter().any(|found| found.contains(what)),
        "{what}: {found:?}"
    );
}
fn files(home: &Path, folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home.join(folder)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_str().unwrap().contains(ending));
    files.sort();
    files
}
fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_sound_store_is_found_sound_and_all_of_it_is_looked_at() {
    let home = home();
    let audit = audit(home.path());
    assert_eq!(audit.differences, Vec::<String>::new());
    assert_eq!((audit.records, audit.look_ups), (LAST, LAST + 1 + 9));
    assert_eq!(audit.checkpoints, [50, 100]);
    assert_eq!(audit.heights, Some((1, LAST)));
    assert!(audit.keys > LAST && audit.nodes > audit.keys && audit.history_pages > 0);
    // Each change once, and whole states.
    assert!(audit.history_reads > 4 * (LAST - 1) + audit.keys, "{audit:?}");
}

#[test]
fn a_store_without_history_or_without_blocks_is_found_sound() {
    let home = home();
    let config = Config {
        history: false,
        ..config()
    };
    let store = DiskStore::open(home.path(), config.clone()).unwrap();
    let audit = store.audit(&mut |_| ()).unwrap();
    assert_eq!((audit.differences.len(), audit.history_reads), (0, 0));
    drop(store);
    let empty = tempfile::tempdir().unwrap();
    let audit = DiskStore::open(empty.path(), config)
        .unwrap()
        .audit(&mut |_| ())
        .unwrap();
    assert_eq!(audit, Audit::default());
}

#[test]
fn a_damaged_part_of_an_old_record_is_found() {
    for (part, name) in [(0, "Changes"), (1, "Body"), (2, "Index")] {
        let home = home();
        let (db, log) = raw(home.path(), "log");
        let key = [&7u64.to_be_bytes()[..], &[part], &0u32.to_be_bytes()].concat();
        let mut bytes = log.get(&key).unwrap().unwrap().to_vec();
        bytes[1] ^= 4;
        log.insert(key, bytes).unwrap();
        drop((log, db));
        check_found(home.path(), &format!("{name} of height 7"));
    }
}

#[test]
fn a_damaged_missing_or_replaced_record_is_found() {
    let home = home();
    let (db, meta) = raw(home.path(), "meta");
    let key = 9u64.to_be_bytes();
    let whole = meta.get(key).unwrap().unwrap();
    let mut bytes = whole.to_vec();
    bytes[20] ^= 1;
    meta.insert(key, bytes).unwrap();
    drop((meta, db));
    check_found(home.path(), "record of height 9: its hash does not match");
    let (db, meta) = raw(home.path(), "meta");
    meta.remove(key).unwrap();
    drop((meta, db));
    check_found(home.path(), "record of height 9 is missing");
}

#[test]
fn a_damaged_missing_or_stray_look_up_is_found() {
    let home = home();
    let (db, index) = raw(home.path(), "index");
    let whole = index.get("tx8").unwrap().unwrap();
    let mut bytes = whole.to_vec();
    bytes[9] ^= 1;
    index.insert("tx8", bytes).unwrap();
    drop((index, db));
    check_found(home.path(), &hex::encode("tx8"));
    let (db, index) = raw(home.path(), "index");
    index.remove("tx8").unwrap();
    drop((index, db));
    check_found(home.path(), "found nothing");
    let (db, index) = raw(home.path(), "index");
    index.insert("tx8", whole).unwrap();
    index.insert("stray", "x").unwrap();
    drop((index, db));
    check_found(home.path(), "there are 131 look-ups, the records have 130");
}

#[test]
fn a_damaged_checkpoint_is_found() {
    let home = home();
    let [old, new] = &files(home.path(), "checkpoints", "ckpt-")[..] else {
        panic!("two checkpoints")
    };
    for path in [old, new] {
        flip(path, 200);
        check_found(home.path(), path.to_str().unwrap());
        flip(path, 200);
    }
}

#[test]
fn damage_anywhere_in_a_file_of_history_is_found() {
    let home = home();
    let folder = home.path().join("history");
    let whole: Vec<_> = files(home.path(), "history", "")
        .into_iter()
        .map(|path| (std::fs::read(&path).unwrap(), path))
        .collect();
    let (bytes, path) = whole.iter().max_by_key(|(bytes, _)| bytes.len()).unwrap();
    let len = bytes.len();
    // The list of files: they are found without it.
    flip(&folder.join("LIST"), 25);
    check_found(home.path(), "LIST");
    assert_eq!(files(home.path(), "history", ".damaged"), Vec::<PathBuf>::new());
    for at in [3, 16, 100, len / 2, len - 100, len - 36, len - 1] {
        flip(path, at);
        let store = DiskStore::open(home.path(), config()).unwrap();
        let audit = store.audit(&mut |_| ()).unwrap();
        assert!(
            audit.differences.iter().any(|found| found.contains(".seg")),
            "byte {at} of {len}"
        );
        drop(store);
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        whole
            .iter()
            .for_each(|(bytes, path)| std::fs::write(path, bytes).unwrap());
    }
    assert_eq!(audit(home.path()).differences, Vec::<String>::new());
}

#[test]
fn what_stats_say_is_what_is_there() {
    let home = home();
    let store = DiskStore::open(home.path(), config()).unwrap();
    store.history_settled().unwrap();
    let stats = store.stats().unwrap();
    assert_eq!(
        (stats.oldest, stats.latest.height, stats.records),
        (1, LAST, Some((1, LAST)))
    );
    let checkpoints: Vec<u64> = stats.checkpoints.iter().map(|(height, _)| *height).collect();
    assert_eq!(checkpoints, [50, 100]);
    assert!(stats.journal_live > LAST * 200 && stats.journal_disk > 0);
    let history = stats.history.unwrap();
    assert_eq!(history.heights, [(1, LAST)]);
    let files: u64 = files(home.path(), "history", ".seg")
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert_eq!(history.disk, files);
    // An app hash a height, and its changes.
    let rows: u64 = history.segments.iter().map(|segment| segment.rows).sum();
    assert!((LAST * 4..=LAST * 5).contains(&rows), "{rows}");
    let keys: Vec<(&str, u64)> = stats.stores.iter().map(|s| (&s.name[..], s.keys)).collect();
    assert_eq!(keys[1].0, "evm");
    assert!(keys[1].1 > LAST && stats.stores[1].nodes == 2 * keys[1].1 - 1);
}
