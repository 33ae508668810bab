//! Reads settings from a JSON, YAML or TOML file. Errors do not contain the file's content, since it may be secret.

use std::fs::File;
use std::path::Path;

use mlflow_deploy::settings::json;
use mlflow_deploy_plugin_api::file;
use serde_json::{Map, Value};

use super::yaml;
use crate::report::CliError;

/// The maximum size of a settings file in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Reads the settings in a file, which must contain an object. The file extension selects the format.
pub(super) fn read(path: &Path) -> Result<Map<String, Value>, CliError> {
    let failed = |cause: String| CliError::Input(format!("failed to read `{}`: {cause}", path.display()));
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let parse = match extension.to_ascii_lowercase().as_str() {
        "json" => json,
        "yaml" | "yml" => yaml::parse,
        "toml" => toml,
        _ => return Err(failed("unknown file extension: expected `.json`, `.yaml`, `.yml` or `.toml`".to_owned())),
    };
    // The file may be a pipe, such as the shell's `<(…)` behind a link with an extension.
    let bytes = File::open(path).and_then(|file| file::read_up_to(file, MAX_BYTES));
    let bytes = bytes.map_err(|error| failed(error.to_string()))?;
    let text = file::text(bytes).map_err(|error| failed(error.to_string()))?;
    match parse(&text).map_err(failed)? {
        Value::Object(members) => Ok(members),
        _ => Err(failed("expected an object with a member for each key".to_owned())),
    }
}

fn json(text: &str) -> Result<Value, String> {
    json::parse(text).map_err(|fault| fault.to_string())
}

fn toml(text: &str) -> Result<Value, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().map_or("", |span| &text[..span.start.min(text.len())]);
        format!("not TOML at line {}: {}", before.matches('\n').count() + 1, error.message().replace('\n', ", "))
    })?;
    to_json(toml::Value::Table(table))
}

/// Converts TOML to JSON. Dates become text; `nan` and `inf` are errors, since JSON cannot represent them.
fn to_json(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::Array(items) => items.into_iter().map(to_json).collect::<Result<_, _>>()?,
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Float(number) if !number.is_finite() => {
            return Err("`nan` and `inf` are not JSON numbers: remove them or use text".to_owned());
        }
        toml::Value::Float(number) => number.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::String(text) => text.into(),
        toml::Value::Table(members) => {
            let member = |(name, value)| Ok::<_, String>((name, to_json(value)?));
            members.into_iter().map(member).collect::<Result<_, _>>()?
        }
    })
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
            Err(CliError::Input(message)) => Err(message.replace(&folder.path().display().to_string(), "")),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn json_yaml_and_toml_give_the_same_settings() {
        let expected = json!({"name": "a", "entities": [{"size": 1, "share": 0.5, "on": true}], "from": "2026-01-02"});
        let json = expected.to_string();
        let yaml = "name: a\nentities:\n  - size: 1\n    share: 0.5\n    \"on\": true\nfrom: \"2026-01-02\"\n";
        let toml = "name = \"a\"\nfrom = 2026-01-02\n[[entities]]\nsize = 1\nshare = 0.5\non = true\n";
        for (name, text) in [("a.json", json.as_str()), ("a.yaml", yaml), ("a.YML", yaml), ("a.toml", toml)] {
            assert_eq!(from(name, text).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn errors_do_not_contain_the_content() {
        for (name, text, start) in [
            ("a.json", "{\"token\": S3CRET}", "failed to read `/a.json`: not JSON at line 1 column 11: expected value"),
            (
                "a.json",
                "{\"a\": 1,\n\"a\": 1}",
                "failed to read `/a.json`: the key `a` is given twice, the second time at line 2",
            ),
            (
                "a.json",
                "\u{feff}{\"a\":\n18446744073709551616}",
                "failed to read `/a.json`: the integer at line 2 has more",
            ),
            ("a.toml", "a = 1\na = 2", "failed to read `/a.toml`: not TOML at line 2: duplicate key"),
            ("a.json", "[1]", "failed to read `/a.json`: expected an object with a member for each key"),
            ("a.yaml", "token: [S3CRET", "failed to read `/a.yaml`: not YAML that can be converted to JSON, at line"),
            ("a.toml", "x = 1\ntoken = S3CRET", "failed to read `/a.toml`: not TOML at line 2"),
            ("a.toml", "x = nan", "failed to read `/a.toml`: `nan` and `inf` are not JSON numbers"),
            ("a.txt", "", "failed to read `/a.txt`: unknown file extension"),
        ] {
            let message = from(name, text).unwrap_err();
            assert!(message.starts_with(start) && !message.contains("S3CRET"), "{message}");
        }
    }

    #[test]
    fn a_byte_order_mark_and_line_ends_of_windows_are_not_part_of_the_values() {
        for (name, text) in [
            ("a.json", "\u{feff}\r\n{\r\n\"a\": \"x\",\r\n\"b\": 1}\r\n"),
            ("a.yaml", "\u{feff}a: x\r\nb: 1\r\n"),
            ("a.toml", "\u{feff}a = 'x'\r\nb = 1\r\n"),
        ] {
            assert_eq!(from(name, text).unwrap(), json!({"a": "x", "b": 1}), "{name}");
        }
    }
}
