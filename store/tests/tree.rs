//! The tree against an ordered map, and its own invariants, over random blocks.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use sha2::{Digest, Sha256};
use state::{Control, Value};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};
use store::iavl::{ExportNode, Importer, Tree};

struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// A seed that differs from run to run, printed; `BRAID_SEED` replays one.
fn seed() -> u64 {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = std::env::var("BRAID_SEED").map_or_else(|_| clock(), |s| s.parse().unwrap());
    println!("BRAID_SEED={seed}");
    seed
}

type Model = BTreeMap<Vec<u8>, Value>;

fn random_block(r: &mut SplitMix, model: &Model, ops: u64, keys: u64) -> BTreeMap<Vec<u8>, Option<Value>> {
    (0..ops)
        .map(|_| {
            let n = r.below(keys);
            // Keys of different lengths, some a prefix of others, and the empty one.
            let key = n.to_be_bytes()[(8 - n % 9) as usize..].to_vec();
            let remove = r.below(100) < if model.len() as u64 > keys / 2 { 60 } else { 25 };
            let value = (!remove).then(|| Value::from(vec![r.below(256) as u8; r.below(40) as usize]));
            (key, value)
        })
        .collect()
}

/// Every node's height, size, key and version follow from those below; the tree is balanced.
fn check_shape(tree: &Tree, version: u64) {
    let mut stack: Vec<(Vec<u8>, u8, u64, u64)> = Vec::new();
    let mut importer = Importer::default();
    let _ = tree.export(&mut |ExportNode {
                                  key,
                                  value,
                                  version: v,
                                  height,
                              }| {
        assert!(v <= version);
        match value {
            Some(value) => {
                assert_eq!(height, 0);
                importer.leaf(key.clone(), value, v).unwrap();
                stack.push((key.to_vec(), 0, 1, v));
            }
            None => {
                importer.inner(height, v).unwrap();
                let (smallest, right_height, right_size, right_version) = stack.pop().unwrap();
                let (first, left_height, left_size, left_version) = stack.pop().unwrap();
                assert_eq!(*key, smallest[..], "an inner key is the smallest on its right");
                assert_eq!(height, left_height.max(right_height) + 1);
                assert!(left_height.abs_diff(right_height) <= 1, "balanced");
                assert!(
                    v >= left_version.max(right_version),
                    "no node is older than what lies below it"
                );
                stack.push((first, height, left_size + right_size, v));
            }
        }
        Control::Continue(())
    });
    let (height, size) = stack.pop().map_or((0, 0), |(_, height, size, _)| (height, size));
    assert!(stack.is_empty());
    assert_eq!((tree.height(), tree.size()), (height, size));
    assert_eq!(
        importer.finish().unwrap().hash(),
        tree.hash(),
        "an import of the export is the same tree"
    );
}

fn scanned(
    tree: &Tree,
    start: &[u8],
    end: Option<&[u8]>,
    descending: bool,
    most: usize,
) -> Vec<(Vec<u8>, Value)> {
    let mut out = Vec::new();
    let _ = tree.scan(start, end, descending, &mut |key, value| {
        out.push((key.to_vec(), value.clone()));
        if out.len() == most {
            Control::Break(())
        } else {
            Control::Continue(())
        }
    });
    out
}

fn check_content(tree: &Tree, model: &Model, r: &mut SplitMix, keys: u64) {
    assert_eq!(tree.size(), model.len() as u64);
    let all: Vec<(Vec<u8>, Value)> = model.clone().into_iter().collect();
    assert_eq!(scanned(tree, &[], None, false, usize::MAX), all);
    for _ in 0..20 {
        let key = r.below(keys).to_be_bytes()[r.below(8) as usize..].to_vec();
        assert_eq!(tree.get(&key).as_ref(), model.get(&key));
        let (start, end) = (key, r.below(keys).to_be_bytes()[r.below(8) as usize..].to_vec());
        let most = 1 + r.below(50) as usize;
        let mut want: Vec<_> = all
            .iter()
            .filter(|(k, _)| *k >= start && *k < end)
            .cloned()
            .collect();
        assert_eq!(
            scanned(tree, &start, Some(&end), false, most),
            want[..want.len().min(most)]
        );
        want.reverse();
        assert_eq!(
            scanned(tree, &start, Some(&end), true, most),
            want[..want.len().min(most)]
        );
    }
}

fn run(seed: u64, blocks: u64, ops: u64, keys: u64) {
    let mut r = SplitMix(seed);
    let (mut tree, mut model) = (Tree::new(), Model::new());
    let mut old = Vec::new();
    for version in 1..=blocks {
        let size = 1 + r.below(ops);
        let block = random_block(&mut r, &model, size, keys);
        let changes: Vec<_> = block.iter().map(|(k, v)| (&k[..], v.clone())).collect();
        let mut one_by_one = tree.clone();
        for (key, value) in &block {
            match value {
                Some(value) => assert_eq!(
                    one_by_one.set(key, value.clone(), version),
                    model.contains_key(key)
                ),
                None => assert_eq!(one_by_one.remove(key, version), model.contains_key(key)),
            }
        }
        tree.apply(&changes, version);
        assert_eq!(
            tree.hash(),
            one_by_one.seal(),
            "in bulk as one by one, version {version}"
        );
        for (key, value) in block {
            match value {
                Some(value) => model.insert(key, value),
                None => model.remove(&key),
            };
        }
        check_shape(&tree, version);
        check_content(&tree, &model, &mut r, keys);
        old.push((version, tree.clone(), tree.hash(), model.clone()));
        if old.len() > 6 {
            let place = r.below(old.len() as u64) as usize;
            let (version, tree, hash, model) = old.swap_remove(place);
            assert_eq!(tree.hash(), hash, "later versions leave earlier ones alone");
            check_shape(&tree, version);
            check_content(&tree, &model, &mut r, keys);
        }
    }
}

