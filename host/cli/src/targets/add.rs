//! `targets add`: adds a named target to the user's configuration.

use std::path::Path;

use mlflow_deploy::settings::Schema;
use mlflow_deploy::{Error, NamedTarget, Secret, TargetUri};
use mlflow_deploy_plugin_api::text::line;
use serde_json::{Value as Json, json};
use toml_edit::{Array, InlineTable, Table, Value, value};

use super::document::ConfigDocument;
use crate::args::{AddTarget, IsolationChoice};
use crate::context::Context;
use crate::report::CliError;
use crate::settings::{SettingKind, check_key, merge};

pub(super) fn run(arguments: &AddTarget, context: &Context) -> Result<(), CliError> {
    let AddTarget { name, plugin_name, .. } = arguments;
    NamedTarget::check_name(name).map_err(CliError::Input)?;
    let uri = TargetUri::parse(&arguments.uri).map_err(Error::from)?;
    let mut document = ConfigDocument::open()?;
    let is_known = document.names().contains(name);
    if is_known && !arguments.replace {
        let file = document.path.display();
        return Err(CliError::Input(format!(
            "`{file}` has a target `{name}`: use `--replace`, or choose another name"
        )));
    }
    let discovery = context.discover();
    let scheme = name.to_lowercase();
    let plugins = discovery.candidates.iter().filter_map(|candidate| candidate.manifest());
    if let Some(plugin) = plugins.into_iter().find(|manifest| manifest.schemes.contains(&scheme)) {
        let plugin = &plugin.name;
        let message =
            format!("`{name}` is a scheme of the plugin `{plugin}`, not a name of a target: choose another name");
        return Err(CliError::Input(message));
    }
    if uri.as_str() == name || context.host.named_targets()?.any(|other| other.name == uri.as_str()) {
        return Err(CliError::Input(format!("`{uri}` is the name of a target: give a target URI")));
    }
    let choice = discovery.choose_plugin(&uri, plugin_name.as_deref());
    let manifest = match &choice {
        Ok(choice) => choice.winner.manifest(),
        Err(error) => {
            context.report.stderr().warning(&format!("the target `{name}` cannot be used yet: {error}"));
            None
        }
    };
    let schema = Schema::new(manifest.map(|manifest| &manifest.options));
    let options = options(arguments, schema, context)?;
    document.remove(name);
    document.add(name, table(arguments, &uri, options))?;
    document.save()?;
    let file = document.path.to_string_lossy().into_owned();
    let verb = if is_known { "replaced" } else { "added" };
    let result = json!({ "name": name, "file": file, "replaced": is_known });
    context.report.write_value(&result, || format!("{verb} the target {name} in {}\n", line(&file)))
}

fn table(arguments: &AddTarget, uri: &TargetUri, options: Table) -> Table {
    let mut target = Table::new();
    target.insert("uri", value(uri.as_str()));
    if let Some(timeout) = arguments.timeout {
        let seconds = timeout.as_secs_f64();
        let is_whole = timeout.subsec_nanos() == 0;
        let whole = i64::try_from(timeout.as_secs()).ok().filter(|_| is_whole);
        target.insert("timeout", whole.map_or_else(|| value(seconds), value));
    }
    if arguments.isolation == Some(IsolationChoice::Process) {
        target.insert("isolation", value("process"));
    }
    if let Some(plugin) = &arguments.plugin_name {
        target.insert("plugin", value(plugin));
    }
    if !options.is_empty() {
        target.insert("options", options.into());
    }
    target
}

/// Returns the table of the options: values, and the places of secrets.
fn options(arguments: &AddTarget, schema: Schema<'_>, context: &Context) -> Result<Table, CliError> {
    let stderr = context.report.stderr();
    let mut table = Table::new();
    for (key, json) in merge(SettingKind::Option, None, &arguments.options, schema, stderr)? {
        if schema.property(&key).is_secret() {
            let message = format!(
                "the secret `{key}` is stored as plain text: `--secret-env`, `--secret-file` or `--secret-command` stores only its place"
            );
            stderr.warning(&message);
        }
        table.insert(&key, value(stored(&key, json, schema.property(&key))?));
    }
    let places = [
        ("--secret-env", "env", &arguments.from_environment),
        ("--secret-file", "file", &arguments.from_files),
        ("--secret-command", "command", &arguments.from_commands),
    ];
    for (flag, kind, given) in places {
        for argument in given {
            let (key, place) = pair(flag, argument)?;
            if table.contains_key(key) {
                return Err(CliError::Input(format!("repeated parameter: `{key}` is given twice")));
            }
            check_key(SettingKind::Option, key, schema, stderr)?;
            let place: Value = match kind {
                "env" => place.into(),
                "file" => path(place).into(),
                _ => command(flag, key, place)?.into(),
            };
            table.insert(key, value(InlineTable::from_iter([(kind, place)])));
        }
    }
    Ok(table)
}

