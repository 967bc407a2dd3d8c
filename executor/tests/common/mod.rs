//! Small programs as jobs, blocks of them made from a seed, and "parallel equals serial".
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate of its own and uses a part"
)]
use executor::{
    BlockInput, DeferredKeys, ExecError, Executed, Executor, Faults, Job, Outcome, Parallel, Serial, Settle,
    Stats, View,
};
use state::{
    Access, Control, Deferral, Delta, Key, KeyRange, MemoryState, Overlay, StateError, StateRead, StateScan,
    StateWrite, StoreId, TxIndex, Value, WriteSet, decode_amount,
};
use types::U256;

pub const STORE: StoreId = StoreId::new("test");
/// The thread counts at which every block is run.
pub const THREADS: [usize; 4] = [1, 2, 4, 8];

/// An amount's key.
pub fn amount(id: u8) -> Key {
    Key::new(STORE, &[b"a", &[id]])
}
/// A plain value's key.
pub fn word(id: u8) -> Key {
    Key::new(STORE, &[b"w", &[id]])
}
/// A deferred amount's key.
pub fn fees() -> Key {
    Key::new(STORE, &[b"f"])
}
/// A deferred queue's key.
pub fn queue(id: u8) -> Key {
    Key::new(STORE, &[b"q", &[id]])
}
pub fn deferred() -> DeferredKeys {
    DeferredKeys {
        keys: vec![fees()],
        prefixes: vec![(STORE, b"q".to_vec())],
    }
}
/// The words from `from` up to, and without, `to`.
pub fn words(from: u8, to: u8) -> KeyRange {
    KeyRange {
        store: STORE,
        start: vec![b'w', from],
        end: Some(vec![b'w', to]),
        descending: false,
    }
}

/// One step of a program. All that is read goes into the program's digest, and words written are made from it.
#[derive(Clone, Debug)]
pub enum Step {
    Get(Key),
    /// Reads the word that the digest picks out of this many.
    GetAny(u8),
    Put(Key),
    PutAny(u8),
    PutValue(Key, Value),
    Delete(Key),
    /// Adds without looking.
    Add(Key, u64),
    /// Adds, possibly below zero, without looking.
    Take(Key, u64),
    /// Reads one more than is there.
    Increment(Key),
    /// Moves an amount, if it is there, with blind adds.
    Move(Key, Key, u64),
    /// Visits at most so many.
    Scan(KeyRange, usize),
    /// Reads, in the middle of a scan, each key visited.
    ScanAndGet(KeyRange),
    DeferAdd(Key, u64),
    DeferAppend(Key),
    /// Drops all writes if the digest divides by this: a failed transaction.
    FailIf(u64),
    /// Skips the rest if the digest divides by this.
    StopIf(u64),
    /// Panics unless the two words are equal or absent together.
    AssertEqual(Key, Key),
    /// Reads, and hides an error.
    GetHidingErrors(Key),
    Panic,
    /// Takes a while.
    Spin(u32),
}

/// A program with declared access.
#[derive(Clone, Debug, Default)]
pub struct Program {
    pub steps: Vec<Step>,
    pub access: Access,
}

