//! `cargo xtask torture`: commits blocks in a process that is killed over and over, and checks what is left each time.
//!
//! A child opens a store and commits blocks that follow from a seed; it says when a height is durable. It is ended by
//! SIGKILL at any moment, or ends itself at a named point of the store's work (`store::Point`), also while it opens,
//! prunes and rolls back. Then the store is opened here and compared with one in memory that was never interrupted.
mod check;
mod child;
mod world;

use anyhow::{Context as _, Result, bail};
use check::{Chain, Verdict};
pub(crate) use child::ChildArgs;
pub(crate) use child::run as child;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use store::Point;
use world::{Life, Random};

/// How long, and on what.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many kills.
    #[arg(long, default_value_t = 500)]
    kills: u64,
    /// Ends after this many seconds, if that is sooner.
    #[arg(long)]
    seconds: Option<u64>,
    /// What is done, when, follows from this number; how far a child gets until a signal arrives does not.
    #[arg(long, env = "BRAID_SEED")]
    seed: Option<u64>,
    /// The journal's database: sled or redb.
    #[arg(long, default_value = "sled")]
    database: node::DatabaseKind,
    /// When commits return: sync or async.
    #[arg(long, default_value = "sync")]
    commit: node::CommitKind,
}

/// A home lives so many heights, so that checks stay short.
const HOME_HEIGHTS: u64 = 120;
/// How a child that ends itself does.
const SIGABRT: i32 = 6;

/// What came of all kills.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    lost: u64,
    torn: u64,
    unrecoverable: u64,
    /// How many children ended where; those that a signal ended anywhere as `any moment`.
    places: BTreeMap<String, u64>,
    /// Points that were not reached by a child that was to end there.
    missed: u64,
    blocks: u64,
}

/// Kills until it is enough; fails where anything was lost, torn or unrecoverable.
pub(crate) fn run(args: &Args) -> Result<()> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |d| d.as_nanos() as u64);
    let seed = args.seed.unwrap_or(now % 1_000_000_000);
    let (db, when) = (args.database, args.commit);
    println!("{db} {when}: seed {seed} (BRAID_SEED={seed} runs the same again)");
    let until = args.seconds.map(|s| Instant::now() + Duration::from_secs(s));
    let mut random = Random(seed);
    let mut tally = Tally::default();
    while tally.kills < args.kills && until.is_none_or(|until| Instant::now() < until) {
        let folder = tempfile::tempdir().context("a folder for the home")?;
        let life = Life::new(random.next(), db, when);
        if let Err(e) = home(args, until, folder.path(), &life, &mut random, &mut tally) {
            let kept = folder.keep();
            println!("{e:#}\nkept: {} ({life:?})", kept.display());
        }
    }
    for (place, n) in &tally.places {
        println!("{n:5} x {place}");
    }
    let Tally {
        kills,
        lost,
        torn,
        unrecoverable,
        missed,
        blocks,
        ..
    } = tally;
    println!("{blocks} blocks; {missed} children did not come to the point they were to end at");
    println!("{kills} kills: {lost} lost, {torn} torn, {unrecoverable} unrecoverable");
    if lost + torn + unrecoverable > 0 {
        bail!("the store did not keep what it said");
    }
    Ok(())
}

/// One home's life. An error says what is wrong with it; it is counted by then.
fn home(
    args: &Args,
    until: Option<Instant>,
    home: &Path,
    life: &Life,
    random: &mut Random,
    tally: &mut Tally,
) -> Result<()> {
    let mut chain = Chain::new(home, life);
    while tally.kills < args.kills && until.is_none_or(|until| Instant::now() < until) {
        let plan = Plan::draw(random, &chain);
        let before = plan.rollback.unwrap_or(chain.height());
        let ended = run_child(home, life, &plan, &mut chain)?;
        match &ended {
            Ended::Done => tally.missed += 1,
            Ended::At(place) => {
                *tally.places.entry(place.clone()).or_default() += 1;
                tally.kills += 1;
            }
            Ended::Failed(why) => {
                tally.unrecoverable += 1;
                bail!("era {}: a child failed: {why}", plan.era);
            }
        }
        let (count, word, why) = match chain.check(plan.era, random) {
            Verdict::Whole => {
                tally.blocks += chain.height().saturating_sub(before);
                if chain.height() > HOME_HEIGHTS {
                    break;
                }
                continue;
            }
            Verdict::Lost(why) => (&mut tally.lost, "lost", why),
            Verdict::Torn(why) => (&mut tally.torn, "torn", why),
            Verdict::Unrecoverable(why) => (&mut tally.unrecoverable, "unrecoverable", why),
        };
        *count += 1;
        bail!("era {}, {plan:?} ended {ended:?}: {word}: {why}", plan.era);
    }
    Ok(())
}

