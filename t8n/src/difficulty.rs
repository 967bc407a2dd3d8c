//! A block's difficulty from its parent's, under proof of work (geth's `consensus/ethash` `CalcDifficulty`).
use crate::fork::Fork;
use alloy_primitives::b256;
use types::{B256, U256};
use x_evm::SpecId;

/// keccak of the empty list of ommers.
const NO_OMMERS: B256 = b256!("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");
/// Difficulty never falls below this.
const LEAST: u64 = 131_072;
/// The bomb doubles each so many blocks.
const PERIOD: u64 = 100_000;

/// What is known of the parent.
pub(crate) struct Parent {
    pub(crate) difficulty: U256,
    pub(crate) time: u64,
    pub(crate) ommers: B256,
}

/// The difficulty of the block `number` (at least 1) at `time`, which is later than the parent's.
pub(crate) fn difficulty(fork: &Fork, number: u64, time: u64, parent: &Parent) -> U256 {
    let step = parent.difficulty / U256::from(2048);
    let took = time.saturating_sub(parent.time);
    let (up, by) = if fork.has(SpecId::BYZANTIUM) {
        let base = if parent.ommers.is_zero() || parent.ommers == NO_OMMERS {
            1
        } else {
            2
        };
        signed(base, took / 9)
    } else if fork.has(SpecId::HOMESTEAD) {
        signed(1, took / 10)
    } else {
        (took < 13, 1)
    };
    let change = step.saturating_mul(U256::from(by.min(99)));
    let base = if up {
        parent.difficulty.saturating_add(change)
    } else {
        parent.difficulty.saturating_sub(change)
    };
    let base = base.max(U256::from(LEAST));
    // EIP-649: the bomb looks at a number that lies back.
    let fake = if fork.bomb_delay == 0 {
        number
    } else {
        number.saturating_sub(fork.bomb_delay)
    };
    let periods = fake / PERIOD;
    if periods < 2 {
        return base;
    }
    let bomb = U256::from(1).checked_shl(usize::try_from(periods - 2).unwrap_or(usize::MAX));
    let ticked = base.saturating_add(bomb.unwrap_or(U256::MAX));
    ticked.max(U256::from(LEAST))
}

/// Whether `base - less` is above zero, and its size.
fn signed(base: u64, less: u64) -> (bool, u64) {
    (base >= less, base.abs_diff(less))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bomb_ticks_as_late_as_the_fork_says() {
        // geth's cmd/evm/testdata/19: block 13,000,000, 16 s after its parent.
        let parent = Parent {
            difficulty: U256::from(0x2_0000_0000_0000u64),
            time: 99_999,
            ommers: B256::ZERO,
        };
        for (name, want) in [
            ("London", 0x2_0000_8000_0000u64),
            ("ArrowGlacier", 0x2_0000_0020_0000),
            ("GrayGlacier", 0x2_0000_0000_4000),
        ] {
            let fork = Fork::at(name, 13_000_000, 0).unwrap();
            assert_eq!(
                difficulty(&fork, 13_000_000, 100_015, &parent),
                U256::from(want),
                "{name}"
            );
        }
    }

    #[test]
    fn ommers_and_time_move_it() {
        let parent = |ommers| Parent {
            difficulty: U256::from(0x200_0000u64),
            time: 100,
            ommers,
        };
        let at = |name, time, ommers| {
            let fork = Fork::at(name, 1, 0).unwrap();
            difficulty(&fork, 1, time, &parent(ommers))
        };
        let (base, step) = (U256::from(0x200_0000u64), U256::from(0x4000u64));
        assert_eq!(at("Frontier", 112, B256::ZERO), base + step);
        assert_eq!(at("Frontier", 113, B256::ZERO), base - step);
        assert_eq!(at("Homestead", 130, B256::ZERO), base - step * U256::from(2));
        assert_eq!(at("Berlin", 101, B256::ZERO), base + step);
        assert_eq!(
            at("Berlin", 101, B256::repeat_byte(1)),
            base + step * U256::from(2)
        );
        assert_eq!(at("Berlin", 100_000, B256::ZERO), base - step * U256::from(99));
    }
}
