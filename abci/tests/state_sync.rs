//! State sync as CometBFT drives it, between two apps on disks: what is offered, what is refused, and by whose fault.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use abci::{AbciApp, Failing};
use app::genesis::{GenesisSpec, app_state};
use std::path::Path;
use std::sync::Arc;
use store::DiskStore;
use tendermint_abci::Application;
use tendermint_proto::google::protobuf::Timestamp;
use tendermint_proto::v0_38::abci::response_apply_snapshot_chunk::Result as Applied;
use tendermint_proto::v0_38::abci::response_offer_snapshot::Result as Offered;
use tendermint_proto::v0_38::abci::*;
use tendermint_proto::v0_38::types::{BlockParams, ConsensusParams, VersionParams};
use types::{Bytes, ChainConfig, Coin, U256};
use x_staking::GenesisValidator;

type Node = AbciApp<DiskStore>;

fn node(home: &Path) -> Node {
    let options = app::Options {
        executor: Arc::new(executor::AnyExecutor::Serial),
        sender_cache: 100,
        call_gas_cap: 1_000_000,
    };
    let config = store::Config {
        snapshot_interval: 2,
        ..store::Config::new(app::stores())
    };
    let store = DiskStore::open(home, config).unwrap();
    AbciApp::new(Arc::new(app::App::open(store, options).unwrap()))
}

fn block(height: i64) -> RequestFinalizeBlock {
    RequestFinalizeBlock {
        hash: vec![1; 32].into(),
        height,
        time: Some(Timestamp {
            seconds: 1_700_000_000 + height,
            nanos: 0,
        }),
        proposer_address: vec![2; 20].into(),
        ..Default::default()
    }
}

/// Plays a block. Gives the app hash.
fn play(node: &Node, height: i64) -> Bytes {
    let done = node.finalize_block(block(height));
    assert_eq!(node.take_failure(), None);
    node.commit();
    assert_eq!(node.take_failure(), None);
    done.app_hash
}

/// A chain of four blocks. Gives the app hashes from height 1 on.
fn chain(home: &Path) -> (Node, Vec<Bytes>) {
    let node = node(home);
    let account = app::genesis::GenesisAccount {
        address: types::Address::repeat_byte(9),
        coins: vec![Coin::new(U256::from(77), "abraid")],
    };
    let config = ChainConfig::braid();
    let stake = config.power_reduction() * U256::from(10);
    let validator = GenesisValidator::new(types::Address::repeat_byte(7), "one", [3; 32], stake);
    let state = app_state(&GenesisSpec {
        config,
        accounts: vec![account],
        validators: vec![validator],
    });
    node.init_chain(RequestInitChain {
        time: block(0).time,
        chain_id: "braid-test-1".into(),
        consensus_params: Some(ConsensusParams {
            block: Some(BlockParams {
                max_bytes: 1 << 20,
                max_gas: 60_000_000,
            }),
            version: Some(VersionParams { app: 3 }),
            ..Default::default()
        }),
        app_state_bytes: serde_json::to_vec(&state.unwrap()).unwrap().into(),
        initial_height: 1,
        ..Default::default()
    });
    assert_eq!(node.take_failure(), None);
    let mut hashes = Vec::new();
    for height in 1..=4 {
        hashes.push(play(&node, height));
        // One is written at a time.
        while height % 2 == 0
            && node
                .list_snapshots()
                .snapshots
                .first()
                .is_none_or(|s| s.height != height as u64)
        {
            std::thread::yield_now();
        }
    }
    (node, hashes)
}

fn offer(node: &Node, snapshot: &Snapshot, app_hash: &Bytes) -> Offered {
    let request = RequestOfferSnapshot {
        snapshot: Some(snapshot.clone()),
        app_hash: app_hash.clone(),
    };
    let answer = node.offer_snapshot(request);
    assert_eq!(node.take_failure(), None);
    Offered::try_from(answer.result).unwrap()
}

