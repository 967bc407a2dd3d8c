//! The workspace's crates and what they depend on, as cargo sees them.
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One crate of ours.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Crate {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    pub(super) manifest_path: PathBuf,
    pub(super) dependencies: Vec<Dependency>,
}

/// One arrow.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// `dev`, `build`, or none for a normal one.
    pub(super) kind: Option<String>,
}

impl Crate {
    /// What the crate is built with, tests aside.
    pub(super) fn normal(&self) -> impl Iterator<Item = &str> {
        self.dependencies
            .iter()
            .filter(|d| d.kind.as_deref() != Some("dev"))
            .map(|d| d.name.as_str())
    }
}

/// The crates of the workspace at `root`, by name.
pub(super) fn read(root: &Path) -> Result<Vec<Crate>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Crate>,
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root);
    let output = cargo.output().context("run cargo metadata")?;
    ensure!(
        output.status.success(),
        "{cargo:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let mut crates = serde_json::from_slice::<Metadata>(&output.stdout)
        .context("cargo metadata's JSON")?
        .packages;
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(crates)
}
