//! `cargo xtask sizes`: how long files, functions and crates are, beside what we aim at. Prints, never enforces.
use crate::files::{is_test_file, shipped, tracked};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Default)]
struct Size {
    files: usize,
    code: usize,
    tests: usize,
    docs: usize,
}

/// Prints one line a crate and the figures over all.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut crates: BTreeMap<String, Size> = BTreeMap::new();
    let (mut files, mut functions) = (Vec::<(usize, PathBuf)>::new(), Vec::<usize>::new());
    for path in tracked(root)?
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
    {
        let text =
            std::fs::read_to_string(root.join(&path)).with_context(|| format!("read {}", path.display()))?;
        let name = path
            .components()
            .next()
            .map_or_else(String::new, |c| c.as_os_str().to_string_lossy().into());
        let size = crates.entry(name).or_default();
        let whole = text
            .lines()
            .filter(|l| !l.trim().is_empty() && !l.trim().starts_with("//"))
            .count();
        let code = if is_test_file(&path) {
            0
        } else {
            shipped(&text).len()
        };
        size.files += 1;
        size.code += code;
        size.tests += whole.saturating_sub(code);
        size.docs += text.lines().filter(|l| l.trim().starts_with("//")).count();
        functions.extend(function_lengths(&text));
        files.push((text.lines().count(), path));
    }
    println!(
        "{:<12} {:>5} {:>6} {:>6} {:>6}",
        "crate", "files", "code", "tests", "docs"
    );
    for (name, size) in &crates {
        println!(
            "{name:<12} {:>5} {:>6} {:>6} {:>6}",
            size.files, size.code, size.tests, size.docs
        );
    }
    let sum = |of: fn(&Size) -> usize| crates.values().map(of).sum::<usize>();
    let (code, tests, docs) = (sum(|s| s.code), sum(|s| s.tests), sum(|s| s.docs));
    files.sort();
    functions.sort_unstable();
    let part = |a: usize, b: usize| a as f64 / b.max(1) as f64;
    println!(
        "median file         {:>6} lines (aim: about 150)",
        files.get(files.len() / 2).map_or(0, |f| f.0)
    );
    println!(
        "function p90        {:>6} lines (aim: at most 30)",
        functions.get(functions.len() * 9 / 10).unwrap_or(&0)
    );
    println!(
        "tests               {:>6.0} % of all code (aim: at least 40)",
        100.0 * part(tests, code + tests)
    );
    println!("docs a code line    {:>6.2} (aim: 0.2 to 0.3)", part(docs, code));
    for (lines, path) in files.iter().rev().take_while(|f| f.0 > 400) {
        println!("over 400            {lines:>6} lines {}", path.display());
    }
    Ok(())
}

/// Lines of each function, from `fn` to the brace in its column: the code is formatted.
fn function_lengths(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let column = |line: &str| line.len() - line.trim_start().len();
    let starts = |line: &str| {
        let code = line.trim_start();
        let rest = code.strip_prefix("pub ").unwrap_or(code);
        let rest = rest.strip_prefix("pub(crate) ").unwrap_or(rest);
        ["fn ", "const fn ", "async fn "]
            .iter()
            .any(|f| rest.starts_with(f))
    };
    let begun = lines.iter().enumerate().filter(|(_, l)| starts(l));
    let length = |(at, line): (usize, &&str)| {
        if line.trim_end().ends_with('}') || line.trim_end().ends_with(';') {
            return Some(1);
        }
        let end = lines[at + 1..]
            .iter()
            .position(|l| column(l) == column(line) && l.trim() == "}")?;
        Some(end + 2)
    };
    begun.filter_map(length).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn functions_are_measured_to_their_brace() {
        let text = "fn a() {}\nimpl X {\n    pub fn b() {\n        c;\n    }\n    fn d();\n}\n";
        assert_eq!(super::function_lengths(text), [1, 3, 1]);
    }
}
