//! Who does what next: every decision of when and none of what.
use crate::Stats;
use crate::plan::{Indexes, Plan};
use crate::simulate::WINDOW;
use crate::view::Cut;
use parking_lot::{Condvar, Mutex};
use smallvec::SmallVec;
use state::TxIndex;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

/// How much work a worker takes at a time, in gas, if it is many transactions: so much takes longer than taking it.
const BATCH_WEIGHT: u64 = 500_000;
/// Transactions that a worker takes at a time at most.
const BATCH: u32 = 32;
/// Transactions that are committed before the others are told.
const COMMITS: u32 = 32;
/// After how many commits the window is looked at: enough to tell 5 % from 30 %.
const PERIOD: u32 = 32;
/// After how many calm periods a window narrower than the workers are many widens again: each try costs up to a period
/// of wasted runs. After each that fails it takes twice as many, at most so many.
const PROBE: u32 = 4;
const PROBE_MOST: u32 = 128;
/// How many times as much work as the mean a transaction is that is begun before those in front of it.
const HEAVY: u64 = 2;
/// Heavy transactions looked at for one that may be begun.
const HEAVY_MOST: usize = 32;
/// How often a transaction may be cut short before it simply waits to be the head.
const CUTS_MAX: u8 = 8;

/// Where a transaction stands.
///
/// ```text
///   Fresh ─────────────► Running ──► Executed ──► Committed
///     │                   ▲ │  ▲         │            ▲
///     ▼                   │ │  └─────────┘            │
///   Waiting ──► Ready ────┘ │   stale, at the head    │
///     │           ▲         ▼                         │
///     │           └────── Parked                      │
///     └──────────────────── │ ──── at the head ───────┘
/// ```
///
/// `Waiting`: a declared blocker has yet to run. `Parked`: a run met a value that is not there yet, or can be had only
/// at the head. Whatever its phase, the head is run to its end by the committer, unless a worker is running it already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Fresh,
    Waiting,
    Ready,
    Running,
    Parked,
    Executed,
    Committed,
}

/// What a worker tells after a task.
#[derive(Debug)]
pub(crate) enum Report {
    /// The run is done and its writes are published.
    Executed(TxIndex),
    /// The run was cut short.
    Cut(TxIndex, Cut),
    /// The run failed: real at the head, elsewhere the fault of a stale read.
    Failed(TxIndex),
}

/// What a worker is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Run these, one after another, ahead of the head.
    Run(Range<TxIndex>),
    /// Commit from the head on. Nobody else does until [`Head::Rest`] is answered.
    Commit,
    /// Go home.
    Done,
}

/// What the committer is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// Validate the runs that there are, one after another.
    Check(Range<TxIndex>),
    /// Run it now.
    Run(TxIndex),
    /// Run it and all behind it, one after another: nobody else works any more.
    Alone(TxIndex),
    /// Stop committing: a worker runs the head, or there is none.
    Rest,
}

/// A commit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Commit {
    /// Whether a run was checked.
    pub(crate) validated: bool,
    /// Whether it was thrown away.
    pub(crate) aborted: bool,
    /// Whether the committer was told to run it and did not need to.
    pub(crate) spared: bool,
}

/// One block's schedule. A single short lock: each task takes it once, each commit once more.
#[derive(Debug)]
pub(crate) struct Scheduler {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    phases: Vec<Phase>,
    /// Declared blockers that have yet to run, by transaction.
    blockers: Vec<u32>,
    followers: Vec<Indexes>,
    head_only: Vec<bool>,
    weights: Vec<u64>,
    /// Those that are much work, least first.
    heavy: Vec<TxIndex>,
    /// Those of them that were begun before others,
    early: Vec<bool>,
    /// and how often that was for good, and in vain.
    worth: (u32, u32),
    /// Who is parked on a transaction, and whether until it is committed rather than executed.
    parked: Vec<SmallVec<[(TxIndex, bool); 2]>>,
    cuts: Vec<u8>,
    /// Lowest first. May name transactions that someone has run meanwhile.
    ready: BinaryHeap<Reverse<TxIndex>>,
    /// First transaction that nobody has looked at.
    cursor: TxIndex,
    /// First uncommitted transaction.
    head: TxIndex,
    window: Window,
    committing: bool,
    asleep: usize,
    halted: bool,
    /// Whether a block in which each needs the one before may be left to the committer,
    yields: bool,
    /// and is.
    yielded: bool,
    stats: Stats,
    /// For tests: picks at random, from this seed.
    shuffle: Option<u64>,
}

