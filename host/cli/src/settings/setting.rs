//! One `key=value` argument. Its value may be a secret, so that no error repeats it.

use serde_json::{Number, Value};

use super::merge::Kind;
use super::schema::Schema;

/// One argument, taken apart.
#[derive(Debug, PartialEq)]
pub(super) struct Setting<'a> {
    /// The member that it sets: more than one step leads into an object.
    pub(super) path: Vec<&'a str>,
    value: Written<'a>,
}

/// A value as it is written.
#[derive(Debug, PartialEq)]
enum Written<'a> {
    /// After `:=`.
    Json(&'a str),
    /// After `=`.
    Text(&'a str),
}

/// How many steps a path may have: more than any target has, and fewer than a stack.
const MAX_DEPTH: usize = 64;

impl<'a> Setting<'a> {
    /// Reads `key=text`, `key:=JSON`, `.a.b=text` or `.a.b:=JSON`.
    pub(super) fn parse(argument: &'a str, kind: Kind) -> Result<Self, String> {
        let (key, text) = argument.split_once('=').ok_or_else(|| kind.not_a_pair())?;
        let (key, value) = match key.strip_suffix(':') {
            Some(key) => (key, Written::Json(text)),
            None => (key, Written::Text(text)),
        };
        let path: Vec<_> = match key.strip_prefix('.') {
            Some(path) => path.split('.').collect(),
            None => vec![key],
        };
        if path.len() > MAX_DEPTH {
            return Err(format!("a key in `{} .{}.…` has more than {MAX_DEPTH} steps", kind.flag(), path[0]));
        }
        if path.iter().any(|step| step.is_empty()) {
            return Err(format!("a key in `{} {key}…` is empty: {}", kind.flag(), kind.not_a_pair()));
        }
        Ok(Self { path, value })
    }

    /// The key as it is written.
    pub(super) fn key(&self) -> String {
        match self.path.as_slice() {
            [key] => (*key).to_owned(),
            path => format!(".{}", path.join(".")),
        }
    }

    /// The value, of the type that the schema gives the key; text where it says nothing.
    pub(super) fn value(&self, kind: Kind, schema: Schema<'_>) -> Result<Value, String> {
        let schema = self.path.iter().fold(schema, |schema, step| schema.property(step));
        let (flag, key) = (kind.flag(), self.key());
        match self.value {
            Written::Json(json) => match serde_json::from_str(json) {
                Ok(Value::Number(number)) if is_rounded(&number, json) => {
                    Err(format!("the value of `{flag} {key}:=…` has more digits than a number keeps: give it as text"))
                }
                Ok(value) => Ok(value),
                Err(_said) => Err(format!(
                    "the value of `{flag} {key}:=…` is not JSON, or nests too deeply: quote text, or write `{key}=…`"
                )),
            },
            Written::Text(text) => schema.read(text).ok_or_else(|| {
                format!("the value of `{flag} {key}=…` is not {}, as the target expects", schema.types())
            }),
        }
    }
}

/// Whether an integer is so large that it would be rounded.
fn is_rounded(number: &Number, json: &str) -> bool {
    number.is_f64() && !json.contains(['.', 'e', 'E'])
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
        let setting = Setting::parse(argument, Kind::Config).unwrap();
        (setting.key(), setting.value(Kind::Config, Schema::new(schema.as_object())).unwrap())
    }

    #[test]
    fn text_is_text_unless_the_schema_says_otherwise() {
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
    fn a_path_has_an_end() {
        let said = Setting::parse(&format!("{}=1", ".a".repeat(60_000)), Kind::Config).unwrap_err();
        assert_eq!(said, "a key in `--config .a.…` has more than 64 steps");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        let schema = json!({"properties": {"replicas": {"type": "integer"}, "wait": {"type": "boolean"}}});
        for (argument, message) in [
            ("S3CRET", "config options must be a pair, given as `-C key=value` or `--config key=value`"),
            ("=S3CRET", "a key in `--config …` is empty"),
            (".a.=S3CRET", "a key in `--config .a.…` is empty"),
            ("replicas=S3CRET", "the value of `--config replicas=…` is not an integer, as the target expects"),
            ("replicas=1.5", "the value of `--config replicas=…` is not an integer, as the target expects"),
            ("wait=S3CRET", "the value of `--config wait=…` is not `true` or `false`, as the target expects"),
            ("a:=S3CRET", "the value of `--config a:=…` is not JSON"),
            ("a:=12345678901234567890123", "the value of `--config a:=…` has more digits than a number keeps"),
        ] {
            let read = Setting::parse(argument, Kind::Config)
                .and_then(|setting| setting.value(Kind::Config, Schema::new(schema.as_object())));
            let said = read.unwrap_err();
            assert!(said.starts_with(message) && !said.contains("S3CRET"), "{argument}: {said}");
        }
    }
}
