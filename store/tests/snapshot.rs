//! Snapshots for state sync, and state files: the same on all nodes, checked before they count, gone where a node dies.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use state::{
    BlockRecord, ChangeSet, Chunk, CommitStore, Key, Offer, Snapshot, StateRead, StateSync, StoreError,
    StoreId, SyncSnapshot, Value, Version,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use store::{Commit, Config, DiskStore, MemoryStore, Point, Points, StateFileError};

const BANK: StoreId = StoreId::new("bank");
const EVM: StoreId = StoreId::new("evm");

fn config() -> Config {
    Config {
        ring: 3,
        checkpoint_interval: 0,
        snapshot_interval: 10,
        ..Config::new([EVM, BANK])
    }
}
fn open(home: &Path) -> DiskStore {
    DiskStore::open(home, config()).unwrap()
}
fn key(store: StoreId, n: u64) -> Key {
    Key::new(store, &[&n.to_be_bytes()])
}
/// The third of them makes state of more than one chunk.
fn block(height: u64, big: bool) -> ChangeSet {
    let mut changes: ChangeSet = (0..40)
        .map(|i| {
            (
                key(BANK, height * 31 % 97 + i),
                Some(Value::from(height.to_string())),
            )
        })
        .collect();
    changes.insert(key(BANK, height * 7 % 97), None);
    if height == 3 && big {
        let noise = |seed: u64| {
            (0..4000u64).flat_map(move |i| {
                (seed * 4000 + i)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    .to_le_bytes()
            })
        };
        changes.extend((0..700).map(|i| (key(EVM, i), Some(Value::from(noise(i).collect::<Vec<_>>())))));
    }
    changes.insert(key(EVM, 99), Some(Value::from(height.to_string())));
    changes
}
fn commit<S: CommitStore>(store: &S, height: u64, big: bool) -> Version {
    let (_, staged) = store.stage(height, block(height, big)).unwrap();
    let body = format!("block {height}").into();
    store
        .commit(
            staged,
            BlockRecord {
                body,
                index: Vec::new(),
            },
        )
        .unwrap()
}
/// A chain of `last` blocks in `home`, with its snapshots written.
fn chain(home: &Path, last: u64, big: bool) -> DiskStore {
    let store = open(home);
    for height in 1..=last {
        commit(&store, height, big);
        assert_eq!(store.snapshot_failure(), None);
    }
    store
}
fn chunks(store: &DiskStore, snapshot: &SyncSnapshot) -> Vec<state::Bytes> {
    let chunk = |i| {
        store
            .sync_chunk(snapshot.height, snapshot.format, i)
            .unwrap()
            .unwrap()
    };
    (0..snapshot.chunks).map(chunk).collect()
}
fn restore(to: &DiskStore, snapshot: &SyncSnapshot, app_hash: [u8; 32], chunks: &[state::Bytes]) -> Chunk {
    assert_eq!(to.sync_offer(snapshot, &app_hash).unwrap(), Offer::Accept);
    let mut last = Chunk::Accept;
    for (i, chunk) in (0..).zip(chunks) {
        assert_eq!(last, Chunk::Accept);
        last = to.sync_apply(i, chunk).unwrap();
    }
    last
}
fn value(store: &DiskStore, height: u64, n: u64) -> Option<Value> {
    store.snapshot(height).unwrap().get(&key(EVM, n)).unwrap()
}
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

#[test]
fn nodes_have_the_same_snapshots_at_multiples_of_the_interval() {
    let dir = tempfile::tempdir().unwrap();
    let store = chain(&dir.path().join("a"), 34, false);
    let behind = Config {
        commit: Commit::Async,
        ring: 100,
        ..config()
    };
    let other = DiskStore::open(dir.path().join("b"), behind).unwrap();
    for height in 1..=34 {
        commit(&other, height, false);
        assert_eq!(other.snapshot_failure(), None);
    }
    let offered = store.sync_snapshots();
    assert_eq!(offered.iter().map(|s| s.height).collect::<Vec<_>>(), [30, 20]);
    assert_eq!(other.sync_snapshots(), offered);
    for snapshot in &offered {
        assert_eq!(chunks(&store, snapshot), chunks(&other, snapshot));
        assert_eq!(
            store.sync_chunk(snapshot.height, snapshot.format, snapshot.chunks),
            Ok(None)
        );
        assert_eq!(
            store.sync_chunk(snapshot.height, snapshot.format + 1, 0),
            Ok(None)
        );
    }
    drop(store);
    // What is not whole is not offered, and what is not what it was is not given out.
    let folder = dir.path().join("a/snapshots");
    fs::create_dir(folder.join("40.tmp")).unwrap();
    fs::create_dir(folder.join("40")).unwrap();
    fs::write(folder.join("20/metadata"), "damaged").unwrap();
    let mut chunk = fs::read(folder.join("30/0")).unwrap();
    chunk[7] ^= 1;
    fs::write(folder.join("30/0"), chunk).unwrap();
    let store = open(&dir.path().join("a"));
    assert_eq!(store.sync_snapshots(), offered[..1]);
    assert_eq!(store.sync_chunk(30, offered[0].format, 0), Ok(None));
    let names = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["30"]);
}

