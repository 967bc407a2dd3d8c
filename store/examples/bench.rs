//! Measures the store: load, blocks of random updates, reads, proofs, memory.
//!
//! `cargo run --release -p store --example bench -- [keys [blocks [changes a block [percent inserts [percent removes]]]]]`
//! Keys have 32 bytes, values 64; `async` anywhere among them writes behind the commits. `RAYON_NUM_THREADS` says how many cores the tree uses.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench reads the clock, and prints"
)]
use state::{BlockRecord, ChangeSet, CommitStore, Key, Snapshot, StateRead, StoreId, Value};
use std::hint::black_box;
use std::time::{Duration, Instant};
use store::{Commit, Config, DiskStore};

const STORE: StoreId = StoreId::new("bench");

/// Sebastiano Vigna's splitmix64.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        out.chunks_mut(8)
            .for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()));
        out
    }
}

fn key(n: u64) -> Key {
    Key::new(STORE, &[&SplitMix(n).bytes::<32>()])
}

/// Median and 95th percentile in milliseconds.
fn quantiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let at = |part: usize| {
        times
            .get(times.len().saturating_sub(1) * part / 100)
            .map_or(0.0, |t| t.as_secs_f64() * 1e3)
    };
    (at(50), at(95))
}

fn a_second(count: u64, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    count as f64 / start.elapsed().as_secs_f64()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (words, numbers): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|a| a == "async");
    let mut args = numbers.iter().map(|a| a.parse::<u64>());
    let mut arg = |default: u64| args.next().unwrap_or(Ok(default));
    let (keys, blocks, per, inserts, removes) = (arg(1_000_000)?, arg(50)?, arg(10_000)?, arg(0)?, arg(0)?);
    let home = tempfile::tempdir()?;
    let config = Config {
        commit: if words.is_empty() {
            Commit::Sync
        } else {
            Commit::Async
        },
        ..Config::new([STORE])
    };
    let store = DiskStore::open(home.path(), config)?;
    let (mut random, mut height, mut top) = (SplitMix(1), 0, keys);
    let start = Instant::now();
    for first in (0..keys).step_by(100_000) {
        height += 1;
        let block: ChangeSet = (first..keys.min(first + 100_000))
            .map(|n| (key(n), Some(Value::copy_from_slice(&random.bytes::<64>()))))
            .collect();
        let (_, staged) = store.stage(height, block)?;
        store.commit(staged, BlockRecord::default())?;
    }
    println!(
        "load: {keys} keys in {:.2} s, durable",
        start.elapsed().as_secs_f64()
    );
    let usage = store.snapshot(height)?.trees()[&STORE].usage();
    let each = |bytes: u64| bytes as f64 / keys.max(1) as f64;
    println!(
        "memory a key: {:.0} B (nodes {:.0}, keys and values {:.0}, index {:.0})",
        each(usage.nodes + usage.bytes + usage.index),
        each(usage.nodes),
        each(usage.bytes),
        each(usage.index)
    );
    let (mut stage, mut commit) = (Vec::new(), Vec::new());
    let start = Instant::now();
    for _ in 0..blocks {
        height += 1;
        let block: ChangeSet = (0..per)
            .map(|_| match random.next() % 100 {
                p if p < inserts => {
                    top += 1;
                    (key(top), Some(Value::copy_from_slice(&random.bytes::<64>())))
                }
                p if p < inserts + removes => (key(random.next() % keys), None),
                _ => (
                    key(random.next() % keys),
                    Some(Value::copy_from_slice(&random.bytes::<64>())),
                ),
            })
            .collect();
        let start = Instant::now();
        let (_, staged) = store.stage(height, block)?;
        stage.push(start.elapsed());
        let start = Instant::now();
        store.commit(staged, BlockRecord::default())?;
        commit.push(start.elapsed());
    }
    store.durable()?;
    let whole = start.elapsed().as_secs_f64();
    let (s50, s95) = quantiles(stage);
    let (c50, c95) = quantiles(commit);
    println!("{blocks} blocks of {per} changes ({inserts}% inserts, {removes}% removes):");
    println!("  stage  p50 {s50:.2} ms, p95 {s95:.2} ms");
    println!("  commit p50 {c50:.2} ms, p95 {c95:.2} ms");
    println!(
        "  {:.0} changes/s durable, with making them up",
        (blocks * per) as f64 / whole
    );
    let reads = 500_000;
    let picked: Vec<Key> = (0..reads).map(|_| key(random.next() % keys)).collect();
    for back in [0, 10] {
        let snapshot = store.snapshot(height.saturating_sub(back).max(1))?;
        let rate = a_second(reads, || {
            for key in &picked {
                black_box(snapshot.get(key).is_ok());
            }
        });
        println!(
            "reads at height {} (newest less {back}): {rate:.0}/s on one core",
            snapshot.version().height
        );
    }
    let proofs = 50_000;
    let snapshot = store.snapshot(height)?;
    let rate = a_second(proofs, || {
        for key in &picked[..proofs as usize] {
            black_box(snapshot.trees()[&STORE].prove(key.bytes()));
        }
    });
    println!("proofs: {rate:.0}/s on one core");
    drop((snapshot, store));
    let start = Instant::now();
    let store = DiskStore::open(home.path(), Config::new([STORE]))?;
    println!(
        "reopen: {:.2} s at height {}",
        start.elapsed().as_secs_f64(),
        store.latest().height
    );
    Ok(())
}
