//! Accounts and block fields that a simulation pretends (geth's `StateOverride`, `BlockOverrides`).
use super::error::{RpcResult, invalid, state as state_error};
use alloy_primitives::U256;
use alloy_rpc_types_eth::{BlockOverrides, state::StateOverride};
use state::{Control, Key, KeyRange, StateError, StateRead, StateScan, StateWrite, Value, encode_amount};
use std::collections::BTreeSet;
use types::{Address, ChainConfig, keccak256};
use x_evm::Env;

/// Accounts, and slots over all accounts, that one request may pretend: each is a write into a buffer.
const OVERRIDES_MAX: usize = 10_000;

/// State in which some accounts have no storage: `state` replaces all of an account's slots.
pub(crate) struct Replaced<'a> {
    base: &'a dyn StateScan,
    wiped: BTreeSet<Address>,
}

impl<'a> Replaced<'a> {
    /// `base` without the storage of the accounts whose `state` is given.
    pub(crate) fn new(base: &'a dyn StateScan, accounts: &StateOverride) -> RpcResult<Self> {
        let slots = accounts
            .values()
            .flat_map(|a| [&a.state, &a.state_diff])
            .flatten()
            .map(|s| s.len());
        let total = accounts.len().saturating_add(slots.sum());
        if total > OVERRIDES_MAX {
            return Err(invalid(format!(
                "{total} state overrides, want at most {OVERRIDES_MAX}"
            )));
        }
        let wiped = accounts
            .iter()
            .filter(|(_, a)| a.state.is_some())
            .map(|(who, _)| *who)
            .collect();
        Ok(Self { base, wiped })
    }
    fn hides(&self, key: &Key) -> bool {
        // Slots lie under 0x02 | address | slot.
        let body = key.bytes();
        key.store() == x_evm::STORE
            && body.len() > 21
            && body[0] == 2
            && self.wiped.contains(&Address::from_slice(&body[1..21]))
    }
}

impl StateRead for Replaced<'_> {
    fn get(&self, key: &Key) -> Result<Option<Value>, StateError> {
        if self.hides(key) {
            Ok(None)
        } else {
            self.base.get(key)
        }
    }
}

impl StateScan for Replaced<'_> {
    fn scan(
        &self,
        range: &KeyRange,
        visit: &mut dyn FnMut(&Key, &Value) -> Control,
    ) -> Result<(), StateError> {
        self.base.scan(range, &mut |key, value| {
            if self.hides(key) {
                Control::Continue(())
            } else {
                visit(key, value)
            }
        })
    }
}

/// Writes the pretended accounts into `state`.
pub(crate) fn accounts(
    state: &mut dyn StateWrite,
    config: &ChainConfig,
    accounts: &StateOverride,
) -> RpcResult<()> {
    for (who, account) in accounts {
        if account.move_precompile_to.is_some() {
            return Err(invalid(format!(
                "account {who}: movePrecompileToAddress is not supported"
            )));
        }
        if account.state.is_some() && account.state_diff.is_some() {
            return Err(invalid(format!("account {who} has both 'state' and 'stateDiff'")));
        }
        if let Some(balance) = account.balance {
            let key = x_bank::balance_key(who, &config.base_denom);
            match encode_amount(balance) {
                Some(amount) => state.put(key, amount),
                None => state.delete(key),
            }
        }
        if let Some(nonce) = account.nonce {
            x_auth::set_sequence(state, config, who, nonce).map_err(state_error)?;
        }
        if let Some(code) = &account.code {
            let hash = keccak256(code);
            if code.is_empty() {
                state.delete(x_evm::code_hash_key(who));
            } else {
                state.put(x_evm::code_hash_key(who), Value::copy_from_slice(hash.as_slice()));
                state.put(x_evm::code_key(&hash), code.0.clone());
            }
        }
        for (slot, word) in account.state.iter().chain(&account.state_diff).flatten() {
            let key = x_evm::slot_key(who, &U256::from_be_bytes(slot.0), 0);
            if word.is_zero() {
                state.delete(key);
            } else {
                state.put(key, Value::copy_from_slice(word.as_slice()));
            }
        }
    }
    Ok(())
}

/// Puts the pretended block fields into `env`.
pub(crate) fn block(env: &mut Env, fields: &BlockOverrides) -> RpcResult<()> {
    if let Some(number) = fields.number {
        env.block.number = number;
    }
    if let Some(time) = fields.time {
        env.block.timestamp = U256::from(time);
    }
    if let Some(limit) = fields.gas_limit {
        env.block.gas_limit = limit;
    }
    if let Some(coinbase) = fields.coinbase {
        env.block.beneficiary = coinbase;
    }
    if let Some(random) = fields.random {
        env.block.prevrandao = Some(random);
    }
    if let Some(fee) = fields.base_fee {
        env.block.basefee =
            u64::try_from(fee).map_err(|_| invalid(format!("baseFeePerGas {fee}: want at most 64 bits")))?;
    }
    Ok(())
}