#[test]
fn an_empty_store_takes_a_snapshot_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = chain(&dir.path().join("a"), 12, true);
    let snapshot = store.sync_snapshots().remove(0);
    assert!(snapshot.chunks >= 2, "{} chunks", snapshot.chunks);
    let version = store.snapshot(10).unwrap().version();
    let mut sent = chunks(&store, &snapshot);
    for (name, commits) in [("b", Commit::Sync), ("c", Commit::Async)] {
        let config = Config {
            commit: commits,
            ..config()
        };
        let home = dir.path().join(name);
        let new = DiskStore::open(&home, config.clone()).unwrap();
        assert_eq!(
            new.sync_apply(0, &sent[0]).unwrap(),
            Chunk::Abort("chunk 0 came, and no snapshot was accepted".into())
        );
        assert_eq!(
            restore(&new, &snapshot, version.root, &sent),
            Chunk::Done(version)
        );
        assert_eq!(
            (new.latest(), new.durable().unwrap(), new.oldest()),
            (version, version, 10)
        );
        assert_eq!(new.record(10), Ok(None));
        assert!(matches!(
            new.snapshot(9),
            Err(StoreError::NoVersion { oldest: 10, .. })
        ));
        assert_eq!(new.prove(10, &key(BANK, 60)), store.prove(10, &key(BANK, 60)));
        for height in 11..=12 {
            assert_eq!(
                commit(&new, height, true),
                store.snapshot(height).unwrap().version()
            );
        }
        assert!(matches!(
            new.sync_offer(&snapshot, &version.root).unwrap(),
            Offer::Abort(_)
        ));
        drop(new);
        let new = DiskStore::open(&home, config).unwrap();
        assert_eq!((new.latest(), new.oldest()), (store.latest(), 10));
        assert_eq!(new.verify(), Ok(3));
        assert_eq!(
            (new.record(10), new.record(11).unwrap()),
            (Ok(None), Some("block 11".into()))
        );
        for height in 10..=12 {
            for n in [0, 99, 699, 700] {
                assert_eq!(
                    value(&new, height, n),
                    value(&store, height, n),
                    "key {n} at height {height}"
                );
            }
        }
    }
    // A chunk that is not what it should be is asked for again, as often as that takes; one out of turn begins anew.
    let new = open(&dir.path().join("d"));
    assert_eq!(new.sync_offer(&snapshot, &version.root).unwrap(), Offer::Accept);
    assert_eq!(new.sync_apply(0, &sent[0]).unwrap(), Chunk::Accept);
    for _ in 0..3 {
        assert!(matches!(new.sync_apply(1, &sent[0]).unwrap(), Chunk::Refetch(_)));
    }
    assert!(matches!(new.sync_apply(0, &sent[0]).unwrap(), Chunk::Restart(_)));
    assert_eq!(new.sync_apply(0, &sent[0]).unwrap(), Chunk::Accept);
    let last = sent.len() - 1;
    for (i, chunk) in (1..).zip(&sent[1..last]) {
        assert_eq!(new.sync_apply(i, chunk).unwrap(), Chunk::Accept);
    }
    let good = std::mem::take(&mut sent[last]);
    let mut flipped = good.to_vec();
    flipped[good.len() / 2] ^= 4;
    assert!(matches!(
        new.sync_apply(last as u32, &flipped).unwrap(),
        Chunk::Refetch(_)
    ));
    assert_eq!(new.sync_apply(last as u32, &good).unwrap(), Chunk::Done(version));
}

