//! `plugins which`: the plugin that serves a target, and those that would serve it if they were not behind or refused.

use std::fmt;
use std::path::Path;

use mlflow_deploy::{Candidate, CandidateState, Error, TargetUri};
use mlflow_deploy_plugin_api::text;
use serde::Serialize;

use super::{isolated_by, lossy};
use crate::context::Context;
use crate::report::CliError;

#[derive(Serialize)]
struct Which<'a> {
    scheme: &'a str,
    #[serde(flatten)]
    winner: Plugin<'a>,
    shadowed: Vec<Plugin<'a>>,
    refused: Vec<Plugin<'a>>,
}

#[derive(Serialize)]
struct Plugin<'a> {
    #[serde(serialize_with = "lossy")]
    file: &'a Path,
    name: &'a str,
    version: &'a str,
    /// Why it runs in a process of its own, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    isolated_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) fn run(target: &str, session: &Context) -> Result<(), CliError> {
    let target = TargetUri::parse(target).map_err(Error::from)?;
    let lock = session.host.lock()?;
    let discovery = session.discover();
    let choice = discovery.choose(&target)?;
    if let Some(lock) = lock {
        let path = choice.winner.path.clone();
        lock.check(choice.winner).map_err(|refusal| Error::Load { path, refusal })?;
    }
    let serves = |candidate: &&Candidate| {
        candidate.declared().is_some_and(|manifest| manifest.schemes.iter().any(|scheme| scheme == target.scheme()))
    };
    let which = Which {
        scheme: target.scheme(),
        winner: Plugin::new(choice.winner).expect("a plugin that was chosen has a manifest"),
        shadowed: choice.shadowed.iter().filter_map(|candidate| Plugin::new(candidate)).collect(),
        refused: discovery
            .candidates
            .iter()
            .filter(|candidate| matches!(candidate.state, CandidateState::Refused(_)))
            .filter(serves)
            .filter_map(Plugin::new)
            .collect(),
    };
    session.report.value(&which, || which.to_string())
}

impl<'a> Plugin<'a> {
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

/// The winner's file alone on the first line, for scripts.
impl fmt::Display for Which<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", text::path(self.winner.file))?;
        if let Some(why) = &self.winner.isolated_by {
            writeln!(formatter, "runs in a process of its own, for {}", text::line(why))?;
        }
        for Plugin { file, name, version, .. } in &self.shadowed {
            let shadowed = format!("{} ({name} {version})", file.display());
            writeln!(formatter, "shadows {}", text::line(&shadowed))?;
        }
        for Plugin { file, name, version, reason, .. } in &self.refused {
            let reason = reason.as_deref().unwrap_or_default();
            let refused = format!("{} ({name} {version}): {reason}", file.display());
            writeln!(formatter, "refused {}", text::line(&refused))?;
        }
        Ok(())
    }
}
