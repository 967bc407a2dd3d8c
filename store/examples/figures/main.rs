//! Measures the store for `cargo xtask bench store`, one load a process, and prints a JSON object a line.
//!
//! ```text
//! figures run    HOME sync|async KEYS BLOCKS MIXED CHANGES READS PROOFS
//! figures reopen HOME sync|async KEYS READS
//! ```
//! `run` loads KEYS keys (32 bytes, values of 64) into an empty folder, then runs BLOCKS blocks of CHANGES random
//! updates, reads and proves, and runs MIXED blocks of 80 % updates, 15 % new keys and 5 % removes. The blocks are those
//! of xtask/go/iavl, so that roots can be compared. `RAYON_NUM_THREADS` says how many cores the tree uses.
//!
//! Blocks are made before they are timed and follow one another at once. So with `async` each is applied while the
//! journal of the one before is written.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a bench reads the clock, divides, and prints"
)]
mod blocks;
mod system;

use blocks::{STORE, SplitMix, key, load, mixed, updates};
use serde_json::json;
use state::{BlockRecord, ChangeSet, CommitStore, Key, StateRead, Value};
use std::path::Path;
use std::time::Instant;
use store::backend::Database;
use store::{Commit, Config, DiskStore};
use system::Meter;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["run", home, commit, ref numbers @ ..] if numbers.len() == 6 => {
            run(Path::new(home), config(commit)?, parsed(numbers)?)
        }
        ["reopen", home, commit, ref numbers @ ..] if numbers.len() == 2 => {
            reopen(Path::new(home), config(commit)?, parsed(numbers)?)
        }
        _ => Err("run HOME sync|async KEYS BLOCKS MIXED CHANGES READS PROOFS, \
                  or reopen HOME sync|async KEYS READS"
            .into()),
    }
}

fn parsed<const N: usize>(texts: &[&str]) -> Result<[u64; N]> {
    let mut numbers = [0; N];
    for (to, text) in numbers.iter_mut().zip(texts) {
        *to = text.parse().map_err(|e| format!("{text:?}: {e}"))?;
    }
    Ok(numbers)
}

/// `sync`, `async`, or either with a database: `sync@redb`.
fn config(commit: &str) -> Result<Config> {
    let (commit, database) = commit.split_once('@').unwrap_or((commit, "sled"));
    let database = match database {
        "sled" => Database::Sled,
        "redb" => Database::Redb,
        other => return Err(format!("database {other:?}: sled or redb").into()),
    };
    let commit = match commit {
        "sync" => Commit::Sync,
        "async" => Commit::Async,
        other => return Err(format!("commit {other:?}: sync or async").into()),
    };
    Ok(Config {
        commit,
        database,
        ..Config::new([STORE])
    })
}

/// Prints a figure.
fn tell(name: &str, value: f64) {
    println!("{}", json!({"figure": name, "value": value}));
}

/// Prints the median, the 95th percentile and the least of times in milliseconds.
fn quantiles(name: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    for (of, percent) in [("p50", 50), ("p95", 95), ("least", 0)] {
        let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
        if let Some(time) = times.get(place) {
            tell(&format!("{name}_{of}_ms"), *time);
        }
    }
}

/// Bytes of a block's keys and values.
fn logical(block: &ChangeSet) -> u64 {
    let size =
        |(key, value): (&Key, &Option<Value>)| key.bytes().len() + value.as_ref().map_or(0, Value::len);
    block.iter().map(size).sum::<usize>() as u64
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn run(home: &Path, config: Config, numbers: [u64; 6]) -> Result<()> {
    let [keys, plain, mix, per, reads, proofs] = numbers;
    let mut bench = Bench {
        store: DiskStore::open(home, config)?,
        home,
        height: 0,
        logical: 0,
        roots: Vec::new(),
    };
    bench.load(keys)?;
    let mut random = SplitMix(2);
    let made = (0..plain).map(|_| updates(&mut random, keys, per)).collect();
    bench.blocks("update", made)?;
    bench.reads(keys, reads, proofs)?;
    let (mut random, mut top) = (SplitMix(3), keys);
    let made = (0..mix)
        .map(|_| mixed(&mut random, keys, per, &mut top))
        .collect();
    bench.blocks("mixed", made)?;
    let (mut journal, mut files) = (0, 0);
    for (name, bytes) in system::parts(home)? {
        tell(&format!("disk_{name}_bytes"), bytes as f64);
        files += bytes;
        if name.starts_with("journal") {
            journal += bytes;
        }
    }
    tell("journal_bytes", journal as f64);
    tell("files_bytes", files as f64);
    tell("all_logical_bytes", bench.logical as f64);
    Ok(())
}

/// Opens what a run left. Then once more with a ring of one version: what a single version takes, and how ten blocks
/// back is read from where it is not in RAM.
fn reopen(home: &Path, config: Config, [keys, count]: [u64; 2]) -> Result<()> {
    let before = system::resident();
    let start = Instant::now();
    let store = DiskStore::open(home, config.clone())?;
    tell("reopen_s", start.elapsed().as_secs_f64());
    let each = |bytes: u64| bytes as f64 / keys.max(1) as f64;
    tell(
        "resident_bytes_key",
        each(system::resident().saturating_sub(before)),
    );
    let height = store.latest().height;
    let root = hex::encode(store.snapshot(height)?.trees()[&STORE].hash());
    println!("{}", json!({"phase": "reopen", "height": height, "root": root}));
    drop(store);
    let store = DiskStore::open(home, Config { ring: 1, ..config })?;
    let usage = store.snapshot(height)?.trees()[&STORE].usage();
    let all = usage.nodes + usage.bytes + usage.index;
    tell("tree_bytes_key", each(all));
    tell("used_bytes_key", each(all - usage.free));
    tell("node_bytes_key", each(usage.nodes));
    tell("blob_bytes_key", each(usage.bytes));
    tell("index_bytes_key", each(usage.index));
    let start = Instant::now();
    let old = store.snapshot(height.saturating_sub(10).max(1))?;
    tell("cold_snapshot_ms", milliseconds(start));
    reads("cold_reads_s", &picked(keys, count), &|key| {
        old.get(key).is_ok_and(|value| value.is_some())
    })
}

/// Random keys.
fn picked(keys: u64, count: u64) -> Vec<Key> {
    let mut random = SplitMix(4);
    (0..count).map(|_| key(random.next() % keys)).collect()
}

/// Prints how many keys a second `read` takes on one core. It must find all.
fn reads(name: &str, keys: &[Key], read: &dyn Fn(&Key) -> bool) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let start = Instant::now();
    let found = keys.iter().filter(|key| read(key)).count();
    tell(name, keys.len() as f64 / start.elapsed().as_secs_f64());
    if found == keys.len() {
        return Ok(());
    }
    Err(format!("{name}: {found} of {} keys are there", keys.len()).into())
}