fn pair<'a>(flag: &str, argument: &'a Secret) -> Result<(&'a str, &'a str), CliError> {
    // The argument may be a secret, so it is not printed.
    let invalid = || CliError::Input(format!("`{flag}` must be a pair, given as `{flag} key=place`"));
    let (key, place) = argument.expose().split_once('=').ok_or_else(invalid)?;
    let (key, place) = (key.trim(), place.trim());
    if key.is_empty() || place.is_empty() { Err(invalid()) } else { Ok((key, place)) }
}

/// Returns an absolute path for a relative one, because the configuration is in another directory.
fn path(given: &str) -> String {
    if given.starts_with("~/") {
        return given.to_owned();
    }
    std::path::absolute(Path::new(given))
        .map_or_else(|_empty| given.to_owned(), |path| path.to_string_lossy().into_owned())
}

/// Splits a command into words, or reads its words from a JSON list.
fn command(flag: &str, key: &str, text: &str) -> Result<Array, CliError> {
    let mut words: Vec<String> = match text.starts_with('[') {
        true => serde_json::from_str(text).map_err(|_may_be_a_secret| {
            CliError::Input(format!(
                "`{flag} {key}=…` is not a JSON list of strings: write words, or `[\"program\", \"argument\"]`"
            ))
        })?,
        false => text.split_whitespace().map(str::to_owned).collect(),
    };
    match words.first_mut() {
        Some(program) if !program.is_empty() => {
            if program.contains('/') {
                *program = path(program);
            }
        }
        _ => return Err(CliError::Input(format!("`{flag} {key}=…` has no program"))),
    }
    Ok(words.into_iter().collect())
}

/// Converts a value to TOML: a list or an object becomes text, which the schema of the plugin types again.
fn stored(key: &str, json: Json, schema: Schema<'_>) -> Result<Value, CliError> {
    let text = match json {
        Json::Bool(value) => return Ok(value.into()),
        Json::Number(ref number) => {
            if let Some(integer) = number.as_i64() {
                return Ok(integer.into());
            }
            if let (Some(float), false) = (number.as_f64(), number.is_u64()) {
                return Ok(float.into());
            }
            json.to_string()
        }
        Json::String(text) => text,
        Json::Array(_) | Json::Null | Json::Object(_) => {
            let text = json.to_string();
            if schema.read(&text).as_ref() != Some(&json) {
                let message = format!(
                    "`--option {key}:=…` cannot be stored: the target does not expect a list, an object or `null`"
                );
                return Err(CliError::Input(message));
            }
            text
        }
    };
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_words_or_a_json_list() {
        let words = |text: &str| command("--secret-command", "k", text).map(|words| words.to_string());
        assert_eq!(words("pass show  x").unwrap(), r#"["pass", "show", "x"]"#);
        assert_eq!(words(r#"["pass", "show x", ""]"#).unwrap(), r#"["pass", "show x", ""]"#);
        for text in ["[S3CRET]", "[]", r#"[""]"#, "[1]"] {
            let Err(CliError::Input(message)) = words(text) else { panic!("{text}") };
            assert!(message.starts_with("`--secret-command k=…` ") && !message.contains("S3CRET"), "{message}");
        }
    }

    #[test]
    fn a_stored_value_has_its_type() {
        let schema = json!({"properties": {"headers": {"type": "object"}}});
        let of = |key: &str, value: Json| {
            stored(key, value, Schema::new(schema.as_object()).property(key)).map(|value| value.to_string())
        };
        assert_eq!(of("a", json!("x")).unwrap(), "\"x\"");
        assert_eq!(of("a", json!(3)).unwrap(), "3");
        assert_eq!(of("a", json!(0.5)).unwrap(), "0.5");
        assert_eq!(of("a", json!(true)).unwrap(), "true");
        assert_eq!(of("headers", json!({"a": "b"})).unwrap(), r#"'{"a":"b"}'"#);
        for value in [json!(null), json!([1]), json!({"a": 1})] {
            assert!(matches!(of("a", value), Err(CliError::Input(_))));
        }
    }
}
