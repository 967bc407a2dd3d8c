//! A store whose files are damaged: it opens with exactly what was acknowledged, or refuses with a reason.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use state::{
    BlockRecord, ChangeSet, CommitStore, IndexEntry, Key, Snapshot, StateRead, StoreError, StoreId, Value,
};
use std::fs;
use std::path::{Path, PathBuf};
use store::backend::Database;
use store::{Config, DiskStore, MemoryStore};

const BANK: StoreId = StoreId::new("bank");
const HEIGHTS: u64 = 6;

fn config(database: Database) -> Config {
    Config {
        ring: 2,
        checkpoint_interval: 2,
        checkpoints: 2,
        database,
        ..Config::new([BANK])
    }
}
fn key(height: u64) -> Key {
    Key::new(BANK, &[&(height % 4).to_be_bytes()])
}
fn block(height: u64) -> (ChangeSet, BlockRecord) {
    let changes = [(key(height), Some(Value::from(format!("value {height}"))))].into();
    let index = vec![IndexEntry {
        key: format!("block {height}").into(),
        value: height.to_string().into(),
    }];
    let body = format!("body {height}").into();
    (changes, BlockRecord { body, index })
}
fn commit<S: CommitStore>(store: &S, height: u64) {
    let (changes, record) = block(height);
    let (_, staged) = store.stage(height, changes).unwrap();
    store.commit(staged, record).unwrap();
}
/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name != "LOCK") {
            found.push(path);
        }
    }
    found.sort();
    found
}
/// All answers are right, or refused with a reason; which of them it may refuse depends on what is damaged.
fn check(store: &DiskStore, twin: &MemoryStore, what: &str) -> Result<(), StoreError> {
    assert_eq!(store.latest(), twin.latest(), "{what}");
    for height in 1..=HEIGHTS {
        let want = twin.snapshot(height).unwrap();
        let snapshot = store.snapshot(height)?;
        assert_eq!(snapshot.version(), want.version(), "{what}");
        for other in 1..=height {
            let (have, want) = (snapshot.get(&key(other)), want.get(&key(other)).unwrap());
            assert!(have.is_err() || have == Ok(want), "{what}: height {height}");
        }
        let (_, record) = block(height);
        assert_eq!(store.record(height)?.unwrap(), record.body, "{what}");
        let found = store.find(&record.index[0].key)?;
        // A look-up that is gone without a trace is found by `verify` only.
        assert!(found.is_none_or(|found| found == record.index[0].value), "{what}");
    }
    Ok(())
}

/// Flips a bit of every `step`-th byte of every file, one at a time. Returns how many were refused, and of how many.
fn flip(database: &Database, step: usize) -> (usize, usize) {
    let home = tempfile::tempdir().unwrap();
    let twin = MemoryStore::new(Config {
        ring: usize::MAX,
        ..config(Database::Sled)
    });
    let store = DiskStore::open(home.path(), config(database.clone())).unwrap();
    for height in 1..=HEIGHTS {
        commit(&store, height);
        commit(&twin, height);
    }
    drop(store);
    let whole: Vec<(PathBuf, Vec<u8>)> = files(home.path())
        .into_iter()
        .map(|f| (f.clone(), fs::read(f).unwrap()))
        .collect();
    let (mut refused, mut tried) = (0, 0);
    for (file, bytes) in &whole {
        // Most of a new database's file is zeros: there, one in many.
        let mut at = 0;
        while at < bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(file, bad).unwrap();
            let what = format!("{}: byte {at} of {}", file.display(), bytes.len());
            tried += 1;
            match DiskStore::open(home.path(), config(database.clone())) {
                Ok(store) => refused += usize::from(check(&store, &twin, &what).is_err()),
                Err(e) => {
                    refused += 1;
                    assert!(e.to_string().len() > 20, "{what}: {e}");
                }
            }
            // As it was: what opening made goes, what it changed comes back.
            for made in files(home.path()) {
                if !whole.iter().any(|(file, _)| *file == made) {
                    fs::remove_file(made).unwrap();
                }
            }
            for (file, bytes) in &whole {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                if fs::read(file).ok().as_ref() != Some(bytes) {
                    fs::write(file, bytes).unwrap();
                }
            }
            let zeros = bytes[at..].iter().take_while(|byte| **byte == 0).count();
            at += if zeros > 4096 {
                zeros - zeros % step.max(64) / 2
            } else {
                step
            };
        }
    }
    let store = DiskStore::open(home.path(), config(database.clone())).unwrap();
    check(&store, &twin, "restored").unwrap();
    (refused, tried)
}

/// Some bytes of every file; every byte, which takes minutes, where `BRAID_EVERY_BYTE` is set.
#[test]
#[allow(clippy::disallowed_methods, reason = "tests only: asks for the long form")]
fn a_flipped_bit_is_refused_or_does_not_matter() {
    let every = std::env::var("BRAID_EVERY_BYTE").is_ok();
    for (database, step) in [(Database::Sled, 31), (Database::Redb, 211)] {
        let step = if every { 1 } else { step };
        let (refused, tried) = flip(&database, step);
        println!("{}: {refused} of {tried} refused", database.name());
        assert!(
            refused > 5 && tried > refused,
            "{}: {refused} of {tried}",
            database.name()
        );
    }
}

#[test]
fn something_else_where_a_file_or_a_folder_belongs_is_named() {
    // Tests run as root, whom no permission stops: what stands in the way does.
    for database in [Database::Sled, Database::Redb] {
        let journal = if database.name() == "redb" {
            "journal.redb"
        } else {
            "journal"
        };
        for name in [journal, "checkpoints", "HEAD", "LOCK"] {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join(name);
            if ["journal", "checkpoints"].contains(&name) {
                fs::write(&path, "a file").unwrap();
            } else {
                fs::create_dir(&path).unwrap();
            }
            let refused = DiskStore::open(home.path(), config(database.clone()))
                .map(drop)
                .unwrap_err();
            assert!(matches!(refused, StoreError::Database(_)), "{name}: {refused:?}");
            // What stood in the way is gone: it opens.
            if path.is_dir() {
                fs::remove_dir_all(&path).unwrap();
            } else {
                fs::remove_file(&path).unwrap();
            }
            commit(
                &DiskStore::open(home.path(), config(database.clone())).unwrap(),
                1,
            );
        }
    }
}
