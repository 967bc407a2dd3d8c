//! The contract of a commit store, kept by the one in RAM and the one on disk, on every database.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use ics23::commitment_proof::Proof;
use ics23::{CommitmentProof, HostFunctionsManager, iavl_spec, tendermint_spec};
use prost::Message;
use state::{
    BlockRecord, ChangeSet, CommitStore, Control, EMPTY_ROOT, IndexEntry, Key, KeyRange, ProofOp, Snapshot,
    StateRead, StateScan, StoreError, StoreId, Value, Version,
};
use std::sync::Arc;
use store::backend::{Database, FaultyBackend, MemoryBackend};
use store::{Commit, Config, DiskStore, MemoryStore};

const BANK: StoreId = StoreId::new("bank");
const EVM: StoreId = StoreId::new("evm");
const VOID: StoreId = StoreId::new("void");

fn config() -> Config {
    Config {
        ring: 5,
        ..Config::new([EVM, BANK, VOID])
    }
}
fn key(store: StoreId, key: &str) -> Key {
    Key::new(store, &[key.as_bytes()])
}
fn put(store: StoreId, k: &str, value: &str) -> (Key, Option<Value>) {
    (key(store, k), Some(Value::from(value.to_owned())))
}
fn record(height: u64) -> BlockRecord {
    let entry = |key: String, value: String| IndexEntry {
        key: key.into(),
        value: value.into(),
    };
    let index = vec![
        entry(format!("tx{height}"), height.to_string()),
        entry("newest".into(), height.to_string()),
    ];
    BlockRecord {
        body: format!("block {height}").into(),
        index,
    }
}
fn block(height: u64) -> ChangeSet {
    let name = format!("k{:02}", height % 7);
    [
        put(BANK, &name, &height.to_string()),
        put(EVM, "slot", &height.to_string()),
    ]
    .into()
}
fn commit<S: CommitStore>(store: &S, height: u64) -> Version {
    let (root, staged) = store.stage(height, block(height)).unwrap();
    let version = store.commit(staged, record(height)).unwrap();
    assert_eq!(version, Version { height, root });
    version
}
/// Makes each database, without content.
fn databases() -> [fn() -> Database; 5] {
    [
        || Database::Sled,
        || Database::Redb,
        || Database::Given(Arc::new(MemoryBackend::new())),
        || Database::Given(Arc::new(FaultyBackend::new(5, 60, true))),
        || Database::Given(Arc::new(FaultyBackend::new(2, 40, false))),
    ]
}
/// Runs the body with each kind of store.
macro_rules! on_all {
    (|$store:ident| $body:block) => {{
        let $store = &MemoryStore::new(config());
        $body
    }
    for database in databases() {
        for commit in [Commit::Sync, Commit::Async] {
            let home = tempfile::tempdir().unwrap();
            let config = Config {
                commit,
                database: database(),
                ..config()
            };
            let $store = &DiskStore::open(home.path(), config).unwrap();
            $body
        }
    }};
}

#[test]
fn before_the_first_block_there_is_empty_state_at_height_0() {
    on_all!(|store| {
        let nothing = Version {
            height: 0,
            root: EMPTY_ROOT,
        };
        assert_eq!(
            (store.latest(), store.durable().unwrap(), store.oldest()),
            (nothing, nothing, 0)
        );
        let snapshot = store.snapshot(0).unwrap();
        assert_eq!(snapshot.version(), nothing);
        assert_eq!(snapshot.get(&key(BANK, "k")), Ok(None));
        assert!(store.snapshot(1).is_err());
        assert_eq!(store.record(0), Ok(None));
        assert_eq!(store.find(b"tx1"), Ok(None));
    });
}