#[test]
fn what_is_not_the_chains_state_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = chain(&dir.path().join("a"), 10, false);
    let good = store.sync_snapshots().remove(0);
    let version = store.latest();
    // Another chain's snapshot that claims to be of this app hash: everything fits but the nodes.
    let liar = DiskStore::open(dir.path().join("liar"), config()).unwrap();
    for height in 1..=10 {
        let mut changes = block(height, false);
        changes.insert(key(BANK, 5), Some(Value::from("mine")));
        let (_, staged) = liar.stage(height, changes).unwrap();
        liar.commit(staged, BlockRecord::default()).unwrap();
    }
    assert_eq!(liar.snapshot_failure(), None);
    let lie = liar.sync_snapshots().remove(0);
    let mut metadata = lie.metadata.to_vec();
    let at = metadata
        .windows(32)
        .position(|w| w == liar.latest().root)
        .unwrap();
    metadata[at..at + 32].copy_from_slice(&version.root);
    let claim = SyncSnapshot {
        hash: state::Bytes::copy_from_slice(&sha256(&metadata)),
        metadata: metadata.into(),
        ..lie.clone()
    };
    let new = open(&dir.path().join("new"));
    let offer = |snapshot: &SyncSnapshot, root| new.sync_offer(snapshot, &root).unwrap();
    assert!(matches!(offer(&lie, version.root), Offer::Reject(why) if why.contains("app hash")));
    assert!(matches!(
        offer(
            &SyncSnapshot {
                format: 7,
                ..good.clone()
            },
            version.root
        ),
        Offer::RejectFormat(7)
    ));
    assert!(matches!(
        offer(
            &SyncSnapshot {
                height: 20,
                ..good.clone()
            },
            version.root
        ),
        Offer::Reject(_)
    ));
    let end = restore(&new, &claim, version.root, &chunks(&liar, &lie));
    assert!(
        matches!(&end, Chunk::Reject(why) if why.contains("its nodes have app hash")),
        "{end:?}"
    );
    assert!(matches!(new.sync_apply(0, b"").unwrap(), Chunk::Abort(_)));
    drop(new);
    let small = Config {
        restore_bytes: 1000,
        ..config()
    };
    let new = DiskStore::open(dir.path().join("new"), small).unwrap();
    assert_eq!(new.latest().height, 0);
    assert!(
        matches!(new.sync_offer(&good, &version.root).unwrap(), Offer::Reject(why) if why.contains("takes 1000"))
    );
    drop(new);
    let other = Config::new([BANK, StoreId::new("other")]);
    let new = DiskStore::open(dir.path().join("new"), other).unwrap();
    let end = restore(&new, &good, version.root, &chunks(&store, &good));
    assert!(
        matches!(&end, Chunk::Reject(why) if why.contains("other")),
        "{end:?}"
    );
    assert_eq!(
        fs::read_dir(dir.path().join("new/checkpoints")).unwrap().count(),
        0
    );
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

/// Homes as a kill at each point that `work` passes would leave them, with what the hook saw last.
fn killed_at_each_point(home: &Path, copies: &Path, work: impl FnOnce(&DiskStore)) -> Vec<(Point, PathBuf)> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hook = {
        let (seen, home, copies) = (Arc::clone(&seen), home.to_owned(), copies.to_owned());
        move |point| {
            let mut seen = seen.lock().unwrap();
            let to = copies.join(seen.len().to_string());
            // Opening came by here too.
            let _ = fs::remove_dir_all(&to);
            copy(&home, &to);
            seen.push((point, to));
        }
    };
    let points = Points::new(hook);
    // Without history: its threads would go on while a home is copied.
    let config = Config {
        points,
        history: false,
        ..config()
    };
    let store = DiskStore::open(home, config).unwrap();
    seen.lock().unwrap().clear();
    work(&store);
    std::mem::take(&mut *seen.lock().unwrap())
}

