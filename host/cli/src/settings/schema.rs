//! What a manifest's schema says of keys: their types, their names, whether there may be others.
//!
//! It is a help for whoever types, and no validator: that is the plugin's to be.

use mlflow_deploy::nearest;
use serde_json::{Map, Value};

/// The JSON Schema subset of one object or of one of its members; nothing is known where it is empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schema<'a>(Option<&'a Map<String, Value>>);

impl<'a> Schema<'a> {
    pub(crate) fn new(schema: Option<&'a Map<String, Value>>) -> Self {
        Self(schema)
    }

    /// The schema of a member.
    pub(crate) fn property(self, name: &str) -> Self {
        Self(self.properties().and_then(|properties| properties.get(name)?.as_object()))
    }

    /// The names of the members that are known, in the manifest's order.
    pub(crate) fn names(self) -> impl Iterator<Item = &'a str> {
        self.properties().into_iter().flat_map(|properties| properties.keys().map(String::as_str))
    }

    /// What a member is, for a person.
    pub(crate) fn description(self) -> &'a str {
        self.text("description")
    }

    /// Whether the value must never be shown.
    pub(crate) fn is_secret(self) -> bool {
        self.0.is_some_and(|schema| schema.get("writeOnly") == Some(&Value::Bool(true)))
    }

    /// The value that is taken where none is given.
    pub(crate) fn default(self) -> Option<&'a Value> {
        self.0?.get("default")
    }

    /// The names of the types, as the manifest writes them; empty where any will do.
    pub(crate) fn type_names(self) -> Vec<&'a str> {
        match self.0.and_then(|schema| schema.get("type")) {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Why a member of this name is not expected: the name that may have been meant. `None` where it is expected, or
    /// may as well be.
    pub(crate) fn unexpected(self, name: &str) -> Option<Unexpected<'a>> {
        if self.names().any(|known| known == name) {
            return None;
        }
        let nearest = nearest(name, self.names());
        let is_closed = self.0.is_some_and(|schema| schema.get("additionalProperties") == Some(&Value::Bool(false)));
        (is_closed || nearest.is_some()).then_some(Unexpected { nearest, is_closed })
    }

    /// A value as it is typed, read as the type that the schema gives; `None` where it is not of that type.
    pub(super) fn read(self, text: &str) -> Option<Value> {
        let types = self.type_names();
        if types.is_empty() || types.contains(&"string") {
            return Some(Value::from(text));
        }
        let json = match text {
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            text => serde_json::from_str(text).ok()?,
        };
        let is_one = |name: &&str| match *name {
            "array" => json.is_array(),
            "boolean" => json.is_boolean(),
            "integer" => json.is_i64() || json.is_u64(),
            "null" => json.is_null(),
            "number" => json.is_number(),
            "object" => json.is_object(),
            _ => true,
        };
        types.iter().any(is_one).then_some(json)
    }

    /// The types for a person, with their articles.
    pub(super) fn types(self) -> String {
        let phrase = |name| match name {
            "array" => "a JSON list",
            "boolean" => "`true` or `false`",
            "integer" => "an integer",
            "null" => "`null`",
            "number" => "a number",
            "object" => "a JSON object",
            "string" => "text",
            other => other,
        };
        self.type_names().into_iter().map(phrase).collect::<Vec<_>>().join(" or ")
    }

    fn properties(self) -> Option<&'a Map<String, Value>> {
        self.0?.get("properties")?.as_object()
    }

    fn text(self, member: &str) -> &'a str {
        self.0.and_then(|schema| schema.get(member)?.as_str()).unwrap_or_default()
    }
}

/// A key that the target does not know.
#[derive(Debug, PartialEq)]
pub(crate) struct Unexpected<'a> {
    /// A known key that is much like it.
    pub(crate) nearest: Option<&'a str>,
    /// Whether the target takes known keys only.
    pub(crate) is_closed: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_like_a_known_one_is_unexpected_and_any_other_one_where_the_schema_is_closed() {
        let open = json!({"properties": {"instance_type": {}, "wait": {}}});
        let closed = json!({"properties": {"instance_type": {}, "wait": {}}, "additionalProperties": false});
        let (open, closed) = (Schema::new(open.as_object()), Schema::new(closed.as_object()));
        let nearest = |nearest, is_closed| Some(Unexpected { nearest, is_closed });
        assert_eq!(open.unexpected("wait"), None);
        assert_eq!(open.unexpected("instance-type"), nearest(Some("instance_type"), false));
        assert_eq!(open.unexpected("anything"), None);
        assert_eq!(closed.unexpected("wiat"), nearest(Some("wait"), true));
        assert_eq!(closed.unexpected("xyz"), nearest(None, true));
        assert_eq!(Schema::new(None).unexpected("xyz"), None);
    }
}
