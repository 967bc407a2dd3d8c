//! Which heights are kept: pruning strategies by the SDK's names (`store/pruning/types/options.go`), the floors they
//! lead to, and which checkpoints that needs.
use state::StoreError;
use std::fmt;

/// Which heights' state can be read, beside the newest. Old state goes in the background; no commit waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruning {
    /// How many heights before the newest are kept; `None` keeps all.
    keep: Option<u64>,
    /// At every multiple of this height old ones are let go.
    interval: u64,
}

/// Why a strategy cannot be: the SDK's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PruningError {
    /// A strategy that does not exist.
    #[error("unknown pruning strategy {0}")]
    Unknown(String),
    /// An interval of 0.
    #[error(
        "invalid custom pruning options: 'pruning-interval' must not be 0. If you want to disable pruning, select pruning = \"nothing\""
    )]
    IntervalZero,
    /// An interval below that of `everything`.
    #[error(
        "invalid custom pruning options: 'pruning-interval' must not be less than 10. For the most aggressive pruning, select pruning = \"everything\""
    )]
    IntervalTooSmall,
    /// Fewer heights than `everything` keeps.
    #[error(
        "invalid custom pruning options: 'pruning-keep-recent' must not be less than 2. For the most aggressive pruning, select pruning = \"everything\""
    )]
    KeepRecentTooSmall,
    /// More heights than there can be.
    #[error(
        "invalid custom pruning options: 'pruning-keep-recent' must not be greater than 2^63-1. Select pruning = \"nothing\""
    )]
    KeepRecentTooBig,
}

impl Pruning {
    /// `nothing`: all heights are kept.
    pub const NOTHING: Self = Self {
        keep: None,
        interval: EVERYTHING_INTERVAL,
    };
    /// `default`: 362,880 heights, three and a half weeks of blocks of six seconds.
    pub const DEFAULT: Self = Self {
        keep: Some(362_880),
        interval: 10,
    };
    /// `everything`: the newest height and two before it.
    pub const EVERYTHING: Self = Self {
        keep: Some(EVERYTHING_KEEP),
        interval: EVERYTHING_INTERVAL,
    };

    /// `custom`: `keep` heights before the newest, let go of at every multiple of `interval`.
    pub fn custom(keep: u64, interval: u64) -> Result<Self, PruningError> {
        match (keep, interval) {
            (_, 0) => Err(PruningError::IntervalZero),
            (_, ..EVERYTHING_INTERVAL) => Err(PruningError::IntervalTooSmall),
            (..EVERYTHING_KEEP, _) => Err(PruningError::KeepRecentTooSmall),
            (keep, _) if i64::try_from(keep).is_err() => Err(PruningError::KeepRecentTooBig),
            (keep, interval) => Ok(Self {
                keep: Some(keep),
                interval,
            }),
        }
    }

    /// The strategy called `strategy`, in any case; the numbers count for `custom` only. No name is `default`.
    pub fn named(strategy: &str, keep: u64, interval: u64) -> Result<Self, PruningError> {
        match strategy.to_lowercase().as_str() {
            "" | "default" => Ok(Self::DEFAULT),
            "nothing" => Ok(Self::NOTHING),
            "everything" => Ok(Self::EVERYTHING),
            "custom" => Self::custom(keep, interval),
            unknown => Err(PruningError::Unknown(unknown.to_owned())),
        }
    }

    /// How many heights before the newest are kept; `None` keeps all.
    pub fn keep_recent(&self) -> Option<u64> {
        self.keep
    }
}

const EVERYTHING_KEEP: u64 = 2;
const EVERYTHING_INTERVAL: u64 = 10;

impl Default for Pruning {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Pruning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.keep {
            None => f.write_str("all heights"),
            Some(keep) => write!(f, "{keep} heights before the newest"),
        }
    }
}

/// What is kept from which height on. None of them ever goes down but by a rollback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Floors {
    /// The oldest height whose state can be read; 0: the first.
    pub(crate) state: u64,
    /// The oldest height whose change set is kept.
    pub(crate) changes: u64,
    /// The oldest height whose body and look-ups are kept.
    pub(crate) blocks: u64,
}

impl Floors {
    /// From here on there are meta records: a checkpoint is of the height below the oldest change set.
    pub(crate) fn meta(&self) -> u64 {
        self.blocks.min(self.changes.saturating_sub(1))
    }
    /// Each the higher of two.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            state: self.state.max(other.state),
            changes: self.changes.max(other.changes),
            blocks: self.blocks.max(other.blocks),
        }
    }
    /// None above what a journal that ends at `last` can have.
    pub(crate) fn capped(self, last: u64) -> Self {
        Self {
            state: self.state.min(last),
            changes: self.changes.min(last + 1),
            blocks: self.blocks.min(last + 1),
        }
    }
    pub(crate) fn encode(&self) -> [u8; 24] {
        let mut out = [0; 24];
        for (place, n) in out.chunks_mut(8).zip([self.state, self.changes, self.blocks]) {
            place.copy_from_slice(&n.to_be_bytes());
        }
        out
    }
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let bad = |_| StoreError::Corrupt(format!("floors of {} bytes: want 24", bytes.len()));
        let bytes: [u8; 24] = bytes.try_into().map_err(bad)?;
        let n = |i: usize| u64::from_be_bytes(bytes[8 * i..8 * i + 8].try_into().expect("8 of 24 bytes"));
        Ok(Self {
            state: n(0),
            changes: n(1),
            blocks: n(2),
        })
    }
}

/// What a store is told to keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    pub(crate) pruning: Pruning,
    /// How many heights' bodies before the newest; 0 keeps all.
    pub(crate) blocks: u64,
}

