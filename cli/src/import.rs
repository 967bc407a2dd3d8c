//! `braidd import`: a state file becomes the state of a home without blocks.
use crate::home::HomeArgs;
use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use node::Home;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;

/// Make a state file the state of a home whose app has no blocks.
///
/// Every part of the file is checked, and the app hash that comes out is printed: compare it with the `app_hash` in the
/// header of the next height, or give it with --app-hash. `braidd start` then goes on from that height, where this home's
/// CometBFT has its blocks (`data/blockstore.db`, `data/state.db`): it plays those after it again. So a node that lost
/// `data/application.db` is made whole. A home whose CometBFT has no blocks joins by state sync instead: set `[statesync]`
/// in `config.toml`.
#[derive(Debug, Args)]
pub(crate) struct ImportCommand {
    /// What `braidd export` wrote; `-` is standard input.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// The app hash it must have.
    #[arg(long, value_name = "HEX")]
    app_hash: Option<String>,
}

impl ImportCommand {
    /// Runs it.
    pub(crate) fn run(&self, home: &HomeArgs) -> Result<()> {
        let home = Home::new(home.dir()?.path());
        let trusted = self.app_hash.as_deref().map(parse).transpose()?;
        let mut file: Box<dyn Read> = if self.file.as_os_str() == "-" {
            Box::new(std::io::stdin().lock())
        } else {
            Box::new(File::open(&self.file).with_context(|| format!("read {}", self.file.display()))?)
        };
        let (height, app_hash) = node::import_state(&home, &mut BufReader::new(&mut file), trusted.as_ref())?;
        println!(
            "imported height {height}, app hash {}",
            hex::encode_upper(app_hash)
        );
        Ok(())
    }
}

fn parse(text: &str) -> Result<[u8; 32]> {
    let bytes = hex::decode(text.trim_start_matches("0x")).ok();
    let hash = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    hash.ok_or_else(|| anyhow!("app hash {text:?}: want 64 hex digits"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_app_hash_is_32_bytes_in_hex() {
        assert_eq!(super::parse(&"0A".repeat(32)).unwrap(), [10; 32]);
        assert!(super::parse("0a").unwrap_err().to_string().contains("0a"));
    }
}
