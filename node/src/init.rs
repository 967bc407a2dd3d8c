//! `braidd init`: every file of a home, made without CometBFT.
use crate::{AppConfig, ChainSpec, CometConfig, Home, NodeError, NodeKeys, Validator, genesis};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use types::{Address, U256};

/// What `init` is told.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// The chain: its validators are filled in by `init`.
    pub chain: ChainSpec,
    /// The node's name, and its validator's.
    pub moniker: String,
    /// Who operates the validator. Without one it is the first account, or where there is none an account that
    /// nobody has a key for (the consensus key's address).
    pub operator: Option<Address>,
    /// The validator's stake, in base units.
    pub stake: U256,
    /// Addresses and timings of CometBFT; the moniker is replaced.
    pub comet: CometConfig,
    /// Settings of the node.
    pub app: AppConfig,
    /// Whether files that exist are replaced. Never touches the database.
    pub overwrite: bool,
}

impl InitOptions {
    /// A node called `moniker` with the usual settings and a stake of a hundred units of power.
    pub fn new(chain: ChainSpec, moniker: impl Into<String>) -> Result<Self, NodeError> {
        chain.config.check().map_err(NodeError::Invalid)?;
        let stake = chain
            .config
            .power_reduction()
            .checked_mul(U256::from(100))
            .ok_or_else(|| {
                NodeError::Invalid(format!(
                    "power_reduction {}: too large",
                    chain.config.power_reduction
                ))
            })?;
        Ok(Self {
            chain,
            moniker: moniker.into(),
            operator: None,
            stake,
            comet: CometConfig::default(),
            app: AppConfig::default(),
            overwrite: false,
        })
    }
}

/// What `init` made.
#[derive(Clone, Debug)]
pub struct Initialised {
    /// What peers call the node.
    pub node_id: String,
    /// The validator's consensus address.
    pub validator: Address,
    /// Who operates it.
    pub operator: Address,
    /// The genesis document.
    pub genesis: Value,
}

/// Everything that goes into a home.
#[derive(Clone, Debug)]
pub struct HomeFiles<'a> {
    /// The genesis document.
    pub genesis: &'a Value,
    /// Its two keys.
    pub keys: &'a NodeKeys,
    /// CometBFT's settings.
    pub comet: &'a CometConfig,
    /// The node's settings.
    pub app: &'a AppConfig,
}

/// Makes a home with a chain of its own: its key is the only validator.
pub fn init(home: &Home, options: &InitOptions) -> Result<Initialised, NodeError> {
    refuse_existing(home, options.overwrite)?;
    let keys = NodeKeys::generate();
    let first = options.chain.accounts.first().map(|a| a.address);
    let operator = options
        .operator
        .or(first)
        .unwrap_or_else(|| keys.validator_address());
    let mut chain = options.chain.clone();
    chain.validators = vec![Validator {
        pub_key: keys.validator_pub_key(),
        operator,
        moniker: options.moniker.clone(),
        stake: options.stake,
    }];
    let genesis = genesis(&chain)?;
    let comet = CometConfig {
        moniker: options.moniker.clone(),
        ..options.comet.clone()
    };
    let files = HomeFiles {
        genesis: &genesis,
        keys: &keys,
        comet: &comet,
        app: &options.app,
    };
    write_home(home, &files, options.overwrite)?;
    Ok(Initialised {
        node_id: keys.node_id(),
        validator: keys.validator_address(),
        operator,
        genesis,
    })
}

fn refuse_existing(home: &Home, overwrite: bool) -> Result<(), NodeError> {
    if !overwrite && home.genesis().exists() {
        return Err(NodeError::Initialised(home.genesis()));
    }
    Ok(())
}

/// Writes all files of a home: also a testnet's, whose genesis names several validators.
pub fn write_home(home: &Home, files: &HomeFiles<'_>, overwrite: bool) -> Result<(), NodeError> {
    refuse_existing(home, overwrite)?;
    for dir in [home.root().to_owned(), home.config(), home.data()] {
        std::fs::create_dir_all(&dir).map_err(NodeError::file(&dir))?;
    }
    write_secret(&home.node_key(), &files.keys.node_json())?;
    write_secret(&home.validator_key(), &files.keys.validator_json())?;
    // What was signed is remembered even where files are replaced: signing a height twice is punished.
    if !home.validator_state().exists() {
        write_secret(
            &home.validator_state(),
            &json!({ "height": "0", "round": 0, "step": 0 }),
        )?;
    }
    write(&home.comet_config(), files.comet.to_toml().as_bytes())?;
    write(&home.app_config(), files.app.to_toml().as_bytes())?;
    let chain_id = files.genesis["chain_id"].as_str().unwrap_or("");
    let client = [
        ("chain-id", chain_id),
        ("keyring-backend", "test"),
        ("output", "text"),
        ("node", &files.comet.rpc_address),
        ("broadcast-mode", "sync"),
    ];
    let client: toml::Table = client
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.into()))
        .collect();
    write(
        &home.client_config(),
        toml::to_string(&client)
            .expect("strings have a TOML form")
            .as_bytes(),
    )?;
    // Last: its presence says that the home is complete.
    write(&home.genesis(), &pretty(files.genesis))
}

fn pretty(json: &Value) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(json).expect("JSON values have a text form");
    text.push(b'\n');
    text
}

fn write(path: &Path, text: &[u8]) -> Result<(), NodeError> {
    std::fs::write(path, text).map_err(NodeError::file(path))
}

/// Keys are readable by their owner only.
fn write_secret(path: &Path, json: &Value) -> Result<(), NodeError> {
    let mut open = std::fs::OpenOptions::new();
    open.write(true).create(true).truncate(true).mode(0o600);
    let mut file = open.open(path).map_err(NodeError::file(path))?;
    file.write_all(&pretty(json)).map_err(NodeError::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use types::ChainConfig;

    fn options() -> InitOptions {
        InitOptions::new(ChainSpec::new("braid-local-1", ChainConfig::braid()), "tester").unwrap()
    }

    #[test]
    fn a_home_gets_all_files_and_secrets_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("new/home"));
        let made = init(&home, &options()).unwrap();
        let keys = NodeKeys::read(&home).unwrap();
        assert_eq!(
            (keys.node_id(), keys.validator_address()),
            (made.node_id, made.validator)
        );
        for secret in [home.node_key(), home.validator_key()] {
            assert_eq!(
                std::fs::metadata(secret).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
        assert_eq!(AppConfig::read(&home).unwrap(), AppConfig::default());
        assert_eq!(CometConfig::read_rpc_address(&home).unwrap(), "127.0.0.1:26657");
        let (doc, _) = genesis::read(&home.genesis()).unwrap();
        assert_eq!(doc, made.genesis);
    }

    #[test]
    fn an_initialised_home_is_left_alone_unless_told() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let first = init(&home, &options()).unwrap();
        let err = init(&home, &options()).unwrap_err().to_string();
        assert_eq!(
            err,
            format!("genesis.json file already exists: {}", home.genesis().display())
        );
        assert_eq!(NodeKeys::read(&home).unwrap().node_id(), first.node_id);
        std::fs::write(
            home.validator_state(),
            "{\"height\":\"9\",\"round\":0,\"step\":3}",
        )
        .unwrap();
        let second = init(
            &home,
            &InitOptions {
                overwrite: true,
                ..options()
            },
        )
        .unwrap();
        assert_ne!(second.node_id, first.node_id);
    }
}
