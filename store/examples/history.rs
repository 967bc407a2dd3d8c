//! Measures reads at old heights: from flat history, and from trees that are rebuilt; and what keeping history costs.
//!
//! `cargo run --release -p store --example history -- [keys [blocks [changes a block]]]`: keys of 32 bytes, values of 64.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench reads the clock, and prints"
)]
use state::{
    BlockRecord, ChangeSet, CommitStore, Control, Key, KeyRange, StateRead, StateScan, StoreId, Value,
};
use std::hint::black_box;
use std::time::Instant;
use store::{Commit, Config, DiskStore, View};

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

fn read(view: &impl StateRead, keys: &[Key]) -> f64 {
    let start = Instant::now();
    for key in keys {
        black_box(view.get(key).is_ok());
    }
    keys.len() as f64 / start.elapsed().as_secs_f64()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<u64>());
    let mut arg = |default: u64| args.next().unwrap_or(Ok(default));
    let (keys, blocks, per) = (arg(1_000_000)?, arg(300)?, arg(2_000)?);
    let home = tempfile::tempdir()?;
    let config = Config {
        ring: 10,
        commit: Commit::Async,
        ..Config::new([STORE])
    };
    let store = DiskStore::open(home.path(), config.clone())?;
    let (mut random, mut height) = (SplitMix(1), 0);
    let mut commit = |block: ChangeSet| -> Result<(), state::StoreError> {
        height += 1;
        let (_, staged) = store.stage(height, block)?;
        store.commit(staged, BlockRecord::default()).map(drop)
    };
    let start = Instant::now();
    for first in (0..keys).step_by(50_000) {
        let pair = |n| (key(n), Some(Value::copy_from_slice(&random.bytes::<64>())));
        commit((first..keys.min(first + 50_000)).map(pair).collect())?;
    }
    for _ in 0..blocks {
        let pair = |_| {
            let n = random.next() % keys;
            (key(n), Some(Value::copy_from_slice(&random.bytes::<64>())))
        };
        commit((0..per).map(pair).collect())?;
    }
    store.durable()?;
    let committed = start.elapsed().as_secs_f64();
    store.history_settled()?;
    println!(
        "{height} heights, {keys} keys: committed in {committed:.2} s, history settled {:.2} s later",
        start.elapsed().as_secs_f64() - committed
    );
    let stats = store.history_stats().ok_or("history is on")?;
    let rows: u64 = stats.segments.iter().map(|segment| segment.rows).sum();
    println!(
        "history: {} segments, {:.1} MiB in files, {:.1} MiB of memory, {:.0} B a row on disk",
        stats.segments.len(),
        stats.disk as f64 / 1048576.0,
        stats.memory as f64 / 1048576.0,
        stats.disk as f64 / rows as f64
    );
    let first = keys.div_ceil(50_000);
    let mut some = |count: u64| -> Vec<Key> { (0..count).map(|_| key(random.next() % keys)).collect() };
    for back in [blocks / 10, blocks / 2, blocks * 9 / 10] {
        let at = (height - back).max(first);
        let picked = some(200_000);
        let view = store.snapshot(at)?;
        let kind = if matches!(view, View::Flat(_)) {
            "flat"
        } else {
            "tree"
        };
        let cold = read(&view, &picked[..20_000]);
        let warm = read(&view, &picked);
        let start = Instant::now();
        let (mut pairs, range) = (0_u64, KeyRange::prefix(STORE, &[]));
        view.scan(&range, &mut |_, _| {
            pairs += 1;
            if pairs < 100_000 {
                Control::Continue(())
            } else {
                Control::Break(())
            }
        })?;
        let scan = pairs as f64 / start.elapsed().as_secs_f64();
        let start = Instant::now();
        let short = 2_000;
        for key in &picked[..short] {
            let range = KeyRange {
                start: key.bytes().to_vec(),
                ..range.clone()
            };
            view.scan(&range, &mut |_, _| Control::Break(()))?;
        }
        let seeks = short as f64 / start.elapsed().as_secs_f64();
        println!(
            "height {at} ({kind}): {cold:.0} reads/s at first, {warm:.0} then; scan {scan:.0} pairs/s; {seeks:.0} seeks/s"
        );
        let start = Instant::now();
        let tree = store.frozen(at)?;
        let rebuilt = start.elapsed().as_secs_f64();
        println!(
            "  rebuilt tree: {rebuilt:.2} s to build, {:.0} reads/s then",
            read(&tree, &picked)
        );
    }
    // As queries come: another height each time.
    let picked = some(2_000);
    let start = Instant::now();
    for (i, key) in picked.iter().enumerate() {
        let at = first + (i as u64 * 7919) % blocks.saturating_sub(10).max(1);
        black_box(store.snapshot(at)?.get(key)?);
    }
    println!(
        "another height for each read: {:.0} reads/s",
        picked.len() as f64 / start.elapsed().as_secs_f64()
    );
    println!(
        "newest height: {:.0} reads/s",
        read(&store.snapshot(height)?, &some(500_000))
    );
    Ok(())
}
