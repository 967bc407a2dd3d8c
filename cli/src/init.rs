//! `braidd init`: make a home with a chain of its own.
use crate::amount;
use crate::home::HomeArgs;
use crate::keys::{Spelled, dev_accounts, parse_account};
use crate::output::{self, OutputArgs};
use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use node::{AppConfig, ChainSpec, CometConfig, GenesisAccount, Home, InitOptions};
use serde_json::json;
use types::{ChainConfig, Coin, U256};

/// The default local chain's id.
pub(crate) const CHAIN_ID: &str = "braid-local-1";

/// What a new chain calls its things.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Chain")]
pub(crate) struct ChainArgs {
    /// Cosmos chain id.
    #[arg(long, default_value = CHAIN_ID, value_name = "ID")]
    chain_id: String,
    /// EIP-155 chain id.
    #[arg(long, default_value_t = 8118, value_name = "N")]
    evm_chain_id: u64,
    /// Denomination of balances, fees and stake: the smallest unit.
    #[arg(long, default_value = "abraid", value_name = "DENOM")]
    default_denom: String,
    /// What people call 10^decimals of it [default: the denomination without its first letter].
    #[arg(long, value_name = "DENOM")]
    display_denom: Option<String>,
    /// Digits between the two.
    #[arg(long, default_value_t = 18, value_name = "N")]
    decimals: u32,
    /// Prefix of addresses.
    #[arg(long, default_value = "braid", value_name = "PREFIX")]
    bech32_prefix: String,
    /// Stake for one unit of voting power, in the smallest unit [default: 10^decimals].
    #[arg(long, value_name = "N")]
    power_reduction: Option<String>,
    /// Least base fee, in the smallest unit a gas [default: 10^(decimals-9), at least 1].
    #[arg(long, value_name = "N")]
    min_gas_price: Option<String>,
    /// BIP-44 coin type of the chain's keys.
    #[arg(long, default_value_t = 60, value_name = "N")]
    coin_type: u32,
    /// Most gas of a block.
    #[arg(long, default_value_t = 60_000_000, value_name = "N")]
    block_gas: i64,
}

impl ChainArgs {
    /// A chain with these names and nobody in it.
    pub(crate) fn spec(&self) -> Result<ChainSpec> {
        let base = &self.default_denom;
        // `abraid` is shown as `braid`; a name that leaves too little is shown as it is.
        let shown = base
            .get(1..)
            .filter(|d| types::validate_denom(d).is_ok())
            .unwrap_or(base);
        let config = ChainConfig {
            bech32_prefix: self.bech32_prefix.clone(),
            base_denom: base.clone(),
            display_denom: self.display_denom.clone().unwrap_or_else(|| shown.into()),
            decimals: self.decimals,
            power_reduction: self
                .power_reduction
                .clone()
                .unwrap_or_else(|| power_of_ten(self.decimals)),
            evm_chain_id: self.evm_chain_id,
            coin_type: self.coin_type,
            min_gas_price: self
                .min_gas_price
                .clone()
                .unwrap_or_else(|| power_of_ten(self.decimals.saturating_sub(9))),
        };
        config.check().map_err(|e| anyhow!("{e}"))?;
        let mut spec = ChainSpec::new(&self.chain_id, config);
        spec.max_gas = self.block_gas;
        Ok(spec)
    }
}

fn power_of_ten(n: u32) -> String {
    format!("1{}", "0".repeat(n.min(77) as usize))
}

/// Make a home: keys, configuration, and the genesis of a chain with this node as its validator.
#[derive(Debug, Args)]
pub(crate) struct InitCommand {
    /// The node's name among people.
    #[arg(default_value = "braid")]
    moniker: String,
    #[command(flatten)]
    chain: ChainArgs,
    /// An account and its coins, such as 0xf39F…=100braid; may be given more than once.
    #[arg(long = "account", value_name = "ADDRESS=COINS")]
    accounts: Vec<String>,
    /// Fund the ten development accounts, whose keys everybody knows.
    #[arg(long)]
    dev_accounts: bool,
    /// Who operates the validator [default: the first account].
    #[arg(long, value_name = "ADDRESS")]
    operator: Option<String>,
    /// The validator's stake.
    #[arg(long, default_value = "100braid", value_name = "AMOUNT")]
    stake: String,
    /// Where Ethereum JSON-RPC will listen.
    #[arg(
        long = "json-rpc.address",
        default_value = "127.0.0.1:8545",
        value_name = "IP:PORT"
    )]
    json_rpc: std::net::SocketAddr,
    /// Where CometBFT's RPC will listen.
    #[arg(
        long = "rpc.laddr",
        default_value = "tcp://127.0.0.1:26657",
        value_name = "URL"
    )]
    rpc: String,
    /// Where CometBFT will listen for peers.
    #[arg(
        long = "p2p.laddr",
        default_value = "tcp://127.0.0.1:26656",
        value_name = "URL"
    )]
    p2p: String,
    /// Replace what is there, keys included. Never touches the chain's data.
    #[arg(short = 'O', long)]
    overwrite: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// What each development account starts with, in display units.
