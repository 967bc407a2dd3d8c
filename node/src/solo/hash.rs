//! The solo engine's block hash: of its own block record (chain.md rule 8), in CometBFT's place.
use app::Block;
use sha2::{Digest, Sha256};
use types::B256;

/// What a block hash covers besides the block.
pub(crate) struct Parent<'a> {
    pub(crate) chain_id: &'a str,
    /// Hash of the block below; zero below the first.
    pub(crate) hash: B256,
    /// State the block starts from.
    pub(crate) app_hash: B256,
}

/// Hashes the block's parts, each with its length or of a fixed one, so that no two blocks share a preimage.
pub(crate) fn block_hash(parent: &Parent<'_>, block: &Block) -> B256 {
    let mut sha = Sha256::new();
    sha.update(b"braid-solo-1");
    sha.update((parent.chain_id.len() as u64).to_be_bytes());
    sha.update(parent.chain_id);
    sha.update(block.height.to_be_bytes());
    sha.update(block.time.seconds.to_be_bytes());
    sha.update(block.time.nanos.to_be_bytes());
    sha.update(parent.hash);
    sha.update(parent.app_hash);
    sha.update(block.proposer);
    sha.update((block.txs.len() as u64).to_be_bytes());
    for tx in &block.txs {
        sha.update(Sha256::digest(tx));
    }
    B256::from_slice(&sha.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_block_changes_its_hash() {
        let block = Block {
            height: 5,
            txs: vec!["a".into(), "b".into()],
            ..Block::default()
        };
        let parent = |hash| Parent {
            chain_id: "c",
            hash,
            app_hash: B256::ZERO,
        };
        let base = block_hash(&parent(B256::ZERO), &block);
        let mut other = block.clone();
        other.txs = vec!["ab".into(), "".into()];
        assert_ne!(block_hash(&parent(B256::ZERO), &other), base);
        let mut other = block.clone();
        other.time.nanos = 1;
        assert_ne!(block_hash(&parent(B256::ZERO), &other), base);
        assert_ne!(block_hash(&parent(B256::repeat_byte(1)), &block), base);
        assert_eq!(block_hash(&parent(B256::ZERO), &block), base);
        // Pinned: a chain that is reopened must go on with the same hashes.
        let pinned = "0xb6432643fd24494389072f52db8fcef47ee12c77177aefc3feeb1edb02a44269";
        assert_eq!(base.to_string(), pinned);
    }
}
