//! What threads agree on without a lock, restated small and tried in every order by loom.
//!
//! Each model says which file it restates. One that is broken on purpose stands beside it, so that it is seen to notice.
//! Loom takes sequentially consistent accesses for weaker ones, and knows such fences only: where the executor relies on
//! that order, a fence stands between the two accesses.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use loom::model::Builder;
use loom::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, SeqCst};
use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::Arc;

/// Every order in which threads are interrupted at most so many times: more than two or three show nothing new.
fn orders(interrupted: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(interrupted);
    builder.check(model);
}

// Readers and writers of a typed place: `Trail` in track.rs, `begin` and `disturb` in cells.rs.

/// Marks are rounded up to these bits: 63 there, so few here that the others lie beyond.
const ROUND: u32 = 1;

/// A place, and who of five has been told of a write to it.
struct Place {
    track: AtomicU32,
    readers: AtomicU32,
    value: Mutex<u32>,
    disturbed: [AtomicBool; 5],
}

impl Place {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            track: AtomicU32::new(0),
            readers: AtomicU32::new(0),
            value: Mutex::new(0),
            disturbed: [0; 5].map(|_| AtomicBool::new(false)),
        })
    }
    /// Begins a run.
    fn begin(&self, reader: u32) {
        self.disturbed[reader as usize].store(false, SeqCst);
        fence(SeqCst);
    }
    fn mark(&self, reader: u32) {
        let marked = self.readers.load(SeqCst);
        if marked <= reader {
            let end = if marked == 0 { reader } else { reader | ROUND };
            self.readers.fetch_max(end + 1, SeqCst);
        }
        fence(SeqCst);
    }
    fn look(&self) -> u32 {
        if self.track.load(SeqCst) == 0 {
            return 0;
        }
        *self.value.lock().unwrap()
    }
    /// A run: what it reads.
    fn run(&self, reader: u32) -> u32 {
        self.begin(reader);
        self.mark(reader);
        self.look()
    }
    fn write(&self, value: u32) {
        let _ = self.track.compare_exchange(0, 1, SeqCst, SeqCst);
        *self.value.lock().unwrap() = value;
        fence(SeqCst);
    }
    fn disturb(&self, writer: u32) {
        let end = self.readers.load(SeqCst).min(5);
        fence(SeqCst);
        (writer + 1..end).for_each(|reader| self.disturbed[reader as usize].store(true, Relaxed));
    }
    /// Whether `reader`, who saw `seen`, need not be told of `value`, or was.
    fn safe(&self, reader: u32, seen: u32, value: u32) -> bool {
        seen == value || self.disturbed[reader as usize].load(SeqCst)
    }
}

/// Readers 1 to `readers`, each with so many runs, while 0 writes a 7.
fn a_write_is_not_missed(readers: u32, runs: u32, write: fn(&Place)) {
    orders(3, move || {
        let place = Place::new();
        let read = |reader: u32| {
            let place = place.clone();
            thread::spawn(move || (0..runs).fold(0, |_, _| place.run(reader)))
        };
        let threads: Vec<_> = (1..=readers).map(read).collect();
        write(&place);
        for (reader, thread) in (1..).zip(threads) {
            let seen = thread.join().unwrap();
            assert!(place.safe(reader, seen, 7), "reader {reader} saw {seen}");
        }
    });
}

fn writes_then_looks(place: &Place) {
    place.write(7);
    place.disturb(0);
}

#[test]
fn a_reader_sees_the_write_or_the_writer_sees_the_mark() {
    a_write_is_not_missed(1, 1, writes_then_looks);
}

#[test]
fn readers_who_rely_on_the_mark_of_another_are_not_missed() {
    // The second to mark rounds up, and whoever comes later with a smaller number marks nothing.
    a_write_is_not_missed(3, 1, writes_then_looks);
}

#[test]
fn a_second_run_forgets_only_what_it_sees() {
    a_write_is_not_missed(1, 2, writes_then_looks);
}

#[test]
fn a_second_write_is_not_missed_either() {
    // By then there is a track, and only its lock orders the two.
    a_write_is_not_missed(1, 1, |place| {
        place.write(6);
        place.disturb(0);
        place.write(7);
        place.disturb(0);
    });
}

#[test]
#[should_panic(expected = "saw 0")]
fn a_writer_who_looks_first_misses_a_reader() {
    a_write_is_not_missed(1, 1, |place| {
        place.disturb(0);
        place.write(7);
    });
}

