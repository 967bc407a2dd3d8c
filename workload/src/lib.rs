//! Make signed transactions and mixed blocks from a seed. Tests, benches and load only.
//!
//! Reading order: [`Account`] signs; [`contracts`] are what they call; [`Mix`] makes whole blocks in which transactions
//! meet, fail and pass each other; [`loads`] are blocks for measuring; [`Random`] is where the seed goes in.

mod account;
pub mod contracts;
mod mix;
mod odd;
pub mod loads;
mod uniswap;
mod random;

pub use account::{Account, Chain, EthCall};
pub use mix::{Mix, Weights};
pub use random::Random;
