//! Reads and sets members of a JSON object, and leaves every other byte of it as it is.
//!
//! What a caller hands in is forwarded, not read and written again: its numbers, its order and its spaces are its own.

use std::borrow::Cow;
use std::fmt;

use mlflow_deploy_plugin_api::{Error, JSON, Payload, Result};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The object with `name` set to `value`, which is JSON: in the place of the member that is there, or at the start.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` where the bytes are not a JSON object.
pub fn set_member(object: &[u8], name: &str, value: &str) -> Result<Vec<u8>> {
    Ok(Object::parse(object)?.with(&[(name, value)]))
}

/// These JSON objects as one list.
pub fn json_list(objects: &[Vec<u8>]) -> Payload {
    Payload::new(JSON, [b"[".as_slice(), &objects.join(&b","[..]), b"]"].concat())
}

/// A JSON object that is read once: its members in their order, with the text of each value.
pub struct Object<'a> {
    text: &'a str,
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the bytes are not a JSON object.
    pub fn parse(object: &'a [u8]) -> Result<Self> {
        let wrong = |reason: &dyn fmt::Display| Error::invalid_parameter(format!("expected a JSON object: {reason}"));
        let text = str::from_utf8(object).map_err(|error| wrong(&error))?;
        let Members(members) = serde_json::from_str(text).map_err(|error| wrong(&error))?;
        Ok(Self { text, members })
    }

    /// The JSON of a member, the last one of that name; none where it is missing or `null`.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.members.iter().rfind(|(each, _)| each == name)?;
        Some(value.get()).filter(|value| *value != "null")
    }

    /// The names of the members.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_ref())
    }

    /// The bytes with these members set to these values, which are JSON: in the place of those that are there, or at
    /// the start.
    pub fn with(&self, set: &[(&str, &str)]) -> Vec<u8> {
        let text = self.text;
        let room: usize = set.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut new = String::with_capacity(text.len() + room);
        let mut rest = text.find('{').expect("an object begins with a brace") + 1;
        new.push_str(&text[..rest]);
        let missing = set.iter().filter(|(name, _)| self.members.iter().all(|(each, _)| each != name));
        let written: Vec<_> = missing
            .map(|(name, value)| format!("{}:{value}", serde_json::to_string(name).expect("a text has a JSON form")))
            .collect();
        new.push_str(&written.join(","));
        new.push_str(if written.is_empty() || self.members.is_empty() { "" } else { "," });
        for (name, old) in &self.members {
            let Some((_, value)) = set.iter().find(|(each, _)| each == name) else { continue };
            let start = old.get().as_ptr().addr() - text.as_ptr().addr();
            new.push_str(&text[rest..start]);
            new.push_str(value);
            rest = start + old.get().len();
        }
        new.push_str(&text[rest..]);
        new.into_bytes()
    }
}

/// Shows the names alone; the values may be private.
impl fmt::Debug for Object<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.names()).finish()
    }
}

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
    fn several_members_are_set_at_once() {
        let set = |object: &str| {
            let object = Object::parse(object.as_bytes()).unwrap();
            String::from_utf8(object.with(&[("model", "\"m\""), ("stream", "true")])).unwrap()
        };
        assert_eq!(set("{}"), r#"{"model":"m","stream":true}"#);
        assert_eq!(set(r#"{"stream":0, "a":1}"#), r#"{"model":"m","stream":true, "a":1}"#);
        assert_eq!(set(r#"{"stream":0,"model":null }"#), r#"{"stream":true,"model":"m" }"#);
    }

    #[test]
    fn the_last_of_a_name_counts_and_null_is_nothing() {
        let object = Object::parse(br#"{"a":1,"b":null,"a": [2] }"#).unwrap();
        assert_eq!((object.get("a"), object.get("b"), object.get("c")), (Some("[2]"), None, None));
        assert_eq!(format!("{object:?}"), r#"["a", "b", "a"]"#);
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
