//! The verb `help`: which targets there are, or all that a target's plugin and its manifest say.

use std::fmt::Write;

use mlflow_deploy::manifest::Manifest;
use mlflow_deploy::{ErrorCode, Host};
use serde::Serialize;
use serde_json::{Value, json};

use crate::report::{Failure, Report};
use crate::settings::Schema;

pub(crate) async fn run(target: Option<&str>, host: &Host, report: &Report) -> Result<(), Failure> {
    match target {
        Some(target) => of_target(target, host, report).await,
        None => of_targets(host, report),
    }
}

/// A target in the list of all.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    schemes: &'a [String],
    description: &'a str,
}

fn of_targets(host: &Host, report: &Report) -> Result<(), Failure> {
    let discovery = host.discover();
    let used = discovery.candidates.iter().filter(|candidate| !discovery.is_shadowed(candidate));
    let targets: Vec<_> = used
        .filter_map(|candidate| candidate.manifest())
        .map(|Manifest { name, schemes, description, .. }| Listed { name, schemes, description })
        .collect();
    report.value(&json!({ "targets": targets }), || {
        let mut text = String::from("Targets that have a plugin:\n");
        for target in &targets {
            let _ = writeln!(text, "  {}: {}", target.schemes.join(", "), target.description);
        }
        if targets.is_empty() {
            text = "No plugin was found, and so there is no target; `mlflow-deploy plugins list` tells where was looked.\n"
                .to_owned();
        }
        text + "\n`mlflow-deploy help -t TARGET` tells how one is used, `mlflow-deploy --help` which verbs there are.\n"
    })
}

async fn of_target(target: &str, host: &Host, report: &Report) -> Result<(), Failure> {
    let target = host.target(Some(target))?;
    let text = match target.help().await {
        Ok(text) => String::from_utf8_lossy(text.bytes()).trim_end().to_owned(),
        Err(error) if *error.code() == ErrorCode::NOT_IMPLEMENTED => String::new(),
        Err(error) => return Err(error.into()),
    };
    let manifest = target.manifest();
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let set: Vec<_> =
        manifest.environment.iter().filter(|variable| is_set(&variable.name)).map(|it| &it.name).collect();
    let value = json!({ "help": text, "manifest": manifest, "environment_set": set });
    report.value(&value, || {
        let mut page = if text.is_empty() { String::new() } else { text.clone() + "\n\n" };
        page += &facts(manifest, is_set);
        page
    })
}

/// What a manifest says, for a person.
fn facts(manifest: &Manifest, is_set: impl Fn(&str) -> bool) -> String {
    let mut text = format!("{} {}", manifest.name, manifest.version);
    if !manifest.description.is_empty() {
        text += &format!(": {}", manifest.description);
    }
    text += "\n";
    section(
        &mut text,
        "Target URIs",
        manifest.schemes.iter().map(|scheme| format!("{scheme}, {scheme}:/…, {scheme}://…")),
    );
    section(&mut text, "Operations", [manifest.operations.join(", ")]);
    section(&mut text, "Input", [manifest.accepts.join(", ")]);
    members(&mut text, "Client options (--option)", Schema::new(Some(&manifest.options)));
    for (operation, schema) in &manifest.config {
        members(&mut text, &format!("Config of {operation} (--config)"), Schema::new(schema.as_object()));
    }
    let invoke = manifest.invoke.iter().map(|operation| format!("{}: {}", operation.name, operation.description));
    section(&mut text, "Operations of its own (invoke)", invoke);
    let variable = |name: &str, secret: bool| {
        let (secret, set) = (if secret { ", secret" } else { "" }, if is_set(name) { "set" } else { "not set" });
        format!("{name} ({set}{secret})")
    };
    let environment = manifest.environment.iter().map(|each| variable(&each.name, each.secret));
    section(&mut text, "Environment variables", environment);
    text
}

/// The keys of a schema, each with its type and what it is for.
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

/// A title and its lines; nothing where there are none.
fn section(text: &mut String, title: &str, lines: impl IntoIterator<Item = String>) {
    let mut lines = lines.into_iter().filter(|line| !line.is_empty()).peekable();
    if lines.peek().is_some() {
        let _ = writeln!(text, "\n{title}:");
    }
    for line in lines {
        let _ = writeln!(text, "  {}", line.trim_end_matches(": "));
    }
}
