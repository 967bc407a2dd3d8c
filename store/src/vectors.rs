//! Replays vector files recorded from cosmos/iavl and the SDK's multistore: roots, proofs, exports, app hashes.
use crate::Frozen;
use crate::iavl::{ExportNode, Tree};
use crate::multistore::{Trees, app_hash, commit_info};
use prost::Message;
use serde_json::Value as Json;
use state::{Control, EMPTY_ROOT, Key, Proven, StoreId, Version};
use std::collections::BTreeMap;
use std::path::Path;

/// What came of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Checks that held.
    pub passed: u64,
    /// Checks that did not, one line each.
    pub failures: Vec<String>,
}

/// Why a file could not be replayed to its end.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// The file could not be read.
    #[error("cannot read {0}: {1}")]
    Read(String, std::io::Error),
    /// A line is not a record of a known kind.
    #[error("line {line}: {why}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

/// Replays `file`: one JSON record a line; kinds `case`, `version`, `proof`, `export` of one tree, and `meta`, `empty`,
/// `version`, `query` of a multistore. Other kinds are for information and are passed over.
pub fn run(file: &Path) -> Result<Outcome, VectorError> {
    let text = std::fs::read_to_string(file).map_err(|e| VectorError::Read(file.display().to_string(), e))?;
    let mut replay = Replay::default();
    for (i, line) in text.lines().enumerate() {
        let fail = |why: String| VectorError::Line { line: i + 1, why };
        let record: Json = serde_json::from_str(line).map_err(|e| fail(e.to_string()))?;
        replay.record(i + 1, &record).map_err(fail)?;
    }
    Ok(replay.outcome)
}

#[derive(Default)]
struct Replay {
    outcome: Outcome,
    tree: Tree,
    /// The single tree's versions.
    versions: BTreeMap<u64, Tree>,
    trees: Trees,
    /// The multistore's versions.
    frozen: BTreeMap<u64, Frozen>,
}

type Step<T> = Result<T, String>;

impl Replay {
    fn check(&mut self, line: usize, what: &str, holds: bool) {
        if holds {
            self.outcome.passed += 1;
        } else {
            self.outcome.failures.push(format!("line {line}: {what} differs"));
        }
    }

    fn record(&mut self, line: usize, record: &Json) -> Step<()> {
        match text(record, "type")? {
            "case" => (self.tree, self.versions) = (Tree::new(), BTreeMap::new()),
            "version" if record["app_hash"].is_string() => self.multi_version(line, record)?,
            "version" => {
                let version = number(record, "v")?;
                for op in ops(record)? {
                    op.apply(&mut self.tree, version)?;
                }
                let root = self.tree.seal();
                let (size, height) = (number(record, "size")?, number(record, "height")?);
                let shape = self.tree.size() == size && u64::from(self.tree.height()) == height;
                self.versions.insert(version, self.tree.clone());
                self.check(line, "root", root[..] == bytes(record, "root")? && shape);
            }
            "proof" => {
                let (tree, key) = (self.version(record)?, bytes(record, "key")?);
                let value = if record["exist"] == true {
                    Some(bytes(record, "value")?)
                } else {
                    None
                };
                let holds = tree.get(&key).map(|v| v.to_vec()) == value
                    && tree.prove(&key).encode_to_vec() == bytes(record, "proof")?;
                self.check(line, "proof", holds);
            }
            "export" => {
                let mut nodes = Vec::new();
                let _ = self.version(record)?.export(&mut |node| {
                    nodes.push(as_json(&node));
                    Control::Continue(())
                });
                self.check(line, "export", record["nodes"].as_array() == Some(&nodes));
            }
            "meta" => {
                let names = record["stores"].as_array().ok_or("no stores")?;
                for name in names {
                    let id = name.as_str().and_then(StoreId::parse).ok_or("bad store name")?;
                    self.trees.insert(id, Tree::new());
                }
            }
            "empty" => {
                let holds =
                    bytes(record, "last_commit_hash")? == EMPTY_ROOT && app_hash(&Trees::new()) == EMPTY_ROOT;
                self.check(line, "app hash of no stores", holds);
            }
            "query" => self.query(line, record)?,
            _ => {}
        }
        Ok(())
    }

    fn version(&self, record: &Json) -> Step<&Tree> {
        let v = number(record, "v")?;
        self.versions.get(&v).ok_or_else(|| format!("no version {v}"))
    }

    fn multi_version(&mut self, line: usize, record: &Json) -> Step<()> {
        let height = number(record, "v")?;
        for op in ops(record)? {
            // Transient and memory stores are no part of the app hash.
            if let Some(tree) = StoreId::parse(&op.store).and_then(|id| self.trees.get_mut(&id)) {
                op.apply(tree, height)?;
            }
        }
        self.trees.values_mut().for_each(|tree| {
            tree.seal();
        });
        let root = app_hash(&self.trees);
        let info = commit_info(height, &self.trees).encode_to_vec();
        self.frozen
            .insert(height, Frozen::new(Version { height, root }, self.trees.clone()));
        let holds = root[..] == bytes(record, "app_hash")? && info == bytes(record, "commit_info_proto")?;
        self.check(line, "app hash or commit info", holds);
        Ok(())
    }

