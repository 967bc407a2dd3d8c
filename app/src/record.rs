//! What is kept of a block: transactions, results and the Ethereum header, in one protobuf record.
use crate::{AppError, TxResult};
use alloy_consensus::Header;
use alloy_primitives::{Log, LogData};
use alloy_rlp::{Decodable, Encodable};
use module::ValidatorUpdate;
use prost::Message;
use rayon::prelude::*;
use types::{Address, B256, Bytes, Event, Timestamp, U256};

/// A committed block as readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// The Ethereum header: keccak of its RLP is [`StoredBlock::hash`].
    pub header: Header,
    /// Ethereum block hash.
    pub hash: B256,
    /// CometBFT block hash.
    pub comet_hash: B256,
    /// Header time, to the nanosecond.
    pub time: Timestamp,
    /// The proposer's consensus address.
    pub proposer: Address,
    /// All transactions in block order, those without an Ethereum receipt included.
    pub txs: Vec<StoredTx>,
    /// Block events.
    pub events: Vec<Event>,
    /// Changes to the validator set.
    pub validator_updates: Vec<ValidatorUpdate>,
}

/// A transaction and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTx {
    /// The raw transaction as in the CometBFT block.
    pub raw: Bytes,
    /// The result.
    pub result: TxResult,
    /// The Ethereum side, where it has a receipt.
    pub evm: Option<EvmReceipt>,
}

/// An Ethereum receipt with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvmReceipt {
    /// keccak of the raw Ethereum transaction.
    pub hash: B256,
    /// The raw Ethereum transaction (EIP-2718).
    pub raw: Bytes,
    /// Who sent it.
    pub sender: Address,
    /// EIP-2718 type.
    pub tx_type: u8,
    /// Place among the Ethereum transactions of the block.
    pub index: u64,
    /// Whether it succeeded.
    pub success: bool,
    /// Gas used.
    pub gas_used: u64,
    /// EVM gas used up to and including this transaction.
    pub cumulative_gas_used: u64,
    /// Price paid per gas, in wei.
    pub effective_gas_price: U256,
    /// The contract it made, if it made one.
    pub contract: Option<Address>,
    /// Block-wide index of its first log.
    pub first_log: u64,
    /// Its logs.
    pub logs: Vec<Log>,
}

