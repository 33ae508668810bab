//! The project file `mlflow-deploy.toml` in the current directory or above. It may name programs to run, so it is read
//! only if the user trusts it: the record of trusted files holds its path and the SHA-256 of its content.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::file;
use mlflow_deploy_plugin_api::text::shell_path;
use serde::Deserialize;

use super::definition::{Definition, NamedTarget, TargetName};
use crate::config_error::invalid_toml;
use crate::discovery::digest::Digest;
use crate::{Error, state_file};

/// The maximum size of a project file in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// A project file, `mlflow-deploy.toml` in the current directory or the nearest directory above it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectFile {
    /// The real path of the file.
    pub path: PathBuf,
    /// Tells if the user trusts the file. The targets of a file that is not trusted are not read.
    pub trust: ProjectTrust,
}

/// Tells if the user trusts a [`ProjectFile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProjectTrust {
    /// The file has changed since the user trusted it.
    Changed,
    /// The user trusts the content of the file.
    Trusted,
    /// The user has not trusted the file.
    Untrusted,
}

/// The content of a project file. It has only targets: it must not isolate plugins, or pass variables to them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectTables {
    #[serde(default)]
    targets: BTreeMap<TargetName, Definition>,
}

impl ProjectFile {
    /// The name of a project file.
    pub const NAME: &str = "mlflow-deploy.toml";

    /// Finds the project file and reads its targets if the user trusts it. `variable` looks up an environment variable.
    pub(super) fn find(variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<(Self, Vec<NamedTarget>)>, Error> {
        let Ok(folder) = std::env::current_dir() else { return Ok(None) };
        match Self::nearest(&folder) {
            Some(path) => Self::open(path, state_file::folder(variable).as_deref()).map(Some),
            None => Ok(None),
        }
    }

    /// Records that the user trusts the file. Returns the targets of the file.
    ///
    /// # Errors
    /// [`Error::Config`] if the file cannot be read, is invalid or too large, or if the record cannot be written.
    pub fn trust(path: &Path) -> Result<Vec<NamedTarget>, Error> {
        let folder = state_file::folder(crate::discovery::search_path::environment);
        Self::trust_in(path, folder.as_deref())
    }

    fn trust_in(path: &Path, state: Option<&Path>) -> Result<Vec<NamedTarget>, Error> {
        let failed = |why: String| Error::Config { path: path.to_owned(), why };
        let path = &path.canonicalize().map_err(|error| failed(error.to_string()))?;
        let bytes = file::read(path, MAX_BYTES).map_err(|error| failed(error.to_string()))?;
        let targets = Self::parse(path, bytes.clone())?;
        let state =
            state.ok_or_else(|| failed("it cannot be trusted without `HOME` or `XDG_STATE_HOME`".to_owned()))?;
        let record = record(state, path);
        let line = [Digest::of(&bytes).to_string().as_bytes(), b"  ", path.as_os_str().as_bytes(), b"\n"].concat();
        state_file::write(&record, &line)
            .map_err(|error| failed(format!("failed to write the record `{}`: {error}", record.display())))?;
        Ok(targets)
    }

    fn open(path: PathBuf, state: Option<&Path>) -> Result<(Self, Vec<NamedTarget>), Error> {
        // A file without a record is not even read.
        let trusted = state.and_then(|state| state_file::read(&record(state, &path)));
        let Some(trusted) = trusted else {
            return Ok((Self { path, trust: ProjectTrust::Untrusted }, Vec::new()));
        };
        let bytes = file::read(&path, MAX_BYTES)
            .map_err(|error| Error::Config { path: path.clone(), why: error.to_string() })?;
        if !trusted.starts_with(Digest::of(&bytes).to_string().as_bytes()) {
            return Ok((Self { path, trust: ProjectTrust::Changed }, Vec::new()));
        }
        let targets = Self::parse(&path, bytes)?;
        Ok((Self { path, trust: ProjectTrust::Trusted }, targets))
    }

    fn parse(path: &Path, bytes: Vec<u8>) -> Result<Vec<NamedTarget>, Error> {
        let failed = |why: String| Error::Config { path: path.to_owned(), why };
        let text = file::text(bytes).map_err(|error| failed(error.to_string()))?;
        let tables: ProjectTables = toml::from_str(&text).map_err(|error| failed(invalid_toml(&text, &error)))?;
        let targets = tables.targets.into_iter();
        Ok(targets.map(|(name, definition)| NamedTarget::new(name, definition, path)).collect())
    }

    /// Returns the real path of the project file in `folder`, or in the nearest folder above it.
    fn nearest(folder: &Path) -> Option<PathBuf> {
        folder.ancestors().map(|folder| folder.join(Self::NAME)).find(|path| path.is_file())?.canonicalize().ok()
    }
}

/// Says why the targets of the file are not read, and what to do about it. Says only the path for a trusted file.
impl fmt::Display for ProjectFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.trust {
            ProjectTrust::Changed => "it has changed since it was trusted",
            ProjectTrust::Trusted => return write!(formatter, "`{}`", self.path.display()),
            ProjectTrust::Untrusted => "it is not trusted, and may name programs to run",
        };
        let (path, word) = (self.path.display(), shell_path(&self.path));
        write!(formatter, "`{path}` is not read: {why}; check it, then run `mlflow-deploy targets trust {word}`")
    }
}

/// Returns the path of the record that a file is trusted.
fn record(state: &Path, path: &Path) -> PathBuf {
    state.join("project-files").join(Digest::of(path.as_os_str().as_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_project_file_is_read_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (path, state) = (root.join(ProjectFile::NAME), root.join("state"));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(&path, "[targets.one]\nuri = 'a'\n").unwrap();
        assert_eq!(ProjectFile::nearest(&root.join("a/b")), Some(path.clone()));
        let open = || {
            let (file, targets) = ProjectFile::open(path.clone(), Some(&state)).unwrap();
            (file.trust, targets.into_iter().map(|target| target.name).collect::<Vec<_>>())
        };
        assert_eq!(open(), (ProjectTrust::Untrusted, vec![]));
        assert_eq!(ProjectFile::trust_in(&path, Some(&state)).unwrap().len(), 1);
        assert_eq!(open(), (ProjectTrust::Trusted, vec!["one".to_owned()]));
        fs::write(&path, "[targets.two]\nuri = 'a'\n").unwrap();
        assert_eq!(open(), (ProjectTrust::Changed, vec![]));
        ProjectFile::trust_in(&path, Some(&state)).unwrap();
        assert_eq!(open(), (ProjectTrust::Trusted, vec!["two".to_owned()]));
        // The same content at another path is not trusted.
        let other = root.join("a").join(ProjectFile::NAME);
        fs::copy(&path, &other).unwrap();
        assert_eq!(ProjectFile::open(other, Some(&state)).unwrap().0.trust, ProjectTrust::Untrusted);
        assert_eq!(ProjectFile::open(path, None).unwrap().0.trust, ProjectTrust::Untrusted);
    }

    #[test]
    fn an_invalid_project_file_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let (path, state) = (folder.path().join(ProjectFile::NAME), folder.path().join("state"));
        for (text, message) in [
            ("[plugins.x]", "line 1: unknown field `plugins`, expected `targets`"),
            ("[targets.x]\nuri = 'a'\ntimeuot = 3", "line 3: unknown field `timeuot`, expected one of"),
        ] {
            fs::write(&path, text).unwrap();
            let error = ProjectFile::trust_in(&path, Some(&state)).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
            assert!(!state.exists());
        }
    }
}