    fn query(&mut self, line: usize, record: &Json) -> Step<()> {
        let height = number(record, "height")?;
        let frozen = self
            .frozen
            .get(&height)
            .ok_or_else(|| format!("no height {height}"))?;
        let store = StoreId::parse(text(record, "store")?).ok_or("bad store name")?;
        let key = Key::new(store, &[&bytes(record, "key")?]);
        let Proven { value, ops } = frozen.prove(&key).map_err(|e| e.to_string())?;
        let want = record["proof_ops"].as_array().ok_or("no proof_ops")?;
        let mut holds = value.is_some() == (record["exist"] == true) && ops.len() == want.len();
        if record["value"].is_string() {
            holds &= value.map_or(Vec::new(), |v| v.to_vec()) == bytes(record, "value")?;
        }
        for (op, want) in ops.iter().zip(want) {
            holds &= op.kind == text(want, "type")?
                && op.key == bytes(want, "key")?
                && op.data == bytes(want, "data")?;
        }
        self.check(line, "query", holds);
        Ok(())
    }
}

/// One edit: a set, or with `None` a remove, and whether a remove says it found the key.
struct Edit {
    store: String,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    found: Option<bool>,
}

impl Edit {
    fn apply(self, tree: &mut Tree, version: u64) -> Step<()> {
        let Some(value) = self.value else {
            let found = tree.remove(&self.key, version);
            let agrees = self.found.is_none_or(|want| want == found);
            return agrees
                .then_some(())
                .ok_or_else(|| format!("remove of {} found {found}", hex::encode(&self.key)));
        };
        tree.set(&self.key, value.into(), version);
        Ok(())
    }
}

/// Of one tree: `["s", key, value]`, `["r", key, found]`; of a multistore the store's name comes first.
fn ops(record: &Json) -> Step<Vec<Edit>> {
    if record["gen"].is_object() {
        return generated(&record["gen"]);
    }
    let one = |op: &Json| {
        let fields: Vec<&str> = op
            .as_array()
            .ok_or("op is no list")?
            .iter()
            .filter_map(Json::as_str)
            .collect();
        let (store, fields) = if fields.len() == 4 {
            (fields[0], &fields[1..])
        } else {
            ("", &fields[..])
        };
        let &[kind, key, last] = fields else {
            return Err(format!("op {op}"));
        };
        let value = if kind == "s" { Some(unhex(last)?) } else { None };
        let found = (kind == "r" && !last.is_empty()).then_some(last == "1");
        Ok(Edit {
            store: store.to_owned(),
            key: unhex(key)?,
            value,
            found,
        })
    };
    record["ops"]
        .as_array()
        .ok_or("no ops")?
        .iter()
        .map(one)
        .collect()
}

/// The generator that the case's note describes (splitmix64).
fn generated(spec: &Json) -> Step<Vec<Edit>> {
    let [n, space, klen, vlen, rm] = ["n", "space", "klen", "vlen", "rm"].map(|name| number(spec, name));
    let (n, space, klen, vlen, rm) = (n?, space?, klen? as usize, vlen? as usize, rm?);
    let mut random = SplitMix(number(spec, "seed")?);
    let one = |_| {
        let mut key = SplitMix(random.next() % space.max(1) + 1_000_000);
        let key = key.bytes(klen);
        let value = if random.next() % 100 < rm {
            None
        } else {
            Some(random.bytes(vlen))
        };
        Edit {
            store: String::new(),
            key,
            value,
            found: None,
        }
    };
    Ok((0..n).map(one).collect())
}

/// Sebastiano Vigna's splitmix64.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(len);
        out
    }
}

fn as_json(node: &ExportNode) -> Json {
    let value = node.value.as_ref().map_or(Json::Null, |v| hex::encode(v).into());
    Json::Array(vec![
        hex::encode(&node.key).into(),
        value,
        node.version.into(),
        node.height.into(),
    ])
}

fn text<'a>(record: &'a Json, field: &str) -> Step<&'a str> {
    record[field].as_str().ok_or_else(|| format!("no {field}"))
}
fn number(record: &Json, field: &str) -> Step<u64> {
    record[field].as_u64().ok_or_else(|| format!("no {field}"))
}
fn bytes(record: &Json, field: &str) -> Step<Vec<u8>> {
    unhex(text(record, field)?)
}
fn unhex(text: &str) -> Step<Vec<u8>> {
    hex::decode(text).map_err(|e| e.to_string())
}
