//! The genesis document of a new chain.
use crate::{NodeError, clock};
use app::ConsensusParams;
use app::genesis::{GenesisAccount, GenesisSpec, app_state, document};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use types::{Address, ChainConfig, Timestamp, U256};
use x_staking::GenesisValidator;

/// A validator at genesis, bonded with a delegation of its operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// Ed25519 public key that signs blocks.
    pub pub_key: [u8; 32],
    /// The account that operates it, owns the stake and gets the title of miner.
    pub operator: Address,
    /// Its name.
    pub moniker: String,
    /// Stake in base units: bonded beside the account's coins, not taken from them.
    pub stake: U256,
}

/// What a new chain starts with.
#[derive(Clone, Debug)]
pub struct ChainSpec {
    /// Cosmos chain id, such as `braid-local-1`.
    pub chain_id: String,
    /// Names and numbers of the chain.
    pub config: ChainConfig,
    /// Genesis time; the machine's clock where absent.
    pub time: Option<Timestamp>,
    /// Gas of a block at most; above zero.
    pub max_gas: i64,
    /// Bytes of a block at most.
    pub max_bytes: i64,
    /// Who owns what.
    pub accounts: Vec<GenesisAccount>,
    /// Who validates.
    pub validators: Vec<Validator>,
}

impl ChainSpec {
    /// A chain with nobody in it, with blocks of 60 M gas and 21 MiB (chain.md rule 13; CometBFT's default).
    pub fn new(chain_id: impl Into<String>, config: ChainConfig) -> Self {
        Self {
            chain_id: chain_id.into(),
            config,
            time: None,
            max_gas: 60_000_000,
            max_bytes: 22_020_096,
            accounts: Vec::new(),
            validators: Vec::new(),
        }
    }
}

/// CometBFT's limit (types/genesis.go `MaxChainIDLen`).
const CHAIN_ID_MAX: usize = 50;

/// The document that CometBFT and the app both read, the same bytes for every node of the chain.
pub fn genesis(spec: &ChainSpec) -> Result<Value, NodeError> {
    let id = &spec.chain_id;
    if id.is_empty() || id.len() > CHAIN_ID_MAX || id.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(NodeError::Invalid(format!(
            "chain id {id:?}: want 1 to {CHAIN_ID_MAX} characters without spaces"
        )));
    }
    let validators = spec.validators.iter();
    let state = app_state(&GenesisSpec {
        config: spec.config.clone(),
        accounts: spec.accounts.clone(),
        validators: validators
            .map(|v| GenesisValidator::new(v.operator, &v.moniker, v.pub_key, v.stake))
            .collect(),
    })?;
    let named: Vec<Value> = spec.validators.iter().map(|v| named(v, &spec.config)).collect();
    let params = ConsensusParams {
        max_bytes: spec.max_bytes,
        max_gas: spec.max_gas,
        app_version: 0,
    };
    let time = spec.time.unwrap_or_else(clock::now);
    Ok(document(id, time, &params, &named, &state))
}

/// A validator as CometBFT lists it.
fn named(v: &Validator, config: &ChainConfig) -> Value {
    json!({
        "address": hex::encode_upper(&Sha256::digest(v.pub_key)[..20]),
        "pub_key": { "type": "tendermint/PubKeyEd25519", "value": STANDARD.encode(v.pub_key) },
        "power": (v.stake / config.power_reduction()).to_string(),
        "name": v.moniker,
    })
}

/// The genesis document of a home, as the app's `InitChain` takes it.
pub(crate) fn read(path: &std::path::Path) -> Result<(Value, app::InitChain), NodeError> {
    let text = std::fs::read(path).map_err(NodeError::file(path))?;
    let doc: Value = serde_json::from_slice(&text).map_err(|e| NodeError::format(path, e))?;
    let init = init_chain(&doc).map_err(|why| NodeError::format(path, why))?;
    Ok((doc, init))
}

/// CometBFT writes 64-bit numbers as strings.
fn number<T: std::str::FromStr>(doc: &Value, at: &str) -> Result<T, String> {
    let value = doc.pointer(at).ok_or_else(|| format!("{at} is missing"))?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse()
        .map_err(|_| format!("{at}: {text:?} is not a number"))
}

fn init_chain(doc: &Value) -> Result<app::InitChain, String> {
    let text = |at: &str| {
        doc.pointer(at)
            .and_then(Value::as_str)
            .ok_or_else(|| format!("{at} is missing"))
    };
    let time = text("/genesis_time")?;
    let validators = doc["validators"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(app::InitChain {
        chain_id: text("/chain_id")?.to_owned(),
        time: clock::parse(time).ok_or_else(|| format!("genesis_time {time:?}: want RFC 3339"))?,
        // CometBFT reads a missing or zero height as 1 (types/genesis.go).
        initial_height: match doc.get("initial_height") {
            None => 1,
            Some(_) => number::<u64>(doc, "/initial_height")?.max(1),
        },
        params: ConsensusParams {
            max_bytes: number(doc, "/consensus_params/block/max_bytes")?,
            max_gas: number(doc, "/consensus_params/block/max_gas")?,
            app_version: match doc.pointer("/consensus_params/version/app") {
                None => 0,
                Some(_) => number(doc, "/consensus_params/version/app")?,
            },
        },
        validators: validators.iter().map(validator).collect::<Result<_, _>>()?,
        app_state: serde_json::to_vec(&doc["app_state"])
            .map_err(|e| e.to_string())?
            .into(),
    })
}

fn validator(v: &Value) -> Result<app::ValidatorUpdate, String> {
    let kind = v["pub_key"]["type"].as_str().unwrap_or("");
    if kind != "tendermint/PubKeyEd25519" {
        return Err(format!(
            "a validator's key of type {kind:?}: want tendermint/PubKeyEd25519"
        ));
    }
    let key = STANDARD
        .decode(v["pub_key"]["value"].as_str().unwrap_or(""))
        .map_err(|e| e.to_string())?;
    if key.len() != 32 {
        return Err(format!("a validator's key of {} bytes: want 32", key.len()));
    }
    Ok(app::ValidatorUpdate {
        pub_key: key.into(),
        power: number(v, "/power")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Coin;

    #[test]
    fn the_app_reads_what_was_written() {
        let mut spec = ChainSpec::new("braid-local-1", ChainConfig::braid());
        let who = Address::repeat_byte(1);
        spec.accounts = vec![GenesisAccount {
            address: who,
            coins: vec![Coin::new(U256::from(5), "abraid")],
        }];
        let stake = U256::from(7) * spec.config.power_reduction();
        spec.validators = vec![Validator {
            pub_key: [3; 32],
            operator: who,
            moniker: "one".into(),
            stake,
        }];
        spec.time = Some(Timestamp {
            seconds: 1_700_000_000,
            nanos: 5,
        });
        let doc = genesis(&spec).unwrap();
        let init = init_chain(&doc).unwrap();
        assert_eq!(
            (init.chain_id.as_str(), init.initial_height),
            ("braid-local-1", 1)
        );
        assert_eq!(Some(init.time), spec.time);
        assert_eq!(
            (init.params.max_gas, init.params.max_bytes),
            (60_000_000, 22_020_096)
        );
        assert_eq!(init.validators.len(), 1);
        assert_eq!(init.validators[0].power, 7);
        let bad = ChainSpec {
            chain_id: "a b".into(),
            ..spec
        };
        assert!(genesis(&bad).unwrap_err().to_string().contains("a b"));
    }
}
