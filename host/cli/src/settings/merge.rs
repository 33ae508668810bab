//! Puts arguments on top of a file, and holds the keys to those that the target knows.

use std::path::Path;

use mlflow_deploy::Secret;
use serde_json::{Map, Value};

use super::file;
use super::schema::{Schema, Unexpected};
use super::setting::Setting;
use crate::report::{CliError, Stderr};

/// What is set.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// The config of an operation.
    Config,
    /// The options of a client.
    Option,
}

impl Kind {
    /// The argument that sets it.
    pub(super) fn flag(self) -> &'static str {
        match self {
            Self::Config => "--config",
            Self::Option => "--option",
        }
    }

    /// What an argument has to look like.
    pub(super) fn not_a_pair(self) -> String {
        match self {
            Self::Config => {
                "config options must be a pair, given as `-C key=value` or `--config key=value`, or with JSON as \
                 `-C key:=JSON`"
            }
            Self::Option => {
                "options must be a pair, given as `--option key=value`, or with JSON as `--option key:=JSON`"
            }
        }
        .to_owned()
    }
}

/// What a file and the arguments on top of it set.
pub(crate) fn merge(
    kind: Kind,
    file: Option<&Path>,
    arguments: &[Secret],
    schema: Schema<'_>,
    talk: &Stderr,
) -> Result<Map<String, Value>, CliError> {
    let mut members = file.map_or_else(|| Ok(Map::new()), file::read)?;
    let mut paths: Vec<Vec<&str>> = Vec::new();
    for argument in arguments {
        let setting = Setting::parse(argument.expose(), kind).map_err(CliError::Input)?;
        let (key, path) = (setting.key(), &setting.path);
        if let Some(other) = paths.iter().find(|other| other.starts_with(path) || path.starts_with(other)) {
            let other = match other.as_slice() {
                same if same == path.as_slice() => "twice".to_owned(),
                [other] => format!("beside `{other}`"),
                other => format!("beside `.{}`", other.join(".")),
            };
            return Err(CliError::Input(format!("repeated parameter: `{key}` is given {other}")));
        }
        let value = setting.value(kind, schema).map_err(CliError::Input)?;
        insert(&mut members, path, value).map_err(|outer| {
            CliError::Input(format!("`{} {key}` leads into `{outer}`, which is no object", kind.flag()))
        })?;
        paths.push(setting.path);
    }
    for name in members.keys() {
        expected(kind, name, schema, talk)?;
    }
    Ok(members)
}

/// Puts a value where the path leads; fails with the step that is there already and no object.
fn insert(members: &mut Map<String, Value>, path: &[&str], value: Value) -> Result<(), String> {
    let Some((last, outer)) = path.split_last() else { return Ok(()) };
    let object = outer.iter().try_fold(members, |members, step| {
        let inner = members.entry(*step).or_insert_with(|| Value::Object(Map::new()));
        inner.as_object_mut().ok_or_else(|| (*step).to_owned())
    })?;
    object.insert((*last).to_owned(), value);
    Ok(())
}

/// Refuses a key that the target cannot take, and warns of one that may be a slip.
fn expected(kind: Kind, name: &str, schema: Schema<'_>, talk: &Stderr) -> Result<(), CliError> {
    let Some(Unexpected { nearest, is_closed }) = schema.unexpected(name) else { return Ok(()) };
    // What is much longer than any key may be a value whose key was forgotten.
    let longest = schema.names().map(str::len).max().unwrap_or_default();
    let shown = if name.len() > longest + 4 { "…" } else { name };
    let mut said = format!("the target knows no `{} {shown}`", kind.flag());
    if let Some(nearest) = nearest {
        said += &format!("; did you mean `{nearest}`?");
    }
    if !is_closed {
        talk.warning(&said);
        return Ok(());
    }
    let known: Vec<_> = schema.names().map(|name| format!("`{name}`")).collect();
    said += &if known.is_empty() { "; it knows none".to_owned() } else { format!("; it knows {}", known.join(", ")) };
    Err(CliError::Input(said))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn merged(file: Option<&Path>, arguments: &[&str], schema: &Value) -> Result<Value, String> {
        let arguments: Vec<_> = arguments.iter().map(|argument| Secret::new(*argument)).collect();
        let schema = Schema::new(schema.as_object());
        match merge(Kind::Config, file, &arguments, schema, &Stderr::silent()) {
            Ok(members) => Ok(Value::Object(members)),
            Err(CliError::Input(said)) => Err(said),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_win_over_the_file_and_nest_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        fs::write(&file, r#"{"name": "a", "entity": {"size": 1, "model": "m"}}"#).unwrap();
        let found = merged(Some(&file), &["name=b", ".entity.size:=2", ".new.deep.er=x"], &json!({})).unwrap();
        let expected = json!({"name": "b", "entity": {"size": 2, "model": "m"}, "new": {"deep": {"er": "x"}}});
        assert_eq!(found, expected);
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        let closed = json!({"properties": {"wait": {}, "size": {}}, "additionalProperties": false});
        for (arguments, schema, message) in [
            (["a=1", "a=2"], json!({}), "repeated parameter: `a` is given twice"),
            ([".a.b=1", ".a.b=2"], json!({}), "repeated parameter: `.a.b` is given twice"),
            ([".a.b=1", "a:={}"], json!({}), "repeated parameter: `a` is given beside `.a.b`"),
            (
                ["wait=1", "siez=2"],
                closed.clone(),
                "the target knows no `--config siez`; did you mean `size`?; it knows `wait`, `size`",
            ),
            (["wait=1", "q=2"], closed, "the target knows no `--config q`; it knows `wait`, `size`"),
        ] {
            assert_eq!(merged(None, &arguments, &schema).unwrap_err(), message, "{arguments:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        fs::write(&file, r#"{"a": 1}"#).unwrap();
        let said = merged(Some(&file), &[".a.b=1"], &json!({})).unwrap_err();
        assert_eq!(said, "`--config .a.b` leads into `a`, which is no object");
    }
}
