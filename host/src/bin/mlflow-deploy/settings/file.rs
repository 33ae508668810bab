//! Reads settings from a file: a JSON, YAML or TOML object, by the file's ending. No error repeats what is in it.

use std::path::Path;

use serde_json::{Map, Value};

use crate::report::Failure;

/// The object in a file.
pub(super) fn read(path: &Path) -> Result<Map<String, Value>, Failure> {
    let failed = |what: String| Failure::Input(format!("failed to read `{}`: {what}", path.display()));
    let parse = match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => json,
        Some("yaml" | "yml") => yaml,
        Some("toml") => toml,
        _ => return Err(failed("its name ends in none of `.json`, `.yaml`, `.yml` and `.toml`".to_owned())),
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    match parse(&text).map_err(failed)? {
        Value::Object(members) => Ok(members),
        _ => Err(failed("expected an object with a member for each key".to_owned())),
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("not JSON at line {} column {}", error.line(), error.column()))
}

fn yaml(text: &str) -> Result<Value, String> {
    // Without a snippet: it would show what is in the file.
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| match error.location() {
        Some(at) => format!("not YAML at line {} column {}", at.line(), at.column()),
        None => "not YAML".to_owned(),
    })
}

fn toml(text: &str) -> Result<Value, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().map_or("", |span| &text[..span.start.min(text.len())]);
        format!("not TOML at line {}", before.lines().count().max(1))
    })?;
    Ok(without_dates(toml::Value::Table(table)))
}

/// JSON has no dates: they become text.
fn without_dates(value: toml::Value) -> Value {
    match value {
        toml::Value::Array(items) => items.into_iter().map(without_dates).collect(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::String(text) => text.into(),
        toml::Value::Table(members) => members.into_iter().map(|(name, value)| (name, without_dates(value))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn from(name: &str, text: &str) -> Result<Value, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        match read(&path) {
            Ok(members) => Ok(Value::Object(members)),
            Err(Failure::Input(said)) => Err(said.replace(&folder.path().display().to_string(), "")),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn json_yaml_and_toml_say_the_same() {
        let expected = json!({"name": "a", "entities": [{"size": 1, "share": 0.5, "on": true}], "from": "2026-01-02"});
        let json = expected.to_string();
        let yaml = "name: a\nentities:\n  - size: 1\n    share: 0.5\n    \"on\": true\nfrom: \"2026-01-02\"\n";
        let toml = "name = \"a\"\nfrom = 2026-01-02\n[[entities]]\nsize = 1\nshare = 0.5\non = true\n";
        for (name, text) in [("a.json", json.as_str()), ("a.yaml", yaml), ("a.yml", yaml), ("a.toml", toml)] {
            assert_eq!(from(name, text).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_what_is_there() {
        for (name, text, message) in [
            ("a.json", "{\"token\": S3CRET}", "failed to read `/a.json`: not JSON at line 1 column 11"),
            ("a.json", "[1]", "failed to read `/a.json`: expected an object with a member for each key"),
            ("a.yaml", "token: [S3CRET", "failed to read `/a.yaml`: not YAML at line"),
            ("a.toml", "x = 1\ntoken = S3CRET", "failed to read `/a.toml`: not TOML at line 2"),
            ("a.txt", "", "failed to read `/a.txt`: its name ends in none of"),
        ] {
            let said = from(name, text).unwrap_err();
            assert!(said.starts_with(message) && !said.contains("S3CRET"), "{said}");
        }
    }
}
