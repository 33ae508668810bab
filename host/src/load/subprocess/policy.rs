//! Which plugins run in processes of their own, what they see there, and the program that they run in.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::manifest::{Isolation, Manifest, Panic};
use mlflow_deploy_plugin_api::trust;

use super::child::SpawnConfig;
use crate::LoadError;
use crate::discovery::search_path::environment as variable;

/// The name of the program that hosts a plugin.
const PROGRAM: &str = "mlflow-deploy-plugin-host";

/// Which plugins run in processes of their own, beside those that have to.
#[derive(Clone, Debug, Default)]
pub(crate) struct IsolationPolicy {
    /// All of them.
    pub(crate) all: bool,
    /// These, by their names.
    pub(crate) named: BTreeSet<String>,
    /// These, by their names, each with the configuration that says so.
    pub(crate) configured: BTreeMap<String, PathBuf>,
    /// The variables that a plugin sees beside what it declares, by its name: `PREFIX*` is all that begin so.
    pub(crate) variables: BTreeMap<String, Vec<String>>,
    /// The program that hosts them, instead of the one that is looked for.
    pub(crate) program: Option<PathBuf>,
}

/// Why a plugin runs in a process of its own. It is shown as what comes after "for".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsolatedBy {
    /// All plugins do: [`HostBuilder::isolate_all`](crate::HostBuilder::isolate_all), `--isolate`.
    All,
    /// This configuration says so.
    Configuration(PathBuf),
    /// Its manifest requires it.
    Manifest,
    /// The program says so: [`HostBuilder::isolate`](crate::HostBuilder::isolate).
    Named,
    /// It was built with `panic = "abort"`.
    PanicAbort,
}

impl fmt::Display for IsolatedBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::All => "every plugin is to (`--isolate`)",
            Self::Configuration(path) => return write!(formatter, "`{}` says so", path.display()),
            Self::Manifest => "its manifest requires it",
            Self::Named => "the program says so",
            Self::PanicAbort => "it was built with `panic = \"abort\"`, and a panic in it would end this one",
        })
    }
}

impl IsolationPolicy {
    /// Why a plugin runs in a process of its own; `None` where it runs in this one.
    pub(crate) fn reason(&self, manifest: &Manifest) -> Option<IsolatedBy> {
        let configured = self.configured.get(&manifest.name);
        match (manifest.isolation, manifest.panic) {
            (Isolation::Required, _) => Some(IsolatedBy::Manifest),
            (_, Panic::Abort) => Some(IsolatedBy::PanicAbort),
            _ if self.all => Some(IsolatedBy::All),
            _ if self.named.contains(&manifest.name) => Some(IsolatedBy::Named),
            _ => configured.cloned().map(IsolatedBy::Configuration),
        }
    }

    /// The same; refuses a plugin that is to run in a process of its own where there is no program for that.
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<Option<IsolatedBy>, LoadError> {
        let reason = self.reason(manifest);
        reason.as_ref().map_or(Ok(()), |why| self.program(why).map(drop))?;
        Ok(reason)
    }

    /// How to start a process with the plugin, which sees only what it declares of the environment, and what it is
    /// allowed beside that; `None` where the plugin runs in this one.
    pub(crate) fn recipe(&self, library: &Path, manifest: &Manifest) -> Result<Option<SpawnConfig>, LoadError> {
        let Some(why) = self.reason(manifest) else { return Ok(None) };
        Ok(Some(SpawnConfig::new(self.program(&why)?, library, manifest, self.allowed(manifest))))
    }

    /// What a plugin sees of the environment beside what it declares.
    fn allowed(&self, manifest: &Manifest) -> &[String] {
        self.variables.get(&manifest.name).map_or(&[][..], Vec::as_slice)
    }

    /// How to start a process with another instance of a plugin that runs in this one; it sees what an isolated one does.
    pub(crate) fn nested(&self, library: &Path, manifest: &Manifest) -> Result<SpawnConfig, LoadError> {
        let program = self.program(&"the plugin asks for it")?;
        Ok(SpawnConfig::new(program, library, manifest, self.allowed(manifest)))
    }

    /// How to start a process with a plugin that will run in this one, and sees all that this one does.
    pub(crate) fn trial(&self, library: &Path) -> Result<SpawnConfig, LoadError> {
        let program = self.program(&"it was never loaded before")?;
        Ok(SpawnConfig { program, library: library.to_owned(), environment: std::env::vars_os().collect() })
    }

    /// The program that hosts plugins.
    fn program(&self, why: &dyn fmt::Display) -> Result<PathBuf, LoadError> {
        program(self.program.as_deref(), why)
    }
}

/// The program that hosts plugins: the one that is named, or the one that is found.
pub(super) fn program(named: Option<&Path>, why: &dyn fmt::Display) -> Result<PathBuf, LoadError> {
    let searched = places(named, variable, std::env::current_exe().ok().as_deref());
    match searched.iter().find(|path| path.is_file()) {
        Some(found) => {
            trust::check_code(found)?;
            Ok(found.clone())
        }
        None => Err(LoadError::NeedsIsolation { why: why.to_string(), searched }),
    }
}

/// Where the program may be, in order. One that was named is not replaced by another.
fn places(
    named: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
    executable: Option<&Path>,
) -> Vec<PathBuf> {
    let named = named.map(Path::to_owned).or_else(|| variable("MLFLOW_DEPLOY_PLUGIN_HOST").map(PathBuf::from));
    if let Some(named) = named {
        return vec![std::path::absolute(&named).unwrap_or(named)];
    }
    let mut places = Vec::new();
    if let Some(folder) = executable.and_then(Path::parent) {
        places.push(folder.join(PROGRAM));
        places.extend(folder.parent().map(|root| root.join("libexec/mlflow-deploy").join(PROGRAM)));
    }
    let system = ["/usr/local/libexec/mlflow-deploy", "/usr/libexec/mlflow-deploy"];
    places.extend(system.map(|folder| Path::new(folder).join(PROGRAM)));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_beside_the_executable_or_in_libexec() {
        let places = places(None, |_| None, Some(Path::new("/opt/bin/mlflow-deploy")));
        let places: Vec<_> = places.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(
            places,
            [
                "/opt/bin/mlflow-deploy-plugin-host",
                "/opt/libexec/mlflow-deploy/mlflow-deploy-plugin-host",
                "/usr/local/libexec/mlflow-deploy/mlflow-deploy-plugin-host",
                "/usr/libexec/mlflow-deploy/mlflow-deploy-plugin-host",
            ]
        );
    }

    #[test]
    fn one_that_is_named_is_the_only_one() {
        let variable = |_: &str| Some(OsString::from("/env/host"));
        assert_eq!(places(None, variable, None), [PathBuf::from("/env/host")]);
        assert_eq!(places(Some(Path::new("/given")), variable, None), [PathBuf::from("/given")]);
    }
}
