//! `braidd dev`: a chain in one process, with funded accounts, for people who try things.
use crate::chain;
use crate::home::{Home, HomeArgs};
use crate::init::{ChainArgs, fund_dev_accounts};
use crate::keys::{DEV_MNEMONIC, KeyKind, Keyring, Secret, Spelled, dev_accounts};
use crate::run::{ExecutorArgs, LogArgs, StoreArgs, endpoints, runtime};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use node::{CommitKind, DevOptions, Endpoints, Execution, Stop};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use types::ChainConfig;

/// Run a chain in one process, without CometBFT, with ten funded accounts, until Ctrl-C.
#[derive(Debug, Args)]
pub(crate) struct DevCommand {
    /// Port of Ethereum JSON-RPC.
    #[arg(long, default_value_t = 8545, value_name = "PORT")]
    port: u16,
    /// Port of the CometBFT RPC that the CLI and CosmJS use.
    #[arg(long, default_value_t = 26657, value_name = "PORT")]
    comet_port: u16,
    /// Address that both listen on: whoever reaches it can use the chain.
    #[arg(long, default_value = "127.0.0.1", value_name = "IP")]
    host: IpAddr,
    /// A block every so often, such as 2, 2s or 500ms [default: a block when there is a transaction].
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    block_time: Option<Duration>,
    #[command(flatten)]
    executor: ExecutorArgs,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Seconds, or a number with `s` or `ms`; above zero, at most a day.
fn parse_duration(text: &str) -> Result<Duration> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').unwrap_or(text), 1000),
    };
    let millis = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    match millis {
        Some(ms @ 1..=86_400_000) => Ok(Duration::from_millis(ms)),
        _ => bail!("invalid time {text:?}: want such as 2s or 500ms, above zero, at most a day"),
    }
}

/// Stores the ten development keys as dev0 to dev9 in the plain keyring under `base`. Keys that are there stay.
pub(crate) fn store_dev_keys(base: &Path) -> Result<()> {
    let ring = Keyring::test(base);
    let known: Vec<_> = ring.list()?.into_iter().map(|r| r.address).collect();
    for account in dev_accounts().iter().filter(|a| !known.contains(&a.address)) {
        let secret = Secret::new(KeyKind::Eth, &account.private_key)?;
        ring.add(&account.name, &secret, None)?;
    }
    Ok(())
}

impl DevCommand {
    /// Runs it.
    pub(crate) fn run(&self, home: &HomeArgs) -> Result<()> {
        self.log.start()?;
        if self.store.commit == Some(CommitKind::Async) {
            bail!(
                "--commit async: this chain has no CometBFT that would replay what was not written; it commits sync"
            );
        }
        let mut chain = self.chain.spec()?;
        chain.accounts = fund_dev_accounts(&chain.config);
        let config = chain.config.clone();
        let mut options = DevOptions::new(chain);
        options.home.clone_from(&home.home);
        options.block_time = self.block_time;
        options.execution = self.executor.over(Execution::default());
        options.database = self.store.app_db_backend;
        options.json_rpc = SocketAddr::from((self.host, self.port));
        options.comet_rpc = Some(SocketAddr::from((self.host, self.comet_port)));
        runtime()?.block_on(async {
            let stop = Stop::new();
            stop.on_signals().context("listen for signals")?;
            let mut told = Ok(());
            node::dev(options, stop.clone(), |ends| {
                told = tell(ends, &config);
                if told.is_err() {
                    stop.ask();
                }
            })
            .await?;
            told
        })
    }
}

/// Stores the keys and prints what one needs to start.
fn tell(ends: &Endpoints, made: &ChainConfig) -> Result<()> {
    store_dev_keys(&ends.home)?;
    // A home that was there keeps its own names.
    let config = match chain::local(&Home(ends.home.clone()))? {
        c if c.id.is_some() => c.config,
        _ => made.clone(),
    };
    crate::output::print_text(&banner(ends, &config))
}

fn banner(ends: &Endpoints, config: &ChainConfig) -> String {
    let mut text = String::from(
        "Accounts of a well-known mnemonic. EVERYBODY HAS THESE KEYS: never send them anything of value.\n\n",
    );
    for a in dev_accounts() {
        let spelled = Spelled::new(config, &a.address);
        let _ = writeln!(
            text,
            "{}  {}  {}  0x{}",
            a.name,
            spelled.hex,
            spelled.bech32,
            hex::encode(a.private_key)
        );
    }
    let to = Spelled::new(config, &dev_accounts()[1].address).hex;
    let home = shell_word(&ends.home.display().to_string());
    let node = match &ends.comet_rpc {
        Some(a) if a != "127.0.0.1:26657" => format!(" --node tcp://{a}"),
        _ => String::new(),
    };
    let _ = write!(
        text,
        "\nmnemonic           {DEV_MNEMONIC}\nEVM chain id       {}\n{}",
        config.evm_chain_id,
        endpoints(ends)
    );
    let _ = writeln!(
        text,
        "\nTry:\n  braidd tx bank send dev0 {to} 1.5{} --wait -y --home {home}{node}",
        config.display_denom
    );
    let _ = writeln!(text, "  braidd query bank balances dev1 --home {home}{node}");
    text
}

/// Quoted, if a shell would take it apart.
fn shell_word(text: &str) -> String {
    if text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"/._-+".contains(&b))
    {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_times_have_units() {
        assert_eq!(parse_duration("2").unwrap(), Duration::from_secs(2));
        assert_eq!(parse_duration("2s").unwrap(), Duration::from_secs(2));
        assert_eq!(parse_duration("500ms").unwrap(), Duration::from_millis(500));
        for bad in ["", "0", "-1", "1m", "ms", "99999999999999999999", "1.5s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_printed_command_names_home_and_node() {
        let ends = Endpoints {
            json_rpc: Some("127.0.0.1:8545".parse().unwrap()),
            comet_rpc: Some("127.0.0.1:30000".into()),
            abci: None,
            home: "/tmp/a b".into(),
        };
        let text = banner(&ends, &ChainConfig::braid());
        assert!(
            text.contains("--home '/tmp/a b' --node tcp://127.0.0.1:30000"),
            "{text}"
        );
        assert!(
            text.contains("dev9  0xa0Ee7A142d267C1f36714E4a8F75612F20a79720  braid1"),
            "{text}"
        );
        assert!(
            text.contains("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
            "{text}"
        );
        assert!(text.contains("EVERYBODY HAS THESE KEYS"), "{text}");
    }

    #[test]
    fn dev_keys_are_stored_once() {
        let dir = tempfile::tempdir().unwrap();
        store_dev_keys(dir.path()).unwrap();
        store_dev_keys(dir.path()).unwrap();
        let names: Vec<_> = Keyring::test(dir.path())
            .list()
            .unwrap()
            .into_iter()
            .map(|r| r.name)
            .collect();
        assert_eq!(names, (0..10).map(|i| format!("dev{i}")).collect::<Vec<_>>());
    }
}