/// How far ahead to run: less where much is thrown away.
#[derive(Debug)]
struct Window {
    size: u32,
    workers: u32,
    commits: u32,
    aborts: u32,
    /// Periods in a row with next to nothing thrown away.
    calm: u32,
    /// How many of them it takes to try again.
    patience: u32,
}

impl Window {
    /// Whether nothing was run ahead for good, however often it was tried.
    fn serial(&self) -> bool {
        self.size == 1 && self.patience >= PROBE * 8
    }
    /// Whether much is run ahead, and little of that in vain.
    fn wide(&self) -> bool {
        self.size >= self.workers * WINDOW / 4
    }
    fn note(&mut self, commit: Commit) {
        self.commits += 1;
        self.aborts += u32::from(commit.aborted);
        if self.commits < PERIOD {
            return;
        }
        if self.aborts * 10 > PERIOD * 3 {
            // Down to the head alone: then nothing is run twice, as in a chain that nobody declared.
            let less = if self.aborts * 10 > PERIOD * 6 { 8 } else { 2 };
            (self.size, self.calm) = ((self.size / less).max(1), 0);
            self.patience = (self.patience * 2).min(PROBE_MOST);
        } else if self.aborts * 20 < PERIOD {
            self.calm += 1;
            if self.size >= self.workers || self.calm >= self.patience {
                (self.size, self.calm) = ((self.size * 2).min(self.workers * WINDOW), 0);
            }
            if self.wide() {
                self.patience = PROBE;
            }
        }
        (self.commits, self.aborts) = (0, 0);
    }
}

