//! A file that might be a plugin, as `plugins list` and `plugins doctor` show it.

use std::path::Path;

use mlflow_deploy::Candidate;
use serde::Serialize;

use super::{isolated_by, lossy};

/// A file, what became of it, and what it says of itself.
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
    /// Why it runs in a process of its own, where it does.
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
