//! Release builds of this checkout's programs, to be measured as processes of their own.
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds what `target` names for `cargo build --release`, such as `["--bin", "braidd"]`, and returns the folder that
/// programs go to.
pub(super) fn build(root: &Path, target: &[&str]) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release"]).args(target).current_dir(root);
    let status = cargo.status().with_context(|| format!("run {cargo:?}"))?;
    ensure!(status.success(), "{cargo:?} ended with {status}");
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(folder.join("release"))
}

/// The file name of the program `name`.
pub(super) fn program(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}

/// Runs a release build of this program with the arguments of this one.
pub(super) fn again(root: &Path) -> Result<()> {
    let program = build(root, &["-p", "xtask"])?.join(program("xtask"));
    let mut command = Command::new(&program);
    let status = command
        .args(std::env::args_os().skip(1))
        .status()
        .with_context(|| format!("run {}", program.display()))?;
    ensure!(status.success(), "{} ended with {status}", program.display());
    Ok(())
}
