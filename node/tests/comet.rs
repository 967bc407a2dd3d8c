//! Nodes under the real CometBFT: `BRAID_COMETBFT`, or `cometbft` on the PATH; skipped where there is none.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;

use node::{
    CometConfig, Endpoints, Home, InitOptions, KeepOptions, NodeError, NodeKeys, Pruning, RollbackOptions,
    StartOptions, Stop, init, start,
};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use types::Address;

fn cometbft(test: &str) -> Option<PathBuf> {
    let given = std::env::var_os("BRAID_COMETBFT").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap();
    let found = given.or_else(|| {
        std::env::split_paths(&path)
            .map(|d| d.join("cometbft"))
            .find(|p| p.is_file())
    });
    if found.is_none() {
        println!("skipped {test}: no cometbft in BRAID_COMETBFT or on the PATH");
    }
    found
}

/// A port that nobody has, below those the system gives out by itself, another one each time.
fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let start = u16::try_from(std::process::id() % 100).unwrap() * 100;
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

struct Node {
    _dir: tempfile::TempDir,
    home: Home,
    rpc: u16,
}

/// A home with free ports and quick blocks.
fn node() -> Node {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    let mut options = InitOptions::new(common::chain("braid-test-1"), "tester").unwrap();
    let rpc = free_port();
    options.comet = CometConfig {
        rpc_address: format!("tcp://127.0.0.1:{rpc}"),
        p2p_address: format!("tcp://127.0.0.1:{}", free_port()),
        timeout_commit: Duration::from_millis(100),
        ..CometConfig::default()
    };
    options.app.json_rpc.address.set_port(0);
    init(&home, &options).unwrap();
    Node { _dir: dir, home, rpc }
}

async fn get(port: u16, path: &str) -> Option<Value> {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/{path}"))
        .await
        .ok()?;
    answer.json::<Value>().await.ok().map(|mut v| v["result"].take())
}

async fn height(port: u16) -> u64 {
    let status = get(port, "status").await;
    let text = status
        .as_ref()
        .and_then(|s| s["sync_info"]["latest_block_height"].as_str());
    text.and_then(|t| t.parse().ok()).unwrap_or(0)
}

