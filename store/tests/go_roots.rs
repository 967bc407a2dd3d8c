//! Blocks through the store, hashed in bulk, against cosmos/iavl in Go on the same blocks.
//!
//! The program is xtask/go/iavl: `BRAID_IAVL`, as `cargo xtask test` sets it, or built here; skipped where there is
//! no Go. It makes trees and blocks from a seed as `random.go` and `roots.go` say, and so does this file.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use serde_json::Value as Json;
use state::{BlockRecord, ChangeSet, CommitStore, Key, StoreId, Value};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};
use store::{Config, MemoryStore};

const STORE: StoreId = StoreId::new("bench");
/// Keys to choose from, most changes a block, first and last version: `trees` of roots.go.
const TREES: [(u64, u64, u64, u64); 4] = [
    (40, 12, 1, 60),
    (2_000, 400, 1, 30),
    (300, 60, 100_000, 100_020),
    (60_000, 15_000, 1, 8),
];

/// Sebastiano Vigna's splitmix64.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    /// As many little-endian words as it needs, the last one cut.
    fn bytes(&mut self, len: u64) -> Vec<u8> {
        let words = (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes());
        // All words are drawn: only then is the last one cut.
        let mut out: Vec<u8> = words.collect();
        out.truncate(len as usize);
        out
    }
}

type State = BTreeMap<Vec<u8>, Value>;
type Block = BTreeMap<Vec<u8>, Option<Value>>;

/// `testKey` of random.go.
fn key(n: u64) -> Vec<u8> {
    let number = n.to_be_bytes();
    match n % 4 {
        0 => number[(7 - n / 4 % 8) as usize..].to_vec(),
        1 => [b"a prefix that many keys share/", &number[..]].concat(),
        2 => SplitMix(n).bytes(32),
        _ => [&number[..], &vec![0xaa; (n % 200) as usize]].concat(),
    }
}

/// `testValue` of random.go.
fn value(r: &mut SplitMix) -> Value {
    let len = match r.below(8) {
        0 => 0,
        1 => 1000 + r.below(100),
        _ => 1 + r.below(64),
    };
    r.bytes(len).into()
}

/// `testBlock` of random.go.
fn block(r: &mut SplitMix, state: &State, space: u64, most: u64) -> Block {
    let kind = r.below(16);
    let count = match kind {
        0 => 0,
        1 => return state.keys().map(|key| (key.clone(), None)).collect(),
        _ => 1 + r.below(most),
    };
    let mut block = Block::new();
    for _ in 0..count {
        let key = key(r.below(space));
        let chance = r.below(100);
        let change = match state.get(&key) {
            _ if kind == 2 || (kind > 3 && chance < 25) => None,
            Some(old) if kind == 3 || chance < 35 => Some(old.clone()),
            _ if kind > 3 => Some(value(r)),
            _ => continue,
        };
        block.insert(key, change);
    }
    block
}

/// What became of a block: its tree, version, changes, keys afterwards and root.
type Root = (u64, u64, u64, u64, String);

/// Our roots of the seed's trees, each block staged and committed. `spoil` may change a block before it is.
fn ours(seed: u64, mut spoil: impl FnMut(u64, u64, &mut Block)) -> Vec<Root> {
    let (mut r, mut roots) = (SplitMix(seed), Vec::new());
    for (tree, (space, most, first, last)) in (0..).zip(TREES) {
        let store = MemoryStore::new(Config {
            ring: 3,
            ..Config::new([STORE])
        });
        let mut state = State::new();
        for version in first..=last {
            let mut block = block(&mut r, &state, space, most);
            spoil(tree, version, &mut block);
            let changes: ChangeSet = block
                .iter()
                .map(|(key, change)| (Key::new(STORE, &[key]), change.clone()))
                .collect();
            let (_, staged) = store.stage(version, changes).unwrap();
            store.commit(staged, BlockRecord::default()).unwrap();
            let snapshot = store.snapshot(version).unwrap();
            let got = &snapshot.trees()[&STORE];
            roots.push((
                tree,
                version,
                block.len() as u64,
                got.size(),
                hex::encode(got.hash()),
            ));
            for (key, change) in block {
                match change {
                    Some(value) => state.insert(key, value),
                    None => state.remove(&key),
                };
            }
        }
    }
    roots
}

/// The Go program; `None` where there is no Go. Built once.
fn program() -> Option<&'static PathBuf> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        if let Some(given) = std::env::var_os("BRAID_IAVL") {
            return Some(PathBuf::from(given));
        }
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("braid-iavl");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/go/iavl");
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .current_dir(source)
            .status();
        match built {
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            built => {
                assert!(built.unwrap().success(), "go build of xtask/go/iavl");
                Some(program)
            }
        }
    };
    PROGRAM.get_or_init(build).as_ref()
}

/// Go's roots of the seed's trees.
fn gos(program: &Path, seed: u64) -> Vec<Root> {
    let output = Command::new(program)
        .args(["roots", &seed.to_string()])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let root = |line: &str| -> Root {
        let line: Json = serde_json::from_str(line).unwrap();
        let number = |name: &str| line[name].as_u64().unwrap();
        let root = line["root"].as_str().unwrap().to_owned();
        (
            number("tree"),
            number("version"),
            number("changes"),
            number("size"),
            root,
        )
    };
    text.lines().map(root).collect()
}

fn compare(seed: u64) {
    let Some(program) = program() else {
        println!("skipped: no go program on the PATH, and BRAID_IAVL names none built before");
        return;
    };
    let (ours, gos) = (ours(seed, |_, _, _| ()), gos(program, seed));
    let versions: u64 = TREES.iter().map(|(_, _, first, last)| last - first + 1).sum();
    assert_eq!((ours.len() as u64, gos.len() as u64), (versions, versions));
    for (ours, gos) in ours.iter().zip(&gos) {
        assert_eq!(ours, gos, "seed {seed}: (tree, version, changes, size, root)");
    }
}

#[test]
fn blocks_in_bulk_give_gos_roots() {
    // The recorded vectors have other trees and other seeds.
    for seed in [2, 71, 828, 1828, 459_045] {
        compare(seed);
    }
}

#[test]
fn random_blocks_in_bulk_give_gos_roots() {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = std::env::var("BRAID_SEED").map_or_else(|_| clock(), |s| s.parse().unwrap());
    println!("BRAID_SEED={seed}");
    compare(seed);
}

#[test]
fn one_byte_more_or_one_change_less_gives_another_root() {
    let right = ours(3, |_, _, _| ());
    let differs = |spoil: &mut dyn FnMut(u64, u64, &mut Block)| {
        let wrong = ours(3, spoil);
        right.iter().zip(&wrong).position(|(a, b)| a.4 != b.4)
    };
    // Tree 1's first version with values, counted from 0 over all trees.
    let place = right.iter().position(|root| root.0 == 1 && root.3 > 0).unwrap();
    let at = (right[place].0, right[place].1);
    let mut longer = |tree, version, block: &mut Block| {
        if (tree, version) == at {
            let value = block.values_mut().flatten().next().unwrap();
            *value = [&value[..], b"!"].concat().into();
        }
    };
    assert_eq!(differs(&mut longer), Some(place));
    let mut less = |tree, version, block: &mut Block| {
        if (tree, version) == at {
            let put = block
                .iter()
                .find(|(_, change)| change.is_some())
                .unwrap()
                .0
                .clone();
            block.remove(&put);
        }
    };
    assert_eq!(differs(&mut less), Some(place));
}
