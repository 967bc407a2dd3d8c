//! Declared access orders work, and only that: what waits, what does not, what is thrown away. And what settles late.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;

use common::*;
use executor::{Faults, Parallel, Serial, Stats};
use state::{Key, KeyRange, MemoryState, Op, Value};

fn stats(threads: usize, base: &MemoryState, jobs: &[Program]) -> Stats {
    let (want, _) = plain(run(&Serial, base, jobs, &mut Nothing));
    let (got, stats) = plain(run(
        &Parallel::new(threads).with_faults(Faults::default()),
        base,
        jobs,
        &mut Nothing,
    ));
    assert_eq!(got, want);
    stats
}

/// At every thread count, each job runs once; `waits` says whether any may wait.
fn check_runs_once(base: &MemoryState, jobs: &[Program], waits: bool) {
    for threads in THREADS {
        for _ in 0..20 {
            let got = stats(threads, base, jobs);
            assert_eq!(
                (got.executions, got.aborts, got.fallbacks),
                (jobs.len() as u64, 0, 0),
                "{threads} threads"
            );
            assert!(waits || got.waits == 0, "{threads} threads: {got:?}");
        }
    }
}

#[test]
fn disjoint_jobs_run_once_and_wait_for_nobody() {
    let mut base = MemoryState::default();
    (0..200).for_each(|id| drop(base.0.insert(amount(id), Value::from("100"))));
    let pays = |i: u8| {
        Program::new([
            Step::Move(amount(2 * i), amount(2 * i + 1), 7),
            Step::DeferAdd(fees(), 3),
        ])
    };
    let jobs: Vec<_> = (0..100).map(|i| pays(i).declared()).collect();
    check_runs_once(&base, &jobs, false);
    // With ranges of their own, as delegators have.
    let own = |i: u8, n: u8| Key::new(STORE, &[b"d", &[i, n]]);
    let delegates = |i: u8| {
        let range = KeyRange::prefix(STORE, &[b'd', i]);
        Program::new([
            Step::Scan(range, 9),
            Step::Put(own(i, 1)),
            Step::Delete(own(i, 0)),
        ])
        .declared()
    };
    check_runs_once(&base, &(0..100).map(delegates).collect::<Vec<_>>(), false);
}

#[test]
fn adds_to_one_amount_wait_for_nobody() {
    let jobs: Vec<_> = (0..100)
        .map(|i| Program::new([Step::Add(amount(0), i)]).declared())
        .collect();
    check_runs_once(&MemoryState::default(), &jobs, false);
    let undeclared: Vec<_> = (0..100)
        .map(|i| Program::new([Step::Add(amount(0), i)]))
        .collect();
    check_runs_once(&MemoryState::default(), &undeclared, false);
}

#[test]
fn a_declared_chain_runs_in_order_and_nothing_is_thrown_away() {
    let jobs: Vec<_> = (0..100)
        .map(|_| Program::new([Step::Increment(amount(0))]).declared())
        .collect();
    check_runs_once(&MemoryState::default(), &jobs, true);
    // A reader of an amount waits for those who add to it, a scan for those who write inside it and the other way about.
    let last = |i: u8| Key::new(STORE, &[b"d", &[i]]);
    let range = KeyRange::prefix(STORE, b"d");
    let odd = KeyRange {
        store: STORE,
        start: b"d\0".to_vec(),
        end: Some(b"d\x7f".to_vec()),
        descending: true,
    };
    let jobs: Vec<_> = (0..99)
        .map(|i| match i % 3 {
            0 => Program::new([Step::Put(last(i))]),
            1 => Program::new([
                Step::Scan(if i % 2 == 0 { range.clone() } else { odd.clone() }, 99),
                Step::Put(last(i)),
            ]),
            _ => Program::new([Step::Get(last(i - 2)), Step::Put(last(i - 2))]),
        })
        .map(Program::declared)
        .collect();
    check_runs_once(&MemoryState::default(), &jobs, true);
}

#[test]
fn who_reads_what_another_is_expected_to_write_parks() {
    let mut waits = 0;
    for seed in 0..40 {
        let mut jobs = vec![Program::new([Step::Increment(amount(0))]).declared()];
        jobs.extend((0..6).map(|i| Program::new([Step::Get(amount(0)), Step::Put(word(i))])));
        let one = Parallel::new(1).with_faults(Faults {
            shuffle: Some(seed),
            ..Faults::default()
        });
        let (want, _) = plain(run(&Serial, &MemoryState::default(), &jobs, &mut Nothing));
        let (got, stats) = plain(run(&one, &MemoryState::default(), &jobs, &mut Nothing));
        assert_eq!(got, want);
        assert_eq!(stats.aborts, 0);
        waits += stats.waits;
    }
    assert!(waits > 20, "{waits}");
}

