//! The verbs about plugins themselves. None of them runs a plugin's code, but for `retry`, in a process of its own.

mod doctor;
mod entry;
mod list;
mod lock;
mod retry;
mod which;

use std::path::{Path, PathBuf};

use mlflow_deploy::{Candidate, CandidateState, Discovery, Error, Host, Lock, nearest};
use serde::Serializer;

pub(crate) use self::list::Listing;
use crate::args::{Global, Plugins};
use crate::context::Context;
use crate::describe::describe;
use crate::report::CliError;

pub(crate) async fn run(verb: &Plugins, global: &Global, session: &Context) -> Result<(), CliError> {
    let Context { host, report, .. } = session;
    match verb {
        Plugins::Doctor => doctor::run(host, report),
        Plugins::Inspect { wanted } => inspect(wanted, session),
        Plugins::List => {
            let discovery = session.discover();
            let listing = Listing::new(&discovery);
            report.value(&listing, || listing.to_string())
        }
        Plugins::Lock => lock::write(&lock_file(global), session),
        Plugins::Retry { plugins } => retry::run(plugins, host, report).await,
        Plugins::Verify => lock::verify(&lock_file(global), host, report),
        Plugins::Which { target } => which::run(target, session),
    }
}

/// The lock file that is meant: the flag's, else the variable's, else the one in the current folder.
pub(crate) fn lock_file(global: &Global) -> PathBuf {
    let named = || std::env::var_os("MLFLOW_DEPLOY_LOCK_FILE").filter(|name| !name.is_empty()).map(PathBuf::from);
    global.lock_file.clone().or_else(named).unwrap_or_else(|| PathBuf::from(Lock::FILE))
}

fn inspect(wanted: &Path, session: &Context) -> Result<(), CliError> {
    let file = if is_name(wanted) { &of_name(&wanted.to_string_lossy(), &session.host.discover())? } else { wanted };
    let discovery = Host::builder().search_path([""; 0]).trusted_plugin(file).build().discover();
    let candidate = &discovery.candidates[0];
    match &candidate.state {
        CandidateState::Usable(manifest) => session.report.value(manifest, || describe(manifest)),
        CandidateState::Refused(refusal) => {
            Err(CliError::Target(Error::Load { path: file.to_owned(), refusal: refusal.clone() }))
        }
        CandidateState::Ignored => Err(CliError::NotAPlugin(file.to_owned())),
    }
}

/// Whether a word is no file's, and may be a plugin's name.
fn is_name(wanted: &Path) -> bool {
    !wanted.exists() && wanted.extension().is_none() && wanted.components().count() == 1
}

/// The file of the plugin of this name.
fn of_name(name: &str, discovery: &Discovery) -> Result<PathBuf, CliError> {
    let named = |candidate: &&Candidate| candidate.declared().is_some_and(|manifest| manifest.name == name);
    if let Some(candidate) = discovery.candidates.iter().find(named) {
        return Ok(candidate.path.clone());
    }
    let known = discovery.candidates.iter().filter_map(|candidate| Some(candidate.declared()?.name.as_str()));
    let hint = nearest(name, known).map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
    Err(CliError::Input(format!("there is no plugin and no file of the name `{name}`{hint}")))
}

/// Why a plugin runs in a process of its own, where it does.
fn isolated_by(candidate: &Candidate) -> Option<String> {
    candidate.isolated_by().map(ToString::to_string)
}

/// A path as text: JSON has no way to say one that is not.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
