//! What schedulers without any overhead of their own would make of a [`Trace`], on as many workers as one likes.
//!
//! Two of them: [`Policy::Ordered`] is ours, optimistic and in block order; [`Policy::Clairvoyant`] knows all costs and
//! needs beforehand, starts the job with the longest chain behind it first, and wastes nothing. No scheduler beats the
//! longer of [`critical_path`] and an even share of the whole.
use crate::trace::Trace;
use state::TxIndex;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// How far ahead of the first unfinished job our own scheduler goes at most, in jobs a worker: further ahead a guess is
/// seldom right.
pub const WINDOW: u32 = 64;

/// How jobs are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The first job in block order that is not running, at most `window` ahead of the first unfinished one. A job that
    /// starts before one it needs has ended runs for nothing, and again when that one is done.
    Ordered {
        /// How far ahead; 0 counts as 1.
        window: usize,
    },
    /// The job with the longest chain of needs behind it, once all it needs are done.
    Clairvoyant,
}

/// A run of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// On which worker.
    pub worker: usize,
    /// Which job.
    pub job: TxIndex,
    /// From when, in the trace's unit.
    pub start: u64,
    /// Until when.
    pub end: u64,
    /// Whether it was for nothing.
    pub wasted: bool,
}

/// What a policy made of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// All runs, by their end.
    pub runs: Vec<Run>,
    /// When the last one ended.
    pub end: u64,
}

/// The cost of all jobs, one after another.
pub fn total(trace: &Trace) -> u64 {
    trace.jobs.iter().map(|job| job.cost).sum()
}

/// The most expensive chain of jobs of which each needs the one before: its cost, and the jobs in order.
pub fn critical_path(trace: &Trace) -> (u64, Vec<TxIndex>) {
    let mut ends: Vec<u64> = Vec::with_capacity(trace.jobs.len());
    let mut from: Vec<Option<TxIndex>> = Vec::with_capacity(trace.jobs.len());
    for job in &trace.jobs {
        let longest = job
            .needs
            .iter()
            .map(|need| need.on)
            .max_by_key(|on| ends[*on as usize]);
        ends.push(job.cost + longest.map_or(0, |on| ends[on as usize]));
        from.push(longest);
    }
    let last = (0..).zip(&ends).max_by_key(|(_, end)| **end);
    let mut next = last.map(|(job, _): (TxIndex, _)| job);
    let mut path = Vec::new();
    while let Some(job) = next {
        path.push(job);
        next = from[job as usize];
    }
    path.reverse();
    (ends.into_iter().max().unwrap_or(0), path)
}

/// Plays `trace` on so many workers (0 counts as 1).
pub fn simulate(trace: &Trace, workers: usize, policy: Policy) -> Schedule {
    let mut play = Play::new(trace, policy);
    let mut idle: BTreeSet<usize> = (0..workers.max(1)).collect();
    let mut running = BinaryHeap::new();
    let (mut now, mut schedule) = (0, Schedule::default());
    loop {
        while let Some(worker) = idle.first().copied() {
            let Some((job, wasted)) = play.next() else { break };
            idle.remove(&worker);
            let end = now + trace.jobs[job as usize].cost;
            running.push(Reverse((end, job, worker, now, wasted)));
        }
        let Some(Reverse((end, job, worker, start, wasted))) = running.pop() else {
            break;
        };
        now = end;
        idle.insert(worker);
        play.ended(job, wasted);
        schedule.runs.push(Run {
            worker,
            job,
            start,
            end,
            wasted,
        });
    }
    schedule.end = now;
    schedule
}

/// What is done, and what may run.
struct Play<'a> {
    trace: &'a Trace,
    policy: Policy,
    done: Vec<bool>,
    /// The first job that is not done.
    head: usize,
    /// The cost of the longest chain from each job on; all alike where block order decides.
    ranks: Vec<u64>,
    /// Jobs that may be chosen, best first.
    ready: BTreeSet<(Reverse<u64>, TxIndex)>,
    /// How many needed jobs are not done, for those that wait.
    missing: BTreeMap<TxIndex, usize>,
    /// Who waits for each.
    waiters: Vec<Vec<TxIndex>>,
}

impl<'a> Play<'a> {
    fn new(trace: &'a Trace, policy: Policy) -> Self {
        let count = trace.jobs.len();
        let mut play = Self {
            trace,
            policy,
            done: vec![false; count],
            head: 0,
            ranks: ranks(trace, policy),
            ready: BTreeSet::new(),
            missing: BTreeMap::new(),
            waiters: vec![Vec::new(); count],
        };
        for job in (0..).take(count) {
            if policy != Policy::Clairvoyant || !play.waits(job) {
                play.ready.insert((Reverse(play.ranks[job as usize]), job));
            }
        }
        play
    }
    /// Notes what `job` still waits for; whether there is such.
    fn waits(&mut self, job: TxIndex) -> bool {
        let needs = self.trace.jobs[job as usize].needs.iter().map(|need| need.on);
        let open: BTreeSet<TxIndex> = needs.filter(|on| !self.done[*on as usize]).collect();
        for on in &open {
            self.waiters[*on as usize].push(job);
        }
        if !open.is_empty() {
            self.missing.insert(job, open.len());
        }
        !open.is_empty()
    }
    /// The next job to run, and whether that run will be for nothing.
    fn next(&mut self) -> Option<(TxIndex, bool)> {
        let (rank, job) = *self.ready.first()?;
        if let Policy::Ordered { window } = self.policy
            && job as usize >= self.head + window.max(1)
        {
            return None;
        }
        self.ready.remove(&(rank, job));
        let needs = &self.trace.jobs[job as usize].needs;
        Some((job, needs.iter().any(|need| !self.done[need.on as usize])))
    }
    fn ended(&mut self, job: TxIndex, wasted: bool) {
        if wasted {
            if !self.waits(job) {
                self.ready.insert((Reverse(self.ranks[job as usize]), job));
            }
            return;
        }
        self.done[job as usize] = true;
        while self.done.get(self.head) == Some(&true) {
            self.head += 1;
        }
        for waiter in std::mem::take(&mut self.waiters[job as usize]) {
            if let Some(left) = self.missing.get_mut(&waiter) {
                *left -= 1;
                if *left == 0 {
                    self.missing.remove(&waiter);
                    self.ready.insert((Reverse(self.ranks[waiter as usize]), waiter));
                }
            }
        }
    }
}

