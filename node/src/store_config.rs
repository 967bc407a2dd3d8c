//! `[store]` of `app.toml`: how the commit store writes. Nothing in it can change a result.
use serde::{Deserialize, Serialize};
use store::backend::Database;

/// When a commit returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommitKind {
    /// When the height is durable.
    #[default]
    Sync,
    /// When it is published; it is written behind. After a kill CometBFT replays what was not written.
    Async,
}

/// Which database keeps the store's journal. A home stays with the one it was made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    /// sled 0.34.
    #[default]
    Sled,
    /// redb 4.
    Redb,
}

/// How the commit store writes, and what it keeps for readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StoreConfig {
    /// When a commit returns.
    pub commit: CommitKind,
    /// Which database keeps the journal.
    pub database: DatabaseKind,
    /// Whether flat history is kept, from which old heights are read. A validator that nobody asks may do without.
    pub history: bool,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            commit: CommitKind::default(),
            database: DatabaseKind::default(),
            history: true,
        }
    }
}

impl StoreConfig {
    /// These settings over `config`.
    pub fn over(self, config: store::Config) -> store::Config {
        store::Config {
            commit: match self.commit {
                CommitKind::Sync => store::Commit::Sync,
                CommitKind::Async => store::Commit::Async,
            },
            database: match self.database {
                DatabaseKind::Sled => Database::Sled,
                DatabaseKind::Redb => Database::Redb,
            },
            history: self.history,
            ..config
        }
    }
}

impl std::str::FromStr for CommitKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sync" => Ok(Self::Sync),
            "async" => Ok(Self::Async),
            _ => Err(format!("unknown commit mode {text:?}: want sync or async")),
        }
    }
}

impl std::fmt::Display for CommitKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sync => "sync",
            Self::Async => "async",
        })
    }
}

impl std::str::FromStr for DatabaseKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sled" => Ok(Self::Sled),
            "redb" => Ok(Self::Redb),
            _ => Err(format!("unknown database {text:?}: want sled or redb")),
        }
    }
}

impl std::fmt::Display for DatabaseKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_printed_and_others_named() {
        for kind in [CommitKind::Sync, CommitKind::Async] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        for kind in [DatabaseKind::Sled, DatabaseKind::Redb] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!(
            "goleveldb"
                .parse::<DatabaseKind>()
                .unwrap_err()
                .contains("goleveldb")
        );
        assert!("later".parse::<CommitKind>().unwrap_err().contains("later"));
    }

    #[test]
    fn settings_reach_the_store_and_are_sync_on_sled_unless_told() {
        let told = toml::from_str::<StoreConfig>("commit = \"async\"\ndatabase = \"redb\"\nhistory = false")
            .unwrap();
        let config = told.over(store::Config::new([]));
        assert_eq!(config.commit, store::Commit::Async);
        assert_eq!((config.database.name(), config.history), ("redb", false));
        let config = StoreConfig::default().over(store::Config::new([]));
        assert_eq!(
            (config.commit, config.database.name(), config.history),
            (store::Commit::Sync, "sled", true)
        );
        assert!(toml::from_str::<StoreConfig>("sync = true").is_err());
    }
}
