//! What every database keeps of the trait: order, ranges, removal, atomic writes, reopening.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use state::StoreError;
use std::path::Path;
use std::sync::Arc;
use store::backend::{Backend, Database, Fault, FaultyBackend, MemoryBackend, Table, Write};

/// All of them, by name; the faulty ones do not fail unless told to.
fn all() -> Vec<(&'static str, Database)> {
    let faulty = |ordered| Database::Given(Arc::new(FaultyBackend::new(4, 100, ordered)));
    vec![
        ("sled", Database::Sled),
        ("redb", Database::Redb),
        ("memory", Database::Given(Arc::new(MemoryBackend::new()))),
        ("faulty, ordered", faulty(true)),
        ("faulty, unordered", faulty(false)),
    ]
}
fn on_all(test: impl Fn(&str, &Database, &Path)) {
    for (name, database) in all() {
        let home = tempfile::tempdir().unwrap();
        test(name, &database, home.path());
    }
}
/// sled gives its lock back a moment after it is closed.
fn open(database: &Database, home: &Path) -> Arc<dyn Backend> {
    database.open(home).unwrap()
}
fn put<'a>(table: Table, key: &[u8], value: &'a [u8]) -> Write<'a> {
    Write {
        table,
        key: key.to_vec(),
        value: Some(value),
    }
}
fn gone(table: Table, key: &[u8]) -> Write<'static> {
    Write {
        table,
        key: key.to_vec(),
        value: None,
    }
}

#[test]
fn keys_come_in_the_order_of_their_bytes_within_their_table() {
    on_all(|name, database, home| {
        let db = open(database, home);
        assert_eq!(
            (db.first(Table::Log), db.last(Table::Log)),
            (Ok(None), Ok(None)),
            "{name}"
        );
        assert_eq!(db.keys(Table::Log, b"", None, 9), Ok(Vec::new()), "{name}");
        let keys: [&[u8]; 6] = [b"\0", b"\0\0", b"a", b"ab", b"b", b"\xff\xff"];
        let shuffled = [4, 0, 5, 2, 1, 3].map(|i| put(Table::Log, keys[i], b"v"));
        db.write(&shuffled).unwrap();
        db.write(&[put(Table::Meta, b"other", b"")]).unwrap();
        let want: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
        let list = |from: &[u8], to: Option<&[u8]>, limit| db.keys(Table::Log, from, to, limit).unwrap();
        assert_eq!(list(b"", None, 9), want, "{name}");
        assert_eq!(list(b"", None, 2), want[..2], "{name}");
        assert_eq!(list(b"", None, 0), want[..0], "{name}");
        assert_eq!(
            list(b"\0\0", Some(b"ab"), 9),
            want[1..3],
            "{name}: from included, to not"
        );
        assert_eq!(
            list(b"aa", Some(b"zz"), 9),
            want[3..5],
            "{name}: bounds need not be there"
        );
        assert_eq!(list(b"b", Some(b"b"), 9), want[..0], "{name}");
        assert_eq!(
            list(b"b", Some(b"a"), 9),
            want[..0],
            "{name}: an empty range is no failure"
        );
        assert_eq!(db.first(Table::Log).unwrap().unwrap(), want[0], "{name}");
        assert_eq!(db.last(Table::Log).unwrap().unwrap(), want[5], "{name}");
        assert_eq!(db.get(Table::Log, b"other"), Ok(None), "{name}: tables are apart");
        assert_eq!(
            db.get(Table::Meta, b"other").unwrap().unwrap(),
            "",
            "{name}: an empty value is one"
        );
    });
}

#[test]
fn changes_apply_in_order_however_many_and_however_long() {
    on_all(|name, database, home| {
        let db = open(database, home);
        let changes = [
            put(Table::Index, b"k", b"1"),
            gone(Table::Index, b"k"),
            put(Table::Index, b"k", b"3"),
        ];
        db.write(&changes).unwrap();
        assert_eq!(db.get(Table::Index, b"k").unwrap().unwrap(), "3", "{name}");
        db.write(&[
            put(Table::Index, b"x", b"1"),
            gone(Table::Index, b"x"),
            gone(Table::Index, b"never"),
        ])
        .unwrap();
        assert_eq!(db.get(Table::Index, b"x"), Ok(None), "{name}");
        db.write(&[]).unwrap();
        // More than one atomic write, and values as long as they may be.
        let long = vec![7; db.caps().chunk.min(64 << 10)];
        let many: Vec<_> = (0..200u32)
            .map(|i| put(Table::Log, &i.to_be_bytes(), &long))
            .collect();
        db.write(&many).unwrap();
        db.sync().unwrap();
        assert_eq!(
            db.keys(Table::Log, b"", None, usize::MAX).unwrap().len(),
            200,
            "{name}"
        );
        assert_eq!(
            db.get(Table::Log, &77u32.to_be_bytes()).unwrap().unwrap(),
            long,
            "{name}"
        );
        let gone: Vec<_> = (0..199u32).map(|i| gone(Table::Log, &i.to_be_bytes())).collect();
        db.write(&gone).unwrap();
        assert_eq!(db.first(Table::Log), db.last(Table::Log), "{name}");
        assert!(db.size().unwrap() > 0, "{name}");
    });
}

