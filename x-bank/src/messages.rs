//! The bank's messages.

mod send;
mod multi_send;

pub(crate) use multi_send::MultiSend;
pub(crate) use send::Send;

use crate::{debit, params};
use module::{Error, Result, codes};
use state::{Access, StateWrite};
use std::collections::BTreeSet;
use types::{Address, ChainConfig, Coin, U256, format_coins, parse_address, validate_denom};

/// Gas of taking one coin from, or giving one coin to, an account: with a Cosmos signature and 300 bytes, a send of
/// one coin then costs 34,000, about what an Ethereum transfer costs with its signature.
pub const GAS_PER_COIN: u64 = 15_000;

/// Reads a bech32 address; error `sdk/7`. The 0x spelling is for command lines, not for what is signed.
fn address(config: &ChainConfig, what: &str, text: &str) -> Result<Address> {
    let bad = |why: String| {
        Error::sdk(
            codes::INVALID_ADDRESS,
            format!("invalid {what} address: {why}: invalid address"),
        )
    };
    if text.is_empty() {
        return Err(bad("empty address string is not allowed".into()));
    }
    if text.starts_with("0x") || text.starts_with("0X") {
        return Err(bad(format!("{text:?} is not bech32")));
    }
    parse_address(&config.bech32_prefix, text).map_err(|e| bad(e.to_string()))
}

/// Checks that coins are positive, with valid denominations that ascend without repeats; error `sdk/10`.
fn valid_coins(coins: &[Coin]) -> Result<()> {
    let positive = !coins.is_empty() && coins.iter().all(|c| !c.amount.is_zero());
    let named = coins.iter().all(|c| validate_denom(&c.denom).is_ok());
    let sorted = coins.windows(2).all(|w| w[0].denom < w[1].denom);
    if positive && named && sorted {
        return Ok(());
    }
    Err(Error::sdk(
        codes::INVALID_COINS,
        format!("{}: invalid coins", format_coins(coins)),
    ))
}

/// Adds coins up by denomination; `None` beyond 256 bits.
fn sum<'c>(coins: impl IntoIterator<Item = &'c Coin>) -> Option<std::collections::BTreeMap<&'c str, U256>> {
    let mut total = std::collections::BTreeMap::new();
    for coin in coins {
        let entry = total.entry(coin.denom.as_str()).or_insert(U256::ZERO);
        *entry = entry.checked_add(coin.amount)?;
    }
    Some(total)
}

/// Refuses a recipient that must not be paid; error `sdk/4`.
fn check_recipient(blocked: &BTreeSet<Address>, address: &Address, text: &str) -> Result<()> {
    if blocked.contains(address) {
        let why = format!("{text} is not allowed to receive funds: unauthorized");
        return Err(Error::sdk(codes::UNAUTHORIZED, why));
    }
    Ok(())
}

fn debit_all(state: &mut dyn StateWrite, from: &Address, coins: &[Coin]) -> Result<()> {
    coins.iter().try_for_each(|coin| debit(state, from, coin))
}

/// The declared reads of the checks on sending `coins`.
fn send_enabled_access(access: &mut Access, coins: &[Coin]) {
    access.reads.push(params::params_key());
    access
        .reads
        .extend(coins.iter().map(|c| params::send_enabled_key(&c.denom)));
}
