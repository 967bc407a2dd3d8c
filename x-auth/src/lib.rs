//! Know accounts: keys, sequences, parameters, signatures of the Cosmos kind.
//!
//! Reading order: an [`Account`] is one record; [`assign_numbers`] gives it its number when a block is folded;
//! [`tx::decode`] reads a transaction; [`ante`] checks it; [`deliver`] runs it; [`Auth`] is the module.

mod account;
mod numbers;
mod params;
mod keys;
pub mod tx;
pub mod amino;
mod signature;
pub mod ante;
mod deliver;
mod sign;
mod genesis;
mod query;
mod auth;

pub use account::{
    Account, STORE, account, account_key, account_prefix, module_address, put_account, sequence, set_sequence,
};
pub use auth::{Auth, ModuleAccountSpec, ensure_module_accounts};
pub use deliver::{Delivered, deliver};
pub use keys::{
    ETH_SECP256K1_URL, ETH_VERIFY_GAS, ETHERMINT_SECP256K1_URL, MULTISIG_KEYS_MAX, MULTISIG_URL, PublicKey,
    SECP256K1_URL, verify_signature,
};
pub use numbers::{assign_numbers, is_numbered, next_number, next_number_key, number_key, owner_of};
pub use params::{DEFAULT_PARAMS, Params, params, params_key, put_params};
pub use sign::{
    Draft, SignFor, SigningKey, direct_sign_bytes, sign_amino, sign_direct, sign_direct_all, signer_info,
};
pub use signature::Verdict;

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}
