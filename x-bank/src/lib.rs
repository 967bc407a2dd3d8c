//! Hold balances and move coins.
//!
//! Reading order: a balance is one key ([`balance`], [`transfer`]); messages move coins between accounts, [`pay_fee`]
//! takes fees; [`fold_reverse_index`] and [`touched_accounts`] derive what depends on a whole block; [`Bank`] is the
//! module.

mod balance;
pub mod events;
mod params;
mod fees;
mod messages;
mod fold;
mod genesis;
mod query;
mod bank;

pub use balance::{
    STORE, balance, balance_key, burn, credit, debit, mint, parse_balance_key, supply, supply_key, transfer,
};
pub use bank::Bank;
pub use fees::{FEE_COLLECTOR, fee_access, fee_key, pay_fee};
pub use fold::{fold_reverse_index, owner_key, touched_accounts};
pub use messages::GAS_PER_COIN;
pub use params::{
    Metadata, Params, SendEnabled, check_send_enabled, metadata, metadata_key, params, params_key,
    put_metadata, put_params, put_send_enabled, send_enabled_entry, send_enabled_key,
};
