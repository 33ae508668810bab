//! Completes the options of a client with those of a named target. Reads the secrets of the options that are needed.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use mlflow_deploy_plugin_api::{ClientOptions, Deadline, Error, Result, Secret};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::definition::NamedTarget;
use super::option_source::OptionSource;
use super::secret_reader::SecretReader;
use crate::discovery::search_path::environment;
use crate::settings::{Schema, Unexpected};

/// The maximum run time of a program that prints a secret. The deadline of the caller may be earlier.
const MAX_RUN_TIME: Duration = Duration::from_secs(60);

/// The maximum time that a dropped future waits for the end of such a program.
const MAX_KILL_TIME: Duration = Duration::from_millis(100);

/// The options of a client, and the secrets among them.
pub(crate) struct CompleteOptions {
    pub(crate) options: ClientOptions,
    pub(crate) secrets: Vec<Secret>,
}

/// Adds the options of a named target that `given` lacks, typed by the schema of the plugin's options.
pub(crate) async fn complete(
    target: &Arc<NamedTarget>,
    given: &ClientOptions,
    schema: &Map<String, Value>,
    deadline: Option<Deadline>,
) -> Result<CompleteOptions> {
    let mut options: Map<String, Value> = given.parse()?;
    let needed: Vec<_> = target.options.keys().filter(|key| !options.contains_key(*key)).cloned().collect();
    for key in &needed {
        check_key(target, key, Schema::new(Some(schema)))?;
    }
    let (values, secrets) = read(target, needed, schema, deadline).await?;
    options.extend(values);
    Ok(CompleteOptions { options: ClientOptions::new(&options)?, secrets })
}

/// Returns the value of one option of a named target; `None` if the target does not have the option.
pub(crate) async fn default_option(
    target: &Arc<NamedTarget>,
    key: &str,
    schema: &Map<String, Value>,
    deadline: Option<Deadline>,
) -> Result<Option<Value>> {
    let needed = target.options.contains_key(key).then(|| key.to_owned()).into_iter().collect();
    let (mut values, _secrets) = read(target, needed, schema, deadline).await?;
    Ok(values.pop().map(|(_, value)| value))
}

/// The values of some options by key, and the secrets among them.
type Values = (Vec<(String, Value)>, Vec<Secret>);

/// Reads the values of these options. Secrets are read on a thread of its own, because a program or a slow file system may
/// block it. Stops a program if the future is dropped.
async fn read(
    target: &Arc<NamedTarget>,
    keys: Vec<String>,
    schema: &Map<String, Value>,
    deadline: Option<Deadline>,
) -> Result<Values> {
    let is_immediate = keys.iter().all(|key| !target.options[key].is_read_later());
    let (target, schema) = (Arc::clone(target), schema.clone());
    let (caller, cancelled) = mpsc::channel();
    let work = move || read_now(&target, keys, Schema::new(Some(&schema)), deadline, &cancelled);
    if is_immediate {
        return work();
    }
    let (sender, done) = oneshot::channel();
    let (end, ended) = mpsc::channel::<()>();
    let _running = RunningThread { caller: Some(caller), ended };
    let failed = |error: &dyn std::error::Error| Error::internal(format!("failed to read the secrets: {error}"));
    let work = move || {
        // Sending fails if the caller does not need the secrets any more.
        drop(sender.send(work()));
        drop(end);
    };
    thread::Builder::new().name("secrets".to_owned()).spawn(work).map_err(|error| failed(&error))?;
    done.await.map_err(|error| failed(&error))?
}

/// A thread that may run a program. Dropping the value stops the program, and waits a moment until it is killed, because
/// the process may exit next.
struct RunningThread {
    caller: Option<mpsc::Sender<()>>,
    /// A channel whose sender is dropped at the end of the thread.
    ended: Receiver<()>,
}

impl Drop for RunningThread {
    fn drop(&mut self) {
        self.caller = None;
        let _ended = self.ended.recv_timeout(MAX_KILL_TIME);
    }
}

fn read_now(
    target: &NamedTarget,
    keys: Vec<String>,
    schema: Schema<'_>,
    deadline: Option<Deadline>,
    cancelled: &Receiver<()>,
) -> Result<Values> {
    let folder = target.file.parent().unwrap_or(&target.file);
    let (timeout, variable) = (MAX_RUN_TIME, environment);
    let mut reader = SecretReader { folder, timeout, cancelled, variable, known: Vec::new() };
    let mut values = Vec::new();
    for key in keys {
        reader.timeout = deadline.map_or(MAX_RUN_TIME, |deadline| deadline.remaining().min(MAX_RUN_TIME));
        let (source, schema) = (&target.options[&key], schema.property(&key));
        let value = match (reader.read(source).map_err(|error| in_option(target, &key, &error))?, source) {
            (Some(text), _) => typed(&text, schema).map_err(|error| in_option(target, &key, &error))?,
            (None, OptionSource::Scalar(value)) => value.clone(),
            (None, _) => continue,
        };
        // The values of an object, such as headers, may be secrets too.
        if source.is_read_later() || schema.is_secret() || value.is_object() {
            reader.known.extend(texts(&value).into_iter().map(Secret::new));
        }
        values.push((key, value));
    }
    Ok((values, reader.known))
}

