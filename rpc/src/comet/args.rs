//! Parameters in CometBFT's three forms: a JSON object, a JSON array, a URI's query (rpc/jsonrpc/server).
use super::error::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeMap;

/// One value as it came.
#[derive(Clone, Debug, PartialEq)]
enum Raw {
    Json(Value),
    Uri(String),
}

/// A request's parameters by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Args(BTreeMap<String, Raw>);

impl Args {
    /// From JSON; an array is read in the order of `names`.
    pub(crate) fn json(params: Option<Value>, names: &[&str]) -> Result<Self> {
        let keep = |(k, v): (String, Value)| (!v.is_null()).then_some((k, Raw::Json(v)));
        match params {
            None | Some(Value::Null) => Ok(Self::default()),
            Some(Value::Object(fields)) => Ok(Self(fields.into_iter().filter_map(keep).collect())),
            Some(Value::Array(values)) if values.is_empty() || values.len() == names.len() => {
                let named = names.iter().map(|n| (*n).to_owned()).zip(values);
                Ok(Self(named.filter_map(keep).collect()))
            }
            Some(Value::Array(values)) => Err(Error::params(format!(
                "error converting json params to arguments: expected {} parameters ({}), got {}",
                names.len(),
                names.join(","),
                values.len()
            ))),
            Some(other) => Err(Error::params(format!(
                "expected params to be a map or an array, got {other}"
            ))),
        }
    }
    /// From a URI's query.
    pub(crate) fn uri(pairs: Vec<(String, String)>) -> Self {
        Self(
            pairs
                .into_iter()
                .filter(|(_, v)| !v.is_empty())
                .map(|(k, v)| (k, Raw::Uri(v)))
                .collect(),
        )
    }
    fn wrong(name: &str, value: &Raw, want: &str) -> Error {
        let text = match value {
            Raw::Json(v) => v.to_string(),
            Raw::Uri(v) => v.clone(),
        };
        let cut: String = text.chars().take(80).collect();
        Error::params(format!("parameter {name:?} is {cut}: want {want}"))
    }
    /// A text; absent is empty.
    pub(crate) fn text(&self, name: &str) -> Result<String> {
        match self.0.get(name) {
            None => Ok(String::new()),
            Some(Raw::Json(Value::String(s))) => Ok(s.clone()),
            Some(Raw::Uri(s)) => Ok(unquoted(s).unwrap_or(s).to_owned()),
            Some(other) => Err(Self::wrong(name, other, "a string")),
        }
    }
    /// An integer: 64-bit ones come as strings, small ones as numbers.
    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>> {
        let Some(raw) = self.0.get(name) else {
            return Ok(None);
        };
        let value = match raw {
            Raw::Json(Value::Number(n)) => n.as_i64(),
            Raw::Json(Value::String(s)) => s.parse().ok(),
            Raw::Uri(s) => unquoted(s).unwrap_or(s).parse().ok(),
            Raw::Json(_) => None,
        };
        value
            .map(Some)
            .ok_or_else(|| Self::wrong(name, raw, "an integer"))
    }
    /// A flag; absent is false.
    pub(crate) fn flag(&self, name: &str) -> Result<bool> {
        match self.0.get(name) {
            None => Ok(false),
            Some(Raw::Json(Value::Bool(b))) => Ok(*b),
            Some(Raw::Uri(s)) if s == "true" || s == "false" => Ok(s == "true"),
            Some(other) => Err(Self::wrong(name, other, "true or false")),
        }
    }
    /// Bytes (Go's `[]byte`): base64 in JSON; `0x` and hex, or a quoted text, in a URI.
    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        self.decode(name, "base64", |s| STANDARD.decode(s).ok())
    }
    /// Bytes (Go's `HexBytes`): hex in JSON; `0x` and hex, or a quoted text, in a URI.
    pub(crate) fn hex(&self, name: &str) -> Result<Vec<u8>> {
        self.decode(name, "hex", |s| hex::decode(s).ok())
    }
    fn decode(&self, name: &str, form: &str, json: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Vec<u8>> {
        let Some(raw) = self.0.get(name) else {
            return Ok(Vec::new());
        };
        let value = match raw {
            Raw::Json(Value::String(s)) => json(s),
            Raw::Json(_) => None,
            Raw::Uri(s) => match (s.strip_prefix("0x"), unquoted(s)) {
                (Some(digits), _) => hex::decode(digits).ok(),
                (None, Some(text)) => Some(text.as_bytes().to_vec()),
                (None, None) => None,
            },
        };
        value.ok_or_else(|| Self::wrong(name, raw, &format!("{form} in JSON, 0x and hex in a URI")))
    }
}

fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_three_forms_say_the_same() {
        let names = ["path", "data", "height", "prove"];
        let object = Args::json(
            Some(json!({"path": "/p", "data": "0aff", "height": "7", "prove": true})),
            &names,
        )
        .unwrap();
        let array = Args::json(Some(json!(["/p", "0AFF", "7", true])), &names).unwrap();
        let uri = [
            ("path", "\"/p\""),
            ("data", "0x0aff"),
            ("height", "7"),
            ("prove", "true"),
        ];
        let uri = Args::uri(uri.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec());
        for a in [object, array, uri] {
            assert_eq!(a.text("path").unwrap(), "/p");
            assert_eq!(a.hex("data").unwrap(), [0x0a, 0xff]);
            assert_eq!(a.int("height").unwrap(), Some(7));
            assert!(a.flag("prove").unwrap());
        }
    }

    #[test]
    fn bytes_are_base64_in_json_and_hex_or_text_in_a_uri() {
        let json = Args::json(Some(json!({"tx": "AQI="})), &["tx"]).unwrap();
        assert_eq!(json.bytes("tx").unwrap(), [1, 2]);
        let uri = |v: &str| Args::uri(vec![("tx".into(), v.into())]).bytes("tx");
        assert_eq!(uri("0x0102").unwrap(), [1, 2]);
        assert_eq!(uri("\"a=b\"").unwrap(), b"a=b");
        assert!(uri("0x012").is_err());
        assert!(uri("plain").is_err());
    }

    #[test]
    fn garbage_is_named() {
        let args = Args::json(Some(json!({"height": {"a": 1}, "tx": "!"})), &[]).unwrap();
        assert_eq!(args.int("height").unwrap_err().code, -32602);
        assert!(
            args.bytes("tx").unwrap_err().to_json()["data"]
                .as_str()
                .unwrap()
                .contains("\"!\"")
        );
        assert!(Args::json(Some(json!([1])), &["a", "b"]).is_err());
        assert!(Args::json(Some(json!("x")), &[]).is_err());
    }
}
