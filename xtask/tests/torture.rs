//! The short form of `cargo xtask torture`: some dozens of kills on each database.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
use std::process::Command;

fn torture(kills: &str, database: &str, commit: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args([
        "torture",
        "--kills",
        kills,
        "--database",
        database,
        "--commit",
        commit,
    ]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // The seed is in its first line.
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
    let want = format!("{kills} kills: 0 lost, 0 torn, 0 unrecoverable");
    assert_eq!(text.lines().last(), Some(&want[..]));
}

#[test]
fn kills_anywhere_lose_and_tear_nothing_on_sled() {
    torture("25", "sled", "sync");
}

#[test]
fn kills_anywhere_lose_and_tear_nothing_on_sled_written_behind() {
    torture("15", "sled", "async");
}

#[test]
fn kills_anywhere_lose_and_tear_nothing_on_redb() {
    torture("15", "redb", "async");
}
