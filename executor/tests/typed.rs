//! Blocks over typed places, made from seeds, give the same serially and in parallel. `BRAID_SEED=n` replays one.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;

use common::{Plain, Rng, plain, seeds};
use executor::{
    BlockInput, Change, DeferredKeys, Executor, Faults, Job, Layout, Outcome, Parallel, Place, Serial,
    Settle, Stats, To, View,
};
use state::{
    Access, Control, Deferral, Delta, Key, KeyRange, MemoryState, Op, StateError, StoreId, TxIndex, Value,
    WriteSet, decode_amount, encode_amount,
};
use std::collections::BTreeMap;
use types::{Address, U256};

const RECORDS: StoreId = StoreId::new("records");
const BANK: StoreId = StoreId::new("bank");
const CODE: StoreId = StoreId::new("code");
/// The account whose balance settles late.
const LATE: u8 = 200;
/// Slots that an account has.
const SLOTS: u64 = 3;

fn who(id: u8) -> Address {
    Address::repeat_byte(id)
}
fn nonce(id: u8) -> Key {
    Book.key(&Place::Nonce(who(id)))
}
fn balance(id: u8) -> Key {
    Book.key(&Place::Balance(who(id)))
}
fn code(id: u8) -> Key {
    Book.key(&Place::Code(who(id)))
}
fn slot(id: u8, slot: u64) -> Key {
    Book.key(&Place::Slot(who(id), U256::from(slot)))
}
/// A key that is no typed place, among those that are.
fn other(id: u8) -> Key {
    Key::new(BANK, &[b"o", &[id]])
}

/// Where the typed places are. A nonce is the end of a record with more in front; a balance is decimal text; the rest
/// are words, of which zeros in front may be missing.
struct Book;

impl Layout for Book {
    fn place(&self, key: &Key) -> Option<Place> {
        let (kind, rest) = key.bytes().split_first()?;
        let (address, rest) = rest.split_at_checked(20)?;
        let who = Address::from_slice(address);
        match (kind, rest.len()) {
            (b'r', 0) if key.store() == RECORDS => Some(Place::Nonce(who)),
            (b'b', 0) if key.store() == BANK => Some(Place::Balance(who)),
            (b'c', 0) if key.store() == CODE => Some(Place::Code(who)),
            (b's', 32) if key.store() == CODE => Some(Place::Slot(who, U256::from_be_slice(rest))),
            _ => None,
        }
    }
    fn key(&self, place: &Place) -> Key {
        match place {
            Place::Nonce(who) => Key::new(RECORDS, &[b"r", who.as_slice()]),
            Place::Balance(who) => Key::new(BANK, &[b"b", who.as_slice()]),
            Place::Code(who) => Key::new(CODE, &[b"c", who.as_slice()]),
            Place::Slot(who, slot) => Key::new(CODE, &[b"s", who.as_slice(), &slot.to_be_bytes::<32>()]),
        }
    }
    fn decode(&self, place: &Place, value: Option<&Value>) -> Result<U256, StateError> {
        let Some(value) = value else { return Ok(U256::ZERO) };
        let corrupt = || StateError::Corrupt {
            key: self.key(place),
            why: "not of this length".into(),
        };
        match place {
            Place::Balance(_) => decode_amount(&self.key(place), Some(value)),
            Place::Nonce(_) => {
                let nonce = value.last_chunk().ok_or_else(corrupt)?;
                Ok(U256::from(u64::from_be_bytes(*nonce)))
            }
            _ => U256::try_from_be_slice(value).ok_or_else(corrupt),
        }
    }
    fn encode(&self, place: &Place, word: U256, under: Option<&Value>) -> Result<Option<Value>, StateError> {
        match place {
            Place::Balance(_) => Ok(encode_amount(word)),
            Place::Nonce(_) => {
                let range = |_| StateError::Range { key: self.key(place) };
                let nonce = u64::try_from(word).map_err(range)?;
                let rest = under.map_or(&b"new"[..], |under| &under[..under.len().saturating_sub(8)]);
                Ok(Some(record(rest, nonce)))
            }
            _ => Ok((!word.is_zero()).then(|| Value::copy_from_slice(&word.to_be_bytes::<32>()))),
        }
    }
}