impl Program {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            access: Access::default(),
        }
    }
    /// The same, declaring what its steps name.
    pub fn declared(mut self) -> Self {
        let access = &mut self.access;
        access.complete = true;
        for step in &self.steps {
            match step.clone() {
                Step::Get(k) | Step::GetHidingErrors(k) => access.reads.push(k),
                Step::Put(k) | Step::PutValue(k, _) | Step::Delete(k) | Step::Increment(k) => {
                    access.writes.push(k);
                }
                Step::Add(k, _) | Step::Take(k, _) => access.adds.push(k),
                Step::Move(from, to, _) => {
                    access.writes.push(from);
                    access.adds.push(to);
                }
                Step::Scan(range, _) | Step::ScanAndGet(range) => access.ranges.push(range),
                Step::AssertEqual(a, b) => access.reads.extend([a, b]),
                Step::GetAny(_) | Step::PutAny(_) => access.complete = false,
                _ => {}
            }
        }
        self
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Digest(u64);

impl Digest {
    fn mix(&mut self, bytes: &[u8]) {
        for b in bytes.iter().chain(&[0x5c]) {
            self.0 = (self.0 ^ u64::from(*b))
                .wrapping_mul(0x0100_0000_01b3)
                .rotate_left(23);
        }
    }
    fn read(&mut self, value: Option<&Value>) {
        match value {
            Some(v) => self.mix(v),
            None => self.mix(b"absent"),
        }
    }
}

impl Job for Program {
    type Output = u64;
    type Scratch<'b> = Vec<u8>;
    fn access(&self) -> &Access {
        &self.access
    }
    fn run<'b>(&'b self, view: &'b dyn View, scratch: &mut Vec<u8>) -> Result<Outcome<u64>, StateError> {
        scratch.clear();
        let mut state = Overlay::new(view);
        let mut digest = Digest(7);
        for step in &self.steps {
            match step {
                Step::Get(key) => digest.read(state.get(key)?.as_ref()),
                Step::GetHidingErrors(key) => match state.get(key) {
                    Ok(value) => digest.read(value.as_ref()),
                    Err(_) => digest.mix(b"error"),
                },
                Step::GetAny(n) => {
                    let at = word((digest.0 % u64::from(*n)) as u8);
                    digest.read(state.get(&at)?.as_ref());
                }
                Step::Put(key) => state.put(key.clone(), Value::from(digest.0.to_string())),
                Step::PutAny(n) => {
                    let at = word((digest.0 % u64::from(*n)) as u8);
                    state.put(at, Value::from(digest.0.to_string()));
                }
                Step::PutValue(key, value) => state.put(key.clone(), value.clone()),
                Step::Delete(key) => state.delete(key.clone()),
                Step::Add(key, n) => state.add(key.clone(), Delta::plus(U256::from(*n))),
                Step::Take(key, n) => state.add(key.clone(), Delta::minus(U256::from(*n))),
                Step::Increment(key) => {
                    let before = decode_amount(key, state.get(key)?.as_ref())?;
                    digest.mix(&before.to_be_bytes::<32>());
                    state.put(key.clone(), Value::from((before + U256::from(1)).to_string()));
                }
                Step::Move(from, to, n) => {
                    let have = decode_amount(from, state.get(from)?.as_ref())?;
                    digest.mix(&have.to_be_bytes::<32>());
                    if have >= U256::from(*n) {
                        state.add(from.clone(), Delta::minus(U256::from(*n)));
                        state.add(to.clone(), Delta::plus(U256::from(*n)));
                    }
                }
                Step::Scan(range, most) => {
                    let mut left = *most;
                    state.scan(range, &mut |key, value| {
                        digest.mix(key.bytes());
                        digest.mix(value);
                        left -= 1;
                        if left == 0 {
                            Control::Break(())
                        } else {
                            Control::Continue(())
                        }
                    })?;
                }
                Step::ScanAndGet(range) => {
                    let mut error = None;
                    state.scan(range, &mut |key, value| match state.get(key) {
                        Ok(got) => {
                            assert_eq!(got.as_ref(), Some(value), "a scan and a read of {key:?} differ");
                            digest.mix(value);
                            Control::Continue(())
                        }
                        Err(e) => {
                            error = Some(e);
                            Control::Break(())
                        }
                    })?;
                    error.map_or(Ok(()), Err)?;
                }
                Step::DeferAdd(key, n) => {
                    state.defer(Deferral::Add(key.clone(), Delta::plus(U256::from(*n))));
                }
                Step::DeferAppend(key) => {
                    state.defer(Deferral::Append(
                        key.clone(),
                        Value::from(format!("{},", digest.0 % 100)),
                    ));
                }
                Step::FailIf(n) if digest.0.is_multiple_of(*n) => {
                    return Ok(Outcome {
                        changes: Vec::new(),
                        writes: WriteSet::new(),
                        deferred: Vec::new(),
                        output: digest.0,
                    });
                }
                Step::StopIf(n) if digest.0.is_multiple_of(*n) => break,
                Step::FailIf(_) | Step::StopIf(_) => {}
                Step::AssertEqual(a, b) => {
                    let (va, vb) = (state.get(a)?, state.get(b)?);
                    assert_eq!(va, vb, "{a:?} and {b:?} differ");
                    digest.read(va.as_ref());
                }
                Step::Panic => panic!("a job panics"),
                Step::Spin(n) => (0..*n).for_each(|_| std::hint::spin_loop()),
            }
        }
        let buffered = state.finish()?;
        Ok(Outcome {
            changes: Vec::new(),
            writes: buffered.writes,
            deferred: buffered.deferred,
            output: digest.0,
        })
    }
}

