//! The figures as a table in Markdown.
use super::Size;
use super::child::Figures;
use std::collections::BTreeMap;

/// How a figure is written, and which is the better one.
#[derive(Clone, Copy, Debug)]
enum Unit {
    /// Milliseconds: the median and the 95th percentile. Less is better.
    Ms,
    /// Seconds. Less is better.
    S,
    /// Thousands a second. More is better.
    Rate,
    /// Bytes. Less is better.
    Bytes,
    /// Mebibytes, and how many times a block's keys and values. Less is better; a database that was just compacted
    /// may have shrunk, which says nothing.
    Block,
    /// The same beside the keys and values of all blocks.
    All,
    /// Milliseconds, one figure. Less is better.
    Cpu,
}

/// One row: what it is, the run of ours it is taken from, the figure's name, and whether Go has it.
type Row = (&'static str, &'static str, &'static str, bool, Unit);

// One line a row.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("load all keys, durable; 2 threads", "sync 2", "load_s", true, Unit::S),
    ("updates: apply, hash, durable; 2 threads", "sync 2", "update_whole", true, Unit::Ms),
    ("same, 1 thread", "sync 1", "update_whole", true, Unit::Ms),
    ("updates: apply and hash; 2 threads", "sync 2", "update_stage", true, Unit::Ms),
    ("same, 1 thread", "sync 1", "update_stage", true, Unit::Ms),
    ("same while the block before is written; 2 threads", "async 2", "update_stage", true, Unit::Ms),
    ("same, 1 thread", "async 1", "update_stage", true, Unit::Ms),
    ("80/15/5: apply, hash, durable; 2 threads", "mixed sync 2", "mixed_whole", true, Unit::Ms),
    ("same without durable, while the block before is written", "mixed async 2", "mixed_stage", true, Unit::Ms),
    ("commit, sync", "sync 2", "update_commit", true, Unit::Ms),
    ("commit, async", "async 2", "update_commit", false, Unit::Ms),
    ("CPU a block of updates, all threads, all told", "async 2", "update_cpu_ms", true, Unit::Cpu),
    ("updates a second, sustained and durable; async", "async 2", "update_keys_s", true, Unit::Rate),
    ("same, sync", "sync 2", "update_keys_s", true, Unit::Rate),
    ("reads a second, newest version; one core", "sync 2", "latest_reads_s", true, Unit::Rate),
    ("same, ten blocks back", "sync 2", "old_reads_s", true, Unit::Rate),
    ("same, ten blocks back, when they have left RAM", "sync 2", "cold_reads_s", true, Unit::Rate),
    ("the first look at such a height", "sync 2", "cold_snapshot_ms", true, Unit::Cpu),
    ("membership proofs a second; one core", "sync 2", "proofs_s", true, Unit::Rate),
    ("open again, in a new process", "sync 2", "reopen_s", true, Unit::S),
    ("memory a key, one version: tree, keys, values, index", "sync 2", "tree_bytes_key", false, Unit::Bytes),
    ("same, without what is free for the next blocks", "sync 2", "used_bytes_key", false, Unit::Bytes),
    ("memory a key, whole process after opening (Go: after the load)", "sync 2", "resident_bytes_key", true, Unit::Bytes),
    ("disk a block (× its keys and values): growth", "sync 2", "update_live_bytes", true, Unit::Block),
    ("same, written, all told", "sync 2", "update_written_bytes", true, Unit::Block),
    ("same, written for checkpoints", "sync 2", "update_checkpoint_bytes", false, Unit::Block),
    ("journal in the end (× all keys and values)", "sync 2", "journal_bytes", false, Unit::All),
    ("all files in the end (× all keys and values)", "sync 2", "files_bytes", true, Unit::All),
];

/// A line on what was measured.
pub(super) fn head(size: Size, go: bool, roots: usize) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let Size {
        keys,
        blocks,
        go_blocks,
        changes,
    } = size;
    let (keys, changes) = (thousands(keys as f64), thousands(changes as f64));
    let mut text = format!(
        "{keys} keys of 32 bytes with values of 64; {blocks} blocks of {changes} changes; {cores} cores."
    );
    if go {
        text += &format!(
            " cosmos/iavl v1.3.6, goleveldb, {go_blocks} blocks, all cores; the roots of all {roots} heights are the same."
        );
    }
    text + " Times are p50 / p95.\n"
}

