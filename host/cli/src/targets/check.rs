//! `targets check`: reads the secrets of named targets, loads their plugins and opens clients.

use std::fmt::Write;

use mlflow_deploy::{Error, ErrorCode, ProjectTrust, TargetError, nearest};
use mlflow_deploy_plugin_api::text::line;
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::report::CliError;

/// The result of the check of one target.
#[derive(Serialize)]
struct CheckedTarget {
    name: String,
    usable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) async fn run(name: Option<&str>, context: &Context) -> Result<(), CliError> {
    let mut names: Vec<_> = context.host.named_targets()?.map(|target| target.name.clone()).collect();
    names.sort();
    names.dedup();
    if let Some(name) = name {
        if !names.iter().any(|known| known == name) {
            return Err(unknown(name, context)?);
        }
        names.retain(|known| known == name);
    }
    let (mut checked, mut first) = (Vec::new(), None);
    for target in names {
        match open(&target, context).await {
            Ok(plugin) => {
                checked.push(CheckedTarget { name: target, usable: true, plugin: Some(plugin), reason: None });
            }
            Err(error) if name.is_some() => return Err(error.into()),
            Err(error) => {
                let reason = Some(error.to_string());
                checked.push(CheckedTarget { name: target, usable: false, plugin: None, reason });
                first.get_or_insert(error);
            }
        }
    }
    context.report.write_value(&json!({ "targets": checked }), || text(&checked))?;
    let failed = checked.iter().filter(|target| !target.usable).count();
    match first {
        None => Ok(()),
        Some(first) => Err(CliError::TargetsFailed { failed, targets: checked.len(), first: Box::new(first) }),
    }
}

/// Opens a client of a named target. Returns the name and the version of its plugin.
async fn open(name: &str, context: &Context) -> Result<String, Error> {
    let target = context.host.target(Some(name))?;
    let client = target.open(&mlflow_deploy::ClientOptions::default(), context.remaining()).await?;
    context.keep_alive(client);
    let manifest = target.manifest();
    Ok(format!("{} {}", manifest.name, manifest.version))
}

fn text(checked: &[CheckedTarget]) -> String {
    let mut text = String::new();
    for CheckedTarget { name, plugin, reason, .. } in checked {
        let result = match (plugin, reason) {
            (_, Some(reason)) => format!("failed: {reason}"),
            (plugin, None) => format!("ready, with the plugin {}", plugin.as_deref().unwrap_or_default()),
        };
        let _ = writeln!(text, "{}", line(&format!("{name}: {result}")));
    }
    if checked.is_empty() {
        text = "no named targets\n".to_owned();
    }
    text
}

/// Returns the error for a name that no target has.
pub(super) fn unknown(name: &str, context: &Context) -> Result<CliError, CliError> {
    if let Some(unread) = context.host.project_file()?.filter(|file| file.trust != ProjectTrust::Trusted) {
        context.report.stderr().warning(&unread.to_string());
    }
    let known: Vec<_> = context.host.named_targets()?.map(|target| target.name.as_str()).collect();
    let mut message = format!("no target has the name `{name}`");
    if let Some(nearest) = nearest(name, known.iter().copied()) {
        message += &format!("; did you mean `{nearest}`?");
    }
    message += &match known.join("`, `") {
        none if none.is_empty() => "; there are no named targets".to_owned(),
        known => format!("; named targets: `{known}`"),
    };
    Ok(TargetError::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, message).into())
}
