//! `braidd`'s own commands, as a user types them.
use crate::node::Node;
use serde_json::Value;
use std::fs;

/// What `eth_getBalance` and `braidd query bank balances` say, which is the same.
fn balance(dev: &Node, hex: &str, bech32: &str) -> String {
    let eth = dev.cast(&["balance", hex]);
    for spelled in [hex, bech32] {
        let bank = dev.braidd(&format!("query bank balances {spelled}"));
        let want = if eth == "0" {
            Value::Array(vec![])
        } else {
            serde_json::json!([{ "denom": "abraid", "amount": eth }])
        };
        assert_eq!(bank["balances"], want, "{spelled}");
    }
    eth
}

#[test]
fn a_bank_send_goes_between_a_bech32_and_a_hex_address() {
    let dev = Node::dev();
    let hex = "0x00000000000000000000000000000000000A11cE";
    let bech32 = types::bech32_address("braid", &hex.parse().unwrap());
    assert_eq!(balance(&dev, hex, &bech32), "0");
    let sent = dev.tx(&format!("bank send {} {hex} 1.5braid", dev.bech32(1)));
    assert!(sent["eth_hash"].is_null(), "{sent}");
    assert_eq!(balance(&dev, hex, &bech32), "1500000000000000000");
    dev.tx(&format!("bank send {} {bech32} 7abraid", dev.hex(1)));
    dev.tx(&format!(
        "bank multi-send dev1 {bech32} {} 1abraid --sign-mode amino-json",
        dev.hex(2)
    ));
    assert_eq!(balance(&dev, hex, &bech32), "1500000000000000008");
    // The nonce is the sequence.
    assert_eq!(dev.cast(&["nonce", &dev.hex(1)]), "3");
    // And an Ethereum payment is seen by the bank.
    dev.cast(&["send", hex, "--value", "2", "--private-key", &dev.key(1)]);
    assert_eq!(balance(&dev, hex, &bech32), "1500000000000000010");
    balance(&dev, &dev.hex(1), &dev.bech32(1));

    let found = dev.braidd(&format!("query tx {}", sent["txhash"].as_str().unwrap()));
    assert_eq!(
        (&found["txhash"], &found["height"], &found["code"]),
        (&sent["txhash"], &sent["height"], &0.into())
    );
    assert_eq!(
        found["tx"]["body"]["messages"][0]["@type"],
        "/cosmos.bank.v1beta1.MsgSend"
    );
    // Before it was sent there was nothing.
    let before = sent["height"].as_str().unwrap().parse::<u64>().unwrap() - 1;
    assert_eq!(
        dev.braidd(&format!("query bank balances {hex} --height {before}"))["balances"],
        Value::Array(vec![])
    );
}

#[test]
fn what_cannot_be_sent_is_said_with_its_value() {
    let dev = Node::dev();
    for (line, want) in [
        ("tx bank send dev1 dev2 10001braid -y", "insufficient funds"),
        (
            "tx bank send dev1 dev2 1braid --fees 1abraid --gas 100000 -y",
            "insufficient fee",
        ),
        ("tx bank send dev1 0x12 1braid -y", "0x12"),
        ("tx bank send nobody dev2 1braid -y", "nobody"),
        ("tx bank send dev1 dev2 1nothing -y", "1nothing"),
        (
            "tx bank send dev1 dev2 1braid --sequence 5 --gas 100000 -y",
            "expected 0, got 5",
        ),
        ("tx bank send dev1 dev2 1braid --gas 1000 -y", "out of gas"),
        ("tx bank send dev1 dev2 1braid --chain-id other-1 -y", "other-1"),
        (
            "tx evm send dev1 dev2 10001braid --gas 21000 -y",
            "insufficient funds for gas * price + value",
        ),
        // In a block, where it costs its fee.
        (
            "tx bank send dev1 dev2 10001braid --gas 100000 --wait -y",
            "insufficient funds",
        ),
        ("query tx 00", "1 bytes"),
        ("query staking validator dev1", "not found"),
        ("query bank balances dev1 --height 999", "999"),
    ] {
        let said = dev.braidd_fails(line);
        assert!(said.contains(want), "{line}: want {want}, have {said}");
    }
    assert!(
        dev.braidd_fails(&format!("query tx {}", "AB".repeat(32)))
            .contains("no transaction")
    );
}

#[test]
fn evm_transactions_are_found_by_both_hashes() {
    let dev = Node::dev();
    let sent = dev.tx(&format!("evm send dev1 {} 1.5braid", dev.bech32(2)));
    let (comet, eth) = (
        sent["txhash"].as_str().unwrap(),
        sent["eth_hash"].as_str().unwrap(),
    );
    for hash in [comet, eth, &eth[2..], &format!("0x{}", comet.to_lowercase())] {
        let found = dev.braidd(&format!("query tx {hash}"));
        assert_eq!(
            (found["txhash"].as_str(), found["eth_hash"].as_str()),
            (Some(comet), Some(eth)),
            "{hash}"
        );
        assert_eq!(
            (&found["code"], &found["gas_used"]),
            (&0.into(), &"21000".into()),
            "{hash}"
        );
    }
    assert_eq!(dev.cast(&["receipt", eth, "status"]), "true");
    assert_eq!(dev.cast(&["balance", &dev.hex(2)]), "10001500000000000000000");
}

