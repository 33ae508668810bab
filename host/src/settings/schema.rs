//! Reads the names and the types of keys from a schema in a plugin's manifest.
//!
//! The command uses the schema only as a hint. The plugin itself validates the values.

use mlflow_deploy_plugin_api::nearest;
use serde_json::{Map, Value};

use super::json;

/// A schema for an object or for one of its members, in a subset of JSON Schema. `None` allows every value.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'a>(Option<&'a Map<String, Value>>);

impl<'a> Schema<'a> {
    pub fn new(schema: Option<&'a Map<String, Value>>) -> Self {
        Self(schema)
    }

    /// Returns the schema of the member with this name.
    pub fn property(self, name: &str) -> Self {
        Self(self.properties().and_then(|properties| properties.get(name)?.as_object()))
    }

    /// Returns the names of the members in the manifest's order.
    pub fn names(self) -> impl Iterator<Item = &'a str> {
        self.properties().into_iter().flat_map(|properties| properties.keys().map(String::as_str))
    }

    /// Returns the description in the schema, or an empty text.
    pub fn description(self) -> &'a str {
        self.text("description")
    }

    /// Returns true if the schema marks the value as secret. A secret must not be printed.
    pub fn is_secret(self) -> bool {
        self.0.is_some_and(|schema| schema.get("writeOnly") == Some(&Value::Bool(true)))
    }

    /// Returns the default value in the schema.
    pub fn default(self) -> Option<&'a Value> {
        self.0?.get("default")
    }

    /// Returns the names of the allowed types, as in the manifest. Returns an empty list if every type is allowed.
    pub fn type_names(self) -> Vec<&'a str> {
        match self.0.and_then(|schema| schema.get("type")) {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Checks the name of a member. Returns `None` if the schema has the name, or if it allows other names and has no
    /// similar one.
    pub fn unexpected(self, name: &str) -> Option<Unexpected<'a>> {
        if self.names().any(|known| known == name) {
            return None;
        }
        let nearest = nearest(name, self.names());
        let is_closed = self.0.is_some_and(|schema| schema.get("additionalProperties") == Some(&Value::Bool(false)));
        (is_closed || nearest.is_some()).then_some(Unexpected { nearest, is_closed })
    }

    /// Parses a text as a value of an allowed type. Returns `None` if the value has another type.
    pub fn read(self, text: &str) -> Option<Value> {
        let types = self.type_names();
        if types.is_empty() || types.contains(&"string") {
            return Some(Value::from(text));
        }
        let json = match text.trim() {
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            text => json::parse(text).ok()?,
        };
        let has_type = |name: &&str| match *name {
            "array" => json.is_array(),
            "boolean" => json.is_boolean(),
            "integer" => json.is_i64() || json.is_u64(),
            "null" => json.is_null(),
            "number" => json.is_number(),
            "object" => json.is_object(),
            _ => true,
        };
        types.iter().any(has_type).then_some(json)
    }

    /// Returns the allowed types as a phrase for messages, such as ``an integer or `null` ``.
    pub fn types(self) -> String {
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

/// The result for a key that is not in the schema.
#[derive(Debug, PartialEq)]
pub struct Unexpected<'a> {
    /// The most similar known key, if there is a similar one.
    pub nearest: Option<&'a str>,
    /// True if the schema allows only known keys.
    pub is_closed: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unexpected_returns_typos_and_for_a_closed_schema_every_unknown_key() {
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
