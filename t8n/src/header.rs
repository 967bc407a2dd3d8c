//! What a header must say for the place it has in the chain (geth's `consensus/ethash`, `consensus/beacon` and
//! `consensus/misc`). Proof of work and the clock are not looked at.
use crate::fork::Fork;
use crate::input::BlockEnv;
use crate::number::Number;
use crate::transition::settle;
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use std::collections::BTreeMap;
use std::fmt::Display;
use types::U256;
use x_evm::SpecId;

/// The most bytes in `extraData`.
const EXTRA_BYTES_MAX: usize = 32;
/// The gas limit moves by less than this part of the parent's.
const GAS_LIMIT_STEP: u64 = 1024;
/// The gas limit never falls below this.
const GAS_LIMIT_MIN: u64 = 5000;
/// Clients count gas in signed numbers.
const GAS_LIMIT_MAX: u64 = i64::MAX.unsigned_abs();
/// The gas limit's bounds grow by this at London, since half of it becomes the target.
const ELASTICITY: u64 = 2;

/// The environment of a block with this header after `parent`, without ommers, withdrawals and hashes. What the header
/// must derive from its parent is left out, so that [`settle`] derives it.
pub(crate) fn environment(header: &Header, parent: &Header, fork: &Fork) -> BlockEnv {
    let wide = |n: u64| Some(Number(U256::from(n)));
    let merged = fork.has(SpecId::MERGE);
    let blobs = |of: Option<u64>| fork.blobs.map(|_| of.unwrap_or(0));
    BlockEnv {
        current_coinbase: header.beneficiary,
        current_difficulty: None,
        current_random: merged.then(|| Number(header.mix_hash.into())),
        parent_difficulty: Some(Number(parent.difficulty)),
        parent_base_fee: wide(parent.base_fee_per_gas.unwrap_or(0)),
        parent_gas_used: Some(parent.gas_used),
        parent_gas_limit: Some(parent.gas_limit),
        current_gas_limit: header.gas_limit,
        current_number: header.number,
        current_timestamp: header.timestamp,
        parent_timestamp: Some(parent.timestamp),
        block_hashes: Some(BTreeMap::new()),
        ommers: None,
        withdrawals: fork.has(SpecId::SHANGHAI).then(Vec::new),
        current_base_fee: None,
        parent_uncle_hash: Some(parent.ommers_hash),
        current_excess_blob_gas: None,
        parent_excess_blob_gas: blobs(parent.excess_blob_gas),
        parent_blob_gas_used: blobs(parent.blob_gas_used),
        parent_beacon_block_root: header.parent_beacon_block_root,
    }
}

/// Whether the header may follow `parent` under the rules called `network`; why not.
pub(crate) fn check(network: &str, header: &Header, parent: &Header) -> Result<(), String> {
    let unknown = || format!("network {network} is not known");
    let fork = Fork::at(network, header.number, header.timestamp).ok_or_else(unknown)?;
    let before = Fork::at(network, parent.number, parent.timestamp).ok_or_else(unknown)?;
    place(header, parent)?;
    let doubles = !before.has(SpecId::LONDON) && fork.has(SpecId::LONDON);
    gas(header, parent, doubles)?;
    fields(header, &fork)?;
    if fork.has(SpecId::MERGE) && (!header.nonce.is_zero() || header.ommers_hash != EMPTY_OMMER_ROOT_HASH) {
        return Err("a nonce or ommers after the merge".into());
    }
    blob_gas(header, &fork)?;
    let settled = settle(network, &environment(header, parent, &fork)).map_err(|e| e.to_string())?;
    let by_parent = "by the parent";
    same("base fee", &header.base_fee_per_gas, &settled.base_fee, by_parent)?;
    same("difficulty", &header.difficulty, &settled.difficulty, by_parent)?;
    let excess = settled.excess_blob_gas;
    same("excess blob gas", &header.excess_blob_gas, &excess, by_parent)
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    have: &T,
    want: &T,
    why: impl Display,
) -> Result<(), String> {
    if have == want {
        return Ok(());
    }
    Err(format!("{what} {have:?}, want {want:?} {why}"))
}

fn place(header: &Header, parent: &Header) -> Result<(), String> {
    same(
        "number",
        &header.number.checked_sub(1),
        &Some(parent.number),
        "one after the parent's",
    )?;
    if header.timestamp <= parent.timestamp {
        return Err(format!(
            "time {}, want more than the parent's {}",
            header.timestamp, parent.timestamp
        ));
    }
    if header.extra_data.len() > EXTRA_BYTES_MAX {
        return Err(format!(
            "{} bytes of extra data, want at most {EXTRA_BYTES_MAX}",
            header.extra_data.len()
        ));
    }
    Ok(())
}

fn gas(header: &Header, parent: &Header, doubles: bool) -> Result<(), String> {
    let (used, limit) = (header.gas_used, header.gas_limit);
    if used > limit {
        return Err(format!("gas used {used}, gas limit {limit}"));
    }
    let before = if doubles {
        parent.gas_limit.saturating_mul(ELASTICITY)
    } else {
        parent.gas_limit
    };
    let near = limit.abs_diff(before) < before / GAS_LIMIT_STEP;
    if !near || !(GAS_LIMIT_MIN..=GAS_LIMIT_MAX).contains(&limit) {
        return Err(format!(
            "gas limit {limit}, want it near {before} and at least {GAS_LIMIT_MIN}"
        ));
    }
    Ok(())
}

/// Each field that came with a fork is there from that fork on, and not before.
fn fields(header: &Header, fork: &Fork) -> Result<(), String> {
    let (cancun, prague) = (fork.has(SpecId::CANCUN), fork.has(SpecId::PRAGUE));
    for (name, has, wants) in [
        (
            "baseFeePerGas",
            header.base_fee_per_gas.is_some(),
            fork.has(SpecId::LONDON),
        ),
        (
            "withdrawalsRoot",
            header.withdrawals_root.is_some(),
            fork.has(SpecId::SHANGHAI),
        ),
        ("blobGasUsed", header.blob_gas_used.is_some(), cancun),
        ("excessBlobGas", header.excess_blob_gas.is_some(), cancun),
        (
            "parentBeaconBlockRoot",
            header.parent_beacon_block_root.is_some(),
            cancun,
        ),
        ("requestsHash", header.requests_hash.is_some(), prague),
        (
            "blockAccessListHash",
            header.block_access_list_hash.is_some(),
            false,
        ),
        ("slotNumber", header.slot_number.is_some(), false),
    ] {
        if has != wants {
            let what = if has { "has" } else { "lacks" };
            return Err(format!("the header {what} {name} under {}", fork.name));
        }
    }
    Ok(())
}

fn blob_gas(header: &Header, fork: &Fork) -> Result<(), String> {
    let (Some(used), Some(blobs)) = (header.blob_gas_used, fork.blobs) else {
        return Ok(());
    };
    let max = blobs.max_blob_gas_per_block();
    if used > max || used % DATA_GAS_PER_BLOB != 0 {
        return Err(format!(
            "blob gas used {used}, want whole blobs and at most {max}"
        ));
    }
    Ok(())
}
