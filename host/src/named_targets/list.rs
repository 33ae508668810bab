//! The named targets of a host: those of a trusted project file, then those of the user's configuration.

use std::ffi::OsString;
use std::sync::Arc;

use super::definition::NamedTarget;
use super::project_file::{ProjectFile, ProjectTrust};
use crate::Error;

/// The named targets of a host. A target of the project file precedes the user's target of the same name.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamedTargets {
    targets: Vec<Arc<NamedTarget>>,
    pub(crate) project_file: Option<ProjectFile>,
}

impl NamedTargets {
    /// Adds the targets of the project file to those of the user's configuration. `variable` looks up an environment
    /// variable.
    pub(crate) fn new(user: Vec<NamedTarget>, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let (project_file, project) = match ProjectFile::find(variable)? {
            Some((file, targets)) => (Some(file), targets),
            None => (None, Vec::new()),
        };
        Ok(Self { targets: project.into_iter().chain(user).map(Arc::new).collect(), project_file })
    }

    /// Returns the target with this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<NamedTarget>> {
        self.targets.iter().find(|target| target.name == name)
    }

    /// Returns all targets. If two have the same name, the first one is used.
    pub(crate) fn all(&self) -> impl Iterator<Item = &NamedTarget> {
        self.targets.iter().map(|target| &**target)
    }

    /// Returns the project file if its targets were not read.
    pub(crate) fn unread_file(&self) -> Option<&ProjectFile> {
        self.project_file.as_ref().filter(|file| file.trust != ProjectTrust::Trusted)
    }
}
