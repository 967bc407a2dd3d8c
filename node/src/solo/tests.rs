//! The engine over a real app and a real store.
use super::engine::{Solo, SoloOptions};
use crate::open::open;
use crate::{
    AppConfig, ChainSpec, Execution, GenesisAccount, Home, InitOptions, NodeKeys, Stop, StopReason,
    StoreConfig, init,
};
use alloy_consensus::{SignableTransaction, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Signature, TxKind};
use k256::ecdsa::SigningKey;
use rpc::SubmitError;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::DiskStore;
use types::{Address, B256, Bytes, ChainConfig, Coin, U256};

type Engine = Arc<Solo<DiskStore>>;

fn key(i: u8) -> SigningKey {
    SigningKey::from_slice(&[i; 32]).unwrap()
}
fn who(i: u8) -> Address {
    Address::from_private_key(&key(i))
}

/// A payment of one wei, in its envelope.
fn payment(from: u8, nonce: u64, to: Address) -> Bytes {
    let config = ChainConfig::braid();
    let tx = TxLegacy {
        chain_id: Some(config.evm_chain_id),
        nonce,
        gas_price: 2_000_000_000,
        gas_limit: 21_000,
        to: TxKind::Call(to),
        value: U256::from(1),
        input: Default::default(),
    };
    let (sig, parity) = key(from)
        .sign_prehash_recoverable(tx.signature_hash().as_slice())
        .unwrap();
    let signed = tx.into_signed(Signature::from((sig, parity)));
    let raw = TxEnvelope::from(signed).encoded_2718();
    x_evm::wrap(&x_evm::EvmTx::decode(&raw, config.evm_chain_id).unwrap(), &config)
}

fn new_home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    let mut chain = ChainSpec::new("braid-local-1", ChainConfig::braid());
    let coins = vec![Coin::new(U256::from(10).pow(U256::from(21)), "abraid")];
    chain.accounts = (1..=4)
        .map(|i| GenesisAccount {
            address: who(i),
            coins: coins.clone(),
        })
        .collect();
    init(&home, &InitOptions::new(chain, "tester").unwrap()).unwrap();
    (dir, home)
}

fn engine(home: &Home, block_time: Option<Duration>) -> Engine {
    let app = open(
        home,
        &AppConfig::default(),
        Execution {
            threads: 2,
            ..Default::default()
        },
        StoreConfig::default(),
        store::Damaged::Refuse,
    )
    .unwrap();
    let genesis = crate::genesis::read(&home.genesis()).unwrap();
    let keys = NodeKeys::read(home).unwrap();
    Solo::open(
        app,
        SoloOptions {
            block_time,
            keys,
            moniker: "tester".into(),
            genesis,
        },
    )
    .unwrap()
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs the engine while `work` lasts.
fn running(solo: &Engine, work: impl FnOnce()) {
    let stop = Stop::new();
    let thread = solo.run(stop.clone()).unwrap();
    work();
    assert_eq!(stop.reason(), None, "the engine stopped by itself");
    stop.ask();
    solo.wake();
    thread.join().unwrap();
    assert_eq!(stop.reason(), Some(StopReason::Asked));
}

#[test]
fn transactions_sent_are_in_a_block_at_once_and_a_restart_goes_on() {
    let (_dir, home) = new_home();
    let solo = engine(&home, None);
    assert_eq!(solo.app.height(), 1, "the first block proves genesis");
    let txs: Vec<_> = (0..3).map(|n| payment(1, n, who(9))).collect();
    running(&solo, || {
        for tx in &txs {
            let result = solo.check(tx.clone()).unwrap();
            assert_eq!(result.code, 0, "{}", result.log);
        }
        let last = super::pool::tx_hash(&txs[2]);
        wait("the last payment is included", || {
            solo.app.find_tx(&last).unwrap().is_some()
        });
        assert_eq!(solo.check(txs[0].clone()), Err(SubmitError::AlreadyKnown));
    });
    let height = solo.app.height();
    assert!(
        (2..=4).contains(&height),
        "three payments took blocks 2 to {height}"
    );
    let blocks: Vec<_> = (1..=height)
        .map(|h| solo.app.block(h).unwrap().unwrap())
        .collect();
    let sent: Vec<_> = blocks.iter().flat_map(|b| b.txs.iter()).collect();
    assert_eq!(sent.iter().map(|t| t.raw.clone()).collect::<Vec<_>>(), txs);
    assert!(sent.iter().all(|t| t.result.code == 0), "{sent:?}");
    assert!(
        blocks
            .windows(2)
            .all(|w| w[0].time < w[1].time && w[0].comet_hash != w[1].comet_hash)
    );
    let version = solo.app.info().unwrap().version;
    drop(solo);

    let solo = engine(&home, None);
    assert_eq!(solo.app.info().unwrap().version, version);
    running(&solo, || {
        let tx = payment(1, 3, who(9));
        assert_eq!(solo.check(tx.clone()).unwrap().code, 0);
        let hash = super::pool::tx_hash(&tx);
        wait("a payment after the restart", || {
            solo.app.find_tx(&hash).unwrap().is_some()
        });
    });
    assert_eq!(solo.app.height(), height + 1);
}

#[test]
fn a_transaction_that_is_refused_does_not_wait() {
    let (_dir, home) = new_home();
    let solo = engine(&home, None);
    let refused = solo.check(Bytes::from_static(b"garbage")).unwrap();
    assert_ne!(refused.code, 0);
    assert!(solo.pool.lock().is_empty());
}

#[test]
fn blocks_come_by_the_clock_where_told_so() {
    let (_dir, home) = new_home();
    let solo = engine(&home, Some(Duration::from_millis(20)));
    running(&solo, || wait("empty blocks", || solo.app.height() >= 4));
    let set = solo.set(solo.app.height()).unwrap();
    let keys = NodeKeys::read(&home).unwrap();
    assert_eq!(
        set.keys().copied().collect::<Vec<_>>(),
        [keys.validator_address()]
    );
    assert_eq!(set[&keys.validator_address()].power, 100);
    let block = solo.app.block(3).unwrap().unwrap();
    assert_eq!(block.proposer, keys.validator_address());
    assert_ne!(
        block.header.beneficiary,
        Address::ZERO,
        "the proposer's account is known"
    );
    assert_ne!(block.comet_hash, B256::ZERO);
}

#[test]
fn a_database_of_another_chain_is_refused_by_name() {
    let (_dir, home) = new_home();
    drop(engine(&home, None));
    let text = std::fs::read_to_string(home.genesis())
        .unwrap()
        .replace("braid-local-1", "other-2");
    std::fs::write(home.genesis(), text).unwrap();
    let app = open(
        &home,
        &AppConfig::default(),
        Execution::default(),
        StoreConfig::default(),
        store::Damaged::Refuse,
    )
    .unwrap();
    let genesis = crate::genesis::read(&home.genesis()).unwrap();
    let keys = NodeKeys::read(&home).unwrap();
    let options = SoloOptions {
        block_time: None,
        keys,
        moniker: String::new(),
        genesis,
    };
    let err = Solo::open(app, options).unwrap_err().to_string();
    assert!(err.contains("braid-local-1") && err.contains("other-2"), "{err}");
}