impl Scheduler {
    /// The schedule of a block for `workers` threads.
    pub(crate) fn new(plan: &mut Plan<'_>, workers: usize, shuffle: Option<u64>, yields: bool) -> Self {
        let len = plan.blockers.len();
        let workers = u32::try_from(workers).expect("a few hundred at most");
        let total = plan
            .weights
            .iter()
            .fold(0u64, |sum, weight| sum.saturating_add(*weight));
        let line = (total / plan.weights.len().max(1) as u64).saturating_mul(HEAVY);
        let mut heavy: Vec<TxIndex> = (0..)
            .zip(&plan.weights)
            .filter_map(|(index, weight)| (*weight > line).then_some(index))
            .collect();
        heavy.sort_by_key(|index| (plan.weights[*index as usize], Reverse(*index)));
        let state = State {
            heavy,
            early: vec![false; len],
            worth: (0, 0),
            phases: vec![Phase::Fresh; len],
            blockers: std::mem::take(&mut plan.blockers),
            followers: std::mem::take(&mut plan.followers),
            head_only: std::mem::take(&mut plan.head_only),
            weights: std::mem::take(&mut plan.weights),
            parked: vec![SmallVec::new(); len],
            cuts: vec![0; len],
            ready: BinaryHeap::new(),
            cursor: 0,
            head: 0,
            window: Window {
                size: workers * WINDOW,
                workers,
                commits: 0,
                aborts: 0,
                calm: 0,
                patience: PROBE,
            },
            committing: false,
            asleep: 0,
            halted: false,
            yields,
            yielded: false,
            stats: Stats::default(),
            shuffle,
        };
        Self {
            state: Mutex::new(state),
            wake: Condvar::new(),
        }
    }
    /// Takes reports and gives the next task; sleeps until there is one.
    pub(crate) fn next(&self, reports: &mut Vec<Report>) -> Task {
        let mut state = self.state.lock();
        reports.drain(..).for_each(|report| state.take(&report));
        loop {
            if state.over() {
                self.wake.notify_all();
                return Task::Done;
            }
            if let Some(task) = state.pick() {
                self.wake_one(&mut state);
                return task;
            }
            state.asleep += 1;
            self.wake.wait(&mut state);
            state.asleep -= 1;
        }
    }
    /// Notes commits and says what to do with the head. For the committer.
    pub(crate) fn advance(&self, commits: &mut Vec<Commit>) -> Head {
        let mut state = self.state.lock();
        commits.drain(..).for_each(|commit| state.commit(commit));
        let head = state.head;
        let next = match state.phases.get(head as usize) {
            _ if state.over() => Head::Rest,
            Some(phase) if *phase != Phase::Running && state.yields && state.window.serial() => {
                state.yielded = true;
                Head::Alone(head)
            }
            None | Some(Phase::Running) => Head::Rest,
            Some(Phase::Executed) => {
                let ahead = state.phases[head as usize..].iter().take(COMMITS as usize);
                let count = ahead.take_while(|phase| **phase == Phase::Executed).count();
                Head::Check(head..head + u32::try_from(count).expect("at most 32"))
            }
            Some(_) => {
                state.run(head);
                Head::Run(head)
            }
        };
        if next == Head::Rest {
            state.committing = false;
        }
        if state.over() {
            self.wake.notify_all();
        } else {
            self.wake_one(&mut state);
        }
        next
    }
    /// Says that the committer runs `head` again, its last run being stale.
    pub(crate) fn reopen(&self, head: TxIndex) {
        self.state.lock().run(head);
    }
    /// Sends everyone home.
    pub(crate) fn halt(&self) {
        self.state.lock().halted = true;
        self.wake.notify_all();
    }
    /// How many transactions are in the cells, once these are all that will be.
    pub(crate) fn finished(&self) -> Option<TxIndex> {
        let state = self.state.lock();
        (!state.halted && state.over()).then_some(state.head)
    }
    /// Notes runs of the committer alone.
    pub(crate) fn ran(&self, runs: u64) {
        self.state.lock().stats.executions += runs;
    }
    /// How it went.
    pub(crate) fn stats(&self) -> Stats {
        self.state.lock().stats
    }
    /// Whoever sees more work than its own wakes one other, who does the same.
    fn wake_one(&self, state: &mut State) {
        if state.asleep > 0 && state.more() {
            self.wake.notify_one();
        }
    }
}

