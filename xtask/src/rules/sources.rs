//! What source text may not say.
use super::{Broken, arrows};
use crate::files::{is_test_file, shipped, tracked};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// Words that reach the world or differ between machines. Clippy bans some of them by their path; this list holds
/// however they were imported.
const WORLD: &[&str] = &[
    "tokio",
    "jsonrpsee",
    "axum",
    "reqwest",
    "rand",
    "getrandom",
    "std::net",
    "std::process",
    "std::env",
    "Instant",
    "SystemTime",
    "HashMap",
    "HashSet",
    "f32",
    "f64",
    "unwrap_or_default",
    "thread_local",
];

/// Only `store` has files.
const FILES: &[&str] = &["std::fs", "OpenOptions"];

/// Containers that could hide a value shared by all.
const SHARED: &[&str] = &[
    "Mutex", "RwLock", "Atomic", "OnceLock", "LazyLock", "OnceCell", "Lazy", "ArcSwap", "Cell",
];

/// Rust sources that ship in a crate for which `wanted` holds, with their text.
fn sources(root: &Path, wanted: fn(&str) -> bool) -> Result<Vec<(PathBuf, String)>> {
    let mut out = Vec::new();
    for path in tracked(root)? {
        let name = path.components().next().and_then(|c| c.as_os_str().to_str());
        let is_rust = path.extension().is_some_and(|e| e == "rs");
        if is_rust && !is_test_file(&path) && name.is_some_and(wanted) {
            let text = std::fs::read_to_string(root.join(&path))
                .with_context(|| format!("read {}", path.display()))?;
            out.push((path, text));
        }
    }
    Ok(out)
}

/// Invariant 2.
pub(super) fn state_machine(root: &Path) -> Result<Broken> {
    let mut broken = Broken::new();
    for (path, text) in sources(root, arrows::is_state_machine)? {
        let of_store = path.starts_with("store");
        broken.extend(said(&path, &text, WORLD));
        if !of_store {
            broken.extend(said(&path, &text, FILES));
        }
    }
    Ok(broken)
}

/// Invariant 11.
pub(super) fn globals(root: &Path) -> Result<Broken> {
    let mut broken = Broken::new();
    for (path, text) in sources(root, arrows::is_state_machine)? {
        broken.extend(global(&path, &text));
    }
    Ok(broken)
}

fn global(path: &Path, text: &str) -> Broken {
    let is_global = |code: &str| {
        let code = code.trim_start();
        let code = code
            .strip_prefix("pub ")
            .or_else(|| code.strip_prefix("pub(crate) "))
            .unwrap_or(code);
        code.starts_with("static mut ")
            || (code.starts_with("static ") && SHARED.iter().any(|s| code.contains(s)))
    };
    let lines = shipped(text).into_iter().filter(|l| is_global(l.code));
    lines
        .map(|l| format!("{}:{}: {}", path.display(), l.number, l.code.trim()))
        .collect()
}

/// No test is ignored, and no code is left to be written.
pub(super) fn unfinished(root: &Path) -> Result<Broken> {
    // Put together here, so that this file does not say them.
    let words = [
        concat!("#[", "ignore"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    let mut broken = Broken::new();
    for path in tracked(root)?
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
    {
        let text =
            std::fs::read_to_string(root.join(&path)).with_context(|| format!("read {}", path.display()))?;
        for (i, line) in text.lines().enumerate() {
            let found = words.iter().filter(|w| line.contains(**w));
            broken.extend(found.map(|w| format!("{}:{}: {w}", path.display(), i + 1)));
        }
    }
    Ok(broken)
}

/// Where shipped code says one of `words`.
fn said(path: &Path, text: &str, words: &[&str]) -> Broken {
    let mut broken = Broken::new();
    for line in shipped(text) {
        let found = words.iter().filter(|w| has_word(line.code, w));
        broken.extend(found.map(|w| format!("{}:{}: {w}", path.display(), line.number)));
    }
    broken
}

fn has_word(code: &str, word: &str) -> bool {
    let part_of_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| {
        !part_of_name(code[..at].chars().next_back()) && !part_of_name(code[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_shipped_code_is_caught_and_one_in_tests_is_not() {
        let path = Path::new("app/src/block.rs");
        let text = "use std::time::Instant;\n// Instant\nlet operand = 1;\n#[cfg(test)]\nmod tests {\n    use std::collections::HashMap;\n}\n";
        assert_eq!(said(path, text, WORLD), ["app/src/block.rs:1: Instant"]);
    }

    #[test]
    fn a_global_that_can_change_is_caught() {
        let path = Path::new("x");
        assert_eq!(global(path, "static SEEN: Mutex<u8> = x;\n").len(), 1);
        assert_eq!(global(path, "pub(crate) static mut N: u8 = 0;\n").len(), 1);
        assert!(
            global(
                path,
                "static NAMES: &[&str] = &[];\nfn f(x: &'static Mutex<u8>) {}\n"
            )
            .is_empty()
        );
    }
}
