//! `cargo xtask test`: installs what the tests run against, runs them all, and adds up.
use crate::tools;
use anyhow::{Context as _, Result, bail};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Which tests.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Arguments for `cargo test`, such as `-p store`; all crates without any.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo: Vec<String>,
}

/// Runs the tests and streams what they say; the last line is `N passed, N failed`.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let tools = tools::install(root)?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(arguments(&args.cargo))
        .current_dir(root)
        .stdout(Stdio::piped());
    cargo
        .env("PATH", path(&tools)?)
        .env("BRAID_COMETBFT", &tools.cometbft);
    if let Some(iavl) = &tools.iavl {
        cargo.env("BRAID_IAVL", iavl);
    }
    if let Some(folder) = eest(root)? {
        cargo.env("BRAID_EEST", folder);
    }
    let mut child = cargo.spawn().with_context(|| format!("run {cargo:?}"))?;
    let stdout = child.stdout.take().expect("piped above");
    let mut tally = Tally::default();
    for line in BufReader::new(stdout).lines() {
        if let Some(line) = tally.take(line.context("read what cargo says")?) {
            println!("{line}");
        }
    }
    let status = child.wait().context("wait for cargo")?;
    for line in &tally.skipped {
        println!("{line}");
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if !status.success() || tally.failed > 0 {
        bail!("cargo test ended with {status}");
    }
    if tally.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

/// `cargo test`'s arguments: every crate unless told otherwise, every failure, and what passing tests print, since a
/// test that is skipped says so.
fn arguments(given: &[String]) -> Vec<String> {
    let (cargo, harness) = match given.iter().position(|a| a == "--") {
        Some(at) => (&given[..at], &given[at + 1..]),
        None => (given, &[][..]),
    };
    let mut all = vec!["test".to_owned()];
    if !cargo
        .iter()
        .any(|a| a == "-p" || a.starts_with("--package") || a == "--workspace")
    {
        all.push("--workspace".into());
    }
    all.push("--no-fail-fast".into());
    all.extend_from_slice(cargo);
    all.extend(["--".into(), "--show-output".into()]);
    all.extend_from_slice(harness);
    all
}

fn path(tools: &tools::Tools) -> Result<OsString> {
    let bin = tools.cometbft.parent().context("cometbft lies in a folder")?;
    let mut folders = vec![bin.to_path_buf(), tools.clients.join("node_modules").join(".bin")];
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    std::env::join_paths(folders).context("put the tools on the PATH")
}

/// The specification's state tests, unpacked beside the tools; `None` where the vectors are absent. Those tests then
/// say that they were skipped.
fn eest(root: &Path) -> Result<Option<PathBuf>> {
    let vectors =
        std::env::var_os("BRAID_VECTORS").map_or_else(|| root.join("../shared/vectors"), PathBuf::from);
    let archive = vectors.join("eest-state.tar.xz");
    if !archive.is_file() {
        return Ok(None);
    }
    let folder = root.join(".tools").join("eest");
    // Written last: a copy that was cut off is made again.
    let done = root.join(".tools").join("eest.unpacked");
    if !done.is_file() {
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        println!("unpacking {}", archive.display());
        let mut tar = Command::new("tar");
        tar.arg("-xJf").arg(&archive).arg("-C").arg(&folder);
        let status = tar.status().context("run tar: the state tests are packed")?;
        if !status.success() {
            println!("{tar:?} ended with {status}: the specification's state tests are skipped");
            return Ok(None);
        }
        std::fs::write(&done, "").with_context(|| format!("write {}", done.display()))?;
    }
    Ok(Some(folder))
}

/// What the tests said so far.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    failed: u64,
    skipped: Vec<String>,
    /// Between `successes:` and what follows: the words of tests that passed.
    quiet: bool,
    /// Whose words those are.
    speaker: String,
}

impl Tally {
    /// Counts `line`; gives it back where people want to see it.
    fn take(&mut self, line: String) -> Option<String> {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.quiet = false;
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
        } else if line == "successes:" {
            self.quiet = true;
        } else if line == "failures:" {
            self.quiet = false;
        }
        if !self.quiet {
            return Some(line);
        }
        if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|l| l.strip_suffix(" stdout ----"))
        {
            name.clone_into(&mut self.speaker);
        } else if line.trim_start().starts_with("skipped") {
            self.skipped.push(format!("{}: {}", self.speaker, line.trim()));
        }
        None
    }
}

/// The number before `word` in `ok. 5 passed; 0 failed; …`.
fn count(counts: &str, word: &str) -> u64 {
    let part = counts.split([';', '.']).find_map(|p| p.trim().strip_suffix(word));
    part.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_add_up_and_skips_are_told() {
        let mut tally = Tally::default();
        let said = "running 2 tests\ntest a ... ok\n\nsuccesses:\n\n---- a stdout ----\nnoise\nskipped: no file\n\nsuccesses:\n    a\n\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\nfailures:\n\n---- b stdout ----\npanicked\ntest result: FAILED. 3 passed; 1 failed; 0 ignored";
        let shown: Vec<String> = said.lines().filter_map(|l| tally.take(l.into())).collect();
        assert_eq!((tally.passed, tally.failed), (5, 1));
        assert_eq!(tally.skipped, ["a: skipped: no file"]);
        assert!(shown.contains(&"panicked".to_owned()) && !shown.contains(&"noise".to_owned()));
    }

    #[test]
    fn everything_is_tested_unless_a_crate_is_named() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            arguments(&[]),
            words("test --workspace --no-fail-fast -- --show-output")
        );
        assert_eq!(
            arguments(&words("-p store name -- --exact")),
            words("test --no-fail-fast -p store name -- --show-output --exact")
        );
    }
}
