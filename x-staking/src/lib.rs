//! Bond coins to validators and tell consensus who they are.
//!
//! Reading order: [`keys`] says what is kept where; [`Validator`], [`Delegation`], [`Unbonding`] and [`Redelegation`]
//! are the records; `msg/` holds the messages, `stake` the moves they are made of; `index` what they leave for the
//! block's end; `updates` and `mature` what happens there; `genesis` how it all begins.
//!
//! Messages of different delegators *and* validators touch different keys: pools are only added to, queues are
//! appended to when a transaction settles, and the power index and the unbonding ids are brought up to date at the
//! block's end. What lies in the store after a block is what the SDK would have written.

mod errors;
mod export;
mod genesis;
mod history;
mod hooks;
mod index;
mod json;
pub mod keys;
mod mature;
mod msg;
mod num;
mod params;
mod pool;
mod query;
mod records;
mod stake;
mod staking;
mod updates;
mod validator;

#[cfg(test)]
mod tests;

pub use genesis::{GenesisStake, GenesisValidator, bonded_validators, bonded_validators_with};
pub use hooks::{NoHooks, StakingHooks};
pub use keys::{STORE, deferred_prefixes};
pub use num::Span;
pub use params::{MAX_ENTRIES, MAX_UNBONDING_S, MAX_VALIDATORS, Params, params};
pub use pool::{BONDED_POOL, NOT_BONDED_POOL, pool};
pub use records::{
    Delegation, Redelegation, RedelegationEntry, Unbonding, UnbondingEntry, delegation, redelegation,
    unbonding,
};
pub use staking::Staking;
pub use validator::{
    Commission, Description, ED25519_URL, MAX_TOTAL_POWER, Status, Validator, consensus_address,
    operator_text, pubkey_any, validator, validator_by_cons_addr, validators,
};

use module::BlockContext;
use state::{Control, Key, KeyRange, StateError, StateScan, Value};

/// A block's height as the SDK's records have it.
fn height(block: &BlockContext) -> i64 {
    i64::try_from(block.height).unwrap_or(i64::MAX)
}

/// Everything in `range`, read by `decode`.
fn scan<T>(
    state: &dyn StateScan,
    range: &KeyRange,
    decode: impl Fn(&Key, &Value) -> Result<T, StateError>,
) -> Result<Vec<T>, StateError> {
    let mut out = Vec::new();
    let mut failed = None;
    state.scan(range, &mut |key, value| match decode(key, value) {
        Ok(v) => {
            out.push(v);
            Control::Continue(())
        }
        Err(e) => {
            failed = Some(e);
            Control::Break(())
        }
    })?;
    failed.map_or(Ok(out), Err)
}
