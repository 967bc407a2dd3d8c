//! How many of CometBFT's blocks this node keeps: the answer to Commit (cosmos-sdk `baseapp/abci.go`,
//! `GetBlockRetentionHeight`).

/// What decides which blocks CometBFT may delete: node-local, without influence on results. The default keeps all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockRetention {
    /// `min-retain-blocks`: so many blocks before the newest stay; 0 keeps all.
    pub min_retain_blocks: u64,
    /// Evidence may be so many blocks old (`consensus_params.evidence.max_age_num_blocks`): until then the blocks that
    /// prove it stay.
    pub evidence_blocks: u64,
}

impl BlockRetention {
    /// Blocks below this height may go once `committed` is; 0: none may. `store` is the lowest that the store needs to
    /// be made whole again, and for those that take its snapshots; 0: it needs all.
    pub fn height(&self, committed: u64, store: u64) -> u64 {
        if self.min_retain_blocks == 0 {
            return 0;
        }
        let kept = self.min_retain_blocks.max(self.evidence_blocks);
        committed.saturating_sub(kept).min(store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_cautious_of_operator_evidence_and_store_decides() {
        let retention = |min_retain_blocks, evidence_blocks| BlockRetention {
            min_retain_blocks,
            evidence_blocks,
        };
        assert_eq!(BlockRetention::default().height(1_000, 900), 0);
        assert_eq!(retention(100, 0).height(1_000, 950), 900);
        assert_eq!(retention(100, 300).height(1_000, 950), 700);
        assert_eq!(retention(100, 300).height(1_000, 650), 650);
        // A store without a checkpoint is made whole from genesis only.
        assert_eq!(retention(100, 300).height(1_000, 0), 0);
        assert_eq!(retention(100, 1_000).height(1_000, 900), 0);
        assert_eq!(retention(100, 5_000).height(1_000, 900), 0);
    }
}
