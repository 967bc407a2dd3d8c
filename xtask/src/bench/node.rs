//! A chain of one validator in a temporary folder: `braidd init`, `braidd start`, the real CometBFT.
use super::http::Http;
use super::release;
use anyhow::{Context as _, Result, bail, ensure};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A young chain has its second block within seconds.
const READY: Duration = Duration::from_secs(60);

/// The node; it ends with this value.
#[derive(Debug)]
pub(super) struct Node {
    child: Child,
    dir: tempfile::TempDir,
    /// CometBFT's RPC, `host:port`.
    pub(super) rpc: String,
}

impl Node {
    /// Makes and starts the chain `chain_id`, with `accounts` that have a thousand coins each.
    pub(super) fn start(braidd: &Path, comet: &Path, chain_id: &str, accounts: &[String]) -> Result<Self> {
        let dir = tempfile::tempdir().context("make a temporary folder")?;
        let (rpc, p2p, eth) = (free_port()?, free_port()?, free_port()?);
        let mut init = Command::new(braidd);
        init.arg("--home").arg(dir.path()).args([
            "init",
            "bench",
            "--chain-id",
            chain_id,
            "--stake",
            "100braid",
        ]);
        init.arg(format!("--rpc.laddr=tcp://127.0.0.1:{rpc}"))
            .arg(format!("--p2p.laddr=tcp://127.0.0.1:{p2p}"));
        init.arg(format!("--json-rpc.address=127.0.0.1:{eth}"));
        init.args(accounts.iter().map(|a| format!("--account={a}=1000braid")));
        let output = init
            .output()
            .with_context(|| format!("run {}", braidd.display()))?;
        ensure!(
            output.status.success(),
            "braidd init: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let log = File::create(dir.path().join("log")).context("make the log")?;
        let mut start = Command::new(braidd);
        start
            .arg("--home")
            .arg(dir.path())
            .args(["start", "--log-level", "warn"])
            .arg("--comet-bin")
            .arg(comet);
        let child = start
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut node = Self {
            child,
            dir,
            rpc: format!("127.0.0.1:{rpc}"),
        };
        node.wait_height(2)?;
        Ok(node)
    }

    /// The newest height, once it is `want`.
    pub(super) fn wait_height(&mut self, want: u64) -> Result<u64> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                let log = std::fs::read_to_string(self.dir.path().join("log"))?;
                bail!("braidd start ended with {status}\n{log}");
            }
            let height = Http::connect(&self.rpc)
                .and_then(|mut http| height(&mut http))
                .unwrap_or(0);
            if height >= want {
                return Ok(height);
            }
            ensure!(
                begun.elapsed() < READY,
                "height {height} after {READY:?}, want {want}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // CometBFT ends with its braidd, however that ends.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The node's newest height.
pub(super) fn height(http: &mut Http) -> Result<u64> {
    let status = http.get("/status")?;
    let text = status["sync_info"]["latest_block_height"]
        .as_str()
        .context("status has a height")?;
    text.parse().with_context(|| format!("height {text:?}"))
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The `braidd` to measure: the one given, or a release build of this checkout.
pub(crate) fn braidd(root: &Path, given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return std::path::absolute(path).with_context(|| format!("{}", path.display()));
    }
    Ok(release::build(root, &["--bin", "braidd"])?.join(release::program("braidd")))
}