const DEV_FUNDS: u64 = 10_000;

/// The ten accounts with their coins.
pub(crate) fn fund_dev_accounts(config: &ChainConfig) -> Vec<GenesisAccount> {
    let unit = U256::from(10).pow(U256::from(config.decimals));
    let coins = vec![Coin::new(
        U256::from(DEV_FUNDS).saturating_mul(unit),
        config.base_denom.clone(),
    )];
    dev_accounts()
        .into_iter()
        .map(|a| GenesisAccount {
            address: a.address,
            coins: coins.clone(),
        })
        .collect()
}

fn account(config: &ChainConfig, text: &str) -> Result<GenesisAccount> {
    let Some((address, coins)) = text.split_once('=') else {
        bail!("invalid account {text:?}: want ADDRESS=COINS")
    };
    let address = parse_account(&config.bech32_prefix, address)?;
    Ok(GenesisAccount {
        address,
        coins: amount::parse_coins(config, coins)?,
    })
}

impl InitCommand {
    /// Runs it.
    pub(crate) fn run(&self, home: &HomeArgs) -> Result<()> {
        let dir = home.dir()?;
        let mut chain = self.chain.spec()?;
        let config = chain.config.clone();
        chain.accounts = self
            .accounts
            .iter()
            .map(|t| account(&config, t))
            .collect::<Result<_>>()?;
        if self.dev_accounts {
            chain.accounts.extend(fund_dev_accounts(&config));
        }
        // The default is meant in display units, whatever the chain calls them.
        let stake = match self.stake.as_str() {
            "100braid" => format!("100{}", config.display_denom),
            other => other.into(),
        };
        let stake = amount::parse_coin(&config, &stake)?;
        if stake.denom != config.base_denom {
            bail!("stake {stake}: want {}", config.base_denom);
        }
        let operator = self
            .operator
            .as_ref()
            .map(|o| parse_account(&config.bech32_prefix, o))
            .transpose()?;
        let mut app = AppConfig::default();
        app.json_rpc.address = self.json_rpc;
        let comet = CometConfig {
            rpc_address: self.rpc.clone(),
            p2p_address: self.p2p.clone(),
            ..CometConfig::default()
        };
        let options = InitOptions {
            chain,
            moniker: self.moniker.clone(),
            operator,
            stake: stake.amount,
            comet,
            app,
            overwrite: self.overwrite,
        };
        let made = node::init(&Home::new(dir.path()), &options).context("init")?;
        if self.dev_accounts {
            crate::dev::store_dev_keys(dir.path())?;
        }
        let operator = Spelled::new(&config, &made.operator);
        let format = self.output.format(dir.client_config()?.output.as_deref())?;
        output::print(
            format,
            &json!({
                "home": dir.path().display().to_string(),
                "chain_id": self.chain.chain_id,
                "evm_chain_id": config.evm_chain_id.to_string(),
                "moniker": self.moniker,
                "node_id": made.node_id,
                "validator": {
                    "consensus_address": types::bech32_encode(&config.valcons_prefix(), made.validator.as_slice()),
                    "operator_address": types::bech32_encode(&config.valoper_prefix(), made.operator.as_slice()),
                    "account": operator.bech32,
                    "evm_address": operator.hex,
                },
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Wrap {
        #[command(flatten)]
        chain: ChainArgs,
    }

    fn spec(line: &str) -> Result<ChainSpec> {
        Wrap::try_parse_from(line.split(' ')).unwrap().chain.spec()
    }

    #[test]
    fn all_names_are_flags_and_the_defaults_are_braids() {
        let spec_ = spec("x").unwrap();
        assert_eq!(
            (spec_.chain_id.as_str(), spec_.config),
            (CHAIN_ID, ChainConfig::braid())
        );
        let other = spec("x --chain-id simd-testing --default-denom ucosm --bech32-prefix cosmos --decimals 6 --evm-chain-id 9").unwrap();
        assert_eq!(other.config.display_denom, "cosm");
        assert_eq!(
            (
                other.config.power_reduction.as_str(),
                other.config.min_gas_price.as_str()
            ),
            ("1000000", "1")
        );
        assert_eq!(other.config.bech32_prefix, "cosmos");
        assert!(
            spec("x --evm-chain-id 0")
                .unwrap_err()
                .to_string()
                .contains("evm_chain_id 0")
        );
        assert!(spec("x --bech32-prefix Cosmos").is_err());
        assert!(spec("x --decimals 99").is_err());
    }

    #[test]
    fn accounts_are_an_address_and_coins() {
        let config = ChainConfig::braid();
        let a = account(
            &config,
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266=1.5braid,7stake",
        )
        .unwrap();
        assert_eq!(types::format_coins(&a.coins), "1500000000000000000abraid,7stake");
        for bad in [
            "",
            "0x12=1braid",
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "=1braid",
        ] {
            assert!(account(&config, bad).is_err(), "{bad}");
        }
    }
}
