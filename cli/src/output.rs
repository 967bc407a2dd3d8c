//! Print what a command found, as text (YAML, as the SDK does) or as JSON.
use anyhow::{Result, bail};
use serde_json::Value;
use std::io::Write as _;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// YAML, for people.
    Text,
    /// One line of JSON, for programs.
    Json,
}

/// The flag.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct OutputArgs {
    /// Output format [default: text].
    #[arg(short = 'o', long, value_enum, global = true, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
}

impl OutputArgs {
    /// The flag, else `client.toml`'s `output`, else text.
    pub(crate) fn format(&self, client: Option<&str>) -> Result<Format> {
        match (self.output, client) {
            (Some(format), _) => Ok(format),
            (None, Some("json")) => Ok(Format::Json),
            (None, Some("text") | None) => Ok(Format::Text),
            (None, Some(other)) => bail!("client.toml: output {other:?}: want text or json"),
        }
    }
}

/// Prints a value on standard output. A reader that went away is no error.
pub(crate) fn print(format: Format, value: &Value) -> Result<()> {
    let text = match format {
        Format::Json => format!("{value}\n"),
        Format::Text => to_yaml(value),
    };
    print_text(&text)
}

/// Prints text on standard output. A reader that went away is no error.
pub(crate) fn print_text(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// YAML of a JSON value, as plain as it gets.
pub(crate) fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(m) if !m.is_empty() => write_block(value, 0, &mut out),
        Value::Array(a) if !a.is_empty() => write_block(value, 0, &mut out),
        _ => {
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
    out
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(m) => !m.is_empty(),
        Value::Array(a) => !a.is_empty(),
        _ => false,
    }
}

fn write_block(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) => {
            for (name, v) in map {
                out.push_str(&format!("{pad}{}:", plain(name)));
                write_after(v, indent + 2, out);
            }
        }
        Value::Array(items) => {
            for v in items {
                if is_block(v) {
                    // The item's first line stands behind the dash.
                    let mut inner = String::new();
                    write_block(v, indent + 2, &mut inner);
                    out.push_str(&format!("{pad}- {}", &inner[indent + 2..]));
                } else {
                    out.push_str(&format!("{pad}- {}\n", scalar(v)));
                }
            }
        }
        _ => out.push_str(&format!("{pad}{}\n", scalar(value))),
    }
}

fn write_after(value: &Value, indent: usize, out: &mut String) {
    if is_block(value) {
        out.push('\n');
        // YAML lets a list stand at its key's own depth, as the SDK prints it.
        let depth = if value.is_array() { indent - 2 } else { indent };
        write_block(value, depth, out);
    } else {
        out.push_str(&format!(" {}\n", scalar(value)));
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(s) => plain(s),
        Value::Array(_) => "[]".into(),
        Value::Object(_) => "{}".into(),
        other => other.to_string(),
    }
}

/// A text, quoted where YAML would read it as something else.
fn plain(text: &str) -> String {
    let first = text.chars().next();
    let odd = |c: char| c.is_control() || c == '"' || c == '\\';
    let special = text.contains(": ") || text.contains(" #") || text.ends_with(':') || text.chars().any(odd);
    let looks_other = text.parse::<f64>().is_ok()
        || text.starts_with("0x") && text.len() <= 18
        || ["true", "false", "null", "yes", "no", "~"].contains(&text.to_lowercase().as_str());
    match first {
        Some(c) if !"-?:,[]{}#&*!|>'%@` ".contains(c) && !special && !looks_other && !text.ends_with(' ') => {
            text.into()
        }
        _ => Value::String(text.into()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn yaml_has_the_sdks_shape() {
        let value = json!({
            "balances": [{"amount": "12", "denom": "abraid"}, {"amount": "1", "denom": "stake"}],
            "empty": [], "log": "", "note": "a: b", "pagination": {"total": "2"}, "ok": true
        });
        let want = "balances:\n- amount: \"12\"\n  denom: abraid\n- amount: \"1\"\n  denom: stake\nempty: []\nlog: \"\"\n\
                    note: \"a: b\"\nok: true\npagination:\n  total: \"2\"\n";
        assert_eq!(to_yaml(&value), want);
        assert_eq!(to_yaml(&json!("x")), "x\n");
        assert_eq!(to_yaml(&json!([[1, 2], "true"])), "- - 1\n  - 2\n- \"true\"\n");
    }
}
