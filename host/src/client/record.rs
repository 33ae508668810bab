//! A deployment or an endpoint, as the target returns it in JSON.

use std::fmt;
use std::ops::Index;

use mlflow_deploy_plugin_api::{Error, ErrorCode, Payload, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A deployment or an endpoint, as the target returns it.
///
/// A record keeps all members and serializes to the same text. [`get`](Self::get) and `[]` look up members by path:
///
/// ```
/// use mlflow_deploy::{Payload, Record};
///
/// let answer = r#"{"name": "chat", "config": {"served_entities": [{"name": "gpt"}]}, "creation_timestamp": 1.50}"#;
/// let record = Record::try_from(&Payload::new("application/json", answer))?;
/// assert_eq!(record.name(), Some("chat"));
/// assert_eq!(record["config.served_entities.0.name"], "gpt");
/// assert!(record["config.no.such.member"].is_null());
/// assert_eq!(serde_json::to_string(&record)?, answer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: `mlflow.deployments.databricks.DatabricksEndpoint` and `mlflow.deployments.server.config.Endpoint`, which
/// drop members, or fail if one is missing.
#[derive(Clone)]
pub struct Record {
    raw: Box<RawValue>,
    members: Map<String, Value>,
}

impl Record {
    /// Reads a list of records from the result of `list_deployments` or `list_endpoints`.
    ///
    /// # Errors
    /// `PLUGIN_PROTOCOL_VIOLATION` if the result is not a JSON list of objects; `INTERNAL_ERROR` if it is nested more
    /// than 127 levels deep.
    pub fn list(result: &Payload) -> Result<Vec<Self>> {
        result.json().map_err(|error| invalid_record("a list of records", result, &error))
    }

    /// Returns the member `name`, which every target must send; `None` if the target did not send it.
    pub fn name(&self) -> Option<&str> {
        self.members.get("name")?.as_str()
    }

    /// Returns the member at a path, which consists of keys and list indices, separated by dots. A key that contains
    /// dots is found at the top level only.
    pub fn get(&self, path: &str) -> Option<&Value> {
        if let Some(member) = self.members.get(path) {
            return Some(member);
        }
        let mut steps = path.split('.');
        let first = self.members.get(steps.next()?)?;
        steps.try_fold(first, |value, step| match value {
            Value::Object(members) => members.get(step),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Returns all members in their original order. An integer beyond 64 bits may lose digits here;
    /// [`as_json`](Self::as_json) keeps them.
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// Returns the original JSON text of the record.
    pub fn as_json(&self) -> &str {
        self.raw.get()
    }
}

/// Prints only the name of the record, because its members may be confidential.
impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Record({})", self.name().unwrap_or("without a name"))
    }
}

/// Returns the member at a path, or `null` if it is missing.
impl Index<&str> for Record {
    type Output = Value;

    fn index(&self, path: &str) -> &Value {
        self.get(path).unwrap_or(&Value::Null)
    }
}

/// Reads a record from an operation's result.
///
/// Fails with `PLUGIN_PROTOCOL_VIOLATION` if the result is not a JSON object, and with `INTERNAL_ERROR` if it is nested
/// more than 127 levels deep.
impl TryFrom<&Payload> for Record {
    type Error = Error;

    fn try_from(result: &Payload) -> Result<Self> {
        result.json().map_err(|error| invalid_record("a record", result, &error))
    }
}

/// The maximum nesting depth of JSON that `serde_json` reads.
const MAX_DEPTH: usize = 127;

fn invalid_record(expected: &str, result: &Payload, error: &Error) -> Error {
    if depth(result.bytes()) > MAX_DEPTH {
        // Not the plugin's fault: it passes on the answer of the server.
        return Error::internal(format!(
            "the target's answer cannot be read as {expected}: its JSON is nested more than {MAX_DEPTH} levels deep"
        ));
    }
    let message = format!("the plugin's answer is not {expected}: {error}");
    Error::new(ErrorCode::PLUGIN_PROTOCOL_VIOLATION, message)
}

/// Returns the nesting depth of a JSON text.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut bytes) = (0_usize, 0, json.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next()
                    && *byte != b'"'
                {
                    // An escaped quote does not end the string.
                    if *byte == b'\\' {
                        bytes.next();
                    }
                }
            }
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let members = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        Ok(Self { raw, members })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(json: &str) -> Record {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let record = record(r#"{"name":"a","tags":[{"key":"k"}],"a.b":1,"a":{"b":2,"":3},"name_":null}"#);
        for (path, member) in [
            ("name", json!("a")),
            ("tags.0.key", json!("k")),
            ("a.b", json!(1)),
            ("a.", json!(3)),
            ("name_", Value::Null),
        ] {
            assert_eq!(record.get(path), Some(&member), "{path}");
        }
        for path in ["", "tags.1.key", "tags.-1", "tags.key", "name.0", "b"] {
            assert_eq!((record.get(path), &record[path]), (None, &Value::Null), "{path}");
        }
    }

    #[test]
    fn a_record_serializes_to_its_original_text() {
        let text = r#"{"z": 1.50, "a": 12345678901234567890123, "unknown": {"b" : []}}"#;
        let record = record(text);
        assert_eq!(serde_json::to_string(&[&record]).unwrap(), format!("[{text}]"));
        assert_eq!(record.members().keys().collect::<Vec<_>>(), ["z", "a", "unknown"]);
        assert_eq!(record.name(), None);
    }

    #[test]
    fn an_answer_that_is_nested_too_deeply_is_an_internal_error() {
        let nested = |levels: usize| {
            let json = format!(r#"{{"a\"[":{}1{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
            Payload::new("application/json", json)
        };
        Record::try_from(&nested(MAX_DEPTH)).unwrap();
        let error = Record::try_from(&nested(MAX_DEPTH + 1)).unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INTERNAL_ERROR);
        assert!(error.message().ends_with("its JSON is nested more than 127 levels deep"), "{error}");
    }

    #[test]
    fn only_an_object_is_a_record() {
        for (json, message) in [
            ("[1]", "the plugin's answer is not a record: failed to read `[1]` as JSON"),
            ("", "the plugin's answer is not a record: failed to read an empty text as JSON"),
        ] {
            let error = Record::try_from(&Payload::new("application/json", json)).unwrap_err();
            assert_eq!(error.code(), &ErrorCode::PLUGIN_PROTOCOL_VIOLATION);
            assert!(error.message().starts_with(message), "{error}");
        }
        let list = Payload::new("application/json", r#"[{"name": "a"}, {"name": "b"}]"#);
        assert_eq!(Record::list(&list).unwrap()[1].name(), Some("b"));
        let error = Record::list(&Payload::new("application/json", "[1]")).unwrap_err();
        assert!(error.message().starts_with("the plugin's answer is not a list of records"), "{error}");
    }
}
