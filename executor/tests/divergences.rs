//! What went wrong in other parallel executors, each as a test: repeatable reads, unrecorded reads, lost updates, range
//! reads, failures of stale runs, termination.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;

use common::*;
use executor::{
    BlockInput, DeferredKeys, ExecError, Executor, Faults, Job, Outcome, Parallel, Serial, Settle, Stats,
    View,
};
use state::{
    Access, Control, Key, KeyRange, MemoryState, Op, StateError, StateRead, StateScan, TxIndex, Value,
    WriteSet,
};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

type Run = Box<dyn Fn(&dyn StateScan) -> Result<WriteSet, StateError> + Sync>;

/// A job that is a function.
struct Act(Run, Access);

impl Act {
    fn new(run: impl Fn(&dyn StateScan) -> Result<WriteSet, StateError> + Sync + 'static) -> Self {
        Self(Box::new(run), Access::default())
    }
}

impl Job for Act {
    type Output = ();
    type Scratch<'b> = ();
    fn access(&self) -> &Access {
        &self.1
    }
    fn run<'b>(&'b self, view: &'b dyn View, (): &mut ()) -> Result<Outcome<()>, StateError> {
        Ok(Outcome {
            changes: Vec::new(),
            writes: (self.0)(view)?,
            deferred: Vec::new(),
            output: (),
        })
    }
}

impl Settle<Act> for Nothing {
    fn settle(&mut self, _: TxIndex, _: &Act, _: &mut Outcome<()>) -> Result<(), StateError> {
        Ok(())
    }
}

fn put(key: Key, value: &'static str) -> WriteSet {
    [(key, Op::Put(Value::from(value)))].into()
}