struct Bench<'a> {
    store: DiskStore,
    home: &'a Path,
    height: u64,
    /// Bytes of keys and values in all blocks so far.
    logical: u64,
    /// Not told yet, by height.
    roots: Vec<(u64, [u8; 32])>,
}

impl Bench<'_> {
    /// Stages and commits one block. Gives the milliseconds of each.
    fn block(&mut self, block: ChangeSet) -> Result<(f64, f64)> {
        self.height += 1;
        let start = Instant::now();
        let (_, staged) = self.store.stage(self.height, block)?;
        let stage = milliseconds(start);
        let start = Instant::now();
        self.store.commit(staged, BlockRecord::default())?;
        let commit = milliseconds(start);
        let root = self.store.snapshot(self.height)?.trees()[&STORE].hash();
        self.roots.push((self.height, root));
        Ok((stage, commit))
    }

    /// Prints the roots of the blocks since the last call.
    fn tell_roots(&mut self, phase: &str) {
        for (height, root) in self.roots.drain(..) {
            let root = hex::encode(root);
            println!("{}", json!({"phase": phase, "height": height, "root": root}));
        }
    }

    /// Waits for what is written behind, and for a checkpoint on its way.
    fn settle(&self) -> Result<()> {
        self.store.durable()?;
        self.store.checkpoint_failure().map_or(Ok(()), |e| Err(e.into()))
    }

    fn load(&mut self, keys: u64) -> Result<()> {
        let (mut random, mut took) = (SplitMix(1), 0.0);
        for block in load(&mut random, keys) {
            self.logical += logical(&block);
            let (stage, commit) = self.block(block)?;
            took += stage + commit;
        }
        let start = Instant::now();
        self.store.durable()?;
        tell("load_s", took / 1e3 + start.elapsed().as_secs_f64());
        self.tell_roots("load");
        self.settle()?;
        Ok(())
    }

    fn blocks(&mut self, phase: &str, blocks: Vec<ChangeSet>) -> Result<()> {
        if blocks.is_empty() {
            return Ok(());
        }
        let logical: u64 = blocks.iter().map(logical).sum();
        self.logical += logical;
        let changes: usize = blocks.iter().map(ChangeSet::len).sum();
        let count = blocks.len() as f64;
        let (mut stages, mut commits, mut wholes) = (Vec::new(), Vec::new(), Vec::new());
        let meter = Meter::start(self.home)?;
        let start = Instant::now();
        for block in blocks {
            let (stage, commit) = self.block(block)?;
            stages.push(stage);
            commits.push(commit);
            wholes.push(stage + commit);
        }
        self.store.durable()?;
        let seconds = start.elapsed().as_secs_f64();
        let cpu = meter.cpu_ms();
        self.settle()?;
        let spent = meter.stop(self.home)?;
        quantiles(&format!("{phase}_stage"), stages);
        quantiles(&format!("{phase}_commit"), commits);
        quantiles(&format!("{phase}_whole"), wholes);
        tell(&format!("{phase}_keys_s"), changes as f64 / seconds);
        tell(&format!("{phase}_cpu_ms"), cpu / count);
        tell(&format!("{phase}_logical_bytes"), logical as f64 / count);
        tell(&format!("{phase}_live_bytes"), spent.journal / count);
        tell(&format!("{phase}_written_bytes"), spent.written / count);
        tell(&format!("{phase}_checkpoint_bytes"), spent.checkpoints / count);
        self.tell_roots(phase);
        Ok(())
    }

    /// Reads the newest version and one ten blocks old, and proves.
    fn reads(&self, keys: u64, count: u64, proofs: u64) -> Result<()> {
        let keys = picked(keys, count.max(proofs));
        for (name, back) in [("latest_reads_s", 0), ("old_reads_s", 10)] {
            let snapshot = self.store.snapshot(self.height.saturating_sub(back).max(1))?;
            reads(name, &keys[..count as usize], &|key| {
                snapshot.get(key).is_ok_and(|value| value.is_some())
            })?;
        }
        let snapshot = self.store.snapshot(self.height)?;
        let tree = &snapshot.trees()[&STORE];
        reads("proofs_s", &keys[..proofs as usize], &|key| {
            tree.prove(key.bytes()).proof.is_some()
        })
    }
}
