//! What the operating system says of this process and of a folder. Where there is no /proc, its figures are 0.
use std::io;
use std::path::Path;

/// The number after `name:` in a file of /proc/self.
fn proc(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_else(|_| String::new());
    let rest = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    rest.and_then(|r| r.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// How many bytes of memory this process holds.
pub(crate) fn resident() -> u64 {
    proc("status", "VmRSS") * 1024
}

/// Milliseconds that this process spent on all cores. The kernel counts in hundredths of a second.
fn cpu_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_else(|_| String::new());
    // After the program's name, which may have spaces: state is field 3, user time 14, system time 15.
    let fields = text
        .rsplit(')')
        .next()
        .map(|rest| rest.split_whitespace().skip(11).take(2));
    fields
        .into_iter()
        .flatten()
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum::<u64>() as f64
        * 10.0
}

/// How many bytes the files below `folder` have.
fn size(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        sum += match entry.metadata() {
            Ok(meta) if meta.is_dir() => size(&entry.path())?,
            Ok(meta) => meta.len(),
            // Dropped meanwhile.
            Err(_) => 0,
        };
    }
    Ok(sum)
}

/// How many bytes each file and folder in `home` has, all that is in it counted.
pub(crate) fn parts(home: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(home)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        let bytes = if meta.is_dir() {
            size(&entry.path())?
        } else {
            meta.len()
        };
        parts.push((entry.file_name().to_string_lossy().into_owned(), bytes));
    }
    Ok(parts)
}

/// The journal's bytes: a folder or a file, as the database has it.
fn journal(home: &Path) -> io::Result<u64> {
    let parts = parts(home)?;
    let journals = parts.iter().filter(|(name, _)| name.starts_with("journal"));
    Ok(journals.map(|(_, bytes)| bytes).sum())
}

/// Bytes since a [`Meter`] was started.
pub(crate) struct Spent {
    /// By which the journal's files grew.
    pub(crate) journal: f64,
    /// Sent to the disk, all told.
    pub(crate) written: f64,
    /// Of checkpoints that are new.
    pub(crate) checkpoints: f64,
}

/// Measures a phase.
pub(crate) struct Meter {
    cpu_ms: f64,
    written: u64,
    journal: u64,
    checkpoints: Vec<(String, u64)>,
}

impl Meter {
    pub(crate) fn start(home: &Path) -> io::Result<Self> {
        Ok(Self {
            journal: journal(home)?,
            checkpoints: parts(&home.join("checkpoints"))?,
            written: proc("io", "write_bytes"),
            cpu_ms: cpu_ms(),
        })
    }
    /// Milliseconds on all cores since the start.
    pub(crate) fn cpu_ms(&self) -> f64 {
        cpu_ms() - self.cpu_ms
    }
    pub(crate) fn stop(&self, home: &Path) -> io::Result<Spent> {
        let checkpoints = parts(&home.join("checkpoints"))?;
        let new = checkpoints.iter().filter(|part| !self.checkpoints.contains(part));
        Ok(Spent {
            journal: journal(home)? as f64 - self.journal as f64,
            written: (proc("io", "write_bytes") - self.written) as f64,
            checkpoints: new.map(|(_, bytes)| bytes).sum::<u64>() as f64,
        })
    }
}