/// Numbers what comes, and cuts off what would go beyond a limit: a job costs up to eight, by its digest.
#[derive(Clone, Debug)]
pub struct Meter {
    pub used: u64,
    pub limit: u64,
    pub seen: Vec<TxIndex>,
}

impl Meter {
    pub fn new(limit: u64) -> Self {
        Self {
            used: 0,
            limit,
            seen: Vec::new(),
        }
    }
}

impl Settle<Program> for Meter {
    fn skip(&mut self, _: TxIndex, _: &Program) -> Option<Outcome<u64>> {
        (self.used >= self.limit).then(|| Outcome {
            changes: Vec::new(),
            writes: WriteSet::new(),
            deferred: Vec::new(),
            output: 0,
        })
    }
    fn settle(&mut self, index: TxIndex, _: &Program, outcome: &mut Outcome<u64>) -> Result<(), StateError> {
        self.seen.push(index);
        let cost = outcome.output % 8 + 1;
        if self.used + cost > self.limit {
            outcome.writes.clear();
            outcome.deferred.clear();
            outcome.output = 0;
        } else {
            self.used += cost;
            // Numbers are given out in order: no run can know them.
            outcome
                .writes
                .insert(word(250), state::Op::Put(Value::from(self.used.to_string())));
        }
        Ok(())
    }
}

/// Leaves all as it is.
pub struct Nothing;

impl Settle<Program> for Nothing {
    fn settle(&mut self, _: TxIndex, _: &Program, _: &mut Outcome<u64>) -> Result<(), StateError> {
        Ok(())
    }
}

/// Runs a block.
pub fn run(
    executor: &impl Executor,
    base: &(dyn StateScan + Sync),
    jobs: &[Program],
    settle: &mut dyn Settle<Program>,
) -> Result<Executed<u64>, ExecError> {
    executor.execute(
        &BlockInput {
            base,
            jobs,
            deferred: &deferred(),
        },
        settle,
    )
}

/// A result to compare: all but the counters.
pub type Plain = Result<(Vec<u64>, WriteSet), String>;

pub fn plain(result: Result<Executed<u64>, ExecError>) -> (Plain, Stats) {
    match result {
        Ok(done) => (Ok((done.outputs, done.writes)), done.stats),
        Err(error) => (Err(error.to_string()), Stats::default()),
    }
}

/// The one check: the block gives the same serially and at every thread count, with and without a gas limit; and with
/// one thread that picks its work in an order drawn from `seed`.
pub fn parallel_equals_serial(base: &(dyn StateScan + Sync), jobs: &[Program], seed: u64) -> Plain {
    // Without its short cuts.
    let executors = THREADS.map(|threads| Parallel::new(threads).with_faults(Faults::default()));
    let shuffled = Faults {
        shuffle: Some(seed),
        ..Faults::default()
    };
    let one = Parallel::new(1);
    let others = [one.clone(), one.with_faults(shuffled)];
    let mut first = None;
    for limit in [u64::MAX, 2 * jobs.len() as u64] {
        let mut meter = Meter::new(limit);
        let (want, _) = plain(run(&Serial, base, jobs, &mut meter));
        for executor in executors.iter().chain(&others) {
            let mut other = Meter::new(limit);
            let (got, stats) = plain(run(executor, base, jobs, &mut other));
            let what = format!("{executor:?}, limit {limit}, BRAID_SEED={seed}");
            assert_eq!(got, want, "{what}");
            if want.is_err() {
                // What only the sum of adds shows may come to light when more has settled.
                assert!(other.seen.starts_with(&meter.seen), "settled otherwise: {what}");
            } else {
                assert_eq!(
                    (&other.seen, other.used),
                    (&meter.seen, meter.used),
                    "settled otherwise: {what}"
                );
            }
            assert_eq!(stats.fallbacks, 0, "{what}");
        }
        first.get_or_insert(want);
    }
    first.expect("two limits")
}

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    pub fn byte(&mut self, n: u8) -> u8 {
        self.below(u64::from(n)) as u8
    }
}

