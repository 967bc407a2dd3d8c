//! `braidd tx bank`: move coins.
use super::native;
use super::session::Session;
use crate::{amount, messages};
use anyhow::{Result, anyhow, bail};
use clap::Subcommand;
use cosmrs::proto::cosmos::bank::v1beta1::{Input, MsgMultiSend, MsgSend, Output};
use cosmrs::proto::cosmos::base::v1beta1::Coin as ProtoCoin;
use types::{Coin, U256};

/// What to do with coins.
#[derive(Debug, Subcommand)]
pub(crate) enum Bank {
    /// Send coins to one account.
    Send {
        /// Sender: a key's name or address.
        from: String,
        /// Receiver: 0x or bech32 address, or a key's name.
        to: String,
        /// Such as 12abraid, 1.5braid, or a comma-separated list.
        amount: String,
    },
    /// Send coins to several accounts: each gets the amount, or a share with --split.
    MultiSend {
        /// Sender: a key's name or address.
        from: String,
        /// Receivers, then the amount.
        #[arg(required = true, num_args = 2.., value_name = "TO… AMOUNT")]
        rest: Vec<String>,
        /// Divide the amount among the receivers.
        #[arg(long)]
        split: bool,
    },
}

/// Coins as messages carry them.
pub(crate) fn proto_coins(coins: &[Coin]) -> Vec<ProtoCoin> {
    coins.iter().map(proto_coin).collect()
}

/// A coin as messages carry it.
pub(crate) fn proto_coin(coin: &Coin) -> ProtoCoin {
    ProtoCoin {
        denom: coin.denom.clone(),
        amount: coin.amount.to_string(),
    }
}

fn positive(session: &Session, text: &str) -> Result<Vec<Coin>> {
    let coins = amount::parse_coins(session.config(), text)?;
    if coins.is_empty() || coins.iter().any(|c| c.amount.is_zero()) {
        bail!("invalid amount {text:?}: want more than zero");
    }
    Ok(coins)
}

impl Bank {
    /// Runs it.
    pub(crate) async fn run(&self, session: &Session) -> Result<()> {
        match self {
            Self::Send { from, to, amount } => {
                let signer = session.signer(Some(from))?;
                let message = MsgSend {
                    from_address: session.bech32(&signer.address),
                    to_address: session.bech32(&session.account(to)?),
                    amount: proto_coins(&positive(session, amount)?),
                };
                native::run(session, &signer, vec![messages::any(&message)]).await
            }
            Self::MultiSend { from, rest, split } => {
                let signer = session.signer(Some(from))?;
                let Some((amount, receivers)) = rest.split_last() else {
                    bail!("give receivers and an amount")
                };
                let (total, each) = shares(&positive(session, amount)?, receivers.len(), *split)?;
                let output = |to: &String| -> Result<Output> {
                    Ok(Output {
                        address: session.bech32(&session.account(to)?),
                        coins: proto_coins(&each),
                    })
                };
                let message = MsgMultiSend {
                    inputs: vec![Input {
                        address: session.bech32(&signer.address),
                        coins: proto_coins(&total),
                    }],
                    outputs: receivers.iter().map(output).collect::<Result<_>>()?,
                };
                native::run(session, &signer, vec![messages::any(&message)]).await
            }
        }
    }
}

/// What is taken in all, and what each of `n` gets. A share rounds down, and only whole shares are taken.
fn shares(coins: &[Coin], n: usize, split: bool) -> Result<(Vec<Coin>, Vec<Coin>)> {
    let n = U256::from(n.max(1));
    let each: Vec<Coin> = coins
        .iter()
        .map(|c| Coin::new(if split { c.amount / n } else { c.amount }, c.denom.clone()))
        .collect();
    if let Some(none) = each.iter().find(|c| c.amount.is_zero()) {
        bail!("too little {} to divide by {n}", none.denom);
    }
    let total = each
        .iter()
        .map(|c| {
            let sum = c
                .amount
                .checked_mul(n)
                .ok_or_else(|| anyhow!("{n} times {c} does not fit 256 bits"))?;
            Ok(Coin::new(sum, c.denom.clone()))
        })
        .collect::<Result<_>>()?;
    Ok((total, each))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_what_is_taken() {
        let ten = [Coin::new(U256::from(10), "abraid")];
        let text = |(total, each): (Vec<Coin>, Vec<Coin>)| (total[0].to_string(), each[0].to_string());
        assert_eq!(
            text(shares(&ten, 3, false).unwrap()),
            ("30abraid".into(), "10abraid".into())
        );
        assert_eq!(
            text(shares(&ten, 3, true).unwrap()),
            ("9abraid".into(), "3abraid".into())
        );
        assert!(shares(&ten, 11, true).is_err());
        assert!(shares(&[Coin::new(U256::MAX, "abraid")], 2, false).is_err());
    }
}
