//! The module's parameters, in state.
use crate::keys::params_key;
use prost::Message;
use state::{StateError, StateRead, StateWrite, Value};

/// `cosmos.evm.vm.v1.Params`, the fields that mean something here.
#[derive(Clone, PartialEq, Message, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The denomination balances are counted in.
    #[prost(string, tag = "1")]
    pub evm_denom: String,
    /// How many parent hashes are served (EIP-2935); fixed by the contract.
    #[prost(uint64, tag = "10")]
    pub history_serve_window: u64,
}

impl Params {
    /// The parameters of a chain whose base denomination is `denom`.
    pub fn new(denom: &str) -> Self {
        Self {
            evm_denom: denom.into(),
            history_serve_window: alloy_eips::eip2935::HISTORY_SERVE_WINDOW as u64,
        }
    }
}

/// The parameters in state.
pub fn params(state: &dyn StateRead) -> Result<Params, StateError> {
    let key = params_key();
    let Some(value) = state.get(&key)? else {
        return Err(StateError::Corrupt {
            key,
            why: "no parameters: genesis was not run".into(),
        });
    };
    Params::decode(value).map_err(|e| StateError::Corrupt {
        key,
        why: e.to_string(),
    })
}

pub(crate) fn put_params(state: &mut dyn StateWrite, params: &Params) {
    state.put(params_key(), Value::from(params.encode_to_vec()));
}
