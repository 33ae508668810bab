//! A plugin file in the output of `plugins list` and `plugins doctor`.

use std::path::Path;

use mlflow_deploy::Candidate;
use serde::{Serialize, Serializer};

/// A file, its state, and the members of its manifest.
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
    /// The reason why it runs in its own process; `None` if it does not.
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

/// Returns the reason why a plugin runs in its own process; `None` if it does not.
pub(super) fn isolated_by(candidate: &Candidate) -> Option<String> {
    candidate.isolated_by().map(ToString::to_string)
}

/// Serializes a path as text. Bytes that are not UTF-8 are replaced, since JSON cannot represent them.
pub(super) fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
