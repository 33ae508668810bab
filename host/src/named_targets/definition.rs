//! The definition of a named target in a configuration file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mlflow_deploy_plugin_api::TargetUri;
use serde::Deserialize;

use super::option_source::OptionSource;

/// A named target: a table `[targets.NAME]` of the user's `config.toml` or of a project file.
///
/// ```toml
/// [targets.prod]
/// uri = "openai"
/// timeout = 30
///
/// [targets.prod.options]
/// base_url = "https://llm.example.com/v1"
/// api_key = { command = ["pass", "show", "llm"] }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NamedTarget {
    /// The name, which stands for the target wherever a target URI is taken.
    pub name: String,
    /// The target URI.
    pub uri: TargetUri,
    /// The client options. An option that the caller gives takes precedence over the one with the same key.
    pub options: BTreeMap<String, OptionSource>,
    /// The default time limit of opening a client, and of each call of the client.
    pub timeout: Option<Duration>,
    /// True if the plugin of the target runs in a process of its own.
    pub is_isolated: bool,
    /// The name of the plugin, if several plugins serve the scheme.
    pub plugin: Option<String>,
    /// The configuration file that defines the target.
    pub file: PathBuf,
}

impl NamedTarget {
    pub(crate) fn new(name: TargetName, definition: Definition, file: &Path) -> Self {
        let Definition { uri, options, timeout, isolation, plugin } = definition;
        Self {
            name: name.0,
            uri,
            options,
            timeout: timeout.map(|Seconds(timeout)| timeout),
            is_isolated: isolation == IsolationConfig::Process,
            plugin,
            file: file.to_owned(),
        }
    }

    /// Checks a name: it consists of the letters A-Z and a-z, digits, `-` and `_`, and starts with a letter or a digit.
    ///
    /// # Errors
    /// The rule, as a sentence fragment.
    pub fn check_name(name: &str) -> Result<(), String> {
        let is_valid = name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.chars().all(|each| each.is_ascii_alphanumeric() || "-_".contains(each));
        if is_valid {
            return Ok(());
        }
        Err(format!(
            "invalid name `{name}` of a target: expected letters, digits, `-` and `_`, and a letter or a digit first"
        ))
    }
}

/// The content of a table `[targets.NAME]`. An unknown key is an error, because it is probably a typo.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Definition {
    uri: TargetUri,
    #[serde(default)]
    options: BTreeMap<String, OptionSource>,
    timeout: Option<Seconds>,
    #[serde(default)]
    isolation: IsolationConfig,
    plugin: Option<String>,
}

/// The key `isolation` of a plugin or of a named target.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IsolationConfig {
    #[default]
    None,
    Process,
}

/// The name of a target, which is valid.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct TargetName(String);

impl TryFrom<String> for TargetName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        NamedTarget::check_name(&name).map(|()| Self(name))
    }
}

/// A positive number of seconds.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
struct Seconds(Duration);

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        match Duration::try_from_secs_f64(seconds) {
            Ok(duration) if !duration.is_zero() => Ok(Self(duration)),
            _ => Err(format!("invalid timeout `{seconds}`: expected a positive number of seconds")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_letters_digits_hyphens_and_underscores() {
        for name in ["a", "Prod-2", "9_x"] {
            assert_eq!(NamedTarget::check_name(name), Ok(()), "{name}");
        }
        for name in ["", "-a", "_a", "a b", "a:b", "a/b", "a.b", "é"] {
            let error = NamedTarget::check_name(name).unwrap_err();
            assert!(error.starts_with(&format!("invalid name `{name}` of a target: expected letters")), "{error}");
        }
    }

    #[test]
    fn a_definition_has_a_uri_and_optional_keys() {
        let definition: Definition = toml::from_str("uri = 'openai'").unwrap();
        let target = NamedTarget::new(TargetName("a".to_owned()), definition, Path::new("/config.toml"));
        assert_eq!((target.uri.as_str(), target.timeout, target.is_isolated), ("openai", None, false));
        let text = "uri = 'a://b'\ntimeout = 1.5\nisolation = 'process'\nplugin = 'p'\n[options]\nx = 'y'";
        let definition: Definition = toml::from_str(text).unwrap();
        let target = NamedTarget::new(TargetName("a".to_owned()), definition, Path::new("/config.toml"));
        assert_eq!((target.timeout, target.is_isolated), (Some(Duration::from_millis(1500)), true));
        assert_eq!((target.plugin.as_deref(), target.options.len()), (Some("p"), 1));
        assert!(!format!("{target:?}").contains("\"y\""), "{target:?}");
    }

    #[test]
    fn an_invalid_value_is_an_error() {
        for (text, message) in [
            ("timeout = 1", "missing field `uri`"),
            ("uri = ''", "invalid target URI ``: expected `target`"),
            ("uri = 'a'\ntimeout = 0", "invalid timeout `0`: expected a positive number of seconds"),
            ("uri = 'a'\ntimeout = -0.5", "invalid timeout `-0.5`: expected a positive number of seconds"),
            ("uri = 'a'\ntimeout = nan", "invalid timeout `NaN`: expected a positive number of seconds"),
            ("uri = 'a'\nisolation = 'x'", "unknown variant `x`, expected `none` or `process`"),
        ] {
            let error = toml::from_str::<Definition>(text).unwrap_err();
            assert!(error.message().starts_with(message), "{error}");
        }
    }
}
