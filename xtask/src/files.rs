//! The repository's files, and what of a Rust file runs in the node.
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files that git tracks and those it would: nothing ignored. Paths are relative to `root`. An archive without git has
/// all its files, built ones aside.
pub(crate) fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    if !root.join(".git").exists() {
        let mut paths = Vec::new();
        walk(root, Path::new(""), &mut paths)?;
        paths.sort();
        return Ok(paths);
    }
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root);
    let output = git.output().context("run git: the list of files comes from it")?;
    ensure!(
        output.status.success(),
        "{git:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let text = String::from_utf8(output.stdout).context("file names are UTF-8")?;
    let mut paths: Vec<PathBuf> = text.split_terminator('\0').map(PathBuf::from).collect();
    // A file that was deleted and not yet committed is still listed.
    paths.retain(|p| root.join(p).is_file());
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn walk(root: &Path, folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        std::fs::read_dir(root.join(folder)).with_context(|| format!("read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        let built = ["target", ".tools", "node_modules"]
            .iter()
            .any(|b| path.ends_with(b));
        let kind = entry.file_type()?;
        if kind.is_dir() && !built {
            walk(root, &path, paths)?;
        } else if kind.is_file() {
            paths.push(path);
        }
    }
    Ok(())
}

/// A line of a Rust file, without its comment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Counted from 1.
    pub(crate) number: usize,
    /// The code on it.
    pub(crate) code: &'a str,
}

/// The lines of code in `text` that are no tests: items under `#[cfg(test)]` are left out, and so are comments.
pub(crate) fn shipped(text: &str) -> Vec<Line<'_>> {
    let mut out = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((i, line)) = lines.next() {
        if line.trim_start().starts_with("#[cfg(test)]") {
            skip_item(&mut lines);
            continue;
        }
        let code = strip_comment(line);
        if !code.trim().is_empty() {
            out.push(Line { number: i + 1, code });
        }
    }
    out
}

/// Passes over the item that follows: one line up to a `;`, or a block up to the brace that closes it in the same
/// column (the code is formatted).
fn skip_item<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>) {
    let mut indent = None;
    for (_, line) in lines {
        let code = strip_comment(line).trim_end();
        if code.trim().is_empty() || (indent.is_none() && code.trim_start().starts_with("#[")) {
            continue;
        }
        let column = line.len() - line.trim_start().len();
        match indent {
            None if code.ends_with(';') || (code.ends_with('}') && code.contains('{')) => return,
            None => indent = Some(column),
            Some(opened) if column == opened && (code.trim() == "}" || code.trim() == "};") => return,
            Some(_) => {}
        }
    }
}

fn strip_comment(line: &str) -> &str {
    // `://` is a URL in a string.
    let mut from = 0;
    while let Some(at) = line[from..].find("//").map(|i| i + from) {
        if at > 0 && line.as_bytes()[at - 1] == b':' {
            from = at + 2;
            continue;
        }
        return &line[..at];
    }
    line
}

/// Whether a Rust file holds nothing but tests, benches or examples.
pub(crate) fn is_test_file(path: &Path) -> bool {
    let is = |part: &str| matches!(part, "tests" | "benches" | "examples" | "tests.rs");
    path.components().any(|c| c.as_os_str().to_str().is_some_and(is))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_comments_are_not_shipped() {
        let text = "//! doc\nuse a; // b\n#[cfg(test)]\nmod tests;\nlet u = \"http://x\";\n#[cfg(test)]\n#[allow(x)]\nmod t {\n    fn f() {\n    }\n}\nfn g() {}\n";
        let code: Vec<&str> = shipped(text).iter().map(|l| l.code.trim()).collect();
        assert_eq!(code, ["use a;", "let u = \"http://x\";", "fn g() {}"]);
        assert_eq!(shipped(text)[2].number, 12);
    }

    #[test]
    fn test_files_are_known_by_their_folder() {
        for path in [
            "a/tests/b.rs",
            "a/src/tests/b.rs",
            "a/src/tests.rs",
            "a/examples/b.rs",
        ] {
            assert!(is_test_file(Path::new(path)), "{path}");
        }
        assert!(!is_test_file(Path::new("testnet/src/lib.rs")));
    }
}