/// Waits until `flag` is up, but not for ever: the serial executor will never raise it.
fn wait_for(flag: &AtomicBool) {
    for _ in 0..100 {
        if flag.load(Ordering::SeqCst) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn words_seen(view: &dyn StateScan) -> Result<Vec<(Key, Value)>, StateError> {
    let mut seen = Vec::new();
    view.scan(&words(0, 9), &mut |key, value| {
        seen.push((key.clone(), value.clone()));
        Control::Continue(())
    })?;
    Ok(seen)
}

/// A reader looks twice, and between the two looks the one in front of it publishes. `look` gives what it sees.
fn check_repeatable<T: PartialEq + 'static>(look: fn(&dyn StateScan, bool) -> Result<T, StateError>) {
    static READ: AtomicBool = AtomicBool::new(false);
    static WRITTEN: AtomicBool = AtomicBool::new(false);
    static TORN: AtomicBool = AtomicBool::new(false);
    static OVERLAPS: AtomicU32 = AtomicU32::new(0);
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    OVERLAPS.store(0, Ordering::SeqCst);
    for _ in 0..10 {
        READ.store(false, Ordering::SeqCst);
        WRITTEN.store(false, Ordering::SeqCst);
        let jobs = [
            Act::new(|_| {
                wait_for(&READ);
                let mut writes = put(word(1), "new");
                writes.insert(word(2), Op::Delete);
                writes.insert(word(3), Op::Put("new".into()));
                Ok(writes)
            }),
            // Reads nothing: it is run as soon as the first has published, or nearly so.
            Act::new(|view| {
                if view.get(&word(1))?.is_some_and(|v| v == "new") {
                    WRITTEN.store(true, Ordering::SeqCst);
                }
                Ok(WriteSet::new())
            }),
            Act::new(move |view| {
                let first = look(view, false)?;
                let early = !WRITTEN.load(Ordering::SeqCst);
                READ.store(true, Ordering::SeqCst);
                wait_for(&WRITTEN);
                OVERLAPS.fetch_add(u32::from(early), Ordering::SeqCst);
                if look(view, true)? != first {
                    TORN.store(true, Ordering::SeqCst);
                }
                Ok(put(word(4), "done"))
            }),
        ];
        let base = MemoryState([1, 2].map(|id| (word(id), Value::from("old"))).into());
        let input = BlockInput {
            base: &base,
            jobs: &jobs,
            deferred: &DeferredKeys::default(),
        };
        let done = Parallel::new(3)
            .with_faults(Faults::default())
            .execute(&input, &mut Nothing)
            .expect("nothing fails");
        assert_eq!(done.writes.len(), 4);
        assert_eq!(done.stats.fallbacks, 0);
    }
    assert!(
        !TORN.load(Ordering::SeqCst),
        "a run saw one place with two values"
    );
    assert!(
        OVERLAPS.load(Ordering::SeqCst) > 0,
        "no run overlapped with the publication"
    );
}

#[test]
fn a_point_read_is_repeatable() {
    check_repeatable(|view, _| Ok([view.get(&word(1))?, view.get(&word(2))?, view.get(&word(3))?]));
}

#[test]
fn a_range_read_is_repeatable() {
    check_repeatable(|view, _| words_seen(view));
}

fn words_got(view: &dyn StateScan) -> Result<Vec<(Key, Value)>, StateError> {
    let pair = |key: Key| Ok(view.get(&key)?.map(|value| (key, value)));
    (0..9).filter_map(|id| pair(word(id)).transpose()).collect()
}

#[test]
fn point_and_range_reads_of_one_run_agree() {
    check_repeatable(|view, again| if again { words_got(view) } else { words_seen(view) });
    check_repeatable(|view, again| if again { words_seen(view) } else { words_got(view) });
    // Where only a value changes, and no key comes or goes.
    check_repeatable(|view, again| {
        let mut seen = view.get(&word(1))?;
        if again {
            view.scan(&words(0, 2), &mut |_, value| {
                seen = Some(value.clone());
                Control::Continue(())
            })?;
        }
        Ok(seen)
    });
}

/// The most and the least runs of `[writer, reader]` that were thrown away, over many orders of work.
fn aborts(base: &MemoryState, writer: &[Step], reader: &[Step]) -> (u64, u64) {
    let jobs = [Program::new(writer.to_vec()), Program::new(reader.to_vec())];
    let (want, _) = plain(run(&Serial, base, &jobs, &mut Nothing));
    let counts = (0..20).map(|seed| {
        let one = Parallel::new(1).with_faults(Faults {
            shuffle: Some(seed),
            ..Faults::default()
        });
        let (got, stats) = plain(run(&one, base, &jobs, &mut Nothing));
        assert_eq!(got, want, "shuffle {seed}: {writer:?}, {reader:?}");
        assert_eq!(stats.executions, 2 + stats.aborts + stats.waits);
        stats.aborts
    });
    counts.fold((0, u64::MAX), |(most, least), n| (most.max(n), least.min(n)))
}

#[test]
fn every_read_is_recorded_whatever_the_job_does_afterwards() {
    let base = MemoryState(
        [
            (amount(0), "5".into()),
            (word(0), "0".into()),
            (word(2), "2".into()),
        ]
        .into(),
    );
    let new = |key| [Step::PutValue(key, "77".into())];
    let reads: &[(&[Step], Key)] = &[
        (&[Step::Get(word(0))], word(0)),
        (&[Step::Get(word(9))], word(9)),
        (&[Step::Get(word(0)), Step::FailIf(1)], word(0)),
        (
            &[Step::Get(word(9)), Step::StopIf(1), Step::Get(word(0))],
            word(9),
        ),
        (
            &[Step::Put(word(0)), Step::Get(word(9)), Step::FailIf(1)],
            word(9),
        ),
        (&[Step::Increment(amount(0))], amount(0)),
        (&[Step::Move(amount(0), amount(1), 99)], amount(0)),
        (&[Step::Add(amount(0), 1), Step::Get(amount(0))], amount(0)),
        (&[Step::Scan(words(0, 9), 1), Step::FailIf(1)], word(0)),
        (&[Step::Scan(words(7, 9), 1)], word(8)),
        (&[Step::ScanAndGet(words(0, 9))], word(5)),
        (&[Step::GetHidingErrors(word(0))], word(0)),
    ];
    for (reader, key) in reads {
        assert_eq!(aborts(&base, &new(key.clone()), reader), (1, 0), "{reader:?}");
        assert_eq!(aborts(&base, &new(word(100)), reader), (0, 0), "{reader:?}");
    }
}

#[test]
fn a_write_of_the_same_value_throws_nothing_away() {
    let base = MemoryState([(word(0), "0".into())].into());
    let same = [Step::PutValue(word(0), "0".into())];
    assert_eq!(
        aborts(&base, &same, &[Step::Get(word(0)), Step::Scan(words(0, 9), 9)]),
        (0, 0)
    );
    let there_and_back = [Step::Put(word(1)), Step::Delete(word(1))];
    assert_eq!(
        aborts(
            &base,
            &there_and_back,
            &[Step::Get(word(1)), Step::Scan(words(0, 9), 9)]
        ),
        (0, 0)
    );
    // Writes that nobody reads do not meet.
    assert_eq!(
        aborts(
            &base,
            &[Step::Put(word(0))],
            &[Step::Put(word(0)), Step::Delete(word(1))]
        ),
        (0, 0)
    );
}

#[test]
fn a_range_read_meets_any_change_up_to_its_stop_and_none_beyond() {
    let base = MemoryState([2, 4, 6].map(|id| (word(id), Value::from(id.to_string()))).into());
    let all = words(0, 9);
    // Stops at 4 going up, and at 4 going down.
    for (range, inside, beyond) in [
        (all.clone(), [1, 2, 3, 4], [5, 6, 7]),
        (all.descending(), [7, 6, 5, 4], [3, 2, 1]),
    ] {
        let reader = [Step::Scan(range, 2)];
        for (ids, want) in [(&inside[..], 1), (&beyond[..], 0)] {
            for id in ids {
                let there = base.0.contains_key(&word(*id));
                assert_eq!(
                    aborts(&base, &[Step::PutValue(word(*id), "x".into())], &reader).0,
                    want,
                    "put {id}"
                );
                assert_eq!(
                    aborts(&base, &[Step::Add(word(*id), 5)], &reader).0,
                    want,
                    "add {id}"
                );
                let delete = aborts(&base, &[Step::Delete(word(*id))], &reader).0;
                assert_eq!(delete, if there { want } else { 0 }, "delete {id}");
            }
        }
    }
}

#[test]
fn a_scan_passes_over_keys_deleted_in_the_same_block() {
    let base = MemoryState([2, 4, 6].map(|id| (word(id), Value::from(id.to_string()))).into());
    for seed in seeds(30) {
        let jobs = [
            Program::new([Step::Delete(word(4)), Step::Put(word(5))]),
            Program::new([Step::Scan(words(0, 9), 2), Step::Put(word(20))]),
            Program::new([Step::Put(word(4)), Step::Delete(word(2)), Step::Delete(word(5))]),
            Program::new([Step::Scan(words(0, 9).descending(), 2), Step::Put(word(21))]),
            Program::new([Step::Delete(word(4)), Step::Delete(word(6))]),
            Program::new([Step::Scan(words(0, 9), usize::MAX), Step::Put(word(22))]),
        ];
        let (outputs, writes) = parallel_equals_serial(&base, &jobs, seed).unwrap();
        assert_eq!(outputs.len(), 6);
        // The last scan finds nothing: its digest is that of a program that does nothing.
        assert_eq!(outputs[5], outputs[4]);
        assert_eq!(writes[&word(4)], Op::Delete);
    }
}

#[test]
fn a_hot_counter_loses_no_update() {
    let open: Vec<_> = (0..80)
        .map(|_| Program::new([Step::Increment(amount(0))]))
        .collect();
    let declared: Vec<_> = open.iter().cloned().map(Program::declared).collect();
    let base = MemoryState::default();
    for threads in 1..=64 {
        let executor = Parallel::new(threads).with_faults(Faults::default());
        for turn in 0..24 {
            let jobs = if turn % 2 == 0 { &open } else { &declared };
            let done = run(&executor, &base, jobs, &mut Nothing).unwrap();
            assert_eq!(
                done.writes,
                [(amount(0), Op::Put("80".into()))].into(),
                "{threads} threads, turn {turn}"
            );
            assert_eq!(done.stats.fallbacks, 0);
        }
    }
}

/// A base whose word 99 cannot be read.
struct Torn(MemoryState);

impl StateRead for Torn {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        if *key == word(99) {
            Err(StateError::Storage("disk on fire".into()))
        } else {
            self.0.get(key)
        }
    }
}
impl StateScan for Torn {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        if range.contains(&word(99)) {
            self.get(&word(99))?;
        }
        self.0.scan(range, visit)
    }
}

