//! Name what the chain talks about: addresses, coins, decimals, transactions, receipts, events.

mod address;
mod chain;
mod coin;
mod dec;
mod event;
mod time;

pub use address::{Address, AddressError, bech32_address, bech32_decode, bech32_encode, parse_address};
pub use alloy_primitives::{B256, U256, U512, keccak256};
pub use bytes::Bytes;
pub use chain::ChainConfig;
pub use coin::{Coin, CoinError, format_coins, parse_coins, validate_denom};
pub use dec::{Dec, DecError};
pub use event::Event;
pub use time::Timestamp;
