//! Parses a `key=value` argument. Its value may be a secret, so errors do not contain it.

use mlflow_deploy::settings::Schema;
use mlflow_deploy::settings::json::{self, JsonFault};
use serde_json::Value;

use super::config_or_option::SettingKind;

/// A parsed `key=value` argument.
#[derive(Debug, PartialEq)]
pub(super) struct Setting<'a> {
    /// The keys that lead to the value. There is one key, unless the value is in a nested object.
    pub(super) path: Vec<&'a str>,
    value: RawValue<'a>,
}

/// The value of an argument before it is parsed.
#[derive(Debug, PartialEq)]
enum RawValue<'a> {
    /// The JSON text after `:=`.
    Json(&'a str),
    /// The text after `=`.
    Text(&'a str),
}

/// The maximum number of keys in a path. Targets use fewer keys, and more keys could overflow the stack.
const MAX_DEPTH: usize = 64;

impl<'a> Setting<'a> {
    /// Parses `key=text`, `key:=JSON`, `.a.b=text` or `.a.b:=JSON`.
    pub(super) fn parse(argument: &'a str, kind: SettingKind) -> Result<Self, String> {
        // A line end after the value is not part of it. `$(…)` leaves the `\r` of a Windows file there.
        let argument = argument.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        let (key, text) = argument.split_once('=').ok_or_else(|| kind.syntax_error())?;
        let (key, value) = match key.strip_suffix(':') {
            Some(key) => (key, RawValue::Json(text)),
            None => (key, RawValue::Text(text)),
        };
        let key = key.trim();
        let path: Vec<_> = match key.strip_prefix('.') {
            Some(path) => path.split('.').collect(),
            None => vec![key],
        };
        if path.len() > MAX_DEPTH {
            return Err(format!("the path `{} .{}.…` has more than {MAX_DEPTH} keys", kind.flag(), path[0]));
        }
        if path.iter().any(|key| key.is_empty()) {
            return Err(format!("`{} {key}…` has an empty key: {}", kind.flag(), kind.syntax_error()));
        }
        Ok(Self { path, value })
    }

    /// Returns the key as the user wrote it.
    pub(super) fn key(&self) -> String {
        match self.path.as_slice() {
            [key] => (*key).to_owned(),
            path => format!(".{}", path.join(".")),
        }
    }

    /// Returns the value of the argument. JSON is parsed. Text is parsed as the type that the schema gives for the key,
    /// or kept if the schema gives none.
    pub(super) fn value(&self, kind: SettingKind, schema: Schema<'_>) -> Result<Value, String> {
        let schema = self.path.iter().fold(schema, |schema, key| schema.property(key));
        let (flag, key) = (kind.flag(), self.key());
        match self.value {
            RawValue::Json(json) => json::parse(json).map_err(|fault| match fault {
                JsonFault::LongInteger { .. } => format!(
                    "the value of `{flag} {key}:=…` has an integer with more than 64 bits: quote it, or write `{key}=…` to set text"
                ),
                JsonFault::Syntax { .. } => format!(
                    "the value of `{flag} {key}:=…` is not valid JSON or is nested too deeply: quote strings, or write `{key}=…`"
                ),
                JsonFault::TwiceKey { key: twice, .. } => {
                    format!("the value of `{flag} {key}:=…` has the key `{twice}` twice: remove one of them")
                }
            }),
            RawValue::Text(text) => schema.read(text).ok_or_else(|| {
                format!("the value of `{flag} {key}=…` is invalid: the target expects {}", schema.types())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(argument: &str) -> (String, Value) {
        let schema = json!({"properties": {
            "replicas": {"type": "integer"},
            "share": {"type": "number"},
            "wait": {"type": "boolean"},
            "tags": {"type": ["array", "null"]},
            "label": {"type": ["string", "integer"]},
            "entity": {"type": "object", "properties": {"size": {"type": "integer"}}},
        }});
        let setting = Setting::parse(argument, SettingKind::Config).unwrap();
        (setting.key(), setting.value(SettingKind::Config, Schema::new(schema.as_object())).unwrap())
    }

    #[test]
    fn value_has_the_type_of_the_schema_or_is_text() {
        for (argument, key, expected) in [
            ("a=1", "a", json!("1")),
            ("c=k=v", "c", json!("k=v")),
            ("d=", "d", json!("")),
            ("a.b=x", "a.b", json!("x")),
            ("a:b=x", "a:b", json!("x")),
            ("label=7", "label", json!("7")),
            ("replicas=3", "replicas", json!(3)),
            ("share=0.5", "share", json!(0.5)),
            ("wait=True", "wait", json!(true)),
            ("wait=false", "wait", json!(false)),
            ("wait= True\r\n", "wait", json!(true)),
            ("\u{feff} replicas = 3 \r", "replicas", json!(3)),
            ("a= text \r\n", "a", json!(" text ")),
            ("a:=\"x\\n\"\r\n", "a", json!("x\n")),
            ("tags=[\"x\"]", "tags", json!(["x"])),
            ("tags=null", "tags", Value::Null),
            ("a:={\"b\": [1]}", "a", json!({"b": [1]})),
            (".entity.size=4", ".entity.size", json!(4)),
            (".entity.name=4", ".entity.name", json!("4")),
            (".x.y:=4", ".x.y", json!(4)),
        ] {
            assert_eq!(value(argument), (key.to_owned(), expected), "{argument}");
        }
    }

    #[test]
    fn parse_of_a_path_with_too_many_keys_fails() {
        let message = Setting::parse(&format!("{}=1", ".a".repeat(60_000)), SettingKind::Config).unwrap_err();
        assert_eq!(message, "the path `--config .a.…` has more than 64 keys");
    }

    #[test]
    fn errors_do_not_contain_the_value() {
        let schema = json!({"properties": {
            "replicas": {"type": "integer"},
            "share": {"type": "number"},
            "wait": {"type": "boolean"},
            "entity": {"type": "object"},
        }});
        for (argument, start) in [
            ("S3CRET", "config options must be a pair, given as `-C key=value` or `--config key=value`"),
            ("=S3CRET", "`--config …` has an empty key"),
            (".a.=S3CRET", "`--config .a.…` has an empty key"),
            ("replicas=S3CRET", "the value of `--config replicas=…` is invalid: the target expects an integer"),
            ("replicas=1.5", "the value of `--config replicas=…` is invalid: the target expects an integer"),
            ("wait=S3CRET", "the value of `--config wait=…` is invalid: the target expects `true` or `false`"),
            ("a:=S3CRET", "the value of `--config a:=…` is not valid JSON"),
            (
                "a:=12345678901234567890123",
                "the value of `--config a:=…` has an integer with more than 64 bits: quote it",
            ),
            (
                "a:=[{\"b\": -9223372036854775809}]",
                "the value of `--config a:=…` has an integer with more than 64 bits",
            ),
            ("a:={\"b\": {\"c\": 1, \"c\": \"S3CRET\"}}", "the value of `--config a:=…` has the key `c` twice"),
            ("share=18446744073709551616", "the value of `--config share=…` is invalid: the target expects a number"),
            (
                "entity={\"a\": 1, \"a\": 2}",
                "the value of `--config entity=…` is invalid: the target expects a JSON object",
            ),
        ] {
            let result = Setting::parse(argument, SettingKind::Config)
                .and_then(|setting| setting.value(SettingKind::Config, Schema::new(schema.as_object())));
            let message = result.unwrap_err();
            assert!(message.starts_with(start) && !message.contains("S3CRET"), "{argument}: {message}");
        }
    }
}
