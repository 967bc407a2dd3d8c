//! Setting a damaged journal aside.
use crate::model::{Model, Random, config};
use state::{CommitStore, StoreError};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Config, Damaged, DiskStore, Points};

fn setting() -> Config {
    Config {
        checkpoint_interval: 5,
        damaged: Damaged::SetAside,
        ..config()
    }
}

/// A home with 12 blocks, and checkpoints at 5 and 10.
fn home(model: &mut Model) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let mut random = Random(9);
    let store = DiskStore::open(home.path(), setting()).unwrap();
    for _ in 0..12 {
        model.commit(&store, &mut random);
        assert_eq!(store.checkpoint_failure(), None);
    }
    home
}

/// Consensus plays the blocks again; afterwards everything from `height` on is as before.
fn plays_again(model: &Model, home: &Path, height: u64) {
    let store = DiskStore::open(home, setting()).unwrap();
    assert_eq!(store.set_aside(), None, "once is enough");
    assert_eq!(store.latest().height, height);
    if height > 0 {
        assert_eq!(store.durable().unwrap(), model.version(height));
        assert_eq!(store.oldest(), height);
        assert_eq!(store.record(height), Ok(None));
    }
    while store.latest().height < 12 {
        model.replay(&store);
    }
    drop(store);
    let store = DiskStore::open(home, setting()).unwrap();
    for at in height.max(1)..=12 {
        model.same_state(&store.snapshot(at).unwrap(), at);
    }
    for at in height + 1..=12 {
        assert_eq!(store.record(at).unwrap(), Some(model.body(at)));
    }
    assert!(height == 0 || store.snapshot(height - 1).is_err());
    model.check_look_ups(&store, height + 1);
    store.verify().unwrap();
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_journal_is_refused_or_set_aside_and_made_whole_from_a_checkpoint_and_blocks() {
    let mut model = Model::default();
    let whole = home(&mut model);
    type Damage = fn(&Path);
    let damages: [(&str, u64, Damage); 5] = [
        ("its file is cut short", 10, |home| {
            let file = home.join("journal/db");
            let len = fs::metadata(&file).unwrap().len();
            fs::OpenOptions::new()
                .write(true)
                .open(file)
                .unwrap()
                .set_len(len / 3)
                .unwrap();
        }),
        ("its file is rubbish", 10, |home| {
            let file = home.join("journal/db");
            let len = fs::metadata(&file).unwrap().len();
            fs::write(file, vec![0x5a; len as usize]).unwrap();
        }),
        ("it is gone", 10, |home| {
            fs::remove_dir_all(home.join("journal")).unwrap();
        }),
        ("it is gone, and the newest checkpoint is damaged", 5, |home| {
            fs::remove_dir_all(home.join("journal")).unwrap();
            flip(&home.join("checkpoints/ckpt-10"));
        }),
        ("it is gone, and no checkpoint is whole", 0, |home| {
            fs::remove_dir_all(home.join("journal")).unwrap();
            flip(&home.join("checkpoints/ckpt-10"));
            flip(&home.join("checkpoints/ckpt-5"));
        }),
    ];
    for (what, height, damage) in damages {
        println!("{what}");
        let home = tempfile::tempdir().unwrap();
        copy(whole.path(), home.path());
        damage(home.path());
        let refusing = Config {
            damaged: Damaged::Refuse,
            ..setting()
        };
        let refused = DiskStore::open(home.path(), refusing).unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt(_)), "{refused}");
        let store = DiskStore::open(home.path(), setting()).unwrap();
        let aside = store.set_aside().unwrap().clone();
        assert_eq!(aside.height, height);
        assert!(
            refused.to_string().contains(&aside.why),
            "{refused}: {}",
            aside.why
        );
        assert!(aside.folder.join("HEAD").exists());
        drop(store);
        plays_again(&model, home.path(), height);
    }
}

#[test]
fn a_set_aside_that_is_cut_off_at_any_point_is_finished_at_the_next_start() {
    let mut model = Model::default();
    let whole = home(&mut model);
    for stop in 0.. {
        let home = tempfile::tempdir().unwrap();
        copy(whole.path(), home.path());
        fs::remove_dir_all(home.path().join("journal")).unwrap();
        let count = AtomicU64::new(0);
        let ending = Config {
            points: Points::new(move |_| {
                assert!(
                    count.fetch_add(1, Ordering::Relaxed) < stop,
                    "the end, at a point chosen by the test"
                );
            }),
            ..setting()
        };
        let done = catch_unwind(AssertUnwindSafe(|| {
            DiskStore::open(home.path(), ending).map(drop)
        }));
        drop(DiskStore::open(home.path(), setting()).unwrap());
        plays_again(&model, home.path(), 10);
        if done.is_ok() {
            assert!(stop > 3, "{stop}");
            break;
        }
    }
}

#[test]
fn a_home_of_other_stores_is_not_taken_for_a_damaged_one() {
    let mut model = Model::default();
    let home = home(&mut model);
    let other = Config {
        stores: vec![crate::model::BANK],
        ..setting()
    };
    let refused = DiskStore::open(home.path(), other).unwrap_err().to_string();
    assert_eq!(
        refused,
        r#"incompatible store: the database has stores {"bank", "evm"}, opened with {"bank"}"#
    );
    let store = DiskStore::open(home.path(), setting()).unwrap();
    assert_eq!(store.set_aside(), None);
    model.check(&store, &setting());
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
