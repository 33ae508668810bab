//! Reads YAML as JSON. A key that is given twice and an integer that would be rounded are errors. An integer with
//! leading zeros becomes text, since YAML 1.1 and YAML 1.2 read it as different numbers.

use std::fmt;

use mlflow_deploy::settings::json::{long_integer, twice_key};
use mlflow_deploy_plugin_api::json_integer::is_beyond_64_bits;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};

/// Parses a YAML text. Messages do not contain its values, since these may be secret.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    // A snippet would contain the file's content.
    let options = serde_saphyr::options! { with_snippet: false, leading_zero_numbers_as_strings: true };
    let node: Spanned<Node> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map(|at| at.line());
        match (error.without_snippet(), line) {
            (serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. }, Some(line)) => {
                twice_key(key, usize::try_from(line).unwrap_or(usize::MAX))
            }
            (_, Some(line)) => format!("not YAML that can be converted to JSON, at line {line}"),
            (_, None) => "not YAML that can be converted to JSON".to_owned(),
        }
    })?;
    node.value.into_json(node.defined, text)
}

/// A YAML node. Its location leads to its text: a float may be a rounded integer, and a boolean may be the text `y`.
enum Node {
    Bool(bool),
    Float(f64),
    Mapping(Vec<(String, Spanned<Self>)>),
    Scalar(Value),
    Sequence(Vec<Spanned<Self>>),
}

impl Node {
    fn into_json(self, at: Location, text: &str) -> Result<Value, String> {
        let convert = |node: Spanned<Self>| node.value.into_json(node.defined, text);
        Ok(match self {
            // Text in YAML 1.2 and in PyYAML.
            Self::Bool(_) if matches!(scalar(at, text), "y" | "Y" | "n" | "N") => scalar(at, text).into(),
            Self::Bool(value) => value.into(),
            Self::Float(_) if is_beyond_64_bits(scalar(at, text)) => {
                return Err(long_integer(usize::try_from(at.line()).unwrap_or(usize::MAX)));
            }
            Self::Float(value) => value.into(),
            Self::Mapping(entries) => {
                let entry = |(key, node)| Ok::<_, String>((key, convert(node)?));
                entries.into_iter().map(entry).collect::<Result<Map<_, _>, _>>()?.into()
            }
            // The parser returns long integers in these notations as text.
            Self::Scalar(Value::String(value))
                if value == scalar(at, text) && is_long_integer(&value) && !is_tagged(at, text) =>
            {
                return Err(long_integer(usize::try_from(at.line()).unwrap_or(usize::MAX)));
            }
            Self::Scalar(value) => value,
            Self::Sequence(items) => items.into_iter().map(convert).collect::<Result<Vec<_>, _>>()?.into(),
        })
    }
}

/// Returns the part of the text at the location of a scalar.
fn scalar(at: Location, text: &str) -> &str {
    let span = at.span();
    let range = span.byte_offset().zip(span.byte_len()).and_then(|(start, len)| {
        let start = usize::try_from(start).ok()?;
        Some(start..start + usize::try_from(len).ok()?)
    });
    range.and_then(|range| text.get(range)).unwrap_or_default().trim()
}

/// Returns true if a scalar has a tag, such as `!!str`. The tag may be before or after an anchor.
fn is_tagged(at: Location, text: &str) -> bool {
    let start = at.span().byte_offset().and_then(|start| usize::try_from(start).ok());
    let before = start.and_then(|start| text.get(..start)).unwrap_or_default();
    let mut words = before.rsplit(|each: char| each.is_whitespace() || matches!(each, '[' | '{' | ','));
    words.find(|word| !word.is_empty() && !word.starts_with('&')).is_some_and(|word| word.starts_with('!'))
}