fn record(rest: &[u8], nonce: u64) -> Value {
    [rest, &nonce.to_be_bytes()].concat().into()
}

/// One step of a job. All that is read goes into the job's digest, which is its output.
#[derive(Clone, Debug)]
enum Step {
    /// A payment as the chain's short cut makes it: from, to, value, fee, and the nonce if it has to be that one.
    Pay(u8, u8, u64, u64, Option<u64>),
    /// A transfer as the machine makes it, which has read both accounts.
    Transfer(u8, u8, u64),
    /// Reads an account, and sets a slot of another to what was there.
    Note(u8, u8, u64),
    /// One more in a slot, whose account is looked for by this number, if any.
    Count(u8, u64, Option<u32>),
    /// Goes from slot to slot by what is there, and sets where it ends.
    Chase(u8, u64, u64),
    /// Sets the code, or takes it away if the digest divides by this.
    Code(u8, u64),
    /// Reads an account twice, which may differ in no run that counts.
    Twice(u8),
    Get(Key),
    Put(Key, Value),
    Delete(Key),
    /// Adds without looking.
    Add(Key, u64),
    /// Takes away without looking.
    Take(Key, u64),
    /// Moves by key, if it is there.
    Move(u8, u8, u64),
    /// Visits at most so many.
    Scan(KeyRange, usize),
    Defer(u64),
    /// The job is invalid if its digest divides by this.
    FailIf(u64),
    Spin(u32),
}

#[derive(Clone, Debug, Default)]
struct Script {
    /// Where its digest begins.
    salt: u64,
    steps: Vec<Step>,
    access: Access,
    lane: Option<[u8; 1]>,
    weight: u64,
}

/// What a script has done so far.
#[derive(Default)]
struct Draft {
    changes: BTreeMap<Place, (u32, To)>,
    writes: WriteSet,
    deferred: Vec<Deferral>,
    digest: u64,
}

