//! Where plugins are looked for, in which order, and who said so. Touches no file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Who put a directory on the search path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Origin {
    /// The program, or a `--plugin-dir` flag.
    Given,
    /// `MLFLOW_DEPLOY_PLUGIN_PATH`.
    Environment,
    /// `$XDG_DATA_HOME/mlflow-deploy/plugins`.
    User,
    /// A place beside the executable.
    Executable,
    /// A system-wide place.
    System,
}

/// One directory to look in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchEntry {
    /// The directory.
    pub(crate) path: PathBuf,
    /// Who put it there.
    pub(crate) origin: Origin,
    /// What a file's name has to start with to be looked at.
    pub(crate) prefix: &'static str,
}

/// A plugin that was named by its file.
#[derive(Clone, Debug)]
pub(crate) struct NamedFile {
    pub(crate) path: PathBuf,
    /// Whether it is trusted whoever owns it.
    pub(crate) trusted: bool,
}

/// What the search path is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// Plugins that were named, before all directories.
    pub(crate) files: Vec<NamedFile>,
    /// Directories that come first.
    pub(crate) given: Vec<PathBuf>,
    /// The directories in the place of those of the environment, the user and the system.
    pub(crate) instead: Option<Vec<PathBuf>>,
    /// The executable whose neighbourhood is searched; `None` for embedders unless they ask.
    pub(crate) executable: Option<PathBuf>,
}

/// The file names that the executable's own folder offers: other libraries lie there too.
const BUNDLED: &str = "libmlflow_deploy_";

impl Sources {
    /// The directories in order; the first that has a plugin for a scheme wins. `variable` looks up the environment.
    pub(crate) fn entries(&self, variable: impl Fn(&str) -> Option<OsString>) -> Vec<SearchEntry> {
        let entry = |path: PathBuf, origin| SearchEntry { path, origin, prefix: "" };
        let given = |paths: &[PathBuf]| paths.iter().map(|path| entry(path.clone(), Origin::Given)).collect::<Vec<_>>();
        let mut entries = given(&self.given);
        match &self.instead {
            Some(instead) => entries.extend(given(instead)),
            None => {
                let listed = variable("MLFLOW_DEPLOY_PLUGIN_PATH").unwrap_or_default();
                let listed = std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty());
                entries.extend(listed.map(|path| entry(path, Origin::Environment)));
                if variable("MLFLOW_DEPLOY_PLUGIN_PATH_ONLY").is_some_and(|value| value == "1") {
                    return entries;
                }
                let data = variable("XDG_DATA_HOME")
                    .map(PathBuf::from)
                    .filter(|path| path.is_absolute())
                    .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/share")));
                entries.extend(data.map(|data| entry(data.join("mlflow-deploy/plugins"), Origin::User)));
            }
        }
        if let Some(folder) = self.executable.as_deref().and_then(Path::parent) {
            entries.push(entry(folder.join("plugins"), Origin::Executable));
            entries.push(SearchEntry { path: folder.to_owned(), origin: Origin::Executable, prefix: BUNDLED });
            entries
                .extend(folder.parent().map(|root| entry(root.join("lib/mlflow-deploy/plugins"), Origin::Executable)));
        }
        if self.instead.is_none() {
            let system = ["/usr/local/lib/mlflow-deploy/plugins", "/usr/lib/mlflow-deploy/plugins"];
            entries.extend(system.map(|path| entry(PathBuf::from(path), Origin::System)));
        }
        entries
    }
}

/// The process's environment, or nothing where it runs with raised privileges: whoever set it is not trusted then.
pub(crate) fn environment(name: &str) -> Option<OsString> {
    if mlflow_deploy_plugin_api::is_privileged() { None } else { std::env::var_os(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(sources: &Sources, variables: &[(&str, &str)]) -> Vec<String> {
        let variable = |name: &str| variables.iter().find(|(each, _)| *each == name).map(|(_, value)| value.into());
        sources.entries(variable).into_iter().map(|entry| entry.path.display().to_string()).collect()
    }

    #[test]
    fn flags_come_before_the_environment_and_the_system_last() {
        let sources = Sources {
            given: vec!["/given".into()],
            executable: Some("/opt/bin/mlflow-deploy".into()),
            ..Sources::default()
        };
        assert_eq!(
            paths(&sources, &[("MLFLOW_DEPLOY_PLUGIN_PATH", "/a::/b"), ("HOME", "/home/u")]),
            [
                "/given",
                "/a",
                "/b",
                "/home/u/.local/share/mlflow-deploy/plugins",
                "/opt/bin/plugins",
                "/opt/bin",
                "/opt/lib/mlflow-deploy/plugins",
                "/usr/local/lib/mlflow-deploy/plugins",
                "/usr/lib/mlflow-deploy/plugins",
            ]
        );
    }

    #[test]
    fn the_environment_can_replace_the_rest() {
        let variables = [("MLFLOW_DEPLOY_PLUGIN_PATH", "/a"), ("MLFLOW_DEPLOY_PLUGIN_PATH_ONLY", "1")];
        assert_eq!(paths(&Sources::default(), &variables), ["/a"]);
    }

    #[test]
    fn a_program_can_leave_the_environment_out() {
        let (given, instead) = (vec!["/given".into()], Some(vec!["/ours".into()]));
        let sources = Sources { given, instead, ..Sources::default() };
        assert_eq!(paths(&sources, &[("MLFLOW_DEPLOY_PLUGIN_PATH", "/a"), ("HOME", "/h")]), ["/given", "/ours"]);
    }

    #[test]
    fn an_embedder_s_executable_is_not_searched_and_a_relative_data_home_is_not_used() {
        let found = paths(&Sources::default(), &[("XDG_DATA_HOME", "data"), ("HOME", "/h")]);
        assert_eq!(found[0], "/h/.local/share/mlflow-deploy/plugins");
        assert_eq!(found.len(), 3);
    }
}
