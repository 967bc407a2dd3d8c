//! Install the pinned tools that the tests run: CometBFT and cosmos/iavl by Go, the JavaScript and Foundry clients by npm.
//!
//! All of it goes into ignored folders of the checkout (`.tools`, `clients/node_modules`), and what is there in the
//! right version is left alone, so this may run before every test.
use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The consensus engine's version. The testnet and `braidd version` name the same.
const COMETBFT: &str = "0.38.26";
const COMETBFT_PACKAGE: &str = "github.com/cometbft/cometbft/cmd/cometbft";
/// Below it, `npm` does not know `ci` with a lock file of version 3.
const NODE_LEAST: u64 = 18;

/// Where the tools lie.
#[derive(Debug)]
pub(crate) struct Tools {
    /// The `cometbft` program.
    pub(crate) cometbft: PathBuf,
    /// The folder with the clients' scripts, `node_modules` and a `solc` for Foundry.
    pub(crate) clients: PathBuf,
    /// The program of `xtask/go/iavl`; `None` where it is not built and there is no Go.
    pub(crate) iavl: Option<PathBuf>,
}

/// Makes sure that every tool is there, in its version. `root` is the checkout.
pub(crate) fn install(root: &Path) -> Result<Tools> {
    Ok(Tools {
        cometbft: cometbft(root)?,
        clients: clients(root)?,
        iavl: iavl(root)?,
    })
}

/// Runs `cargo xtask tools`.
pub(crate) fn run() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in the checkout's root")?;
    let tools = install(root)?;
    println!("CometBFT {COMETBFT}  {}", tools.cometbft.display());
    println!("clients          {}", tools.clients.display());
    if let Some(iavl) = tools.iavl {
        println!("cosmos/iavl      {}", iavl.display());
    }
    Ok(())
}

fn cometbft(root: &Path) -> Result<PathBuf> {
    let folder = root.join(".tools").join("bin");
    let program = folder.join(format!("cometbft{}", std::env::consts::EXE_SUFFIX));
    if version_of(&program).as_deref() == Some(COMETBFT) {
        return Ok(program);
    }
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    println!("installing CometBFT {COMETBFT} with go");
    let mut go = Command::new("go");
    go.arg("install")
        .arg(format!("{COMETBFT_PACKAGE}@v{COMETBFT}"))
        .env("GOBIN", &folder)
        .current_dir(&folder);
    // GOBIN is refused where Go is told to build for another machine.
    go.env_remove("GOOS").env_remove("GOARCH").env_remove("GOFLAGS");
    succeed(&mut go, "go (https://go.dev/dl) builds CometBFT")?;
    let found = version_of(&program);
    ensure!(
        found.as_deref() == Some(COMETBFT),
        "{}: version {found:?}, want {COMETBFT}",
        program.display()
    );
    Ok(program)
}

fn version_of(cometbft: &Path) -> Option<String> {
    let output = Command::new(cometbft)
        .arg("version")
        .output()
        .ok()
        .filter(|o| o.status.success())?;
    // `0.38.26`, or `0.38.26+<commit>` where it was built from a checkout.
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().split('+').next()?.to_owned())
}

/// Builds cosmos/iavl's roots and benches from `xtask/go/iavl`, whose go.mod and go.sum pin it, where the source is not
/// that of the program that is there. `None` where there is no Go to do so: the tests then say that they are skipped.
pub(crate) fn iavl(root: &Path) -> Result<Option<PathBuf>> {
    let source = root.join("xtask").join("go").join("iavl");
    let mut files: Vec<PathBuf> = fs::read_dir(&source)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .with_context(|| format!("list {}", source.display()))?;
    files.sort();
    let text = files.iter().map(|file| read(file)).collect::<Result<String>>()?;
    let bin = root.join(".tools").join("bin");
    let program = bin.join(format!("braid-iavl{}", std::env::consts::EXE_SUFFIX));
    // Written last: a build that was cut off is done again.
    let done = root.join(".tools").join("iavl.built");
    if program.is_file() && fs::read_to_string(&done).is_ok_and(|built| built == text) {
        return Ok(Some(program));
    }
    let mut go = Command::new("go");
    go.args(["build", "-buildvcs=false", "-o"])
        .arg(&program)
        .current_dir(&source);
    go.env_remove("GOOS").env_remove("GOARCH").env_remove("GOFLAGS");
    if Command::new("go").arg("version").output().is_err() {
        println!("no go (https://go.dev/dl): what compares with cosmos/iavl is skipped");
        return Ok(None);
    }
    fs::create_dir_all(&bin).with_context(|| format!("make {}", bin.display()))?;
    println!("building cosmos/iavl's program with go");
    succeed(&mut go, "go (https://go.dev/dl) builds cosmos/iavl")?;
    fs::write(&done, text).with_context(|| format!("write {}", done.display()))?;
    Ok(Some(program))
}

fn clients(root: &Path) -> Result<PathBuf> {
    let folder = root.join("clients");
    let lock = read(&folder.join("package-lock.json"))?;
    // Written last: an installation that was cut off is done again.
    let done = folder.join("node_modules").join(".braid-installed");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == lock) {
        return Ok(folder);
    }
    check_node()?;
    println!("installing the clients with npm");
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let mut ci = Command::new(npm);
    // The packages' own scripts are not needed, so they are not run.
    ci.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(&folder);
    succeed(
        &mut ci,
        "npm (it comes with Node, https://nodejs.org) installs the clients",
    )?;
    fs::write(&done, lock).with_context(|| format!("write {}", done.display()))?;
    Ok(folder)
}

fn check_node() -> Result<()> {
    let output = Command::new("node").arg("--version").output();
    let output = output.context("run node: the clients need Node (https://nodejs.org)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let major = text
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|n| n.parse::<u64>().ok());
    match major {
        Some(major) if major >= NODE_LEAST => Ok(()),
        _ => bail!(
            "node is {:?}: the clients need {NODE_LEAST} or later",
            text.trim()
        ),
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

fn succeed(command: &mut Command, needed: &str) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("run {:?}: {needed}", command.get_program()))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}