#[test]
fn a_stale_run_may_panic_or_fail_and_nobody_hears_of_it() {
    let base = Torn(MemoryState::default());
    let same = |key| Program::new([Step::Get(word(50)), Step::Put(key)]);
    // Word 1 and word 2 are always equal where all run in order.
    let panics = Program::new([Step::AssertEqual(word(1), word(2)), Step::Put(word(3))]);
    let mut thrown = 0;
    for seed in seeds(60) {
        let mut jobs = vec![
            same(word(1)),
            same(word(2)),
            panics.clone(),
            same(word(4)),
            panics.clone(),
        ];
        jobs.push(Program::new([Step::Delete(word(1)), Step::Delete(word(2))]));
        jobs.push(panics.clone());
        parallel_equals_serial(&base, &jobs, seed).unwrap();
        let one = Parallel::new(1).with_faults(Faults {
            shuffle: Some(seed),
            ..Faults::default()
        });
        thrown += run(&one, &base, &jobs, &mut Nothing).unwrap().stats.aborts;
    }
    assert!(thrown > 10, "the orders of work were too tame: {thrown}");
}

#[test]
fn a_stale_run_may_meet_a_storage_error_and_nobody_hears_of_it() {
    static FAILED: AtomicU32 = AtomicU32::new(0);
    let base = Torn(MemoryState::default());
    let jobs = [
        Act::new(|_| Ok(put(word(1), "set"))),
        Act::new(|view| {
            if view.get(&word(1))?.is_none() {
                FAILED.fetch_add(1, Ordering::SeqCst);
                // Even if it hides the error.
                if view.get(&word(99)).is_ok() || view.get(&word(2)).is_ok() {
                    return Ok(put(word(3), "read the unreadable"));
                }
                return Ok(put(word(3), "hidden"));
            }
            Ok(put(word(3), "fine"))
        }),
    ];
    let input = BlockInput {
        base: &base,
        jobs: &jobs,
        deferred: &DeferredKeys::default(),
    };
    for seed in 0..20 {
        let one = Parallel::new(1).with_faults(Faults {
            shuffle: Some(seed),
            ..Faults::default()
        });
        let done = one.execute(&input, &mut Nothing).unwrap();
        assert_eq!(done.writes[&word(3)], Op::Put("fine".into()));
        assert_eq!(done.stats.fallbacks, 0);
    }
    assert!(FAILED.load(Ordering::SeqCst) > 0, "no run was stale");
}