async fn wait_height(port: u16, want: u64) -> u64 {
    let begun = Instant::now();
    loop {
        let have = height(port).await;
        if have >= want {
            return have;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "height {have} after 60 s, want {want}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Runs a node until it is ready, does `work`, and stops it.
async fn with_node<W: Future<Output = ()>>(
    options: StartOptions,
    work: impl FnOnce(Endpoints) -> W,
) -> Result<(), NodeError> {
    let (stop, (tell, told)) = (Stop::new(), tokio::sync::oneshot::channel());
    let running = tokio::spawn(start(options, stop.clone(), move |e| {
        tell.send(e.clone()).unwrap();
    }));
    if let Ok(endpoints) = told.await {
        work(endpoints).await;
    }
    stop.ask();
    running.await.unwrap()
}

#[tokio::test]
async fn a_supervised_cometbft_commits_blocks_and_goes_on_after_a_restart() {
    let Some(bin) = cometbft("supervised cometbft") else {
        return;
    };
    let node = node();
    let options = StartOptions {
        comet_bin: Some(bin.clone()),
        ..StartOptions::new(node.home.clone())
    };
    let mut reached = 0;
    with_node(options.clone(), async |endpoints| {
        assert_eq!(endpoints.comet_rpc.unwrap(), format!("127.0.0.1:{}", node.rpc));
        reached = wait_height(node.rpc, 3).await;
        let info = get(node.rpc, "abci_info").await.unwrap();
        assert_eq!(info["response"]["data"], "braid");
        let status = get(node.rpc, "status").await.unwrap();
        let keys = NodeKeys::read(&node.home).unwrap();
        assert_eq!(status["node_info"]["id"].as_str().unwrap(), keys.node_id());
        assert_eq!(status["validator_info"]["voting_power"], "100");
        let address = status["validator_info"]["address"]
            .as_str()
            .unwrap()
            .to_lowercase();
        assert_eq!(format!("0x{address}"), format!("{:#x}", keys.validator_address()));
    })
    .await
    .unwrap();
    assert!(height(node.rpc).await == 0, "cometbft is gone");
    with_node(options, async |_| {
        wait_height(node.rpc, reached + 2).await;
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_payment_over_json_rpc_goes_through_cometbft() {
    let Some(bin) = cometbft("payment through cometbft") else {
        return;
    };
    let node = node();
    let options = StartOptions {
        comet_bin: Some(bin),
        ..StartOptions::new(node.home.clone())
    };
    with_node(options, async |at| {
        let url = format!("http://{}", at.json_rpc.unwrap());
        let to = Address::repeat_byte(9);
        wait_height(node.rpc, 1).await;
        assert_eq!(common::pay(&url, 0, to, 77).await["status"], "0x1");
        assert_eq!(
            common::ask(&url, "eth_getBalance", json!([to, "latest"])).await,
            "0x4d"
        );
        let again = common::payment(0, to, 77);
        let refused = common::answer(&url, "eth_sendRawTransaction", json!([again])).await;
        assert!(
            refused["error"]["message"].is_string(),
            "a payment made is not made again: {refused}"
        );
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn abci_only_serves_a_cometbft_started_by_hand() {
    let Some(bin) = cometbft("abci only") else { return };
    let node = node();
    let options = StartOptions {
        abci_only: true,
        ..StartOptions::new(node.home.clone())
    };
    with_node(options, async |endpoints| {
        let mut comet = Command::new(&bin)
            .args(["start", "--home", node.home.root().to_str().unwrap()])
            .args(["--proxy_app", &endpoints.abci.unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_height(node.rpc, 2).await;
        comet.kill().unwrap();
        comet.wait().unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let Some(bin) = cometbft("port in use") else {
        return;
    };
    let node = node();
    let _taken = TcpListener::bind(("127.0.0.1", node.rpc)).unwrap();
    let options = StartOptions {
        comet_bin: Some(bin),
        ..StartOptions::new(node.home.clone())
    };
    let err = with_node(options, async |_| panic!("it started"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        err.contains(&node.rpc.to_string()) && err.contains("in use"),
        "{err}"
    );
}

#[tokio::test]
async fn a_missing_cometbft_and_a_missing_home_are_named() {
    let node = node();
    let bin = node.home.root().join("no-such-cometbft");
    let options = StartOptions {
        comet_bin: Some(bin),
        ..StartOptions::new(node.home.clone())
    };
    let err = with_node(options, async |_| {}).await.unwrap_err().to_string();
    assert!(err.contains("no-such-cometbft"), "{err}");
    let empty = StartOptions::new(Home::new(node.home.root().join("empty")));
    let err = with_node(empty, async |_| {}).await.unwrap_err().to_string();
    assert!(err.contains("empty") && err.contains("genesis.json"), "{err}");
}

#[tokio::test]
async fn the_end_of_cometbft_ends_the_node_with_an_error() {
    let Some(bin) = cometbft("end of cometbft") else {
        return;
    };
    let node = node();
    let options = StartOptions {
        comet_bin: Some(bin),
        ..StartOptions::new(node.home.clone())
    };
    let (stop, (tell, told)) = (Stop::new(), tokio::sync::oneshot::channel());
    let running = tokio::spawn(start(options, stop, move |_| tell.send(()).unwrap()));
    if told.await.is_err() {
        panic!("not ready: {:?}", running.await.unwrap());
    }
    for pid in children(std::process::id(), node.home.root().to_str().unwrap()) {
        kill(pid, "KILL");
    }
    let err = running.await.unwrap().unwrap_err().to_string();
    assert!(
        err.contains("cometbft ended") && err.contains("cometbft.log"),
        "{err}"
    );
}

fn kill(pid: u32, signal: &str) {
    assert!(
        Command::new("kill")
            .args([&format!("-{signal}"), &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// Processes whose parent is `parent`, or anyone's for 0, with `text` in their command line.
fn children(parent: u32, text: &str) -> Vec<u32> {
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = numbers.filter_map(|e| e.file_name().to_str().and_then(|n| n.parse::<u32>().ok()));
    let is_child = |pid: &u32| {
        let read = |file: &str| {
            std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_else(|_| String::new())
        };
        let stat = read("stat");
        let after = stat.rsplit(')').next().unwrap_or("").to_owned();
        let ppid = after
            .split_whitespace()
            .nth(1)
            .and_then(|p| p.parse::<u32>().ok());
        (parent == 0 || ppid == Some(parent))
            && !after.trim_start().starts_with('Z')
            && read("cmdline").contains(text)
    };
    pids.filter(is_child).collect()
}

/// Set for the process that is killed: the home it runs.
const VICTIM: &str = "BRAID_TEST_VICTIM";

#[tokio::test]
async fn a_node_that_is_killed_takes_cometbft_with_it() {
    let name = "a_node_that_is_killed_takes_cometbft_with_it";
    let Some(bin) = cometbft(name) else { return };
    if let Some(home) = std::env::var_os(VICTIM) {
        let options = StartOptions {
            comet_bin: Some(bin),
            ..StartOptions::new(Home::new(home))
        };
        start(options, Stop::new(), |_| {}).await.unwrap();
        return;
    }
    let node = node();
    let root = node.home.root().to_str().unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(VICTIM, root)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_height(node.rpc, 2).await;
    assert_eq!(children(victim.id(), root).len(), 1);
    victim.kill().unwrap();
    victim.wait().unwrap();
    let begun = Instant::now();
    while !children(0, root).is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "cometbft outlives the node"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // And the home is as good as before.
    let options = StartOptions {
        comet_bin: Some(bin),
        ..StartOptions::new(node.home.clone())
    };
    with_node(options, async |_| {
        wait_height(node.rpc, 4).await;
    })
    .await
    .unwrap();
}

/// The app hash after block `height`, as the next block's header has it.
async fn app_hash(port: u16, height: u64) -> String {
    let commit = get(port, &format!("commit?height={}", height + 1)).await.unwrap();
    commit["signed_header"]["header"]["app_hash"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Makes payments with these nonces, each in a block of its own.
async fn pay(at: &Endpoints, nonces: std::ops::Range<u64>) {
    let url = format!("http://{}", at.json_rpc.unwrap());
    for nonce in nonces {
        let to = Address::repeat_byte(9);
        assert_eq!(common::pay(&url, nonce, to, 7).await["status"], "0x1");
    }
}

async fn paid(at: &Endpoints) -> Value {
    let url = format!("http://{}", at.json_rpc.unwrap());
    common::ask(&url, "eth_getBalance", json!([Address::repeat_byte(9), "latest"])).await
}

#[tokio::test]
async fn a_damaged_journal_is_set_aside_and_cometbft_plays_the_blocks_again() {
    let Some(bin) = cometbft("damaged journal") else {
        return;
    };
    let node = node();
    // Evidence may be five blocks old here, so that blocks may go.
    let path = node.home.genesis();
    let mut doc: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    doc["consensus_params"]["evidence"]["max_age_num_blocks"] = json!("5");
    std::fs::write(&path, serde_json::to_vec(&doc).unwrap()).unwrap();
    let options = StartOptions {
        comet_bin: Some(bin),
        keep: KeepOptions {
            min_retain_blocks: Some(5),
            ..KeepOptions::default()
        },
        ..StartOptions::new(node.home.clone())
    };
    let earliest = async || {
        let status = get(node.rpc, "status").await.unwrap();
        let text = status["sync_info"]["earliest_block_height"]
            .as_str()
            .unwrap()
            .to_owned();
        text.parse::<u64>().unwrap()
    };
    with_node(options.clone(), async |at| {
        pay(&at, 0..3).await;
        wait_height(node.rpc, 12).await;
        assert_eq!(earliest().await, 1, "without a checkpoint all blocks are needed");
    })
    .await
    .unwrap();
    // Two checkpoints: of the oldest height whose state is kept, and of the newest.
    let mut up_to = 0;
    node::prune(&node.home, Pruning::EVERYTHING, &mut |height| up_to = height).unwrap();
    let mut reached = 0;
    let mut before = String::new();
    with_node(options.clone(), async |at| {
        pay(&at, 3..6).await;
        reached = wait_height(node.rpc, up_to + 12).await;
        before = app_hash(node.rpc, up_to + 8).await;
        assert_eq!(earliest().await, up_to + 1, "none goes that a lost journal needs");
    })
    .await
    .unwrap();
    let store = node.home.database();
    let journal = store.join("journal/db");
    let len = std::fs::metadata(&journal).unwrap().len();
    std::fs::write(&journal, vec![0xa5; usize::try_from(len).unwrap()]).unwrap();
    with_node(options, async |at| {
        wait_height(node.rpc, reached + 2).await;
        assert_eq!(paid(&at).await, "0x2a");
        pay(&at, 6..7).await;
        assert_eq!(app_hash(node.rpc, up_to + 8).await, before);
        let url = format!("http://{}", at.json_rpc.unwrap());
        let block = common::ask(
            &url,
            "eth_getBlockByNumber",
            json!([format!("{:#x}", up_to + 8), false]),
        )
        .await;
        assert_eq!(block["stateRoot"].as_str().unwrap()[2..].to_uppercase(), before);
    })
    .await
    .unwrap();
    assert!(store.join("journal.corrupt-1/journal/db").exists());
}

#[tokio::test]
async fn a_home_that_went_back_catches_up_with_the_same_hashes() {
    let Some(bin) = cometbft("rollback") else { return };
    let node = node();
    let options = StartOptions {
        comet_bin: Some(bin.clone()),
        ..StartOptions::new(node.home.clone())
    };
    let back = |height, hard| {
        node::rollback(&RollbackOptions {
            home: node.home.clone(),
            height,
            hard,
            comet_bin: Some(bin.clone()),
        })
    };
    let mut hashes = Vec::new();
    with_node(options.clone(), async |at| {
        pay(&at, 0..3).await;
        wait_height(node.rpc, 10).await;
        for height in 1..9 {
            hashes.push(app_hash(node.rpc, height).await);
        }
        assert!(back(Some(3), false).unwrap_err().to_string().contains("in use"));
    })
    .await
    .unwrap();
    let version = back(Some(3), false).unwrap();
    assert_eq!(
        (version.height, hex::encode_upper(version.root)),
        (3, hashes[2].clone())
    );
    let same = async || {
        for (height, hash) in (1..).zip(&hashes) {
            assert_eq!(app_hash(node.rpc, height).await, *hash, "height {height}");
        }
    };
    let mut reached = 0;
    with_node(options.clone(), async |at| {
        assert_eq!(paid(&at).await, "0x15");
        pay(&at, 3..4).await;
        reached = height(node.rpc).await;
        wait_height(node.rpc, reached + 2).await;
        same().await;
    })
    .await
    .unwrap();
    // One block back, the app's and CometBFT's state: that block is played again.
    let version = back(None, false).unwrap();
    assert!(version.height > reached, "{}", version.height);
    with_node(options.clone(), async |at| {
        wait_height(node.rpc, version.height + 2).await;
        assert_eq!(paid(&at).await, "0x1c");
        same().await;
    })
    .await
    .unwrap();
    // CometBFT forgets blocks, too. (A lone validator never signs another block of a height that it signed: it stays.)
    let version = back(Some(reached), true).unwrap();
    assert_eq!(version.height, reached);
    with_node(options, async |_| {
        assert_eq!(height(node.rpc).await, reached);
        same().await;
    })
    .await
    .unwrap();
    let refused = back(Some(reached + 1), false).unwrap_err().to_string();
    assert_eq!(
        refused,
        format!(
            "cannot roll back to height {}: the newest is {reached}",
            reached + 1
        )
    );
}
