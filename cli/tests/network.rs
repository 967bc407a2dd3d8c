//! Four validators, real CometBFT, different executors: the same bytes everywhere, whatever happens.
//!
//! Needs `cometbft` v0.38 on the PATH: `cargo xtask test` installs it.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{block, braidd, height, until, until_height};
use node::{Execution, ExecutorKind, GenesisAccount};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use testnet::{Manifest, Member, Network, NodeManifest, Programs, Running, ask, eth};
use types::{Address, Bytes, ChainConfig, Coin, U256, bech32_encode};
use workload::{Account, Chain, Mix, Weights};

const CHAIN_ID: &str = "braid-net-1";

/// Sixty senders, besides the ten that everybody knows.
fn senders() -> Vec<Account> {
    let dev: Vec<Address> = cli::dev_accounts().iter().map(|a| a.address).collect();
    common::senders(60, &dev)
}

fn manifest() -> Manifest {
    let unit = U256::from(1_000_000_000_000_000_000u64);
    let rich = |address| GenesisAccount {
        address,
        coins: vec![Coin::new(unit * U256::from(10_000), "abraid")],
    };
    let dev = cli::dev_accounts();
    let execution = |executor, threads| NodeManifest {
        execution: Execution { executor, threads },
    };
    Manifest {
        chain_id: CHAIN_ID.into(),
        base_port: 31_650,
        validators: 4,
        node: vec![
            execution(ExecutorKind::Serial, 1),
            execution(ExecutorKind::Parallel, 1),
            execution(ExecutorKind::Optimistic, 2),
            execution(ExecutorKind::Optimistic, 4),
        ],
        config: Some(ChainConfig::braid()),
        accounts: senders()
            .iter()
            .map(|a| a.address)
            .chain(dev.iter().map(|a| a.address))
            .map(rich)
            .collect(),
        operators: dev.iter().map(|a| a.address).collect(),
        ..Manifest::default()
    }
}

/// What one round of load did.
#[derive(Default)]
struct Sent {
    accepted: Vec<Bytes>,
    refused: Vec<u64>,
}

/// Sends each node its queue, all nodes at the same time; one sender's transactions go to one node, in order.
async fn broadcast(members: &[Member], queues: Vec<Vec<Bytes>>) -> Sent {
    let tasks: Vec<_> = members
        .iter()
        .cloned()
        .zip(queues)
        .map(|(member, queue)| {
            tokio::spawn(async move {
                let mut sent = Sent::default();
                for tx in queue {
                    let answer = ask(
                        &member,
                        "broadcast_tx_sync",
                        json!({ "tx": STANDARD.encode(&tx) }),
                    )
                    .await
                    .unwrap();
                    match answer["code"].as_u64().unwrap() {
                        0 => sent.accepted.push(tx),
                        code => sent.refused.push(code),
                    }
                }
                sent
            })
        })
        .collect();
    let mut all = Sent::default();
    for task in tasks {
        let sent = task.await.unwrap();
        all.accepted.extend(sent.accepted);
        all.refused.extend(sent.refused);
    }
    all
}

async fn drained(members: &[Member]) -> bool {
    for member in members {
        let waiting = ask(member, "num_unconfirmed_txs", json!({})).await.unwrap();
        if waiting["n_txs"] != "0" {
            return false;
        }
    }
    true
}

/// Sequences as the chain has them.
async fn resync(member: &Member, mix: &mut Mix) {
    for account in &mut mix.accounts {
        let count = eth(
            member,
            "eth_getTransactionCount",
            json!([account.address, "latest"]),
        )
        .await
        .unwrap();
        account.sequence = u64::from_str_radix(count.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    }
}

/// Generates `count` transactions, dealt out to `nodes` nodes by sender.
fn deal(mix: &mut Mix, count: usize, nodes: usize) -> Vec<Vec<Bytes>> {
    let mut queues = vec![Vec::new(); nodes];
    for _ in 0..count {
        let (sender, tx) = mix.transaction(&Weights::LOAD);
        queues[sender % nodes].push(tx);
    }
    queues
}

/// Everything of a height that a client can see: header, results, Ethereum block, receipts, logs.
async fn seen(member: &Member, height: u64) -> Vec<(&'static str, Value)> {
    let at = json!({ "height": height.to_string() });
    let number = format!("{height:#x}");
    let header = block(member, height).await["header"].clone();
    let mut results = ask(member, "block_results", at).await.unwrap();
    // Whether an event is indexed is the node's own setting, and logs are not hashed: all the rest must be equal.
    results.as_object_mut().unwrap().remove("consensus_param_updates");
    vec![
        ("header", header),
        ("results", results),
        (
            "eth block",
            eth(member, "eth_getBlockByNumber", json!([number, true]))
                .await
                .unwrap(),
        ),
        (
            "receipts",
            eth(member, "eth_getBlockReceipts", json!([number]))
                .await
                .unwrap(),
        ),
        (
            "logs",
            eth(
                member,
                "eth_getLogs",
                json!([{ "fromBlock": number, "toBlock": number }]),
            )
            .await
            .unwrap(),
        ),
    ]
}

async fn agree(members: &[Member], heights: std::ops::RangeInclusive<u64>) {
    for height in heights {
        let want = seen(&members[0], height).await;
        for member in &members[1..] {
            for ((what, want), (_, have)) in want.iter().zip(seen(member, height).await) {
                assert_eq!(have, *want, "{what} of height {height} on node {}", member.index);
            }
        }
    }
}

/// Transactions of blocks, by height.
async fn blocks(member: &Member, to: u64) -> BTreeMap<u64, Vec<Bytes>> {
    let mut blocks = BTreeMap::new();
    for height in 1..=to {
        let block = block(member, height).await;
        let txs = block["data"]["txs"].as_array().cloned().unwrap_or_default();
        let decode = |v: &Value| Bytes::from(STANDARD.decode(v.as_str().unwrap()).unwrap());
        blocks.insert(height, txs.iter().map(decode).collect());
    }
    blocks
}

fn run(args: &[&str], home: &Path) -> Value {
    let out = Command::new(braidd())
        .args(args)
        .arg("--home")
        .arg(home)
        .args(["-o", "json"])
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    );
    assert!(
        out.status.success(),
        "braidd {}: {stdout}{stderr}",
        args.join(" ")
    );
    serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("braidd {}: {e}: {stdout}", args.join(" ")))
}

