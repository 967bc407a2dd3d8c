//! Networks of the tests: who has money at genesis, and waiting until a node has a height.
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use testnet::{Member, ask, status};
use types::Address;
use workload::Account;

/// Waiting loops give up after this many seconds: a guard against hanging, not a measure.
const PATIENCE_S: u64 = 240;

pub(crate) fn braidd() -> PathBuf {
    env!("CARGO_BIN_EXE_braidd").into()
}

/// `count` accounts with the numbers that genesis gives them when only they and `others` stand in it.
pub(crate) fn senders(count: u64, others: &[Address]) -> Vec<Account> {
    let mut senders = Account::many(count);
    let mut all: Vec<Address> = senders.iter().map(|a| a.address).collect();
    all.extend(others);
    all.sort_unstable();
    for sender in &mut senders {
        // Genesis numbers accounts by ascending address.
        sender.number = all.binary_search(&sender.address).unwrap() as u64;
    }
    senders
}

pub(crate) async fn height(member: &Member) -> u64 {
    status(member).await.map_or(0, |s| s.height)
}

/// Polls until `done` answers true.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    for _ in 0..PATIENCE_S * 5 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("gave up after {PATIENCE_S} s: {what}");
}

pub(crate) async fn until_height(member: &Member, want: u64) {
    until(&format!("node {} at height {want}", member.index), || async {
        height(member).await >= want
    })
    .await;
}

/// The block of `height`, once the node has it: another one may have been asked how far the chain is.
pub(crate) async fn block(member: &Member, height: u64) -> Value {
    until_height(member, height).await;
    let block = ask(member, "block", json!({ "height": height.to_string() })).await;
    block.unwrap()["block"].clone()
}
