//! Amounts as people type them: `12abraid`, or `1.5braid` in display units.
use anyhow::{Result, anyhow, bail};
use types::{ChainConfig, Coin, U256, validate_denom};

/// Reads one coin: `<integer><denom>`, or `<decimal><display denom>` which is turned into base units exactly.
pub(crate) fn parse_coin(config: &ChainConfig, text: &str) -> Result<Coin> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, denom) = text.split_at(split);
    let example = || {
        format!(
            "want an amount such as 12{} or 1.5{}",
            config.base_denom, config.display_denom
        )
    };
    if number.is_empty() || denom.is_empty() {
        bail!("invalid amount {text:?}: {}", example());
    }
    validate_denom(denom).map_err(|e| anyhow!("invalid amount {text:?}: {e}"))?;
    if denom == config.display_denom && denom != config.base_denom {
        let amount = scale(number, config.decimals).map_err(|e| anyhow!("invalid amount {text:?}: {e}"))?;
        return Ok(Coin::new(amount, config.base_denom.clone()));
    }
    let amount = scale(number, 0).map_err(|e| anyhow!("invalid amount {text:?}: {e}; {}", example()))?;
    Ok(Coin::new(amount, denom))
}

/// Reads a comma-separated list, sorted by denomination, without repeats.
pub(crate) fn parse_coins(config: &ChainConfig, text: &str) -> Result<Vec<Coin>> {
    let parts = text.split(',').filter(|p| !p.trim().is_empty());
    let mut coins = parts.map(|p| parse_coin(config, p)).collect::<Result<Vec<_>>>()?;
    coins.sort();
    if let Some(w) = coins.windows(2).find(|w| w[0].denom == w[1].denom) {
        bail!("invalid amount {text:?}: {} is named twice", w[0].denom);
    }
    Ok(coins)
}

/// Reads an amount of wei: a coin of the base denomination, or a bare integer.
pub(crate) fn parse_wei(config: &ChainConfig, text: &str) -> Result<U256> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return scale(text, 0).map_err(|e| anyhow!("invalid amount {text:?}: {e}"));
    }
    let coin = parse_coin(config, text)?;
    if coin.denom != config.base_denom {
        bail!(
            "invalid amount {text:?}: the EVM moves {} only",
            config.base_denom
        );
    }
    Ok(coin.amount)
}

/// `number` × 10^`decimals`, exactly.
fn scale(number: &str, decimals: u32) -> Result<U256> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || number.ends_with('.') || number.len() > 160
    {
        bail!("{number:?} is not a number");
    }
    if fraction.len() > decimals as usize {
        bail!(
            "{number} has {} digits after the point, the unit has {decimals}",
            fraction.len()
        );
    }
    let digits = format!("{whole}{fraction:0<width$}", width = decimals as usize);
    U256::from_str_radix(&digits, 10).map_err(|_| anyhow!("{number} does not fit 256 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly_in_both_units() {
        let config = ChainConfig::braid();
        let read = |t| parse_coin(&config, t).map(|c| c.to_string());
        let good = [
            ("12abraid", "12abraid"),
            ("1.5braid", "1500000000000000000abraid"),
            ("0.000000000000000001braid", "1abraid"),
            ("3braid", "3000000000000000000abraid"),
            ("7ibc/AB12", "7ibc/AB12"),
        ];
        for (text, want) in good {
            assert_eq!(read(text).unwrap(), want, "{text}");
        }
        let bad = [
            "",
            "abraid",
            "12",
            "1.5abraid",
            "1.braid",
            ".5braid",
            "1.2.3braid",
            "-1abraid",
            "1 abraid",
            "0.0000000000000000001braid",
        ];
        for text in bad {
            assert!(read(text).is_err(), "{text}");
        }
        let huge = format!("{}abraid", "9".repeat(79));
        assert!(read(&huge).unwrap_err().to_string().contains("256 bits"));
    }

    #[test]
    fn lists_are_sorted_and_have_no_repeats() {
        let config = ChainConfig::braid();
        let coins = parse_coins(&config, "2stake, 1abraid").unwrap();
        assert_eq!(types::format_coins(&coins), "1abraid,2stake");
        assert!(
            parse_coins(&config, "1abraid,1braid")
                .unwrap_err()
                .to_string()
                .contains("twice")
        );
        assert!(parse_coins(&config, "").unwrap().is_empty());
    }

    #[test]
    fn wei_is_the_base_denomination_or_a_bare_integer() {
        let config = ChainConfig::braid();
        assert_eq!(parse_wei(&config, "5").unwrap(), U256::from(5));
        assert_eq!(parse_wei(&config, "5abraid").unwrap(), U256::from(5));
        assert!(parse_wei(&config, "5stake").is_err());
        assert!(parse_wei(&config, "0x5").is_err());
    }
}
