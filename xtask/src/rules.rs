//! `cargo xtask rules`: the house rules that no compiler checks. `cargo test` runs them too.
//!
//! A rule is a function from what there is to a list of what breaks it, so that each can be shown to bite.
mod workspace;
mod sentences;
mod arrows;
mod sources;
mod bans;
mod lock;
mod words;
mod map;

use anyhow::{Result, bail};
use std::path::Path;

/// What breaks a rule, one line each, naming the place.
type Broken = Vec<String>;
type Rule = (&'static str, fn(&Path) -> Result<Broken>);

const RULES: &[Rule] = &[
    (
        "a crate's sentence is the same in README.md, its first line and its description",
        |root| sentences::check(root, &workspace::read(root)?),
    ),
    ("arrows between crates only go down", |root| {
        Ok(arrows::levels(&workspace::read(root)?))
    }),
    ("the executor knows neither modules nor the EVM", |root| {
        Ok(arrows::executor(&workspace::read(root)?))
    }),
    ("what only one crate may know, only that crate knows", |root| {
        Ok(arrows::sole_users(&workspace::read(root)?))
    }),
    ("test-only crates stay out of the node", |root| {
        Ok(arrows::test_only(&workspace::read(root)?))
    }),
    (
        "no network, clock, file, randomness, float or hash order in app and below",
        sources::state_machine,
    ),
    ("no global mutable state in app and below", sources::globals),
    (
        "no test is ignored and nothing is left to be written",
        sources::unfinished,
    ),
    (
        "clippy.toml bans what could make nodes disagree, in every crate of the state machine",
        |root| bans::check(root, &workspace::read(root)?),
    ),
    ("there is one prost, 0.13", |root| {
        lock::check(&std::fs::read_to_string(root.join("Cargo.lock"))?)
    }),
    (
        "ARCHITECTURE.md and README.md name only files and tests that are there",
        map::check,
    ),
    ("no file names a place on somebody's machine", words::check),
];

/// Checks every rule; fails where one is broken.
pub(crate) fn run(root: &Path) -> Result<()> {
    let (mut passed, mut failed) = (0, 0);
    for (name, rule) in RULES {
        let broken = rule(root)?;
        if broken.is_empty() {
            passed += 1;
            println!("ok     {name}");
        } else {
            failed += 1;
            println!("BROKEN {name}");
            broken.iter().for_each(|b| println!("         {b}"));
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed > 0 {
        bail!("{failed} house rules are broken");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_rules_hold() {
        let broken: Vec<String> = RULES
            .iter()
            .flat_map(|(name, rule)| {
                rule(&crate::root())
                    .unwrap()
                    .into_iter()
                    .map(move |b| format!("{name}: {b}"))
            })
            .collect();
        assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    }
}
