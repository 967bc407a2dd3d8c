//! The module's parameters: limits and gas of transactions.
use crate::STORE;
pub use cosmrs::proto::cosmos::auth::v1beta1::Params;
use prost::Message as _;
use state::{Key, StateError, StateRead, StateWrite};

/// The SDK's defaults.
pub const DEFAULT_PARAMS: Params = Params {
    max_memo_characters: 256,
    tx_sig_limit: 7,
    tx_size_cost_per_byte: 10,
    sig_verify_cost_ed25519: 590,
    sig_verify_cost_secp256k1: 1000,
};

/// Where the parameters are kept: 0x00.
pub fn params_key() -> Key {
    Key::new(STORE, &[&[0]])
}

/// The parameters; the defaults where none are stored.
pub fn params(state: &dyn StateRead) -> Result<Params, StateError> {
    let key = params_key();
    let Some(value) = state.get(&key)? else {
        return Ok(DEFAULT_PARAMS);
    };
    Params::decode(value).map_err(|e| StateError::Corrupt {
        key,
        why: e.to_string(),
    })
}

/// Stores the parameters.
pub fn put_params(state: &mut dyn StateWrite, params: &Params) {
    state.put(params_key(), params.encode_to_vec().into());
}
