//! A plugin file in the output of `plugins list` and `plugins doctor`, and the checks of the file.

use std::path::Path;

use mlflow_deploy::{Candidate, CandidateState, Dependency, LoadError, Lock};
use serde::{Serialize, Serializer};

/// A plugin file in the output: its path, its state, and some members of its manifest.
#[derive(Serialize)]
pub(super) struct PluginEntry<'a> {
    #[serde(serialize_with = "lossy")]
    pub(super) file: &'a Path,
    pub(super) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) schemes: &'a [String],
    /// The reason why the plugin runs in its own process; `None` if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) isolated_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

impl<'a> PluginEntry<'a> {
    pub(super) fn new(candidate: &'a Candidate, state: &'static str, reason: Option<String>) -> Self {
        let manifest = candidate.declared();
        Self {
            file: &candidate.path,
            state,
            name: manifest.map(|manifest| manifest.name.as_str()),
            version: manifest.map(|manifest| manifest.version.as_str()),
            schemes: manifest.map_or(&[], |manifest| &manifest.schemes),
            isolated_by: isolated_by(candidate),
            reason,
        }
    }
}

/// The result of the checks of a plugin file. The checks run no plugin code. `refusal` is `None` if the file passes all
/// checks.
pub(crate) struct FileCheck {
    pub(crate) refusal: Option<LoadError>,
    /// The libraries that the plugin needs, if they could be determined.
    pub(super) needs: Vec<Dependency>,
}

impl FileCheck {
    /// Checks a plugin file, the libraries that it needs, and its entry in the lock file, as the host does before it
    /// loads the file.
    pub(crate) fn of(candidate: &Candidate, lock: Option<&Lock>) -> Self {
        let (mut refusal, mut needs) = (None, Vec::new());
        match &candidate.state {
            CandidateState::Ignored => {}
            CandidateState::Refused(error) => refusal = Some(error.clone()),
            CandidateState::Usable(_) => match candidate.dependencies() {
                Ok(dependencies) => {
                    refusal = dependencies.iter().find_map(Dependency::load_error);
                    needs = dependencies;
                }
                Err(error) => refusal = Some(error),
            },
        }
        let refusal = refusal.or_else(|| lock?.check(candidate).err());
        Self { refusal, needs }
    }
}

/// Returns the reason why a plugin runs in its own process; `None` if it does not.
pub(super) fn isolated_by(candidate: &Candidate) -> Option<String> {
    candidate.isolated_by().map(ToString::to_string)
}

/// Serializes a path as text. Replaces bytes that are not UTF-8, since JSON cannot represent them.
pub(crate) fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
