//! The query language of `tx_search` (CometBFT libs/pubsub/query): conditions joined by AND.
use std::cmp::Ordering;

/// Longest query (CometBFT `maxQueryLength`).
const QUERY_MAX: usize = 512;

/// A condition on one event attribute, or on `tx.height` or `tx.hash`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    /// `type.attribute`.
    pub(crate) key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Equal(String),
    Contains(String),
    Exists,
    /// A number compared, with the orderings that pass.
    Number(i128, &'static [Ordering]),
}

use Ordering::{Equal, Greater, Less};

/// Operators, longer ones first.
const OPERATORS: [(&str, &[Ordering]); 5] = [
    ("<=", &[Less, Equal]),
    (">=", &[Greater, Equal]),
    ("<", &[Less]),
    (">", &[Greater]),
    ("=", &[Equal]),
];

/// Reads a query; says what is wrong with it.
pub(crate) fn parse(query: &str) -> Result<Vec<Condition>, String> {
    if query.len() > QUERY_MAX {
        return Err("maximum query length exceeded".into());
    }
    let bad = |why: &str| format!("failed to parse query {query:?}: {why}");
    let mut rest = query.trim();
    let mut conditions = Vec::new();
    loop {
        let end = rest
            .find(|c: char| c.is_whitespace() || "<>=".contains(c))
            .unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        if key.is_empty() {
            return Err(bad("want a key such as tx.height"));
        }
        let (test, after) =
            test(after.trim_start()).ok_or_else(|| bad(&format!("no valid condition on {key}")))?;
        conditions.push(Condition {
            key: key.into(),
            test,
        });
        rest = after.trim_start();
        if rest.is_empty() {
            return Ok(conditions);
        }
        rest = rest
            .strip_prefix("AND ")
            .ok_or_else(|| bad("want AND between conditions"))?
            .trim_start();
    }
}

fn test(text: &str) -> Option<(Test, &str)> {
    if let Some(rest) = text.strip_prefix("EXISTS") {
        return Some((Test::Exists, rest));
    }
    if let Some(rest) = text.strip_prefix("CONTAINS") {
        let (value, rest) = quoted(rest.trim_start())?;
        return Some((Test::Contains(value), rest));
    }
    let (operator, orderings) = OPERATORS.iter().find(|(o, _)| text.starts_with(o))?;
    let operand = text[operator.len()..].trim_start();
    if let Some((value, rest)) = quoted(operand) {
        // Only equality is defined for texts.
        return (*operator == "=").then_some((Test::Equal(value), rest));
    }
    let end = operand.find(char::is_whitespace).unwrap_or(operand.len());
    let (number, rest) = operand.split_at(end);
    Some((Test::Number(number.parse().ok()?, orderings), rest))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let (value, rest) = text.strip_prefix('\'')?.split_once('\'')?;
    Some((value.into(), rest))
}

impl Condition {
    /// Whether one of the values under the key passes.
    pub(crate) fn matches<'a>(&self, mut values: impl Iterator<Item = &'a str>) -> bool {
        match &self.test {
            Test::Exists => values.next().is_some(),
            Test::Equal(want) => values.any(|v| v == want),
            Test::Contains(part) => values.any(|v| v.contains(part.as_str())),
            Test::Number(want, pass) => {
                // As CometBFT: digits in front count, so that `12abraid` compares as 12.
                values.any(|v| leading_number(v).is_some_and(|n| pass.contains(&n.cmp(want))))
            }
        }
    }
    /// The one text that passes, where there is only one.
    pub(crate) fn exactly(&self) -> Option<&str> {
        match &self.test {
            Test::Equal(value) => Some(value),
            _ => None,
        }
    }
    /// The heights that pass, within `range`: for conditions on `tx.height`.
    pub(crate) fn narrow(&self, (low, high): (u64, u64)) -> (u64, u64) {
        let (want, pass) = match &self.test {
            Test::Number(want, pass) => (*want, *pass),
            Test::Equal(text) => match text.parse() {
                Ok(want) => (want, &[Equal][..]),
                Err(_) => return (low, high),
            },
            Test::Contains(_) | Test::Exists => return (low, high),
        };
        let clamp = |n: i128| u64::try_from(n.max(0)).unwrap_or(u64::MAX);
        let (mut low, mut high) = (low, high);
        if !pass.contains(&Less) {
            low = low.max(clamp(if pass.contains(&Equal) {
                want
            } else {
                want.saturating_add(1)
            }));
        }
        if !pass.contains(&Greater) {
            let bound = if pass.contains(&Equal) {
                want
            } else {
                want.saturating_sub(1)
            };
            // Below zero there is no height: an empty range.
            if bound < 0 {
                return (1, 0);
            }
            high = high.min(clamp(bound));
        }
        (low, high)
    }
}

fn leading_number(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(query: &str) -> Condition {
        parse(query).unwrap().remove(0)
    }

    #[test]
    fn queries_of_clients_parse() {
        let q = parse(
            "message.action='/cosmos.bank.v1beta1.MsgSend' AND tx.height>=5 AND transfer.amount EXISTS",
        )
        .unwrap();
        assert_eq!(
            q.iter().map(|c| c.key.as_str()).collect::<Vec<_>>(),
            ["message.action", "tx.height", "transfer.amount"]
        );
        assert_eq!(one("tx.hash='AB'").exactly(), Some("AB"));
        assert_eq!(one("tx.hash = 'AB'").exactly(), Some("AB"));
        for bad in [
            "",
            "tx.height",
            "tx.height=",
            "a='b",
            "a='b' OR c='d'",
            "a<'b'",
            "='x'",
            "a='b' AND ",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!(parse(&"a".repeat(600)).is_err());
    }

    #[test]
    fn values_pass_by_text_number_part_and_presence() {
        assert!(one("a.b='x y'").matches(["z", "x y"].into_iter()));
        assert!(!one("a.b='x'").matches(["xx"].into_iter()));
        assert!(one("a.b CONTAINS 'x'").matches(["axb"].into_iter()));
        assert!(one("a.b EXISTS").matches([""].into_iter()));
        assert!(!one("a.b EXISTS").matches([].into_iter()));
        assert!(one("a.b>11").matches(["12abraid"].into_iter()));
        assert!(!one("a.b>12").matches(["12abraid"].into_iter()));
        assert!(!one("a.b=1").matches(["x"].into_iter()));
    }

    #[test]
    fn heights_narrow_the_range() {
        let narrow = |q: &str| parse(q).unwrap().iter().fold((1, 100), |r, c| c.narrow(r));
        assert_eq!(narrow("tx.height=7"), (7, 7));
        assert_eq!(narrow("tx.height='7'"), (7, 7));
        assert_eq!(narrow("tx.height>7 AND tx.height<=9"), (8, 9));
        assert_eq!(narrow("tx.height<1"), (1, 0));
        assert_eq!(narrow("tx.height>200"), (201, 100));
        assert_eq!(narrow("tx.height<0"), (1, 0));
    }
}
