//! Going back.
use crate::model::{Model, Random, config};
use state::{CommitStore, StoreError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::backend::{Database, MemoryBackend};
use store::{Config, DiskStore, Points, Pruning};

#[test]
fn a_height_that_is_not_kept_cannot_be_gone_back_to() {
    let home = tempfile::tempdir().unwrap();
    let config = Config {
        pruning: Pruning::EVERYTHING,
        checkpoint_interval: 5,
        ..config()
    };
    let (mut model, mut random) = (Model::default(), Random(5));
    let store = DiskStore::open(home.path(), config.clone()).unwrap();
    for _ in 0..20 {
        model.commit(&store, &mut random);
    }
    drop(store);
    for height in [0, 1, 17, 21, u64::MAX] {
        let refused = DiskStore::rollback(home.path(), &config, height).unwrap_err();
        assert_eq!(
            refused,
            StoreError::NoVersion {
                height,
                oldest: 18,
                latest: 20
            }
        );
    }
    let version = DiskStore::rollback(home.path(), &config, 20).unwrap();
    assert_eq!(version, model.version(20));
    assert_eq!(DiskStore::newest(home.path(), &config), Ok(20));
    let version = DiskStore::rollback(home.path(), &config, 18).unwrap();
    assert_eq!(version, model.version(18));
    model.rollback(18);
    let store = DiskStore::open(home.path(), config.clone()).unwrap();
    model.check(&store, &config);
    let refused = DiskStore::rollback(home.path(), &config, 18).unwrap_err();
    assert!(matches!(refused, StoreError::Locked(_)), "{refused}");
    // Another chain may go on from here.
    for _ in 0..10 {
        model.commit(&store, &mut random);
    }
    model.check(&store, &config);
    drop(store);
    model.check(&DiskStore::open(home.path(), config.clone()).unwrap(), &config);
}

#[test]
fn a_rollback_that_is_cut_off_at_any_point_is_finished_at_the_next_start() {
    for stop in 0.. {
        let home = tempfile::tempdir().unwrap();
        let config = Config {
            checkpoint_interval: 4,
            database: Database::Given(Arc::new(MemoryBackend::new())),
            ..config()
        };
        let (mut model, mut random) = (Model::default(), Random(11));
        let store = DiskStore::open(home.path(), config.clone()).unwrap();
        for _ in 0..22 {
            model.commit(&store, &mut random);
        }
        drop(store);
        let count = AtomicU64::new(0);
        let ending = Config {
            points: Points::new(move |_| {
                assert!(
                    count.fetch_add(1, Ordering::Relaxed) < stop,
                    "the end, at a point chosen by the test"
                );
            }),
            ..config.clone()
        };
        let done = catch_unwind(AssertUnwindSafe(|| DiskStore::rollback(home.path(), &ending, 13)));
        // The note of it is the first point: from there on it happens.
        let store = DiskStore::open(home.path(), config.clone()).unwrap();
        assert_eq!(store.latest().height, 13, "cut off at {stop}");
        model.rollback(13);
        model.check(&store, &config);
        for _ in 0..9 {
            model.commit(&store, &mut random);
        }
        model.check(&store, &config);
        if done.is_ok() {
            assert!(stop > 8, "{stop}");
            break;
        }
    }
}
