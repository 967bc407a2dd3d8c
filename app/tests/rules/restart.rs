//! Rule 2, and what is there after a restart.
use crate::common::{accounts, chain, genesis, options};
use app::{App, Block, CheckKind};
use store::{Config, DiskStore};
use types::{Address, B256, Timestamp, U256};
use workload::EthCall;

fn open(home: &std::path::Path) -> App<DiskStore> {
    App::open(
        DiskStore::open(home, Config::new(app::stores())).unwrap(),
        options(2),
    )
    .unwrap()
}

fn block(height: u64, txs: Vec<types::Bytes>) -> Block {
    let time = Timestamp {
        seconds: 1_700_000_000 + height as i64,
        nanos: 0,
    };
    Block {
        height,
        time,
        hash: B256::repeat_byte(height as u8),
        txs,
        ..Block::default()
    }
}

#[test]
fn a_restart_goes_on_after_the_last_commit() {
    let home = tempfile::tempdir().unwrap();
    let mut accounts = accounts(1);
    let (chain, to) = (chain(), Address::repeat_byte(9));
    let app = open(home.path());
    app.init_chain(&genesis(&accounts, 1, 60_000_000)).unwrap();
    let mut last = None;
    for height in 1..=3 {
        let tx = accounts[0].eth(&chain, &EthCall::pay(to, 5));
        app.finalize_block(&block(height, vec![tx])).unwrap();
        last = Some((app.commit().unwrap(), app.block(height).unwrap().unwrap()));
    }
    let (committed, newest) = last.unwrap();
    // Executed, and not committed.
    let waits = accounts[0].eth(&chain, &EthCall::pay(to, 5));
    let want = app.finalize_block(&block(4, vec![waits.clone()])).unwrap();
    drop(app);

    let app = open(home.path());
    let info = app.info().unwrap();
    assert_eq!((info.version, info.app_version), (committed.version, 1));
    assert_eq!(app.block(3).unwrap().unwrap(), newest);
    let hash = newest.evm_receipts().next().unwrap().hash;
    assert_eq!(app.find_tx(&hash).unwrap().unwrap().height, 3);
    assert_eq!(app.find_block(&newest.hash).unwrap(), Some(3));
    assert_eq!(app.check_tx(&waits, CheckKind::New).code, 0);
    assert_eq!(app.pending_sequence(&accounts[0].address).unwrap(), 4);
    assert!(
        app.pending_raw(&x_evm::unwrap(&waits, &chain.config).unwrap().unwrap().hash)
            .is_some()
    );
    // The height after the last and no other; the block comes out as before.
    for wrong in [1, 3, 5] {
        let why = app
            .finalize_block(&block(wrong, Vec::new()))
            .unwrap_err()
            .to_string();
        assert!(why.contains("want height 4"), "{why}");
    }
    assert!(app.commit().is_err());
    for _ in 0..2 {
        let have = app.finalize_block(&block(4, vec![waits.clone()])).unwrap();
        assert_eq!((have.app_hash, &have.results), (want.app_hash, &want.results));
    }
    assert_eq!(app.commit().unwrap().version.root, want.app_hash);
    let balance = |height| x_bank::balance(&app.state_at(height).unwrap(), &to, "abraid").unwrap();
    assert_eq!([balance(1), balance(0)], [U256::from(5), U256::from(20)]);
}
