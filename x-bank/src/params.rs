//! Which coins may be sent, and what coins are called.
use crate::STORE;
pub use cosmrs::proto::cosmos::bank::v1beta1::{Metadata, Params, SendEnabled};
use module::{Error, Result};
use prost::Message as _;
use state::{Key, StateError, StateRead, StateWrite, Value};
use types::{Coin, validate_denom};

/// Where the parameters are kept: 0x05.
pub fn params_key() -> Key {
    Key::new(STORE, &[&[5]])
}

/// Where it is kept whether `denom` may be sent: 0x04 | denom, one byte, 0 or 1 (SDK `codec.BoolValue`).
pub fn send_enabled_key(denom: &str) -> Key {
    Key::new(STORE, &[&[4], denom.as_bytes()])
}

/// Where `denom`'s description is kept: 0x01 | denom.
pub fn metadata_key(denom: &str) -> Key {
    Key::new(STORE, &[&[1], denom.as_bytes()])
}

/// The parameters; sending is allowed where none are stored. `send_enabled` within is the SDK's deprecated list, empty.
pub fn params(state: &dyn StateRead) -> Result<Params, StateError> {
    let key = params_key();
    match state.get(&key)? {
        None => Ok(Params {
            default_send_enabled: true,
            ..Params::default()
        }),
        Some(value) => Params::decode(value).map_err(|e| StateError::Corrupt {
            key,
            why: e.to_string(),
        }),
    }
}

/// Stores the parameters.
pub fn put_params(state: &mut dyn StateWrite, params: &Params) {
    state.put(params_key(), params.encode_to_vec().into());
}

/// Whether `denom` may be sent, where that was said of it in particular.
pub fn send_enabled_entry(state: &dyn StateRead, denom: &str) -> Result<Option<bool>, StateError> {
    let key = send_enabled_key(denom);
    let Some(value) = state.get(&key)? else {
        return Ok(None);
    };
    match &value[..] {
        [0] => Ok(Some(false)),
        [1] => Ok(Some(true)),
        other => Err(StateError::Corrupt {
            key,
            why: format!("{other:?} is neither 0 nor 1"),
        }),
    }
}

/// Says whether `denom` may be sent.
pub fn put_send_enabled(state: &mut dyn StateWrite, denom: &str, enabled: bool) {
    state.put(
        send_enabled_key(denom),
        Value::from_static(if enabled { &[1] } else { &[0] }),
    );
}

/// Refuses with `bank/5` where one of `coins` may not be sent.
pub fn check_send_enabled(state: &dyn StateRead, coins: &[Coin]) -> Result<()> {
    for coin in coins {
        let enabled = match send_enabled_entry(state, &coin.denom)? {
            Some(enabled) => enabled,
            None => params(state)?.default_send_enabled,
        };
        if !enabled {
            let why = format!(
                "{} transfers are currently disabled: send transactions are disabled",
                coin.denom
            );
            return Err(Error::module("bank", 5, why));
        }
    }
    Ok(())
}

/// The description of `denom`.
pub fn metadata(state: &dyn StateRead, denom: &str) -> Result<Option<Metadata>, StateError> {
    let key = metadata_key(denom);
    let Some(value) = state.get(&key)? else {
        return Ok(None);
    };
    Metadata::decode(value)
        .map(Some)
        .map_err(|e| StateError::Corrupt {
            key,
            why: e.to_string(),
        })
}

/// Describes `metadata.base`. Refuses a base or display unit that is missing from the list of units, or units that do
/// not ascend.
pub fn put_metadata(state: &mut dyn StateWrite, metadata: &Metadata) -> Result<()> {
    let bad = |why: String| Error::module("bank", 6, format!("metadata of {:?}: {why}", metadata.base));
    validate_denom(&metadata.base).map_err(|e| bad(e.to_string()))?;
    validate_denom(&metadata.display).map_err(|e| bad(e.to_string()))?;
    let units = &metadata.denom_units;
    if units
        .first()
        .is_none_or(|u| u.denom != metadata.base || u.exponent != 0)
    {
        return Err(bad("the first unit must be the base with exponent 0".into()));
    }
    if !units.iter().any(|u| u.denom == metadata.display) {
        return Err(bad(format!(
            "display {:?} is not among the units",
            metadata.display
        )));
    }
    if let Some(w) = units.windows(2).find(|w| w[0].exponent >= w[1].exponent) {
        return Err(bad(format!(
            "exponents must ascend: {} then {}",
            w[0].exponent, w[1].exponent
        )));
    }
    state.put(metadata_key(&metadata.base), metadata.encode_to_vec().into());
    Ok(())
}