/// What a child is to do, and how it ends.
#[derive(Debug)]
struct Plan {
    era: u64,
    /// Goes back to this height first.
    rollback: Option<u64>,
    end: End,
}

#[derive(Debug)]
enum End {
    /// At the n-th pass of a point.
    Point(Point, u64),
    /// So long after so many heights were acknowledged.
    Signal { heights: u64, after: Duration },
}

impl Plan {
    fn draw(random: &mut Random, chain: &Chain<'_>) -> Self {
        let era = chain.era() + 1;
        let points: Vec<Point> = Point::ALL
            .into_iter()
            .filter(|p| *p != Point::SetAsideStep)
            .collect();
        let end = match random.below(10) {
            0..7 => End::Point(
                points[random.below(points.len() as u64) as usize],
                1 + random.below(6),
            ),
            // While it opens.
            7 => End::Signal {
                heights: 0,
                after: Duration::from_micros(random.below(30_000)),
            },
            _ => End::Signal {
                heights: 1 + random.below(10),
                after: Duration::from_micros(random.below(5000)),
            },
        };
        let going_back = matches!(
            end,
            End::Point(
                Point::RollbackNoted | Point::RollbackStep | Point::RollbackDone,
                _
            )
        );
        let room = chain.height().saturating_sub(chain.oldest()).min(12);
        let back = going_back || random.below(10) == 0;
        let rollback = (back && room > 0).then(|| chain.height() - 1 - random.below(room));
        Self { era, rollback, end }
    }
}

#[derive(Debug)]
enum Ended {
    /// At a point, or anywhere.
    At(String),
    /// After all its blocks.
    Done,
    Failed(String),
}

/// A child that lives so long waits for itself.
const HUNG: Duration = Duration::from_secs(600);

/// Runs a child until it is ended, and takes down what it says.
fn run_child(home: &Path, life: &Life, plan: &Plan, chain: &mut Chain<'_>) -> Result<Ended> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("torture-child").args(life.arguments());
    command
        .arg("--home")
        .arg(home)
        .arg("--era")
        .arg(plan.era.to_string());
    if let Some(height) = plan.rollback {
        command.arg("--rollback").arg(height.to_string());
    }
    if let End::Point(point, n) = plan.end {
        command
            .arg("--point")
            .arg(format!("{point:?}"))
            .arg("--pass")
            .arg(n.to_string());
    }
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (ended, pid) = (mpsc::channel::<()>(), process.id().to_string());
    let watch = std::thread::spawn(move || {
        let hung = ended.1.recv_timeout(HUNG) == Err(mpsc::RecvTimeoutError::Timeout);
        if hung {
            // Without a `kill` it hangs for good, and is seen.
            let _ = Command::new("kill").args(["-9", &pid]).status();
        }
        hung
    });
    let mut lines = BufReader::new(process.stdout.take().context("piped")?).lines();
    if let End::Signal { heights, after } = plan.end {
        let mut seen = 0;
        while seen < heights {
            let Some(line) = lines.next() else { break };
            seen += u64::from(chain.hear(&line?, plan.era));
        }
        std::thread::sleep(after);
        // It may have ended by itself.
        let _ = process.kill();
    }
    for line in lines.map_while(std::io::Result::ok) {
        chain.hear(&line, plan.era);
    }
    let output = process.wait_with_output()?;
    drop(ended.0);
    if watch.join().unwrap_or(false) {
        let why = format!("it did not end within {} s", HUNG.as_secs());
        return Ok(Ended::Failed(why));
    }
    Ok(match (&plan.end, output.status.signal()) {
        (_, None) if output.status.success() => Ended::Done,
        (End::Point(point, _), Some(SIGABRT)) => Ended::At(format!("{point:?}")),
        (End::Signal { .. }, Some(_)) => Ended::At("any moment".into()),
        _ => Ended::Failed(format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
    })
}
