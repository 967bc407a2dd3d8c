//! ICS-23 proofs of one tree, byte for byte those of cosmos/iavl v1 (`proof_ics23.go`).
//!
//! The ICS-23 verifiers refuse an existence proof with an empty value, and so also a non-membership proof beside one.
//! The SDK's layout stores some empty values: their proofs are the SDK's bytes all the same, and cannot be verified.
use super::Tree;
use super::arena::Arena;
use super::hash;
use super::node::{Node, head};
use super::sha::Message;
use ics23::commitment_proof::Proof;
use ics23::{CommitmentProof, ExistenceProof, HashOp, InnerOp, LeafOp, LengthOp, NonExistenceProof};

impl Tree {
    /// Proves that `key` is there, or that it is not. An empty tree's proof names the key only, as Go's does, and
    /// cannot be verified.
    pub fn prove(&self, key: &[u8]) -> CommitmentProof {
        let proof = match self.existence(key) {
            Some(proof) => Proof::Exist(proof),
            None => {
                let (left, right) = self.neighbours(key);
                let prove = |key: Option<Vec<u8>>| key.and_then(|key| self.existence(&key));
                Proof::Nonexist(NonExistenceProof {
                    key: key.to_vec(),
                    left: prove(left),
                    right: prove(right),
                })
            }
        };
        CommitmentProof { proof: Some(proof) }
    }

    fn existence(&self, key: &[u8]) -> Option<ExistenceProof> {
        let (arena, mut id) = self.place()?;
        let (mut node, head) = (arena.node(id), head(key));
        let mut path = Vec::with_capacity(node.height.into());
        while !node.is_leaf() {
            let goes_left = arena.goes_left(key, head, &node);
            path.push(step(arena, &node, goes_left));
            id = if goes_left { node.left } else { node.right };
            node = arena.node(id);
        }
        if arena.order(key, head, &node).is_ne() {
            return None;
        }
        path.reverse();
        let leaf = LeafOp {
            hash: HashOp::Sha256.into(),
            prehash_key: HashOp::NoHash.into(),
            prehash_value: HashOp::Sha256.into(),
            length: LengthOp::VarProto.into(),
            prefix: prefix(&node),
        };
        Some(ExistenceProof {
            key: key.to_vec(),
            value: arena.read(node.value()),
            leaf: Some(leaf),
            path,
        })
    }

    /// The greatest key below `key`, and the smallest above.
    fn neighbours(&self, key: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let Some((arena, mut id)) = self.place() else {
            return (None, None);
        };
        let (mut node, head) = (arena.node(id), head(key));
        let (mut last_left, mut last_right) = (None, None);
        while !node.is_leaf() {
            if arena.goes_left(key, head, &node) {
                last_right = Some(node.right);
                id = node.left;
            } else {
                last_left = Some(node.left);
                id = node.right;
            }
            node = arena.node(id);
        }
        let here = Some(arena.read(node.key()));
        if arena.order(key, head, &node).is_gt() {
            (here, last_right.map(|id| edge(arena, id, false)))
        } else {
            (last_left.map(|id| edge(arena, id, true)), here)
        }
    }
}

/// The smallest, or greatest, key below node `id`.
fn edge(arena: &Arena, mut id: u32, greatest: bool) -> Vec<u8> {
    loop {
        let node = arena.node(id);
        if node.is_leaf() {
            return arena.read(node.key());
        }
        id = if greatest { node.right } else { node.left };
    }
}

fn prefix(node: &Node) -> Vec<u8> {
    let mut message = Message::new();
    hash::prefix(node, &mut message);
    message.bytes().to_vec()
}

fn step(arena: &Arena, node: &Node, goes_left: bool) -> InnerOp {
    let mut prefix = prefix(node);
    let mut suffix = Vec::new();
    prefix.push(32);
    if goes_left {
        suffix.push(32);
        suffix.extend_from_slice(&arena.slot(node.right).hash());
    } else {
        prefix.extend_from_slice(&arena.slot(node.left).hash());
        prefix.push(32);
    }
    InnerOp {
        hash: HashOp::Sha256.into(),
        prefix,
        suffix,
    }
}