#[test]
fn a_wrong_declaration_costs_time_only() {
    let lies = [
        Step::Put(word(1)),
        Step::Scan(words(0, 200), 9),
        Step::Add(amount(0), 1),
        Step::Get(fees()),
    ];
    for seed in seeds(40) {
        let mut rng = Rng(seed);
        let base = some_state(&mut rng);
        let mut jobs = some_block(&mut rng, 40, 5);
        for job in &mut jobs {
            let at = rng.below(4) as usize;
            job.access = Program::new([lies[at].clone()]).declared().access;
        }
        parallel_equals_serial(&base, &jobs, seed).unwrap();
    }
}

#[test]
fn programs_whose_reads_and_writes_change_from_run_to_run_give_the_same() {
    for seed in seeds(60) {
        let mut rng = Rng(seed);
        let base = some_state(&mut rng);
        let jobs: Vec<_> = (0..60)
            .map(|_| {
                let any = |rng: &mut Rng| match rng.below(5) {
                    0 | 1 => Step::GetAny(6),
                    2 | 3 => Step::PutAny(6),
                    _ => Step::StopIf(4),
                };
                Program::new((0..8).map(|_| any(&mut rng)).collect::<Vec<_>>())
            })
            .collect();
        parallel_equals_serial(&base, &jobs, seed).unwrap();
    }
}

#[test]
fn adds_and_puts_on_one_amount_fold_in_order() {
    let base = MemoryState([(amount(0), "10".into())].into());
    let take = |n| Step::Take(amount(0), n);
    let add = |n| Step::Add(amount(0), n);
    let get = Step::Get(amount(0));
    let put = |v: &'static str| Step::PutValue(amount(0), v.into());
    let jobs: Vec<_> = [
        vec![take(4)],
        vec![add(1)],
        vec![get.clone()],
        vec![put("2")],
        vec![take(2)],
        vec![get.clone()],
        vec![add(5)],
        vec![Step::Delete(amount(0))],
        vec![add(7), get.clone()],
        vec![get, take(3)],
    ]
    .map(Program::new)
    .into();
    for seed in seeds(40) {
        let (_, writes) = parallel_equals_serial(&base, &jobs, seed).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(writes[&amount(0)], Op::Put("4".into()));
        // Below zero for a moment is below zero, though a later transaction pays it back.
        let debts = [
            vec![take(4)],
            vec![take(7)],
            vec![add(50)],
            vec![Step::Get(amount(0))],
        ]
        .map(Program::new);
        let error = parallel_equals_serial(&base, &debts, seed).unwrap_err();
        assert_eq!(error, format!("amount under {:?} out of range", amount(0)));
        // Out of order it would be below zero; in order it never is.
        let paid = [
            vec![add(50)],
            vec![take(55)],
            vec![Step::Get(amount(0)), Step::Put(word(1))],
        ]
        .map(Program::new);
        let (_, writes) = parallel_equals_serial(&base, &paid, seed).unwrap();
        assert_eq!(writes[&amount(0)], Op::Put("5".into()));
        // Not even for a job that hides the error.
        let hides = Program::new([Step::GetHidingErrors(amount(0)), Step::Put(word(1))]);
        let [add, take, _] = paid;
        parallel_equals_serial(&base, &[add, take, hides], seed).unwrap();
    }
}

#[test]
fn whoever_reads_a_deferred_key_sees_all_that_settled_before() {
    let base = MemoryState([(fees(), "1000".into()), (queue(0), "start,".into())].into());
    let pay = Program::new([Step::DeferAdd(fees(), 3), Step::DeferAppend(queue(1))]);
    // The collector's own payment is an ordinary write to a deferred key.
    let spend = Program::new([Step::Move(fees(), amount(1), 1000), Step::DeferAdd(fees(), 1)]);
    let blind = Program::new([
        Step::Add(fees(), 5),
        Step::DeferAppend(queue(0)),
        Step::PutValue(queue(0), "reset,".into()),
    ]);
    let look = Program::new([
        Step::Get(fees()),
        Step::Scan(KeyRange::prefix(STORE, b"q"), 9),
        Step::Put(word(1)),
    ]);
    for seed in seeds(30) {
        let mut jobs = Vec::new();
        for _ in 0..5 {
            jobs.extend([
                pay.clone(),
                pay.clone(),
                look.clone(),
                spend.clone(),
                look.clone(),
                blind.clone(),
                pay.clone(),
            ]);
            jobs.push(look.clone().declared());
            jobs.push(Program::new([Step::Scan(
                KeyRange::prefix(STORE, b"").descending(),
                30,
            )]));
        }
        let (outputs, writes) = parallel_equals_serial(&base, &jobs, seed).unwrap();
        // 15 payments of 3, 5 blind adds of 5, 5 spendings that give 1 back, of which one finds 1000 to spend.
        assert_eq!(writes[&fees()], Op::Put("75".into()));
        assert_eq!(writes[&amount(1)], Op::Put("1000".into()));
        let Op::Put(reset) = &writes[&queue(0)] else {
            panic!("the queue is gone")
        };
        assert!(
            reset.starts_with(b"reset,") && reset.len() > 6,
            "the write comes first, then what was deferred"
        );
        assert_ne!(outputs[2], outputs[4]);
    }
}

