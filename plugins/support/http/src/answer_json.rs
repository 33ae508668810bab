//! Validates and parses the JSON in response bodies. Accepts `NaN` and `Infinity`, which Python servers write. Rejects
//! text that is not UTF-8.
//!
//! `serde_json` cannot do this: it rejects both numbers, and does not check the UTF-8 of strings that it skips.

use jiter::{Jiter, JiterError, JsonValue, Peek};
use serde_json::{Map, Number, Value};

/// The maximum size, in bytes, of an object member that is parsed completely. A longer member is replaced with a short
/// value. Error reports are shorter than this limit.
pub(crate) const MAX_PART: usize = 64 * 1024;

/// The byte order mark of UTF-8. JSON does not allow it, but some servers send it.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Validates a JSON text and returns a shortened copy. An object is returned with its members, an array as an array,
/// and every other value as `null`. Replaces members of more than 64 KiB with short values, except for the member
/// `choices`. If several members have the same name, the last one is returned.
///
/// # Errors
/// Returns the reason if the text is not valid JSON. The reason contains no part of the text.
pub(crate) fn outline(body: &[u8]) -> Result<Value, String> {
    read_text(body, |reader, text| outline_of(reader, text))
}

/// Validates a JSON text as [`outline`] does, and returns what `read` returns. `read` must read one JSON value.
pub(crate) fn read_text<'a, T>(
    body: &'a [u8],
    read: impl FnOnce(&mut Jiter<'a>, &'a str) -> Result<T, JiterError>,
) -> Result<T, String> {
    let text = str::from_utf8(body).map_err(|error| format!("it is not UTF-8: {error}"))?;
    let mut reader = Jiter::new(text.as_bytes()).with_allow_inf_nan();
    let result = read(&mut reader, text).and_then(|value| reader.finish().map(|()| value));
    result.map_err(|error| format!("{} at {}", error.error_type, reader.error_position(error.index)))
}

/// Returns true if a body consists of JSON lines: it has at least two lines, and each line is a JSON text.
pub(crate) fn is_json_lines(body: &[u8]) -> bool {
    let mut lines = lines(body).map(outline);
    matches!((lines.next(), lines.next()), (Some(Ok(_)), Some(Ok(_)))) && lines.all(|line| line.is_ok())
}

/// Returns the lines of a body that are not blank, without surrounding whitespace.
pub(crate) fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

fn outline_of(reader: &mut Jiter<'_>, text: &str) -> Result<Value, JiterError> {
    let first = reader.peek()?;
    if first != Peek::Object {
        let part = skip(reader, text, first)?;
        return Ok(if first == Peek::Array { value(part) } else { Value::Null });
    }
    let mut members = Map::new();
    let mut next = reader.known_object()?.map(str::to_owned);
    while let Some(name) = next {
        let peek = reader.peek()?;
        let part = skip(reader, text, peek)?;
        let value = if name == "choices" { parse(part) } else { value(part) };
        members.insert(name, value);
        next = reader.next_key()?.map(str::to_owned);
    }
    Ok(Value::Object(members))
}

/// Advances the reader past a JSON value, and returns the text of that value.
pub(crate) fn skip<'a>(reader: &mut Jiter<'_>, text: &'a str, peek: Peek) -> Result<&'a str, JiterError> {
    let start = reader.current_index();
    reader.known_skip(peek)?;
    Ok(text.get(start..reader.current_index()).unwrap_or_default())
}

/// Parses a JSON value. Replaces a value that is longer than [`MAX_PART`] with a short value of the same type.
fn value(part: &str) -> Value {
    if part.len() <= MAX_PART {
        return parse(part);
    }
    match part.trim_start().chars().next() {
        Some('[') => Value::Array(vec![Value::Null]),
        Some('{') => Value::Object(Map::from_iter([("…".to_owned(), Value::Null)])),
        _ => Value::from("…"),
    }
}

/// Parses a valid JSON text. Converts `NaN` and `Infinity` to `null`.
fn parse(part: &str) -> Value {
    serde_json::from_str(part).unwrap_or_else(|_not_strict| {
        JsonValue::parse(part.as_bytes(), true).map_or(Value::Null, |value| convert(&value))
    })
}

fn convert(value: &JsonValue<'_>) -> Value {
    match value {
        JsonValue::Null => Value::Null,
        JsonValue::Bool(bool) => Value::Bool(*bool),
        JsonValue::Int(int) => Value::from(*int),
        JsonValue::Float(float) => Number::from_f64(*float).map_or(Value::Null, Value::Number),
        JsonValue::Str(text) => Value::from(text.as_ref()),
        JsonValue::Array(items) => items.iter().map(convert).collect(),
        JsonValue::Object(members) => {
            members.iter().map(|(name, value)| (name.clone().into_owned(), convert(value))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_outline_has_the_members_of_the_top_level() {
        let long = "1,".repeat(MAX_PART);
        for (text, expected) in [
            (r#"{"a": [1, {"b": NaN}], "c": -Infinity, "a": "é"}"#.to_owned(), json!({"a": "é", "c": null})),
            (r#"{"a": [1, {"b": NaN}]}"#.to_owned(), json!({"a": [1, {"b": null}]})),
            (format!(r#"{{"data": [{long}1], "id": "x"}}"#), json!({"data": [null], "id": "x"})),
            (r#"[{"error": "e"}]"#.to_owned(), json!([{"error": "e"}])),
            ("NaN".to_owned(), Value::Null),
            ("12345678901234567890123".to_owned(), Value::Null),
        ] {
            assert_eq!(outline(text.as_bytes()).unwrap(), expected);
        }
    }

    #[test]
    fn a_text_that_is_not_json_has_a_reason() {
        for (text, reason) in [
            (b"{\"a\":1".as_slice(), "EOF while parsing an object at line 1 column 6"),
            (b"", "EOF while parsing a value"),
            (b"{\"a\": nan}", "expected ident at line 1 column"),
            (b"{} {}", "trailing characters at line 1 column 4"),
            (b"{\"a\":\"\xe2\x82\"}", "it is not UTF-8: invalid utf-8 sequence of 2 bytes from index 6"),
            (b"1NaN", "trailing characters"),
        ] {
            let error = outline(text).unwrap_err();
            assert!(error.starts_with(reason), "{error}");
        }
    }

    #[test]
    fn json_lines_are_two_texts_or_more() {
        for (body, expected) in [
            ("{\"a\":1}\n{\"b\":2}\n", true),
            ("{\"a\":1}\r\n\r\n{\"b\":NaN}", true),
            ("{\"a\":1}\n", false),
            ("{\"a\":\n1}", false),
            ("{\"a\":1}\n\ndata: [DONE]\n\n", false),
        ] {
            assert_eq!(is_json_lines(body.as_bytes()), expected, "{body:?}");
        }
    }
}
