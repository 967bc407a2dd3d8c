//! A proposal runs before it is decided, and nobody can tell but by the clock.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;
use app::{Block, EarlyStats};
use common::{Node, executor, mix, seen};
use module::Vote;
use state::{
    AppHash, BlockRecord, Bytes, ChangeSet, CommitStore, Key, Proven, StateSync, StoreError, Version,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Config, DiskStore, MemoryStore};
use types::{Address, B256};
use workload::{Mix, Weights};

/// Nothing that a proposal is refused for.
const WEIGHTS: Weights = Weights {
    invalid: 0,
    ..Weights::FUZZ
};

fn stats(started: u64, reused: u64, dropped: u64) -> EarlyStats {
    EarlyStats {
        started,
        reused,
        dropped,
        skipped: 0,
    }
}

fn go_on<S: CommitStore>(mix: &mut Mix, node: &Node<S>) {
    for account in &mut mix.accounts {
        account.sequence = node.sequence(&account.address);
    }
}

#[test]
fn a_proposal_run_early_gives_the_same_bytes_as_one_that_was_not() {
    let (genesis, mut mix) = mix(11, 10);
    let mut plain = Node::start(&genesis, 0);
    let mut early = [0, 2, 4].map(|threads| Node::start(&genesis, threads));
    for number in 0..6 {
        let txs = if number == 0 {
            mix.setup()
        } else {
            mix.block(60, &WEIGHTS)
        };
        let (want, stored) = plain.run(txs.clone());
        for node in &mut early {
            node.app.process_proposal(&node.block(txs.clone())).unwrap();
            let (have, other) = node.run(txs.clone());
            assert_eq!(seen(&have), seen(&want));
            assert_eq!(other, stored);
        }
        go_on(&mut mix, &plain);
    }
    for node in early {
        assert_eq!(node.app.early_stats(), stats(6, 6, 0));
    }
    assert_eq!(plain.app.early_stats(), stats(0, 0, 0));
}

#[test]
fn whatever_is_decided_otherwise_than_proposed_is_run_anew() {
    let (genesis, mut mix) = mix(12, 6);
    let setup = mix.setup();
    let txs = mix.block(30, &WEIGHTS);
    let vote = Vote {
        validator: Address::repeat_byte(1),
        power: 1,
        absent: true,
    };
    let changes: [fn(&mut Block, Vote); 6] = [
        |b, _| drop(b.txs.pop()),
        |b, _| b.txs.swap(0, 1),
        |b, _| b.time.nanos += 1,
        |b, _| b.proposer = Address::repeat_byte(9),
        |b, _| b.hash = B256::repeat_byte(9),
        |b, vote| b.votes.push(vote),
    ];
    for change in changes {
        let [mut plain, mut early] = [0, 2].map(|threads| Node::start(&genesis, threads));
        for node in [&mut plain, &mut early] {
            node.run(setup.clone());
        }
        let proposed = early.block(txs.clone());
        let mut decided = proposed.clone();
        change(&mut decided, vote.clone());
        early.app.process_proposal(&proposed).unwrap();
        let have = early.app.finalize_block(&decided).unwrap();
        assert_eq!(seen(&have), seen(&plain.app.finalize_block(&decided).unwrap()));
        assert_eq!(early.app.early_stats(), stats(1, 0, 1));
    }
}

#[test]
fn a_later_proposal_takes_the_place_of_an_earlier_and_the_same_one_again_keeps_it() {
    let (genesis, mut mix) = mix(13, 6);
    let [mut plain, mut early] = [0, 2].map(|threads| Node::start(&genesis, threads));
    let setup = mix.setup();
    early.run(setup.clone());
    plain.run(setup);
    let first = early.block(mix.block(40, &WEIGHTS));
    let second = Block {
        txs: first.txs[10..].to_vec(),
        hash: B256::repeat_byte(2),
        ..first.clone()
    };
    early.app.process_proposal(&first).unwrap();
    early.app.process_proposal(&first).unwrap();
    assert_eq!(early.app.early_stats(), stats(1, 0, 0));
    early.app.process_proposal(&second).unwrap();
    let have = early.app.finalize_block(&second).unwrap();
    assert_eq!(early.app.early_stats(), stats(2, 1, 1));
    assert_eq!(seen(&have), seen(&plain.app.finalize_block(&second).unwrap()));
    // Asked again, for the same and for another: run again, each from the state before.
    for block in [&second, &first, &second] {
        let have = early.app.finalize_block(block).unwrap();
        assert_eq!(seen(&have), seen(&plain.app.finalize_block(block).unwrap()));
    }
    assert_eq!(early.app.early_stats(), stats(2, 1, 1));
    early.app.commit().unwrap();
    plain.app.commit().unwrap();
    assert_eq!(early.app.block(2).unwrap(), plain.app.block(2).unwrap());
}

#[test]
fn many_proposals_in_quick_succession_leave_one_and_the_last_counts() {
    let (genesis, mut mix) = mix(14, 6);
    let [mut plain, mut early] = [0, 2].map(|threads| Node::start(&genesis, threads));
    let setup = mix.setup();
    early.run(setup.clone());
    plain.run(setup);
    let block = early.block(mix.block(60, &WEIGHTS));
    let mut last = block.clone();
    for round in 0..50u8 {
        last.hash = B256::repeat_byte(round + 1);
        early.app.process_proposal(&last).unwrap();
    }
    let have = early.app.finalize_block(&last).unwrap();
    assert_eq!(seen(&have), seen(&plain.app.finalize_block(&last).unwrap()));
    let done = early.app.early_stats();
    assert_eq!(done.started + done.skipped, 50, "{done:?}");
    assert_eq!(done.started, done.reused + done.dropped, "{done:?}");
}