#[test]
fn heights_follow_each_other_from_any_first_height() {
    on_all!(|store| {
        assert!(matches!(
            store.stage(0, block(1)),
            Err(StoreError::Height { have: 0, .. })
        ));
        commit(store, 100);
        assert_eq!(store.oldest(), 100);
        let refused = store.snapshot(0).unwrap_err();
        assert_eq!(
            refused,
            StoreError::NoVersion {
                height: 0,
                oldest: 100,
                latest: 100
            }
        );
        for have in [99, 100, 102] {
            assert_eq!(
                store.stage(have, block(1)).map(|s| s.0),
                Err(StoreError::Height { have, want: 101 })
            );
        }
        commit(store, 101);
        assert_eq!(store.record(101).unwrap().unwrap(), "block 101");
        assert_eq!(store.latest(), store.durable().unwrap());
        assert_eq!(store.record(101).unwrap().unwrap(), "block 101");
        assert_eq!(store.find(b"newest").unwrap().unwrap(), "101");
        assert_eq!(store.find(b"tx100").unwrap().unwrap(), "100");
    });
}

#[test]
fn a_block_not_committed_leaves_no_trace() {
    on_all!(|store| {
        let first = commit(store, 1);
        let (root, staged) = store.stage(2, block(2)).unwrap();
        drop(staged);
        assert_eq!(store.latest(), first);
        assert_eq!(
            store
                .snapshot(1)
                .unwrap()
                .get(&key(EVM, "slot"))
                .unwrap()
                .unwrap(),
            "1"
        );
        assert!(store.snapshot(2).is_err());
        assert_eq!((store.record(2), store.find(b"tx2")), (Ok(None), Ok(None)));
        assert_eq!(store.stage(2, block(2)).unwrap().0, root, "staging is repeatable");
    });
}

#[test]
fn staging_again_forgets_what_was_staged_before() {
    on_all!(|store| {
        let (_, stale) = store.stage(1, block(7)).unwrap();
        let (root, fresh) = store.stage(1, block(1)).unwrap();
        let refused = store.commit(stale, record(1)).unwrap_err();
        assert!(
            refused.to_string().contains("height 1 was staged again"),
            "{refused}"
        );
        assert_eq!(store.latest().height, 0);
        assert_eq!(store.commit(fresh, record(1)).unwrap().root, root);
        // Staged on what is no longer the newest version.
        let (_, stale) = store.stage(2, block(2)).unwrap();
        commit(store, 2);
        assert_eq!(
            store.commit(stale, record(2)),
            Err(StoreError::Height { have: 2, want: 3 })
        );
    });
}

#[test]
fn an_unknown_store_is_named() {
    on_all!(|store| {
        let alien = StoreId::new("alien");
        let refused = store.stage(1, [put(alien, "k", "v")].into()).map(|s| s.0);
        assert_eq!(refused, Err(StoreError::NoStore("alien".into())));
        assert!(
            store
                .snapshot(0)
                .unwrap()
                .get(&key(alien, "k"))
                .unwrap_err()
                .to_string()
                .contains("alien")
        );
        assert!(matches!(
            store.prove(0, &key(alien, "k")),
            Err(StoreError::NoStore(_))
        ));
    });
}

#[test]
fn a_snapshot_stays_while_later_blocks_commit() {
    on_all!(|store| {
        commit(store, 1);
        let snapshot = store.snapshot(1).unwrap();
        let before = store.prove(1, &key(EVM, "slot")).unwrap();
        for height in 2..=4 {
            commit(store, height);
        }
        assert_eq!(snapshot.get(&key(EVM, "slot")).unwrap().unwrap(), "1");
        assert_eq!(snapshot.get(&key(BANK, "k02")).unwrap(), None);
        assert_eq!(store.snapshot(1).unwrap().version(), snapshot.version());
        assert_eq!(store.prove(1, &key(EVM, "slot")).unwrap(), before);
        for height in 5..=30 {
            commit(store, height);
        }
        assert_eq!(snapshot.get(&key(EVM, "slot")).unwrap().unwrap(), "1");
        let mut seen = Vec::new();
        let range = KeyRange::prefix(BANK, b"k").descending();
        let visit = &mut |k: &Key, v: &Value| {
            seen.push((k.clone(), v.clone()));
            if seen.len() == 2 {
                Control::Break(())
            } else {
                Control::Continue(())
            }
        };
        store.snapshot(30).unwrap().scan(&range, visit).unwrap();
        assert_eq!(
            seen,
            [(key(BANK, "k06"), "27".into()), (key(BANK, "k05"), "26".into())]
        );
    });
}