#[test]
#[should_panic(expected = "saw 0")]
fn a_run_that_forgets_last_misses_a_write() {
    orders(3, || {
        let place = Place::new();
        let reader = {
            let place = place.clone();
            thread::spawn(move || {
                place.mark(1);
                let seen = place.look();
                place.begin(1);
                seen
            })
        };
        writes_then_looks(&place);
        let seen = reader.join().unwrap();
        assert!(place.safe(1, seen, 7), "reader 1 saw {seen}");
    });
}

#[test]
fn versions_that_begin_with_one_are_not_missed() {
    a_write_is_not_missed(2, 1, |place| {
        // Nobody knows of the versions yet.
        *place.value.lock().unwrap() = 7;
        let _ = place.track.compare_exchange(0, 1, SeqCst, SeqCst);
        fence(SeqCst);
        place.disturb(0);
    });
}

// Two who make one place, each their own, of which one is found from then on: `account_or` and `slot_or` in cells.rs. The
// reader's is born with its mark.

/// The reader's place and the writer's, and the number of the one that is found, from 1.
struct Twins {
    places: [Arc<Place>; 2],
    found: AtomicU32,
}

impl Twins {
    /// The place that is found; `made` says which one the caller makes where none is.
    fn find(&self, made: usize) -> (&Place, bool) {
        let found = self.found.load(Acquire) as usize;
        let new = |found| {
            let found = self
                .found
                .compare_exchange(found, made as u32 + 1, AcqRel, Acquire);
            found.map_or_else(|other| (other as usize - 1, false), |_| (made, true))
        };
        let (at, made) = if found > 0 { (found - 1, false) } else { new(0) };
        (&self.places[at], made)
    }
}

fn a_newborn_place_keeps_its_reader(born: fn(&Place), found: fn(&Place)) {
    orders(3, move || {
        let twins = Arc::new(Twins {
            places: [Place::new(), Place::new()],
            found: AtomicU32::new(0),
        });
        born(&twins.places[0]);
        let reader = {
            let twins = twins.clone();
            thread::spawn(move || {
                let (place, made) = twins.find(0);
                if made {
                    found(place);
                } else {
                    place.mark(1);
                }
                place.look()
            })
        };
        let (place, _) = twins.find(1);
        writes_then_looks(place);
        let seen = reader.join().unwrap();
        assert!(place.safe(1, seen, 7), "reader 1 saw {seen}");
    });
}

#[test]
fn who_makes_a_place_is_told_of_what_is_written_there() {
    a_newborn_place_keeps_its_reader(|place| place.readers.store(2, Relaxed), |_| ());
}

#[test]
#[should_panic(expected = "saw 0")]
fn a_mark_left_after_the_place_is_found_comes_too_late() {
    a_newborn_place_keeps_its_reader(|_| (), |place| place.readers.store(2, Relaxed));
}

// A first write, and a walk over all written places that opens the index: `publish` and `open_index` in cells.rs.

