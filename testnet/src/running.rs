//! A network's processes: started, watched, killed, stopped.
use crate::{Member, Network, TestnetError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long a node may take to end when asked: CometBFT closes its databases, then ours.
const GRACE: Duration = Duration::from_secs(20);

/// What nodes are made of.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `braidd`.
    pub braidd: PathBuf,
    /// `cometbft`; looked for on the PATH where absent.
    pub comet: Option<PathBuf>,
}

/// A network whose nodes run. Dropping it kills them.
#[derive(Debug)]
pub struct Running {
    /// The homes.
    pub network: Network,
    programs: Programs,
    children: Vec<Option<Child>>,
}

impl Running {
    /// A network of which no node runs yet.
    pub fn new(network: Network, programs: Programs) -> Self {
        Self {
            network,
            programs,
            children: Vec::new(),
        }
    }

    /// Starts all nodes.
    pub fn start_all(&mut self) -> Result<(), TestnetError> {
        (0..self.network.members.len()).try_for_each(|i| self.start(i))
    }

    /// Starts node `index`; does nothing where it runs.
    pub fn start(&mut self, index: usize) -> Result<(), TestnetError> {
        let member = &self.network.members[index];
        if self.children.len() <= index {
            self.children.resize_with(self.network.members.len(), || None);
        }
        if self.children[index].is_some() {
            return Ok(());
        }
        let log = member.log();
        let open = || std::fs::OpenOptions::new().create(true).append(true).open(&log);
        let (out, err) = (
            open().map_err(TestnetError::file(&log))?,
            open().map_err(TestnetError::file(&log))?,
        );
        let mut command = Command::new(&self.programs.braidd);
        command.arg("start").arg("--home").arg(&member.home);
        if let Some(comet) = &self.programs.comet {
            command.arg("--comet-bin").arg(comet);
        }
        // A group of its own: Ctrl-C reaches nodes through us, in order.
        command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .map_err(TestnetError::file(&self.programs.braidd))?;
        if let Some(pid) = child.id() {
            let path = member.pid_file();
            std::fs::write(&path, pid.to_string()).map_err(TestnetError::file(&path))?;
        }
        self.children[index] = Some(child);
        Ok(())
    }

    /// Ends node `index` at once, as a crash would.
    pub async fn kill(&mut self, index: usize) -> Result<(), TestnetError> {
        let Some(mut child) = self.children.get_mut(index).and_then(Option::take) else {
            return Ok(());
        };
        let log = self.network.members[index].log();
        child.kill().await.map_err(TestnetError::file(&log))?;
        forget(&self.network.members[index]);
        Ok(())
    }

    /// Asks node `index` to end, and waits for it.
    pub async fn stop(&mut self, index: usize) -> Result<(), TestnetError> {
        let Some(mut child) = self.children.get_mut(index).and_then(Option::take) else {
            return Ok(());
        };
        let log = self.network.members[index].log();
        if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
            child.kill().await.map_err(TestnetError::file(&log))?;
        }
        forget(&self.network.members[index]);
        Ok(())
    }

    /// Asks all nodes to end, at the same time, and waits for them.
    pub async fn stop_all(&mut self) -> Result<(), TestnetError> {
        for child in self.children.iter().flatten() {
            if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
        }
        for index in 0..self.children.len() {
            self.stop(index).await?;
        }
        Ok(())
    }

    /// How many nodes run.
    pub fn running(&self) -> usize {
        self.children.iter().flatten().count()
    }

    /// Waits until a node ends by itself; never returns where none does.
    pub async fn ended(&mut self) -> TestnetError {
        loop {
            for (index, slot) in self.children.iter_mut().enumerate() {
                if let Some(child) = slot
                    && let Ok(Some(status)) = child.try_wait()
                {
                    let member = &self.network.members[index];
                    forget(member);
                    *slot = None;
                    return TestnetError::Ended {
                        index,
                        status: status.to_string(),
                        log: member.log(),
                    };
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn forget(member: &Member) {
    let _ = std::fs::remove_file(member.pid_file());
}

fn pid(member: &Member) -> Option<Pid> {
    let text = std::fs::read_to_string(member.pid_file()).ok()?;
    Some(Pid::from_raw(text.trim().parse().ok()?))
}

/// Whether process `pid` runs `braidd` on this member's home: ids are reused.
fn is_ours(pid: Pid, home: &Path) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    String::from_utf8_lossy(&line).contains(&*home.to_string_lossy())
}

/// Asks the nodes of a network that another process started to end. Gives how many were asked.
pub async fn stop(network: &Network) -> Result<usize, TestnetError> {
    let mut asked = Vec::new();
    for member in &network.members {
        if let Some(pid) = pid(member).filter(|pid| is_ours(*pid, &member.home)) {
            let _ = kill(pid, Signal::SIGTERM);
            asked.push((pid, member));
        }
    }
    for (pid, member) in &asked {
        let deadline = tokio::time::Instant::now() + GRACE;
        while is_ours(*pid, &member.home) {
            if tokio::time::Instant::now() > deadline {
                let _ = kill(*pid, Signal::SIGKILL);
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        forget(member);
    }
    Ok(asked.len())
}
