//! Reads and sets members of a JSON object without changing its other bytes.
//!
//! The JSON of a caller is forwarded as text, so that its numbers, order and spaces stay unchanged.

use std::borrow::Cow;
use std::fmt;

use mlflow_deploy_plugin_api::{Error, JSON, Payload, Result, file};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Returns a JSON object with the member `name` set to `value`, which is JSON text. A missing member is inserted at the
/// start.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the bytes are not a JSON object.
pub fn set_member(object: &[u8], name: &str, value: &str) -> Result<Vec<u8>> {
    Ok(JsonObject::parse(object)?.with(&[(name, value)]))
}

/// Joins JSON objects into a JSON list.
pub fn json_list(objects: &[Vec<u8>]) -> Payload {
    Payload::new(JSON, [b"[".as_slice(), &objects.join(&b","[..]), b"]"].concat())
}

/// A parsed JSON object: its members in their original order, with the JSON text of each value.
pub struct JsonObject<'a> {
    text: &'a str,
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> JsonObject<'a> {
    /// Parses a JSON object. Skips a byte order mark before it.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the bytes are not a JSON object.
    pub fn parse(object: &'a [u8]) -> Result<Self> {
        let invalid = |reason: &dyn fmt::Display| Error::invalid_parameter(format!("expected a JSON object: {reason}"));
        let text = str::from_utf8(file::without_byte_order_mark(object)).map_err(|error| invalid(&error))?;
        let Members(members) = serde_json::from_str(text).map_err(|error| invalid(&error))?;
        Ok(Self { text, members })
    }

    /// Returns the JSON text of the member `name`, or `None` if the member is missing or `null`. If several members
    /// have this name, the last one counts.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.members.iter().rfind(|(each, _)| each == name)?;
        Some(value.get()).filter(|value| *value != "null")
    }

    /// Returns the names of the object's members, in their original order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_ref())
    }

    /// Returns the JSON of the object with the members in `set` set to the given values, which are JSON text. Missing
    /// members are inserted at the start.
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

    /// Returns the JSON of the object without the member `name`. The other members keep their values and their order.
    pub fn without(&self, name: &str) -> Vec<u8> {
        if self.members.iter().all(|(each, _)| each != name) {
            return self.text.as_bytes().to_vec();
        }
        let kept = self.members.iter().filter(|(each, _)| each != name);
        let written: Vec<_> = kept
            .map(|(name, value)| {
                format!("{}:{}", serde_json::to_string(name).expect("a text has a JSON form"), value.get())
            })
            .collect();
        format!("{{{}}}", written.join(",")).into_bytes()
    }
}

/// Shows only the names of the members, because their values may be private.
impl fmt::Debug for JsonObject<'_> {
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
    fn set_member_keeps_all_other_bytes() {
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
    fn with_sets_several_members() {
        let set = |object: &str| {
            let object = JsonObject::parse(object.as_bytes()).unwrap();
            String::from_utf8(object.with(&[("model", "\"m\""), ("stream", "true")])).unwrap()
        };
        assert_eq!(set("{}"), r#"{"model":"m","stream":true}"#);
        assert_eq!(set(r#"{"stream":0, "a":1}"#), r#"{"model":"m","stream":true, "a":1}"#);
        assert_eq!(set(r#"{"stream":0,"model":null }"#), r#"{"stream":true,"model":"m" }"#);
    }

    #[test]
    fn without_removes_every_member_of_a_name() {
        for (object, expected) in [
            (r#"{"a":1.10, "b": {"a":2}}"#, r#"{"b":{"a":2}}"#),
            (r#"{"b": [1, 2],"a":1,"a":2}"#, r#"{"b":[1, 2]}"#),
            (r#"{"a":1}"#, "{}"),
            (r#"{ "b": 1 }"#, r#"{ "b": 1 }"#),
        ] {
            let without = JsonObject::parse(object.as_bytes()).unwrap().without("a");
            assert_eq!(String::from_utf8(without).unwrap(), expected);
        }
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_object() {
        let with = set_member("\u{feff}{\"a\":1.10}".as_bytes(), "model", "\"m\"").unwrap();
        assert_eq!(String::from_utf8(with).unwrap(), r#"{"model":"m","a":1.10}"#);
    }

    #[test]
    fn get_returns_the_last_member_of_a_name_and_none_for_null() {
        let object = JsonObject::parse(br#"{"a":1,"b":null,"a": [2] }"#).unwrap();
        assert_eq!((object.get("a"), object.get("b"), object.get("c")), (Some("[2]"), None, None));
        assert_eq!(format!("{object:?}"), r#"["a", "b", "a"]"#);
    }

    #[test]
    fn set_member_of_anything_but_an_object_fails() {
        for other in ["", "[]", "1", "{\"a\":NaN}", "{\"a\":1", "{} {}"] {
            let error = set_member(other.as_bytes(), "stream", "true").unwrap_err();
            assert!(error.message().starts_with("expected a JSON object: "), "{error}");
        }
        set_member(b"\xff", "stream", "true").unwrap_err();
    }
}
