//! Questions about old heights are answered from flat history as they are from trees.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
mod common;
use app::Query;
use common::{Node, executor, mix};
use state::{Control, KeyRange, StateScan};
use store::{Config, DiskStore};
use workload::Weights;

#[test]
fn every_height_is_asked_alike_whether_trees_or_history_answer() {
    let (genesis, mut mix) = mix(5, 8);
    let home = tempfile::tempdir().unwrap();
    let config = Config {
        ring: 2,
        history_tail: 8,
        ..Config::new(app::stores())
    };
    // One keeps all versions in RAM, the other only the newest two.
    let mut trees = Node::start(&genesis, 2);
    let mut old = Node::over(
        DiskStore::open(home.path(), config).unwrap(),
        &genesis,
        executor(2),
    );
    for block in 0..24 {
        let txs = if block == 0 {
            mix.setup()
        } else {
            mix.block(12, &Weights::ALL)
        };
        let (want, _) = trees.run(txs.clone());
        let (have, _) = old.run(txs);
        assert_eq!(want.app_hash, have.app_hash);
    }
    for height in 1..=trees.height {
        let (want, have) = (
            trees.app.state_at(height).unwrap(),
            old.app.state_at(height).unwrap(),
        );
        for store in app::stores() {
            let pairs = |state: &dyn StateScan, descending: bool| {
                let mut pairs = Vec::new();
                let range = KeyRange {
                    descending,
                    ..KeyRange::prefix(store, &[])
                };
                let visit = &mut |key: &state::Key, value: &state::Value| {
                    pairs.push((key.clone(), value.clone()));
                    Control::Continue(())
                };
                state.scan(&range, visit).unwrap();
                pairs
            };
            let all = pairs(&want, false);
            assert_eq!(all, pairs(&have, false), "{store:?} at {height}");
            assert_eq!(pairs(&want, true), pairs(&have, true), "{store:?} at {height}");
            for (key, _) in all.iter().step_by(7) {
                let query = Query {
                    path: format!("/store/{}/key", store.name()),
                    data: types::Bytes::copy_from_slice(key.bytes()),
                    height: height as i64,
                    prove: height > 1,
                };
                let (want, have) = (trees.app.query(&query), old.app.query(&query));
                assert_eq!(
                    (want.code, &want.value, &want.proof),
                    (have.code, &have.value, &have.proof)
                );
            }
        }
        let (want, have) = (
            trees.app.context_at(height).unwrap(),
            old.app.context_at(height).unwrap(),
        );
        assert_eq!(
            (want.height, want.base_fee, want.parent_hash),
            (have.height, have.base_fee, have.parent_hash)
        );
    }
}
