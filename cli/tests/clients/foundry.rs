//! `cast` and `forge`.
use crate::node::Node;
use crate::programs::clients;
use serde_json::Value;

#[test]
fn cast_sends_and_reads_what_it_sent() {
    let dev = Node::dev();
    let (from, to, key) = (
        dev.hex(1),
        "0x00000000000000000000000000000000000a11ce",
        dev.key(1),
    );
    assert_eq!(dev.cast(&["chain-id"]), "8118");
    assert_eq!(dev.cast(&["balance", &from]), "10000000000000000000000");
    assert_eq!(
        dev.cast(&["estimate", to, "--value", "1ether", "--from", &from]),
        "21000"
    );
    assert_eq!(dev.cast(&["call", to, "--from", &from]), "0x");

    let receipt = dev.cast_json(&["send", to, "--value", "1ether", "--private-key", &key]);
    assert_eq!(
        (
            &receipt["status"],
            &receipt["gasUsed"],
            &receipt["contractAddress"]
        ),
        (&"0x1".into(), &"0x5208".into(), &Value::Null)
    );
    let hash = receipt["transactionHash"].as_str().unwrap();
    assert_eq!(dev.cast(&["balance", "--ether", to]), "1.000000000000000000");
    assert_eq!(dev.cast(&["nonce", &from]), "1");
    assert_eq!(dev.cast(&["receipt", hash, "gasUsed"]), "21000");
    assert_eq!(
        dev.cast_json(&["receipt", hash])["blockHash"],
        receipt["blockHash"]
    );
    let tx = dev.cast_json(&["tx", hash]);
    assert_eq!(
        (&tx["hash"], &tx["value"], &tx["blockNumber"]),
        (
            &receipt["transactionHash"],
            &"0xde0b6b3a7640000".into(),
            &receipt["blockNumber"]
        )
    );

    let block = dev.cast_json(&["block", receipt["blockHash"].as_str().unwrap()]);
    assert_eq!(block["transactions"][0], receipt["transactionHash"]);
    assert_eq!(
        dev.cast(&["block-number"]),
        u64::from_str_radix(block["number"].as_str().unwrap().trim_start_matches("0x"), 16)
            .unwrap()
            .to_string()
    );
    // keccak of the header that Ethereum knows, though consensus has another one.
    let parent = dev.cast_json(&["block", block["parentHash"].as_str().unwrap()]);
    assert_eq!(parent["hash"], block["parentHash"]);
    assert!(dev.cast(&["gas-price"]).parse::<u64>().unwrap() >= dev.cast(&["base-fee"]).parse().unwrap());

    // Old state answers.
    assert_eq!(
        dev.cast(&["balance", to, "--block", parent["number"].as_str().unwrap()]),
        "0"
    );
    // Legacy transactions too.
    let legacy = dev.cast_json(&["send", to, "--value", "1", "--legacy", "--private-key", &key]);
    assert_eq!(
        (&legacy["status"], &legacy["type"]),
        (&"0x1".into(), &"0x0".into())
    );
}

#[test]
fn cast_is_refused_in_geths_words() {
    let dev = Node::dev();
    let (to, key) = (dev.hex(2), dev.key(1));
    let refused = |extra: &[&str], want: &str| {
        let said = dev.cast_fails(&[&["send", &to, "--value", "7", "--private-key", &key], extra].concat());
        assert!(said.contains(want), "{extra:?}: want {want}, have {said}");
    };
    dev.cast(&["send", &to, "--value", "1", "--private-key", &key]);
    refused(&["--nonce", "0"], "nonce too low: next nonce 1, tx nonce 0");
    refused(&["--nonce", "9"], "nonce too high");
    refused(
        &["--gas-limit", "20000"],
        "intrinsic gas too low: gas 20000, minimum needed 21000",
    );
    refused(&["--gas-limit", "99000000"], "transaction gas limit too high");
    refused(
        &[
            "--gas-limit",
            "21000",
            "--gas-price",
            "1",
            "--priority-gas-price",
            "1",
        ],
        "max fee per gas less than block base fee",
    );
    refused(
        &[
            "--gas-limit",
            "21000",
            "--gas-price",
            "2gwei",
            "--priority-gas-price",
            "3gwei",
        ],
        "max priority fee per gas higher than max fee per gas",
    );
    let said = dev.cast_fails(&[
        "send",
        &to,
        "--value",
        "10001ether",
        "--gas-limit",
        "21000",
        "--private-key",
        &key,
    ]);
    assert!(
        said.contains("insufficient funds for gas * price + value: balance 9999"),
        "{said}"
    );
    // Signed for another chain.
    let foreign = dev.cast(&[
        "mktx",
        &to,
        "--value",
        "1",
        "--chain",
        "5",
        "--nonce",
        "1",
        "--gas-limit",
        "21000",
        "--gas-price",
        "2gwei",
        "--priority-gas-price",
        "1",
        "--private-key",
        &key,
    ]);
    let said = dev.cast_fails(&["publish", &foreign]);
    assert!(said.contains("8118") && said.contains('5'), "{said}");
    // None of it has counted.
    assert_eq!(dev.cast(&["nonce", &dev.hex(1)]), "1");
}

