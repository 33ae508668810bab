//! Merges command-line arguments into the settings of a file, and checks the keys against the target's schema.

use std::path::Path;

use mlflow_deploy::Secret;
use mlflow_deploy::settings::{Schema, Unexpected};
use serde_json::{Map, Value};

use super::config_or_option::SettingKind;
use super::file;
use super::setting::Setting;
use crate::report::{CliError, Stderr};

/// Merges the arguments into the settings of the file. Fails if two arguments set the same key, or if the schema does
/// not allow a key.
pub(crate) fn merge(
    kind: SettingKind,
    file: Option<&Path>,
    arguments: &[Secret],
    schema: Schema<'_>,
    stderr: &Stderr,
) -> Result<Map<String, Value>, CliError> {
    let mut members = file.map_or_else(|| Ok(Map::new()), file::read)?;
    let mut paths: Vec<Vec<&str>> = Vec::new();
    for argument in arguments {
        let setting = Setting::parse(argument.expose(), kind).map_err(CliError::Input)?;
        let (key, path) = (setting.key(), &setting.path);
        if let Some(other) = paths.iter().find(|other| other.starts_with(path) || path.starts_with(other)) {
            let conflict = |other: &str| {
                format!(
                    "conflicting parameters: one of `{key}` and `{other}` is a part of the other; specify one of them"
                )
            };
            return Err(CliError::Input(match other.as_slice() {
                same if same == path.as_slice() => format!("repeated parameter: `{key}` is given twice"),
                [other] => conflict(other),
                other => conflict(&format!(".{}", other.join("."))),
            }));
        }
        let value = setting.value(kind, schema).map_err(CliError::Input)?;
        insert(&mut members, path, value).map_err(|outer| {
            CliError::Input(format!("`{} {key}` sets a member of `{outer}`, which is not an object", kind.flag()))
        })?;
        paths.push(setting.path);
    }
    for name in members.keys() {
        check_key(kind, name, schema, stderr)?;
    }
    Ok(members)
}

/// Inserts a value at a path of keys, and creates the objects that are missing. If a key on the path exists and is not
/// an object, fails with this key.
fn insert(members: &mut Map<String, Value>, path: &[&str], value: Value) -> Result<(), String> {
    let Some((last, outer)) = path.split_last() else { return Ok(()) };
    let object = outer.iter().try_fold(members, |members, step| {
        let inner = members.entry(*step).or_insert_with(|| Value::Object(Map::new()));
        inner.as_object_mut().ok_or_else(|| (*step).to_owned())
    })?;
    object.insert((*last).to_owned(), value);
    Ok(())
}

/// Fails if the schema does not allow the key. Prints a warning if the key is allowed, but looks like a typo of a known
/// key.
pub(crate) fn check_key(kind: SettingKind, name: &str, schema: Schema<'_>, stderr: &Stderr) -> Result<(), CliError> {
    let Some(Unexpected { nearest, is_closed }) = schema.unexpected(name) else { return Ok(()) };
    // A text much longer than any key may be a secret value without its key.
    let longest = schema.names().map(str::len).max().unwrap_or_default();
    let shown = if name.len() > longest + 4 { "…" } else { name };
    let mut message = format!("unknown key `{} {shown}`", kind.flag());
    if let Some(nearest) = nearest {
        message += &format!("; did you mean `{nearest}`?");
    }
    if !is_closed {
        stderr.warning(&message);
        return Ok(());
    }
    let known: Vec<_> = schema.names().map(|name| format!("`{name}`")).collect();
    message += &match known.as_slice() {
        [] => "; the target has no such keys".to_owned(),
        known => format!("; known keys: {}", known.join(", ")),
    };
    Err(CliError::Input(message))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn merged(file: Option<&Path>, arguments: &[&str], schema: &Value) -> Result<Value, String> {
        let arguments: Vec<_> = arguments.iter().map(|argument| Secret::new(*argument)).collect();
        let schema = Schema::new(schema.as_object());
        match merge(SettingKind::Config, file, &arguments, schema, &Stderr::silent()) {
            Ok(members) => Ok(Value::Object(members)),
            Err(CliError::Input(message)) => Err(message),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_override_the_file_and_extend_its_objects() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        fs::write(&file, r#"{"name": "a", "entity": {"size": 1, "model": "m"}}"#).unwrap();
        let members = merged(Some(&file), &["name=b", ".entity.size:=2", ".new.deep.er=x"], &json!({})).unwrap();
        let expected = json!({"name": "b", "entity": {"size": 2, "model": "m"}, "new": {"deep": {"er": "x"}}});
        assert_eq!(members, expected);
    }

    #[test]
    fn merge_of_conflicting_or_unknown_keys_fails() {
        let closed = json!({"properties": {"wait": {}, "size": {}}, "additionalProperties": false});
        for (arguments, schema, message) in [
            (["a=1", "a=2"], json!({}), "repeated parameter: `a` is given twice"),
            ([".a.b=1", ".a.b=2"], json!({}), "repeated parameter: `.a.b` is given twice"),
            (
                [".a.b=1", "a:={}"],
                json!({}),
                "conflicting parameters: one of `a` and `.a.b` is a part of the other; specify one of them",
            ),
            (
                ["wait=1", "siez=2"],
                closed.clone(),
                "unknown key `--config siez`; did you mean `size`?; known keys: `wait`, `size`",
            ),
            (["wait=1", "q=2"], closed, "unknown key `--config q`; known keys: `wait`, `size`"),
        ] {
            assert_eq!(merged(None, &arguments, &schema).unwrap_err(), message, "{arguments:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        fs::write(&file, r#"{"a": 1}"#).unwrap();
        let message = merged(Some(&file), &[".a.b=1"], &json!({})).unwrap_err();
        assert_eq!(message, "`--config .a.b` sets a member of `a`, which is not an object");
    }
}