fn apply(node: &Node, index: u32, chunk: &Bytes) -> (Applied, ResponseApplySnapshotChunk) {
    let answer = node.apply_snapshot_chunk(RequestApplySnapshotChunk {
        index,
        chunk: chunk.clone(),
        sender: "peer".into(),
    });
    assert_eq!(node.take_failure(), None);
    (Applied::try_from(answer.result).unwrap(), answer)
}

#[test]
fn an_app_without_blocks_is_restored_and_goes_on_as_the_others_do() {
    let dir = tempfile::tempdir().unwrap();
    let (old, hashes) = chain(&dir.path().join("old"));
    let snapshots = old.list_snapshots().snapshots;
    assert_eq!(snapshots.iter().map(|s| s.height).collect::<Vec<_>>(), [4, 2]);
    let (snapshot, app_hash) = (&snapshots[1], &hashes[1]);
    let load = |chunk| {
        let Snapshot { height, format, .. } = *snapshot;
        old.load_snapshot_chunk(RequestLoadSnapshotChunk {
            height,
            format,
            chunk,
        })
        .chunk
    };
    assert_eq!((snapshot.chunks, load(1)), (1, Bytes::new()));
    let chunk = load(0);

    let new = node(&dir.path().join("new"));
    assert_eq!(apply(&new, 0, &chunk).0, Applied::Abort);
    assert_eq!(offer(&new, snapshot, &hashes[2]), Offered::Reject);
    assert_eq!(offer(&new, snapshot, &Bytes::new()), Offered::Reject);
    let of = |format| Snapshot {
        format,
        ..snapshot.clone()
    };
    assert_eq!(offer(&new, &of(9), app_hash), Offered::RejectFormat);
    assert_eq!(offer(&new, snapshot, app_hash), Offered::Accept);
    // A peer that sends something else is left, and another is asked.
    let mut corrupt = chunk.to_vec();
    corrupt[9] ^= 1;
    let (result, answer) = apply(&new, 0, &corrupt.into());
    assert_eq!(
        (result, answer.refetch_chunks, answer.reject_senders),
        (Applied::Retry, vec![0], vec!["peer".to_owned()])
    );
    assert_eq!(apply(&new, 1, &chunk).0, Applied::RetrySnapshot);
    assert_eq!(new.info(RequestInfo::default()).last_block_height, 0);
    assert_eq!(apply(&new, 0, &chunk).0, Applied::Accept);

    let info = new.info(RequestInfo::default());
    assert_eq!(
        (
            info.last_block_height,
            &info.last_block_app_hash,
            info.app_version
        ),
        (2, app_hash, 3)
    );
    assert_eq!(play(&new, 3), hashes[2]);
    assert_eq!(offer(&new, snapshot, app_hash), Offered::Abort);
    drop(new);
    let new = node(&dir.path().join("new"));
    let info = new.info(RequestInfo::default());
    assert_eq!(
        (info.last_block_height, &info.last_block_app_hash),
        (3, &hashes[2])
    );
    assert_eq!(play(&new, 4), hashes[3]);
}

#[test]
fn a_store_that_keeps_nothing_offers_nothing_and_takes_nothing() {
    let options = app::Options {
        executor: Arc::new(executor::AnyExecutor::Serial),
        sender_cache: 100,
        call_gas_cap: 1_000_000,
    };
    let store = store::MemoryStore::new(store::Config::new(app::stores()));
    let app = AbciApp::new(Arc::new(app::App::open(store, options).unwrap()));
    assert!(app.list_snapshots().snapshots.is_empty());
    let request = RequestOfferSnapshot {
        snapshot: Some(Snapshot::default()),
        app_hash: vec![0; 32].into(),
    };
    assert_eq!(app.offer_snapshot(request).result, i32::from(Offered::Abort));
    let applied = app.apply_snapshot_chunk(RequestApplySnapshotChunk::default());
    assert_eq!(applied.result, i32::from(Applied::Abort));
}
