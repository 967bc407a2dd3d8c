//! Hold balances and move coins.

mod balance;

pub use balance::{
    STORE, balance, balance_key, burn, credit, debit, mint, parse_balance_key, supply, supply_key, transfer,
};
