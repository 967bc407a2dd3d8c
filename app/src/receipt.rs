//! From what a transaction did to what consensus, Cosmos clients and Ethereum clients are shown of it.
use crate::{EvmReceipt, TxResult};
use cosmrs::proto::{Any, cosmos::base::abci::v1beta1::TxMsgData};
use module::{Error, Response};
use prost::Message;
use types::{Address, B256, Bytes, Event};
use x_evm::{EvmTx, Included, MsgEthereumTxResponse, ProtoLog, RESPONSE_TYPE};

/// What a job yields beside its writes.
#[derive(Clone, Debug)]
pub(crate) struct TxOutput {
    pub(crate) result: TxResult,
    /// Present if and only if nonce and fee were taken by an Ethereum transaction (chain.md rule 14).
    pub(crate) evm: Option<EvmReceipt>,
    /// What the EVM returned, until `data` is encoded.
    pub(crate) returned: Bytes,
    /// Why the EVM failed.
    pub(crate) vm_error: String,
}

impl TxOutput {
    /// A transaction that took nothing: code above zero, no gas, no receipt.
    pub(crate) fn rejected(codespace: &str, code: u32, log: String, gas_wanted: u64) -> Self {
        let result = TxResult {
            code,
            codespace: codespace.into(),
            log,
            gas_wanted,
            ..TxResult::default()
        };
        Self {
            result,
            evm: None,
            returned: Bytes::new(),
            vm_error: String::new(),
        }
    }
    /// The same, from a module's error; a state error passes through.
    pub(crate) fn from_error(error: Error, gas_wanted: u64) -> Result<Self, state::StateError> {
        match error {
            Error::State(e) => Err(e),
            Error::Rejected {
                codespace,
                code,
                message,
            } => Ok(Self::rejected(codespace, code, message, gas_wanted)),
        }
    }
    /// An Ethereum transaction that ran. Its index and log indexes come at settlement, and then [`TxOutput::finish`].
    pub(crate) fn included(tx: &EvmTx, ran: Included) -> Self {
        let result = TxResult {
            gas_wanted: tx.gas_limit(),
            gas_used: ran.gas_used,
            log: ran.vm_error.as_deref().unwrap_or("").into(),
            events: ran.events,
            ..TxResult::default()
        };
        let evm = EvmReceipt {
            hash: tx.hash,
            raw: tx.raw.clone(),
            sender: tx.sender,
            tx_type: tx.tx_type(),
            index: 0,
            success: ran.success,
            gas_used: ran.gas_used,
            cumulative_gas_used: 0,
            effective_gas_price: types::U256::from(ran.effective_gas_price),
            contract: ran.contract_address,
            first_log: 0,
            logs: ran.logs,
        };
        let vm_error = ran.vm_error.as_deref().unwrap_or("").to_owned();
        Self {
            result,
            evm: Some(evm),
            returned: ran.output,
            vm_error,
        }
    }
    /// Makes `data` and the events that name an Ethereum transaction, whose place in the block is known by now.
    pub(crate) fn finish(&mut self, tx: &EvmTx, height: u64, time_s: u64) {
        let Some(receipt) = &self.evm else { return };
        self.result.data = evm_data(receipt, &self.returned, &self.vm_error, height, time_s);
        let events = evm_events(receipt, tx.to(), tx.value());
        self.result.events.extend(events);
    }
    /// A native transaction that was charged, whether its messages succeeded or not.
    pub(crate) fn native(
        result: Result<Vec<Response>, Error>,
        gas_wanted: u64,
        gas_used: u64,
        events: Vec<Event>,
    ) -> Result<Self, state::StateError> {
        let mut output = match result {
            Ok(responses) => {
                let result = TxResult {
                    data: msg_data(responses),
                    gas_wanted,
                    ..TxResult::default()
                };
                Self {
                    result,
                    evm: None,
                    returned: Bytes::new(),
                    vm_error: String::new(),
                }
            }
            Err(e) => Self::from_error(e, gas_wanted)?,
        };
        output.result.gas_used = gas_used;
        output.result.events = events;
        Ok(output)
    }
    /// Whether the transaction is part of the block's gas: fee and nonce were taken.
    pub(crate) fn counts(&self) -> bool {
        self.result.gas_used > 0
    }
}

/// `TxMsgData` with one response a message (SDK baseapp).
pub(crate) fn msg_data(responses: Vec<Response>) -> Bytes {
    let msg_responses = responses
        .into_iter()
        .map(|r| Any {
            type_url: r.type_url.into(),
            value: r.value,
        })
        .collect();
    TxMsgData {
        msg_responses,
        ..TxMsgData::default()
    }
    .encode_to_vec()
    .into()
}

/// `ExecTxResult.data` of an Ethereum transaction, once its place in the block is known.
fn evm_data(receipt: &EvmReceipt, returned: &Bytes, vm_error: &str, height: u64, time_s: u64) -> Bytes {
    let logs = receipt
        .logs
        .iter()
        .zip(receipt.first_log..)
        .map(|(log, index)| ProtoLog {
            address: log.address.to_checksum(None),
            topics: log.topics().iter().map(B256::to_string).collect(),
            data: log.data.data.0.clone(),
            block_number: height,
            tx_hash: receipt.hash.to_string(),
            tx_index: receipt.index,
            block_hash: String::new(),
            index,
            removed: false,
            block_timestamp: time_s,
        });
    let response = MsgEthereumTxResponse {
        hash: receipt.hash.to_string(),
        logs: logs.collect(),
        ret: returned.clone(),
        vm_error: vm_error.into(),
        gas_used: receipt.gas_used,
        max_used_gas: receipt.gas_used,
        block_hash: Bytes::new(),
        block_timestamp: time_s,
    };
    msg_data(vec![Response {
        type_url: RESPONSE_TYPE,
        value: response.encode_to_vec(),
    }])
}

/// The events that name an Ethereum transaction (cosmos/evm x/vm): indexers map hashes with them.
fn evm_events(receipt: &EvmReceipt, to: Option<Address>, amount: types::U256) -> Vec<Event> {
    let mut own = Event::new(
        "ethereum_tx",
        [
            ("amount", amount.to_string()),
            ("ethereumTxHash", receipt.hash.to_string()),
            ("txIndex", receipt.index.to_string()),
            ("txGasUsed", receipt.gas_used.to_string()),
        ],
    );
    if let Some(to) = to {
        own.attributes.push(("recipient".into(), to.to_checksum(None)));
    }
    if !receipt.success {
        own.attributes
            .push(("ethereumTxFailed".into(), "execution failed".into()));
    }
    let message = Event::new(
        "message",
        [
            ("module", "evm".to_owned()),
            ("sender", receipt.sender.to_checksum(None)),
            ("txType", receipt.tx_type.to_string()),
        ],
    );
    vec![own, message]
}