fn a_first_write_is_indexed(looks_last: bool) {
    orders(3, move || {
        let (place, listed) = (Place::new(), Arc::new(AtomicBool::new(false)));
        let (ordered, indexed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let walker = {
            let (place, listed) = (place.clone(), listed.clone());
            let (ordered, indexed) = (ordered.clone(), indexed.clone());
            thread::spawn(move || {
                ordered.store(true, SeqCst);
                fence(SeqCst);
                if listed.load(SeqCst) && place.track.load(SeqCst) > 0 {
                    indexed.store(true, Relaxed);
                }
            })
        };
        let early = ordered.load(SeqCst);
        listed.store(true, SeqCst);
        let _ = place.track.compare_exchange(0, 1, SeqCst, SeqCst);
        fence(SeqCst);
        if if looks_last { ordered.load(SeqCst) } else { early } {
            indexed.store(true, Relaxed);
        }
        walker.join().unwrap();
        assert!(indexed.load(Relaxed), "nobody told the index");
    });
}

#[test]
fn the_walk_meets_a_first_write_or_its_writer_tells_the_index() {
    a_first_write_is_indexed(true);
}

#[test]
#[should_panic(expected = "nobody told the index")]
fn a_first_writer_who_looks_too_soon_is_missed_by_the_walk() {
    a_first_write_is_indexed(false);
}

// Numbers that two threads take from one list: `Numbers` in arena.rs.

/// Numbers that a list is given at a time: 64 there.
const STRIPE: u32 = 2;

#[derive(Default)]
struct Numbers {
    end: AtomicU32,
    stripe: AtomicU64,
}

impl Numbers {
    fn next(&self, take: fn(&AtomicU64, u64) -> Result<(), u64>) -> u32 {
        // An exchange of nothing: loom lets a load make it forget which of two racing stores came first, and then an
        // exchange for a value that was replaced succeeds, as none does.
        let mut now = self.stripe.fetch_add(0, Relaxed);
        while now >= 1 << 32 {
            match take(&self.stripe, now) {
                Ok(()) => return now as u32,
                Err(other) => now = other,
            }
        }
        let first = self.end.fetch_add(STRIPE, Relaxed);
        let rest = u64::from(STRIPE - 1) << 32 | u64::from(first + 1);
        self.stripe.store(rest, Relaxed);
        first
    }
}

/// The list with one number less.
fn less(now: u64) -> u64 {
    now - (1 << 32) + 1
}

fn numbers_are_given_once(take: fn(&AtomicU64, u64) -> Result<(), u64>) {
    orders(3, move || {
        let numbers = Arc::new(Numbers::default());
        let work = move |numbers: &Numbers| (0..3).map(|_| numbers.next(take)).collect::<Vec<_>>();
        let other = {
            let numbers = numbers.clone();
            thread::spawn(move || work(&numbers))
        };
        let mut all = work(&numbers);
        all.extend(other.join().unwrap());
        all.sort_unstable();
        assert!(all.windows(2).all(|two| two[0] < two[1]), "given twice: {all:?}");
    });
}

#[test]
fn two_threads_on_one_list_never_get_the_same_number() {
    numbers_are_given_once(|stripe, now| {
        let taken = stripe.compare_exchange_weak(now, less(now), Relaxed, Relaxed);
        taken.map(|_| ())
    });
}

#[test]
#[should_panic(expected = "given twice")]
fn numbers_taken_without_a_look_are_given_twice() {
    numbers_are_given_once(|stripe, now| {
        stripe.store(less(now), Relaxed);
        Ok(())
    });
}

// A table's slots, still full of an older block's entries: `find_or` in table.rs.

/// The block that entries are of; those of block 1 are old.
const BLOCK: u64 = 2 << 32;

/// A table of two slots in reach of each other, and the things that its entries name. A thing is the name of its key, and
/// 0 until it is made.
struct Table {
    slots: [AtomicU64; 2],
    things: [AtomicU32; 2],
    count: AtomicU32,
}

impl Table {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            slots: [1 << 32 | 5, 1 << 32 | 6].map(AtomicU64::new),
            things: [0; 2].map(|_| AtomicU32::new(0)),
            count: AtomicU32::new(0),
        })
    }
    fn make(&self, key: u32) -> u32 {
        let id = self.count.fetch_add(1, Relaxed);
        self.things[id as usize].store(key, Relaxed);
        id
    }
    /// The thing with this name; its number is told in this order.
    fn find_or_make(&self, key: u32, told: Ordering) -> u32 {
        let mut made = None;
        for slot in &self.slots {
            let mut entry = slot.load(Acquire);
            if entry >> 32 != BLOCK >> 32 {
                let id = *made.get_or_insert_with(|| self.make(key));
                match slot.compare_exchange(entry, BLOCK | u64::from(id), told, Acquire) {
                    Ok(_) => return id,
                    Err(other) => entry = other,
                }
            }
            let thing = self.things[entry as u32 as usize].load(Relaxed);
            assert!(thing > 0, "found before it was made");
            if thing == key {
                return entry as u32;
            }
        }
        panic!("a table is full");
    }
}

fn two_find(keys: [u32; 2], told: Ordering) -> [u32; 2] {
    let table = Table::new();
    let other = {
        let table = table.clone();
        thread::spawn(move || table.find_or_make(keys[0], told))
    };
    let mine = table.find_or_make(keys[1], told);
    let found = [other.join().unwrap(), mine];
    // Whoever comes later finds the same.
    assert_eq!(keys.map(|key| table.find_or_make(key, told)), found);
    found
}

#[test]
fn two_threads_that_take_an_old_slot_get_the_same_thing() {
    orders(3, || {
        let [one, other] = two_find([7, 7], AcqRel);
        assert_eq!(one, other);
    });
}

#[test]
fn two_things_that_want_one_slot_get_one_each() {
    orders(3, || {
        let [one, other] = two_find([7, 8], AcqRel);
        assert_ne!(one, other);
    });
}

#[test]
#[should_panic(expected = "found before it was made")]
fn a_number_told_too_soon_leads_to_nothing() {
    orders(3, || {
        two_find([7, 7], Relaxed);
    });
}

