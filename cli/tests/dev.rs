//! The built program against its own development chain: what a newcomer types first.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const BRAIDD: &str = env!("CARGO_BIN_EXE_braidd");

/// A running `braidd dev`; stopped when dropped.
struct Dev {
    child: Child,
    node: String,
    banner: String,
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

impl Dev {
    fn start(home: &Path) -> Self {
        let (eth, comet) = (free_port().to_string(), free_port().to_string());
        let mut child = Command::new(BRAIDD)
            .args([
                "dev",
                "--port",
                &eth,
                "--comet-port",
                &comet,
                "--log-level",
                "error",
                "--home",
            ])
            .arg(home)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut banner = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            banner += &(line.unwrap() + "\n");
            if banner.contains("query bank balances") {
                break;
            }
        }
        assert!(
            banner.contains("EVERYBODY HAS THESE KEYS"),
            "it did not come up: {banner}"
        );
        Self {
            child,
            node: format!("tcp://127.0.0.1:{comet}"),
            banner,
        }
    }
    fn run(&self, home: &Path, line: &str) -> Output {
        Command::new(BRAIDD)
            .args(line.split(' '))
            .args(["--node", &self.node, "-o", "json", "--home"])
            .arg(home)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
    /// Runs a command that must succeed; its JSON.
    fn ok(&self, home: &Path, line: &str) -> Value {
        let out = self.run(home, line);
        assert!(
            out.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{line}: {e}"))
    }
    /// Runs a command that must fail; what it says.
    fn fails(&self, home: &Path, line: &str) -> String {
        let out = self.run(home, line);
        assert_eq!(out.status.code(), Some(1), "{line}");
        String::from_utf8_lossy(&out.stderr).into_owned()
    }
}

const DEV1: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
/// Deploys a contract that answers 42 to everything.
const ANSWER_42: &str = "0x69602a60005260206000f3600052600a6016f3";

#[test]
fn the_command_that_dev_prints_works_and_so_do_those_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path();
    let dev = Dev::start(home);

    let printed = dev
        .banner
        .lines()
        .find_map(|l| l.trim().strip_prefix("braidd tx "))
        .unwrap();
    let sent = Command::new(BRAIDD)
        .arg("tx")
        .args(printed.split(' '))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));

    // One balance, in both worlds, under all names.
    let bank =
        |who: &str| dev.ok(home, &format!("query bank balances {who}"))["balances"][0]["amount"].clone();
    assert_eq!(bank(DEV1), "10001500000000000000000");
    assert_eq!(bank("dev1"), bank(DEV1));
    assert_eq!(
        dev.ok(home, &format!("query evm account {DEV1}"))["balance"],
        bank(DEV1)
    );

    // An Ethereum transaction is found by both of its hashes.
    let sent = dev.ok(home, "tx evm send dev0 dev2 0.5braid --wait");
    assert_eq!(
        (&sent["code"], sent["gas_used"].as_str()),
        (&Value::from(0), Some("21000"))
    );
    for hash in [&sent["eth_hash"], &sent["txhash"]] {
        let found = dev.ok(home, &format!("query tx {}", hash.as_str().unwrap()));
        assert_eq!(found["txhash"], sent["txhash"]);
    }

    // A contract.
    let deployed = dev.ok(home, &format!("tx evm deploy {ANSWER_42} --from dev3 --wait"));
    let contract = deployed["contract"].as_str().unwrap();
    let called = dev.ok(home, &format!("query evm call {contract} 0x"));
    assert!(called["ret"].as_str().unwrap().ends_with("2a"), "{called}");

    // Stake, signed as a Ledger signs.
    let validators = dev.ok(home, "query staking validators");
    let operator = validators["validators"][0]["operator_address"].as_str().unwrap();
    dev.ok(
        home,
        &format!("tx staking delegate {operator} 2braid --from dev4 --sign-mode amino-json --wait"),
    );
    let delegated = dev.ok(home, "query staking delegations dev4");
    assert_eq!(
        delegated["delegation_responses"][0]["balance"]["amount"],
        "2000000000000000000"
    );
}

#[test]
fn what_the_chain_refuses_is_an_error_with_the_reason_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path();
    let dev = Dev::start(home);
    let cases = [
        (
            "tx bank send dev0 dev1 1abraid --gas 100000 --fees 1abraid",
            "code 13 (sdk): insufficient fees; got: 1abraid",
        ),
        (
            "tx bank send dev0 dev1 1abraid --gas 100000 -s 99",
            "expected 0, got 99",
        ),
        (
            "tx bank send dev0 dev1 1abraid --gas 100000 -a 77",
            "verify account number",
        ),
        ("tx bank send dev0 dev1 99999999braid", "insufficient funds"),
        (
            "tx bank send dev0 dev1 99999999braid --gas 100000 --wait",
            "insufficient funds",
        ),
        (
            "tx bank send dev0 dev1 1abraid --chain-id other-1",
            "runs braid-local-1, not other-1",
        ),
        ("tx bank send dev0 0x12 1abraid", "0x12"),
        ("tx evm deploy 0x60006000fd --from dev0", "execution reverted"),
        (
            "tx evm deploy 0x60006000fd --from dev0 --gas 100000 --wait",
            "failed in the EVM",
        ),
        ("query tx 00", "1 bytes, want 32"),
        ("query bank balances nobody", "nobody"),
        ("query bank balances dev0 --height 9999", "9999"),
    ];
    for (line, want) in cases {
        let said = dev.fails(home, line);
        assert!(said.contains(want), "{line}: {said}");
    }
}

#[test]
fn senders_in_a_hurry_get_their_sequence_right() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path();
    let dev = Dev::start(home);
    std::thread::scope(|s| {
        for i in 1..=4 {
            let dev = &dev;
            s.spawn(move || dev.ok(home, &format!("tx bank send dev5 dev6 {i}abraid --wait")));
        }
    });
    assert_eq!(
        dev.ok(home, "query auth account dev5")["account"]["sequence"],
        "4"
    );
}
