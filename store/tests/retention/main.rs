//! What a store keeps and lets go of: pruning, going back, setting a damaged journal aside; against a twin that keeps
//! everything.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod aside;
mod model;
mod rollback;

use model::{Model, Random, config, seed};
use state::{CommitStore, Snapshot, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use store::backend::{Database, MemoryBackend};
use store::{Commit, Config, DiskStore, Points, Pruning};

#[test]
fn a_pruned_store_answers_as_one_that_keeps_everything_through_restarts_and_rollbacks() {
    let mut random = Random(seed());
    for round in 0..12 {
        let keeping = [
            Pruning::EVERYTHING,
            Pruning::NOTHING,
            Pruning::custom(5, 10).unwrap(),
            Pruning::custom(25, 17).unwrap(),
        ];
        let pick = random.below(4) as usize;
        let config = Config {
            pruning: keeping[pick],
            keep_blocks: [0, 7, 40][random.below(3) as usize],
            commit: [Commit::Sync, Commit::Async][random.below(2) as usize],
            checkpoint_interval: 1 + random.below(12),
            checkpoints: random.below(6) as usize,
            history: random.below(2) == 0,
            database: Database::Given(Arc::new(MemoryBackend::new())),
            ..config()
        };
        println!("round {round}: {config:?}");
        let home = tempfile::tempdir().unwrap();
        let mut model = Model::default();
        let mut store = DiskStore::open(home.path(), config.clone()).unwrap();
        for _ in 0..14 {
            for _ in 0..random.below(15) {
                model.commit(&store, &mut random);
            }
            match random.below(4) {
                0 => {
                    drop(store);
                    store = DiskStore::open(home.path(), config.clone()).unwrap();
                }
                1 if model.latest() > 0 => {
                    // What is written behind may lift the oldest height.
                    store.durable().unwrap();
                    let to = store.oldest() + random.below(model.latest() - store.oldest() + 1);
                    drop(store);
                    let version = DiskStore::rollback(home.path(), &config, to).unwrap();
                    model.rollback(to);
                    assert_eq!(version, model.version(to));
                    store = DiskStore::open(home.path(), config.clone()).unwrap();
                }
                2 if model.latest() > 0 && config.pruning != Pruning::NOTHING => {
                    let to = model.latest().saturating_sub(random.below(10));
                    store.prune(to).unwrap();
                    assert!(store.oldest() > to.min(model.latest().saturating_sub(1)));
                }
                _ => {}
            }
            assert_eq!(store.prune_failure(), None);
            assert_eq!(store.checkpoint_failure(), None);
            model.check(&store, &config);
        }
    }
}

#[test]
fn pruning_takes_what_the_floors_say_and_no_more() {
    let home = tempfile::tempdir().unwrap();
    let backend = Arc::new(MemoryBackend::new());
    let config = Config {
        pruning: Pruning::custom(4, 10).unwrap(),
        keep_blocks: 6,
        checkpoint_interval: 10,
        history: false,
        database: Database::Given(backend.clone()),
        ..config()
    };
    let (mut model, mut random) = (Model::default(), Random(1));
    let store = DiskStore::open(home.path(), config.clone()).unwrap();
    for _ in 1..=39 {
        model.commit(&store, &mut random);
        assert_eq!(store.checkpoint_failure(), None);
    }
    // At height 30, the last multiple of 10: state from 26 on, bodies from 24 on.
    assert_eq!(store.oldest(), 26);
    assert_eq!(store.record(23), Ok(None));
    assert!(store.record(24).unwrap().is_some());
    assert_eq!(
        store.snapshot(25).unwrap_err(),
        StoreError::NoVersion {
            height: 25,
            oldest: 26,
            latest: 39
        }
    );
    // A checkpoint below the oldest state, so that a lost journal can be made whole from it and blocks above.
    assert_eq!(store.retain(), 20);
    model.commit(&store, &mut random);
    drop(store);
    // What is left to do is done after a restart.
    let store = DiskStore::open(home.path(), config.clone()).unwrap();
    while store.record(33).unwrap().is_some() {
        std::thread::yield_now();
    }
    store.prune(38).unwrap();
    assert_eq!(store.oldest(), 39);
    model.check(&store, &config);
    let keys = |table| {
        use store::backend::Backend;
        backend.keys(table, &[], None, usize::MAX).unwrap()
    };
    let height = |key: &Vec<u8>| u64::from_be_bytes(key[..8].try_into().unwrap());
    use store::backend::Table;
    assert!(keys(Table::Meta).iter().map(height).eq(34..=40));
    // Change sets above the checkpoint of 39 only, bodies and look-ups (parts 1 and 2) from 34 on.
    for key in keys(Table::Log) {
        let floor = if key[8] == 0 { 40 } else { 34 };
        assert!(height(&key) >= floor, "{key:?}");
    }
    drop(store);
    model.check(&DiskStore::open(home.path(), config.clone()).unwrap(), &config);
}

#[test]
fn readers_are_never_wrong_while_heights_go() {
    let home = tempfile::tempdir().unwrap();
    let config = Config {
        pruning: Pruning::EVERYTHING,
        keep_blocks: 12,
        checkpoint_interval: 5,
        commit: Commit::Async,
        history: false,
        ring: 1,
        ..config()
    };
    let mut random = Random(seed());
    let mut model = Model::default();
    let blocks: Vec<_> = (0..150).map(|_| model.block(&mut random)).collect();
    let store = DiskStore::open(home.path(), config).unwrap();
    let (ended, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let (store, model, ended) = (&store, &model, &ended);
    std::thread::scope(|scope| {
        let answered = &answered;
        let reader = |thread| {
            scope.spawn(move || {
                let mut random = Random(thread);
                while !ended.load(Ordering::Relaxed) {
                    let latest = store.latest().height;
                    let height = latest.saturating_sub(random.below(25)).max(1);
                    if latest == 0 {
                        continue;
                    }
                    match store.snapshot(height) {
                        Ok(view) => {
                            assert_eq!(view.version(), model.version(height));
                            model.same_state(&view, height);
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(StoreError::NoVersion { oldest, .. }) => assert!(height < oldest, "{height}"),
                        Err(e) => panic!("height {height}: {e}"),
                    }
                    match store.record(height).unwrap() {
                        Some(body) => assert_eq!(body, model.body(height)),
                        None => assert!(height + 12 < store.latest().height, "{height}"),
                    }
                    let found = store.find(format!("tx{height}").as_bytes()).unwrap();
                    assert!(found.is_some() || height + 12 < store.latest().height, "{height}");
                }
            })
        };
        let readers = [0, 1, 2].map(reader);
        for (height, (changes, record)) in (1..).zip(blocks) {
            let (_, staged) = store.stage(height, changes).unwrap();
            store.commit(staged, record).unwrap();
        }
        store.durable().unwrap();
        // However slow they are, they have read enough; one that fails ends the test.
        while answered.load(Ordering::Relaxed) <= 100 && !readers.iter().any(|reader| reader.is_finished()) {
            std::thread::yield_now();
        }
        ended.store(true, Ordering::Relaxed);
    });
    assert_eq!(store.prune_failure(), None);
    assert!(store.oldest() >= 148);
}

#[test]
fn the_journal_of_a_store_that_prunes_everything_stays_small() {
    let home = tempfile::tempdir().unwrap();
    let config = Config {
        pruning: Pruning::EVERYTHING,
        keep_blocks: 10,
        checkpoint_bytes: 1 << 20,
        history: false,
        ..config()
    };
    let store = DiskStore::open(home.path(), config).unwrap();
    let size = |folder: &str| -> u64 {
        let files = home.path().join(folder).read_dir().unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    };
    let (mut written, mut sizes) = (0u64, Vec::new());
    for height in 1..=1200u64 {
        // 100 KiB of state, all of it new in each block.
        let pair = |i: u64| {
            let value = vec![(height + i) as u8; 1 << 10];
            (
                state::Key::new(model::EVM, &[&i.to_be_bytes()]),
                Some(value.into()),
            )
        };
        written += 100 << 10;
        let (_, staged) = store.stage(height, (0..100).map(pair).collect()).unwrap();
        store.commit(staged, state::BlockRecord::default()).unwrap();
        if height % 10 == 0 {
            // Waits for the checkpoint that is being written: it is what lets change sets go.
            assert_eq!(store.checkpoint_failure(), None);
        }
        if height % 200 == 0 {
            sizes.push((store.stats().unwrap().journal_live, size("journal")));
        }
    }
    println!("{written} bytes written; journal live and on disk {sizes:?}");
    // However much is written. What sled makes of it on the disk is another matter: it cleans whole segments of 4 MiB
    // when it gets to it.
    assert!(sizes.iter().all(|(live, _)| *live < 16 << 20), "{sizes:?}");
    assert!(sizes[5].1 < written, "{sizes:?}");
    store.prune(1198).unwrap();
    let checkpoints = size("checkpoints");
    assert!(checkpoints < 600 << 10, "{checkpoints}");
}

#[test]
fn pruning_that_is_cut_off_at_any_point_goes_on_at_the_next_start() {
    for stop in 0.. {
        let home = tempfile::tempdir().unwrap();
        let backend = Database::Given(Arc::new(MemoryBackend::new()));
        let config = Config {
            checkpoint_interval: 6,
            keep_blocks: 3,
            history: false,
            database: backend,
            ..config()
        };
        let (mut model, mut random) = (Model::default(), Random(7));
        let store = DiskStore::open(home.path(), config.clone()).unwrap();
        for _ in 0..25 {
            model.commit(&store, &mut random);
        }
        drop(store);
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let (count, armed) = (Arc::clone(&left), Arc::clone(&left));
        let ending = Config {
            points: Points::new(move |_| {
                if count.load(Ordering::Relaxed) != u64::MAX
                    && count
                        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                        .is_err()
                {
                    panic!("the end, at a point chosen by the test");
                }
            }),
            // A strategy starts the thread that would go on by itself.
            pruning: Pruning::NOTHING,
            ..config.clone()
        };
        let store = DiskStore::open(home.path(), ending).unwrap();
        armed.store(stop, Ordering::Relaxed);
        let pruned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| store.prune(20)));
        armed.store(u64::MAX, Ordering::Relaxed);
        drop(store);
        let store = DiskStore::open(home.path(), config.clone()).unwrap();
        model.check(&store, &config);
        for _ in 0..3 {
            model.commit(&store, &mut random);
        }
        store.prune(20).unwrap();
        assert_eq!(store.oldest(), 21);
        model.check(&store, &config);
        if pruned.is_ok() {
            assert!(stop > 5, "{stop}");
            break;
        }
    }
}

#[test]
fn trees_that_would_pass_their_memory_refuse_the_block() {
    let home = tempfile::tempdir().unwrap();
    let config = Config {
        memory_limit: 64 << 20,
        history: false,
        ..config()
    };
    let (mut model, mut random) = (Model::default(), Random(3));
    let store = DiskStore::open(home.path(), config.clone()).unwrap();
    model.commit(&store, &mut random);
    let big = |i: u64| {
        let key = state::Key::new(model::EVM, &[b"big", &i.to_be_bytes()]);
        (key, Some(vec![7; 64 << 10].into()))
    };
    let refused = store
        .stage(2, (0..2000).map(big).collect())
        .map(drop)
        .unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("out of memory") && text.contains("67108864"),
        "{text}"
    );
    // Nothing is broken by that.
    model.commit(&store, &mut random);
    model.check(&store, &config);
}
