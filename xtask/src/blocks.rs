//! `cargo xtask blocks DIR`: real Ethereum blocks through the chain's executor and EVM, serially and in parallel.
use anyhow::{Context as _, bail};
use executor::{Parallel, Serial};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use x_evm::replay::{RealBlock, Replayed};

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder with fixtures, `N.json.gz`.
    dir: PathBuf,
    /// Thread counts for the parallel executor.
    #[arg(long, value_delimiter = ',', default_value = "1,2,4")]
    threads: Vec<usize>,
}

/// A fixture unpacks to a few megabytes; a hundred are a mistake.
const FIXTURE_BYTES_MAX: u64 = 100 << 20;

/// Runs every block; fails where one does not come out as its header says.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let files = fixtures(&args.dir)?;
    x_evm::warm_up()?;
    let (mut passed, mut failed) = (0u32, 0u32);
    for (number, path) in files {
        match block(&path, &args.threads) {
            Ok(line) => {
                passed += 1;
                println!("{number:>9} ok   {line}");
            }
            Err(e) => {
                failed += 1;
                println!("{number:>9} FAIL {e:#}");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed > 0 {
        bail!("{failed} blocks differ from their headers");
    }
    Ok(())
}

/// The fixtures in `dir`, by block number.
pub(crate) fn fixtures(dir: &Path) -> anyhow::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str());
        if let Some(number) = name
            .and_then(|n| n.strip_suffix(".json.gz"))
            .and_then(|n| n.parse().ok())
        {
            files.push((number, path));
        }
    }
    if files.is_empty() {
        bail!("no N.json.gz in {}", dir.display());
    }
    files.sort();
    Ok(files)
}

/// The block in a fixture.
pub(crate) fn read(path: &Path) -> anyhow::Result<RealBlock> {
    let mut json = Vec::new();
    let file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    flate2::read::GzDecoder::new(file)
        .take(FIXTURE_BYTES_MAX)
        .read_to_end(&mut json)?;
    Ok(RealBlock::parse(&json)?)
}

fn block(path: &Path, threads: &[usize]) -> anyhow::Result<String> {
    let block = read(path)?;
    let (serial, took) = timed(|| block.run(&Serial))?;
    block.check(&serial).context("serial")?;
    let spec = block.env.spec();
    let mut line = format!(
        "{:<15} {:>4} txs {:>9} gas  serial {:>7.1} ms",
        format!("{spec:?}"),
        block.txs.len(),
        serial.gas_used,
        took.as_secs_f64() * 1e3
    );
    for &threads in threads {
        let parallel = Parallel::new(threads);
        let (replayed, took) =
            timed(|| block.run(&parallel)).with_context(|| format!("{threads} threads"))?;
        block
            .check(&replayed)
            .with_context(|| format!("{threads} threads"))?;
        same(&serial, &replayed).with_context(|| format!("{threads} threads"))?;
        let runs = replayed.stats.executions;
        line.push_str(&format!(
            "  {threads}t {:>7.1} ms ({runs} runs)",
            took.as_secs_f64() * 1e3
        ));
    }
    Ok(line)
}

fn timed<T, E>(run: impl FnOnce() -> Result<T, E>) -> Result<(T, Duration), E> {
    let start = Instant::now();
    run().map(|done| (done, start.elapsed()))
}

/// Parallel equals serial: beside what the header tells, the writes too.
fn same(serial: &Replayed, parallel: &Replayed) -> anyhow::Result<()> {
    if serial.writes != parallel.writes {
        let key = serial.writes.keys().chain(parallel.writes.keys());
        let first = key
            .into_iter()
            .find(|k| serial.writes.get(*k) != parallel.writes.get(*k));
        bail!("writes differ from serial's, first under {first:?}");
    }
    Ok(())
}
