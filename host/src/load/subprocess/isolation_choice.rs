//! Selects the plugins that run in their own processes, the environment variables of these processes, and the program
//! that hosts the plugins.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::manifest::{Isolation, Manifest, Panic};
use mlflow_deploy_plugin_api::trust;

use super::spawn_config::SpawnConfig;
use crate::LoadError;
use crate::discovery::process_program::ProcessProgram;
use crate::discovery::search_path::{SYSTEM_PREFIXES, setting, user_prefix};

/// The file name of the program that hosts a plugin in its own process.
const PROGRAM: &str = "mlflow-deploy-plugin-host";

/// Selects the plugins that run in their own processes. Plugins that require their own process need no selection.
#[derive(Clone, Debug, Default)]
pub(crate) struct IsolationPolicy {
    /// True if all plugins run in their own processes.
    pub(crate) all: bool,
    /// The names of the plugins that the embedding program selects.
    pub(crate) named: BTreeSet<String>,
    /// The names of the plugins that a configuration file selects, each with the path of that file.
    pub(crate) configured: BTreeMap<String, PathBuf>,
    /// The environment variables that a plugin sees in addition to those that it declares. The key is the plugin's
    /// name. The variable `PREFIX*` stands for all variables with this prefix.
    pub(crate) variables: BTreeMap<String, Vec<String>>,
    /// The path of the program that hosts plugins. `None` to search for it.
    pub(crate) program: Option<PathBuf>,
}

/// The reason why a plugin runs in its own process. `Display` shows a clause that can follow "because".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsolatedBy {
    /// All plugins run in their own processes, because of [`HostBuilder::isolate_all`](crate::HostBuilder::isolate_all)
    /// or `--isolate`.
    All,
    /// The configuration file at this path selects the plugin.
    Configuration(PathBuf),
    /// The manifest of the plugin requires that the plugin runs in its own process.
    Manifest,
    /// The embedding program selects the plugin by [`HostBuilder::isolate`](crate::HostBuilder::isolate).
    Named,
    /// The plugin was built with `panic = "abort"`, so that a panic would end the host.
    PanicAbort,
    /// The plugin is a process plugin, a program of its own.
    Program,
}

impl fmt::Display for IsolatedBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::All => "all plugins are isolated",
            Self::Configuration(path) => return write!(formatter, "`{}` requires it", path.display()),
            Self::Manifest => "its manifest requires it",
            Self::Named => "the program requires it",
            Self::Program => "it is a process plugin",
            Self::PanicAbort => "it was built with `panic = \"abort\"`, and a panic would end the host",
        })
    }
}

impl IsolationPolicy {
    /// Returns the reason why a plugin runs in its own process, or `None` if it runs in the host's process. `by_target` is
    /// the path of the configuration file whose named target isolates its plugin.
    pub(crate) fn reason(&self, manifest: &Manifest, by_target: Option<&PathBuf>) -> Option<IsolatedBy> {
        let configured = self.configured.get(&manifest.name).or(by_target);
        match (manifest.isolation, manifest.panic) {
            _ if manifest.is_process() => Some(IsolatedBy::Program),
            (Isolation::Required, _) => Some(IsolatedBy::Manifest),
            (_, Panic::Abort) => Some(IsolatedBy::PanicAbort),
            _ if self.all => Some(IsolatedBy::All),
            _ if self.named.contains(&manifest.name) => Some(IsolatedBy::Named),
            _ => configured.cloned().map(IsolatedBy::Configuration),
        }
    }

    /// Returns the result of [`reason`](Self::reason). Fails if the plugin must run in its own process and the program
    /// that hosts it is missing.
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<Option<IsolatedBy>, LoadError> {
        let reason = self.reason(manifest, None);
        if reason == Some(IsolatedBy::Program) {
            return Ok(reason);
        }
        reason.as_ref().map_or(Ok(()), |why| self.program(why).map(drop))?;
        Ok(reason)
    }

    /// Returns the parameters for starting a plugin in its own process, or `None` if it runs in the host's process. The
    /// process sees only the environment variables that the plugin declares or is allowed.
    pub(crate) fn spawn_config(
        &self,
        file: &Path,
        manifest: &Manifest,
        by_target: Option<&PathBuf>,
    ) -> Result<Option<SpawnConfig>, LoadError> {
        let Some(why) = self.reason(manifest, by_target) else { return Ok(None) };
        let environment = SpawnConfig::environment(manifest, self.allowed(manifest));
        if why == IsolatedBy::Program {
            let program = ProcessProgram::find(file, manifest)?;
            return Ok(Some(SpawnConfig::process(program, manifest, environment)));
        }
        Ok(Some(SpawnConfig::library(self.program(&why)?, file.to_owned(), environment)))
    }

