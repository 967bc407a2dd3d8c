//! Real clients against `braidd dev`: Foundry, viem, ethers, a wallet's requests, CosmJS, and `braidd` itself.
//!
//! They are installed by `cargo xtask tools`.
mod dev;
mod foundry;
mod own;

use dev::Dev;

#[test]
fn viem_sends_deploys_reads_and_decodes_errors() {
    Dev::start().script("viem.mjs", 2);
}

#[test]
fn ethers_sends_deploys_reads_and_decodes_errors() {
    Dev::start().script("ethers.mjs", 3);
}

#[test]
fn a_browser_wallets_requests_are_answered() {
    Dev::start().script("wallet.mjs", 4);
}

#[test]
fn cosmjs_pays_and_delegates_with_ethereum_and_cosmos_keys() {
    Dev::start().script("cosmjs.mjs", 5);
}
