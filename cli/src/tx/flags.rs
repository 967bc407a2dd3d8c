//! The flags that all `tx` commands share.
use crate::client::NodeArgs;
use crate::keys::KeyringArgs;
use crate::output::OutputArgs;
use anyhow::{Result, anyhow};
use std::str::FromStr;
use types::Dec;

/// Flags of every `tx` command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Transaction flags")]
pub(crate) struct TxFlags {
    /// Who signs: a key's name, or its address.
    // Its own id: `bank send` has an argument called `from` too, which would hide the flag.
    #[arg(id = "from_flag", long = "from", global = true, value_name = "KEY")]
    pub(crate) from: Option<String>,
    /// Cosmos chain id [default: the node's].
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) chain_id: Option<String>,
    /// Most gas to use, or `auto` to ask the node.
    #[arg(long, global = true, default_value = "auto", value_name = "N|auto")]
    pub(crate) gas: Gas,
    /// What `auto` multiplies the node's answer with.
    #[arg(long, global = true, default_value = "1.2", value_name = "FACTOR")]
    pub(crate) gas_adjustment: Dec,
    /// Price of a unit of gas, such as 2000000000abraid; for Ethereum transactions the fee cap [default: from the base fee].
    #[arg(long, global = true, value_name = "PRICES", conflicts_with = "fees")]
    pub(crate) gas_prices: Option<String>,
    /// The whole fee, such as 0.001braid.
    #[arg(long, global = true, value_name = "COINS")]
    pub(crate) fees: Option<String>,
    /// A note for all to read.
    #[arg(
        long,
        global = true,
        default_value = "",
        hide_default_value = true,
        value_name = "TEXT"
    )]
    pub(crate) note: String,
    /// `sync` waits for the node's first check, `async` does not [default: sync].
    #[arg(short = 'b', long, global = true, value_enum, value_name = "MODE")]
    pub(crate) broadcast_mode: Option<BroadcastMode>,
    /// Show the gas it would use, and do not broadcast.
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Print the unsigned transaction.
    #[arg(long, global = true)]
    pub(crate) generate_only: bool,
    /// Ask no node: sign with --chain-id, --account-number, --sequence, --gas and --fees or --gas-prices, and print.
    #[arg(long, global = true)]
    pub(crate) offline: bool,
    /// The signer's account number [default: asked for].
    #[arg(short = 'a', long, global = true, value_name = "N")]
    pub(crate) account_number: Option<u64>,
    /// The signer's sequence, or nonce [default: asked for].
    #[arg(short = 's', long, global = true, value_name = "N")]
    pub(crate) sequence: Option<u64>,
    /// How a native transaction is signed.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "direct",
        value_name = "MODE"
    )]
    pub(crate) sign_mode: SignWith,
    /// Do not ask before broadcasting.
    #[arg(short = 'y', long, global = true)]
    pub(crate) yes: bool,
    /// Last height a native transaction may be included at.
    #[arg(
        long,
        global = true,
        default_value_t = 0,
        hide_default_value = true,
        value_name = "HEIGHT"
    )]
    pub(crate) timeout_height: u64,
    /// Wait until it is in a block, at most so many seconds [60]; fail if it fails there.
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "60", value_name = "SECONDS")]
    pub(crate) wait: Option<u64>,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    #[command(flatten)]
    pub(crate) keyring: KeyringArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `--gas`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gas {
    /// Asked of the node.
    Auto,
    /// Given.
    Limit(u64),
}

impl FromStr for Gas {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            n => n
                .parse()
                .map(Self::Limit)
                .map_err(|_| anyhow!("gas {text:?}: want a number or auto")),
        }
    }
}

/// `--broadcast-mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum BroadcastMode {
    /// Wait for CheckTx.
    Sync,
    /// Do not wait.
    Async,
}

/// `--sign-mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SignWith {
    /// The transaction's bytes.
    Direct,
    /// The JSON that a Ledger shows.
    AminoJson,
}
