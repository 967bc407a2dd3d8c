//! `braidd export`: the state of a stopped home as a file.
use crate::home::HomeArgs;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use node::Home;
use std::fs::File;
use std::io::{BufWriter, IsTerminal as _};
use std::path::{Path, PathBuf};

/// Write the state of a stopped node to a file that `braidd import` reads.
///
/// The Cosmos SDK's `export` prints a genesis document from which another chain begins. This writes the state itself:
/// every store's tree, node by node in Go IAVL's export order, as state sync's snapshots have it, compressed and with the
/// app hash that vouches for all of it. The same height gives the same file on every node.
#[derive(Debug, Args)]
pub(crate) struct ExportCommand {
    /// Which height, any that this node keeps [default: the newest].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    height: Option<u64>,
    /// Where to; `-` is standard output.
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    output_document: PathBuf,
}

impl ExportCommand {
    /// Runs it.
    pub(crate) fn run(&self, home: &HomeArgs) -> Result<()> {
        let home = Home::new(home.dir()?.path());
        let (height, app_hash) = if self.output_document.as_os_str() == "-" {
            let out = std::io::stdout().lock();
            if out.is_terminal() {
                bail!(
                    "a state file is no text: give --output-document FILE, or send standard output somewhere"
                );
            }
            node::export_state(&home, self.height, &mut BufWriter::new(out))?
        } else {
            to_file(&home, self.height, &self.output_document)?
        };
        // Standard output may be the file.
        eprintln!(
            "exported height {height}, app hash {}",
            hex::encode_upper(app_hash)
        );
        Ok(())
    }
}

/// The file has its name once it is whole.
fn to_file(home: &Home, height: Option<u64>, path: &Path) -> Result<(u64, [u8; 32])> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let file =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("write in {}", folder.display()))?;
    let version = node::export_state(home, height, &mut BufWriter::new(file.as_file()))?;
    let named = || format!("write {}", path.display());
    file.as_file().sync_all().with_context(named)?;
    let file: File = file.persist(path).map_err(|e| e.error).with_context(named)?;
    drop(file);
    Ok(version)
}