impl Retention {
    /// Whether anything ever goes.
    pub(crate) fn prunes(&self) -> bool {
        self.pruning.keep.is_some() || self.blocks > 0
    }
    /// The floors that the commit of `height` leads to, if it is one at which old heights go.
    pub(crate) fn floors(&self, height: u64) -> Option<Floors> {
        (self.prunes() && height.is_multiple_of(self.pruning.interval)).then(|| Floors {
            state: self.pruning.keep.map_or(0, |keep| height.saturating_sub(keep)),
            changes: 0,
            blocks: match self.blocks {
                0 => 0,
                // The newest body stays in any case.
                keep => height.saturating_sub(keep),
            },
        })
    }
}

/// Two checkpoints at least are kept: the newest may turn out damaged.
const MIN_CHECKPOINTS: usize = 2;

/// Which of the checkpoints `heights`, ascending, stay where state is readable from `oldest` on, at most `most` of them
/// (and never fewer than the newest two and the one that old state is rebuilt from): what goes first is what leaves the
/// smallest gap.
pub(crate) fn thin(heights: &[u64], oldest: u64, most: usize) -> Vec<u64> {
    let newest = heights.len().saturating_sub(MIN_CHECKPOINTS);
    let base = heights.iter().rposition(|height| *height <= oldest);
    let mut kept: Vec<u64> = heights[base.unwrap_or(0).min(newest)..].to_vec();
    while kept.len() > most.max(MIN_CHECKPOINTS) {
        // The first is the base where there is one; without, old state is rebuilt from genesis and the first may go.
        let first = usize::from(base.is_some());
        let middle = first..kept.len() - MIN_CHECKPOINTS;
        let gap = |i: &usize| kept[i + 1] - i.checked_sub(1).map_or(0, |before| kept[before]);
        let Some(least) = middle.min_by_key(gap) else {
            break;
        };
        kept.remove(least);
    }
    kept
}

/// The oldest change set that `kept` checkpoints leave needed: none is let go of while there are fewer than two of them,
/// or while state older than all of them is readable.
pub(crate) fn changes_floor(kept: &[u64], oldest: u64) -> u64 {
    match kept {
        [first, _, ..] if *first <= oldest => first + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_have_the_sdks_names_numbers_and_errors() {
        assert_eq!(Pruning::named("", 0, 0), Ok(Pruning::DEFAULT));
        assert_eq!(Pruning::named("Default", 7, 7), Ok(Pruning::DEFAULT));
        assert_eq!(Pruning::named("everything", 0, 0), Ok(Pruning::EVERYTHING));
        assert_eq!(Pruning::named("nothing", 0, 0).unwrap().keep_recent(), None);
        assert_eq!(
            Pruning::named("custom", 100, 17).unwrap().keep_recent(),
            Some(100)
        );
        let told =
            |strategy, keep, interval| Pruning::named(strategy, keep, interval).unwrap_err().to_string();
        assert_eq!(told("all", 0, 0), "unknown pruning strategy all");
        assert!(told("custom", 2, 0).contains("'pruning-interval' must not be 0."));
        assert!(told("custom", 2, 9).contains("'pruning-interval' must not be less than 10."));
        assert!(told("custom", 1, 10).contains("'pruning-keep-recent' must not be less than 2."));
        assert!(told("custom", 1 << 63, 10).contains("must not be greater than 2^63-1"));
    }

    #[test]
    fn old_heights_go_at_multiples_of_the_interval_only() {
        let retention = Retention {
            pruning: Pruning::EVERYTHING,
            blocks: 5,
        };
        assert_eq!(retention.floors(9), None);
        let floors = retention.floors(20).unwrap();
        assert_eq!((floors.state, floors.changes, floors.blocks), (18, 0, 15));
        let all = Retention {
            pruning: Pruning::NOTHING,
            blocks: 0,
        };
        assert_eq!(all.floors(20), None);
        assert_eq!(Floors::decode(&floors.encode()), Ok(floors));
        assert!(Floors::decode(&[0; 23]).is_err());
    }

    #[test]
    fn the_newest_two_checkpoints_and_the_base_stay() {
        assert_eq!(thin(&[], 5, 4), [0; 0]);
        assert_eq!(thin(&[10], 50, 1), [10]);
        assert_eq!(thin(&[10, 20, 30, 40], 25, 4), [20, 30, 40]);
        assert_eq!(thin(&[10, 20, 30, 40], 45, 4), [30, 40]);
        assert_eq!(thin(&[10, 20, 30, 40], 10, 2), [10, 30, 40]);
        assert_eq!(thin(&[10, 20, 30, 40], 1, 2), [30, 40]);
        assert_eq!(thin(&[10, 20, 25, 30, 40, 50], 10, 4), [10, 30, 40, 50]);
        // However long the chain, the number is bounded and old heights have one near.
        let mut kept = Vec::new();
        for height in (100..=100_000).step_by(100) {
            kept.push(height);
            kept = thin(&kept, 100, 6);
            assert!(kept.len() <= 6 && kept[0] == 100, "{kept:?}");
        }
        assert!(
            kept.windows(2).all(|pair| pair[1] - pair[0] <= 60_000),
            "{kept:?}"
        );
    }

    #[test]
    fn no_change_set_goes_before_two_checkpoints_cover_it() {
        assert_eq!(changes_floor(&[], 50), 0);
        assert_eq!(changes_floor(&[10], 50), 0);
        assert_eq!(changes_floor(&[10, 20], 50), 11);
        assert_eq!(changes_floor(&[10, 20], 10), 11);
        assert_eq!(changes_floor(&[10, 20], 9), 0);
    }
}
