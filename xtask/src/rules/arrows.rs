//! Which crate may know which.
use super::Broken;
use super::workspace::Crate;

/// From the ground up. A crate may use crates of lower levels only.
pub(super) const LEVELS: &[&[&str]] = &[
    &["types"],
    &["state"],
    &["store", "executor"],
    &["module"],
    &["x-auth"],
    &["x-bank"],
    &["x-staking"],
    &["x-distribution", "x-slashing"],
    &["x-evm"],
    &["app"],
    &["rpc", "abci", "mempool"],
    &["node"],
    &["testnet", "t8n"],
    &["cli"],
];

/// Crates that are no part of a node. Nobody but they themselves may use them outside tests.
const TEST_ONLY: &[&str] = &["workload", "simnet", "xtask"];

/// Who alone may use a crate, outside tests and chores.
const SOLE_USERS: &[(&str, &[&str])] = &[
    ("store", &["node"]),
    ("sled", &["store"]),
    ("ics23", &["store"]),
    ("revm", &["x-evm", "t8n"]),
    ("tendermint-abci", &["abci"]),
    ("jsonrpsee", &["rpc"]),
    ("axum", &["rpc"]),
    ("tower", &["rpc"]),
    ("tower-http", &["rpc"]),
    ("clap", &["cli"]),
    ("anyhow", &["cli", "testnet"]),
];

/// What `app` and the crates below it do not use: networks, runtimes, randomness, databases.
const NOT_BELOW: &[&str] = &[
    "tokio",
    "jsonrpsee",
    "axum",
    "tower",
    "reqwest",
    "hyper",
    "tonic",
    "rand",
    "time",
    "tempfile",
    "nix",
    "toml",
    "tendermint-abci",
    "tendermint-rpc",
    "tracing-subscriber",
    "anyhow",
];

fn level(name: &str) -> Option<usize> {
    LEVELS.iter().position(|names| names.contains(&name))
}

/// `app` and the crates below it.
pub(super) fn is_state_machine(name: &str) -> bool {
    level(name) <= level("app") && level(name).is_some()
}

/// Every arrow goes to a lower level, and `app` and below reach no world.
pub(super) fn levels(crates: &[Crate]) -> Broken {
    let mut broken = Broken::new();
    for krate in crates.iter().filter(|c| !TEST_ONLY.contains(&c.name.as_str())) {
        let Some(from) = level(&krate.name) else {
            broken.push(format!("{}: has no level", krate.name));
            continue;
        };
        for to in krate.normal() {
            if level(to).is_some_and(|to| to >= from) {
                broken.push(format!("{} uses {to}, which is not below it", krate.name));
            }
            if is_state_machine(&krate.name) && NOT_BELOW.contains(&to) {
                broken.push(format!(
                    "{} uses {to}: the state machine reaches no world",
                    krate.name
                ));
            }
        }
    }
    broken
}

/// Invariant 1: the executor knows jobs, views and write sets.
pub(super) fn executor(crates: &[Crate]) -> Broken {
    let foreign = |name: &&str| {
        matches!(*name, "module" | "store" | "prost" | "cosmrs")
            || ["x-", "revm", "alloy", "tendermint"]
                .iter()
                .any(|p| name.starts_with(p))
    };
    let executor = crates.iter().filter(|c| c.name == "executor");
    executor
        .flat_map(Crate::normal)
        .filter(foreign)
        .map(|to| format!("executor uses {to}"))
        .collect()
}

/// Crates that have one user each.
pub(super) fn sole_users(crates: &[Crate]) -> Broken {
    let mut broken = Broken::new();
    for krate in crates.iter().filter(|c| !TEST_ONLY.contains(&c.name.as_str())) {
        for (what, users) in SOLE_USERS {
            if krate.normal().any(|to| to == *what) && !users.contains(&krate.name.as_str()) {
                broken.push(format!(
                    "{} uses {what}, which is for {}",
                    krate.name,
                    users.join(", ")
                ));
            }
        }
    }
    broken
}

/// Nothing a node is built from uses a crate made for tests.
pub(super) fn test_only(crates: &[Crate]) -> Broken {
    let node = crates.iter().filter(|c| !TEST_ONLY.contains(&c.name.as_str()));
    let arrows = node.flat_map(|c| c.normal().map(move |to| (c.name.as_str(), to)));
    arrows
        .filter(|(_, to)| TEST_ONLY.contains(to))
        .map(|(from, to)| format!("{from} uses {to}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::workspace::Dependency;
    use super::*;

    fn krate(name: &str, dependencies: &[(&str, Option<&str>)]) -> Crate {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).into(),
            kind: kind.map(Into::into),
        };
        Crate {
            name: name.into(),
            dependencies: dependencies.iter().map(dependency).collect(),
            ..Crate::default()
        }
    }

    #[test]
    fn an_arrow_up_or_sideways_is_caught() {
        let ok = [krate(
            "app",
            &[("x-evm", None), ("store", Some("dev")), ("workload", Some("dev"))],
        )];
        assert!(levels(&ok).is_empty() && sole_users(&ok).is_empty() && test_only(&ok).is_empty());
        for (from, to) in [
            ("state", "executor"),
            ("x-bank", "x-evm"),
            ("executor", "store"),
            ("abci", "rpc"),
            ("app", "app"),
        ] {
            assert_eq!(
                levels(&[krate(from, &[(to, None)])]),
                [format!("{from} uses {to}, which is not below it")]
            );
        }
        assert_eq!(levels(&[krate("x-new", &[])]), ["x-new: has no level"]);
    }

    #[test]
    fn what_reaches_the_world_is_kept_out_of_the_state_machine() {
        assert_eq!(levels(&[krate("x-bank", &[("tokio", None)])]).len(), 1);
        assert!(levels(&[krate("node", &[("tokio", None)])]).is_empty());
        assert_eq!(
            sole_users(&[krate("app", &[("store", None)])]),
            ["app uses store, which is for node"]
        );
        assert_eq!(sole_users(&[krate("rpc", &[("revm", None)])]).len(), 1);
    }

    #[test]
    fn an_executor_that_knows_modules_is_caught() {
        for to in ["module", "revm", "x-evm", "alloy-primitives"] {
            assert_eq!(
                executor(&[krate("executor", &[(to, None)])]),
                [format!("executor uses {to}")]
            );
        }
    }

    #[test]
    fn a_test_crate_in_the_node_is_caught() {
        assert_eq!(
            test_only(&[krate("node", &[("workload", None)])]),
            ["node uses workload"]
        );
        assert!(test_only(&[krate("xtask", &[("workload", None)])]).is_empty());
    }
}