#[tokio::test(flavor = "multi_thread")]
async fn four_nodes_with_different_executors_agree_under_load_crashes_and_newcomers() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("net");
    let network = Network::create(&root, &manifest()).unwrap();
    let mut running = Running::new(
        network,
        Programs {
            braidd: braidd(),
            comet: None,
        },
    );
    running.start_all().unwrap();
    let members = running.network.members.clone();
    for member in &members {
        until_height(member, 1).await;
    }

    let (mut mix, accepted) = mixed_load(&members).await;
    let top = height(&members[0]).await;
    for member in &members {
        until_height(member, top).await;
    }
    agree(&members, 1..=top).await;
    old_heights_answer(&members[1], &mix, top).await;
    a_proof_verifies_against_the_next_header(&members[2]).await;
    a_delegation_changes_the_power(&members, dir.path()).await;
    a_killed_node_catches_up(&mut running, &mut mix).await;
    a_fifth_node_joins(&mut running).await;

    // Nothing that was accepted got lost on the way.
    let top = height(&members[0]).await;
    let included: BTreeSet<Bytes> = blocks(&members[0], top).await.into_values().flatten().collect();
    let lost = accepted.iter().filter(|tx| !included.contains(*tx)).count();
    assert_eq!(
        lost,
        0,
        "{lost} of {} accepted transactions are in no block",
        accepted.len()
    );
    running.stop_all().await.unwrap();
}

/// At least 2,000 transactions, at least five blocks of 200, from 60 senders, to all nodes.
async fn mixed_load(members: &[Member]) -> (Mix, Vec<Bytes>) {
    let mut mix = Mix::new(Chain::new(CHAIN_ID), senders(), Vec::new(), 7);
    let setup = mix.setup();
    let mut accepted = broadcast(&members[..1], vec![setup]).await.accepted;
    until("setup included", || drained(members)).await;
    let (mut sent, mut refused) = (0, Vec::new());
    for round in 0.. {
        assert!(round < 25, "25 rounds of load did not make five blocks of 200");
        resync(&members[0], &mut mix).await;
        let queues = deal(&mut mix, 450, members.len());
        sent += 450;
        let done = broadcast(members, queues).await;
        accepted.extend(done.accepted);
        refused.extend(done.refused);
        until("load included", || drained(members)).await;
        let top = height(&members[0]).await;
        until_height(&members[0], top + 1).await;
        let big = blocks(&members[0], top)
            .await
            .values()
            .filter(|txs| txs.len() >= 200)
            .count();
        if sent >= 2_000 && big >= 5 {
            break;
        }
    }
    println!(
        "{sent} sent, {} accepted, {} refused at broadcast with codes {:?}",
        accepted.len(),
        refused.len(),
        refused.iter().collect::<BTreeSet<_>>()
    );
    assert!(accepted.len() >= 2_000, "only {} accepted", accepted.len());
    (mix, accepted)
}

async fn old_heights_answer(member: &Member, mix: &Mix, top: u64) {
    let who = mix.accounts[1].address;
    let balance = |height: u64| eth(member, "eth_getBalance", json!([who, format!("{height:#x}")]));
    let (before, after) = (balance(1).await.unwrap(), balance(top).await.unwrap());
    assert_ne!(before, after);
    let key = [&[2u8, 20][..], who.as_slice(), b"abraid"].concat();
    for (height, want) in [(1, before), (top, after)] {
        let query = json!({ "path": "/store/bank/key", "data": hex::encode(&key), "height": height.to_string(), "prove": false });
        let answer = ask(member, "abci_query", query).await.unwrap();
        let value = STANDARD
            .decode(answer["response"]["value"].as_str().unwrap())
            .unwrap();
        let amount: U256 = String::from_utf8(value).unwrap().parse().unwrap();
        assert_eq!(format!("{amount:#x}"), want.as_str().unwrap(), "height {height}");
    }
}