impl State {
    fn over(&self) -> bool {
        self.halted || self.yielded || self.head as usize == self.phases.len()
    }
    fn limit(&self) -> TxIndex {
        let len = u32::try_from(self.phases.len()).expect("transactions are counted in u32");
        self.head.saturating_add(self.window.size).min(len)
    }
    fn can_commit(&self) -> bool {
        !self.committing && self.phases[self.head as usize] != Phase::Running
    }
    fn more(&mut self) -> bool {
        while let Some(Reverse(index)) = self.ready.peek() {
            if self.phases[*index as usize] == Phase::Ready {
                return true;
            }
            self.ready.pop();
        }
        let fresh = |i: TxIndex| self.phases[i as usize] == Phase::Fresh;
        self.can_commit() || (self.cursor.max(self.head)..self.limit()).any(fresh)
    }
    fn run(&mut self, index: TxIndex) {
        self.phases[index as usize] = Phase::Running;
        self.stats.executions += 1;
    }
    fn take(&mut self, report: &Report) {
        match *report {
            Report::Executed(index) => {
                self.phases[index as usize] = Phase::Executed;
                self.release(index, false);
            }
            Report::Failed(index) => {
                self.stats.aborts += 1;
                self.phases[index as usize] = Phase::Parked;
            }
            Report::Cut(index, cut) => self.cut(index, cut),
        }
    }
    fn cut(&mut self, index: TxIndex, cut: Cut) {
        self.stats.waits += 1;
        self.phases[index as usize] = Phase::Parked;
        self.window.aborts += 1;
        self.weigh(index, false);
        let cuts = &mut self.cuts[index as usize];
        *cuts += 1;
        let Cut::On(writer) = cut else { return };
        if *cuts == CUTS_MAX {
            return;
        }
        // Whoever was cut short before waits for a value that cannot change any more: one that may is too often another.
        let patient = *cuts > 1;
        match self.phases[writer as usize] {
            Phase::Committed => self.ready(index),
            Phase::Executed if !patient => self.ready(index),
            _ => self.parked[writer as usize].push((index, patient)),
        }
    }
    fn ready(&mut self, index: TxIndex) {
        self.phases[index as usize] = Phase::Ready;
        self.ready.push(Reverse(index));
    }
    /// Lets go those who wait for `index`.
    fn release(&mut self, index: TxIndex, committed: bool) {
        for follower in std::mem::take(&mut self.followers[index as usize]) {
            self.blockers[follower as usize] -= 1;
            if self.blockers[follower as usize] == 0 && self.phases[follower as usize] == Phase::Waiting {
                self.ready(follower);
            }
        }
        for (waiter, patient) in std::mem::take(&mut self.parked[index as usize]) {
            if patient && !committed {
                self.parked[index as usize].push((waiter, patient));
            } else if self.phases[waiter as usize] == Phase::Parked {
                self.ready(waiter);
            }
        }
    }
    fn commit(&mut self, commit: Commit) {
        let head = self.head;
        self.phases[head as usize] = Phase::Committed;
        self.release(head, true);
        self.head += 1;
        self.stats.validations += u64::from(commit.validated);
        self.stats.aborts += u64::from(commit.aborted);
        self.stats.executions -= u64::from(commit.spared);
        self.window.note(commit);
        self.weigh(head, !commit.aborted);
    }
    /// Notes what became of a transaction that was begun early. Where they are in each other's way, none is any more.
    fn weigh(&mut self, index: TxIndex, good: bool) {
        if !std::mem::take(&mut self.early[index as usize]) {
            return;
        }
        let (well, ill) = self.worth;
        self.worth = if good { (well + 1, ill) } else { (well, ill + 1) };
        if self.worth.1 > 2 + self.worth.0 / 4 {
            self.heavy.clear();
        }
    }
    fn pick(&mut self) -> Option<Task> {
        if self.shuffle.is_some() {
            return self.pick_any();
        }
        if self.can_commit() {
            self.committing = true;
            return Some(Task::Commit);
        }
        while let Some(Reverse(index)) = self.ready.pop() {
            if self.phases[index as usize] == Phase::Ready {
                self.run(index);
                return Some(Task::Run(index..index + 1));
            }
        }
        if let Some(index) = self.begin_heavy() {
            return Some(Task::Run(index..index + 1));
        }
        self.cursor = self.cursor.max(self.head);
        while self.cursor < self.limit() {
            let index = self.cursor;
            self.cursor += 1;
            if self.begin(index) {
                return Some(Task::Run(index..self.batch(index)));
            }
        }
        None
    }
    /// Begins what is most work, so that it does not come last, when all others are done.
    fn begin_heavy(&mut self) -> Option<TxIndex> {
        if !self.window.wide() {
            return None;
        }
        let limit = self.limit();
        let mut at = self.heavy.len();
        let least = at.saturating_sub(HEAVY_MOST);
        while at > least {
            at -= 1;
            let index = self.heavy[at];
            if index >= limit {
                continue;
            }
            self.heavy.remove(at);
            if self.begin(index) {
                self.early[index as usize] = true;
                return Some(index);
            }
        }
        None
    }
    /// Takes more of what is fresh behind `first`, if it is little work; gives the end.
    fn batch(&mut self, first: TxIndex) -> TxIndex {
        let mut weight = self.weights[first as usize];
        // As long as there is enough for the others.
        let share = (self.limit() - first) / self.window.workers;
        let end = first + share.clamp(1, BATCH);
        while self.cursor < end {
            weight = weight.saturating_add(self.weights[self.cursor as usize]);
            if weight > BATCH_WEIGHT || !self.begin(self.cursor) {
                break;
            }
            self.cursor += 1;
        }
        self.cursor
    }
    /// Runs a fresh transaction, unless it has to wait.
    fn begin(&mut self, index: TxIndex) -> bool {
        let at = index as usize;
        if self.phases[at] != Phase::Fresh {
            return false;
        }
        if self.head_only[at] || self.blockers[at] > 0 {
            self.stats.waits += 1;
            self.phases[at] = if self.head_only[at] {
                Phase::Parked
            } else {
                Phase::Waiting
            };
            return false;
        }
        self.run(index);
        true
    }
    /// For tests: any task that may be done now, each as likely as the others.
    fn pick_any(&mut self) -> Option<Task> {
        for index in self.head..self.limit() {
            let fresh = self.phases[index as usize] == Phase::Fresh;
            if fresh && (self.head_only[index as usize] || self.blockers[index as usize] > 0) {
                self.begin(index);
            }
        }
        let open = |i: &TxIndex| matches!(self.phases[*i as usize], Phase::Fresh | Phase::Ready);
        let mut tasks: Vec<Task> = (self.head..self.limit())
            .filter(open)
            .map(|i| Task::Run(i..i + 1))
            .collect();
        if self.can_commit() {
            tasks.push(Task::Commit);
        }
        let seed = self.shuffle.as_mut()?;
        // SplitMix64.
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let at = (mixed ^ (mixed >> 31)) % u64::try_from(tasks.len().max(1)).ok()?;
        let task = (!tasks.is_empty()).then(|| tasks.swap_remove(at as usize))?;
        match &task {
            Task::Run(range) => self.run(range.start),
            Task::Commit => self.committing = true,
            Task::Done => {}
        }
        Some(task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A schedule of as many transactions as there are lists of who waits on each.
    fn schedule(followers: &[&[TxIndex]]) -> Scheduler {
        let len = followers.len();
        let mut plan = Plan {
            blockers: vec![0; len],
            followers: followers.iter().map(|list| Indexes::from_slice(list)).collect(),
            head_only: vec![false; len],
            weights: vec![BATCH_WEIGHT; len],
            expected: Vec::new(),
        };
        for follower in followers.iter().copied().flatten() {
            plan.blockers[*follower as usize] += 1;
        }
        Scheduler::new(&mut plan, 2, None, true)
    }
    const PLAIN: Commit = Commit {
        validated: false,
        aborted: false,
        spared: false,
    };
    fn run(index: TxIndex) -> Task {
        Task::Run(index..index + 1)
    }
    fn check(index: TxIndex) -> Head {
        Head::Check(index..index + 1)
    }

    #[test]
    fn whoever_finds_the_head_idle_commits() {
        let s = schedule(&[&[], &[], &[]]);
        assert_eq!(s.next(&mut Vec::new()), Task::Commit);
        assert_eq!(s.advance(&mut Vec::new()), Head::Run(0));
        // Meanwhile another runs ahead, and finishes one before the other.
        assert_eq!(s.next(&mut Vec::new()), run(1));
        assert_eq!(s.next(&mut vec![Report::Executed(1)]), run(2));
        assert_eq!(s.advance(&mut vec![PLAIN]), check(1));
        assert_eq!(
            s.advance(&mut vec![PLAIN]),
            Head::Rest,
            "the head is running elsewhere"
        );
        assert_eq!(s.next(&mut vec![Report::Executed(2)]), Task::Commit);
        assert_eq!(s.advance(&mut Vec::new()), check(2));
        assert_eq!(s.advance(&mut vec![PLAIN]), Head::Rest);
        assert_eq!(s.next(&mut Vec::new()), Task::Done);
        assert_eq!(
            s.stats(),
            Stats {
                executions: 3,
                ..Stats::default()
            }
        );
    }

    #[test]
    fn a_follower_begins_when_its_blocker_has_run() {
        let s = schedule(&[&[], &[2], &[], &[]]);
        assert_eq!(s.next(&mut Vec::new()), Task::Commit);
        assert_eq!(s.advance(&mut Vec::new()), Head::Run(0));
        assert_eq!(s.next(&mut Vec::new()), run(1));
        assert_eq!(s.next(&mut Vec::new()), run(3), "2 waits");
        assert_eq!(s.next(&mut vec![Report::Executed(1)]), run(2));
        assert_eq!(s.stats().waits, 1);
    }

    #[test]
    fn who_was_cut_short_before_waits_for_the_commit() {
        let s = schedule(&[&[], &[], &[], &[]]);
        assert_eq!(s.next(&mut Vec::new()), Task::Commit);
        assert_eq!(s.advance(&mut Vec::new()), Head::Run(0));
        assert_eq!([0; 3].map(|_| s.next(&mut Vec::new())), [run(1), run(2), run(3)]);
        let mut state = s.state.lock();
        state.take(&Report::Cut(3, Cut::On(1)));
        assert_eq!(state.phases[3], Phase::Parked);
        state.take(&Report::Executed(1));
        assert_eq!(state.pick(), Some(run(3)), "at once, the first time");
        state.take(&Report::Cut(3, Cut::On(1)));
        assert_eq!(state.pick(), None, "1 has executed, but may yet change");
        drop(state);
        assert_eq!(s.advance(&mut vec![PLAIN]), check(1));
        assert_eq!(s.advance(&mut vec![PLAIN]), Head::Rest, "2 is running elsewhere");
        assert_eq!(s.state.lock().pick(), Some(run(3)), "1 is committed");
        assert_eq!(
            s.stats(),
            Stats {
                executions: 6,
                waits: 2,
                ..Stats::default()
            }
        );
    }

    #[test]
    fn the_committer_takes_whatever_state_the_head_is_in() {
        let s = schedule(&[&[], &[], &[], &[]]);
        assert_eq!(s.next(&mut Vec::new()), Task::Commit);
        assert_eq!(s.advance(&mut Vec::new()), Head::Run(0));
        assert_eq!([0; 3].map(|_| s.next(&mut Vec::new())), [run(1), run(2), run(3)]);
        let mut state = s.state.lock();
        state.take(&Report::Cut(1, Cut::Head));
        state.take(&Report::Failed(2));
        state.take(&Report::Executed(3));
        assert_eq!(state.pick(), None, "neither can be run ahead again");
        drop(state);
        assert_eq!(
            [0; 4].map(|_| s.advance(&mut vec![PLAIN])),
            [Head::Run(1), Head::Run(2), check(3), Head::Rest]
        );
        assert_eq!(s.next(&mut Vec::new()), Task::Done);
    }

    #[test]
    fn the_window_follows_what_is_thrown_away() {
        let mut window = Window {
            size: 32,
            workers: 2,
            commits: 0,
            aborts: 0,
            calm: 0,
            patience: PROBE,
        };
        let mut period = |aborted| {
            (0..PERIOD).for_each(|i| {
                window.note(Commit {
                    validated: true,
                    aborted: i < aborted,
                    spared: false,
                });
            });
            window.size
        };
        assert_eq!([10; 6].map(&mut period), [16, 8, 4, 2, 1, 1]);
        // It was tried often enough in vain.
        assert_eq!([0; 127].map(&mut period), [1; 127]);
        assert_eq!([0, 1, 5, 0, 0, 0].map(&mut period), [2, 4, 4, 8, 16, 32]);
        assert_eq!([0, 0, 0, 9, 20, 20].map(&mut period), [64, 128, 128, 128, 16, 2]);
        // It went well in between, so the next try comes soon.
        assert_eq!([20; 2].map(&mut period), [1, 1]);
        assert_eq!([0; 64].map(&mut period)[63], 2);
        assert!(!window.serial());
    }
}