#[test]
fn a_failure_at_the_head_is_the_blocks() {
    let base = Torn(MemoryState::default());
    let fine = Program::new([Step::Put(word(1))]);
    let check = |bad: &[Step], want: &str| {
        for place in [0, 1, 5] {
            let mut jobs = vec![fine.clone(); 6];
            jobs[place] = Program::new(bad.to_vec());
            // A second failure behind the first is never reached.
            jobs.push(Program::new([Step::Panic]));
            let error = parallel_equals_serial(&base, &jobs, 5).unwrap_err();
            assert_eq!(error, want.replace('#', &place.to_string()));
        }
    };
    check(&[Step::Panic], "transaction # panicked: a job panics");
    check(&[Step::Get(word(99))], "storage: disk on fire");
    check(&[Step::Scan(words(0, 100), 1)], "storage: disk on fire");
    let range = format!("amount under {:?} out of range", amount(0));
    check(&[Step::Take(amount(0), 1)], &range);
    let late = format!(
        "transaction # deferred a change to {:?}, which settles at once",
        word(7)
    );
    check(&[Step::DeferAdd(word(7), 1)], &late);
    // An error that the job hides is no error, at the head either.
    parallel_equals_serial(
        &base,
        &[fine.clone(), Program::new([Step::GetHidingErrors(word(99))])],
        1,
    )
    .unwrap();
}

#[test]
fn a_settle_that_fails_or_panics_stops_the_block() {
    struct Bad(bool);
    impl Settle<Program> for Bad {
        fn settle(&mut self, index: TxIndex, _: &Program, _: &mut Outcome<u64>) -> Result<(), StateError> {
            assert!(!(self.0 && index == 3), "settle panics");
            if index == 3 {
                Err(StateError::Storage("settle fails".into()))
            } else {
                Ok(())
            }
        }
    }
    let jobs = vec![Program::new([Step::Put(word(1))]); 6];
    let base = MemoryState::default();
    for threads in THREADS {
        let executor = Parallel::new(threads).with_faults(Faults::default());
        let panic = run(&executor, &base, &jobs, &mut Bad(true)).unwrap_err();
        assert!(matches!(panic, ExecError::Panic { index: 3, .. }), "{panic}");
        assert_eq!(
            run(&executor, &base, &jobs, &mut Bad(false))
                .unwrap_err()
                .to_string(),
            "storage: settle fails"
        );
    }
}

#[test]
fn one_worker_gets_to_the_end() {
    let mut jobs = Vec::new();
    for round in 0..40 {
        jobs.push(Program::new([Step::Increment(amount(0)), Step::DeferAdd(fees(), 2)]).declared());
        jobs.push(Program::new([Step::Get(fees()), Step::Increment(amount(0))]));
        jobs.push(Program::new([Step::GetAny(3), Step::PutAny(3)]));
        // Declares what it never writes, and waits for what never comes.
        jobs.push(Program {
            access: Program::new([Step::Put(word(round))]).declared().access,
            ..Program::default()
        });
        jobs.push(Program::new([Step::Get(word(round)), Step::Scan(words(0, 99), 9)]).declared());
    }
    let base = MemoryState::default();
    let one = Parallel::new(1).with_faults(Faults::default());
    let (want, _) = plain(run(&Serial, &base, &jobs, &mut Nothing));
    let (got, stats) = plain(run(&one, &base, &jobs, &mut Nothing));
    assert_eq!(got, want);
    assert_eq!(
        stats,
        Stats {
            executions: 200,
            ..Stats::default()
        },
        "one worker is always at the head"
    );
    parallel_equals_serial(&base, &jobs, 3).unwrap();
}
