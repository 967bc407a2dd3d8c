//! CometBFT as a child process: found, started, watched, logged, stopped.
//!
//! It does not outlive us: where this process is killed, CometBFT loses its ABCI connection and ends itself, and a
//! CometBFT that has none yet ends on its next line of log, whose pipe is broken (Go's rule for SIGPIPE on standard
//! output). It has a process group of its own, so that Ctrl-C reaches it through us, in order.
use crate::{Home, NodeError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The line of versions that speaks our ABCI.
const VERSION: &str = "0.38.";
/// How long CometBFT may take to end after SIGTERM: it closes its database.
const GRACE: Duration = Duration::from_secs(15);
/// A log file that has grown beyond this is set aside (one older file is kept).
const LOG_MAX: u64 = 64 << 20;
/// Lines between reader and writer, at most: CometBFT waits where the disk does.
const LINES_WAITING: usize = 1_024;
/// Bytes of a line kept.
const LINE_MAX: usize = 16 << 10;

/// A running CometBFT.
#[derive(Debug)]
pub(crate) struct Comet {
    child: Child,
    log: PathBuf,
    logging: JoinHandle<Option<String>>,
}

/// Where `cometbft` is: `given`, or the first on the PATH.
pub(crate) fn find(given: Option<&Path>) -> Result<PathBuf, NodeError> {
    if let Some(path) = given {
        return if path.is_file() {
            Ok(path.into())
        } else {
            Err(NodeError::NoComet(path.display().to_string()))
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join("cometbft"))
        .find(|p| p.is_file());
    found.ok_or_else(|| NodeError::NoComet("cometbft on the PATH".into()))
}

async fn check_version(bin: &Path) -> Result<(), NodeError> {
    let out = Command::new(bin)
        .arg("version")
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(NodeError::file(bin))?;
    let text = String::from_utf8_lossy(&out.stdout);
    let version = text.trim().trim_start_matches('v');
    if !out.status.success() || !version.starts_with(VERSION) {
        let why = format!("{} is version {version:?}: want {VERSION}x", bin.display());
        return Err(NodeError::Invalid(why));
    }
    Ok(())
}

/// Says which port is taken, before CometBFT says it in its log.
fn check_ports(home: &Home) -> Result<(), NodeError> {
    let path = home.comet_config();
    let text = std::fs::read_to_string(&path).map_err(NodeError::file(&path))?;
    let table: toml::Table = toml::from_str(&text).map_err(|e| NodeError::format(&path, e))?;
    for (section, what) in [("rpc", "CometBFT's RPC"), ("p2p", "CometBFT's peers")] {
        let address = table
            .get(section)
            .and_then(|s| s.get("laddr"))
            .and_then(toml::Value::as_str);
        let Some(address) = address.and_then(|a| a.strip_prefix("tcp://")) else {
            continue;
        };
        TcpListener::bind(address).map_err(|source| NodeError::Listen {
            what,
            address: address.into(),
            source,
        })?;
    }
    Ok(())
}

impl Comet {
    /// Starts `bin` on `home`, with the app at `abci`.
    pub(crate) async fn start(bin: &Path, home: &Home, abci: &str) -> Result<Self, NodeError> {
        check_version(bin).await?;
        check_ports(home)?;
        let mut command = Command::new(bin);
        command
            .arg("start")
            .arg("--home")
            .arg(home.root())
            .args(["--proxy_app", abci, "--abci", "socket"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(NodeError::file(bin))?;
        let log = home.comet_log();
        let (lines, queue) = mpsc::channel(LINES_WAITING);
        tokio::spawn(read_lines(child.stdout.take().expect("piped"), lines.clone()));
        tokio::spawn(read_lines(child.stderr.take().expect("piped"), lines));
        let file = log.clone();
        let logging = tokio::task::spawn_blocking(move || write_log(&file, queue));
        tracing::info!(pid = child.id(), bin = %bin.display(), log = %log.display(), "started cometbft");
        Ok(Self { child, log, logging })
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> NodeError {
        let status = self.child.wait().await;
        self.error(status).await
    }

    async fn error(&mut self, status: std::io::Result<ExitStatus>) -> NodeError {
        // The pipes are closed now, so the log ends soon; a grandchild that holds them must not hold us.
        let last = tokio::time::timeout(Duration::from_secs(2), &mut self.logging).await;
        let last = last.ok().and_then(Result::ok).flatten();
        let status = status.map_or_else(|e| e.to_string(), |s| s.to_string());
        let status = last.map_or(status.clone(), |line| format!("{status}: {line}"));
        NodeError::CometEnded {
            status,
            log: self.log.clone(),
        }
    }

    /// Asks it to end, and makes it end where it does not.
    pub(crate) async fn stop(mut self) {
        let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()) else {
            return;
        };
        if let Err(e) = kill(Pid::from_raw(pid), Signal::SIGTERM) {
            tracing::warn!(pid, error = %e, "could not signal cometbft");
        }
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            tracing::warn!(
                pid,
                "cometbft did not end within {} s: killing it",
                GRACE.as_secs()
            );
            if let Err(e) = self.child.kill().await {
                tracing::error!(pid, error = %e, "could not kill cometbft");
            }
        }
        let _ = tokio::time::timeout(Duration::from_secs(2), self.logging).await;
    }
}

/// Passes on each line, cut to [`LINE_MAX`], until the pipe closes.
async fn read_lines(from: impl AsyncRead + Unpin, to: mpsc::Sender<Vec<u8>>) {
    let (mut from, mut line) = (BufReader::new(from), Vec::new());
    loop {
        let Ok(chunk) = from.fill_buf().await else { return };
        if chunk.is_empty() {
            return;
        }
        let end = chunk.iter().position(|b| *b == b'\n');
        let taken = end.map_or(chunk.len(), |e| e + 1);
        let room = LINE_MAX.saturating_sub(line.len());
        line.extend_from_slice(&chunk[..end.unwrap_or(taken).min(room)]);
        from.consume(taken);
        if end.is_some() {
            line.push(b'\n');
            if to.send(std::mem::take(&mut line)).await.is_err() {
                return;
            }
        }
    }
}

/// Writes lines to the file, errors to our own log too; returns the last error.
fn write_log(path: &Path, mut lines: mpsc::Receiver<Vec<u8>>) -> Option<String> {
    let mut last = None;
    let mut file = open_log(path);
    let mut size = file
        .as_ref()
        .and_then(|f| f.metadata().ok())
        .map_or(0, |m| m.len());
    while let Some(line) = lines.blocking_recv() {
        let text = String::from_utf8_lossy(&line);
        // CometBFT's plain format: a letter for the level; panics and start errors have their own words.
        if text.starts_with("E[") || text.starts_with("ERROR") || text.starts_with("panic") {
            tracing::warn!(target: "cometbft", "{}", text.trim_end());
            last = Some(text.trim_end().to_owned());
        }
        if let Some(f) = &mut file {
            if f.write_all(&line).is_err() {
                tracing::error!(path = %path.display(), "cannot write cometbft's log: going on without");
                file = None;
                continue;
            }
            size += line.len() as u64;
            if size > LOG_MAX {
                file = std::fs::rename(path, path.with_extension("log.1"))
                    .ok()
                    .and_then(|()| open_log(path));
                size = 0;
            }
        }
    }
    last
}

fn open_log(path: &Path) -> Option<File> {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.inspect_err(|e| tracing::error!(path = %path.display(), error = %e, "cannot open cometbft's log"))
        .ok()
}