/// The table. A row that ours have no figure for is left out; so are Go's columns where Go was not measured.
pub(super) fn table(runs: &BTreeMap<&'static str, Figures>) -> String {
    let go: Vec<&Figures> = ["go sdk", "go cached"]
        .iter()
        .filter_map(|name| runs.get(name))
        .collect();
    let mut lines = if go.len() == 2 {
        let head = "| | Braid | Go IAVL as the SDK sets it | Go IAVL, every node cached | times better |";
        vec![head.to_owned(), "|---|--:|--:|--:|--:|".into()]
    } else {
        vec!["| | Braid |".to_owned(), "|---|--:|".into()]
    };
    for &(title, run, name, gos, unit) in ROWS {
        let Some(ours) = runs.get(run).and_then(|figures| cell(figures, name, unit)) else {
            continue;
        };
        let mut line = format!("| {title} | {} |", ours.0);
        if go.len() == 2 {
            let theirs = [go[0], go[1]].map(|figures| cell(figures, name, unit).filter(|_| gos));
            let ratio = |theirs: &Option<(String, f64)>| {
                let (_, theirs) = theirs.as_ref()?;
                times(match unit {
                    Unit::Rate => ours.1 / theirs,
                    _ => theirs / ours.1,
                })
            };
            let ratios: Vec<String> = theirs.iter().filter_map(ratio).collect();
            let text = theirs.map(|cell| cell.map_or_else(String::new, |(text, _)| text));
            line += &format!(" {} | {} | {} |", text[0], text[1], ratios.join(", "));
        }
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

/// A figure as text, and the number that ratios are made of.
fn cell(figures: &Figures, name: &str, unit: Unit) -> Option<(String, f64)> {
    let get = |name: &str| figures.get(name);
    Some(match unit {
        Unit::Ms => {
            let (p50, p95) = (get(&format!("{name}_p50_ms"))?, get(&format!("{name}_p95_ms"))?);
            (format!("{} / {} ms", digits(p50), digits(p95)), p50)
        }
        Unit::S => get(name).map(|n| (format!("{} s", digits(n)), n))?,
        Unit::Rate => get(name).map(|n| (format!("{} k", digits(n / 1e3)), n))?,
        Unit::Bytes => get(name).map(|n| (format!("{} B", thousands(n)), n))?,
        Unit::Block | Unit::All => {
            let beside = if matches!(unit, Unit::All) {
                "all_logical_bytes"
            } else {
                "update_logical_bytes"
            };
            let n = get(name).filter(|n| *n >= 0.0)?;
            let text = format!("{:.2} MiB ({:.1}×)", n / f64::from(1 << 20), n / get(beside)?);
            (text, n)
        }
        Unit::Cpu => get(name).map(|n| (format!("{} ms", digits(n)), n))?,
    })
}

/// How many times; nothing where that has no meaning.
fn times(ratio: f64) -> Option<String> {
    (ratio.is_finite() && ratio > 0.0).then(|| digits(ratio) + "×")
}

/// Not more digits than mean something.
fn digits(n: f64) -> String {
    match n.abs() {
        n if n < 0.995 => format!("{n:.2}"),
        n if n < 99.95 => format!("{n:.1}"),
        _ => thousands(n),
    }
}

/// A whole number with commas.
fn thousands(n: f64) -> String {
    let text = format!("{:.0}", n.abs());
    let mut out = String::from(if n <= -0.5 { "-" } else { "" });
    for (i, digit) in text.chars().enumerate() {
        if i > 0 && (text.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(go: bool) -> BTreeMap<&'static str, Figures> {
        let ours = [
            ("load_s", 2.0),
            ("update_whole_p50_ms", 20.04),
            ("update_whole_p95_ms", 123.4),
            ("proofs_s", 1e5),
        ];
        let mut runs = BTreeMap::from([("sync 2", Figures::from_iter(ours))]);
        if go {
            let sdk = [
                ("load_s", 90.0),
                ("update_whole_p50_ms", 4008.0),
                ("update_whole_p95_ms", 5000.0),
            ];
            let cached = [("load_s", 1.0), ("proofs_s", 2e4)];
            runs.insert("go sdk", Figures::from_iter(sdk));
            runs.insert("go cached", Figures::from_iter(cached));
        }
        runs
    }

    #[test]
    fn ratios_say_how_many_times_better_ours_is() {
        let text = table(&runs(true));
        let rows: Vec<&str> = text.lines().skip(2).collect();
        let want = [
            "| load all keys, durable; 2 threads | 2.0 s | 90.0 s | 1.0 s | 45.0×, 0.50× |",
            "| updates: apply, hash, durable; 2 threads | 20.0 / 123 ms | 4,008 / 5,000 ms |  | 200× |",
            "| membership proofs a second; one core | 100 k |  | 20.0 k | 5.0× |",
        ];
        assert_eq!(rows, want);
    }

    #[test]
    fn without_go_there_are_no_columns_for_it() {
        let text = table(&runs(false));
        assert!(text.lines().all(|line| line.matches('|').count() == 3), "{text}");
        assert!(text.contains("| load all keys, durable; 2 threads | 2.0 s |"));
    }

    #[test]
    fn numbers_are_as_people_write_them() {
        assert_eq!(
            [0.004, 0.5, 9.0, 42.25, 99.97, 12_345.6].map(digits),
            ["0.00", "0.50", "9.0", "42.2", "100", "12,346"]
        );
        assert_eq!(
            [-0.2, -1_234.0, 0.0, 999.0, 1_000_000.0].map(thousands),
            ["0", "-1,234", "0", "999", "1,000,000"]
        );
    }

    #[test]
    fn every_row_is_told_apart_from_the_others() {
        for (i, (_, run, name, _, _)) in ROWS.iter().enumerate() {
            assert!(
                ROWS[..i].iter().all(|(_, r, n, _, _)| (r, n) != (run, name)),
                "{run} {name}"
            );
        }
    }
}