    /// Returns the environment variables that the host allows a plugin to see in addition to those that it declares.
    fn allowed(&self, manifest: &Manifest) -> &[String] {
        self.variables.get(&manifest.name).map_or(&[][..], Vec::as_slice)
    }

    /// Returns the parameters for starting another instance of a plugin that runs in the host's process. The instance
    /// has the environment of an isolated plugin.
    pub(crate) fn instance_config(&self, library: &Path, manifest: &Manifest) -> Result<SpawnConfig, LoadError> {
        let program = self.program(&"the plugin requests it")?;
        let environment = SpawnConfig::environment(manifest, self.allowed(manifest));
        Ok(SpawnConfig::library(program, library.to_owned(), environment))
    }

    /// Returns the parameters for the preflight of a plugin, its first load in a separate process. That process has all
    /// environment variables of the host.
    pub(crate) fn preflight_config(&self, library: &Path) -> Result<SpawnConfig, LoadError> {
        let program = self.program(&"it was never loaded before")?;
        Ok(SpawnConfig::library(program, library.to_owned(), std::env::vars_os().collect()))
    }

    /// Returns the path of the program that hosts plugins. `why` is the reason for a separate process, for the error.
    fn program(&self, why: &dyn fmt::Display) -> Result<PathBuf, LoadError> {
        program(self.program.as_deref(), why)
    }
}

/// Returns the path of the program that hosts plugins in their own processes. This is `named`, or else the program that
/// [`HostBuilder::plugin_host`](crate::HostBuilder::plugin_host) describes.
///
/// # Errors
/// [`LoadError::NeedsIsolation`] with the searched paths if the program does not exist; [`LoadError::Untrusted`] if a
/// user who is not trusted can change it.
pub fn plugin_host(named: Option<&Path>) -> Result<PathBuf, LoadError> {
    program(named, &"isolation was requested")
}

fn program(named: Option<&Path>, why: &dyn fmt::Display) -> Result<PathBuf, LoadError> {
    let searched = candidates(named, setting, std::env::current_exe().ok().as_deref());
    match searched.iter().find(|path| path.is_file()) {
        Some(found) => {
            trust::check_code(found)?;
            Ok(found.clone())
        }
        None => Err(LoadError::NeedsIsolation { why: why.to_string(), searched }),
    }
}

/// Returns the paths at which the program that hosts plugins may be, in the order of the search. Returns only one path
/// if `named` or `MLFLOW_DEPLOY_PLUGIN_HOST` specifies it.
fn candidates(
    named: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
    executable: Option<&Path>,
) -> Vec<PathBuf> {
    let named = named.map(Path::to_owned).or_else(|| variable("MLFLOW_DEPLOY_PLUGIN_HOST").map(PathBuf::from));
    if let Some(named) = named {
        return vec![std::path::absolute(&named).unwrap_or(named)];
    }
    let mut paths = Vec::new();
    if let Some(folder) = executable.and_then(Path::parent) {
        paths.push(folder.join(PROGRAM));
        paths.extend(folder.parent().map(installed));
    }
    paths.extend(user_prefix(variable).as_deref().map(installed));
    paths.extend(SYSTEM_PREFIXES.map(|prefix| installed(Path::new(prefix))));
    paths
}

/// Returns the path at which `make install` with this prefix installs the program that hosts plugins.
fn installed(prefix: &Path) -> PathBuf {
    prefix.join("libexec/mlflow-deploy").join(PROGRAM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_searched_beside_the_executable_and_in_libexec() {
        let variable = |name: &str| (name == "HOME").then(|| OsString::from("/home/u"));
        let paths = candidates(None, variable, Some(Path::new("/opt/bin/mlflow-deploy")));
        let paths: Vec<_> = paths.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "/opt/bin/mlflow-deploy-plugin-host",
                "/opt/libexec/mlflow-deploy/mlflow-deploy-plugin-host",
                "/home/u/.local/libexec/mlflow-deploy/mlflow-deploy-plugin-host",
                "/usr/local/libexec/mlflow-deploy/mlflow-deploy-plugin-host",
                "/usr/libexec/mlflow-deploy/mlflow-deploy-plugin-host",
            ]
        );
    }

    #[test]
    fn only_a_named_program_is_searched() {
        let variable = |_: &str| Some(OsString::from("/env/host"));
        assert_eq!(candidates(None, variable, None), [PathBuf::from("/env/host")]);
        assert_eq!(candidates(Some(Path::new("/given")), variable, None), [PathBuf::from("/given")]);
    }
}
