//! `targets list`: lists the named targets, without their secrets. Reads no secrets and loads no plugin.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

use mlflow_deploy::settings::Schema;
use mlflow_deploy::{Discovery, Error, NamedTarget, OptionSource, ProjectTrust, Secret, TargetUri};
use mlflow_deploy_plugin_api::Redactor;
use mlflow_deploy_plugin_api::text::{line, path};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::plugins::lossy;
use crate::report::CliError;

/// A named target in the output.
#[derive(Serialize)]
struct ListedTarget<'a> {
    name: &'a str,
    uri: String,
    options: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<f64>,
    isolation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
    #[serde(serialize_with = "lossy")]
    file: &'a Path,
    /// True if a target of a project file with the same name is used instead.
    shadowed: bool,
}

pub(super) fn run(context: &Context) -> Result<(), CliError> {
    let stderr = context.report.stderr();
    let discovery = context.host.discover();
    let (mut listed, mut names) = (Vec::new(), HashSet::new());
    for target in context.host.named_targets()? {
        let shadowed = !names.insert(&target.name);
        if let Some(warning) = discovery.scheme_warning(target).filter(|_| !shadowed) {
            stderr.warning(&warning);
        }
        listed.push(ListedTarget::new(target, shadowed, &discovery));
    }
    listed.sort_by_key(|target| target.name);
    if let Some(unread) = context.host.project_file()?.filter(|file| file.trust != ProjectTrust::Trusted) {
        stderr.warning(&unread.to_string());
    }
    context.report.write_value(&json!({ "targets": listed }), || {
        let mut text: String = listed.iter().map(ListedTarget::text).collect();
        if listed.is_empty() {
            text = "no named targets: `mlflow-deploy targets add NAME --uri URI` adds one\n".to_owned();
        }
        text
    })
}

impl<'a> ListedTarget<'a> {
    fn new(target: &'a NamedTarget, shadowed: bool, discovery: &Discovery) -> Self {
        let NamedTarget { name, uri, options, timeout, is_isolated, plugin, file, .. } = target;
        let choice: Result<_, Error> = discovery.choose_plugin(uri, plugin.as_deref());
        let manifest = choice.ok().and_then(|choice| choice.winner.manifest());
        let schema = Schema::new(manifest.map(|manifest| &manifest.options));
        let options = options.iter().map(|(key, source)| (key.clone(), shown(source, schema, key)));
        Self {
            name,
            uri: uri.to_string(),
            options: options.collect(),
            timeout: timeout.map(|timeout| timeout.as_secs_f64()),
            isolation: if *is_isolated { "process" } else { "none" },
            plugin: plugin.as_deref(),
            file,
            shadowed,
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n", self.name);
        let mut add = |title: &str, value: &str| {
            let _ = writeln!(text, "  {title:9} {}", line(value));
        };
        add("uri:", &self.uri);
        for (key, value) in &self.options {
            add("option:", &format!("{key} {}", phrase(value)));
        }
        if let Some(timeout) = self.timeout {
            add("timeout:", &format!("{timeout} s"));
        }
        if self.isolation == "process" {
            add("runs in:", "its own process");
        }
        if let Some(plugin) = self.plugin {
            add("plugin:", plugin);
        }
        add("file:", &path(self.file));
        if self.shadowed {
            add("not used:", "a project file has a target with this name");
        }
        text
    }
}

/// Describes an option as JSON: its value, or the place of the secret. A value is hidden unless the plugin declares that
/// the option is not a secret.
fn shown(source: &OptionSource, schema: Schema<'_>, key: &str) -> Value {
    let is_public = schema.names().any(|name| name == key)
        && !schema.property(key).is_secret()
        && !schema.property(key).type_names().contains(&"object");
    match source {
        OptionSource::Command(words) => json!({ "command": words.first() }),
        OptionSource::Environment(name) => json!({ "env": name }),
        OptionSource::File(path) => json!({ "file": path.to_string_lossy() }),
        OptionSource::Scalar(value) if is_public => json!({ "value": value }),
        OptionSource::Text(text) if is_public => json!({ "value": public(text) }),
        _ => json!({ "hidden": true }),
    }
}

/// Returns a value that is not declared as a secret. The user and the password of a URL are hidden.
fn public(text: &Secret) -> String {
    let shown = match TargetUri::parse(text.expose()) {
        Ok(url) if text.expose().contains("://") => url.to_string(),
        _ => text.expose().to_owned(),
    };
    Redactor::default().hide(&shown)
}

fn phrase(option: &Value) -> String {
    let member = |name: &str| option[name].as_str();
    match (member("command"), member("env"), member("file")) {
        (Some(program), ..) => format!("from the command `{program}`"),
        (_, Some(variable), _) => format!("from the variable `{variable}`"),
        (.., Some(file)) => format!("from the file `{file}`"),
        _ => match &option["value"] {
            Value::Null => "is set".to_owned(),
            Value::String(text) => format!("= {text}"),
            value => format!("= {value}"),
        },
    }
}