impl Draft {
    fn mix(&mut self, bytes: &[u8]) {
        for b in bytes.iter().chain(&[0x5c]) {
            self.digest = (self.digest ^ u64::from(*b))
                .wrapping_mul(0x0100_0000_01b3)
                .rotate_left(23);
        }
    }
    fn mix_word(&mut self, word: U256) {
        self.mix(&word.to_be_bytes::<32>());
    }
    fn mix_value(&mut self, value: Option<&Value>) {
        self.mix(value.map_or(b"absent", |v| v));
    }
    /// Each place is changed once, by its name or by its key: what comes first stays.
    fn change(&mut self, place: Place, id: u32, to: To) {
        if !self.writes.contains_key(&Book.key(&place)) {
            self.changes.entry(place).or_insert((id, to));
        }
    }
    fn write(&mut self, key: Key, op: Op) {
        let typed = Book.place(&key);
        if typed.is_none_or(|place| !self.changes.contains_key(&place)) {
            self.writes.entry(key).or_insert(op);
        }
    }
    fn set(&mut self, place: Place, id: u32, word: U256) {
        self.change(place, id, To::Set(word));
    }
    fn add(&mut self, id: u8, number: u32, delta: Delta) {
        self.change(Place::Balance(who(id)), number, To::Add(delta));
    }
    fn account(&mut self, view: &dyn View, id: u8) -> Result<executor::Account, StateError> {
        let account = view.account(&who(id))?;
        self.mix(&account.nonce.to_be_bytes());
        self.mix_word(account.balance);
        self.mix(account.code_hash.as_slice());
        Ok(account)
    }
    fn slot(&mut self, view: &dyn View, id: u8, number: u32, slot: u64) -> Result<U256, StateError> {
        let word = view.slot(&who(id), number, U256::from(slot))?;
        self.mix_word(word);
        Ok(word)
    }
    /// Makes a step; false where the job is invalid.
    fn step(&mut self, view: &dyn View, step: &Step) -> Result<bool, StateError> {
        match step {
            Step::Pay(from, to, value, fee, nonce) => {
                let spent = U256::from(value + fee);
                let payer = view.payer(&who(*from), spent)?;
                self.mix(&payer.nonce.to_be_bytes());
                self.mix(payer.code_hash.as_slice());
                self.mix(&[u8::from(payer.funded)]);
                let next = nonce.is_none_or(|nonce| nonce == payer.nonce);
                if !payer.funded || !next || !payer.code_hash.is_zero() {
                    return Ok(false);
                }
                let (id, code_hash) = view.code_hash(&who(*to))?;
                self.mix(code_hash.as_slice());
                if !code_hash.is_zero() {
                    return Ok(false);
                }
                let nonce = U256::from(payer.nonce) + U256::from(1);
                self.set(Place::Nonce(who(*from)), payer.id, nonce);
                self.add(*from, payer.id, Delta::minus(spent));
                self.add(*to, id, Delta::plus(U256::from(*value)));
                self.defer(*fee);
            }
            Step::Transfer(from, to, value) => {
                let (from_is, to_is) = (self.account(view, *from)?, self.account(view, *to)?);
                let Some(left) = from_is.balance.checked_sub(U256::from(*value)) else {
                    return Ok(false);
                };
                self.set(Place::Balance(who(*from)), from_is.id, left);
                if from != to {
                    let more = to_is.balance + U256::from(*value);
                    self.set(Place::Balance(who(*to)), to_is.id, more);
                }
            }
            Step::Note(of, to, slot) => {
                self.account(view, *of)?;
                let (id, _) = view.code_hash(&who(*to))?;
                let place = Place::Slot(who(*to), U256::from(*slot));
                self.set(place, id, U256::from(self.digest));
            }
            Step::Count(of, slot, number) => {
                let id = match number {
                    Some(number) => *number,
                    None => view.code_hash(&who(*of))?.0,
                };
                let before = self.slot(view, *of, id, *slot)?;
                let place = Place::Slot(who(*of), U256::from(*slot));
                self.set(place, id, before.wrapping_add(U256::from(1)));
            }
            Step::Chase(of, slot, accounts) => {
                let (mut at, mut slot) = (*of, *slot);
                for _ in 0..3 {
                    let (id, _) = view.code_hash(&who(at))?;
                    self.slot(view, at, id, slot)?;
                    at = 1 + (self.digest % accounts) as u8;
                    slot = (self.digest >> 9) % SLOTS;
                }
                let (id, _) = view.code_hash(&who(at))?;
                let place = Place::Slot(who(at), U256::from(slot));
                self.set(place, id, U256::from(self.digest % 7));
            }
            Step::Code(of, n) => {
                let (id, before) = view.code_hash(&who(*of))?;
                self.mix(before.as_slice());
                let gone = self.digest.is_multiple_of(*n);
                let word = if gone { U256::ZERO } else { U256::from(self.digest) };
                self.set(Place::Code(who(*of)), id, word);
            }
            Step::Twice(of) => {
                if self.account(view, *of)? != self.account(view, *of)? {
                    return Err(StateError::Storage("two answers".into()));
                }
            }
            Step::Get(key) => self.mix_value(view.get(key)?.as_ref()),
            Step::Put(key, value) => self.write(key.clone(), Op::Put(value.clone())),
            Step::Delete(key) => self.write(key.clone(), Op::Delete),
            Step::Add(key, n) => self.write(key.clone(), Op::Add(Delta::plus(U256::from(*n)))),
            Step::Take(key, n) => self.write(key.clone(), Op::Add(Delta::minus(U256::from(*n)))),
            Step::Move(from, to, n) => {
                let key = balance(*from);
                let have = decode_amount(&key, view.get(&key)?.as_ref())?;
                self.mix_word(have);
                if have >= U256::from(*n) {
                    self.write(key, Op::Add(Delta::minus(U256::from(*n))));
                    self.write(balance(*to), Op::Add(Delta::plus(U256::from(*n))));
                }
            }
            Step::Scan(range, most) => {
                let mut left = *most;
                view.scan(range, &mut |key, value| {
                    self.mix(key.bytes());
                    self.mix(value);
                    left -= 1;
                    if left == 0 {
                        Control::Break(())
                    } else {
                        Control::Continue(())
                    }
                })?;
            }
            Step::Defer(n) => self.defer(*n),
            Step::FailIf(n) => return Ok(!self.digest.is_multiple_of(*n)),
            Step::Spin(n) => (0..*n).for_each(|_| std::hint::spin_loop()),
        }
        Ok(true)
    }
    fn defer(&mut self, n: u64) {
        let delta = Delta::plus(U256::from(n));
        self.deferred.push(Deferral::Add(balance(LATE), delta));
    }
}

