//! The user's configuration file.
//!
//! ```toml
//! try-first-loads = true      # try new plugins in a separate process before loading them; default of the command
//!
//! [plugins.NAME]
//! isolation = "process"       # run the plugin in its own process; default "none"
//! environment = ["MY_*"]      # variables that the isolated plugin sees in addition to those that it declares
//!
//! [targets.NAME]              # a named target, see `named_targets`
//! uri = "openai"
//! ```

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;

use mlflow_deploy_plugin_api::{file, trust};
use serde::Deserialize;

use crate::Error;
use crate::config_error::invalid_toml;
use crate::discovery::config_warning::ConfiguredPlugins;
use crate::discovery::search_path::environment;
use crate::named_targets::{Definition, IsolationConfig, NamedTarget, TargetName};

const MAX_BYTES: u64 = 4 << 20;

/// The content of the user's configuration file. An unknown key is an error, because it is probably a typo.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ConfigFile {
    /// The path of the configuration file.
    #[serde(skip)]
    path: PathBuf,
    /// True if the configuration file may exist, but access to its directory is denied.
    #[serde(skip)]
    is_inaccessible: bool,
    pub(crate) try_first_loads: Option<bool>,
    #[serde(default)]
    plugins: BTreeMap<String, PluginConfig>,
    #[serde(default)]
    targets: BTreeMap<TargetName, Definition>,
}

/// The settings of one plugin in the user's configuration file.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PluginConfig {
    #[serde(default)]
    isolation: IsolationConfig,
    #[serde(default)]
    environment: Vec<VariablePattern>,
}

/// The name of an environment variable, or `PREFIX*` for all variables whose names start with `PREFIX`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct VariablePattern(String);

impl TryFrom<String> for VariablePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.strip_suffix('*').unwrap_or(&text);
        if text.is_empty() || name.contains(['*', '=']) {
            return Err(format!("invalid variable `{text}`: expected a name or `PREFIX*`"));
        }
        Ok(Self(text))
    }
}

impl ConfigFile {
    /// Reads the user's configuration file. Returns the default configuration if the file does not exist. `variable`
    /// returns the value of an environment variable.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let Some(path) = Self::path(variable) else { return Ok(Self::default()) };
        let failed = |why: String| Error::Config { path: path.clone(), why };
        match file::read_text(&path, MAX_BYTES) {
            // The file decides which code runs and what it sees.
            Ok(_) if let Err(distrust) = trust::check(&path) => Err(failed(distrust.to_string())),
            Ok(text) => Self::parse(&text).map(|config| Self { path: path.clone(), ..config }).map_err(failed),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(Self::default()),
                // The environment may be that of another user, whose directory is not accessible.
                ErrorKind::PermissionDenied if path.symlink_metadata().is_err() => {
                    Ok(Self { path, is_inaccessible: true, ..Self::default() })
                }
                _ => Err(failed(error.to_string())),
            },
        }
    }

    /// Returns the path of the user's configuration file, which need not exist. Returns `None` if the environment
    /// specifies none.
    pub(crate) fn path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        let config_home = || variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || Some(PathBuf::from(variable("HOME")?).join(".config")).filter(|path| path.is_absolute());
        config_home().or_else(home).map(|folder| folder.join("mlflow-deploy/config.toml"))
    }

    /// Parses the text of a configuration file. The error is a sentence fragment with the number of the line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| invalid_toml(text, &error))
    }

    /// Takes the named targets out of the configuration.
    pub(crate) fn take_targets(&mut self) -> Vec<NamedTarget> {
        let targets = std::mem::take(&mut self.targets).into_iter();
        targets.map(|(name, definition)| NamedTarget::new(name, definition, &self.path)).collect()
    }

    /// Returns the names of the configured plugins. They are used to warn about plugins that are not found.
    pub(crate) fn configured_plugins(&self) -> ConfiguredPlugins {
        ConfiguredPlugins {
            file: self.path.clone(),
            is_inaccessible: self.is_inaccessible,
            names: self.plugins.keys().cloned().collect(),
        }
    }

    /// Returns two maps by plugin name: the path of the configuration file for each isolated plugin, and the additional
    /// environment variables of each plugin.
    pub(crate) fn isolation(self) -> (BTreeMap<String, PathBuf>, BTreeMap<String, Vec<String>>) {
        let (mut isolated, mut variables) = (BTreeMap::new(), BTreeMap::new());
        for (name, plugin) in self.plugins {
            if plugin.isolation == IsolationConfig::Process {
                isolated.insert(name.clone(), self.path.clone());
            }
            variables.insert(name, plugin.environment.into_iter().map(|VariablePattern(text)| text).collect());
        }
        (isolated, variables)
    }
}