#[test]
fn forge_deploys_an_erc20_that_cast_uses() {
    let dev = Node::dev();
    let (owner, friend, key) = (dev.hex(1), dev.hex(2), dev.key(1));
    let solc = clients().join("solc");
    let created = dev.forge(&[
        "create",
        "--broadcast",
        "--json",
        "--use",
        solc.to_str().unwrap(),
        "--private-key",
        &key,
        "../../workload/contracts/Token.sol:Token",
        "--constructor-args",
        "1000000",
    ]);
    // The compiler may say something before the answer.
    let answer = created
        .find('{')
        .map(|i| &created[i..])
        .unwrap_or_else(|| panic!("no answer in {created}"));
    let answer: Value = serde_json::from_str(answer.trim()).unwrap_or_else(|e| panic!("{e}: {created}"));
    let token = answer["deployedTo"]
        .as_str()
        .unwrap_or_else(|| panic!("{created}"));
    assert_eq!(
        dev.cast(&[
            "receipt",
            answer["transactionHash"].as_str().unwrap(),
            "contractAddress"
        ])
        .to_lowercase(),
        token.to_lowercase()
    );

    let balance = |who: &str| dev.cast(&["call", token, "balanceOf(address)(uint256)", who]);
    assert_eq!(balance(&owner), "1000000 [1e6]");
    assert_eq!(dev.cast(&["call", token, "symbol()(string)"]), "\"TOK\"");
    let sent = dev.cast_json(&[
        "send",
        token,
        "transfer(address,uint256)",
        &friend,
        "250",
        "--private-key",
        &key,
    ]);
    assert_eq!(
        (&sent["status"], sent["logs"].as_array().map(Vec::len)),
        (&"0x1".into(), Some(1))
    );
    assert_eq!(
        (balance(&owner), balance(&friend)),
        ("999750 [9.997e5]".into(), "250".into())
    );

    let logs = dev.cast_json(&[
        "logs",
        "--address",
        token,
        "--from-block",
        "0",
        "Transfer(address indexed,address indexed,uint256)",
        &owner,
    ]);
    let logs = logs.as_array().unwrap();
    assert_eq!(
        logs.iter().map(|l| &l["transactionHash"]).collect::<Vec<_>>(),
        [&sent["transactionHash"]]
    );

    let said = dev.cast_fails(&[
        "send",
        token,
        "transfer(address,uint256)",
        &friend,
        "9999999",
        "--private-key",
        &key,
    ]);
    assert!(
        said.contains("InsufficientBalance") || said.contains("0xcf479181"),
        "{said}"
    );
    let said = dev.cast_fails(&["call", token, "transfer(address,uint256)", &friend, "1"]);
    assert!(said.contains("execution reverted"), "{said}");
}

#[test]
fn forge_runs_a_script_of_many_transactions() {
    let dev = Node::dev();
    // One after the other: a nonce that skips one is refused.
    let said = dev.forge(&[
        "script",
        "script/Deploy.s.sol:Deploy",
        "--broadcast",
        "--slow",
        "--private-key",
        &dev.key(1),
    ]);
    assert!(said.contains("ONCHAIN EXECUTION COMPLETE & SUCCESSFUL"), "{said}");
    assert_eq!(dev.cast(&["nonce", &dev.hex(1)]), "12");
    let token = dev.accounts[1].address.create(0).to_string();
    let paid = dev.cast(&[
        "call",
        &token,
        "balanceOf(address)(uint256)",
        "0x0000000000000000000000000000000000B0B00A",
    ]);
    assert_eq!(paid, "10");
    assert_eq!(
        dev.cast(&["balance", "0x0000000000000000000000000000000000B0B000"]),
        "1000000000000000000"
    );
}
