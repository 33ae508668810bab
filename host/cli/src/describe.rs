//! Formats a plugin's manifest for the verbs `help` and `plugins inspect`.

use std::fmt::Write;

use mlflow_deploy::manifest::{Isolation, Manifest, Panic};
use mlflow_deploy::settings::Schema;
use mlflow_deploy_plugin_api::text::line;
use serde_json::Value;

use crate::args::verb_of;

/// Formats a manifest as text.
pub(crate) fn describe(manifest: &Manifest) -> String {
    let mut title = format!("{} {}", manifest.name, manifest.version);
    if !manifest.description.is_empty() {
        title += &format!(": {}", manifest.description);
    }
    let mut text = line(&title).into_owned() + "\n";
    section(
        &mut text,
        "Target URIs",
        manifest.schemes.iter().map(|scheme| format!("{scheme}, {scheme}:/…, {scheme}://…")),
    );
    let verbs: Vec<_> = manifest.operations.iter().filter_map(|operation| verb_of(operation)).collect();
    section(&mut text, "Verbs", [verbs.join(", ")]);
    section(&mut text, "Input", [manifest.accepts.join(", ")]);
    members(&mut text, "Client options (--option)", Schema::new(Some(&manifest.options)));
    for (operation, schema) in &manifest.config {
        let verb = verb_of(operation).map_or_else(|| format!("invoke {operation}"), str::to_owned);
        members(&mut text, &format!("Config of {verb} (--config)"), Schema::new(schema.as_object()));
    }
    let invoke = manifest.invoke.iter().map(|operation| format!("{}: {}", operation.name, operation.description));
    section(&mut text, "Target-specific operations (invoke)", invoke);
    let variable = |name: &str, secret: bool| {
        let (secret, set) = (if secret { ", secret" } else { "" }, if is_set(name) { "set" } else { "not set" });
        format!("{name} ({set}{secret})")
    };
    let environment = manifest.environment.iter().map(|each| variable(&each.name, each.secret));
    section(&mut text, "Environment variables", environment);
    let is_isolated = manifest.isolation == Isolation::Required || manifest.panic == Panic::Abort;
    section(&mut text, "Runs in", is_isolated.then(|| "its own process".to_owned()));
    section(&mut text, "Built for", [format!("{}, plugin ABI {}", manifest.target, manifest.abi)]);
    text
}

/// Returns true if the environment variable is set. Its value is not read, since it may be a secret.
pub(crate) fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some()
}

/// Appends a section with the keys of a schema, their types and their descriptions.
fn members(text: &mut String, title: &str, schema: Schema<'_>) {
    let member = |name| {
        let member = schema.property(name);
        let mut notes = member.type_names();
        if member.is_secret() {
            notes.push("secret");
        }
        let default = member.default().map(|default: &Value| format!("default {default}"));
        notes.extend(default.as_deref());
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
        format!("{name}{notes}: {}", member.description())
    };
    section(text, title, schema.names().map(member));
}

/// Appends a title, and below it the lines that are not empty. Appends nothing if all lines are empty.
fn section(text: &mut String, title: &str, lines: impl IntoIterator<Item = String>) {
    let mut lines = lines.into_iter().filter(|line| !line.is_empty()).peekable();
    if lines.peek().is_some() {
        let _ = writeln!(text, "\n{}:", line(title));
    }
    for each in lines {
        let _ = writeln!(text, "  {}", line(each.trim_end_matches(": ")));
    }
}
