//! The recorded trees, proofs and multistores of cosmos/iavl and the SDK, replayed.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use std::path::Path;
use store::vectors::run;

fn replay(name: &str) -> u64 {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name);
    let outcome = run(&file).unwrap();
    assert!(outcome.failures.is_empty(), "{name}: {:#?}", outcome.failures);
    outcome.passed
}

#[test]
fn every_root_proof_and_export_of_one_tree_is_gos() {
    // 514 roots, 186 proofs, 2 exports.
    assert_eq!(replay("iavl.jsonl"), 702);
}

#[test]
fn every_app_hash_and_query_of_a_multistore_is_the_sdks() {
    // 7 app hashes, 8 queries.
    assert_eq!(replay("multistore.jsonl"), 15);
}

#[test]
fn a_changed_root_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.jsonl");
    let root = "00".repeat(32);
    let record =
        format!(r#"{{"type":"version","v":1,"ops":[["s","61","31"]],"root":"{root}","size":1,"height":0}}"#);
    std::fs::write(&file, record).unwrap();
    let outcome = run(&file).unwrap();
    assert_eq!((outcome.passed, outcome.failures.len()), (0, 1));
    std::fs::write(&file, "{").unwrap();
    assert!(run(&file).unwrap_err().to_string().starts_with("line 1: "));
}
