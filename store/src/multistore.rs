//! One app hash over all stores: an RFC-6962 tree over their names and roots (cosmos-sdk `store/types/commit_info.go`).
use crate::iavl::{Tree, put_uvarint};
use ics23::commitment_proof::Proof;
use ics23::{CommitmentProof, ExistenceProof, HashOp, InnerOp, LeafOp, LengthOp};
use sha2::{Digest, Sha256};
use state::{AppHash, EMPTY_ROOT, StoreId};
use std::collections::BTreeMap;

/// The trees of all stores, by name.
pub type Trees = BTreeMap<StoreId, Tree>;

/// Go's zero time, 1 January of year 1, in Unix seconds. The SDK writes the block's time here; it enters no hash, and
/// the store knows no time.
const ZERO_TIME_S: i64 = -62_135_596_800;

/// What was committed at a height (`cosmos.store.v1beta1.CommitInfo`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct CommitInfo {
    /// The height.
    #[prost(int64, tag = "1")]
    pub version: i64,
    /// The stores, by name.
    #[prost(message, repeated, tag = "2")]
    pub store_infos: Vec<StoreInfo>,
    /// Always Go's zero time.
    #[prost(message, optional, tag = "3")]
    pub timestamp: Option<Timestamp>,
}

/// A store's part of a commit (`cosmos.store.v1beta1.StoreInfo`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct StoreInfo {
    /// The store's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its version and root.
    #[prost(message, optional, tag = "2")]
    pub commit_id: Option<CommitId>,
}

/// A version and root (`cosmos.store.v1beta1.CommitID`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct CommitId {
    /// The height.
    #[prost(int64, tag = "1")]
    pub version: i64,
    /// The root, 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub hash: Vec<u8>,
}

/// A time (`google.protobuf.Timestamp`).
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Timestamp {
    /// Seconds since 1970.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds of the second.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// What is committed at `height`.
pub fn commit_info(height: u64, trees: &Trees) -> CommitInfo {
    let version = height as i64;
    let store_infos = trees
        .iter()
        .map(|(id, tree)| StoreInfo {
            name: id.name().to_owned(),
            commit_id: Some(CommitId {
                version,
                hash: tree.hash().to_vec(),
            }),
        })
        .collect();
    CommitInfo {
        version,
        store_infos,
        timestamp: Some(Timestamp {
            seconds: ZERO_TIME_S,
            nanos: 0,
        }),
    }
}

/// The app hash of these trees.
pub fn app_hash(trees: &Trees) -> AppHash {
    if trees.is_empty() {
        EMPTY_ROOT
    } else {
        merkle(&leaves(trees))
    }
}

/// Proves store `id`'s root against the app hash; `None` where there is no such store.
pub fn prove(trees: &Trees, id: StoreId) -> Option<CommitmentProof> {
    let place = trees.keys().position(|k| *k == id)?;
    let mut path = Vec::new();
    steps(&leaves(trees), place, &mut path);
    let leaf = LeafOp {
        hash: HashOp::Sha256.into(),
        prehash_key: HashOp::NoHash.into(),
        prehash_value: HashOp::Sha256.into(),
        length: LengthOp::VarProto.into(),
        prefix: vec![0],
    };
    let (key, value) = (id.name().as_bytes().to_vec(), trees[&id].hash().to_vec());
    Some(CommitmentProof {
        proof: Some(Proof::Exist(ExistenceProof {
            key,
            value,
            leaf: Some(leaf),
            path,
        })),
    })
}

fn leaves(trees: &Trees) -> Vec<AppHash> {
    let leaf = |(id, tree): (&StoreId, &Tree)| {
        let mut item = vec![0];
        put_uvarint(&mut item, id.name().len() as u64);
        item.extend_from_slice(id.name().as_bytes());
        item.push(32);
        item.extend_from_slice(&Sha256::digest(tree.hash()));
        Sha256::digest(&item).into()
    };
    trees.iter().map(leaf).collect()
}

/// The largest power of two below `len`, which is at least 2: where RFC-6962 splits.
fn split(len: usize) -> usize {
    len.next_power_of_two() / 2
}

fn merkle(leaves: &[AppHash]) -> AppHash {
    if let [one] = leaves {
        return *one;
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    Sha256::new()
        .chain_update([1])
        .chain_update(merkle(left))
        .chain_update(merkle(right))
        .finalize()
        .into()
}

/// The steps from leaf `place` up to the root.
fn steps(leaves: &[AppHash], place: usize, path: &mut Vec<InnerOp>) {
    if leaves.len() < 2 {
        return;
    }
    let mid = split(leaves.len());
    let (left, right) = leaves.split_at(mid);
    let (mut prefix, mut suffix) = (vec![1], Vec::new());
    if place < mid {
        steps(left, place, path);
        suffix.extend_from_slice(&merkle(right));
    } else {
        steps(right, place - mid, path);
        prefix.extend_from_slice(&merkle(left));
    }
    path.push(InnerOp {
        hash: HashOp::Sha256.into(),
        prefix,
        suffix,
    });
}
