//! The verb `help`: lists the targets, or prints the help and the manifest of a target's plugin.

use std::fmt::Write;

use mlflow_deploy::manifest::Manifest;
use mlflow_deploy::{Error, ErrorCode, TargetUri};
use mlflow_deploy_plugin_api::text::line;
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::describe::{describe, is_set};
use crate::plugins::FileCheck;
use crate::report::CliError;

pub(crate) async fn run(target: Option<&str>, context: &Context) -> Result<(), CliError> {
    match target {
        Some(target) => show_target(target, context).await,
        None => list_targets(context),
    }
}

/// A plugin in the list of targets that `mlflow-deploy help` prints.
#[derive(Serialize)]
struct TargetEntry<'a> {
    name: &'a str,
    schemes: Vec<&'a str>,
    description: &'a str,
}

fn list_targets(context: &Context) -> Result<(), CliError> {
    let lock = context.host.lock()?;
    let discovery = context.discover();
    let mut targets = Vec::new();
    for candidate in &discovery.candidates {
        let Some(Manifest { name, schemes, description, .. }) = candidate.manifest() else { continue };
        let mut served = Vec::new();
        for scheme in schemes {
            // The plugin that a call would load.
            match discovery.choose(&TargetUri::parse(scheme).map_err(Error::from)?) {
                Ok(choice) if choice.winner.path == candidate.path => served.push(scheme.as_str()),
                Err(unusable @ Error::Load { .. }) => return Err(unusable.into()),
                Ok(_) | Err(_) => {}
            }
        }
        if !served.is_empty() && FileCheck::of(candidate, lock.as_ref()).refusal.is_none() {
            targets.push(TargetEntry { name, schemes: served, description });
        }
    }
    context.report.write_value(&json!({ "targets": targets }), || {
        let mut text = String::from("Targets:\n");
        for target in &targets {
            let _ = writeln!(text, "  {}", line(&format!("{}: {}", target.schemes.join(", "), target.description)));
        }
        if targets.is_empty() {
            text = "no targets: no usable plugin was found; `mlflow-deploy plugins list` shows the searched directories\n"
                .to_owned();
        }
        text + "\nFor help on a target, run `mlflow-deploy help -t TARGET`. For all commands, run `mlflow-deploy --help`.\n"
    })
}

async fn show_target(target: &str, context: &Context) -> Result<(), CliError> {
    let target = context.host.target(Some(target))?;
    let text = match target.help().await {
        Ok(text) => String::from_utf8_lossy(text.bytes()).trim_end().to_owned(),
        Err(error) if *error.code() == ErrorCode::NOT_IMPLEMENTED => String::new(),
        Err(error) => return Err(error.into()),
    };
    let manifest = target.manifest();
    let names = manifest.environment.iter().map(|variable| variable.name.as_str());
    let set: Vec<_> = names.filter(|name| is_set(name)).collect();
    let value = json!({ "help": text, "manifest": manifest, "environment_set": set });
    context.report.write_value(&value, || {
        let mut page = if text.is_empty() { String::new() } else { text.clone() + "\n\n" };
        page += &describe(manifest);
        page
    })
}