/// The cost of the longest chain from each job on; all alike where block order decides.
fn ranks(trace: &Trace, policy: Policy) -> Vec<u64> {
    let mut ranks = vec![0; trace.jobs.len()];
    if policy == Policy::Clairvoyant {
        for (job, traced) in trace.jobs.iter().enumerate().rev() {
            ranks[job] += traced.cost;
            for need in &traced.needs {
                let on = need.on as usize;
                ranks[on] = ranks[on].max(ranks[job]);
            }
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Need, NeedKind, Traced};
    use state::{Key, StoreId};

    /// A trace of jobs with these costs and needs.
    fn trace(jobs: &[(u64, &[TxIndex])]) -> Trace {
        let key = Key::new(StoreId::new("t"), &[b"k"]);
        let job = |(cost, needs): &(u64, &[TxIndex])| Traced {
            cost: *cost,
            needs: needs
                .iter()
                .map(|on| Need {
                    on: *on,
                    key: key.clone(),
                    kind: NeedKind::Read,
                })
                .collect(),
            changes: vec![key.clone()],
        };
        Trace {
            jobs: jobs.iter().map(job).collect(),
        }
    }
    fn end(trace: &Trace, workers: usize, policy: Policy) -> u64 {
        let schedule = simulate(trace, workers, policy);
        let good = schedule.runs.iter().filter(|run| !run.wasted);
        let mut jobs: Vec<_> = good.map(|run| run.job).collect();
        jobs.sort_unstable();
        assert_eq!(jobs, (0..).take(trace.jobs.len()).collect::<Vec<TxIndex>>());
        for (i, run) in schedule.runs.iter().enumerate() {
            assert_eq!(run.end - run.start, trace.jobs[run.job as usize].cost);
            for other in &schedule.runs[..i] {
                assert!(
                    other.worker != run.worker || other.end <= run.start,
                    "one at a time"
                );
            }
            if !run.wasted {
                for need in &trace.jobs[run.job as usize].needs {
                    let mut before = schedule.runs.iter().filter(|r| r.job == need.on && !r.wasted);
                    assert!(before.all(|r| r.end <= run.start), "after what it needs");
                }
            }
        }
        schedule.end
    }
    const WIDE: Policy = Policy::Ordered { window: 1000 };

    #[test]
    fn independent_jobs_are_shared_out_evenly() {
        let jobs = trace(&[(5, &[][..]); 64]);
        assert_eq!((total(&jobs), critical_path(&jobs).0), (320, 5));
        for policy in [WIDE, Policy::Clairvoyant] {
            for workers in [1, 2, 4, 64, 100] {
                assert_eq!(end(&jobs, workers, policy), 320 / workers.min(64) as u64);
            }
        }
    }

    #[test]
    fn a_chain_takes_as_long_on_any_number_of_workers() {
        let needs: Vec<[TxIndex; 1]> = (0..9).map(|i| [i]).collect();
        let mut jobs: Vec<(u64, &[TxIndex])> = vec![(3, &[])];
        jobs.extend(needs.iter().map(|n| (3, &n[..])));
        let jobs = trace(&jobs);
        assert_eq!(critical_path(&jobs), (30, (0..10).collect()));
        for workers in [1, 2, 8] {
            assert_eq!(end(&jobs, workers, Policy::Clairvoyant), 30);
            // Optimism wastes runs, and the chain still advances with each.
            assert!(end(&jobs, workers, WIDE) >= 30);
        }
        assert_eq!(end(&jobs, 1, WIDE), 30);
    }

    #[test]
    fn the_clairvoyant_starts_the_long_chain_first_and_the_ordered_keeps_to_its_window() {
        // Four short ones, then a long chain of two.
        let jobs: [(u64, &[TxIndex]); 6] = [(2, &[]), (2, &[]), (2, &[]), (2, &[]), (4, &[]), (4, &[4])];
        let jobs = trace(&jobs);
        assert_eq!(end(&jobs, 2, Policy::Clairvoyant), 8);
        assert!(end(&jobs, 2, WIDE) > 8);
        // With a window of one nothing runs beside anything.
        assert_eq!(end(&jobs, 2, Policy::Ordered { window: 1 }), total(&jobs));
        assert_eq!(end(&jobs, 2, Policy::Ordered { window: 0 }), total(&jobs));
    }

    #[test]
    fn a_job_that_starts_too_early_runs_twice() {
        let jobs: [(u64, &[TxIndex]); 2] = [(10, &[]), (4, &[0])];
        let jobs = trace(&jobs);
        let schedule = simulate(&jobs, 2, WIDE);
        let wasted: Vec<_> = schedule.runs.iter().filter(|run| run.wasted).collect();
        assert_eq!(wasted.len(), 1);
        assert_eq!((wasted[0].job, wasted[0].end, schedule.end), (1, 4, 14));
        assert_eq!(simulate(&Trace::default(), 2, WIDE), Schedule::default());
    }
}
