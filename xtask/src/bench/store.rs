//! `cargo xtask bench store`: the store against cosmos/iavl in Go, on the same keys and blocks, in one run.
//!
//! Each load runs in a process of its own: store/examples/figures for ours, xtask/go/iavl for Go's. All must come to
//! the same roots, or there is no table.
mod child;
mod table;

use super::release;
use crate::tools;
use anyhow::{Context as _, Result, bail};
use child::{Figures, Load};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Measure the store beside cosmos/iavl in Go, on the same keys and blocks.
///
/// Prints a table in Markdown: ours, Go as the SDK configures it (fast nodes, a cache of 781,250 nodes, goleveldb) and
/// Go with every node cached (4 M nodes, no fast nodes), and how many times better ours is. Takes some ten minutes, most of
/// them Go's; on a busy machine only the ratios mean something.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Keys in the tree: 32 bytes each, with values of 64.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    keys: u64,
    /// Blocks a load has.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    blocks: u64,
    /// Blocks a load of Go's has: one takes seconds.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    go_blocks: u64,
    /// Changes a block has.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    changes: u64,
    /// 10 M keys, and without Go: it would take an hour. 3 GiB of memory.
    #[arg(long, conflicts_with_all = ["keys", "quick"])]
    large: bool,
    /// 100,000 keys, 10 blocks, 2 of Go's: whether it works, in a minute.
    #[arg(long, conflicts_with_all = ["keys", "blocks", "go_blocks"])]
    quick: bool,
    /// Measure ours only.
    #[arg(long)]
    skip_go: bool,
    /// Write every figure to FILE as well, a JSON object a line.
    #[arg(long, value_name = "FILE")]
    lines: Option<PathBuf>,
    /// The folder on the disk to measure [default: a temporary one].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
struct Size {
    keys: u64,
    blocks: u64,
    go_blocks: u64,
    changes: u64,
}

/// Reads from one version, and proofs from one, that ours are asked for; Go gets fewer.
const READS: u64 = 500_000;
const PROOFS: u64 = 50_000;
const GO_READS: u64 = 50_000;
const GO_PROOFS: u64 = 10_000;

impl Args {
    fn size(&self) -> Size {
        let mut size = Size {
            keys: self.keys,
            blocks: self.blocks,
            go_blocks: self.go_blocks,
            changes: self.changes,
        };
        if self.large {
            size.keys = 10_000_000;
        }
        if self.quick {
            (size.keys, size.blocks, size.go_blocks) = (100_000, 10, 2);
        }
        size
    }
}

/// Measures and prints the table.
pub(super) fn run(root: &Path, args: &Args) -> Result<()> {
    let size = args.size();
    let go = if args.skip_go || args.large {
        None
    } else {
        let built = tools::iavl(root)?;
        Some(built.context("there is no go (https://go.dev/dl) to build cosmos/iavl: see --skip-go")?)
    };
    let folder = release::build(root, &["-p", "store", "--example", "figures"])?;
    let ours = folder.join("examples").join(release::program("figures"));
    let mut bench = Bench {
        dir: args.dir.clone().unwrap_or_else(std::env::temp_dir),
        runs: BTreeMap::new(),
        roots: BTreeMap::new(),
    };
    bench.ours(&ours, size)?;
    if let Some(go) = &go {
        bench.go(go, size)?;
    }
    if let Some(file) = &args.lines {
        let lines = bench.runs.iter().map(|(name, figures)| figures.lines(name));
        fs::write(file, lines.collect::<String>()).with_context(|| format!("write {}", file.display()))?;
    }
    println!("{}", table::head(size, go.is_some(), bench.roots.len()));
    print!("{}", table::table(&bench.runs));
    Ok(())
}

struct Bench {
    dir: PathBuf,
    /// What each load came to, by its name.
    runs: BTreeMap<&'static str, Figures>,
    /// The root of a height of a phase, and who said so first.
    roots: BTreeMap<(String, u64), (String, &'static str)>,
}

impl Bench {
    fn ours(&mut self, program: &Path, size: Size) -> Result<()> {
        let Size {
            blocks, go_blocks, ..
        } = size;
        for (name, commit, threads, blocks, mixed) in [
            ("sync 2", "sync", 2, blocks, 0),
            ("sync 1", "sync", 1, blocks, 0),
            ("async 2", "async", 2, blocks, 0),
            ("async 1", "async", 1, blocks, 0),
            // After as many updates as Go has: so the roots can be compared.
            ("mixed sync 2", "sync", 2, go_blocks, blocks),
            ("mixed async 2", "async", 2, go_blocks, blocks),
        ] {
            let reads = if name == "sync 2" { (READS, PROOFS) } else { (0, 0) };
            let load = Load {
                name,
                program,
                verb: "run",
                kind: Some(commit),
                numbers: [size.keys, blocks, mixed, size.changes, reads.0, reads.1],
                threads: Some(threads),
                reopen: (name == "sync 2").then_some(READS),
            };
            self.measure(&load)?;
        }
        Ok(())
    }

    fn go(&mut self, program: &Path, size: Size) -> Result<()> {
        for (name, kind) in [("go sdk", "sdk"), ("go cached", "cached")] {
            let Size { go_blocks, .. } = size;
            let load = Load {
                name,
                program,
                verb: "bench",
                kind: Some(kind),
                numbers: [size.keys, go_blocks, go_blocks, size.changes, GO_READS, GO_PROOFS],
                threads: None,
                reopen: Some(GO_READS),
            };
            self.measure(&load)?;
        }
        Ok(())
    }

    fn measure(&mut self, load: &Load<'_>) -> Result<()> {
        eprintln!("measuring {} …", load.name);
        let home = tempfile::tempdir_in(&self.dir).context("make a folder to measure in")?;
        let mut figures = load.run(home.path())?;
        if let Some(reads) = load.reopen {
            figures.merge(load.reopen(home.path(), reads)?)?;
        }
        for (at, root) in &figures.roots {
            let (want, who) = self
                .roots
                .entry(at.clone())
                .or_insert_with(|| (root.clone(), load.name));
            if want != root {
                let (phase, height) = at;
                bail!(
                    "{phase}, height {height}: {who} has root {want}, {} has {root}",
                    load.name
                );
            }
        }
        self.runs.insert(load.name, figures);
        Ok(())
    }
}