impl Job for Script {
    type Output = u64;
    type Scratch<'b> = ();
    fn access(&self) -> &Access {
        &self.access
    }
    fn lane(&self) -> Option<&[u8]> {
        self.lane.as_ref().map(|lane| &lane[..])
    }
    fn weight(&self) -> u64 {
        self.weight
    }
    fn layout(&self) -> Option<&dyn Layout> {
        Some(&Book)
    }
    fn announce(&self, visit: &mut dyn FnMut(&Address)) {
        for step in &self.steps {
            if let Step::Pay(from, to, ..) = step {
                visit(&who(*from));
                visit(&who(*to));
            }
        }
    }
    fn run<'b>(&'b self, view: &'b dyn View, (): &mut ()) -> Result<Outcome<u64>, StateError> {
        let mut draft = Draft {
            digest: self.salt,
            ..Draft::default()
        };
        for step in &self.steps {
            if !draft.step(view, step)? {
                return Ok(Outcome {
                    output: draft.digest,
                    ..Outcome::default()
                });
            }
        }
        let changes = draft.changes.into_iter();
        Ok(Outcome {
            changes: changes
                .map(|(place, (id, to))| Change { place, id, to })
                .collect(),
            writes: draft.writes,
            deferred: draft.deferred,
            output: draft.digest,
        })
    }
}

/// Takes away what some jobs changed, numbers others, and ends the block at a limit.
struct Clerk {
    used: u64,
    limit: u64,
    seen: Vec<TxIndex>,
}

impl Settle<Script> for Clerk {
    fn skip(&mut self, _: TxIndex, _: &Script) -> Option<Outcome<u64>> {
        (self.used >= self.limit).then(Outcome::default)
    }
    fn settle(&mut self, index: TxIndex, _: &Script, outcome: &mut Outcome<u64>) -> Result<(), StateError> {
        self.seen.push(index);
        self.used += outcome.output % 8 + 1;
        match outcome.output % 24 {
            0 | 1 => {
                outcome.changes.clear();
                outcome.writes.clear();
                outcome.deferred.clear();
            }
            2 => outcome.changes.clear(),
            3 => {
                let number = Value::from(self.used.to_string());
                outcome.writes.insert(other(250), Op::Put(number));
            }
            _ => {}
        }
        Ok(())
    }
}

/// A block to run.
struct Block {
    base: MemoryState,
    jobs: Vec<Script>,
    deferred: DeferredKeys,
}

impl Block {
    fn of(jobs: Vec<Script>) -> Self {
        Self {
            base: MemoryState::default(),
            jobs,
            deferred: DeferredKeys::default(),
        }
    }
    fn run(&self, executor: &impl Executor, limit: u64) -> (Plain, Stats, Clerk) {
        let mut clerk = Clerk {
            used: 0,
            limit,
            seen: Vec::new(),
        };
        let input = BlockInput {
            base: &self.base,
            jobs: &self.jobs,
            deferred: &self.deferred,
        };
        let (result, stats) = plain(executor.execute(&input, &mut clerk));
        (result, stats, clerk)
    }
}

/// How many accounts and jobs.
#[derive(Clone, Copy)]
struct Kind {
    accounts: u8,
    jobs: u64,
    /// Whether some jobs break the state.
    broken: bool,
    /// Whether nearly all jobs need the one before.
    chained: bool,
}