#[test]
fn evm_deploys_and_calls_a_contract() {
    let dev = Node::dev();
    let code = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../workload/contracts/Token.hex"
    ))
    .unwrap();
    let file = dev.dir.path().join("Token.hex");
    // The supply, 1000, is the constructor's argument.
    fs::write(&file, format!("{}{:064x}", code.trim(), 1000)).unwrap();
    let made = dev.tx(&format!("evm deploy {} --from dev1", file.display()));
    let token = made["contract"].as_str().unwrap();
    assert!(
        made["contract_bech32"].as_str().unwrap().starts_with("braid1"),
        "{made}"
    );
    assert!(dev.cast(&["code", token]).len() > 100);

    let friend = hex::encode(dev.accounts[2].address);
    let balance = format!("0x70a08231{friend:0>64}");
    let transfer = |amount: u64| format!("0xa9059cbb{friend:0>64}{amount:064x}");
    dev.tx(&format!(
        "evm call {} {} --from dev1",
        made["contract_bech32"].as_str().unwrap(),
        transfer(40)
    ));
    let read = dev.braidd(&format!("query evm call {token} {balance}"));
    assert_eq!(read["ret"], format!("0x{:064x}", 40));
    assert_eq!(
        dev.cast(&["call", token, "balanceOf(address)(uint256)", &dev.hex(2)]),
        "40"
    );
    assert_eq!(
        dev.braidd(&format!("query evm code {token}"))["code"],
        dev.cast(&["code", token])
    );

    let said = dev.braidd_fails(&format!("tx evm call {token} {} --from dev1 -y", transfer(961)));
    assert!(said.contains("it would fail"), "{said}");
    let said = dev.braidd_fails(&format!(
        "tx evm call {token} {} --from dev1 -y --wait --gas 100000",
        transfer(961)
    ));
    assert!(said.contains("revert"), "{said}");
    // The one that failed in a block has used up its nonce.
    assert_eq!(dev.cast(&["nonce", &dev.hex(1)]), "3");
}

#[test]
fn stake_is_delegated_and_taken_back() {
    let dev = Node::dev();
    let operator = dev.operator();
    let validators = dev.braidd("query staking validators");
    let validator = &validators["validators"][0];
    assert_eq!(
        (&validator["operator_address"], &validator["status"]),
        (&operator.as_str().into(), &"BOND_STATUS_BONDED".into())
    );
    let tokens = |dev: &Node| {
        let shown = dev.braidd(&format!("query staking validator {operator}"));
        shown["validator"]["tokens"]
            .as_str()
            .unwrap()
            .parse::<u128>()
            .unwrap()
    };
    let before = tokens(&dev);

    dev.tx(&format!("staking delegate {operator} 3braid --from dev1"));
    assert_eq!(tokens(&dev) - before, 3 * 10u128.pow(18));
    let delegations = dev.braidd("query staking delegations dev1");
    let one = &delegations["delegation_responses"][0];
    assert_eq!(
        (&one["balance"]["amount"], &one["delegation"]["validator_address"]),
        (&"3000000000000000000".into(), &operator.as_str().into())
    );

    dev.tx(&format!("staking unbond {operator} 1braid --from {}", dev.hex(1)));
    let left = dev.braidd(&format!("query staking delegation {} {operator}", dev.hex(1)));
    assert!(left.to_string().contains("\"2000000000000000000\""), "{left}");
    let leaving = dev.braidd("query staking unbonding-delegations dev1");
    assert_eq!(
        leaving["unbonding_responses"][0]["entries"][0]["balance"], "1000000000000000000",
        "{leaving}"
    );
    assert_eq!(tokens(&dev) - before, 2 * 10u128.pow(18));

    // A block's changes are in force two blocks later.
    (0..2).for_each(|_| drop(dev.tx("evm send dev1 dev2 1")));
    let power = 2 + before / 10u128.pow(18);
    assert_eq!(
        dev.braidd("status")["validator_info"]["voting_power"],
        power.to_string()
    );
    let said = dev.braidd_fails(&format!("tx staking unbond {operator} 3braid --from dev1 -y"));
    assert!(
        said.contains("invalid shares amount") || said.contains("insufficient"),
        "{said}"
    );
    for question in [
        "query staking params",
        "query staking pool",
        "query bank total-supply",
    ] {
        assert!(dev.braidd(question).is_object(), "{question}");
    }
}

#[test]
fn the_node_and_its_keys_are_shown() {
    let dev = Node::dev();
    let keys = dev.braidd("keys list");
    let names: Vec<_> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|k| k["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, (0..10).map(|i| format!("dev{i}")).collect::<Vec<_>>());
    let shown = dev.braidd("keys show dev3");
    assert_eq!(shown["address"], dev.bech32(3));
    assert!(shown.to_string().contains(&dev.hex(3)), "{shown}");

    let status = dev.braidd("status");
    assert_eq!(status["node_info"]["network"], "braid-local-1");
    assert_eq!(status["sync_info"]["catching_up"], false);
    let height: u64 = status["sync_info"]["latest_block_height"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(height >= 1);
    assert_eq!(dev.cast(&["block-number"]), height.to_string());
    let block = dev.braidd("query block 1");
    assert_eq!(block["block"]["header"]["chain_id"], "braid-local-1");
}
