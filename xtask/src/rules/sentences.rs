//! One sentence a crate, the same everywhere.
use super::Broken;
use super::workspace::Crate;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Compares each crate's description with its first line, and the README's and ARCHITECTURE's tables with both.
pub(super) fn check(root: &Path, crates: &[Crate]) -> Result<Broken> {
    let mut broken = Broken::new();
    let tables = ["README.md", "ARCHITECTURE.md"];
    let mut told = Vec::new();
    for file in tables {
        let text = std::fs::read_to_string(root.join(file)).with_context(|| format!("read {file}"))?;
        told.push((file, table(&text)));
    }
    for krate in crates {
        let Some(sentence) = krate.description.as_deref() else {
            broken.push(format!("{}: no description in Cargo.toml", krate.name));
            continue;
        };
        let first = first_line(krate)?;
        let mut compare = |place: &str, said: Option<&str>| {
            if said.map(plain).as_deref() != Some(&plain(sentence)) {
                broken.push(format!(
                    "{}: Cargo.toml says {sentence:?}, {place} says {said:?}",
                    krate.name
                ));
            }
        };
        compare("its first line", Some(&first));
        for (file, table) in &told {
            compare(file, table.get(&krate.name).map(String::as_str));
        }
    }
    for (file, table) in &told {
        let unknown = table
            .keys()
            .filter(|name| !crates.iter().any(|c| c.name == **name));
        broken.extend(unknown.map(|name| format!("{file} has a crate {name:?} that is not there")));
    }
    Ok(broken)
}

/// Code marks are for the eye.
fn plain(sentence: &str) -> String {
    sentence.replace('`', "")
}

fn first_line(krate: &Crate) -> Result<String> {
    let folder = krate
        .manifest_path
        .parent()
        .context("a manifest lies in a folder")?;
    let lib = folder.join("src/lib.rs");
    let file = if lib.is_file() {
        lib
    } else {
        folder.join("src/main.rs")
    };
    let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let line = text.lines().next().and_then(|l| l.strip_prefix("//! "));
    Ok(line.unwrap_or("").to_owned())
}

/// The rows of the table under the heading `| crate | sentence |`.
fn table(text: &str) -> BTreeMap<String, String> {
    let rows = text
        .lines()
        .skip_while(|l| !l.starts_with("| crate |"))
        .skip(2)
        .take_while(|l| l.starts_with('|'));
    let cells = rows.filter_map(|row| {
        let mut cells = row.trim_matches('|').splitn(2, '|').map(str::trim);
        Some((plain(cells.next()?), cells.next()?.to_owned()))
    });
    cells.collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_of_crates_is_read_row_by_row() {
        let text = "# T\n| crate | sentence |\n|---|---|\n| `a` | Do `b`. |\n| `c` | D. |\n\n| x | y |\n";
        let table = super::table(text);
        assert_eq!(table.len(), 2);
        assert_eq!(table["a"], "Do `b`.");
    }
}
