//! `braidd query evm`: contracts and the EVM's view of accounts.
use super::ask::Ask;
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use serde_json::json;
use types::{B256, U256};
use x_evm::{
    AccountResponse, AddressRequest, CodeResponse, EthCallRequest, MsgEthereumTxResponse, ParamsResponse,
    StorageRequest, TextResponse,
};

/// What to ask.
#[derive(Debug, Subcommand)]
pub(crate) enum EvmQuery {
    /// A contract's code.
    Code {
        /// 0x or bech32 address.
        address: String,
    },
    /// One word of a contract's storage.
    Storage {
        /// 0x or bech32 address.
        address: String,
        /// The slot: 0x-hex, or a decimal number.
        slot: String,
    },
    /// Call a contract without a transaction.
    Call {
        /// 0x or bech32 address.
        to: String,
        /// Call data: selector and arguments in hex.
        data: String,
        /// Who calls: address or key's name.
        #[arg(long, value_name = "ADDRESS")]
        from: Option<String>,
        /// What is sent along.
        #[arg(long, value_name = "AMOUNT")]
        value: Option<String>,
        /// Most gas to use [default: the node's limit].
        #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N")]
        gas: u64,
    },
    /// Balance, nonce and code hash.
    Account {
        /// 0x or bech32 address, or a key's name.
        address: String,
    },
    /// The module's parameters.
    Params,
    /// The next block's base fee, in wei.
    BaseFee,
}

fn path(method: &str) -> String {
    format!("/cosmos.evm.vm.v1.Query/{method}")
}

/// A slot's number in hex, padded.
fn slot(text: &str) -> Result<B256> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => U256::from_str_radix(digits, 16),
        None => U256::from_str_radix(text, 10),
    };
    match number {
        Ok(n) if !text.is_empty() && text != "0x" => Ok(n.into()),
        _ => bail!("invalid slot {text:?}: want 0x-hex or a decimal number below 2^256"),
    }
}

impl EvmQuery {
    /// Runs it.
    pub(crate) async fn run(&self, ask: &Ask) -> Result<()> {
        let hex_of = |text: &str| -> Result<String> { Ok(ask.address(text)?.to_string()) };
        match self {
            Self::Code { address } => {
                let request = AddressRequest {
                    address: hex_of(address)?,
                };
                let r: CodeResponse = ask.get(&path("Code"), &request).await?;
                ask.print(&json!({ "code": format!("0x{}", hex::encode(&r.code)) }))
            }
            Self::Storage { address, slot: key } => {
                let request = StorageRequest {
                    address: hex_of(address)?,
                    key: slot(key)?.to_string(),
                };
                let r: TextResponse = ask.get(&path("Storage"), &request).await?;
                ask.print(&json!({ "value": r.text }))
            }
            Self::Call {
                to,
                data,
                from,
                value,
                gas,
            } => {
                let data = crate::tx::parse_hex("call data", data)?;
                let mut args = json!({ "to": hex_of(to)?, "input": data.to_string() });
                if let Some(from) = from {
                    args["from"] = hex_of(from)?.into();
                }
                if let Some(value) = value {
                    args["value"] =
                        format!("0x{:x}", crate::amount::parse_wei(&ask.chain.config, value)?).into();
                }
                let request = EthCallRequest {
                    args: args.to_string().into_bytes().into(),
                    gas_cap: *gas,
                };
                let r: MsgEthereumTxResponse = ask.get(&path("EthCall"), &request).await?;
                let mut shown = json!({
                    "ret": format!("0x{}", hex::encode(&r.ret)), "gas_used": r.gas_used.to_string(), "vm_error": r.vm_error,
                });
                if let Some(reason) = x_evm::revert_reason(&r.ret).filter(|_| !r.vm_error.is_empty()) {
                    shown["reason"] = reason.into();
                }
                ask.print(&shown)?;
                if r.vm_error.is_empty() {
                    Ok(())
                } else {
                    bail!("the call failed: {}", r.vm_error)
                }
            }
            Self::Account { address } => {
                let request = AddressRequest {
                    address: hex_of(address)?,
                };
                let r: AccountResponse = ask.get(&path("Account"), &request).await?;
                ask.print(
                    &json!({ "balance": r.balance, "code_hash": r.code_hash, "nonce": r.nonce.to_string() }),
                )
            }
            Self::Params => {
                let r: ParamsResponse = ask.get(&path("Params"), &()).await?;
                let params = r.params.context("the node's answer has no parameters")?;
                ask.print(&json!({
                    "params": {
                        "evm_denom": params.evm_denom,
                        "history_serve_window": params.history_serve_window.to_string(),
                    },
                    "evm_chain_id": ask.chain.config.evm_chain_id.to_string(),
                }))
            }
            Self::BaseFee => {
                let r: TextResponse = ask.get(&path("BaseFee"), &()).await?;
                ask.print(&json!({ "base_fee": r.text }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_hex_or_decimal() {
        assert_eq!(slot("0x10").unwrap(), slot("16").unwrap());
        assert_eq!(slot("0").unwrap(), B256::ZERO);
        let huge = format!("0x1{}", "0".repeat(64));
        for bad in ["", "0x", "x", "-1", &huge] {
            assert!(slot(bad).is_err(), "{bad}");
        }
    }
}
