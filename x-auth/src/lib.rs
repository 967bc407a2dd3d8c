//! Know accounts: keys, sequences, parameters, signatures of the Cosmos kind.

mod account;

pub use account::{
    Account, STORE, account, account_key, account_prefix, module_address, put_account, sequence, set_sequence,
};