impl Kind {
    fn sound(accounts: u8, jobs: u64) -> Self {
        Self {
            accounts,
            jobs,
            broken: false,
            chained: false,
        }
    }
}

fn some_block(rng: &mut Rng, kind: Kind) -> Block {
    let mut base = MemoryState::default();
    for id in 1..=kind.accounts {
        let mut put = |key, value: Option<Value>| value.and_then(|value| base.0.insert(key, value));
        if rng.below(3) > 0 {
            put(nonce(id), Some(record(b"old", rng.below(3))));
        }
        if rng.below(6) == 0 {
            put(code(id), Some(Value::from(vec![7; 32])));
        }
        put(balance(id), encode_amount(U256::from(rng.below(120))));
        for at in 0..SLOTS {
            put(
                slot(id, at),
                (rng.below(2) == 0).then(|| Value::from(vec![9; 32])),
            );
        }
    }
    base.0.insert(balance(LATE), Value::from_static(b"1000"));
    let mut nonces = vec![0; usize::from(kind.accounts) + 1];
    for id in 1..=kind.accounts {
        let start = Book.decode(&Place::Nonce(who(id)), base.0.get(&nonce(id)));
        nonces[usize::from(id)] = u64::try_from(start.unwrap()).unwrap();
    }
    let len = 1 + rng.below(kind.jobs);
    let mut jobs: Vec<_> = (0..len).map(|_| some_script(rng, kind, &mut nonces)).collect();
    if rng.below(4) == 0 {
        // Two workers leave these to one.
        jobs.iter_mut().for_each(|job| job.weight = 21_000);
    }
    // Late by its key or by a prefix.
    let deferred = if rng.below(2) == 0 {
        DeferredKeys {
            keys: vec![balance(LATE)],
            prefixes: Vec::new(),
        }
    } else {
        DeferredKeys {
            keys: Vec::new(),
            prefixes: vec![(BANK, vec![b'b', LATE])],
        }
    };
    Block { base, jobs, deferred }
}

fn some_script(rng: &mut Rng, kind: Kind, nonces: &mut [u64]) -> Script {
    let mut script = Script {
        salt: rng.next(),
        weight: [21_000, 100_000, 900_000][rng.below(3) as usize],
        ..Script::default()
    };
    if kind.chained && rng.below(16) > 0 {
        script.steps = vec![Step::Count(1, 0, None), some_step(rng, kind)];
        return script;
    }
    if rng.below(2) == 0 {
        // A payment and nothing else, as most of a block is.
        let from = 1 + rng.byte(kind.accounts);
        let to = some_account(rng, kind);
        let count = &mut nonces[usize::from(from)];
        let wanted = (rng.below(3) == 0).then_some(*count);
        *count += 1;
        script.lane = (rng.below(2) == 0).then_some([from]);
        let (value, fee) = (1 + rng.below(20), rng.below(4));
        script.steps.push(Step::Pay(from, to, value, fee, wanted));
        return script;
    }
    script.steps = (0..1 + rng.below(5)).map(|_| some_step(rng, kind)).collect();
    if rng.below(3) == 0 {
        // Some of what it may touch, or may not.
        let key = some_key(rng, kind);
        match rng.below(4) {
            0 => script.access.reads.push(key),
            1 => script.access.writes.push(key),
            2 => script.access.adds.push(balance(some_account(rng, kind))),
            _ => script.access.ranges.push(some_range(rng, kind)),
        }
    }
    script
}

/// An account, seldom the late one.
fn some_account(rng: &mut Rng, kind: Kind) -> u8 {
    if rng.below(24) == 0 {
        return LATE;
    }
    1 + rng.byte(kind.accounts)
}

fn some_key(rng: &mut Rng, kind: Kind) -> Key {
    let id = some_account(rng, kind);
    match rng.below(5) {
        0 => nonce(id),
        1 => balance(id),
        2 => code(id),
        3 => slot(id, rng.below(SLOTS)),
        _ => other(rng.byte(3)),
    }
}