#[test]
fn only_what_was_accepted_for_the_next_height_is_run() {
    let (genesis, mut mix) = mix(15, 4);
    let mut node = Node::start(&genesis, 2);
    node.run(mix.setup());
    let good = node.block(mix.block(5, &WEIGHTS));
    let garbage = Block {
        txs: vec![Bytes::from_static(b"?")],
        ..good.clone()
    };
    assert!(node.app.process_proposal(&garbage).is_err());
    let unnamed = Block {
        hash: B256::ZERO,
        ..good.clone()
    };
    node.app.process_proposal(&unnamed).unwrap();
    let far = Block {
        height: good.height + 1,
        ..good.clone()
    };
    node.app.process_proposal(&far).unwrap();
    // A proposer judges what it has made itself; it has no hash yet.
    node.app.prepare_proposal(&good, 1 << 20);
    assert_eq!(node.app.early_stats(), stats(0, 0, 0));
}

/// Counts what reaches the store.
#[derive(Debug)]
struct Counting {
    inner: MemoryStore,
    staged: Arc<AtomicU64>,
}

impl StateSync for Counting {}

impl CommitStore for Counting {
    type Snapshot = <MemoryStore as CommitStore>::Snapshot;
    type Staged = <MemoryStore as CommitStore>::Staged;

    fn latest(&self) -> Version {
        self.inner.latest()
    }
    fn durable(&self) -> Result<Version, StoreError> {
        self.inner.durable()
    }
    fn oldest(&self) -> u64 {
        self.inner.oldest()
    }
    fn snapshot(&self, height: u64) -> Result<Self::Snapshot, StoreError> {
        self.inner.snapshot(height)
    }
    fn stage(&self, height: u64, changes: ChangeSet) -> Result<(AppHash, Self::Staged), StoreError> {
        self.staged.fetch_add(1, Ordering::SeqCst);
        self.inner.stage(height, changes)
    }
    fn commit(&self, staged: Self::Staged, record: BlockRecord) -> Result<Version, StoreError> {
        self.inner.commit(staged, record)
    }
    fn record(&self, height: u64) -> Result<Option<Bytes>, StoreError> {
        self.inner.record(height)
    }
    fn find(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.inner.find(key)
    }
    fn prove(&self, height: u64, key: &Key) -> Result<Proven, StoreError> {
        self.inner.prove(height, key)
    }
}

#[test]
fn nothing_is_staged_before_the_decision() {
    let (genesis, mut mix) = mix(16, 6);
    let staged = Arc::new(AtomicU64::new(0));
    let store = Counting {
        inner: MemoryStore::new(Config::new(app::stores())),
        staged: staged.clone(),
    };
    let node = Node::over(store, &genesis, executor(2));
    let block = node.block(mix.setup());
    let again = Block {
        hash: B256::repeat_byte(7),
        ..block.clone()
    };
    for proposal in [&block, &again, &block] {
        node.app.process_proposal(proposal).unwrap();
    }
    // Genesis anew: what ran on the old one is gone.
    node.app.init_chain(&genesis).unwrap();
    assert_eq!(node.app.early_stats().dropped, node.app.early_stats().started);
    assert_eq!(staged.load(Ordering::SeqCst), 0);
    node.app.process_proposal(&block).unwrap();
    node.app.finalize_block(&block).unwrap();
    assert_eq!(
        (staged.load(Ordering::SeqCst), node.app.early_stats().reused),
        (1, 1)
    );
}

#[test]
fn a_node_that_ends_between_proposal_and_commit_goes_on_from_the_last_commit() {
    let (genesis, mut mix) = mix(17, 8);
    let mut plain = Node::start(&genesis, 0);
    let home = tempfile::tempdir().unwrap();
    let open = || DiskStore::open(home.path(), Config::new(app::stores())).unwrap();
    let mut node = Node::over(open(), &genesis, executor(2));
    let setup = mix.setup();
    let (want, _) = plain.run(setup.clone());
    node.app.process_proposal(&node.block(setup.clone())).unwrap();
    assert_eq!(seen(&node.run(setup).0), seen(&want));
    let block = node.block(mix.block(80, &WEIGHTS));
    let want = plain.app.finalize_block(&block).unwrap();
    for finalize in [false, true] {
        node.app.process_proposal(&block).unwrap();
        if finalize {
            assert_eq!(seen(&node.app.finalize_block(&block).unwrap()), seen(&want));
        }
        // While it may still run: the store is free again all the same.
        drop(node);
        node = Node::reopen(open(), 1, executor(2));
        assert_eq!(node.app.height(), 1);
    }
    node.app.process_proposal(&block).unwrap();
    assert_eq!(seen(&node.app.finalize_block(&block).unwrap()), seen(&want));
    node.app.commit().unwrap();
    plain.app.commit().unwrap();
    assert_eq!(node.app.block(2).unwrap(), plain.app.block(2).unwrap());
}
