//! `braidd tx evm`: signed Ethereum transactions (EIP-1559), wrapped and sent through CometBFT.
use super::fees::{self, Bid};
use super::session::Session;
use crate::amount;
use crate::keys::{KeyKind, Secret, Spelled};
use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::{Bytes, Signature, TxKind};
use anyhow::{Context as _, Result, anyhow, bail};
use clap::Subcommand;
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};
use types::{Address, U256};
use x_evm::{Envelope, EstimateGasResponse, EthCallRequest, EvmTx};

/// What to send to the EVM.
#[derive(Debug, Subcommand)]
pub(crate) enum EvmCommand {
    /// Transfer the chain's coin.
    Send {
        /// Sender: a key's name or address.
        from: String,
        /// Receiver: 0x or bech32 address, or a key's name.
        to: String,
        /// Such as 1.5braid, 12abraid, or plain wei.
        amount: String,
        #[command(flatten)]
        tip: TipArgs,
    },
    /// Deploy a contract.
    Deploy {
        /// Creation code with its arguments: hex, or a file with hex.
        bytecode: String,
        #[command(flatten)]
        value: ValueArgs,
        #[command(flatten)]
        tip: TipArgs,
    },
    /// Call a contract.
    Call {
        /// The contract: 0x or bech32 address.
        to: String,
        /// Call data: selector and arguments in hex.
        data: String,
        #[command(flatten)]
        value: ValueArgs,
        #[command(flatten)]
        tip: TipArgs,
    },
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TipArgs {
    /// Most the block's producer gets for a unit of gas, in wei.
    #[arg(long, default_value_t = 1_000_000_000, value_name = "WEI")]
    tip: u128,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ValueArgs {
    /// What to send along.
    #[arg(long, default_value = "0", value_name = "AMOUNT")]
    value: String,
}

struct Wanted {
    to: TxKind,
    value: U256,
    input: Bytes,
    tip: u128,
}

impl EvmCommand {
    /// Runs it.
    pub(crate) async fn run(&self, session: &Session) -> Result<()> {
        let wei = |text: &str| amount::parse_wei(session.config(), text);
        let (from, wanted) = match self {
            Self::Send {
                from,
                to,
                amount,
                tip,
            } => {
                let to = TxKind::Call(session.account(to)?);
                (
                    Some(from.as_str()),
                    Wanted {
                        to,
                        value: wei(amount)?,
                        input: Bytes::new(),
                        tip: tip.tip,
                    },
                )
            }
            Self::Deploy { bytecode, value, tip } => {
                let input = read_bytecode(bytecode)?;
                (
                    None,
                    Wanted {
                        to: TxKind::Create,
                        value: wei(&value.value)?,
                        input,
                        tip: tip.tip,
                    },
                )
            }
            Self::Call { to, data, value, tip } => {
                let (to, input) = (TxKind::Call(session.account(to)?), parse_hex("call data", data)?);
                (
                    None,
                    Wanted {
                        to,
                        value: wei(&value.value)?,
                        input,
                        tip: tip.tip,
                    },
                )
            }
        };
        send(session, from, wanted).await
    }
}

async fn send(session: &Session, from: Option<&str>, wanted: Wanted) -> Result<()> {
    let flags = &session.flags;
    let signer = session.signer(from)?;
    if let Some(record) = signer.record.as_ref().filter(|r| r.key_type != KeyKind::Eth) {
        bail!(
            "key {} is a Cosmos secp256k1 key: Ethereum transactions need an eth_secp256k1 key",
            record.name
        );
    }
    // The sequence is the nonce; an Ethereum signature covers no account number.
    let nonce = match flags.sequence {
        Some(nonce) => nonce,
        None if flags.offline => bail!("offline: give --sequence"),
        None => session.account_numbers(&signer.address).await?.1,
    };
    let gas_limit = fees::gas_limit(flags, estimate(session, &signer.address, &wanted)).await?;
    // A plain payment needs 21000 exactly, whatever the adjustment.
    let plain = wanted.input.is_empty() && flags.gas == super::flags::Gas::Auto;
    let gas_limit = if plain && gas_limit == fees::adjust(21_000, flags.gas_adjustment)? {
        21_000
    } else {
        gas_limit
    };
    if flags.dry_run {
        return session.print(&json!({ "gas_estimate": gas_limit.to_string() }));
    }
    let config = session.config();
    let Bid { fee_cap, tip_cap } =
        fees::evm_bid(flags, config, session.client.as_ref(), wanted.tip, gas_limit).await?;
    let tx = TxEip1559 {
        chain_id: config.evm_chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: fee_cap,
        max_priority_fee_per_gas: tip_cap,
        to: wanted.to,
        value: wanted.value,
        access_list: Default::default(),
        input: wanted.input,
    };
    let Some(record) = &signer.record else {
        return session.print(&unsigned(&signer.address, &tx));
    };
    let secret = session.secret(record)?;
    let build = |nonce| {
        let signed = sign(&secret, TxEip1559 { nonce, ..tx.clone() })?;
        Ok(x_evm::wrap(&signed, config).to_vec())
    };
    if flags.offline {
        return session.print_signed(&build(nonce)?);
    }
    session.confirm(&unsigned(&signer.address, &tx))?;
    let created = |shown: &mut Value, nonce: u64| {
        let failed = shown["code"] != 0 || shown.get("vm_error").is_some();
        if tx.to.is_create() && !failed {
            let contract = Spelled::new(config, &signer.address.create(nonce));
            shown["contract"] = contract.hex.into();
            shown["contract_bech32"] = contract.bech32.into();
        }
    };
    session.send(nonce, created, build).await
}

fn unsigned(from: &Address, tx: &TxEip1559) -> Value {
    json!({
        "type": "0x2", "from": from.to_string(), "to": tx.to.to().map(Address::to_string),
        "chainId": format!("0x{:x}", tx.chain_id), "nonce": format!("0x{:x}", tx.nonce),
        "gas": format!("0x{:x}", tx.gas_limit), "maxFeePerGas": format!("0x{:x}", tx.max_fee_per_gas),
        "maxPriorityFeePerGas": format!("0x{:x}", tx.max_priority_fee_per_gas),
        "value": format!("0x{:x}", tx.value), "input": tx.input.to_string(),
    })
}

/// The gas that the call needs, as the chain finds it.
async fn estimate(session: &Session, from: &Address, wanted: &Wanted) -> Result<u64> {
    let mut args = json!({
        "from": from.to_string(), "value": format!("0x{:x}", wanted.value), "input": wanted.input.to_string(),
    });
    if let TxKind::Call(to) = wanted.to {
        args["to"] = to.to_string().into();
    }
    let request = EthCallRequest {
        args: args.to_string().into_bytes().into(),
        gas_cap: 0,
    };
    let path = "/cosmos.evm.vm.v1.Query/EstimateGas";
    let answer: EstimateGasResponse = session
        .online()?
        .query(path, &request, None)
        .await
        .context("gas estimate (--gas N skips it)")?;
    if !answer.vm_error.is_empty() {
        let reason = x_evm::revert_reason(&answer.ret)
            .map(|r| format!(": {r}"))
            .unwrap_or_default();
        let told = if answer.vm_error.contains(reason.trim_start_matches(": ")) {
            ""
        } else {
            reason.as_str()
        };
        bail!(
            "it would fail: {}{told} (--gas N sends it all the same)",
            answer.vm_error
        );
    }
    Ok(answer.gas)
}

/// Signs with the key, low s, and checks that the signature recovers it.
fn sign(secret: &Secret, tx: TxEip1559) -> Result<EvmTx> {
    let key = SigningKey::from_slice(secret.bytes()).expect("checked when the secret was made");
    let hash = tx.signature_hash();
    let (signature, id) = key
        .sign_prehash_recoverable(hash.as_slice())
        .map_err(|e| anyhow!("sign: {e}"))?;
    // k256 gives a low s already (EIP-2).
    let (r, s) = signature.split_bytes();
    let signature = Signature::new(U256::from_be_slice(&r), U256::from_be_slice(&s), id.is_y_odd());
    let signed = EvmTx::new(Envelope::Eip1559(tx.into_signed(signature)), secret.address());
    let recovered =
        EvmTx::decode_any(&signed.raw).map_err(|e| anyhow!("the transaction just signed: {e}"))?;
    if recovered.sender != secret.address() {
        bail!(
            "the signature recovers {}, not {}",
            recovered.sender,
            secret.address()
        );
    }
    Ok(signed)
}

/// Hex with or without 0x.
pub(crate) fn parse_hex(what: &str, text: &str) -> Result<Bytes> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits)
        .map(Bytes::from)
        .map_err(|e| anyhow!("{what} {}: {e}", shorten(text)))
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn read_bytecode(text: &str) -> Result<Bytes> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let code = if !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_hexdigit())
        && !std::path::Path::new(text).exists()
    {
        parse_hex("bytecode", text)?
    } else {
        let file =
            std::fs::read_to_string(text).with_context(|| format!("bytecode: read {}", shorten(text)))?;
        parse_hex(&format!("bytecode in {text}"), &file)?
    };
    if code.is_empty() {
        bail!("bytecode is empty");
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tx() -> TxEip1559 {
        TxEip1559 {
            chain_id: 8118,
            nonce: 3,
            gas_limit: 21_000,
            max_fee_per_gas: 2_000_000_000,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(Address::repeat_byte(9)),
            value: U256::from(5),
            access_list: Default::default(),
            input: Bytes::new(),
        }
    }

    #[test]
    fn a_signed_transaction_passes_the_chains_own_decoder() {
        let secret = Secret::new(KeyKind::Eth, &[7; 32]).unwrap();
        let signed = sign(&secret, tx()).unwrap();
        let config = types::ChainConfig::braid();
        let back = x_evm::unwrap(&x_evm::wrap(&signed, &config), &config)
            .unwrap()
            .unwrap();
        assert_eq!(back.sender, secret.address());
        assert_eq!(
            (back.nonce(), back.gas_limit(), back.to()),
            (3, 21_000, Some(Address::repeat_byte(9)))
        );
        assert_eq!(back.hash, signed.hash);
        let shown = crate::response::eth_hash(&x_evm::wrap(&signed, &config)).unwrap();
        assert_eq!(shown, signed.hash.to_string());
    }

    #[test]
    fn bytecode_is_hex_or_a_file_of_hex() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("Token.bin");
        std::fs::write(&file, "0x6001\n").unwrap();
        assert_eq!(
            read_bytecode(file.to_str().unwrap()).unwrap().to_string(),
            "0x6001"
        );
        assert_eq!(read_bytecode("6001").unwrap(), read_bytecode("0x6001").unwrap());
        for bad in ["", "0x", "600", "/no/such/file", "zz"] {
            assert!(read_bytecode(bad).is_err(), "{bad}");
        }
        let long = format!("0x{}", "zz".repeat(1000));
        assert!(parse_hex("call data", &long).unwrap_err().to_string().len() < 120);
    }
}
