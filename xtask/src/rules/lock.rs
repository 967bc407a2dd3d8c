//! Versions that must stay single.
use super::Broken;
use anyhow::Result;

/// A second prost would give every protobuf message two types that do not fit.
pub(super) fn check(lock: &str) -> Result<Broken> {
    let versions = versions(lock, "prost");
    let ok = matches!(&versions[..], [one] if one.starts_with("0.13."));
    Ok(if ok {
        Broken::new()
    } else {
        vec![format!("Cargo.lock has prost {versions:?}, want one 0.13")]
    })
}

fn versions<'a>(lock: &'a str, name: &str) -> Vec<&'a str> {
    let mut lines = lock.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if line.strip_prefix("name = \"").and_then(|l| l.strip_suffix('"')) == Some(name) {
            let version = lines
                .next()
                .and_then(|l| l.strip_prefix("version = \""))
                .and_then(|l| l.strip_suffix('"'));
            found.extend(version);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_second_prost_is_caught() {
        let one = "[[package]]\nname = \"prost\"\nversion = \"0.13.5\"\n\n[[package]]\nname = \"prost-types\"\nversion = \"0.14.0\"\n";
        assert!(check(one).unwrap().is_empty());
        let two = format!("{one}\n[[package]]\nname = \"prost\"\nversion = \"0.14.1\"\n");
        assert_eq!(
            check(&two).unwrap(),
            [r#"Cargo.lock has prost ["0.13.5", "0.14.1"], want one 0.13"#]
        );
    }
}
