//! ARCHITECTURE.md and README.md name only what is there.
use super::Broken;
use crate::files::tracked;
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::path::Path;

/// Every file and every test that the two documents name exists.
pub(super) fn check(root: &Path) -> Result<Broken> {
    let mut functions = BTreeSet::new();
    for path in tracked(root)?
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
    {
        let text =
            std::fs::read_to_string(root.join(&path)).with_context(|| format!("read {}", path.display()))?;
        functions.extend(text.lines().filter_map(function).map(str::to_owned));
    }
    let mut broken = Broken::new();
    for file in ["ARCHITECTURE.md", "README.md"] {
        let text = std::fs::read_to_string(root.join(file)).with_context(|| format!("read {file}"))?;
        for name in quoted(&text) {
            let missing = if is_path(name) {
                !root.join(name).exists()
            } else {
                is_sentence(name) && !functions.contains(name)
            };
            if missing {
                broken.push(format!("{file} names {name}, which is not there"));
            }
        }
    }
    Ok(broken)
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("fn ")?;
    rest.split(['(', '<']).next()
}

/// What stands between backquotes, code blocks aside.
fn quoted(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            out.extend(line.split('`').skip(1).step_by(2));
        }
    }
    out
}

fn is_path(name: &str) -> bool {
    name.contains('/') && name.ends_with(".rs") && !name.contains(' ')
}

/// A test's name is a sentence: four words or more.
fn is_sentence(name: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.matches('_').count() >= 3 && name.chars().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tests_and_files_are_told_from_other_words() {
        let text = "see `a_test_of_this` in `x/y.rs`, `cargo x`\n```\n`not_this_one_here`\n```\n`Op`";
        assert_eq!(quoted(text), ["a_test_of_this", "x/y.rs", "cargo x", "Op"]);
        assert!(is_sentence("a_test_of_this") && !is_sentence("min_gas_price"));
        assert!(is_path("x/y.rs") && !is_path("cargo x"));
        assert_eq!(function("    pub(crate) async fn a_b<T>(x: T) {"), Some("a_b"));
    }
}