#[test]
fn small_random_blocks_agree_with_an_ordered_map() {
    let seed = seed();
    for i in 0..8 {
        run(seed.wrapping_add(i), 60, 12, 40);
    }
}

#[test]
fn big_random_blocks_on_all_cores_agree_with_an_ordered_map() {
    run(seed(), 12, 3000, 6000);
}

#[test]
fn a_block_that_changes_nothing_leaves_the_root() {
    let mut tree = Tree::new();
    assert_eq!(tree.apply(&[(b"absent", None)], 1), 0);
    assert_eq!(tree.hash(), state::EMPTY_ROOT);
    tree.apply(
        &[(b"a", Some(Value::from("1"))), (b"b", Some(Value::from("2")))],
        2,
    );
    let root = tree.hash();
    assert_eq!(tree.apply(&[], 3), 0);
    assert_eq!(tree.apply(&[(b"c", None)], 4), 0);
    assert_eq!(tree.hash(), root);
    // The same value again is a new leaf: the app leaves such changes out.
    assert_eq!(tree.apply(&[(b"a", Some(Value::from("1")))], 5), 2);
    assert_ne!(tree.hash(), root);
}

#[test]
fn a_stream_that_is_no_tree_is_refused() {
    let leaf = |i: &mut Importer, key: &[u8]| i.leaf(key.into(), Value::new(), 1);
    let mut i = Importer::default();
    leaf(&mut i, b"b").unwrap();
    assert_eq!(
        leaf(&mut i, b"a").unwrap_err().to_string(),
        "leaf at place 1 is not above the leaf before it"
    );
    assert!(i.inner(1, 1).is_err());
    let mut i = Importer::default();
    leaf(&mut i, b"a").unwrap();
    leaf(&mut i, b"b").unwrap();
    assert!(i.inner(2, 1).is_err());
    let mut i = Importer::default();
    leaf(&mut i, b"a").unwrap();
    leaf(&mut i, b"b").unwrap();
    assert!(i.finish().is_err());
}

/// cosmos/iavl `node.go`, `writeHashBytes`, written down once more.
fn leaf_hash(key: &[u8], value: &[u8], version: u64) -> [u8; 32] {
    let mut bytes = Vec::new();
    let mut varint = |mut n: u64| {
        while n >= 0x80 {
            bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        bytes.push(n as u8);
    };
    [0, 2, version * 2, key.len() as u64]
        .into_iter()
        .for_each(&mut varint);
    bytes.extend_from_slice(key);
    bytes.push(32);
    bytes.extend_from_slice(&Sha256::digest(value));
    Sha256::digest(&bytes).into()
}

#[test]
fn keys_and_values_of_every_length_hash_as_they_should() {
    let lens = [
        0, 1, 7, 8, 9, 54, 55, 56, 63, 64, 119, 120, 203, 204, 205, 247, 248, 300, 4050, 4096, 5000,
    ];
    for key_len in lens {
        for value_len in lens {
            let (key, value) = (vec![b'k'; key_len], Value::from(vec![b'v'; value_len]));
            let mut tree = Tree::new();
            tree.apply(&[(&key, Some(value.clone()))], 70_000);
            let want = leaf_hash(&key, &value, 70_000);
            assert_eq!(tree.hash(), want, "key of {key_len} bytes, value of {value_len}");
            // Beside a leaf of another length, and updated there.
            let other = [&key[..], b"z"].concat();
            for (version, text) in [(70_001, "short"), (70_002, "shorter")] {
                tree.apply(
                    &[(&key, Some(value.clone())), (&other, Some(text.into()))],
                    version,
                );
                let inner = [
                    &[
                        2,
                        4,
                        (version * 2) as u8 | 0x80,
                        ((version * 2) >> 7) as u8 | 0x80,
                    ][..],
                    &[((version * 2) >> 14) as u8, 32],
                    &leaf_hash(&key, &value, version),
                    &[32],
                    &leaf_hash(&other, text.as_bytes(), version),
                ];
                let want: [u8; 32] = Sha256::digest(inner.concat()).into();
                assert_eq!(tree.hash(), want, "key of {key_len} bytes, value of {value_len}");
                assert_eq!(tree.get(&key).as_ref(), Some(&value));
                assert_eq!(tree.get(&other).unwrap(), text);
            }
        }
    }
}

/// Values that lie outside the arena's words are let go of behind the commits while the next block makes room for more:
/// found as a deadlock by `cargo xtask torture`, seed 4242.
#[test]
fn long_values_come_and_go_on_two_threads_at_once() {
    use state::{BlockRecord, CommitStore, Key, StateRead, StoreId};
    let id = StoreId::new("long");
    let key = |n: u64| Key::new(id, &[&n.to_be_bytes()]);
    let long = |n: u64| Value::from(vec![n as u8; 5000]);
    let store = store::MemoryStore::new(store::Config {
        ring: 1,
        ..store::Config::new([id])
    });
    for height in 1..=300u64 {
        // Old ones are let go of, new ones make room grow.
        let keys = (0..60).chain(60 + height * 20..80 + height * 20);
        let changes = keys.map(|n| (key(n), Some(long(n + height)))).collect();
        let (_, staged) = store.stage(height, changes).unwrap();
        store.commit(staged, BlockRecord::default()).unwrap();
    }
    let newest = store.snapshot(300).unwrap();
    assert_eq!(newest.get(&key(3)).unwrap(), Some(long(303)));
}
