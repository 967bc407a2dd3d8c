//! Words that no file says.
use super::Broken;
use crate::files::tracked;
use anyhow::Result;
use std::path::Path;

/// Put together here, so that this file does not say them.
const PLACES: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!(".lib", "rary/"),
];

/// No tracked text names a folder of the machine it was written on.
pub(super) fn check(root: &Path) -> Result<Broken> {
    let mut broken = Broken::new();
    for path in tracked(root)? {
        // Binary files have no words.
        let Ok(text) = std::fs::read_to_string(root.join(&path)) else {
            continue;
        };
        broken.extend(
            said(&text)
                .into_iter()
                .map(|(line, word)| format!("{}:{line}: {word}", path.display())),
        );
    }
    Ok(broken)
}

fn said(text: &str) -> Vec<(usize, &'static str)> {
    let lines = text.lines().enumerate();
    lines
        .flat_map(|(i, l)| {
            PLACES
                .iter()
                .filter(|p| l.contains(**p))
                .map(move |p| (i + 1, *p))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_path_on_somebodys_machine_is_caught() {
        let text = format!("fine\nsee {}x\n", super::PLACES[0]);
        assert_eq!(super::said(&text), [(2, super::PLACES[0])]);
    }
}
