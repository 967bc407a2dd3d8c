//! Clippy's bans: the root has them, and only crates that talk to the world lift them.
use super::workspace::Crate;
use super::{Broken, arrows};
use anyhow::{Context as _, Result};
use std::path::Path;

const BANNED: &[&str] = &[
    "std::collections::HashMap",
    "std::collections::HashSet",
    "f32",
    "f64",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::env::var",
    "std::option::Option::unwrap_or_default",
    "std::result::Result::unwrap_or_default",
];

/// The state machine's crates that may have a `clippy.toml` of their own: `store` has files and threads.
const LIFTED: &[&str] = &["store"];

/// The bans stand in the root, no crate of the state machine lifts them, and all crates take the workspace's lints.
pub(super) fn check(root: &Path, crates: &[Crate]) -> Result<Broken> {
    let text = std::fs::read_to_string(root.join("clippy.toml")).context("read clippy.toml")?;
    let mut broken = missing(&text);
    for krate in crates {
        let folder = krate
            .manifest_path
            .parent()
            .context("a manifest lies in a folder")?;
        let own = folder.join("clippy.toml").exists();
        if own && arrows::is_state_machine(&krate.name) && !LIFTED.contains(&krate.name.as_str()) {
            broken.push(format!(
                "{}: has a clippy.toml of its own, which lifts every ban",
                krate.name
            ));
        }
        let manifest = std::fs::read_to_string(&krate.manifest_path)
            .with_context(|| format!("read {}", krate.manifest_path.display()))?;
        if !manifest.contains("[lints]\nworkspace = true") {
            broken.push(format!("{}: does not take the workspace's lints", krate.name));
        }
    }
    Ok(broken)
}

fn missing(text: &str) -> Broken {
    let absent = BANNED
        .iter()
        .filter(|ban| !text.contains(&format!("path = \"{ban}\"")));
    absent
        .map(|ban| format!("clippy.toml does not ban {ban}"))
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_ban_that_was_taken_out_is_missed() {
        let text = std::fs::read_to_string(crate::root().join("clippy.toml")).unwrap();
        assert!(super::missing(&text).is_empty());
        assert_eq!(
            super::missing(&text.replace("\"f64\"", "\"x\"")),
            ["clippy.toml does not ban f64"]
        );
    }
}
