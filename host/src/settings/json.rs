//! Parses JSON without losing values. A key that is given twice in one object is an error, and so is an integer that
//! would be rounded.

use std::borrow::Cow;
use std::fmt;

use mlflow_deploy_plugin_api::json_integer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The reason why a JSON text is invalid. It does not contain the values of the text, since these may be secret.
#[derive(Debug, PartialEq)]
pub enum JsonFault {
    /// The integer at this line has more than 64 bits.
    LongInteger { line: usize },
    /// The text is not JSON.
    Syntax { line: usize, column: usize, reason: String },
    /// This key is given twice in one object. The second occurrence is at this line.
    TwiceKey { key: String, line: usize },
}

/// Parses a JSON text.
pub fn parse(text: &str) -> Result<Value, JsonFault> {
    let UniqueKeys(value) = serde_json::from_str(&without_negative_zeros(text)).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let message = error.to_string();
        let reason = message.rsplit_once(" at line ").map_or(&*message, |(reason, _)| reason);
        match reason.strip_prefix(TWICE) {
            Some(key) => JsonFault::TwiceKey { key: key.to_owned(), line },
            None => JsonFault::Syntax { line, column, reason: reason.to_owned() },
        }
    })?;
    match json_integer::beyond_64_bits(text) {
        Some(at) => Err(JsonFault::LongInteger { line: text[..at].matches('\n').count() + 1 }),
        None => Ok(value),
    }
}

/// Replaces each integer `-0` with ` 0`, as Python reads it. The parser would return the float `-0.0`. The positions in
/// the text stay the same.
fn without_negative_zeros(text: &str) -> Cow<'_, str> {
    if !text.contains("-0") {
        return Cow::Borrowed(text);
    }
    let mut new = text.to_owned();
    let (mut is_in_string, mut is_escaped, mut before) = (false, false, b' ');
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_in_string,
            b'"' => is_in_string = !is_in_string,
            b'-' if !is_in_string && !matches!(before, b'e' | b'E') => {
                let is_part = |next: char| next.is_ascii_digit() || matches!(next, '.' | 'e' | 'E');
                if text[at + 1..].strip_prefix('0').is_some_and(|rest| !rest.starts_with(is_part)) {
                    new.replace_range(at..=at, " ");
                }
            }
            _ => {}
        }
        before = byte;
    }
    Cow::Owned(new)
}

impl fmt::Display for JsonFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LongInteger { line } => write!(formatter, "{}", long_integer(*line)),
            Self::Syntax { line, column, reason } => {
                write!(formatter, "not JSON at line {line} column {column}: {reason}")
            }
            Self::TwiceKey { key, line } => write!(formatter, "{}", twice_key(key, *line)),
        }
    }
}

/// Returns the message for an integer that has more than 64 bits.
pub fn long_integer(line: usize) -> String {
    format!("the integer at line {line} has more than 64 bits: quote it to send it as text")
}

/// Returns the message for a key that is given twice in one object.
pub fn twice_key(key: &str, line: usize) -> String {
    format!("the key `{key}` is given twice, the second time at line {line}: remove one of them")
}

/// The start of the error message for a repeated key. The parser recognizes the error by this text.
const TWICE: &str = "repeated key ";

/// A JSON value in which no object has a key twice.
struct UniqueKeys(Value);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueKeysVisitor).map(Self)
    }
}

struct UniqueKeysVisitor;

impl<'de> Visitor<'de> for UniqueKeysVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(UniqueKeys(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if members.contains_key(&key) {
                return Err(Error::custom(format!("{TWICE}{key}")));
            }
            let UniqueKeys(value) = entries.next_value()?;
            members.insert(key, value);
        }
        Ok(members.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_that_of_serde_json() {
        let text = r#"{"a": [1, -2, 0.5, true, null, "é"], "b": {"a": 18446744073709551615}, "c": 1e30}"#;
        assert_eq!(parse(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(parse(r#"[{"a": 1}, {"a": 2}]"#).unwrap(), json!([{"a": 1}, {"a": 2}]));
    }

    #[test]
    fn a_negative_zero_is_an_integer_unless_it_has_a_fraction() {
        for (text, expected) in [
            ("-0", "0"),
            ("[-0,-0 , -1]", "[0,0,-1]"),
            (r#"{"-0": "\"-0", "b": -0}"#, r#"{"-0":"\"-0","b":0}"#),
            ("[-0.0, -0e1, 1e-0]", "[-0.0,-0.0,1.0]"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expected, "{text}");
        }
        for text in ["--0", "-00", "1-0"] {
            assert!(matches!(parse(text), Err(JsonFault::Syntax { .. })), "{text}");
        }
    }

    #[test]
    fn a_repeated_key_and_a_long_integer_are_faults_with_their_line() {
        let twice = JsonFault::TwiceKey { key: "a at line b".to_owned(), line: 3 };
        assert_eq!(parse("{\"o\": {\"a at line b\": 1,\n\n\"a at line b\": 1}}"), Err(twice));
        assert_eq!(parse("{\"a\":\n18446744073709551616}"), Err(JsonFault::LongInteger { line: 2 }));
        let fault = parse("{\"id\": 007}").unwrap_err();
        assert_eq!(fault.to_string(), "not JSON at line 1 column 9: invalid number");
    }
}
