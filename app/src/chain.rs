//! The app's own store: the chain's names and parameters, and the parts of the newest block that the next one needs.
use crate::{AppError, ConsensusParams};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_rlp::{Decodable, Encodable};
use prost::Message as _;
use state::{AppHash, Key, StateError, StateRead, StateWrite, StoreId, Value};
use std::sync::Arc;
use types::{B256, Bytes, ChainConfig, Timestamp};

/// The app's store.
pub(crate) const STORE: StoreId = StoreId::new("chain");

/// What a chain was started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainInfo {
    /// Cosmos chain id.
    pub chain_id: Arc<str>,
    /// The chain's names.
    pub config: Arc<ChainConfig>,
    /// First block's height.
    pub initial_height: u64,
    /// Genesis time.
    pub genesis_time: Timestamp,
    /// Consensus parameters in force.
    pub params: ConsensusParams,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Stored {
    chain_id: String,
    config: ChainConfig,
    initial_height: u64,
    genesis_seconds: i64,
    genesis_nanos: u32,
    params: ConsensusParams,
}

fn info_key() -> Key {
    Key::new(STORE, &[b"info"])
}
fn block_key() -> Key {
    Key::new(STORE, &[b"block"])
}

impl ChainInfo {
    /// Gas of a block at most.
    pub fn gas_limit(&self) -> u64 {
        u64::try_from(self.params.max_gas).expect("checked at genesis: above zero")
    }
    pub(crate) fn write(&self, state: &mut dyn StateWrite) {
        let stored = Stored {
            chain_id: self.chain_id.to_string(),
            config: (*self.config).clone(),
            initial_height: self.initial_height,
            genesis_seconds: self.genesis_time.seconds,
            genesis_nanos: self.genesis_time.nanos,
            params: self.params.clone(),
        };
        state.put(
            info_key(),
            serde_json::to_vec(&stored).expect("plain data").into(),
        );
    }
    pub(crate) fn read(state: &dyn StateRead) -> Result<Option<Self>, StateError> {
        let key = info_key();
        let Some(value) = state.get(&key)? else {
            return Ok(None);
        };
        let s: Stored = serde_json::from_slice(&value).map_err(|e| StateError::Corrupt {
            key,
            why: e.to_string(),
        })?;
        Ok(Some(Self {
            chain_id: s.chain_id.into(),
            config: Arc::new(s.config),
            initial_height: s.initial_height,
            genesis_time: Timestamp {
                seconds: s.genesis_seconds,
                nanos: s.genesis_nanos,
            },
            params: s.params,
        }))
    }
}

/// The newest block's header without its state root, and what Ethereum's header has no room for. Stored under one
/// overwritten key; together with the app hash it gives the Ethereum hash, also on a node that state-synced here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockParts {
    /// The header; its state root is zero.
    pub(crate) header: Header,
    /// The block's CometBFT hash.
    pub(crate) comet_hash: B256,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartsProto {
    #[prost(bytes = "bytes", tag = "1")]
    header: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    comet_hash: Bytes,
}

impl BlockParts {
    pub(crate) fn write(&self, state: &mut dyn StateWrite) {
        let mut header = Vec::new();
        self.header.encode(&mut header);
        let proto = PartsProto {
            header: header.into(),
            comet_hash: Bytes::copy_from_slice(self.comet_hash.as_slice()),
        };
        state.put(block_key(), Value::from(proto.encode_to_vec()));
    }
    pub(crate) fn read(state: &dyn StateRead) -> Result<Self, StateError> {
        let key = block_key();
        let corrupt = |why: String| StateError::Corrupt {
            key: block_key(),
            why,
        };
        let value = state.get(&key)?.ok_or_else(|| corrupt("missing".into()))?;
        let proto = PartsProto::decode(value).map_err(|e| corrupt(e.to_string()))?;
        let header = Header::decode(&mut proto.header.as_ref()).map_err(|e| corrupt(e.to_string()))?;
        let comet_hash =
            B256::try_from(proto.comet_hash.as_ref()).map_err(|_| corrupt("hash is not 32 bytes".into()))?;
        Ok(Self { header, comet_hash })
    }
    /// The Ethereum header, once the app hash is known.
    pub(crate) fn sealed(&self, root: &AppHash) -> Header {
        Header {
            state_root: B256::from(*root),
            ..self.header.clone()
        }
    }
}

/// The header fields that never vary on this chain (chain.md rule 8).
pub(crate) fn plain_header() -> Header {
    Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}

/// Genesis as a block: height `initial_height - 1`, with `InitChain`'s app hash.
pub(crate) fn genesis_parts(info: &ChainInfo) -> BlockParts {
    let header = Header {
        number: info.initial_height - 1,
        timestamp: info.genesis_time.unix(),
        gas_limit: info.gas_limit(),
        base_fee_per_gas: Some(u64::try_from(info.config.min_gas_price()).unwrap_or(u64::MAX)),
        ..plain_header()
    };
    BlockParts {
        header,
        comet_hash: B256::ZERO,
    }
}

/// Refuses parameters the chain cannot run with.
pub(crate) fn check_params(params: &ConsensusParams, initial_height: u64) -> Result<(), AppError> {
    if params.max_gas <= 0 {
        let why = format!(
            "consensus_params.block.max_gas is {}: want above zero",
            params.max_gas
        );
        return Err(AppError::Genesis(why));
    }
    if initial_height == 0 {
        return Err(AppError::Genesis("initial_height is 0: want at least 1".into()));
    }
    Ok(())
}
