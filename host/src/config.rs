//! The host's configuration: a file of the user's, which says how plugins run.
//!
//! ```toml
//! try-first-loads = true      # the default of the command: what was never loaded before is tried in a process of its own
//!
//! [plugins.NAME]
//! isolation = "process"       # it runs in a process of its own; the default is "none"
//! environment = ["MY_*"]      # what it sees there of the environment beside what it declares
//! ```

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;

use mlflow_deploy_plugin_api::{file, trust};
use serde::Deserialize;

use crate::{Error, nearest};

/// More than thousands of plugins need.
const MAX_BYTES: u64 = 4 << 20;

/// The configuration. A member that is not known is an error: it is a slip, and would silently do nothing.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ConfigFile {
    /// Where it was read, or could not be.
    #[serde(skip)]
    path: PathBuf,
    /// Whether it may be there all the same.
    #[serde(skip)]
    is_unseen: bool,
    pub(crate) try_first_loads: Option<bool>,
    #[serde(default)]
    plugins: BTreeMap<String, PluginConfig>,
}

/// How one plugin runs.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PluginConfig {
    #[serde(default)]
    isolation: IsolationConfig,
    #[serde(default)]
    environment: Vec<Variables>,
}

/// A variable's name, or how the names of some begin: `PREFIX*`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Variables(String);

impl TryFrom<String> for Variables {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.strip_suffix('*').unwrap_or(&text);
        if text.is_empty() || name.contains(['*', '=']) {
            return Err(format!("`{text}` is no variable: expected a name, or `PREFIX*`"));
        }
        Ok(Self(text))
    }
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum IsolationConfig {
    #[default]
    None,
    Process,
}

impl ConfigFile {
    /// Reads the user's file, whose place the environment tells; one that is not there says nothing.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let config = || variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || Some(PathBuf::from(variable("HOME")?).join(".config")).filter(|path| path.is_absolute());
        let Some(path) = config().or_else(home).map(|folder| folder.join("mlflow-deploy/config.toml")) else {
            return Ok(Self::default());
        };
        let failed = |why: String| Error::Config { path: path.clone(), why };
        match file::read_text(&path, MAX_BYTES) {
            // It says which code runs, and what that sees.
            Ok(_) if let Err(distrust) = trust::check(&path) => Err(failed(distrust.to_string())),
            Ok(text) => match toml::from_str(&text) {
                Ok(config) => Ok(Self { path, ..config }),
                Err(error) => Err(failed(place(&text, &error))),
            },
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(Self::default()),
                // The environment is not always one's own: another user's folder may not be looked into.
                ErrorKind::PermissionDenied if path.symlink_metadata().is_err() => {
                    Ok(Self { path, is_unseen: true, ..Self::default() })
                }
                _ => Err(failed(error.to_string())),
            },
        }
    }

    /// What is found is held to this.
    pub(crate) fn expectations(&self) -> Expectations {
        let Self { path, is_unseen, plugins, .. } = self;
        Expectations { path: path.clone(), is_unseen: *is_unseen, plugins: plugins.keys().cloned().collect() }
    }

    /// The plugins that run in processes of their own, each with the file that says so, and the variables that plugins
    /// see there beside what they declare.
    pub(crate) fn isolation(self) -> (BTreeMap<String, PathBuf>, BTreeMap<String, Vec<String>>) {
        let (mut isolated, mut variables) = (BTreeMap::new(), BTreeMap::new());
        for (name, plugin) in self.plugins {
            if plugin.isolation == IsolationConfig::Process {
                isolated.insert(name.clone(), self.path.clone());
            }
            variables.insert(name, plugin.environment.into_iter().map(|Variables(text)| text).collect());
        }
        (isolated, variables)
    }
}

/// What the configuration expects to be found. What it says of plugins that are not there does nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expectations {
    path: PathBuf,
    is_unseen: bool,
    plugins: Vec<String>,
}

/// Something that the configuration says, or may say, and that does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigWarning {
    /// The plugin that may have been meant; none where any may be.
    pub(crate) plugin: Option<String>,
    /// For the user.
    pub(crate) warning: String,
}

impl Expectations {
    /// What does nothing, given the names of the plugins that were found.
    pub(crate) fn doubts(&self, found: &[&str]) -> Vec<ConfigWarning> {
        let file = self.path.display();
        let unseen = self.is_unseen.then(|| ConfigWarning {
            plugin: None,
            warning: format!("`{file}` is not used, for its folder may not be looked into: set `XDG_CONFIG_HOME`"),
        });
        let missing = self.plugins.iter().filter(|name| !found.contains(&name.as_str())).map(|name| {
            let meant = nearest(name, found.iter().copied());
            let hint = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
            let warning = format!("`{file}` configures the plugin `{name}`, which is not found{hint}");
            ConfigWarning { plugin: Some(meant.unwrap_or(name).to_owned()), warning }
        });
        unseen.into_iter().chain(missing).collect()
    }
}

/// What is wrong, and in which line.
fn place(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    format!("line {line}: {}", error.message().trim_end().replace('\n', ", "))
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
    fn it_says_which_plugins_are_isolated() {
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
    fn a_plugin_that_is_not_found_is_doubted() {
        let expected =
            read("[plugins.lcal]\nisolation = 'process'\n[plugins.mine]\n[plugins.openai]").unwrap().expectations();
        let file = expected.path.display().to_string();
        let doubt = |plugin: &str, warning| ConfigWarning { plugin: Some(plugin.to_owned()), warning };
        assert_eq!(
            expected.doubts(&["local", "openai"]),
            [
                doubt(
                    "local",
                    format!("`{file}` configures the plugin `lcal`, which is not found; did you mean `local`?")
                ),
                doubt("mine", format!("`{file}` configures the plugin `mine`, which is not found")),
            ]
        );
        assert_eq!(Expectations::default().doubts(&["local"]), []);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, what) in [
            ("\n[plugins.one]\nisolation = 'proces'", "line 3: unknown variant `proces`, expected `none` or `process`"),
            ("isolate = true", "line 1: unknown field `isolate`, expected `try-first-loads` or `plugins`"),
            ("[plugins", "line 1: "),
            ("[plugins.a]\nenvironment = ['A', 'B*C']", "`B*C` is no variable: expected a name, or `PREFIX*`"),
            ("[plugins.a]\nenvironment = ['']", "`` is no variable"),
            ("[plugins.a]\nenvironment = 'A'", "line 2: invalid type: string \"A\", expected a sequence"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains("mlflow-deploy/config.toml` cannot be used: ") && error.contains(what), "{error}");
        }
    }
}
