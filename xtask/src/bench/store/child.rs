//! One load in a process of its own, and what it says: a JSON object a line.
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// What to run.
#[derive(Debug)]
pub(super) struct Load<'a> {
    /// What people call it.
    pub(super) name: &'static str,
    pub(super) program: &'a Path,
    /// `run` for ours, `bench` for Go's.
    pub(super) verb: &'a str,
    /// How commits are made, or how Go is configured.
    pub(super) kind: Option<&'a str>,
    /// Keys, blocks of updates, mixed blocks, changes a block, reads, proofs.
    pub(super) numbers: [u64; 6],
    /// Cores that the tree uses; Go uses what there is.
    pub(super) threads: Option<u32>,
    /// Reads ten blocks back after another process opened it once more; `None` where none does.
    pub(super) reopen: Option<u64>,
}

/// What a load came to.
#[derive(Debug, Default)]
pub(super) struct Figures {
    values: BTreeMap<String, f64>,
    /// By phase and height.
    pub(super) roots: BTreeMap<(String, u64), String>,
}

impl Load<'_> {
    /// Runs it in the empty folder `home`.
    pub(super) fn run(&self, home: &Path) -> Result<Figures> {
        let mut command = self.command(self.verb, home);
        command.args(self.numbers.map(|n| n.to_string()));
        listen(command)
    }

    /// Opens `home` again.
    pub(super) fn reopen(&self, home: &Path, reads: u64) -> Result<Figures> {
        let mut command = self.command("reopen", home);
        command.args([self.numbers[0], reads].map(|n| n.to_string()));
        listen(command)
    }

    fn command(&self, verb: &str, home: &Path) -> Command {
        let mut command = Command::new(self.program);
        command.arg(verb).arg(home);
        if let Some(kind) = self.kind {
            command.arg(kind);
        }
        if let Some(threads) = self.threads {
            command.env("RAYON_NUM_THREADS", threads.to_string());
        }
        command
    }
}

/// Runs `command` and takes in its lines.
fn listen(mut command: Command) -> Result<Figures> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {command:?}"))?;
    let stdout = child.stdout.take().expect("piped above");
    let mut figures = Figures::default();
    let mut taken = Ok(());
    for line in BufReader::new(stdout).lines() {
        let line = line.context("read what it says")?;
        // Read to the end all the same: whoever writes must not be stopped by a full pipe.
        taken = taken.and_then(|()| figures.take(&line));
    }
    let status = child.wait().with_context(|| format!("wait for {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    taken.with_context(|| format!("{command:?}"))?;
    Ok(figures)
}

impl Figures {
    fn take(&mut self, line: &str) -> Result<()> {
        let said: Value = serde_json::from_str(line).with_context(|| format!("line {line:?}"))?;
        let text = |name: &str| said[name].as_str().map(str::to_owned);
        if let (Some(name), Some(value)) = (text("figure"), said["value"].as_f64()) {
            self.values.insert(name, value);
        } else if let (Some(phase), Some(height), Some(root)) =
            (text("phase"), said["height"].as_u64(), text("root"))
        {
            self.roots.insert((phase, height), root);
        } else {
            bail!("line {line:?} is neither a figure nor a root");
        }
        Ok(())
    }

    /// Adds what the second process said: it must have found the height that the first one left.
    pub(super) fn merge(&mut self, mut reopened: Self) -> Result<()> {
        self.values.append(&mut reopened.values);
        for ((_, height), root) in reopened.roots {
            let last = self.roots.iter().max_by_key(|((_, height), _)| *height);
            let last = last.map(|((_, height), root)| (*height, root.clone()));
            ensure!(
                last == Some((height, root.clone())),
                "opened again at height {height} with root {root}, was at {last:?}"
            );
        }
        Ok(())
    }

    /// A figure, where the load has it.
    pub(super) fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    /// A JSON object a line for each figure.
    pub(super) fn lines(&self, run: &str) -> String {
        let line = |(name, value)| json!({"run": run, "figure": name, "value": value}).to_string() + "\n";
        self.values.iter().map(line).collect()
    }
}

#[cfg(test)]
impl FromIterator<(&'static str, f64)> for Figures {
    fn from_iter<T: IntoIterator<Item = (&'static str, f64)>>(figures: T) -> Self {
        Self {
            values: figures
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            roots: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_roots_are_taken_in_and_anything_else_is_refused() {
        let mut figures = Figures::default();
        figures.take(r#"{"figure":"load_s","value":1.5}"#).unwrap();
        figures
            .take(r#"{"phase":"load","height":1,"root":"aa"}"#)
            .unwrap();
        assert_eq!(figures.get("load_s"), Some(1.5));
        assert_eq!(figures.roots[&("load".to_owned(), 1)], "aa");
        for wrong in [
            "",
            "{}",
            r#"{"figure":"x"}"#,
            r#"{"phase":"load","height":-1,"root":"aa"}"#,
        ] {
            assert!(figures.take(wrong).is_err(), "{wrong}");
        }
        let line = figures.lines("sync");
        assert_eq!(line, "{\"figure\":\"load_s\",\"run\":\"sync\",\"value\":1.5}\n");
    }

    #[test]
    fn another_height_after_opening_again_is_noticed() {
        let at = |height: u64, root: &str| {
            let mut figures = Figures::default();
            let line = json!({"phase": "update", "height": height, "root": root});
            figures.take(&line.to_string()).unwrap();
            figures
        };
        assert!(at(7, "aa").merge(at(7, "aa")).is_ok());
        assert!(at(7, "aa").merge(at(6, "aa")).is_err());
        assert!(at(7, "aa").merge(at(7, "bb")).is_err());
    }
}
