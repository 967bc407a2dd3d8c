//! ICS-23 proofs of one tree, byte for byte those of cosmos/iavl v1 (`proof_ics23.go`).
//!
//! The ICS-23 verifiers refuse an existence proof with an empty value, and so also a non-membership proof beside one.
//! The SDK's layout stores some empty values: their proofs are the SDK's bytes all the same, and cannot be verified.
use super::Tree;
use super::node::Node;
use ics23::commitment_proof::Proof;
use ics23::{CommitmentProof, ExistenceProof, HashOp, InnerOp, LeafOp, LengthOp, NonExistenceProof};

impl Tree {
    /// Proves that `key` is there, or that it is not. An empty tree's proof names the key only, as Go's does, and
    /// cannot be verified.
    pub fn prove(&self, key: &[u8]) -> CommitmentProof {
        let proof = match self.existence(key) {
            Some(proof) => Proof::Exist(proof),
            None => {
                let (mut left, mut right) = (None, None);
                self.scan_neighbours(key, &mut left, &mut right);
                let prove = |key: Option<&[u8]>| key.and_then(|key| self.existence(key));
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
        let mut node = self.root.as_ref()?;
        let mut path = Vec::new();
        while let Some((left, right)) = node.children() {
            let goes_left = node.goes_left(key);
            path.push(step(node, left, right, goes_left));
            node = if goes_left { left } else { right };
        }
        if **node.key() != *key {
            return None;
        }
        path.reverse();
        let leaf = LeafOp {
            hash: HashOp::Sha256.into(),
            prehash_key: HashOp::NoHash.into(),
            prehash_value: HashOp::Sha256.into(),
            length: LengthOp::VarProto.into(),
            prefix: node.prefix(),
        };
        Some(ExistenceProof {
            key: key.to_vec(),
            value: node.value()?.to_vec(),
            leaf: Some(leaf),
            path,
        })
    }

    /// The greatest key below `key`, and the smallest above.
    fn scan_neighbours<'a>(&'a self, key: &[u8], below: &mut Option<&'a [u8]>, above: &mut Option<&'a [u8]>) {
        let Some(mut node) = self.root.as_ref() else {
            return;
        };
        let (mut last_left, mut last_right) = (None, None);
        while let Some((left, right)) = node.children() {
            if node.goes_left(key) {
                last_right = Some(right);
                node = left;
            } else {
                last_left = Some(left);
                node = right;
            }
        }
        if **node.key() < *key {
            *below = Some(node.key());
            *above = last_right.map(|n| edge(n, false));
        } else {
            *above = Some(node.key());
            *below = last_left.map(|n| edge(n, true));
        }
    }
}

/// The smallest, or greatest, key below `node`.
fn edge(mut node: &Node, greatest: bool) -> &[u8] {
    while let Some((left, right)) = node.children() {
        node = if greatest { right } else { left };
    }
    node.key()
}

fn step(node: &Node, left: &Node, right: &Node, goes_left: bool) -> InnerOp {
    let mut prefix = node.prefix();
    let mut suffix = Vec::new();
    if goes_left {
        prefix.push(32);
        suffix.push(32);
        suffix.extend_from_slice(&right.hash);
    } else {
        prefix.push(32);
        prefix.extend_from_slice(&left.hash);
        prefix.push(32);
    }
    InnerOp {
        hash: HashOp::Sha256.into(),
        prefix,
        suffix,
    }
}