#[test]
fn a_node_killed_while_it_takes_a_snapshot_has_all_of_it_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = chain(&dir.path().join("a"), 20, false);
    let [newer, older] = &store.sync_snapshots()[..] else {
        panic!("two snapshots")
    };
    let version = |height| store.snapshot(height).unwrap().version();
    let take = |to: &DiskStore, snapshot: &SyncSnapshot| {
        let want = version(snapshot.height);
        assert_eq!(
            restore(to, snapshot, want.root, &chunks(&store, snapshot)),
            Chunk::Done(want)
        );
    };
    let (home, copies) = (dir.path().join("b"), dir.path().join("copies"));
    let mut homes = killed_at_each_point(&home, &copies, |new| take(new, newer));
    // And where it held another one before, which CometBFT had not heard of.
    homes.extend(killed_at_each_point(&home, &dir.path().join("more"), |new| {
        assert_eq!(new.latest().height, 20);
        take(new, older);
    }));
    assert!(homes.len() >= 8, "{homes:?}");
    let mut ends = Vec::new();
    for (point, home) in &homes {
        let new = open(home);
        let height = new.latest().height;
        ends.push(height);
        if height > 0 {
            assert_eq!(
                (new.latest(), new.oldest()),
                (version(height), height),
                "killed at {point:?}"
            );
        }
        take(&new, older);
        let next = commit(&new, 11, false);
        assert_eq!(next, version(11), "killed at {point:?}");
        drop(new);
        assert_eq!(open(home).latest(), next, "killed at {point:?}");
    }
    ends.dedup();
    assert_eq!(ends, [0, 20, 0, 10], "nothing, then all, twice");
    // A node that gives up on state sync starts from the first block.
    for (point, home) in &killed_at_each_point(&dir.path().join("c"), &dir.path().join("last"), |new| {
        take(new, newer);
    }) {
        let new = open(home);
        if new.latest().height == 0 {
            assert_eq!(
                commit(&new, 1, false),
                chain(&home.join("twin"), 1, false).latest()
            );
            drop(new);
            assert_eq!(open(home).latest().height, 1, "killed at {point:?}");
        }
    }
}

#[test]
fn a_state_file_of_any_kept_height_makes_the_same_chain() {
    let dir = tempfile::tempdir().unwrap();
    let store = chain(&dir.path().join("a"), 12, true);
    for height in [1, 4, 12] {
        let (mut file, version) = (Vec::new(), store.snapshot(height).unwrap().version());
        assert_eq!(store.export(height, &mut file).unwrap(), version);
        let new = open(&dir.path().join(height.to_string()));
        let wrong = new.import(&mut &file[..], Some(&[7; 32])).unwrap_err();
        assert!(wrong.to_string().contains("0707"), "{wrong}");
        assert_eq!(new.import(&mut &file[..], Some(&version.root)).unwrap(), version);
        for height in height + 1..=12 {
            assert_eq!(
                commit(&new, height, true),
                store.snapshot(height).unwrap().version()
            );
        }
        let (mut again, mut want) = (Vec::new(), Vec::new());
        new.export(12, &mut again).unwrap();
        store.export(12, &mut want).unwrap();
        assert!(again == want, "the files of height 12 differ");
        // Where no block came on top, another file may take its place.
        match new.import(&mut &file[..], None) {
            Ok(same) => assert_eq!((height, same), (12, version)),
            Err(refused) => assert!(matches!(refused, StateFileError::NotEmpty(12)), "{refused}"),
        }
    }
    let missing = store.export(13, &mut Vec::new()).unwrap_err();
    assert!(
        matches!(missing, StateFileError::Store(StoreError::NoVersion { .. })),
        "{missing}"
    );
}

#[test]
fn a_state_file_with_any_byte_changed_or_cut_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = chain(&dir.path().join("a"), 2, false);
    let (mut file, version) = (Vec::new(), store.latest());
    store.export(2, &mut file).unwrap();
    let new = open(&dir.path().join("b"));
    for at in 0..file.len() {
        let mut bad = file.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(new.import(&mut &bad[..], None).is_err(), "byte {at}");
        assert!(new.import(&mut &file[..at], None).is_err(), "cut at {at}");
    }
    let long = [&file[..], b"x"].concat();
    assert!(
        new.import(&mut &long[..], None)
            .unwrap_err()
            .to_string()
            .contains("bytes follow")
    );
    assert_eq!(new.latest().height, 0);
    assert_eq!(new.import(&mut &file[..], None).unwrap(), version);
}

#[test]
fn the_head_of_a_state_file_is_pinned() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut file) = (chain(&dir.path().join("a"), 2, false), Vec::new());
    let version = store.export(2, &mut file).unwrap();
    assert_eq!(version, commit_twin(2));
    let head = [
        &b"braid-state-file"[..],
        &[0, 0, 0, 1],
        &2u64.to_be_bytes(),
        &version.root,
    ]
    .concat();
    assert_eq!(file[..60], head);
}

fn commit_twin(last: u64) -> Version {
    let twin = MemoryStore::new(config());
    (1..=last)
        .map(|height| commit(&twin, height, false))
        .last()
        .unwrap()
}
