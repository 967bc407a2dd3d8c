//! A node joins a network of four by state sync; homes are exported and imported. Real CometBFT, under load.
//!
//! Needs `cometbft` v0.38 on the PATH: `cargo xtask test` installs it.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{block, braidd, height, until_height};
use node::{Execution, ExecutorKind, GenesisAccount, Home};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use testnet::{Manifest, Member, Network, NodeManifest, Programs, Running, ask, eth};
use types::{Bytes, ChainConfig, Coin, U256};
use workload::{Account, Chain, Mix, Weights};

const CHAIN_ID: &str = "braid-sync-1";
const INTERVAL: u64 = 10;

fn manifest() -> Manifest {
    let unit = U256::from(1_000_000_000_000_000_000u64);
    let rich = |account: Account| GenesisAccount {
        address: account.address,
        coins: vec![Coin::new(unit * U256::from(10_000), "abraid")],
    };
    let execution = |executor, threads| NodeManifest {
        execution: Execution { executor, threads },
    };
    Manifest {
        chain_id: CHAIN_ID.into(),
        base_port: 31_750,
        validators: 4,
        snapshot_interval: INTERVAL,
        node: vec![
            execution(ExecutorKind::Serial, 1),
            execution(ExecutorKind::Parallel, 2),
        ],
        config: Some(ChainConfig::braid()),
        accounts: senders().into_iter().map(rich).collect(),
        ..Manifest::default()
    }
}

fn senders() -> Vec<Account> {
    common::senders(20, &[])
}

