//! What the chain knew of its past blocks (SDK `TrackHistoricalInfo`), for light clients of other chains.
use crate::updates::last_powers;
use crate::validator::{Validator, validator};
use crate::{keys, num};
use cosmrs::proto::cosmos::staking::v1beta1::HistoricalInfo;
use cosmrs::proto::tendermint::types::{BlockId, Header, PartSetHeader};
use cosmrs::proto::tendermint::version::Consensus;
use module::{BlockContext, Result};
use prost::Message as _;
use state::{StateError, StateScan, StateWrite};

/// The header as far as a block's context goes: since ABCI 2.0 the SDK has no more than this either, save the app
/// hash and the next validators' hash.
fn header(block: &BlockContext) -> Header {
    Header {
        // Go encodes embedded messages also where they are empty.
        version: Some(Consensus::default()),
        chain_id: block.chain_id.to_string(),
        height: crate::height(block),
        time: Some(num::proto_time(block.time)),
        last_block_id: Some(BlockId {
            part_set_header: Some(PartSetHeader::default()),
            ..BlockId::default()
        }),
        proposer_address: block.proposer.to_vec(),
        ..Header::default()
    }
}

/// The bonded validators as CometBFT orders them: by descending power, then by consensus address.
fn valset(state: &dyn StateScan) -> Result<Vec<Validator>, StateError> {
    let mut set = Vec::new();
    for (operator, power) in last_powers(state)? {
        if let Some(v) = validator(state, &operator)? {
            set.push((std::cmp::Reverse(power), v.consensus(), v));
        }
    }
    set.sort_by_key(|v| (v.0, v.1));
    Ok(set.into_iter().map(|(_, _, v)| v).collect())
}

/// Stores this block's entry and prunes the oldest.
pub(crate) fn track(block: &BlockContext, state: &mut dyn StateWrite) -> Result<()> {
    let keep = u64::from(crate::params(state.as_scan())?.historical_entries);
    // Downwards until a gap: one entry a block, more only after the parameter was lowered.
    let mut old = block.height.checked_sub(keep);
    while let Some(height) = old {
        let key = keys::historical(height);
        if state.get(&key)?.is_none() {
            break;
        }
        state.delete(key);
        old = height.checked_sub(1);
    }
    if keep == 0 {
        return Ok(());
    }
    let valset = valset(state.as_scan())?
        .iter()
        .map(|v| v.to_proto(&block.config))
        .collect();
    let info = HistoricalInfo {
        header: Some(header(block)),
        valset,
    };
    state.put(keys::historical(block.height), info.encode_to_vec().into());
    Ok(())
}