fn some_range(rng: &mut Rng, kind: Kind) -> KeyRange {
    let (from, to) = (1 + rng.byte(kind.accounts), 1 + rng.byte(kind.accounts));
    let range = match rng.below(5) {
        0 => KeyRange {
            store: BANK,
            start: vec![b'b', from.min(to)],
            end: Some(vec![b'b', from.max(to) + 1]),
            descending: false,
        },
        1 => KeyRange::prefix(CODE, &[b's', from]),
        2 => KeyRange::prefix(RECORDS, b"r"),
        3 => KeyRange::prefix(CODE, b"c"),
        // Over the late balance now and then.
        _ if rng.below(4) == 0 => KeyRange::prefix(BANK, b""),
        _ => KeyRange::prefix(BANK, b"o"),
    };
    if rng.below(2) == 0 {
        range.descending()
    } else {
        range
    }
}

fn some_step(rng: &mut Rng, kind: Kind) -> Step {
    let (a, b) = (some_account(rng, kind), some_account(rng, kind));
    let (at, n) = (rng.below(SLOTS), 1 + rng.below(20));
    match rng.below(40) {
        0..=3 => Step::Pay(a, b, n, rng.below(4), None),
        4..=6 => Step::Transfer(a, b, n),
        7..=9 => Step::Note(a, b, at),
        10..=13 => {
            let number = (rng.below(2) == 0).then_some(u32::MAX);
            Step::Count(a, at, number)
        }
        14..=17 => Step::Chase(a, at, u64::from(kind.accounts)),
        18 => Step::Code(a, 1 + rng.below(3)),
        19..=20 => Step::Twice(a),
        21..=23 => Step::Get(some_key(rng, kind)),
        24 => Step::Put(
            nonce(a),
            record(&b"put by bytes"[..n as usize % 12], rng.below(5)),
        ),
        25 => Step::Put(balance(a), Value::from(format!("0{}", rng.below(200)))),
        26 => Step::Put(slot(a, at), Value::from_static(&[3])),
        27 => Step::Put(
            [code(a), other(rng.byte(3))][rng.below(2) as usize].clone(),
            Value::from_static(&[0, 5]),
        ),
        28..=29 => Step::Delete(some_key(rng, kind)),
        30 => Step::Add(balance(a), n),
        31..=32 => Step::Move(a, b, n),
        33 => Step::Scan(some_range(rng, kind), 1 + rng.below(4) as usize),
        34 => Step::Scan(some_range(rng, kind), usize::MAX),
        35 => Step::Defer(n),
        36 => Step::FailIf(3),
        37 if kind.broken => Step::Take(balance(a), 90),
        38 if kind.broken && n < 4 => Step::Put(slot(a, at), Value::from_static(&[1; 33])),
        _ => Step::Spin(200),
    }
}

/// The executors to compare with `Serial`, each with its memory from block to block.
struct Bench {
    threads: Vec<Parallel>,
    /// With their short cuts.
    short: [Parallel; 4],
    total: Stats,
}

impl Bench {
    fn new() -> Self {
        let threads = [1, 2, 3, 4, 8];
        Self {
            // Without its short cuts.
            threads: threads
                .map(|n| Parallel::new(n).with_faults(Faults::default()))
                .into(),
            short: [1, 2, 4, 8].map(Parallel::new),
            total: Stats::default(),
        }
    }
    /// Runs a block everywhere.
    fn check(&mut self, block: &Block, seed: u64) {
        let shuffled = (0..3).map(|n| Faults {
            shuffle: Some(seed.wrapping_mul(3).wrapping_add(n)),
            ..Faults::default()
        });
        let shuffled = shuffled.map(|faults| self.short[0].clone().with_faults(faults));
        let executors: Vec<_> = self.threads.iter().cloned().chain(shuffled).collect();
        for limit in [u64::MAX, 3 * block.jobs.len() as u64] {
            let (want, _, clerk) = block.run(&Serial, limit);
            for executor in executors.iter().chain(&self.short) {
                let (got, stats, other) = block.run(executor, limit);
                let what = format!("{executor:?}, limit {limit}, BRAID_SEED={seed}");
                if let (Ok((got, _)), Ok((want, _))) = (&got, &want) {
                    let first = got.iter().zip(want).position(|(got, want)| got != want);
                    let job = first.map(|i| (i, got[i], want[i], &block.jobs[i]));
                    assert!(job.is_none(), "the first job to differ: {job:?}, {what}");
                }
                assert_eq!(got, want, "{what}");
                let same = if want.is_err() {
                    // What only the sum of adds shows may come to light when more has settled.
                    other.seen.starts_with(&clerk.seen)
                } else {
                    other.seen == clerk.seen && other.used == clerk.used
                };
                assert!(same, "settled otherwise: {what}");
                assert_eq!(stats.fallbacks, 0, "{what}");
                self.total.executions += stats.executions;
                self.total.aborts += stats.aborts;
                self.total.waits += stats.waits;
                self.total.validations += stats.validations;
            }
        }
    }
}