/// Sends transactions to the first node until told to stop. Gives how many were accepted.
fn load(member: Member) -> (tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<usize>) {
    let (stop, mut stopped) = tokio::sync::oneshot::channel();
    let sending = tokio::spawn(async move {
        let mut mix = Mix::new(Chain::new(CHAIN_ID), senders(), Vec::new(), 11);
        let mut queue: Vec<Bytes> = mix.setup();
        let mut accepted = 0;
        while stopped.try_recv().is_err() {
            for tx in queue.drain(..) {
                let sent = ask(
                    &member,
                    "broadcast_tx_sync",
                    json!({ "tx": STANDARD.encode(&tx) }),
                )
                .await;
                accepted += usize::from(sent.is_ok_and(|answer| answer["code"] == 0));
            }
            for account in &mut mix.accounts {
                let asked = json!([account.address, "pending"]);
                let count = eth(&member, "eth_getTransactionCount", asked).await.unwrap();
                account.sequence = u64::from_str_radix(&count.as_str().unwrap()[2..], 16).unwrap();
            }
            queue = (0..40).map(|_| mix.transaction(&Weights::LOAD).1).collect();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        accepted
    });
    (stop, sending)
}

async fn header(member: &Member, height: u64) -> Value {
    block(member, height).await["header"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_joins_by_state_sync_and_homes_are_exported_and_imported() {
    let dir = tempfile::tempdir().unwrap();
    let network = Network::create(&dir.path().join("net"), &manifest()).unwrap();
    let programs = Programs {
        braidd: braidd(),
        comet: None,
    };
    let mut running = Running::new(network, programs);
    running.start_all().unwrap();
    let members = running.network.members.clone();
    until_height(&members[0], 1).await;
    let (stop, sending) = load(members[0].clone());
    until_height(&members[0], 2 * INTERVAL + 3).await;

    let joined = join(&mut running).await;
    let accepted = {
        stop.send(()).unwrap();
        sending.await.unwrap()
    };
    assert!(accepted > 100, "only {accepted} transactions were accepted");
    let first = what_it_has(&members[0], &joined).await;
    a_restart_goes_on(&mut running, &joined, &members[0]).await;
    exports_and_imports(&mut running, &joined, first, dir.path()).await;
    a_home_is_looked_into_taken_back_and_pruned(&mut running).await;
    running.stop_all().await.unwrap();
}

/// A fifth node joins by state sync, from a block that all agree on.
async fn join(running: &mut Running) -> Member {
    let members = running.network.members.clone();
    let commit = ask(&members[1], "commit", json!({ "height": "2" }))
        .await
        .unwrap();
    let hash = commit["signed_header"]["commit"]["block_id"]["hash"]
        .as_str()
        .unwrap();
    // One of the others lost what it had: chunks come from those that have them.
    let lost = Home::new(&members[3].home).database().join("snapshots");
    for snapshot in std::fs::read_dir(&lost).unwrap() {
        let _ = std::fs::remove_file(snapshot.unwrap().path().join("0"));
    }
    let index = running
        .network
        .add_synced(Execution::default(), (2, hash.to_owned()))
        .unwrap();
    running.start(index).unwrap();
    let joined = running.network.members[index].clone();
    let top = height(&members[0]).await;
    until_height(&joined, top + 2).await;
    joined
}

/// The node that joined has everything since its snapshot, equal to the others', and says what it does not have. Gives
/// the snapshot's height.
async fn what_it_has(member: &Member, joined: &Member) -> u64 {
    let log = std::fs::read_to_string(Home::new(&joined.home).comet_log()).unwrap();
    assert!(
        log.contains("Snapshot restored") && log.contains("Verified ABCI app"),
        "{log}"
    );
    let sync = ask(joined, "status", json!({})).await.unwrap()["sync_info"].clone();
    let first: u64 = sync["earliest_block_height"].as_str().unwrap().parse().unwrap();
    assert!(first > INTERVAL, "it has blocks from height {first} on");
    let snapshot = first - 1;
    assert_eq!(snapshot % INTERVAL, 0);
    let top = height(joined).await;
    until_height(member, top).await;
    for height in first..=top {
        assert_eq!(
            header(joined, height).await,
            header(member, height).await,
            "height {height}"
        );
        for method in ["eth_getBlockByNumber", "eth_getBlockReceipts"] {
            let params = if method == "eth_getBlockByNumber" {
                json!([format!("{height:#x}"), true])
            } else {
                json!([format!("{height:#x}")])
            };
            let (have, want) = (
                eth(joined, method, params.clone()).await,
                eth(member, method, params).await,
            );
            assert_eq!(have.unwrap(), want.unwrap(), "{method} of height {height}");
        }
    }
    for account in senders() {
        for at in [snapshot, first, top] {
            let asked = json!([account.address, format!("{at:#x}")]);
            let have = eth(joined, "eth_getBalance", asked.clone()).await.unwrap();
            assert_eq!(
                have,
                eth(member, "eth_getBalance", asked).await.unwrap(),
                "at height {at}"
            );
        }
    }
    // Blocks before it are not there: no block and no receipt, and an error where silence would be a lie.
    let old = format!("{:#x}", snapshot - 1);
    let known = eth(member, "eth_getBlockByNumber", json!([old, false]))
        .await
        .unwrap();
    assert_eq!(
        eth(joined, "eth_getBlockByNumber", json!([old, false]))
            .await
            .unwrap(),
        Value::Null
    );
    assert_eq!(
        eth(joined, "eth_getBlockByHash", json!([known["hash"], false]))
            .await
            .unwrap(),
        Value::Null
    );
    for hash in known["transactions"].as_array().unwrap() {
        assert_eq!(
            eth(joined, "eth_getTransactionReceipt", json!([hash]))
                .await
                .unwrap(),
            Value::Null
        );
    }
    let logs = eth(
        joined,
        "eth_getLogs",
        json!([{ "fromBlock": old, "toBlock": "latest" }]),
    )
    .await;
    assert!(logs.is_err(), "logs of blocks that it does not have");
    let balance = eth(joined, "eth_getBalance", json!([senders()[0].address, old])).await;
    assert!(balance.is_err(), "{balance:?}");
    // BLOCKHASH reaches behind the snapshot: its history is state. PUSH2 n BLOCKHASH PUSH0 MSTORE PUSH1 32 PUSH0 RETURN.
    let code = format!("0x61{:04x}405f5260205ff3", snapshot - 1);
    let call = json!([{ "data": code }, "latest"]);
    assert_eq!(eth(joined, "eth_call", call).await.unwrap(), known["hash"]);
    a_proof_verifies(joined).await;
    snapshot
}

/// ICS-23: from the value to the app hash in the header after its height, which the light client vouched for.
async fn a_proof_verifies(member: &Member) {
    use ics23::HostFunctionsManager as H;
    use prost::Message as _;
    let key = [&[2u8, 20][..], senders()[0].address.as_slice(), b"abraid"].concat();
    let query = json!({ "path": "/store/bank/key", "data": hex::encode(&key), "prove": true });
    let answer = ask(member, "abci_query", query).await.unwrap()["response"].clone();
    let height: u64 = answer["height"].as_str().unwrap().parse().unwrap();
    let value = STANDARD.decode(answer["value"].as_str().unwrap()).unwrap();
    let proof = |i: usize| {
        let data = STANDARD
            .decode(answer["proofOps"]["ops"][i]["data"].as_str().unwrap())
            .unwrap();
        ics23::CommitmentProof::decode(&data[..]).unwrap()
    };
    let Some(ics23::commitment_proof::Proof::Exist(exist)) = proof(0).proof else {
        panic!("{answer}")
    };
    let root = ics23::calculate_existence_root::<H>(&exist).unwrap();
    assert!(ics23::verify_membership::<H>(
        &proof(0),
        &ics23::iavl_spec(),
        &root,
        &key,
        &value
    ));
    let app_hash = hex::decode(header(member, height + 1).await["app_hash"].as_str().unwrap()).unwrap();
    assert!(ics23::verify_membership::<H>(
        &proof(1),
        &ics23::tendermint_spec(),
        &app_hash,
        b"bank",
        &root
    ));
}

/// State sync is still switched on in its configuration; CometBFT sees that it has state, and goes on.
async fn a_restart_goes_on(running: &mut Running, joined: &Member, other: &Member) {
    running.kill(joined.index).await.unwrap();
    running.start(joined.index).unwrap();
    let top = height(other).await;
    until_height(joined, top + 2).await;
    assert_eq!(
        header(joined, top + 2).await["app_hash"],
        header(other, top + 2).await["app_hash"]
    );
}

fn command(args: &[&str], home: &Path) -> Output {
    Command::new(braidd())
        .args(args)
        .arg("--home")
        .arg(home)
        .output()
        .unwrap()
}
fn done(out: &Output) -> String {
    let text = String::from_utf8_lossy(&[&out.stdout[..], &out.stderr].concat()).into_owned();
    assert!(out.status.success(), "{text}");
    text
}

/// The state of homes that ran under load, as files: equal on all nodes, and enough for one that lost its own.
async fn exports_and_imports(running: &mut Running, joined: &Member, first: u64, dir: &Path) {
    let validator = running.network.members[1].clone();
    let busy = command(
        &["export", "--height", "5", "--output-document", "-"],
        &validator.home,
    );
    assert!(
        !busy.status.success() && String::from_utf8_lossy(&busy.stderr).contains("in use"),
        "{busy:?}"
    );
    running.stop(joined.index).await.unwrap();
    running.stop(validator.index).await.unwrap();
    let file = |name: &str| dir.join(name).display().to_string();
    // A height that its memory and its checkpoints do not hold by themselves, and the snapshot's own.
    for height in [first, first + 3] {
        let (mine, theirs) = (file("joined"), file("validator"));
        let at = height.to_string();
        let said = done(&command(
            &["export", "--height", &at, "--output-document", &mine],
            &joined.home,
        ));
        done(&command(
            &["export", "--height", &at, "--output-document", &theirs],
            &validator.home,
        ));
        assert!(
            std::fs::read(&mine).unwrap() == std::fs::read(&theirs).unwrap(),
            "files of height {height}"
        );
        let header = header(&running.network.members[0], height + 1).await;
        let app_hash = header["app_hash"].as_str().unwrap();
        assert!(
            said.contains(&format!("exported height {height}, app hash {app_hash}")),
            "{said}"
        );
    }
    let newest = command(&["export"], &validator.home);
    assert!(newest.status.success() && newest.stdout.starts_with(b"braid-state-file"));
    let before = command(&["export", "--height", &(first - 1).to_string()], &joined.home);
    assert!(
        String::from_utf8_lossy(&before.stderr).contains("not available"),
        "{before:?}"
    );
    // The validator loses its application's data, gets it back from a file, and CometBFT plays the rest again.
    let database = Home::new(&validator.home).database();
    let full = command(&["import", &file("joined")], &validator.home);
    assert!(
        !full.status.success() && String::from_utf8_lossy(&full.stderr).contains("has blocks"),
        "{full:?}"
    );
    std::fs::remove_dir_all(&database).unwrap();
    let wrong = command(
        &["import", &file("joined"), "--app-hash", &"00".repeat(32)],
        &validator.home,
    );
    assert!(!wrong.status.success(), "{wrong:?}");
    let said = done(&command(&["import", &file("joined")], &validator.home));
    assert!(said.contains(&format!("imported height {}", first + 3)), "{said}");
    running.start(validator.index).unwrap();
    let other = running.network.members[0].clone();
    let top = height(&other).await;
    until_height(&validator, top + 2).await;
    assert_eq!(header(&validator, top + 2).await, header(&other, top + 2).await);
    for account in senders() {
        let asked = json!([account.address, format!("{top:#x}")]);
        let have = eth(&validator, "eth_getBalance", asked.clone()).await.unwrap();
        assert_eq!(have, eth(&other, "eth_getBalance", asked).await.unwrap());
    }
}

/// What a stopped home that ran under load says of itself, before and after it went back and let go of old state; and it
/// catches up with the others.
async fn a_home_is_looked_into_taken_back_and_pruned(running: &mut Running) {
    let (validator, other) = (
        running.network.members[2].clone(),
        running.network.members[0].clone(),
    );
    running.stop(validator.index).await.unwrap();
    let verify = || {
        let out = command(&["store", "verify", "-o", "json"], &validator.home);
        done(&out);
        serde_json::from_slice::<Value>(&out.stdout).unwrap()
    };
    let checked = verify();
    assert!(checked.is_object(), "{checked}");
    let stats = command(&["store", "stats", "-o", "json"], &validator.home);
    done(&stats);
    let stats: Value = serde_json::from_slice(&stats.stdout).unwrap();
    let newest = stats["heights"]["latest"].as_u64();
    let newest = newest.unwrap_or_else(|| panic!("{stats}"));
    let back = newest - 5;
    let said = done(&command(
        &["rollback", "--height", &back.to_string()],
        &validator.home,
    ));
    let next = header(&other, back + 1).await;
    let hash = next["app_hash"].as_str().unwrap();
    let want = format!("Rolled back state to height {back} and hash {hash}");
    assert!(said.contains(&want), "{said}");
    verify();
    done(&command(&["prune", "everything"], &validator.home));
    verify();
    let gone = command(&["rollback", "--height", "1"], &validator.home);
    assert!(
        String::from_utf8_lossy(&gone.stderr).contains("not available"),
        "{gone:?}"
    );
    running.start(validator.index).unwrap();
    let top = height(&other).await;
    until_height(&validator, top + 2).await;
    assert_eq!(header(&validator, top + 2).await, header(&other, top + 2).await);
}
