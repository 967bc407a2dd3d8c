//! Contracts that loads call; sources and `compile.mjs` are in `contracts/`.
use types::{Address, Bytes, U256, keccak256};

/// Creation code of `Token.sol`, without its constructor argument.
const TOKEN: &str = include_str!("../contracts/Token.hex");
/// Creation code of `Probe.sol`.
const PROBE: &str = include_str!("../contracts/Probe.hex");

fn code(hex: &str) -> Vec<u8> {
    hex::decode(hex.trim()).expect("compiled code is hex")
}

/// Creates a token whose whole `supply` is the creator's.
pub fn token(supply: u128) -> Bytes {
    [&code(TOKEN)[..], &U256::from(supply).to_be_bytes::<32>()]
        .concat()
        .into()
}

/// Creates a probe.
pub fn probe() -> Bytes {
    code(PROBE).into()
}

/// Input of a call: the selector of `signature`, then the words of `args`.
pub fn input(signature: &str, args: &[U256]) -> Bytes {
    let mut data = keccak256(signature)[..4].to_vec();
    for arg in args {
        data.extend_from_slice(&arg.to_be_bytes::<32>());
    }
    data.into()
}

/// An address as an argument.
pub fn word(address: &Address) -> U256 {
    U256::from_be_slice(address.as_slice())
}

/// `transfer(to, value)` of a token.
pub fn transfer(to: &Address, value: u64) -> Bytes {
    input("transfer(address,uint256)", &[word(to), U256::from(value)])
}
