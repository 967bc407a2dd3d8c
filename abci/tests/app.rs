//! The real app behind the listener: a chain started, a block committed, requests out of order, all over a socket.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use abci::{AbciApp, Address, OnFatal, ReadBuffer, Server, write_frame};
use app::genesis::{GenesisSpec, app_state};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use store::MemoryStore;
use tendermint_proto::google::protobuf::Timestamp;
use tendermint_proto::v0_38::abci::{request::Value as Ask, response::Value as Answer, *};
use tendermint_proto::v0_38::crypto::{PublicKey, public_key::Sum};
use tendermint_proto::v0_38::types::{BlockParams, ConsensusParams};
use types::{ChainConfig, U256};
use x_staking::GenesisValidator;

struct Running {
    _server: Server,
    stream: UnixStream,
    buffer: ReadBuffer,
    fatal: mpsc::Receiver<String>,
    _dir: tempfile::TempDir,
}

fn start() -> Running {
    let dir = tempfile::tempdir().unwrap();
    let address = Address::Unix(dir.path().join("abci.sock"));
    let options = app::Options {
        executor: Arc::new(executor::AnyExecutor::Serial),
        sender_cache: 100,
        call_gas_cap: 1_000_000,
    };
    let store = MemoryStore::new(store::Config::new(app::stores()));
    let app = AbciApp::new(Arc::new(app::App::open(store, options).unwrap()));
    let (tell, fatal) = mpsc::channel();
    let on_fatal: OnFatal = Arc::new(move |why| tell.send(why).unwrap());
    let server = Server::start(&address, app, on_fatal).unwrap();
    let stream = UnixStream::connect(dir.path().join("abci.sock")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    Running {
        _server: server,
        stream,
        buffer: ReadBuffer::default(),
        fatal,
        _dir: dir,
    }
}

impl Running {
    fn ask(&mut self, value: Ask) -> Answer {
        let mut out = Vec::new();
        write_frame(&Request { value: Some(value) }, &mut out);
        self.stream.write_all(&out).unwrap();
        loop {
            if let Some(response) = self.buffer.next::<Response>().unwrap() {
                return response.value.unwrap();
            }
            assert!(
                self.buffer.fill(&mut self.stream).unwrap(),
                "the connection ended"
            );
        }
    }
    fn fatal(&self) -> String {
        self.fatal.recv_timeout(Duration::from_secs(30)).unwrap()
    }
}

const KEY: [u8; 32] = [3; 32];

fn init_chain() -> RequestInitChain {
    let config = ChainConfig::braid();
    let operator = types::Address::repeat_byte(7);
    let stake = config.power_reduction() * U256::from(10);
    let validators = vec![GenesisValidator::new(operator, "one", KEY, stake)];
    let state = app_state(&GenesisSpec {
        config,
        accounts: Vec::new(),
        validators,
    })
    .unwrap();
    RequestInitChain {
        time: Some(Timestamp {
            seconds: 1_700_000_000,
            nanos: 0,
        }),
        chain_id: "braid-test-1".into(),
        consensus_params: Some(ConsensusParams {
            block: Some(BlockParams {
                max_bytes: 1 << 20,
                max_gas: 60_000_000,
            }),
            ..Default::default()
        }),
        validators: vec![ValidatorUpdate {
            pub_key: Some(PublicKey {
                sum: Some(Sum::Ed25519(KEY.into())),
            }),
            power: 10,
        }],
        app_state_bytes: serde_json::to_vec(&state).unwrap().into(),
        initial_height: 1,
    }
}

fn block(height: i64) -> RequestFinalizeBlock {
    RequestFinalizeBlock {
        txs: vec![types::Bytes::from_static(b"no transaction")],
        hash: vec![1; 32].into(),
        height,
        time: Some(Timestamp {
            seconds: 1_700_000_001,
            nanos: 0,
        }),
        proposer_address: vec![2; 20].into(),
        ..Default::default()
    }
}

#[test]
fn a_chain_starts_and_commits_and_reports_what_it_committed() {
    let mut node = start();
    let Answer::Info(info) = node.ask(Ask::Info(RequestInfo::default())) else {
        panic!()
    };
    assert_eq!((info.last_block_height, info.last_block_app_hash.len()), (0, 0));
    let Answer::InitChain(started) = node.ask(Ask::InitChain(init_chain())) else {
        panic!()
    };
    assert_eq!(started.app_hash.len(), 32);
    assert_eq!(
        started.validators.iter().map(|v| v.power).collect::<Vec<_>>(),
        [10]
    );

    // A proposal with garbage in it is refused; a decided block with garbage in it is executed (chain.md rule 7).
    let first = block(1);
    let proposal = RequestProcessProposal {
        txs: first.txs.clone(),
        hash: first.hash.clone(),
        height: 1,
        time: first.time,
        proposer_address: first.proposer_address.clone(),
        ..Default::default()
    };
    let Answer::ProcessProposal(judged) = node.ask(Ask::ProcessProposal(proposal)) else {
        panic!()
    };
    assert_eq!(
        judged.status,
        i32::from(response_process_proposal::ProposalStatus::Reject)
    );
    let Answer::FinalizeBlock(done) = node.ask(Ask::FinalizeBlock(first)) else {
        panic!()
    };
    assert_eq!(done.tx_results.len(), 1);
    assert_ne!(done.tx_results[0].code, 0);
    let Answer::Commit(_) = node.ask(Ask::Commit(RequestCommit {})) else {
        panic!()
    };
    let Answer::Info(info) = node.ask(Ask::Info(RequestInfo::default())) else {
        panic!()
    };
    assert_eq!(
        (info.last_block_height, info.last_block_app_hash),
        (1, done.app_hash)
    );

    let Answer::CheckTx(checked) = node.ask(Ask::CheckTx(RequestCheckTx::default())) else {
        panic!()
    };
    assert_ne!(checked.code, 0, "no bytes are no transaction");
    let bad = RequestQuery {
        path: "/no/such/path".into(),
        ..Default::default()
    };
    let Answer::Query(answer) = node.ask(Ask::Query(bad)) else {
        panic!()
    };
    assert!(
        answer.code != 0 && answer.log.contains("/no/such/path"),
        "{answer:?}"
    );
    // The SDK proves nothing at the first height.
    let Answer::FinalizeBlock(_) = node.ask(Ask::FinalizeBlock(block(2))) else {
        panic!()
    };
    node.ask(Ask::Commit(RequestCommit {}));
    let proven = RequestQuery {
        path: "/store/bank/key".into(),
        data: vec![5].into(),
        prove: true,
        height: 2,
    };
    let Answer::Query(answer) = node.ask(Ask::Query(proven)) else {
        panic!()
    };
    assert_eq!(answer.code, 0, "{}", answer.log);
    assert_eq!(answer.proof_ops.unwrap().ops.len(), 2);
    let Answer::ListSnapshots(list) = node.ask(Ask::ListSnapshots(RequestListSnapshots {})) else {
        panic!()
    };
    assert!(list.snapshots.is_empty());
    let Answer::OfferSnapshot(offer) = node.ask(Ask::OfferSnapshot(RequestOfferSnapshot::default())) else {
        panic!()
    };
    assert_eq!(offer.result, i32::from(response_offer_snapshot::Result::Reject));
    assert!(node.fatal.try_recv().is_err());
}

#[test]
fn a_request_that_makes_no_sense_gets_an_exception_and_the_next_an_answer() {
    let mut node = start();
    node.ask(Ask::InitChain(init_chain()));
    let Answer::Exception(e) = node.ask(Ask::FinalizeBlock(block(-4))) else {
        panic!()
    };
    assert_eq!(e.error, "FinalizeBlock: height -4: want at least 1");
    let Answer::Exception(e) = node.ask(Ask::CheckTx(RequestCheckTx {
        r#type: 9,
        ..Default::default()
    })) else {
        panic!()
    };
    assert_eq!(e.error, "CheckTx: unknown type 9");
    let Answer::FinalizeBlock(_) = node.ask(Ask::FinalizeBlock(block(1))) else {
        panic!()
    };
    assert!(node.fatal.try_recv().is_err());
}

#[test]
fn a_block_out_of_order_and_a_genesis_without_sense_stop_the_node() {
    let mut node = start();
    node.ask(Ask::InitChain(init_chain()));
    let Answer::Exception(e) = node.ask(Ask::FinalizeBlock(block(3))) else {
        panic!()
    };
    assert!(e.error.contains("finalize block 3: want height 1"), "{}", e.error);
    assert_eq!(node.fatal(), e.error);

    let mut node = start();
    let Answer::Exception(e) = node.ask(Ask::Commit(RequestCommit {})) else {
        panic!()
    };
    assert_eq!(node.fatal(), e.error);

    let mut node = start();
    let broken = RequestInitChain {
        app_state_bytes: types::Bytes::from_static(b"{"),
        ..init_chain()
    };
    let Answer::Exception(e) = node.ask(Ask::InitChain(broken)) else {
        panic!()
    };
    assert!(e.error.contains("app_state"), "{}", e.error);
    assert_eq!(node.fatal(), e.error);
}