#[derive(Clone, PartialEq, Message)]
struct EventProto {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, repeated, tag = "2")]
    pairs: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct LogProto {
    #[prost(bytes = "bytes", tag = "1")]
    address: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    topics: Vec<Bytes>,
    #[prost(bytes = "bytes", tag = "3")]
    data: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct EvmProto {
    #[prost(bytes = "bytes", tag = "1")]
    hash: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    raw: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    sender: Bytes,
    #[prost(uint32, tag = "4")]
    tx_type: u32,
    #[prost(uint64, tag = "5")]
    index: u64,
    #[prost(bool, tag = "6")]
    success: bool,
    #[prost(uint64, tag = "7")]
    gas_used: u64,
    #[prost(uint64, tag = "8")]
    cumulative_gas_used: u64,
    #[prost(bytes = "bytes", tag = "9")]
    effective_gas_price: Bytes,
    #[prost(bytes = "bytes", tag = "10")]
    contract: Bytes,
    #[prost(uint64, tag = "11")]
    first_log: u64,
    #[prost(message, repeated, tag = "12")]
    logs: Vec<LogProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TxProto {
    #[prost(bytes = "bytes", tag = "1")]
    raw: Bytes,
    #[prost(uint32, tag = "2")]
    code: u32,
    #[prost(string, tag = "3")]
    codespace: String,
    #[prost(string, tag = "4")]
    log: String,
    #[prost(bytes = "bytes", tag = "5")]
    data: Bytes,
    #[prost(uint64, tag = "6")]
    gas_wanted: u64,
    #[prost(uint64, tag = "7")]
    gas_used: u64,
    #[prost(message, repeated, tag = "8")]
    events: Vec<EventProto>,
    #[prost(message, optional, tag = "9")]
    evm: Option<EvmProto>,
}

#[derive(Clone, PartialEq, Message)]
struct UpdateProto {
    #[prost(bytes = "bytes", tag = "1")]
    pub_key: Bytes,
    #[prost(int64, tag = "2")]
    power: i64,
}

#[derive(Clone, PartialEq, Message)]
struct BlockProto {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(bytes = "bytes", tag = "2")]
    header: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    comet_hash: Bytes,
    #[prost(int64, tag = "4")]
    seconds: i64,
    #[prost(uint32, tag = "5")]
    nanos: u32,
    #[prost(bytes = "bytes", tag = "6")]
    proposer: Bytes,
    /// Each a [`TxProto`]: on the wire the same as a message within, but made by itself.
    #[prost(bytes = "bytes", repeated, tag = "7")]
    txs: Vec<Bytes>,
    #[prost(message, repeated, tag = "8")]
    events: Vec<EventProto>,
    #[prost(message, repeated, tag = "9")]
    updates: Vec<UpdateProto>,
}

/// Version of the record's layout.
const FORMAT: u32 = 1;

fn event_out(e: &Event) -> EventProto {
    let pairs = e
        .attributes
        .iter()
        .flat_map(|(k, v)| [k.clone(), v.clone()])
        .collect();
    EventProto {
        kind: e.kind.clone(),
        pairs,
    }
}

fn tx_out(t: &StoredTx) -> TxProto {
    TxProto {
        raw: t.raw.clone(),
        code: t.result.code,
        codespace: t.result.codespace.clone(),
        log: t.result.log.clone(),
        data: t.result.data.clone(),
        gas_wanted: t.result.gas_wanted,
        gas_used: t.result.gas_used,
        events: t.result.events.iter().map(event_out).collect(),
        evm: t.evm.as_ref().map(evm_out),
    }
}

fn event_in(e: EventProto) -> Event {
    let attributes = e
        .pairs
        .chunks_exact(2)
        .map(|c| (c[0].clone(), c[1].clone()))
        .collect();
    Event {
        kind: e.kind,
        attributes,
    }
}

fn bytes(v: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(v.as_ref())
}

impl StoredBlock {
    /// The record's bytes.
    pub fn encode(&self) -> Bytes {
        let mut header = Vec::new();
        self.header.encode(&mut header);
        let txs = self
            .txs
            .par_iter()
            .map(|t| Bytes::from(tx_out(t).encode_to_vec()));
        let updates = self.validator_updates.iter();
        BlockProto {
            format: FORMAT,
            header: header.into(),
            comet_hash: bytes(self.comet_hash),
            seconds: self.time.seconds,
            nanos: self.time.nanos,
            proposer: bytes(self.proposer),
            txs: txs.collect(),
            events: self.events.iter().map(event_out).collect(),
            updates: updates
                .map(|u| UpdateProto {
                    pub_key: u.pub_key.clone(),
                    power: u.power,
                })
                .collect(),
        }
        .encode_to_vec()
        .into()
    }

    /// Reads a record back.
    pub fn decode(height: u64, record: &[u8]) -> Result<Self, AppError> {
        let corrupt = |why: String| AppError::Record { height, why };
        let p = BlockProto::decode(record).map_err(|e| corrupt(e.to_string()))?;
        if p.format != FORMAT {
            return Err(corrupt(format!("format {}, want {FORMAT}", p.format)));
        }
        let header = Header::decode(&mut p.header.as_ref()).map_err(|e| corrupt(e.to_string()))?;
        let mut txs = Vec::with_capacity(p.txs.len());
        for t in p.txs {
            let t = TxProto::decode(t).map_err(|e| corrupt(e.to_string()))?;
            let evm = t.evm.map(evm_in).transpose().map_err(corrupt)?;
            let result = TxResult {
                code: t.code,
                codespace: t.codespace,
                log: t.log,
                data: t.data,
                gas_wanted: t.gas_wanted,
                gas_used: t.gas_used,
                events: t.events.into_iter().map(event_in).collect(),
            };
            txs.push(StoredTx {
                raw: t.raw,
                result,
                evm,
            });
        }
        Ok(Self {
            hash: header.hash_slow(),
            header,
            comet_hash: word(&p.comet_hash).map_err(corrupt)?,
            time: Timestamp {
                seconds: p.seconds,
                nanos: p.nanos,
            },
            proposer: address(&p.proposer).map_err(corrupt)?,
            txs,
            events: p.events.into_iter().map(event_in).collect(),
            validator_updates: p
                .updates
                .into_iter()
                .map(|u| ValidatorUpdate {
                    pub_key: u.pub_key,
                    power: u.power,
                })
                .collect(),
        })
    }

    /// The transactions that have Ethereum receipts, in order of their Ethereum index.
    pub fn evm_receipts(&self) -> impl Iterator<Item = &EvmReceipt> {
        self.txs.iter().filter_map(|t| t.evm.as_ref())
    }
}

fn evm_out(e: &EvmReceipt) -> EvmProto {
    let logs = e.logs.iter().map(|l| LogProto {
        address: bytes(l.address),
        topics: l.topics().iter().map(bytes).collect(),
        data: l.data.data.0.clone(),
    });
    EvmProto {
        hash: bytes(e.hash),
        raw: e.raw.clone(),
        sender: bytes(e.sender),
        tx_type: e.tx_type.into(),
        index: e.index,
        success: e.success,
        gas_used: e.gas_used,
        cumulative_gas_used: e.cumulative_gas_used,
        effective_gas_price: e.effective_gas_price.to_be_bytes_trimmed_vec().into(),
        contract: e.contract.map_or_else(Bytes::new, bytes),
        first_log: e.first_log,
        logs: logs.collect(),
    }
}

fn evm_in(e: EvmProto) -> Result<EvmReceipt, String> {
    let mut logs = Vec::with_capacity(e.logs.len());
    for l in e.logs {
        let topics = l.topics.iter().map(word).collect::<Result<Vec<_>, _>>()?;
        let data = LogData::new(topics, l.data.into()).ok_or("more than four topics")?;
        logs.push(Log {
            address: address(&l.address)?,
            data,
        });
    }
    Ok(EvmReceipt {
        hash: word(&e.hash)?,
        raw: e.raw,
        sender: address(&e.sender)?,
        tx_type: u8::try_from(e.tx_type).map_err(|_| "transaction type".to_owned())?,
        index: e.index,
        success: e.success,
        gas_used: e.gas_used,
        cumulative_gas_used: e.cumulative_gas_used,
        effective_gas_price: U256::try_from_be_slice(&e.effective_gas_price).ok_or("gas price")?,
        contract: if e.contract.is_empty() {
            None
        } else {
            Some(address(&e.contract)?)
        },
        first_log: e.first_log,
        logs,
    })
}

fn word(b: &Bytes) -> Result<B256, String> {
    B256::try_from(b.as_ref()).map_err(|_| format!("{} bytes, want 32", b.len()))
}

fn address(b: &Bytes) -> Result<Address, String> {
    Address::try_from(b.as_ref()).map_err(|_| format!("{} bytes, want 20", b.len()))
}
