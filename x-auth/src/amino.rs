//! Amino JSON: what a Ledger shows and signs (SDK `StdSignDoc`).
use serde_json::{Value, json};
use std::fmt::Write as _;
use types::Coin;

/// The document that `SIGN_MODE_LEGACY_AMINO_JSON` signs.
#[derive(Clone, Debug)]
pub struct SignDoc<'a> {
    /// The Cosmos chain id.
    pub chain_id: &'a str,
    /// The signer's account number.
    pub account_number: u64,
    /// The signer's sequence.
    pub sequence: u64,
    /// The whole fee.
    pub fee: &'a [Coin],
    /// Gas at most.
    pub gas_limit: u64,
    /// The fee payer, if it is stated; else empty.
    pub payer: &'a str,
    /// A note.
    pub memo: &'a str,
    /// Last height it may be included at; 0 is left out.
    pub timeout_height: u64,
    /// The messages' amino JSON.
    pub messages: Vec<Value>,
}

impl SignDoc<'_> {
    /// The bytes to sign: compact JSON with sorted keys, escaped as Go does.
    pub fn bytes(&self) -> Vec<u8> {
        let mut fee = json!({ "amount": coins(self.fee), "gas": self.gas_limit.to_string() });
        if !self.payer.is_empty() {
            fee["payer"] = self.payer.into();
        }
        let mut doc = json!({
            "account_number": self.account_number.to_string(),
            "chain_id": self.chain_id,
            "fee": fee,
            "memo": self.memo,
            "msgs": self.messages,
            "sequence": self.sequence.to_string(),
        });
        if self.timeout_height != 0 {
            doc["timeout_height"] = self.timeout_height.to_string().into();
        }
        let mut out = String::new();
        write_sorted(&doc, &mut out);
        out.into_bytes()
    }
}

/// Coins as amino writes them; an empty list is `[]`.
pub fn coins(coins: &[Coin]) -> Value {
    coins.iter().map(coin).collect()
}

/// A coin as amino writes it.
pub fn coin(coin: &Coin) -> Value {
    json!({ "amount": coin.amount.to_string(), "denom": coin.denom })
}

// serde_json keeps keys sorted or in order of insertion, by a feature that any crate may switch on: sort here.
// Recursion is as deep as the messages' own JSON, which their code builds: a few levels.
fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_bytes());
            out.push('{');
            for (i, (key, value)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write_sorted(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_sorted(item, out);
            }
            out.push(']');
        }
        Value::String(text) => write_text(text, out),
        other => out.push_str(&other.to_string()),
    }
}

/// A string as Go's encoding/json writes it, HTML escapes included.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Go 1.22 and later.
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a string cannot fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::U256;

    #[test]
    fn the_document_is_sorted_compact_and_escaped() {
        let fee = [Coin::new(U256::from(5000), "ucosm")];
        let mut doc = SignDoc {
            chain_id: "foochain",
            account_number: 7,
            sequence: 54,
            fee: &fee,
            gas_limit: 200_000,
            payer: "",
            memo: "Use <your> \"power\" & wisely\u{2028}\n",
            timeout_height: 0,
            messages: vec![json!({ "value": { "z": "1", "a": [] }, "type": "t" })],
        };
        let want = r#"{"account_number":"7","chain_id":"foochain","fee":{"amount":[{"amount":"5000","denom":"ucosm"}],"gas":"200000"},"memo":"Use \u003cyour\u003e \"power\" \u0026 wisely\u2028\n","msgs":[{"type":"t","value":{"a":[],"z":"1"}}],"sequence":"54"}"#;
        assert_eq!(String::from_utf8(doc.bytes()).unwrap(), want);
        doc.timeout_height = 9;
        doc.payer = "braid1x";
        let text = String::from_utf8(doc.bytes()).unwrap();
        assert!(
            text.ends_with(r#""sequence":"54","timeout_height":"9"}"#),
            "{text}"
        );
        assert!(text.contains(r#""gas":"200000","payer":"braid1x"}"#), "{text}");
    }
}
