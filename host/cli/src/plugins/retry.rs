//! `plugins retry`: removes plugins from quarantine and tries to load them again.

use std::fmt::Write;
use std::path::Path;

use mlflow_deploy::{Candidate, CandidateState, Error, Host, LoadError};
use mlflow_deploy_plugin_api::text::line;
use serde_json::json;

use crate::report::{CliError, Report};

pub(super) async fn run(plugins: &[String], host: &Host, report: &Report) -> Result<(), CliError> {
    let discovery = host.discover();
    let is_selected = |candidate: &&Candidate| {
        let name = candidate.declared().map(|manifest| manifest.name.as_str());
        let is_named = |plugin: &String| name == Some(plugin) || is_file(candidate, plugin);
        is_quarantined(candidate) && (plugins.is_empty() || plugins.iter().any(is_named))
    };
    let selected: Vec<_> = discovery.candidates.iter().filter(is_selected).collect();
    if let (true, Some(plugin)) = (selected.is_empty(), plugins.first()) {
        return Err(CliError::Input(format!("no plugin with the name or file `{plugin}` is quarantined")));
    }
    let (mut text, mut tried, mut failed) = (String::new(), Vec::new(), None);
    for candidate in selected {
        let file = candidate.path.to_string_lossy();
        match host.retry(candidate).await {
            Ok(()) => {
                let _ = writeln!(text, "{} can be loaded", line(&file));
                tried.push(json!({ "file": file, "usable": true }));
            }
            Err(error) => {
                let reason = match &error {
                    Error::Load { refusal, .. } => refusal.reason(),
                    other => other.to_string(),
                };
                tried.push(json!({ "file": file, "usable": false, "reason": reason }));
                failed = Some(error);
            }
        }
    }
    if tried.is_empty() {
        text = "no plugin is quarantined\n".to_owned();
    }
    report.write_value(&json!({ "retried": tried }), || text)?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn is_quarantined(candidate: &Candidate) -> bool {
    matches!(candidate.state, CandidateState::Refused(LoadError::Quarantined { .. }))
}

/// Returns true if the path leads to the file of the candidate.
fn is_file(candidate: &Candidate, path: &str) -> bool {
    match (Path::new(path).canonicalize(), candidate.path.canonicalize()) {
        (Ok(path), Ok(file)) => path == file,
        _ => false,
    }
}
