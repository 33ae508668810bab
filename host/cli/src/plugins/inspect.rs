//! `plugins inspect`: prints the manifest of a plugin without loading it.

use std::path::{Path, PathBuf};

use mlflow_deploy::{Candidate, CandidateState, Discovery, Error, Host, LoadError, nearest};

use crate::context::Context;
use crate::describe::describe;
use crate::report::CliError;

pub(super) fn run(plugin: &Path, context: &Context) -> Result<(), CliError> {
    let file = if is_name(plugin) { &find(&plugin.to_string_lossy(), &context.host.discover())? } else { plugin };
    let discovery = Host::builder().search_path([""; 0]).trusted_plugin(file).build().discover();
    let candidate = &discovery.candidates[0];
    match &candidate.state {
        CandidateState::Usable(manifest) => context.report.write_value(manifest, || describe(manifest)),
        CandidateState::Ignored | CandidateState::Refused(LoadError::NoManifest) => {
            Err(CliError::NotAPlugin(file.to_owned()))
        }
        CandidateState::Refused(refusal) => {
            Err(CliError::Target(Error::Load { path: file.to_owned(), refusal: refusal.clone() }))
        }
    }
}

/// Returns true if the argument is the name of a plugin: one word without an extension that is not the path of a file.
fn is_name(argument: &Path) -> bool {
    !argument.exists() && argument.extension().is_none() && argument.components().count() == 1
}

/// Returns the path of the plugin with this name. Fails if the plugin is not found.
fn find(name: &str, discovery: &Discovery) -> Result<PathBuf, CliError> {
    let has_name = |candidate: &&Candidate| candidate.declared().is_some_and(|manifest| manifest.name == name);
    if let Some(candidate) = discovery.candidates.iter().find(has_name) {
        return Ok(candidate.path.clone());
    }
    let known = discovery.candidates.iter().filter_map(|candidate| Some(candidate.declared()?.name.as_str()));
    let hint = nearest(name, known).map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
    Err(CliError::Input(format!("unknown plugin or file `{name}`{hint}")))
}