/// Blocks of a kind, one a seed.
fn check(count: u64, kind: Kind) {
    let (mut bench, mut failed) = (Bench::new(), 0);
    let seeds = seeds(count);
    for seed in &seeds {
        let mut rng = Rng(seed ^ (u64::from(kind.accounts) << 32));
        let block = some_block(&mut rng, kind);
        bench.check(&block, *seed);
        failed += u64::from(block.run(&Serial, u64::MAX).0.is_err());
    }
    println!("{} blocks, {failed} fail: {:?}", seeds.len(), bench.total);
    assert!(failed == 0 || kind.broken);
    if seeds.len() > 1 {
        // Else this shows nothing: conflicts were met, and not all that was committed was checked.
        assert!(bench.total.aborts > 0);
        assert!(0 < bench.total.validations && bench.total.validations < bench.total.executions);
        assert!(failed > 0 || !kind.broken);
    }
}

#[test]
fn blocks_over_hot_accounts_give_the_same() {
    check(400, Kind::sound(3, 40));
}

#[test]
fn blocks_over_warm_accounts_give_the_same() {
    check(300, Kind::sound(8, 80));
}

#[test]
fn long_blocks_give_the_same() {
    check(40, Kind::sound(6, 600));
}

#[test]
fn chained_blocks_give_the_same() {
    // Sooner or later one worker is left with them.
    let kind = Kind {
        chained: true,
        ..Kind::sound(4, 500)
    };
    check(40, kind);
    let broken = true;
    check(40, Kind { broken, ..kind });
}

#[test]
fn blocks_that_fail_fail_the_same() {
    let kind = Kind {
        broken: true,
        ..Kind::sound(4, 30)
    };
    check(300, kind);
}

#[test]
fn a_hot_slot_loses_no_update() {
    const JOBS: u64 = 80;
    let count = |n: u64| Script {
        steps: vec![Step::Count(1, 0, None), Step::Spin(50 * (n % 3) as u32)],
        weight: 900_000,
        ..Script::default()
    };
    let block = Block::of((0..JOBS).map(count).collect());
    let left = U256::from(JOBS).to_be_bytes::<32>().to_vec();
    let want = WriteSet::from([(slot(1, 0), Op::Put(left.into()))]);
    let mut aborts = 0;
    let mut check = |executor: &Parallel| {
        let input = BlockInput {
            base: &block.base,
            jobs: &block.jobs,
            deferred: &block.deferred,
        };
        let done = executor.execute(&input, &mut Nothing).unwrap();
        assert_eq!(done.writes, want, "{executor:?}");
        assert_eq!(done.stats.fallbacks, 0);
        aborts += done.stats.aborts;
    };
    for threads in 1..=8 {
        let executor = Parallel::new(threads).with_faults(Faults::default());
        (0..40).for_each(|_| check(&executor));
    }
    // Threads may be lucky: in these orders some run too soon.
    for seed in 0..40 {
        check(&Parallel::new(1).with_faults(Faults {
            shuffle: Some(seed),
            ..Faults::default()
        }));
    }
    assert!(aborts > 0, "nobody raced");
}

/// Leaves all as it is.
struct Nothing;

