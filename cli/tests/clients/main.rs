//! Real clients against `braidd dev`: Foundry, viem, ethers, a wallet's requests, CosmJS, and `braidd` itself; and the
//! scripts once more under a real CometBFT.
//!
//! They are installed by `cargo xtask tools`.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod node;
mod programs;
mod foundry;
mod own;

use node::Node;

#[test]
fn viem_sends_deploys_reads_and_decodes_errors() {
    Node::dev().script("viem.mjs", 2);
}

#[test]
fn ethers_sends_deploys_reads_and_decodes_errors() {
    Node::dev().script("ethers.mjs", 3);
}

#[test]
fn a_browser_wallets_requests_are_answered() {
    Node::dev().script("wallet.mjs", 4);
}

#[test]
fn cosmjs_pays_and_delegates_with_ethereum_and_cosmos_keys() {
    Node::dev().script("cosmjs.mjs", 5);
}

#[test]
fn all_of_them_work_under_cometbft_too() {
    let node = Node::under_cometbft();
    // One after the other: CosmJS looks for blocks with nothing but its own transaction.
    for (i, name) in ["viem.mjs", "ethers.mjs", "wallet.mjs", "cosmjs.mjs"]
        .into_iter()
        .enumerate()
    {
        node.script(name, 2 + i);
    }
}