/// Returns true if a plain scalar is an integer of more than 64 bits that is hexadecimal, octal or binary, or has
/// underscores between its digits.
fn is_long_integer(scalar: &str) -> bool {
    let (sign, unsigned) = match scalar.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", scalar.strip_prefix('+').unwrap_or(scalar)),
    };
    let radix = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    let prefixed = radix.into_iter().find_map(|(prefix, radix)| Some((unsigned.strip_prefix(prefix)?, radix)));
    let (digits, radix) = prefixed.unwrap_or((unsigned, 10));
    // A decimal integer with leading zeros is text.
    let is_text = radix == 10 && (digits.starts_with(['0', '_']) || !digits.contains('_'));
    let digits = digits.replace('_', "");
    if is_text || digits.is_empty() || !digits.chars().all(|each| each.is_digit(radix)) {
        return false;
    }
    let number = format!("{sign}{digits}");
    i64::from_str_radix(&number, radix).is_err() && u64::from_str_radix(&number, radix).is_err()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML node")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element()? {
            nodes.push(node);
        }
        Ok(Node::Sequence(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            nodes.push(entry);
        }
        Ok(Node::Mapping(nodes))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_keep_their_types_and_digits() {
        for (yaml, expected) in [
            ("00123", json!("00123")),
            ("-007", json!("-007")),
            ("00012345678901234567", json!("00012345678901234567")),
            ("0", json!(0)),
            ("-12", json!(-12)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("12.00", json!(12.0)),
            ("1e30", json!(1e30)),
            ("99999999999999999999.0", json!(99_999_999_999_999_999_999.0)),
            ("\"99999999999999999999\"", json!("99999999999999999999")),
            ("2026-01-02", json!("2026-01-02")),
            ("[~, yes, é]", json!([null, true, "é"])),
            ("0x7F", json!(127)),
            ("1_000", json!(1000)),
            ("-0", json!(0)),
            ("0xFFFFFFFFFFFFFFFF", json!(u64::MAX)),
            ("\"0xFFFFFFFFFFFFFFFFF\"", json!("0xFFFFFFFFFFFFFFFFF")),
            ("'99_999_999_999_999_999_999'", json!("99_999_999_999_999_999_999")),
            ("!!str 0xFFFFFFFFFFFFFFFFF", json!("0xFFFFFFFFFFFFFFFFF")),
            ("!!str &x 0xFFFFFFFFFFFFFFFFF", json!("0xFFFFFFFFFFFFFFFFF")),
            ("0xFFFFFFFFFFFFFFFFFZ", json!("0xFFFFFFFFFFFFFFFFFZ")),
            ("[y, N, true, off]", json!(["y", "N", true, false])),
            ("{&x a: [1, *x], b: {c: 2}}", json!({"a": [1, "a"], "b": {"c": 2}})),
        ] {
            assert_eq!(parse(&format!("é: 1\nvalue: {yaml}\n")).unwrap()["value"], expected, "{yaml}");
        }
    }

    #[test]
    fn a_repeated_key_and_a_long_integer_are_errors_with_the_line() {
        for (yaml, message) in [
            ("a: 1\nb: 2\na: 3\n", "the key `a` is given twice, the second time at line 3: remove one of them"),
            ("o:\n  é: {k: 1, k: 2}\n", "the key `k` is given twice, the second time at line 2: remove one of them"),
            (
                "é: é\nid: 18446744073709551616\n",
                "the integer at line 2 has more than 64 bits: quote it to send it as text",
            ),
            ("a: [-9223372036854775809]\n", "the integer at line 1 has more than 64 bits: quote it to send it as text"),
            ("a: 0x1_0000_0000_0000_0000\n", "the integer at line 1 has more than 64 bits"),
            ("a:\n  - -0xFFFFFFFFFFFFFFFF\n", "the integer at line 2 has more than 64 bits"),
            ("a: 0o7777777777777777777777777\n", "the integer at line 1 has more than 64 bits"),
            ("a: 99_999_999_999_999_999_999\n", "the integer at line 1 has more than 64 bits"),
            ("a: .nan\n", "not YAML that can be converted to JSON, at line 1"),
            ("a: [1\n", "not YAML that can be converted to JSON, at line "),
        ] {
            let error = parse(yaml).unwrap_err();
            assert!(error.starts_with(message), "{yaml}: {error}");
        }
    }
}
