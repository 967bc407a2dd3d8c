//! Gas and what it costs.
use super::flags::{Gas, TxFlags};
use crate::client::Client;
use anyhow::{Context as _, Result, anyhow, bail};
use types::{ChainConfig, Coin, Dec, U256, validate_denom};
use x_evm::TextResponse;

/// Paid for a unit of gas, in base units, where no base fee can be asked for: two gwei.
const FALLBACK_PRICE: u64 = 2_000_000_000;

/// The next block's base fee; `None` where the chain has none.
pub(crate) async fn base_fee(client: &Client) -> Result<Option<U256>> {
    match client
        .query::<_, TextResponse>("/cosmos.evm.vm.v1.Query/BaseFee", &(), None)
        .await
    {
        Ok(r) if r.text.is_empty() => Ok(None),
        Ok(r) => r
            .text
            .parse()
            .map(Some)
            .with_context(|| format!("the node's base fee {:?}", r.text)),
        Err(e) if e.downcast_ref::<crate::client::Refused>().is_some() => Ok(None),
        Err(e) => Err(e),
    }
}

/// `limit` × the adjustment, rounded up.
pub(crate) fn adjust(gas_used: u64, factor: Dec) -> Result<u64> {
    let exact = factor
        .mul_int(U256::from(gas_used))
        .ok_or_else(|| anyhow!("gas adjustment {factor} is too large"))?;
    u64::try_from(ceil(exact)).map_err(|_| anyhow!("{gas_used} gas × {factor} does not fit 64 bits"))
}

fn ceil(d: Dec) -> U256 {
    let whole = d.truncate();
    match Dec::from_int(whole) {
        Some(floor) if floor == d => whole,
        _ => whole.saturating_add(U256::from(1)),
    }
}

/// A price such as `0.5abraid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Price {
    amount: Dec,
    denom: String,
}

impl Price {
    /// Reads one price. Display units are not taken: a price in them would have too many zeros to be read right.
    pub(crate) fn parse(config: &ChainConfig, text: &str) -> Result<Self> {
        let text = text.trim();
        let split = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, denom) = text.split_at(split);
        let bad = || {
            format!(
                "invalid gas price {text:?}: want such as 2000000000{}",
                config.base_denom
            )
        };
        let amount = number.parse().map_err(|e| anyhow!("{e}")).with_context(bad)?;
        validate_denom(denom)
            .map_err(|e| anyhow!("{e}"))
            .with_context(bad)?;
        Ok(Self {
            amount,
            denom: denom.into(),
        })
    }
    fn total(&self, gas: u64) -> Result<Coin> {
        let exact = self.amount.mul_int(U256::from(gas));
        let exact = exact.ok_or_else(|| anyhow!("gas price {}{} is too large", self.amount, self.denom))?;
        Ok(Coin::new(ceil(exact), self.denom.clone()))
    }
}

/// The fee of a native transaction: `--fees`, else `--gas-prices` × gas, else a quarter over the base fee.
pub(crate) async fn native_fee(
    flags: &TxFlags,
    config: &ChainConfig,
    client: Option<&Client>,
    gas: u64,
) -> Result<Vec<Coin>> {
    if let Some(fees) = &flags.fees {
        return crate::amount::parse_coins(config, fees);
    }
    if let Some(prices) = &flags.gas_prices {
        let prices = prices.split(',').filter(|p| !p.trim().is_empty());
        let mut coins = prices
            .map(|p| Price::parse(config, p)?.total(gas))
            .collect::<Result<Vec<_>>>()?;
        coins.sort();
        return Ok(coins);
    }
    let Some(client) = client else {
        bail!("offline: give --fees or --gas-prices")
    };
    let base = base_fee(client).await?;
    // The base fee moves by an eighth a block at most: a quarter more lasts for two full blocks.
    let price = match base {
        Some(base) => base.saturating_add(base / U256::from(4)).max(U256::from(1)),
        None => U256::from(FALLBACK_PRICE),
    };
    let amount = price
        .checked_mul(U256::from(gas))
        .ok_or_else(|| anyhow!("{gas} gas at {price} does not fit 256 bits"))?;
    Ok(vec![Coin::new(amount, config.base_denom.clone())])
}

/// What an Ethereum transaction bids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bid {
    /// The most a unit of gas may cost, in wei.
    pub(crate) fee_cap: u128,
    /// Of which the block's producer gets at most.
    pub(crate) tip_cap: u128,
}

/// The bid of an Ethereum transaction: `--gas-prices`, else `--fees` ÷ gas, else twice the base fee and a tip.
pub(crate) async fn evm_bid(
    flags: &TxFlags,
    config: &ChainConfig,
    client: Option<&Client>,
    tip: u128,
    gas: u64,
) -> Result<Bid> {
    let narrow = |v: U256| u128::try_from(v).map_err(|_| anyhow!("fee cap {v} does not fit 128 bits"));
    let own = |denom: &str| -> Result<()> {
        if denom != config.base_denom {
            bail!("Ethereum transactions pay in {}, not {denom}", config.base_denom);
        }
        Ok(())
    };
    let fee_cap = if let Some(prices) = &flags.gas_prices {
        let price = match prices.parse::<U256>() {
            Ok(wei) => wei,
            Err(_) => {
                let price = Price::parse(config, prices)?;
                own(&price.denom)?;
                ceil(price.amount)
            }
        };
        narrow(price)?
    } else if let Some(fees) = &flags.fees {
        let fee = crate::amount::parse_coin(config, fees)?;
        own(&fee.denom)?;
        narrow(fee.amount / U256::from(gas.max(1)))?
    } else {
        let Some(client) = client else {
            bail!("offline: give --fees or --gas-prices")
        };
        let base = base_fee(client).await?.unwrap_or(U256::from(FALLBACK_PRICE));
        narrow(base.saturating_mul(U256::from(2)).saturating_add(U256::from(tip)))?
    };
    Ok(Bid {
        fee_cap,
        tip_cap: tip.min(fee_cap),
    })
}

/// `--gas`, or what `ask` finds, adjusted.
pub(crate) async fn gas_limit(flags: &TxFlags, ask: impl Future<Output = Result<u64>>) -> Result<u64> {
    match flags.gas {
        Gas::Limit(limit) => Ok(limit),
        Gas::Auto if flags.offline => bail!("offline: give --gas as a number"),
        Gas::Auto => adjust(ask.await?, flags.gas_adjustment),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusting_rounds_up_and_never_wraps() {
        let by = |f: &str, gas| adjust(gas, f.parse().unwrap());
        assert_eq!(by("1.2", 100_000).unwrap(), 120_000);
        assert_eq!(by("1.1", 1).unwrap(), 2);
        assert_eq!(by("1", 7).unwrap(), 7);
        assert!(by("2", u64::MAX).unwrap_err().to_string().contains("64 bits"));
    }

    #[test]
    fn prices_may_be_fractions_and_totals_round_up() {
        let config = ChainConfig::braid();
        let total = |p: &str, gas| Price::parse(&config, p).unwrap().total(gas).unwrap().to_string();
        assert_eq!(total("0.025abraid", 100_001), "2501abraid");
        assert_eq!(total("2abraid", 3), "6abraid");
        for bad in ["", "abraid", "1", "1.abraid", "-1abraid", "1 abraid"] {
            assert!(Price::parse(&config, bad).is_err(), "{bad}");
        }
    }
}
