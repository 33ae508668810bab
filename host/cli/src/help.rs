//! The verb `help`: which targets there are, or all that a target's plugin and its manifest say.

use std::fmt::Write;

use mlflow_deploy::ErrorCode;
use mlflow_deploy::manifest::Manifest;
use mlflow_deploy_plugin_api::text::line;
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::describe::{describe, is_set};
use crate::report::CliError;

pub(crate) async fn run(target: Option<&str>, session: &Context) -> Result<(), CliError> {
    match target {
        Some(target) => of_target(target, session).await,
        None => of_targets(session),
    }
}

/// A target in the list of all.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    schemes: &'a [String],
    description: &'a str,
}

fn of_targets(session: &Context) -> Result<(), CliError> {
    let discovery = session.discover();
    let used = discovery.candidates.iter().filter(|candidate| !discovery.is_shadowed(candidate));
    let targets: Vec<_> = used
        .filter_map(|candidate| candidate.manifest())
        .map(|Manifest { name, schemes, description, .. }| Listed { name, schemes, description })
        .collect();
    session.report.value(&json!({ "targets": targets }), || {
        let mut text = String::from("Targets that have a plugin:\n");
        for target in &targets {
            let _ = writeln!(text, "  {}", line(&format!("{}: {}", target.schemes.join(", "), target.description)));
        }
        if targets.is_empty() {
            text = "No plugin was found, and so there is no target; `mlflow-deploy plugins list` tells where was looked.\n"
                .to_owned();
        }
        text + "\n`mlflow-deploy help -t TARGET` tells how one is used, `mlflow-deploy --help` which verbs there are.\n"
    })
}

async fn of_target(target: &str, session: &Context) -> Result<(), CliError> {
    let target = session.host.target(Some(target))?;
    let text = match target.help().await {
        Ok(text) => String::from_utf8_lossy(text.bytes()).trim_end().to_owned(),
        Err(error) if *error.code() == ErrorCode::NOT_IMPLEMENTED => String::new(),
        Err(error) => return Err(error.into()),
    };
    let manifest = target.manifest();
    let names = manifest.environment.iter().map(|variable| variable.name.as_str());
    let set: Vec<_> = names.filter(|name| is_set(name)).collect();
    let value = json!({ "help": text, "manifest": manifest, "environment_set": set });
    session.report.value(&value, || {
        let mut page = if text.is_empty() { String::new() } else { text.clone() + "\n\n" };
        page += &describe(manifest);
        page
    })
}