/// Parses a text as the type that the schema gives.
fn typed(text: &Secret, schema: Schema<'_>) -> Result<Value> {
    schema
        .read(text.expose())
        .ok_or_else(|| Error::invalid_parameter(format!("its value is invalid: the target expects {}", schema.types())))
}

/// Returns the texts in a JSON value, except for the keys of objects.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        Value::Bool(_) | Value::Null | Value::Number(_) => Vec::new(),
    }
}

/// Fails if the plugin does not have the option.
fn check_key(target: &NamedTarget, key: &str, schema: Schema<'_>) -> Result<()> {
    let Some(Unexpected { nearest, is_closed: true }) = schema.unexpected(key) else { return Ok(()) };
    let mut message = "the plugin does not have this option".to_owned();
    if let Some(nearest) = nearest {
        message += &format!("; did you mean `{nearest}`?");
    }
    let known: Vec<_> = schema.names().map(|name| format!("`{name}`")).collect();
    if !known.is_empty() {
        message += &format!("; known options: {}", known.join(", "));
    }
    Err(in_option(target, key, &Error::invalid_parameter(message)))
}

/// Returns the error with the name of the target and of the option.
fn in_option(target: &NamedTarget, key: &str, error: &Error) -> Error {
    let NamedTarget { name, file, .. } = target;
    let message = format!("option `{key}` of the target `{name}` in `{}`: {}", file.display(), error.message());
    let named = Error::new(error.code().clone(), message);
    if error.is_retryable() { named.retryable() } else { named }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::named_targets::{Definition, TargetName};

    fn target(options: &str) -> Arc<NamedTarget> {
        let definition: Definition = toml::from_str(&format!("uri = 'a'\n[options]\n{options}")).unwrap();
        let name = TargetName::try_from("prod".to_owned()).unwrap();
        Arc::new(NamedTarget::new(name, definition, Path::new("/x/config.toml")))
    }

    fn completed(options: &str, given: Value, schema: Value) -> Result<(Value, usize)> {
        let (target, given) = (target(options), ClientOptions::new(&given)?);
        let complete = pollster::block_on(complete(&target, &given, schema.as_object().unwrap(), None))?;
        Ok((complete.options.parse()?, complete.secrets.len()))
    }

    #[test]
    fn options_of_the_caller_win_and_texts_get_the_type_of_the_schema() {
        let schema = json!({"properties": {
            "size": {"type": "integer"}, "key": {"type": "string", "writeOnly": true}, "headers": {"type": "object"},
        }});
        let options = "size = '3'\nkey = 'S3CR3T'\nurl = 'u'\nheaders = '{\"a\": \"b\"}'\non = true";
        let all = json!({"size": 3, "key": "S3CR3T", "url": "u", "headers": {"a": "b"}, "on": true});
        assert_eq!(completed(options, json!({}), schema.clone()).unwrap(), (all, 2));
        let given = json!({"size": null, "key": "k", "headers": {"c": "d"}});
        let expected = json!({"size": null, "key": "k", "url": "u", "headers": {"c": "d"}, "on": true});
        assert_eq!(completed(options, given, schema).unwrap(), (expected, 0));
    }

    #[test]
    fn a_secret_that_the_caller_overrides_is_not_read() {
        let options = "key = { env = 'NO_SUCH_VARIABLE_IS_SET' }";
        let given = json!({"key": "k"});
        assert_eq!(completed(options, given.clone(), json!({})).unwrap(), (given, 0));
        let error = completed(options, json!({}), json!({})).unwrap_err();
        let message =
            "option `key` of the target `prod` in `/x/config.toml`: the variable `NO_SUCH_VARIABLE_IS_SET` is not set";
        assert_eq!(error.message(), message);
        let (target, schema) = (target("key = 'a'\nother = { env = 'NO_SUCH_VARIABLE_IS_SET' }"), Map::new());
        let option = |key| pollster::block_on(default_option(&target, key, &schema, None));
        assert_eq!((option("key").unwrap(), option("absent").unwrap()), (Some(json!("a")), None));
        option("other").unwrap_err();
    }

    #[test]
    fn an_unknown_or_mistyped_option_is_an_error_without_its_value() {
        let schema = json!({"properties": {"size": {"type": "integer"}}, "additionalProperties": false});
        let place = "of the target `prod` in `/x/config.toml`";
        for (options, message) in [
            ("size = 'S3CR3T'", format!("option `size` {place}: its value is invalid: the target expects an integer")),
            (
                "siez = 'S3CR3T'",
                format!(
                    "option `siez` {place}: the plugin does not have this option; did you mean `size`?; known options: `size`"
                ),
            ),
        ] {
            assert_eq!(completed(options, json!({}), schema.clone()).unwrap_err().message(), message);
        }
    }
}
