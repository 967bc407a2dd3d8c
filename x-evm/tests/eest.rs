//! Ethereum's execution-spec state tests (`state_test` fixtures), where `BRAID_EEST` names a folder of them.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod common;

use alloy_primitives::Bytes;
use common::{Chain, execute};
use revm::context::{BlockEnv, CfgEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use serde::Deserialize;
use state::{Control, KeyRange, MemoryState, StateScan, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use types::{Address, B256, U256, keccak256};
use x_evm::{Env, EvmTx, Fees, Hashes, Outcome, SpecId};

#[derive(Deserialize)]
struct Case {
    env: CaseEnv,
    pre: BTreeMap<Address, Account>,
    post: BTreeMap<String, Vec<Post>>,
    config: Config,
}
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CaseEnv {
    current_coinbase: Address,
    current_gas_limit: U256,
    current_number: U256,
    current_timestamp: U256,
    current_random: B256,
    current_base_fee: U256,
    current_excess_blob_gas: Option<U256>,
}
#[derive(Deserialize)]
struct Config {
    chainid: U256,
}
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    txbytes: Bytes,
    logs: B256,
    state: BTreeMap<Address, Account>,
    expect_exception: Option<String>,
}
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Account {
    nonce: U256,
    balance: U256,
    code: Bytes,
    storage: BTreeMap<U256, U256>,
}

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with(".meta") {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "json") {
            out.push(path);
        }
    }
}

/// The accounts in our state, as the fixture lists them.
fn accounts(chain: &Chain) -> BTreeMap<Address, Account> {
    let mut who = BTreeSet::new();
    for (store, prefix, skip) in [
        (x_auth::STORE, vec![1], 1),
        (x_bank::STORE, vec![2], 2),
        (x_evm::STORE, vec![4], 1),
        (x_evm::STORE, vec![2], 1),
    ] {
        let mut visit = |key: &state::Key, _: &Value| {
            who.insert(Address::from_slice(&key.bytes()[skip..skip + 20]));
            Control::Continue(())
        };
        chain
            .state
            .scan(&KeyRange::prefix(store, &prefix), &mut visit)
            .unwrap();
    }
    let mut out = BTreeMap::new();
    for who in who {
        let mut storage = BTreeMap::new();
        let slots = KeyRange::prefix(x_evm::STORE, &[&[2], who.as_slice()].concat());
        let mut visit = |key: &state::Key, value: &Value| {
            storage.insert(
                U256::from_be_slice(&key.bytes()[21..]),
                U256::from_be_slice(value),
            );
            Control::Continue(())
        };
        chain.state.scan(&slots, &mut visit).unwrap();
        let account = Account {
            nonce: U256::from(chain.nonce(who)),
            balance: chain.balance(who),
            code: chain.code(who).into(),
            storage,
        };
        if !account.nonce.is_zero() || !account.balance.is_zero() || !account.code.is_empty() {
            out.insert(who, account);
        }
    }
    out
}

fn load(chain: &mut Chain, pre: &BTreeMap<Address, Account>) {
    chain.state = MemoryState::default();
    chain.edit(|out, block, _| {
        use state::StateWrite;
        for (who, account) in pre {
            if let Some(value) = state::encode_amount(account.balance) {
                out.put(x_bank::balance_key(who, "abraid"), value);
            }
            if !account.nonce.is_zero() {
                x_auth::set_sequence(out, &block.config, who, account.nonce.to()).unwrap();
            }
            if !account.code.is_empty() {
                let hash = keccak256(&account.code);
                out.put(x_evm::code_key(&hash), account.code.0.clone());
                out.put(x_evm::code_hash_key(who), Value::copy_from_slice(hash.as_slice()));
            }
            for (slot, word) in &account.storage {
                if !word.is_zero() {
                    out.put(
                        x_evm::slot_key(who, slot, 0),
                        Value::copy_from_slice(&word.to_be_bytes::<32>()),
                    );
                }
            }
        }
    });
}

fn check(chain: &mut Chain, case: &Case, spec: SpecId, post: &Post) -> Result<(), String> {
    load(chain, &case.pre);
    let mut cfg = CfgEnv::new_with_spec(spec);
    cfg.chain_id = case.config.chainid.to();
    let excess = case.env.current_excess_blob_gas.unwrap_or(U256::ZERO).to();
    let env = Env {
        cfg,
        block: BlockEnv {
            number: case.env.current_number,
            beneficiary: case.env.current_coinbase,
            timestamp: case.env.current_timestamp,
            gas_limit: case.env.current_gas_limit.to(),
            basefee: case.env.current_base_fee.to(),
            prevrandao: Some(case.env.current_random),
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new_with_spec(excess, spec)),
            ..BlockEnv::default()
        },
        fees: Fees::Beneficiary,
        blocked: Arc::new(BTreeSet::new()),
        hashes: Hashes::Map(BTreeMap::new()),
        ..chain.env()
    };
    let refused = |why: String| match &post.expect_exception {
        Some(_) => Ok(()),
        None => Err(why),
    };
    let tx = match EvmTx::decode_any(&post.txbytes) {
        Ok(tx) => tx,
        Err(e) => return refused(e.to_string()),
    };
    let done = execute(&chain.state, &env, &tx).map_err(|e| e.to_string())?;
    let included = match done.outcome {
        Outcome::Invalid(invalid) => return refused(invalid.message),
        Outcome::Included(included) => included,
    };
    if let Some(exception) = &post.expect_exception {
        return Err(format!("ran, want {exception}"));
    }
    chain.apply(done.writes, done.deferred);
    let mut rlp = Vec::new();
    alloy_rlp::encode_list(&included.logs, &mut rlp);
    if keccak256(&rlp) != post.logs {
        return Err("logs differ".into());
    }
    let have = accounts(chain);
    let who = have
        .keys()
        .chain(post.state.keys())
        .find(|who| have.get(*who) != post.state.get(*who));
    who.map_or(Ok(()), |who| {
        Err(format!(
            "{who}: have {:?}, want {:?}",
            have.get(who),
            post.state.get(who)
        ))
    })
}

#[test]
fn state_tests_come_out_as_the_specification_says() {
    let Some(dir) = std::env::var_os("BRAID_EEST") else {
        println!("skipped: BRAID_EEST names no folder of state tests");
        return;
    };
    let mut paths = Vec::new();
    files(Path::new(&dir), &mut paths);
    paths.sort();
    let mut chain = Chain::new();
    let (mut passed, mut failed) = (0, Vec::new());
    for path in paths {
        let cases: BTreeMap<String, Case> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for (name, case) in cases {
            for (fork, posts) in &case.post {
                let spec: SpecId = match fork.as_str() {
                    "Cancun" => SpecId::CANCUN,
                    "Prague" => SpecId::PRAGUE,
                    "Osaka" => SpecId::OSAKA,
                    other => panic!("fork {other}"),
                };
                for post in posts {
                    match check(&mut chain, &case, spec, post) {
                        Ok(()) => passed += 1,
                        Err(why) => failed.push(format!("{name}: {why}")),
                    }
                }
            }
        }
    }
    println!("{passed} passed, {} failed", failed.len());
    assert!(failed.is_empty() && passed > 0, "{}", failed.join("\n"));
}
