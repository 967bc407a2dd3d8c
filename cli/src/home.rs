//! Where this node's and this user's files lie.
use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The flags that nearly every command has.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct HomeArgs {
    /// Folder for configuration, data and keys [default: ~/.braid].
    #[arg(long, env = "BRAIDD_HOME", global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
}

impl HomeArgs {
    /// The home folder: the flag, else `BRAIDD_HOME`, else `~/.braid`. It need not exist.
    pub(crate) fn dir(&self) -> Result<Home> {
        if let Some(dir) = &self.home {
            return Ok(Home(dir.clone()));
        }
        let user = std::env::home_dir().filter(|p| !p.as_os_str().is_empty());
        let user = user.ok_or_else(|| anyhow!("no home folder is known for this user: give --home DIR"))?;
        Ok(Home(user.join(".braid")))
    }
}

/// A home folder.
#[derive(Clone, Debug)]
pub(crate) struct Home(pub(crate) PathBuf);

/// `config/client.toml`: defaults of this user's commands, by the SDK's names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct ClientConfig {
    /// Cosmos chain id.
    pub(crate) chain_id: Option<String>,
    /// CometBFT's RPC.
    pub(crate) node: Option<String>,
    /// `test` or `file`.
    pub(crate) keyring_backend: Option<String>,
    /// `text` or `json`.
    pub(crate) output: Option<String>,
    /// `sync` or `async`.
    pub(crate) broadcast_mode: Option<String>,
}

impl Home {
    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
    /// `config/<name>`.
    pub(crate) fn config(&self, name: &str) -> PathBuf {
        self.0.join("config").join(name)
    }
    /// Reads `config/client.toml`; absent is all defaults.
    pub(crate) fn client_config(&self) -> Result<ClientConfig> {
        let path = self.config("client.toml");
        let Some(text) = read_optional(&path)? else {
            return Ok(ClientConfig::default());
        };
        let mut config: ClientConfig =
            toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
        // The SDK writes keys without a value as empty texts.
        for field in [
            &mut config.chain_id,
            &mut config.node,
            &mut config.keyring_backend,
            &mut config.output,
            &mut config.broadcast_mode,
        ] {
            *field = field.take().filter(|v| !v.is_empty());
        }
        Ok(config)
    }
}

/// The text of a file; `None` where there is none.
pub(crate) fn read_optional(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("read {}", path.display())),
    }
}
