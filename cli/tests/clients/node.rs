//! A chain of its own for each test: `braidd dev`, or `braidd start` with CometBFT.
use crate::programs::{good, root, silent};
use cli::{DevAccount, dev_accounts};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running chain; it ends with this value.
pub(crate) struct Node {
    child: Child,
    /// Kept open: the node's words would fail otherwise.
    _words: Option<BufReader<ChildStdout>>,
    pub(crate) dir: TempDir,
    /// Ethereum JSON-RPC.
    pub(crate) rpc: String,
    /// CometBFT's RPC.
    pub(crate) comet: String,
    /// The funded accounts.
    pub(crate) accounts: Vec<DevAccount>,
}

/// The first block of a chain under CometBFT comes within it, however busy the machine is.
const FIRST_BLOCK: Duration = Duration::from_secs(120);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn braidd(dir: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_braidd"));
    command.args(arguments).arg("--home").arg(dir.path().join("home"));
    command
}

impl Node {
    /// `braidd dev` on free ports, in a folder of its own.
    pub(crate) fn dev() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        let mut command = braidd(&dir, &["dev", "--port", "0", "--comet-port", "0"]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut words = BufReader::new(child.stdout.take().unwrap());
        let (mut rpc, mut comet, mut said) = (None, None, String::new());
        loop {
            let mut line = String::new();
            if words.read_line(&mut line).unwrap() == 0 {
                let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
                panic!("braidd dev ended with {}\n{said}{log}", child.wait().unwrap());
            }
            let url = |line: &str| {
                line.split_whitespace()
                    .find(|w| w.starts_with("http://"))
                    .map(str::to_owned)
            };
            match line.as_str() {
                l if l.starts_with("Ethereum JSON-RPC") => rpc = url(l),
                l if l.starts_with("CometBFT RPC") => comet = url(l),
                // The last line that it prints.
                l if l.trim_start().starts_with("braidd query") => break,
                _ => {}
            }
            said += &line;
        }
        let found = format!("no endpoint in\n{said}");
        let (rpc, comet) = (rpc.expect(&found), comet.expect(&found));
        Self {
            child,
            _words: Some(words),
            dir,
            rpc,
            comet,
            accounts: dev_accounts(),
        }
    }

    /// `braidd start` with a CometBFT of its own, one validator, the same accounts; it has a block already.
    pub(crate) fn under_cometbft() -> Self {
        let comet_bin = root().join(".tools").join("bin").join("cometbft");
        assert!(
            comet_bin.exists(),
            "{} is missing: run `cargo xtask tools`",
            comet_bin.display()
        );
        let dir = tempfile::tempdir().unwrap();
        let [rpc, comet, peers] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
        let (comet_url, peers_url) = (format!("tcp://{comet}"), format!("tcp://{peers}"));
        let addresses = [
            "--json-rpc.address",
            &rpc,
            "--rpc.laddr",
            &comet_url,
            "--p2p.laddr",
            &peers_url,
        ];
        good(braidd(&dir, &["init", "--dev-accounts"]).args(addresses));
        let log = File::create(dir.path().join("log")).unwrap();
        let mut command = braidd(&dir, &["start", "--comet-bin", comet_bin.to_str().unwrap()]);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut node = Self {
            child,
            _words: None,
            dir,
            rpc: format!("http://{rpc}"),
            comet: format!("http://{comet}"),
            accounts: dev_accounts(),
        };
        let begun = Instant::now();
        while node.height() == 0 {
            let ended = node.child.try_wait().unwrap();
            assert!(ended.is_none(), "braidd start ended: {ended:?}");
            assert!(begun.elapsed() < FIRST_BLOCK, "no block in {FIRST_BLOCK:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
        node
    }

    /// The chain's height, 0 while nobody answers.
    fn height(&self) -> u64 {
        let said = silent(braidd(
            &self.dir,
            &["status", "-o", "json", "--node", &self.comet],
        ));
        let status: Value = serde_json::from_str(&said).unwrap_or_default();
        let height = status["sync_info"]["latest_block_height"]
            .as_str()
            .unwrap_or_default();
        height.parse().unwrap_or(0)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the node said:\n{}", self.log());
        }
        // Asked first, so that it ends its CometBFT; it may have ended by itself.
        let _ = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status();
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
