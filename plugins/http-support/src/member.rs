//! Sets one member of a JSON object and leaves every other byte of it as it is.
//!
//! What a caller hands in is forwarded, not read and written again: its numbers, its order and its spaces are its own.

use std::borrow::Cow;
use std::fmt;

use mlflow_deploy_plugin_api::{Error, Result};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The object with `name` set to `value`, which is JSON: in the place of the member that is there, or at the start.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` where the bytes are not a JSON object.
pub fn set_member(object: &[u8], name: &str, value: &str) -> Result<Vec<u8>> {
    let wrong = |reason: &dyn fmt::Display| Error::invalid_parameter(format!("expected a JSON object: {reason}"));
    let text = str::from_utf8(object).map_err(|error| wrong(&error))?;
    let members: Members<'_> = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    let mut set = String::with_capacity(text.len() + name.len() + value.len() + 4);
    let mut rest = 0;
    for (_, old) in members.0.iter().filter(|(each, _)| each == name) {
        let start = old.get().as_ptr().addr() - text.as_ptr().addr();
        set.push_str(&text[rest..start]);
        set.push_str(value);
        rest = start + old.get().len();
    }
    if rest == 0 {
        let brace = text.find('{').expect("an object begins with a brace") + 1;
        set.push_str(&text[..brace]);
        set.push_str(&serde_json::to_string(name).expect("a text has a JSON form"));
        set.push(':');
        set.push_str(value);
        set.push_str(if members.0.is_empty() { "" } else { "," });
        rest = brace;
    }
    set.push_str(&text[rest..]);
    Ok(set.into_bytes())
}

/// The members of an object in their order, with the text of each value.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_member_is_set_and_all_else_is_kept() {
        for (object, expected) in [
            ("{}", r#"{"stream":true}"#),
            (" { \n} ", " {\"stream\":true \n} "),
            (
                r#"{"b": 1.10, "a": 12345678901234567890123}"#,
                r#"{"stream":true,"b": 1.10, "a": 12345678901234567890123}"#,
            ),
            (r#"{"a":1, "stream" : false }"#, r#"{"a":1, "stream" : true }"#),
            (r#"{"stream":{"x":[1]},"a":"stream"}"#, r#"{"stream":true,"a":"stream"}"#),
            (r#"{"stre\u0061m":0,"stream":1}"#, r#"{"stre\u0061m":true,"stream":true}"#),
            (r#"{"a":{"stream":false}}"#, r#"{"stream":true,"a":{"stream":false}}"#),
            (r#"{"é":"}{"}"#, r#"{"stream":true,"é":"}{"}"#),
        ] {
            let set = set_member(object.as_bytes(), "stream", "true").unwrap();
            assert_eq!(String::from_utf8(set).unwrap(), expected);
        }
    }

    #[test]
    fn only_an_object_has_members() {
        for other in ["", "[]", "1", "{\"a\":NaN}", "{\"a\":1", "{} {}"] {
            let error = set_member(other.as_bytes(), "stream", "true").unwrap_err();
            assert!(error.message().starts_with("expected a JSON object: "), "{error}");
        }
        set_member(b"\xff", "stream", "true").unwrap_err();
    }
}
