//! CometBFT's Merkle roots (crypto/merkle, RFC 6962 with sha256) of a block's parts.
use app::TxResult;
use sha2::{Digest, Sha256};
use types::Bytes;

use super::SoloValidator;

fn leaf(data: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update([0])
        .chain_update(data)
        .finalize()
        .into()
}

/// The root over `items`; sha256 of nothing where there are none.
pub(crate) fn root(items: &[Vec<u8>]) -> [u8; 32] {
    match items {
        [] => Sha256::digest([]).into(),
        [one] => leaf(one),
        // Recursion is as deep as the logarithm of the length.
        many => {
            let split = many.len().next_power_of_two() / 2;
            let (left, right) = many.split_at(split);
            Sha256::new()
                .chain_update([1])
                .chain_update(root(left))
                .chain_update(root(right))
                .finalize()
                .into()
        }
    }
}

/// CometBFT's transaction hash.
pub(crate) fn tx_hash(tx: &[u8]) -> [u8; 32] {
    Sha256::digest(tx).into()
}

/// `data_hash`: the leaves are the transactions' hashes.
pub(crate) fn data_hash<'a>(txs: impl Iterator<Item = &'a Bytes>) -> [u8; 32] {
    root(&txs.map(|tx| tx_hash(tx).to_vec()).collect::<Vec<_>>())
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn int_field(out: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        out.push(tag << 3);
        varint(out, value);
    }
}

fn bytes_field(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    if !value.is_empty() {
        out.push((tag << 3) | 2);
        varint(out, value.len() as u64);
        out.extend_from_slice(value);
    }
}

/// `last_results_hash`: code, data, gas wanted and gas used of each (types/results.go `NewResults`).
pub(crate) fn results_hash<'a>(results: impl Iterator<Item = &'a TxResult>) -> [u8; 32] {
    let leaves = results.map(|r| {
        let mut out = Vec::new();
        int_field(&mut out, 1, r.code.into());
        bytes_field(&mut out, 2, &r.data);
        int_field(&mut out, 5, r.gas_wanted);
        int_field(&mut out, 6, r.gas_used);
        out
    });
    root(&leaves.collect::<Vec<_>>())
}

/// `validators_hash`: key and power of each, in CometBFT's order.
pub(crate) fn validators_hash(validators: &[SoloValidator]) -> [u8; 32] {
    let leaves = validators.iter().map(|v| {
        let mut key = Vec::new();
        bytes_field(&mut key, 1, &v.pub_key);
        let mut out = Vec::new();
        bytes_field(&mut out, 1, &key);
        int_field(&mut out, 2, v.power.max(0).unsigned_abs());
        out
    });
    root(&leaves.collect::<Vec<_>>())
}

/// `consensus_hash`: the block's limits (types/params.go `Hash`).
pub(crate) fn params_hash(max_bytes: i64, max_gas: i64) -> [u8; 32] {
    let mut out = Vec::new();
    int_field(&mut out, 1, max_bytes as u64);
    int_field(&mut out, 2, max_gas as u64);
    Sha256::digest(&out).into()
}

/// A validator's consensus address: sha256 of its ed25519 key, cut to 20 bytes.
pub(crate) fn validator_address(pub_key: &[u8; 32]) -> [u8; 20] {
    let hash = Sha256::digest(pub_key);
    let mut address = [0; 20];
    address.copy_from_slice(&hash[..20]);
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_cometbfts() {
        // crypto/merkle/rfc6962_test.go and hash_test.go.
        assert_eq!(
            hex::encode(root(&[])),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            hex::encode(root(&[vec![]])),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        assert_eq!(
            hex::encode(leaf(b"L123456")),
            "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
        );
        // Three leaves: the left subtree takes the largest power of two below.
        let items: Vec<Vec<u8>> = [b"a", b"b", b"c"].map(|b| b.to_vec()).into();
        let inner = |l: [u8; 32], r: [u8; 32]| -> [u8; 32] {
            Sha256::new()
                .chain_update([1])
                .chain_update(l)
                .chain_update(r)
                .finalize()
                .into()
        };
        assert_eq!(root(&items), inner(inner(leaf(b"a"), leaf(b"b")), leaf(b"c")));
    }
}
