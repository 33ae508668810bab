//! `plugins which`: prints the plugin that serves a target, and the shadowed and refused plugins for the same target.

use std::fmt;
use std::path::Path;

use mlflow_deploy::{Candidate, CandidateState, Error, TargetUri};
use mlflow_deploy_plugin_api::text;
use serde::Serialize;

use super::entry::{FileCheck, isolated_by, lossy};
use crate::context::Context;
use crate::report::CliError;

#[derive(Serialize)]
struct WhichReport<'a> {
    scheme: &'a str,
    #[serde(flatten)]
    winner: WhichPlugin<'a>,
    shadowed: Vec<WhichPlugin<'a>>,
    refused: Vec<WhichPlugin<'a>>,
}

#[derive(Serialize)]
struct WhichPlugin<'a> {
    #[serde(serialize_with = "lossy")]
    file: &'a Path,
    name: &'a str,
    version: &'a str,
    /// The reason why the plugin runs in its own process; `None` if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    isolated_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) fn run(target: &str, context: &Context) -> Result<(), CliError> {
    let named = context.host.named_targets()?.find(|named| named.name == target);
    let (uri, plugin) = match named {
        Some(named) => (named.uri.clone(), named.plugin.as_deref()),
        None => (TargetUri::parse(target).map_err(Error::from)?, None),
    };
    let lock = context.host.lock()?;
    let discovery = context.discover();
    if let Some(warning) = named.and_then(|named| discovery.scheme_warning(named)) {
        context.report.stderr().warning(&warning);
    }
    // The host's error also lists the named targets.
    let with_names = |error| context.host.target(Some(target)).err().unwrap_or(error);
    let choice = discovery.choose_plugin(&uri, plugin).map_err(with_names)?;
    if let Some(refusal) = FileCheck::of(choice.winner, lock.as_ref()).refusal {
        return Err(Error::Load { path: choice.winner.path.clone(), refusal }.into());
    }
    let serves = |candidate: &&Candidate| {
        candidate.declared().is_some_and(|manifest| manifest.schemes.iter().any(|scheme| scheme == uri.scheme()))
    };
    let which = WhichReport {
        scheme: uri.scheme(),
        winner: WhichPlugin::new(choice.winner).expect("a chosen plugin has a manifest"),
        shadowed: choice.shadowed.iter().filter_map(|candidate| WhichPlugin::new(candidate)).collect(),
        refused: discovery
            .candidates
            .iter()
            .filter(|candidate| matches!(candidate.state, CandidateState::Refused(_)))
            .filter(serves)
            .filter_map(WhichPlugin::new)
            .collect(),
    };
    context.report.write_value(&which, || which.to_string())
}

impl<'a> WhichPlugin<'a> {
    fn new(candidate: &'a Candidate) -> Option<Self> {
        let manifest = candidate.declared()?;
        let reason = match &candidate.state {
            CandidateState::Refused(refusal) => Some(refusal.to_string()),
            CandidateState::Ignored | CandidateState::Usable(_) => None,
        };
        let (name, version) = (&manifest.name, &manifest.version);
        Some(Self { file: &candidate.path, name, version, isolated_by: isolated_by(candidate), reason })
    }
}

/// Formats the report as text. The first line is only the path of the plugin that serves the target, for use in
/// scripts.
impl fmt::Display for WhichReport<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", text::path(self.winner.file))?;
        if let Some(why) = &self.winner.isolated_by {
            writeln!(formatter, "runs in its own process, because {}", text::line(why))?;
        }
        for WhichPlugin { file, name, version, .. } in &self.shadowed {
            let shadowed = format!("{} ({name} {version})", file.display());
            writeln!(formatter, "shadows {}", text::line(&shadowed))?;
        }
        for WhichPlugin { file, name, version, reason, .. } in &self.refused {
            let reason = reason.as_deref().unwrap_or_default();
            let refused = format!("{} ({name} {version}): {reason}", file.display());
            writeln!(formatter, "refused {}", text::line(&refused))?;
        }
        Ok(())
    }
}
