//! What a node keeps, by the SDK's settings: `pruning`, `pruning-keep-recent`, `pruning-interval`, `min-retain-blocks`.
use crate::{AppConfig, Home, NodeError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use store::Pruning;

/// A number that the SDK writes as a text; read as either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count(pub u64);

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.to_string())
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        match Either::deserialize(from)? {
            Either::Number(n) => Ok(Self(n)),
            Either::Text(text) => text
                .parse()
                .map(Self)
                .map_err(|_| serde::de::Error::custom(format!("{text:?} is not a number"))),
        }
    }
}

/// The flags of `start` over the settings of the same names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeepOptions {
    /// `default`, `nothing`, `everything` or `custom`.
    pub pruning: Option<String>,
    /// How many heights of state `custom` keeps before the newest.
    pub pruning_keep_recent: Option<u64>,
    /// At every multiple of which height `custom` lets old ones go.
    pub pruning_interval: Option<u64>,
    /// How many heights of blocks and receipts are kept before the newest.
    pub min_retain_blocks: Option<u64>,
}

impl KeepOptions {
    /// These over `config`.
    pub(crate) fn over(&self, config: &mut AppConfig) {
        if let Some(pruning) = &self.pruning {
            config.pruning.clone_from(pruning);
        }
        for (flag, setting) in [
            (self.pruning_keep_recent, &mut config.pruning_keep_recent),
            (self.pruning_interval, &mut config.pruning_interval),
        ] {
            *setting = flag.map_or(*setting, Count);
        }
        config.min_retain_blocks = self.min_retain_blocks.unwrap_or(config.min_retain_blocks);
    }
}

impl AppConfig {
    /// Which heights' state is kept.
    pub fn kept_state(&self) -> Result<Pruning, NodeError> {
        let (keep, interval) = (self.pruning_keep_recent.0, self.pruning_interval.0);
        Pruning::named(&self.pruning, keep, interval).map_err(|e| NodeError::Invalid(e.to_string()))
    }
    /// These settings over those of a store.
    pub(crate) fn retention(&self, config: store::Config) -> Result<store::Config, NodeError> {
        Ok(store::Config {
            pruning: self.kept_state()?,
            keep_blocks: self.min_retain_blocks,
            memory_limit: self.memory_limit.unwrap_or_else(three_quarters_of_memory),
            ..config
        })
    }
}

/// Three quarters of what this machine, or its container, has; 0, no limit, where that is not known.
fn three_quarters_of_memory() -> u64 {
    let read = |path| std::fs::read_to_string(path).ok();
    let total = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    // `max` where there is none.
    let limit = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse::<u64>().ok());
    let bytes = [total.map(|kib| kib << 10), limit].into_iter().flatten().min();
    bytes.map_or(0, |bytes| bytes / 4 * 3)
}

/// How many blocks old evidence may be on the home's chain.
pub(crate) fn evidence_blocks(home: &Home) -> Result<u64, NodeError> {
    /// CometBFT's own (types/params.go `DefaultEvidenceParams`).
    const DEFAULT: u64 = 100_000;
    let path = home.genesis();
    let text = std::fs::read(&path).map_err(NodeError::file(&path))?;
    let doc: serde_json::Value = serde_json::from_slice(&text).map_err(|e| NodeError::format(&path, e))?;
    let age = &doc["consensus_params"]["evidence"]["max_age_num_blocks"];
    match age.as_str().map(str::parse).or(age.as_u64().map(Ok)) {
        None => Ok(DEFAULT),
        Some(Ok(blocks)) => Ok(blocks),
        Some(Err(_)) => {
            let why = format!("consensus_params.evidence.max_age_num_blocks is {age}: want a number");
            Err(NodeError::format(&path, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdks_settings_are_read_as_it_writes_them_and_flags_come_first() {
        let text = "pruning = \"custom\"\npruning-keep-recent = \"100\"\npruning-interval = 17\nmin-retain-blocks = 5\n";
        let mut config: AppConfig = toml::from_str(text).unwrap();
        assert_eq!(config.kept_state().unwrap(), Pruning::custom(100, 17).unwrap());
        let flags = KeepOptions {
            pruning_interval: Some(9),
            min_retain_blocks: Some(7),
            ..KeepOptions::default()
        };
        flags.over(&mut config);
        assert_eq!(
            (config.pruning_keep_recent, config.min_retain_blocks),
            (Count(100), 7)
        );
        let refused = config.kept_state().unwrap_err().to_string();
        assert!(
            refused.contains("'pruning-interval' must not be less than 10"),
            "{refused}"
        );
        assert!(toml::from_str::<AppConfig>("pruning-interval = \"ten\"").is_err());
        assert_eq!(AppConfig::default().kept_state().unwrap(), Pruning::DEFAULT);
    }

    #[test]
    fn memory_is_measured() {
        let limit = three_quarters_of_memory();
        assert!(limit > 64 << 20, "{limit}");
    }
}