/// Returns the path of the user's configuration file, for the command that changes it.
pub fn user_config_path() -> Option<PathBuf> {
    ConfigFile::path(environment)
}

/// Checks the text of a configuration file, for the command that changes it.
///
/// # Errors
/// The first fault, as a sentence fragment with the number of the line.
pub fn check_user_config(text: &str) -> Result<(), String> {
    ConfigFile::parse(text).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(text: &str) -> Result<ConfigFile, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("mlflow-deploy")).unwrap();
        fs::write(folder.path().join("mlflow-deploy/config.toml"), text).unwrap();
        let variable = |name: &str| (name == "XDG_CONFIG_HOME").then(|| folder.path().as_os_str().to_owned());
        ConfigFile::read(variable).map_err(|error| error.to_string())
    }

    #[test]
    fn read_returns_the_isolated_plugins_and_their_variables() {
        let config =
            read("[plugins.one]\nisolation = 'process'\n[plugins.two]\nisolation = 'none'\n[plugins.three]").unwrap();
        let path = config.path.clone();
        assert!(path.ends_with("mlflow-deploy/config.toml"), "{path:?}");
        assert_eq!(config.isolation().0, BTreeMap::from([("one".to_owned(), path)]));
        let config = read("[plugins.one]\nenvironment = ['A', 'B_*', '*']").unwrap();
        assert_eq!(config.isolation().1["one"], ["A", "B_*", "*"]);
        assert_eq!(read("").unwrap().plugins, BTreeMap::new());
        assert_eq!(read("try-first-loads = false").unwrap().try_first_loads, Some(false));
        assert_eq!(ConfigFile::read(|_| None).unwrap(), ConfigFile::default());
    }

    #[test]
    fn an_invalid_file_is_an_error_with_the_line() {
        for (text, message) in [
            ("\n[plugins.one]\nisolation = 'proces'", "line 3: unknown variant `proces`, expected `none` or `process`"),
            (
                "isolate = true",
                "line 1: unknown field `isolate`, expected one of `try-first-loads`, `plugins`, `targets`",
            ),
            ("[plugins", "line 1: "),
            ("[plugins.a]\nenvironment = ['A', 'B*C']", "invalid variable `B*C`: expected a name or `PREFIX*`"),
            ("[plugins.a]\nenvironment = ['']", "invalid variable ``"),
            ("[plugins.a]\nenvironment = 'A'", "line 2: invalid type: string, expected a sequence"),
            (
                "[plugin.a]",
                "line 1: unknown field `plugin`, expected one of `try-first-loads`, `plugins`, `targets`; did you mean `plugins`?",
            ),
            ("[targets.a]\nuri = 'x'\ntimeuot = 1", "line 3: unknown field `timeuot`, expected one of"),
            ("[targets.a]\nuri = 'x'\ntimeuot = 1", "; did you mean `timeout`?"),
            ("\n[targets.'a b']\nuri = 'x'", "line 2: invalid name `a b` of a target: expected letters"),
            (
                "[targets.a]\nuri = 'x'\n[targets.a.options]\nk = { comand = ['A'] }",
                "line 4: unknown field `comand`, expected one of `env`, `file`, `command`; did you mean `command`?",
            ),
            (
                "[targets.a]\nuri = 'x'\n[targets.a.options]\nk = { command = 'S3CR3T' }",
                "line 4: invalid type: string, expected a sequence",
            ),
            ("[targets.a]\nuri = 'x'\ntimeout = 'S3CR3T'", "line 3: invalid type: string, expected f64"),
            (
                "[targets.a]\nuri = 'x'\nisolation = 'proces'",
                "line 3: unknown variant `proces`, expected `none` or `process`; did you mean `process`?",
            ),
            ("[targets.a]\n\ntimeout = 1", "line 1: missing field `uri`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(
                error.contains("mlflow-deploy/config.toml` cannot be used: ") && error.contains(message),
                "{error}"
            );
        }
    }
}