/// Checks a proof step by step, as a light client does.
fn verify(root: &[u8], key: &Key, value: Option<&Value>, ops: &[ProofOp]) {
    let [tree, store] = ops else { panic!("two steps") };
    assert_eq!((tree.kind.as_str(), &tree.key[..]), ("ics23:iavl", key.bytes()));
    assert_eq!(
        (store.kind.as_str(), &store.key[..]),
        ("ics23:simple", key.store().name().as_bytes())
    );
    let proof = CommitmentProof::decode(&store.data[..]).unwrap();
    let Some(Proof::Exist(exist)) = &proof.proof else {
        panic!("a store exists")
    };
    let (store, store_root, app_hash) = (key.store(), exist.value.clone(), root.to_vec());
    let name = store.name().as_bytes();
    assert!(ics23::verify_membership::<HostFunctionsManager>(
        &proof,
        &tendermint_spec(),
        &app_hash,
        name,
        &store_root
    ));
    let proof = CommitmentProof::decode(&tree.data[..]).unwrap();
    let holds = match value {
        Some(v) => ics23::verify_membership::<HostFunctionsManager>(
            &proof,
            &iavl_spec(),
            &store_root,
            key.bytes(),
            v,
        ),
        None => ics23::verify_non_membership::<HostFunctionsManager>(
            &proof,
            &iavl_spec(),
            &store_root,
            key.bytes(),
        ),
    };
    assert!(holds, "{key:?}");
}

#[test]
fn proofs_hold_against_the_app_hash_at_every_height() {
    on_all!(|store| {
        let roots: Vec<Version> = (1..=9).map(|height| commit(store, height)).collect();
        for version in roots.iter().filter(|v| v.height >= store.oldest()) {
            for name in ["", "k00", "k01", "k03", "k035", "k06", "k9"] {
                let key = key(BANK, name);
                let proven = store.prove(version.height, &key).unwrap();
                assert_eq!(
                    proven.value,
                    store.snapshot(version.height).unwrap().get(&key).unwrap()
                );
                verify(&version.root, &key, proven.value.as_ref(), &proven.ops);
            }
        }
    });
}

#[test]
fn an_empty_stores_name_is_in_the_app_hash() {
    let fewer = MemoryStore::new(Config::new([BANK, EVM]));
    let all = MemoryStore::new(config());
    assert_ne!(commit(&fewer, 1).root, commit(&all, 1).root);
    assert_ne!(all.stage(2, ChangeSet::new()).unwrap().0, EMPTY_ROOT);
}

#[test]
fn a_node_carries_the_height_that_made_it() {
    // cosmos/iavl with InitialVersion 100: the first leaf's hash holds version 100.
    let store = MemoryStore::new(Config::new([BANK]));
    let (at_100, _) = store.stage(100, [put(BANK, "k", "v")].into()).unwrap();
    let (at_1, _) = store.stage(1, [put(BANK, "k", "v")].into()).unwrap();
    assert_ne!(at_100, at_1);
}

#[test]
fn memory_keeps_as_many_versions_as_told() {
    let store = MemoryStore::new(config());
    for height in 1..=9 {
        commit(&store, height);
    }
    assert_eq!(store.oldest(), 5);
    assert_eq!(
        store.snapshot(4).unwrap_err(),
        StoreError::NoVersion {
            height: 4,
            oldest: 5,
            latest: 9
        }
    );
    let narrow = MemoryStore::new(Config {
        ring_nodes: 0,
        ..config()
    });
    commit(&narrow, 1);
    commit(&narrow, 2);
    assert_eq!((narrow.oldest(), narrow.latest().height), (2, 2));
}
