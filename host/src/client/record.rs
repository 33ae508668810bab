//! One deployment or endpoint as its target describes it: the members that are known, and all the others.

use std::fmt;
use std::ops::Index;

use mlflow_deploy_plugin_api::{Error, ErrorCode, Payload, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What a target says of one deployment or endpoint.
///
/// Every member is kept, also those that this version knows nothing of, and the record is written again exactly as it
/// came. Members are found by their path:
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
/// leave members out, or fail where one is missing.
#[derive(Clone)]
pub struct Record {
    raw: Box<RawValue>,
    members: Map<String, Value>,
}

impl Record {
    /// Reads a list of records from the result of `list_deployments` or `list_endpoints`.
    ///
    /// # Errors
    /// `PLUGIN_PROTOCOL_VIOLATION` where the result is not a JSON list of objects; `INTERNAL_ERROR` where it is nested more
    /// than 127 levels deep.
    pub fn list(result: &Payload) -> Result<Vec<Self>> {
        result.json().map_err(|error| no_record("a list of records", result, &error))
    }

    /// The name, which every record has that follows the contract.
    pub fn name(&self) -> Option<&str> {
        self.members.get("name")?.as_str()
    }

    /// The member at a path: keys and places in lists, separated by dots. A key that holds dots itself is found where
    /// it stands at the top.
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

    /// All members, in the order in which they came.
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// The record as the JSON text that it came as.
    pub fn as_json(&self) -> &str {
        self.raw.get()
    }
}

/// Shows the name alone: members may be private.
impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Record({})", self.name().unwrap_or("without a name"))
    }
}

/// The member at a path, or `null` where there is none.
impl Index<&str> for Record {
    type Output = Value;

    fn index(&self, path: &str) -> &Value {
        self.get(path).unwrap_or(&Value::Null)
    }
}

/// Reads a record from an operation's result.
///
/// Fails with `PLUGIN_PROTOCOL_VIOLATION` where the result is not a JSON object, and with `INTERNAL_ERROR` where it is nested
/// more than 127 levels deep.
impl TryFrom<&Payload> for Record {
    type Error = Error;

    fn try_from(result: &Payload) -> Result<Self> {
        result.json().map_err(|error| no_record("a record", result, &error))
    }
}

/// The levels of JSON that `serde_json` reads.
const MAX_DEPTH: usize = 127;

fn no_record(expected: &str, result: &Payload, error: &Error) -> Error {
    if depth(result.bytes()) > MAX_DEPTH {
        // The plugin passes on what its server says.
        return Error::internal(format!(
            "the target's answer is JSON of more than {MAX_DEPTH} levels, and cannot be read as {expected}"
        ));
    }
    let message = format!("the plugin's answer is not {expected}: {error}");
    Error::new(ErrorCode::PLUGIN_PROTOCOL_VIOLATION, message)
}

/// Returns how deep objects and lists are nested in a JSON text.
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
                    // What is escaped is no end of the string.
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
    fn what_came_is_what_is_written() {
        let text = r#"{"z": 1.50, "a": 12345678901234567890123, "unknown": {"b" : []}}"#;
        let record = record(text);
        assert_eq!(serde_json::to_string(&[&record]).unwrap(), format!("[{text}]"));
        assert_eq!(record.members().keys().collect::<Vec<_>>(), ["z", "a", "unknown"]);
        assert_eq!(record.name(), None);
    }

    #[test]
    fn an_answer_that_is_nested_too_deeply_is_no_fault_of_the_plugin() {
        let nested = |levels: usize| {
            let json = format!(r#"{{"a\"[":{}1{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
            Payload::new("application/json", json)
        };
        Record::try_from(&nested(MAX_DEPTH)).unwrap();
        let error = Record::try_from(&nested(MAX_DEPTH + 1)).unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INTERNAL_ERROR);
        assert!(error.message().starts_with("the target's answer is JSON of more than 127 levels"), "{error}");
    }

    #[test]
    fn only_an_object_is_a_record() {
        for (json, message) in [
            ("[1]", "the plugin's answer is not a record: failed to read `[1]` as JSON"),
            ("", "the plugin's answer is not a record: failed to read `` as JSON"),
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