/// The seeds to try: `BRAID_SEED` alone where it is set, else `count` from a fixed start.
#[allow(
    clippy::disallowed_methods,
    reason = "tests only: replays what a failed run printed"
)]
pub fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("BRAID_SEED") {
        Ok(seed) => vec![seed.parse().expect("BRAID_SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}

/// State with a few of everything.
pub fn some_state(rng: &mut Rng) -> MemoryState {
    let mut base = MemoryState::default();
    for id in 0..8 {
        if rng.below(4) > 0 {
            base.0
                .insert(amount(id), Value::from((1 + rng.below(50)).to_string()));
        }
    }
    for id in 0..24 {
        if rng.below(2) == 0 {
            base.0.insert(word(id), Value::from(rng.below(1000).to_string()));
        }
    }
    base.0.insert(fees(), Value::from("1000"));
    base
}

/// A block of `len` programs over few keys, so that they meet: `heat` is how many keys of a kind there are (up to 24).
pub fn some_block(rng: &mut Rng, len: usize, heat: u8) -> Vec<Program> {
    (0..len)
        .map(|_| {
            let steps = (0..1 + rng.below(6))
                .map(|_| some_step(rng, heat))
                .collect::<Vec<_>>();
            let program = Program::new(steps);
            // Some say what they touch, some do not, some lie.
            match rng.below(4) {
                0 | 1 => program.declared(),
                2 => program,
                _ => Program {
                    access: Program::new([some_step(rng, heat)]).declared().access,
                    ..program
                },
            }
        })
        .collect()
}

fn some_step(rng: &mut Rng, heat: u8) -> Step {
    let (w, a) = (word(rng.byte(heat)), amount(rng.byte(heat.min(8))));
    let to = amount(rng.byte(heat.min(8)));
    let n = 1 + rng.below(20);
    let from = rng.byte(heat);
    let range = words(from, from + 1 + rng.byte(heat));
    let range = if rng.below(2) == 0 {
        range
    } else {
        range.descending()
    };
    match rng.below(36) {
        0..=3 => Step::Get(w),
        4..=5 => Step::GetAny(heat),
        6..=8 => Step::Put(w),
        9..=10 => Step::PutAny(heat),
        11 => Step::PutValue(w, Value::from("same")),
        12..=13 => Step::Delete(w),
        14..=16 => Step::Add(a, n),
        17..=20 => Step::Move(a, to, n),
        21..=22 => Step::Increment(a),
        23..=24 => Step::Scan(range, 1 + rng.below(4) as usize),
        25 => Step::Scan(range, usize::MAX),
        26 => Step::ScanAndGet(range),
        27..=28 => Step::DeferAdd(fees(), n),
        29 => Step::DeferAppend(queue(rng.byte(3))),
        30 => {
            if rng.below(3) == 0 {
                Step::Get(fees())
            } else {
                Step::Get(a)
            }
        }
        31 => {
            if rng.below(3) == 0 {
                Step::Scan(KeyRange::prefix(STORE, b"q"), 9)
            } else {
                Step::Get(w)
            }
        }
        32 => {
            if rng.below(3) == 0 {
                Step::Move(fees(), to, n)
            } else {
                Step::Move(to, a, n)
            }
        }
        33 => Step::FailIf(3),
        34 => Step::StopIf(3),
        _ => Step::Spin(200),
    }
}