#[test]
fn what_is_synced_is_there_when_it_is_opened_again() {
    on_all(|name, database, home| {
        for round in 0..4u8 {
            let db = open(database, home);
            let have = db.keys(Table::Marks, b"round", None, 9).unwrap().len();
            assert_eq!(have, usize::from(round), "{name}");
            db.write(&[put(Table::Marks, &[b"round", &[round][..]].concat(), &[round; 9])])
                .unwrap();
            db.sync().unwrap();
        }
    });
}

#[test]
fn readers_read_while_it_is_written() {
    on_all(|name, database, home| {
        let db = open(database, home);
        std::thread::scope(|threads| {
            let reader = threads.spawn(|| {
                let mut newest = 0;
                while newest < 200 {
                    // Both tables change in one write: no reader may see the second without the first.
                    let second = db.last(Table::Meta).unwrap().map_or(0, |key| key[0]);
                    let first = db.last(Table::Log).unwrap().map_or(0, |key| key[0]);
                    assert!(
                        first >= second && second >= newest,
                        "{name}: {first} {second} {newest}"
                    );
                    newest = second;
                }
            });
            for i in 1..=200u8 {
                db.write(&[put(Table::Log, &[i], b"1"), put(Table::Meta, &[i], b"2")])
                    .unwrap();
            }
            reader.join().unwrap();
        });
    });
}

#[test]
fn a_home_stays_with_the_database_it_was_made_with() {
    for (made, other, file) in [
        (Database::Sled, Database::Redb, "journal"),
        (Database::Redb, Database::Sled, "journal.redb"),
    ] {
        let home = tempfile::tempdir().unwrap();
        drop(open(&made, home.path()));
        let memory = Database::Given(Arc::new(MemoryBackend::new()));
        for other in [other, memory] {
            let (have, want) = (made.name(), other.name());
            let path = home.path().join(file);
            let refused = other.open(home.path()).unwrap_err();
            let why = format!("{} is a journal in {have}, opened with {want}", path.display());
            assert_eq!(refused, StoreError::Database(why));
        }
        assert_eq!(home.path().read_dir().unwrap().count(), 1, "nothing new was made");
        drop(open(&made, home.path()));
    }
}

/// The faulty database's content after a power cut: how many of ten changes are there, and of which write.
fn after_a_cut(seed: u64, ordered: bool, atomic: usize) -> (Vec<u8>, usize) {
    let db = FaultyBackend::new(atomic, 100, ordered);
    db.write(&[put(Table::Log, b"synced", b"")]).unwrap();
    db.sync().unwrap();
    for i in 0..5u8 {
        db.write(&[put(Table::Meta, &[i], b""), put(Table::Log, &[i], b"")])
            .unwrap();
    }
    let risk = db.at_risk();
    db.cut(seed);
    assert!(db.write(&[]).is_err(), "the power is off");
    db.restore();
    assert_eq!(db.at_risk(), 0);
    assert!(db.get(Table::Log, b"synced").unwrap().is_some());
    let keys = |table, to| db.keys(table, b"", Some(to), 99).unwrap();
    let (log, meta) = (keys(Table::Log, b"s"), keys(Table::Meta, b"s"));
    assert!(atomic < 2 || log == meta, "an atomic write is there or not");
    (log.into_iter().map(|key| key[0]).collect(), risk)
}

#[test]
fn a_power_cut_takes_whole_writes_from_the_end_or_from_anywhere() {
    let mut ends = [0; 6];
    let mut holes = 0;
    for seed in 0..200 {
        let (kept, risk) = after_a_cut(seed, true, 2);
        assert_eq!(kept, (0..kept.len() as u8).collect::<Vec<_>>());
        assert_eq!(risk, 5);
        ends[kept.len()] += 1;
        let (kept, _) = after_a_cut(seed, false, 2);
        holes += usize::from(kept != (0..kept.len() as u8).collect::<Vec<_>>());
        assert_eq!(after_a_cut(seed, true, 1).1, 10, "each change by itself");
    }
    assert!(ends.iter().all(|n| *n > 10), "{ends:?}");
    assert!(holes > 100, "{holes}");
}

#[test]
fn faults_come_when_told_and_a_failed_sync_is_not_made_good_by_the_next() {
    let db = FaultyBackend::new(1, 100, true);
    db.write(&[put(Table::Log, b"a", b"value")]).unwrap();
    db.fail(Fault::Short(1));
    db.fail(Fault::Flipped(2));
    let get = || db.get(Table::Log, b"a").unwrap().unwrap();
    assert_eq!(get(), "valu");
    let flipped = get();
    assert_eq!(flipped.iter().zip(b"value").filter(|(a, b)| a != b).count(), 1);
    assert_eq!(get(), "value");
    db.fail(Fault::Write(2));
    db.write(&[put(Table::Log, b"b", b"")]).unwrap();
    let many = [b"c", b"d", b"e", b"f"].map(|key| put(Table::Log, key, b""));
    let full = db.write(&many).unwrap_err().to_string();
    assert!(full.contains("no space left"), "{full}");
    assert_eq!(
        db.keys(Table::Log, b"", None, 9).unwrap().len(),
        4,
        "half of it was written"
    );
    db.fail(Fault::Sync(1));
    assert!(db.sync().unwrap_err().to_string().contains("input/output error"));
    db.sync().unwrap();
    assert!(db.at_risk() > 0);
}
