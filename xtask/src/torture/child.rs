//! The process that is killed: commits blocks and says on standard output what is durable.
use super::world::Life;
use anyhow::{Context as _, Result};
use state::CommitStore as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Commit, DiskStore, Point, Points};

/// What one child does.
#[derive(Debug, clap::Args)]
pub(crate) struct ChildArgs {
    #[command(flatten)]
    life: Life,
    #[arg(long)]
    home: PathBuf,
    /// Which child of this home it is, from 1.
    #[arg(long)]
    era: u64,
    /// Goes back to this height first.
    #[arg(long)]
    rollback: Option<u64>,
    /// Ends at this point,
    #[arg(long)]
    point: Option<String>,
    /// when it is passed so often.
    #[arg(long, default_value_t = 1)]
    pass: u64,
}

/// Commits at most this many blocks: a point that is not reached by then is not.
const BLOCKS: u64 = 40;

/// Runs until it is ended.
pub(crate) fn run(args: &ChildArgs) -> Result<()> {
    let mut config = args.life.config();
    if let Some(name) = &args.point {
        let end = Point::ALL.into_iter().find(|p| format!("{p:?}") == *name);
        let end = end.with_context(|| format!("no point {name:?}"))?;
        let (left, pass) = (AtomicU64::new(args.pass), args.pass);
        config.points = Points::new(move |point| {
            // The process ends as it does by a signal: nothing is dropped, nothing is flushed.
            if point == end && left.fetch_sub(1, Ordering::Relaxed).clamp(0, pass) == 1 {
                std::process::abort();
            }
        });
    }
    if let Some(height) = args.rollback {
        println!("rolling {height}");
        DiskStore::rollback(&args.home, &config, height)?;
        println!("rolled {height}");
    }
    let store = DiskStore::open(&args.home, config.clone())?;
    for n in 1..=BLOCKS {
        let height = store.latest().height + 1;
        let (changes, record) = args.life.block(height, args.era);
        let (_, staged) = store.stage(height, changes)?;
        store.commit(staged, record)?;
        // Behind, several heights are written with one sync; the last three blocks are left to that.
        if config.commit == Commit::Sync || n.is_multiple_of(4) {
            println!("ack {}", store.durable()?.height);
        }
    }
    Ok(())
}