// Workers that sleep until there is something to do: `next`, `advance` and `wake_one` in scheduler.rs.

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waits for transaction 0.
    Waiting,
    Ready,
    Running,
    Executed,
    Committed,
}

enum Task {
    Run(usize),
    Commit,
}

struct State {
    phases: Vec<Phase>,
    head: usize,
    committing: bool,
    asleep: usize,
}

impl State {
    fn over(&self) -> bool {
        self.head == self.phases.len()
    }
    fn can_commit(&self) -> bool {
        !self.committing && self.phases[self.head] != Phase::Running
    }
    fn ready(&self) -> Option<usize> {
        self.phases.iter().position(|phase| *phase == Phase::Ready)
    }
    fn pick(&mut self) -> Option<Task> {
        if self.can_commit() {
            self.committing = true;
            return Some(Task::Commit);
        }
        let index = self.ready()?;
        self.phases[index] = Phase::Running;
        Some(Task::Run(index))
    }
    fn executed(&mut self, index: usize, phase: Phase) {
        self.phases[index] = phase;
        let waiting = self.phases.iter_mut().filter(|phase| **phase == Phase::Waiting);
        waiting.for_each(|phase| *phase = Phase::Ready);
    }
}

struct Scheduler {
    state: Mutex<State>,
    wake: Condvar,
    /// Whether the last one tells those asleep.
    tells: bool,
}

impl Scheduler {
    fn next(&self, report: Option<usize>) -> Option<Task> {
        let mut state = self.state.lock().unwrap();
        if let Some(index) = report {
            state.executed(index, Phase::Executed);
        }
        loop {
            if state.over() {
                if self.tells {
                    self.wake.notify_all();
                }
                return None;
            }
            if let Some(task) = state.pick() {
                self.wake_one(&state);
                return Some(task);
            }
            state.asleep += 1;
            state = self.wake.wait(state).unwrap();
            state.asleep -= 1;
        }
    }
    /// Notes a commit; gives the next to commit, and whether it has to be run first.
    fn advance(&self, done: Option<usize>) -> Option<usize> {
        let mut state = self.state.lock().unwrap();
        if let Some(index) = done {
            assert_eq!(state.head, index, "committed once, and in order");
            state.executed(index, Phase::Committed);
            state.head += 1;
        }
        let head = state.head;
        let next = match state.phases.get(head) {
            None | Some(Phase::Running) => None,
            Some(Phase::Executed) => Some(head),
            Some(_) => {
                state.phases[head] = Phase::Running;
                Some(head)
            }
        };
        if next.is_none() {
            state.committing = false;
        }
        if !state.over() {
            self.wake_one(&state);
        } else if self.tells {
            self.wake.notify_all();
        }
        next
    }
    fn wake_one(&self, state: &State) {
        if state.asleep > 0 && (state.ready().is_some() || state.can_commit()) {
            self.wake.notify_one();
        }
    }
    fn work(&self) {
        let mut report = None;
        while let Some(task) = self.next(report.take()) {
            match task {
                Task::Run(index) => report = Some(index),
                Task::Commit => {
                    let mut done = None;
                    while let Some(index) = self.advance(done) {
                        done = Some(index);
                    }
                }
            }
        }
    }
}

fn all_go_home(workers: usize, phases: &'static [Phase], tells: bool) {
    orders(2, move || {
        let state = State {
            phases: phases.to_vec(),
            head: 0,
            committing: false,
            asleep: 0,
        };
        let scheduler = Arc::new(Scheduler {
            state: Mutex::new(state),
            wake: Condvar::new(),
            tells,
        });
        let start = |_| {
            let scheduler = scheduler.clone();
            thread::spawn(move || scheduler.work())
        };
        let others: Vec<_> = (1..workers).map(start).collect();
        scheduler.work();
        others.into_iter().for_each(|other| other.join().unwrap());
        let state = scheduler.state.lock().unwrap();
        assert!(state.over() && !state.committing && state.asleep == 0);
        assert!(state.phases.iter().all(|phase| *phase == Phase::Committed));
    });
}

#[test]
fn nobody_sleeps_for_ever() {
    use Phase::{Ready, Waiting};
    all_go_home(2, &[Ready, Ready, Ready], true);
    all_go_home(3, &[Ready, Waiting, Waiting], true);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_last_worker_who_tells_nobody_leaves_others_asleep() {
    use Phase::{Ready, Waiting};
    all_go_home(2, &[Ready, Waiting], false);
}
