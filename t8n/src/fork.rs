//! Forks by the names that geth's tools and the execution specs give them.
use alloy_eips::eip7840::BlobParams;
use x_evm::SpecId;

/// A set of rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fork {
    /// Its name in geth (`tests/init.go`).
    pub name: &'static str,
    /// The EVM's rules.
    pub spec: SpecId,
    /// How many blocks late the difficulty bomb ticks.
    pub bomb_delay: u64,
    /// Blob limits, from Cancun on.
    pub blobs: Option<BlobParams>,
}

const fn old(name: &'static str, spec: SpecId, bomb_delay: u64) -> Fork {
    Fork {
        name,
        spec,
        bomb_delay,
        blobs: None,
    }
}
const fn new(name: &'static str, spec: SpecId, blobs: BlobParams) -> Fork {
    Fork {
        name,
        spec,
        bomb_delay: 0,
        blobs: Some(blobs),
    }
}

/// All of them, oldest first, and other names of some.
pub const FORKS: &[Fork] = &[
    old("Frontier", SpecId::FRONTIER, 0),
    old("Homestead", SpecId::HOMESTEAD, 0),
    old("EIP150", SpecId::TANGERINE, 0),
    old("TangerineWhistle", SpecId::TANGERINE, 0),
    old("EIP158", SpecId::SPURIOUS_DRAGON, 0),
    old("SpuriousDragon", SpecId::SPURIOUS_DRAGON, 0),
    old("Byzantium", SpecId::BYZANTIUM, 3_000_000),
    old("ConstantinopleFix", SpecId::PETERSBURG, 5_000_000),
    old("Petersburg", SpecId::PETERSBURG, 5_000_000),
    old("Istanbul", SpecId::ISTANBUL, 5_000_000),
    old("MuirGlacier", SpecId::ISTANBUL, 9_000_000),
    old("Berlin", SpecId::BERLIN, 9_000_000),
    old("London", SpecId::LONDON, 9_700_000),
    old("ArrowGlacier", SpecId::LONDON, 10_700_000),
    old("GrayGlacier", SpecId::LONDON, 11_400_000),
    old("Merge", SpecId::MERGE, 0),
    old("Paris", SpecId::MERGE, 0),
    old("Shanghai", SpecId::SHANGHAI, 0),
    new("Cancun", SpecId::CANCUN, BlobParams::cancun()),
    new("Prague", SpecId::PRAGUE, BlobParams::prague()),
    new("Osaka", SpecId::OSAKA, BlobParams::osaka()),
    new("BPO1", SpecId::OSAKA, BlobParams::bpo1()),
    new("BPO2", SpecId::OSAKA, BlobParams::bpo2()),
];

/// Names of rules that begin within a chain: before, after, and the block number or time from which on.
const CHANGES: &[(&str, &str, &str, Begin)] = &[
    (
        "FrontierToHomesteadAt5",
        "Frontier",
        "Homestead",
        Begin::Number(5),
    ),
    ("HomesteadToEIP150At5", "Homestead", "EIP150", Begin::Number(5)),
    ("EIP158ToByzantiumAt5", "EIP158", "Byzantium", Begin::Number(5)),
    (
        "ByzantiumToConstantinopleFixAt5",
        "Byzantium",
        "ConstantinopleFix",
        Begin::Number(5),
    ),
    (
        "ConstantinopleFixToIstanbulAt5",
        "ConstantinopleFix",
        "Istanbul",
        Begin::Number(5),
    ),
    ("BerlinToLondonAt5", "Berlin", "London", Begin::Number(5)),
    (
        "ParisToShanghaiAtTime15k",
        "Paris",
        "Shanghai",
        Begin::Time(15_000),
    ),
    (
        "ShanghaiToCancunAtTime15k",
        "Shanghai",
        "Cancun",
        Begin::Time(15_000),
    ),
    ("CancunToPragueAtTime15k", "Cancun", "Prague", Begin::Time(15_000)),
    ("PragueToOsakaAtTime15k", "Prague", "Osaka", Begin::Time(15_000)),
    ("OsakaToBPO1AtTime15k", "Osaka", "BPO1", Begin::Time(15_000)),
    ("BPO1ToBPO2AtTime15k", "BPO1", "BPO2", Begin::Time(15_000)),
];

#[derive(Clone, Copy)]
enum Begin {
    Number(u64),
    Time(u64),
}

impl Fork {
    /// The rules called `name` in the block `number` at `time`.
    pub fn at(name: &str, number: u64, time: u64) -> Option<Self> {
        if let Some((_, before, after, begin)) = CHANGES.iter().find(|(n, ..)| *n == name) {
            let begun = match begin {
                Begin::Number(n) => number >= *n,
                Begin::Time(t) => time >= *t,
            };
            return Self::at(if begun { after } else { before }, number, time);
        }
        FORKS.iter().find(|fork| fork.name == name).copied()
    }
    /// Every name that [`Fork::at`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FORKS
            .iter()
            .map(|fork| fork.name)
            .chain(CHANGES.iter().map(|(name, ..)| *name))
    }
    /// Whether the rules of `spec` hold.
    pub fn has(&self, spec: SpecId) -> bool {
        self.spec.is_enabled_in(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_may_begin_within_a_chain() {
        let spec = |name, number, time| Fork::at(name, number, time).map(|fork| fork.spec);
        assert_eq!(spec("BerlinToLondonAt5", 4, 0), Some(SpecId::BERLIN));
        assert_eq!(spec("BerlinToLondonAt5", 5, 0), Some(SpecId::LONDON));
        assert_eq!(spec("CancunToPragueAtTime15k", 9, 14_999), Some(SpecId::CANCUN));
        assert_eq!(spec("CancunToPragueAtTime15k", 9, 15_000), Some(SpecId::PRAGUE));
        assert_eq!(spec("Atlantis", 1, 1), None);
        for name in Fork::names() {
            assert!(Fork::at(name, 1, 1).is_some(), "{name}");
        }
    }
}