/// ICS-23: the two steps lead from the value to the app hash in the header after the height.
async fn a_proof_verifies_against_the_next_header(member: &Member) {
    use ics23::HostFunctionsManager as H;
    use prost::Message as _;
    let collector = x_auth::module_address("fee_collector");
    let key = [&[2u8, 20][..], collector.as_slice(), b"abraid"].concat();
    let query = json!({ "path": "/store/bank/key", "data": hex::encode(&key), "prove": true });
    let answer = ask(member, "abci_query", query).await.unwrap()["response"].clone();
    let height: u64 = answer["height"].as_str().unwrap().parse().unwrap();
    let value = STANDARD.decode(answer["value"].as_str().unwrap()).unwrap();
    let ops = answer["proofOps"]["ops"].as_array().unwrap();
    let proof = |i: usize| {
        let data = STANDARD.decode(ops[i]["data"].as_str().unwrap()).unwrap();
        ics23::CommitmentProof::decode(&data[..]).unwrap()
    };
    assert_eq!(
        (ops[0]["type"].as_str(), ops[1]["type"].as_str()),
        (Some("ics23:iavl"), Some("ics23:simple"))
    );
    let root = ics23::calculate_existence_root::<H>(match proof(0).proof.as_ref().unwrap() {
        ics23::commitment_proof::Proof::Exist(e) => e,
        other => panic!("{other:?}"),
    })
    .unwrap();
    assert!(ics23::verify_membership::<H>(
        &proof(0),
        &ics23::iavl_spec(),
        &root,
        &key,
        &value
    ));
    let next = block(member, height + 1).await;
    let app_hash = hex::decode(next["header"]["app_hash"].as_str().unwrap()).unwrap();
    assert!(ics23::verify_membership::<H>(
        &proof(1),
        &ics23::tendermint_spec(),
        &app_hash,
        b"bank",
        &root
    ));
}

async fn powers(member: &Member) -> BTreeMap<String, u64> {
    let set = ask(member, "validators", json!({})).await.unwrap();
    let power = |v: &Value| v["voting_power"].as_str().unwrap().parse().unwrap();
    let list = set["validators"].as_array().unwrap();
    list.iter()
        .map(|v| (v["address"].as_str().unwrap().to_owned(), power(v)))
        .collect()
}

async fn a_delegation_changes_the_power(members: &[Member], dir: &Path) {
    let before = powers(&members[0]).await;
    let home = dir.join("client");
    std::fs::create_dir_all(&home).unwrap();
    let dev = &cli::dev_accounts()[7];
    run(&["keys", "import", "rich", &hex::encode(dev.private_key)], &home);
    let operator = cli::dev_accounts()[0].address;
    let validator = bech32_encode("braidvaloper", operator.as_slice());
    let node = format!("tcp://127.0.0.1:{}", members[0].ports.rpc);
    let sent = run(
        &[
            "tx",
            "staking",
            "delegate",
            &validator,
            "25braid",
            "--from",
            "rich",
            "-y",
            "--wait",
            "--node",
            &node,
            "--chain-id",
            CHAIN_ID,
        ],
        &home,
    );
    assert_eq!(sent["code"], 0, "{sent}");
    until("the power changed", || async {
        powers(&members[0]).await != before
    })
    .await;
    let after = powers(&members[0]).await;
    let changed: Vec<_> = after
        .iter()
        .filter(|(who, power)| before[*who] != **power)
        .collect();
    assert_eq!(changed.len(), 1);
    assert_eq!(*changed[0].1, before[changed[0].0] + 25);
    let delegations = run(
        &[
            "query",
            "staking",
            "delegations",
            &dev.address.to_string(),
            "--node",
            &node,
        ],
        &home,
    );
    assert!(delegations.to_string().contains(&validator), "{delegations}");
}

async fn a_killed_node_catches_up(running: &mut Running, mix: &mut Mix) {
    let members = running.network.members.clone();
    resync(&members[0], mix).await;
    let queues = deal(mix, 600, 3);
    let load = tokio::spawn({
        let members = members[..3].to_vec();
        async move { broadcast(&members, queues).await }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    running.kill(3).await.unwrap();
    load.await.unwrap();
    let dead = height(&members[0]).await;
    until_height(&members[0], dead + 2).await;
    running.start(3).unwrap();
    let top = height(&members[0]).await;
    until_height(&members[3], top).await;
    agree(&members, dead.saturating_sub(2)..=top).await;
}

async fn a_fifth_node_joins(running: &mut Running) {
    let index = running
        .network
        .add(Execution {
            executor: ExecutorKind::Parallel,
            threads: 2,
        })
        .unwrap();
    running.start(index).unwrap();
    let members = running.network.members.clone();
    let top = height(&members[0]).await;
    until_height(&members[index], top).await;
    let pair = [members[0].clone(), members[index].clone()];
    agree(&pair, 1..=5).await;
    agree(&pair, top.saturating_sub(5)..=top).await;
    assert_eq!(
        block(&members[index], top).await["header"]["app_hash"],
        block(&members[0], top).await["header"]["app_hash"]
    );
}