#[test]
fn whoever_reads_a_deferred_key_waits_and_is_never_thrown_away() {
    for read in [Step::Get(fees()), Step::Scan(KeyRange::prefix(STORE, b"q"), 9)] {
        let pay = Program::new([Step::DeferAdd(fees(), 3), Step::DeferAppend(queue(1))]);
        let mut waits = 0;
        for seed in 0..30 {
            let jobs = [
                pay.clone(),
                pay.clone(),
                Program::new([read.clone()]),
                pay.clone(),
            ];
            let one = Parallel::new(1).with_faults(Faults {
                shuffle: Some(seed),
                ..Faults::default()
            });
            let stats = run(&one, &MemoryState::default(), &jobs, &mut Nothing)
                .unwrap()
                .stats;
            assert_eq!((stats.aborts, stats.executions), (0, 4 + stats.waits));
            waits += stats.waits;
        }
        assert!(waits > 5, "{read:?}: {waits}");
    }
}

#[test]
fn later_jobs_see_the_outcome_that_settling_left() {
    // Each writes a word and costs up to eight: beyond the limit the word stays away, and the reader behind it knows.
    for seed in seeds(30) {
        let writes = |i: u8| Program::new([Step::Get(word(i.wrapping_sub(1))), Step::Put(word(i))]);
        let reads = Program::new([Step::Scan(words(0, 255), usize::MAX), Step::Get(word(250))]);
        let jobs: Vec<_> = (0..40)
            .map(|i| if i % 4 == 3 { reads.clone() } else { writes(i) })
            .collect();
        parallel_equals_serial(&MemoryState::default(), &jobs, seed).unwrap();
        let mut meter = Meter::new(20);
        let done = run(
            &Parallel::new(2).with_faults(Faults::default()),
            &MemoryState::default(),
            &jobs,
            &mut meter,
        )
        .unwrap();
        assert!(
            meter.used <= 20 && done.outputs.contains(&0),
            "nothing was cut off"
        );
    }
}

#[test]
fn a_full_block_runs_no_more_than_was_begun() {
    // One job fills the block; the rest would each take long.
    let full = Program::new([Step::Put(word(0))]);
    let long = Program::new([Step::Spin(1_000), Step::Put(word(1))]);
    let jobs: Vec<_> = std::iter::once(full)
        .chain(std::iter::repeat_n(long, 500))
        .collect();
    let plainly = run(&Serial, &MemoryState::default(), &jobs, &mut Meter::new(8)).unwrap();
    assert!(plainly.stats.executions == 1, "{:?}", plainly.stats);
    for threads in THREADS {
        let executor = Parallel::new(threads).with_faults(Faults::default());
        let mut meter = Meter::new(8);
        let done = run(&executor, &MemoryState::default(), &jobs, &mut meter).unwrap();
        assert_eq!(
            (done.outputs, done.writes),
            (plainly.outputs.clone(), plainly.writes.clone())
        );
        assert_eq!(meter.seen.len(), 501);
        // Others may have been at it already.
        assert!(threads > 1 || done.stats.executions == 1, "{:?}", done.stats);
    }
}

#[test]
fn small_blocks_and_blocks_at_once_work() {
    let base = MemoryState::default();
    let executor = Parallel::new(4);
    for len in 0..6 {
        let jobs = vec![Program::new([Step::Increment(amount(0))]); len];
        assert_eq!(
            run(&executor, &base, &jobs, &mut Nothing).unwrap().outputs.len(),
            len
        );
        let forced = executor.clone().with_faults(Faults::default());
        assert_eq!(
            run(&forced, &base, &jobs, &mut Nothing).unwrap().outputs.len(),
            len
        );
    }
    let jobs = vec![Program::new([Step::Increment(amount(0))]); 200];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let done = run(&executor, &base, &jobs, &mut Nothing).unwrap();
                    assert_eq!(done.writes[&amount(0)], Op::Put("200".into()));
                }
            });
        }
    });
}

#[test]
fn a_block_that_turns_out_serial_is_finished_by_one_worker() {
    /// Each declares nothing, and needs what the one before left.
    fn chain(len: usize) -> Vec<Program> {
        let hot = Program::new([Step::Increment(amount(0)), Step::Put(word(1))]);
        let other = Program::new([Step::Increment(amount(5)), Step::DeferAdd(fees(), 3)]);
        let late = Program::new([Step::Get(word(1)), Step::Scan(words(0, 9), 9)]);
        let mut jobs = vec![hot; len];
        jobs.extend([other.clone(), late.clone(), other, late]);
        jobs
    }
    let base = MemoryState([(amount(0), Value::from("7"))].into());
    let jobs = chain(2_000);
    let (want, _) = plain(run(&Serial, &base, &jobs, &mut Nothing));
    for threads in [2, 3, 8] {
        let (got, stats) = plain(run(&Parallel::new(threads), &base, &jobs, &mut Nothing));
        assert_eq!(got, want, "{threads} threads");
        let more = stats.executions - jobs.len() as u64;
        assert!(more < 64 * threads as u64 + 200, "{threads} threads: {stats:?}");
    }
}
