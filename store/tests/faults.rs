//! System calls that fail: a child commits blocks under `strace`, which makes the n-th sync, write, open or rename fail.
//!
//! The store says why, takes nothing more until it is opened again, and has everything it acknowledged.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use state::{BlockRecord, ChangeSet, CommitStore, IndexEntry, Key, StoreError, StoreId, Value};
use std::path::Path;
use std::process::Command;
use store::backend::Database;
use store::{Commit, Config, DiskStore, MemoryStore};

const BANK: StoreId = StoreId::new("bank");
const BLOCKS: u64 = 24;
/// The child's exit status after a failure that it was told of.
const TOLD: i32 = 3;

fn config(database: &str, commit: &str) -> Config {
    Config {
        ring: 4,
        checkpoint_interval: 5,
        checkpoints: 2,
        commit: if commit == "async" {
            Commit::Async
        } else {
            Commit::Sync
        },
        database: if database == "redb" {
            Database::Redb
        } else {
            Database::Sled
        },
        ..Config::new([BANK])
    }
}
fn block(height: u64) -> (ChangeSet, BlockRecord) {
    let value = |i: u64| Some(Value::from(vec![height as u8; 40 + i as usize]));
    let pairs = (0..20).map(|i| (Key::new(BANK, &[&(height * i % 100).to_be_bytes()]), value(i)));
    let entry = IndexEntry {
        key: format!("block {height}").into(),
        value: height.to_string().into(),
    };
    let body = vec![height as u8; if height.is_multiple_of(7) { 1 << 20 } else { 500 }];
    let record = BlockRecord {
        body: body.into(),
        index: vec![entry],
    };
    (pairs.collect(), record)
}
fn commit<S: CommitStore>(store: &S, height: u64) -> Result<(), StoreError> {
    let (changes, record) = block(height);
    let (_, staged) = store.stage(height, changes)?;
    store.commit(staged, record).map(drop)
}

/// Run under `strace` by the test below.
#[test]
fn child_commits_some_blocks() {
    let Ok(home) = std::env::var("BRAID_STORE_FAULTS_HOME") else {
        return;
    };
    let told = std::env::var("BRAID_STORE_FAULTS_CONFIG").unwrap();
    let (database, mode) = told.split_once(' ').unwrap();
    let store = match DiskStore::open(home, config(database, mode)) {
        Ok(store) => store,
        Err(e) => {
            println!("failed: {e}");
            std::process::exit(TOLD);
        }
    };
    for height in 1..=BLOCKS {
        match commit(&store, height).and_then(|()| store.durable()) {
            Ok(version) => println!("durable {}", version.height),
            Err(e) => {
                println!("failed: {e}");
                let next = store.stage(height, ChangeSet::new()).map(|s| s.0);
                assert!(matches!(next, Err(StoreError::Poisoned(_))), "{next:?}");
                assert!(matches!(store.durable(), Err(StoreError::Poisoned(_))));
                std::process::exit(TOLD);
            }
        }
    }
    if let Some(e) = store.checkpoint_failure() {
        println!("checkpoint failed: {e}");
    }
}

fn strace_works() -> Result<(), String> {
    let output = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .output();
    match output {
        Err(e) => Err(format!("strace: {e}")),
        Ok(output) if !output.status.success() => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Ok(_) => Ok(()),
    }
}

/// How a child ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It was told, and said so.
    Told,
    /// The database ended the process: no commit went on as if nothing had happened.
    Died,
    /// It noticed nothing, or did without (a checkpoint).
    Whole,
}

fn run(home: &Path, told: &str, inject: &str) -> (End, u64, String) {
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("inject={inject}"))
        .arg(std::env::current_exe().unwrap())
        .args(["child_commits_some_blocks", "--exact", "--nocapture"])
        .env("BRAID_STORE_FAULTS_HOME", home)
        .env("BRAID_STORE_FAULTS_CONFIG", told)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let durable = text
        .lines()
        .filter_map(|line| line.rsplit_once("durable ")?.1.trim().parse().ok());
    let durable = durable.max().unwrap_or(0);
    let end = match output.status.code() {
        Some(TOLD) => End::Told,
        Some(0) => End::Whole,
        _ => End::Died,
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    (end, durable, format!("{text}{errors}"))
}

fn check(home: &Path, told: &str, at_least: u64) {
    let (database, mode) = told.split_once(' ').unwrap();
    let store = DiskStore::open(home, config(database, mode)).unwrap();
    let last = store.latest().height;
    assert!(last >= at_least, "{at_least} was durable, {last} is there");
    let twin = MemoryStore::new(config("sled", "sync"));
    for height in 1..=last {
        commit(&twin, height).unwrap();
        assert_eq!(
            store.snapshot(height).map(|s| state::Snapshot::version(&s)),
            Ok(twin.latest())
        );
        let (_, record) = block(height);
        assert_eq!(store.record(height).unwrap().unwrap(), record.body);
        assert_eq!(
            store.find(&record.index[0].key).unwrap().unwrap(),
            record.index[0].value
        );
    }
    store.verify().unwrap();
    commit(&store, last + 1).unwrap();
    assert_eq!(store.durable().unwrap().height, last + 1);
}

#[test]
fn a_failing_system_call_is_told_and_loses_nothing_durable() {
    if let Err(why) = strace_works() {
        println!("skipped: {why}");
        return;
    }
    let (mut told, mut died) = (0, 0);
    for (settings, calls) in [
        (
            "sled sync",
            &["fdatasync", "pwrite64", "sync_file_range", "openat", "rename"][..],
        ),
        ("sled async", &["fdatasync", "pwrite64"]),
        ("redb sync", &["fdatasync", "pwrite64", "openat", "rename"]),
        ("redb async", &["fdatasync"]),
    ] {
        for (i, call) in calls.iter().enumerate() {
            for (n, error) in [(1, "EIO"), (4 + i, "ENOSPC"), (17, "EIO"), (40, "ENOSPC")] {
                // Once, or from then on.
                let inject = format!(
                    "{call}:error={error}:when={n}{}",
                    if n % 2 == 0 { "+" } else { "" }
                );
                let home = tempfile::tempdir().unwrap();
                let (end, durable, text) = run(home.path(), settings, &inject);
                println!("{settings}: {inject}: {end:?} after {durable}");
                match end {
                    End::Told => {
                        told += 1;
                        assert!(text.contains("failed: "), "{text}");
                    }
                    End::Died => died += 1,
                    End::Whole => assert_eq!(durable, BLOCKS, "{settings} {inject}: {text}"),
                }
                check(home.path(), settings, durable);
            }
        }
    }
    println!("{told} were told, {died} died");
    assert!(told > 10, "{told}");
}
