//! `cargo xtask vectors FILE…`: trees, proofs and app hashes recorded from Go, replayed on ours.
use anyhow::{Context as _, bail};
use std::path::PathBuf;

/// What to replay.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Recordings, one JSON record a line: of one IAVL tree, or of a multistore.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Differences printed of one file; one is enough to start from, thousands hide it.
const SHOWN_MAX: usize = 20;

/// Replays every file; fails where anything differs.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (mut passed, mut failed) = (0u64, 0usize);
    for file in &args.files {
        let outcome = store::vectors::run(file).with_context(|| format!("{}", file.display()))?;
        for why in outcome.failures.iter().take(SHOWN_MAX) {
            println!("{}: {why}", file.display());
        }
        println!(
            "{}: {} held, {} did not",
            file.display(),
            outcome.passed,
            outcome.failures.len()
        );
        passed += outcome.passed;
        failed += outcome.failures.len();
    }
    println!("{passed} passed, {failed} failed");
    if failed > 0 {
        bail!("{failed} checks differ from what Go computed");
    }
    Ok(())
}
