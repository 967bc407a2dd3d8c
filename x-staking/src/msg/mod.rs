//! Messages: one file each, with its checks and its execution.
mod amino;
mod cancel;
mod create;
mod delegate;
mod edit;
mod redelegate;
mod undelegate;

use crate::hooks::StakingHooks;
use crate::validator::{Status, operator_text, validator};
use crate::{errors, keys, pool};
use cosmrs::proto::cosmos::{base::v1beta1::Coin as ProtoCoin, staking::v1beta1 as proto};
use module::{Message, Response, Result, decode_strict};
use state::{Access, StateRead};
use std::sync::Arc;
use types::{Address, ChainConfig, Coin, Timestamp, bech32_decode, validate_denom};

/// A decoded message of type `M`, with those who want to hear what it does.
#[derive(Debug)]
pub(crate) struct Native<M> {
    msg: M,
    hooks: Arc<dyn StakingHooks>,
}

/// Reads a message; `None` where `type_url` is not staking's.
pub(crate) fn decode(
    type_url: &str,
    value: &[u8],
    hooks: &Arc<dyn StakingHooks>,
) -> Option<Result<Box<dyn Message>>> {
    fn read<M>(value: &[u8], hooks: &Arc<dyn StakingHooks>) -> Result<Box<dyn Message>>
    where
        M: prost::Message + Default + 'static,
        Native<M>: Message,
    {
        let msg = decode_strict::<M>("staking message", value)?;
        Ok(Box::new(Native {
            msg,
            hooks: hooks.clone(),
        }))
    }
    Some(match type_url {
        create::URL => read::<proto::MsgCreateValidator>(value, hooks),
        edit::URL => read::<proto::MsgEditValidator>(value, hooks),
        delegate::URL => read::<proto::MsgDelegate>(value, hooks),
        undelegate::URL => read::<proto::MsgUndelegate>(value, hooks),
        redelegate::URL => read::<proto::MsgBeginRedelegate>(value, hooks),
        cancel::URL => read::<proto::MsgCancelUnbondingDelegation>(value, hooks),
        _ => return None,
    })
}

/// An operator address out of a message.
pub(crate) fn operator(config: &ChainConfig, text: &str) -> Result<Address> {
    read_address(&config.valoper_prefix(), text)
        .map_err(|why| errors::address(format_args!("invalid validator address: {why}")))
}

/// A delegator address out of a message.
pub(crate) fn delegator(config: &ChainConfig, text: &str) -> Result<Address> {
    read_address(&config.bech32_prefix, text)
        .map_err(|why| errors::address(format_args!("invalid delegator address: {why}")))
}

fn read_address(prefix: &str, text: &str) -> Result<Address, String> {
    let bytes = bech32_decode(prefix, text).map_err(|e| e.to_string())?;
    Address::try_from(bytes.as_slice()).map_err(|_| format!("{text:?} has {} bytes, want 20", bytes.len()))
}

/// A positive amount of a well-formed denomination.
fn coin(given: Option<&ProtoCoin>) -> Option<Coin> {
    let given = given?;
    validate_denom(&given.denom).ok()?;
    let amount = crate::num::int(&given.amount).filter(|a| !a.is_zero())?;
    Some(Coin::new(amount, given.denom.clone()))
}

/// An answer in protobuf.
fn response(type_url: &'static str, msg: &impl prost::Message) -> Response {
    Response {
        type_url,
        value: msg.encode_to_vec(),
    }
}

/// Go's `time.RFC3339`: whole seconds.
pub(crate) fn rfc3339_seconds(t: Timestamp) -> String {
    format!("{}Z", &t.sortable()[..19])
}

/// What every move of stake between `delegator` and `operator` touches: parameters, the validator, the delegation and
/// its index, the pools. `removes`: a last undelegation forgets the validator.
fn stake_access(
    hooks: &dyn StakingHooks,
    state: &dyn StateRead,
    config: &ChainConfig,
    who: (&str, &str),
    removes: bool,
) -> Access {
    let (Ok(delegator), Ok(operator)) = (delegator(config, who.0), operator(config, who.1)) else {
        return Access {
            complete: true,
            ..Access::default()
        };
    };
    let mut access = Access {
        reads: vec![keys::params()],
        writes: vec![
            keys::validator(&operator),
            keys::delegation(&delegator, &operator),
            keys::delegation_by_validator(&operator, &delegator),
        ],
        adds: pools(state),
        ranges: Vec::new(),
        complete: true,
    };
    if removes {
        match validator(state, &operator) {
            Ok(Some(v)) => access.writes.push(keys::by_consensus(&v.consensus())),
            // Made in this very block: its key is not known yet.
            Ok(None) | Err(_) => access.complete = false,
        }
    }
    access.extend(hooks.access(&delegator, &operator, state));
    access
}

/// Both pools' balances; which one depends on a status that may change before the message runs.
fn pools(state: &dyn StateRead) -> Vec<state::Key> {
    let Ok(params) = crate::params(state) else {
        return Vec::new();
    };
    [Status::Bonded, Status::Unbonded]
        .map(|s| x_bank::balance_key(&pool(s), &params.bond_denom))
        .into()
}

/// The texts of events.
fn valoper(config: &ChainConfig, operator: &Address) -> String {
    operator_text(config, operator)
}