impl Settle<Script> for Nothing {
    fn settle(&mut self, _: TxIndex, _: &Script, _: &mut Outcome<u64>) -> Result<(), StateError> {
        Ok(())
    }
}

#[test]
fn what_nobody_disturbed_is_not_checked() {
    // The same schedules of jobs that never meet: read by typed name, and once more with a read by key each.
    let jobs = |by_key: bool| {
        let job = |id: u8| Script {
            steps: [Step::Count(id, 0, None), Step::Note(id, id, 1)]
                .into_iter()
                .chain(by_key.then(|| Step::Get(other(id))))
                .collect(),
            ..Script::default()
        };
        Block::of((1..=60).map(job).collect())
    };
    let (typed, keyed) = (jobs(false), jobs(true));
    let mut checked = 0;
    for seed in seeds(20) {
        let shuffled = Parallel::new(1).with_faults(Faults {
            shuffle: Some(seed),
            ..Faults::default()
        });
        let (_, stats, _) = typed.run(&shuffled, u64::MAX);
        assert_eq!(
            (stats.validations, stats.executions),
            (0, 60),
            "BRAID_SEED={seed}"
        );
        checked += keyed.run(&shuffled, u64::MAX).1.validations;
    }
    assert!(checked > 0, "all were run at the head");
}

/// Whether any of some blocks comes out wrong.
fn caught(skip_validation: bool) -> bool {
    let kind = Kind::sound(4, 40);
    (1..=40u64).any(|seed| {
        let block = some_block(&mut Rng(seed), kind);
        let shuffled = Parallel::new(1).with_faults(Faults {
            shuffle: Some(seed),
            skip_validation,
            ..Faults::default()
        });
        block.run(&Serial, u64::MAX).0 != block.run(&shuffled, u64::MAX).0
    })
}

#[test]
fn broken_validation_is_caught() {
    assert!(!caught(false));
    assert!(caught(true));
}

/// Each was found by the blocks above, or on the way to them.
#[test]
fn divergences_that_were_give_the_same() {
    let script = |steps: &[Step]| Script {
        steps: steps.to_vec(),
        weight: 100_000,
        ..Script::default()
    };
    let (odd, money) = (Value::from_static(b"007"), Value::from_static(b"money"));
    let scan = |id| Step::Scan(KeyRange::prefix(BANK, balance(id).bytes()), 9);
    // Stored otherwise than it would be written.
    let mut block = Block::of(vec![
        script(&[Step::Get(balance(1)), scan(1)]),
        script(&[Step::Add(balance(1), 3)]),
        script(&[Step::Get(balance(1)), scan(1)]),
    ]);
    block.base.0.insert(balance(1), odd);
    // Who looks at the code only is told nothing of a balance that cannot be read: neither of the base's,
    let mut bad = Block::of(vec![
        script(&[Step::Pay(3, 2, 1, 0, None)]),
        script(&[Step::Get(balance(2))]),
    ]);
    bad.base.0.insert(balance(2), money.clone());
    bad.base.0.insert(balance(3), Value::from_static(b"50"));
    // nor of another job's.
    let mut put = Block::of(vec![
        script(&[Step::Put(balance(2), money)]),
        script(&[Step::Pay(3, 2, 1, 0, None)]),
    ]);
    put.base.0.insert(balance(3), Value::from_static(b"50"));
    let mut bench = Bench::new();
    for seed in 0..20 {
        for block in [&block, &bad, &put] {
            bench.check(block, seed);
        }
    }
}

/// A number that no view gave may be that of a cell that another thread made first.
#[test]
fn slots_looked_for_by_a_wrong_number_lose_no_update() {
    let steps = [Step::Count(1, 0, Some(0)), Step::Count(2, 0, Some(0))];
    let script = Script {
        steps: steps.to_vec(),
        ..Script::default()
    };
    let block = Block::of(vec![script; 8]);
    let (want, ..) = block.run(&Serial, u64::MAX);
    let executor = Parallel::new(8).with_faults(Faults::default());
    for _ in 0..500 {
        assert_eq!(block.run(&executor, u64::MAX).0, want);
    }
}
