//! Lists the directories to search for plugins, in order, with the source of each. Reads no files.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The reason why a [`Directory`](crate::Directory) is on the search path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Origin {
    /// The directory is specified by [`HostBuilder::plugin_dir`](crate::HostBuilder::plugin_dir),
    /// [`HostBuilder::search_path`](crate::HostBuilder::search_path) or the command's `--plugin-dir`.
    Given,
    /// The environment variable `MLFLOW_DEPLOY_PLUGIN_PATH` lists the directory.
    Environment,
    /// The directory is in the user's home: `$XDG_DATA_HOME/mlflow-deploy/plugins` or
    /// `~/.local/lib/mlflow-deploy/plugins`.
    User,
    /// The directory is at a fixed place relative to the executable.
    Executable,
    /// The directory is a system-wide one, such as `/usr/lib/mlflow-deploy/plugins`.
    System,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Given => "given",
            Self::Environment => "MLFLOW_DEPLOY_PLUGIN_PATH",
            Self::User => "user",
            Self::Executable => "beside the executable",
            Self::System => "system",
        })
    }
}

/// A directory to search for plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchEntry {
    pub(crate) path: PathBuf,
    pub(crate) origin: Origin,
    /// The prefix of the file names to inspect. Empty to inspect all libraries in the directory.
    pub(crate) prefix: &'static str,
}

/// A plugin that the program specifies by the path of its file.
#[derive(Clone, Debug)]
pub(crate) struct NamedFile {
    pub(crate) path: PathBuf,
    /// True if the file counts as trusted, regardless of its owner and mode.
    pub(crate) trusted: bool,
}

/// The files and directories that the program specifies for the search for plugins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// The plugins that are specified by their files. They precede all directories.
    pub(crate) files: Vec<NamedFile>,
    /// The directories to search before all others.
    pub(crate) given: Vec<PathBuf>,
    /// The directories that replace those of the environment, the user and the system, if any.
    pub(crate) instead: Option<Vec<PathBuf>>,
    /// The executable relative to which directories are searched. `None` to search no such directories.
    pub(crate) executable: Option<PathBuf>,
}

const PATH_ONLY: &str = "MLFLOW_DEPLOY_PLUGIN_PATH_ONLY";

/// The prefix of the file names of plugins beside the executable. The same directory may contain other libraries.
const BUNDLED: &str = "libmlflow_deploy_";

impl Sources {
    /// Returns a warning if the variable that limits the search path has an unknown value. `variable` looks up an
    /// environment variable.
    pub(crate) fn warning(&self, variable: impl Fn(&str) -> Option<OsString>) -> Option<String> {
        variable(PATH_ONLY).filter(|_| self.instead.is_none()).and_then(|value| is_on(&value).err())
    }

    /// Returns the directories to search, in order. `variable` looks up an environment variable.
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
                // An unknown value does not extend the search; the warning names it.
                if variable(PATH_ONLY).is_some_and(|value| is_on(&value).unwrap_or(true)) {
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
            let installed = |prefix: &Path, origin| entry(prefix.join("lib/mlflow-deploy/plugins"), origin);
            entries.extend(user_prefix(&variable).map(|prefix| installed(&prefix, Origin::User)));
            entries.extend(SYSTEM_PREFIXES.map(|prefix| installed(Path::new(prefix), Origin::System)));
        }
        entries
    }
}

/// The installation prefixes that `make install` uses for all users, in the order of the search.
pub(crate) const SYSTEM_PREFIXES: [&str; 2] = ["/usr/local", "/usr"];

/// Returns the default installation prefix of `make install`, which is `~/.local`.
pub(crate) fn user_prefix(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    Some(PathBuf::from(variable("HOME")?)).filter(|home| home.is_absolute()).map(|home| home.join(".local"))
}

/// Returns the value of an environment variable, or `None` if the process runs with raised privileges. Such a process
/// does not trust its environment.
pub(crate) fn environment(name: &str) -> Option<OsString> {
    if mlflow_deploy_plugin_api::is_privileged() { None } else { std::env::var_os(name) }
}

/// Returns the value of an environment variable of this project, like [`environment`]. Removes line ends at the end of
/// the value: a value that `$(…)` read from a Windows file ends in `\r`. Returns `None` for an empty value.
pub(crate) fn setting(name: &str) -> Option<OsString> {
    let mut value = environment(name)?.into_vec();
    value.truncate(value.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1));
    (!value.is_empty()).then(|| OsString::from_vec(value))
}

/// Parses the value of a variable that must be `1` or `0`. Returns a message if it is neither.
fn is_on(value: &OsStr) -> Result<bool, String> {
    match value.to_string_lossy().trim() {
        "1" => Ok(true),
        "" | "0" => Ok(false),
        on if on.eq_ignore_ascii_case("true") => Ok(true),
        off if off.eq_ignore_ascii_case("false") => Ok(false),
        other => Err(format!("`{PATH_ONLY}` is `{other}`: expected `1` or `0`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(sources: &Sources, variables: &[(&str, &str)]) -> Vec<String> {
        let variable = |name: &str| variables.iter().find(|(each, _)| *each == name).map(|(_, value)| value.into());
        sources.entries(variable).into_iter().map(|entry| entry.path.display().to_string()).collect()
    }

    #[test]
    fn the_order_is_flags_environment_user_executable_system() {
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
                "/home/u/.local/lib/mlflow-deploy/plugins",
                "/usr/local/lib/mlflow-deploy/plugins",
                "/usr/lib/mlflow-deploy/plugins",
            ]
        );
    }

    #[test]
    fn plugin_path_only_leaves_out_later_directories() {
        let variables = [("MLFLOW_DEPLOY_PLUGIN_PATH", "/a"), ("MLFLOW_DEPLOY_PLUGIN_PATH_ONLY", "1")];
        assert_eq!(paths(&Sources::default(), &variables), ["/a"]);
        for (value, found) in [("true", 1), ("yes", 1), (" 1 ", 1), ("0", 5), ("False", 5), ("", 5)] {
            let variables = [("MLFLOW_DEPLOY_PLUGIN_PATH", "/a"), (PATH_ONLY, value), ("HOME", "/h")];
            assert_eq!(paths(&Sources::default(), &variables).len(), found, "{value}");
            let warning = Sources::default().warning(|_| Some(value.into()));
            assert_eq!(warning.is_some(), value == "yes", "{warning:?}");
        }
    }

    #[test]
    fn search_path_replaces_the_environment() {
        let (given, instead) = (vec!["/given".into()], Some(vec!["/ours".into()]));
        let sources = Sources { given, instead, ..Sources::default() };
        assert_eq!(paths(&sources, &[("MLFLOW_DEPLOY_PLUGIN_PATH", "/a"), ("HOME", "/h")]), ["/given", "/ours"]);
    }

    #[test]
    fn a_relative_data_home_is_ignored_and_an_embedder_s_executable_is_not_searched() {
        let found = paths(&Sources::default(), &[("XDG_DATA_HOME", "data"), ("HOME", "/h")]);
        assert_eq!(found[0], "/h/.local/share/mlflow-deploy/plugins");
        assert_eq!(found[1], "/h/.local/lib/mlflow-deploy/plugins");
        assert_eq!(found.len(), 4);
    }
}
