//! What the chain calls its things: from the home's genesis, from the node, or the defaults.
use crate::client::{Client, Refused};
use crate::home::{Home, read_optional};
use anyhow::{Context as _, Result, bail};
use cosmrs::proto::cosmos::auth::v1beta1::{Bech32PrefixRequest, Bech32PrefixResponse};
use serde::Deserialize;
use types::ChainConfig;
use x_evm::{ConfigResponse, ParamsResponse};

/// A chain's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Cosmos chain id, where it is known.
    pub(crate) id: Option<String>,
    /// Prefix, denominations, EVM chain id.
    pub(crate) config: ChainConfig,
    known: bool,
}

impl Chain {
    /// The id, or an error that says how to name it.
    pub(crate) fn id(&self) -> Result<&str> {
        match &self.id {
            Some(id) => Ok(id),
            None => bail!("the chain id is not known: give --chain-id, or reach a node with --node"),
        }
    }
}

#[derive(Deserialize)]
struct Genesis {
    chain_id: String,
    app_state: AppState,
}
#[derive(Deserialize)]
struct AppState {
    // Absent in genesis documents of other chains.
    chain: Option<ChainConfig>,
}

/// What the home knows: `config/genesis.json`, else `client.toml` and the defaults.
pub(crate) fn local(home: &Home) -> Result<Chain> {
    let path = home.config("genesis.json");
    if let Some(text) = read_optional(&path)? {
        let genesis: Genesis = serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
        if let Some(config) = genesis.app_state.chain {
            config
                .check()
                .map_err(anyhow::Error::msg)
                .with_context(|| format!("{}", path.display()))?;
            return Ok(Chain {
                id: Some(genesis.chain_id),
                config,
                known: true,
            });
        }
    }
    Ok(Chain {
        id: home.client_config()?.chain_id,
        config: ChainConfig::braid(),
        known: false,
    })
}

/// What the home knows of the chain that `--chain-id` names; of its own where it names none.
pub(crate) fn offline(home: &Home, chain_id: Option<&str>) -> Result<Chain> {
    let local = local(home)?;
    match chain_id {
        // Another chain than the home's: nothing is known of it but its name.
        Some(id) if local.id.as_deref() != Some(id) => Ok(Chain {
            id: Some(id.into()),
            config: ChainConfig::braid(),
            known: false,
        }),
        _ => Ok(local),
    }
}

/// The chain of the node, checked against `--chain-id`: the home's genesis if it is the same chain, else the names
/// that the node gives.
pub(crate) async fn of_node(home: &Home, client: &Client, chain_id: Option<&str>) -> Result<Chain> {
    let network = client.status().await?.node_info.network.to_string();
    if let Some(given) = chain_id.filter(|given| *given != network) {
        bail!("the node at {} runs {network}, not {given}", client.address());
    }
    let local = local(home)?;
    if local.known && local.id.as_deref() == Some(&network) {
        return Ok(local);
    }
    let mut config = ChainConfig::braid();
    if let Some(r) = ask::<_, Bech32PrefixResponse>(
        client,
        "/cosmos.auth.v1beta1.Query/Bech32Prefix",
        &Bech32PrefixRequest {},
    )
    .await?
    {
        config.bech32_prefix = r.bech32_prefix;
    }
    let params = ask::<_, ParamsResponse>(client, "/cosmos.evm.vm.v1.Query/Params", &()).await?;
    if let Some(denom) = params
        .and_then(|r| r.params)
        .map(|p| p.evm_denom)
        .filter(|d| !d.is_empty())
    {
        // The display unit is not asked for: by custom it is the base unit's name without its prefix.
        if denom != config.base_denom {
            config.display_denom = denom
                .strip_prefix('a')
                .filter(|d| d.len() > 2)
                .unwrap_or(&denom)
                .into();
        }
        config.base_denom = denom;
    }
    let evm = ask::<_, ConfigResponse>(client, "/cosmos.evm.vm.v1.Query/Config", &()).await?;
    if let Some(chain) = evm.and_then(|r| r.config).filter(|c| c.chain_id != 0) {
        config.evm_chain_id = chain.chain_id;
    }
    config
        .check()
        .map_err(|e| anyhow::anyhow!("the node at {} gives bad names: {e}", client.address()))?;
    Ok(Chain {
        id: Some(network),
        config,
        known: true,
    })
}

/// An answer, or nothing where the chain does not have the query.
async fn ask<Q: prost::Message, R: prost::Message + Default>(
    client: &Client,
    path: &str,
    q: &Q,
) -> Result<Option<R>> {
    match client.query(path, q, None).await {
        Ok(r) => Ok(Some(r)),
        Err(e) if e.downcast_ref::<Refused>().is_some() => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home_with(file: &str, text: &str) -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("config")).unwrap();
        std::fs::write(dir.path().join("config").join(file), text).unwrap();
        let home = Home(dir.path().to_owned());
        (dir, home)
    }

    #[test]
    fn names_come_from_genesis_then_client_toml_then_defaults() {
        let config = ChainConfig {
            bech32_prefix: "cosmos".into(),
            evm_chain_id: 7,
            ..ChainConfig::braid()
        };
        let genesis =
            serde_json::json!({ "chain_id": "mine-1", "app_state": { "chain": config, "bank": {} } });
        let (_dir, home) = home_with("genesis.json", &genesis.to_string());
        assert_eq!(
            local(&home).unwrap(),
            Chain {
                id: Some("mine-1".into()),
                config,
                known: true
            }
        );
        let (_dir, home) = home_with(
            "client.toml",
            "chain-id = \"theirs-1\"\nnode = \"\"\nunknown = 1\n",
        );
        let chain = local(&home).unwrap();
        assert_eq!(
            (chain.id.as_deref(), chain.config),
            (Some("theirs-1"), ChainConfig::braid())
        );
        assert_eq!(home.client_config().unwrap().node, None);
        let empty = local(&Home("/nonexistent".into())).unwrap();
        assert!(empty.id().unwrap_err().to_string().contains("--chain-id"));
    }

    #[test]
    fn a_broken_genesis_is_named() {
        let (_dir, home) = home_with("genesis.json", "{");
        assert!(format!("{:#}", local(&home).unwrap_err()).contains("genesis.json"));
        let bad = ChainConfig {
            evm_chain_id: 0,
            ..ChainConfig::braid()
        };
        let genesis = serde_json::json!({ "chain_id": "x", "app_state": { "chain": bad } });
        let (_dir, home) = home_with("genesis.json", &genesis.to_string());
        assert!(format!("{:#}", local(&home).unwrap_err()).contains("evm_chain_id 0"));
    }
}
