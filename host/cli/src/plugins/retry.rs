//! `plugins retry`: forgets why plugins are quarantined, and tries them again at once.

use std::fmt::Write;
use std::path::Path;

use mlflow_deploy::{Candidate, CandidateState, Error, Host, LoadError};
use mlflow_deploy_plugin_api::text;
use serde_json::json;

use crate::report::{CliError, Report};

pub(crate) async fn run(wanted: &[String], host: &Host, report: &Report) -> Result<(), CliError> {
    let discovery = host.discover();
    let is_meant = |candidate: &&Candidate| {
        let name = candidate.declared().map(|manifest| manifest.name.as_str());
        let is_wanted = |wanted: &String| name == Some(wanted) || is_file(candidate, wanted);
        is_quarantined(candidate) && (wanted.is_empty() || wanted.iter().any(is_wanted))
    };
    let meant: Vec<_> = discovery.candidates.iter().filter(is_meant).collect();
    if let (true, Some(wanted)) = (meant.is_empty(), wanted.first()) {
        return Err(CliError::Input(format!("no plugin of the name or file `{wanted}` is quarantined")));
    }
    let (mut said, mut tried, mut failed) = (String::new(), Vec::new(), None);
    for candidate in meant {
        let file = candidate.path.to_string_lossy();
        match host.retry(candidate).await {
            Ok(()) => {
                let _ = writeln!(said, "{} can be loaded", text::line(&file));
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
        said = "no plugin is quarantined\n".to_owned();
    }
    report.value(&json!({ "retried": tried }), || said)?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn is_quarantined(candidate: &Candidate) -> bool {
    matches!(candidate.state, CandidateState::Refused(LoadError::Quarantined { .. }))
}

/// Whether the candidate is the file of this path.
fn is_file(candidate: &Candidate, path: &str) -> bool {
    match (Path::new(path).canonicalize(), candidate.path.canonicalize()) {
        (Ok(wanted), Ok(found)) => wanted == found,
        _ => false,
    }
}
