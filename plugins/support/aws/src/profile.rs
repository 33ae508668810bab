//! The profiles in the files `~/.aws/config` and `~/.aws/credentials`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ini::{Ini, ParseOption};
use mlflow_deploy_plugin_api::{Error, Result, Secret, file, nearest};

use crate::AwsEnvironment;

/// The maximum size of a file with profiles, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The profiles and the single sign-on sessions of a user.
#[derive(Debug)]
pub(crate) struct Profiles {
    profiles: BTreeMap<String, Section>,
    sso_sessions: BTreeMap<String, Section>,
    files: [PathBuf; 2],
}

/// The keys of a section. A value may be a secret.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section(BTreeMap<String, Secret>);

impl Section {
    /// Returns the value of a key; `None` if it is missing or empty.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(Secret::expose).filter(|value| !value.is_empty())
    }
}

impl Profiles {
    /// Reads both files. A file that does not exist has no profiles. The keys of the credentials file take precedence.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a file cannot be read or parsed.
    pub(crate) fn read(environment: &AwsEnvironment) -> Result<Self> {
        let place = |variable: &str, default: &str| environment.path(environment.text(variable).unwrap_or(default));
        let config = place("AWS_CONFIG_FILE", "~/.aws/config");
        let credentials = place("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials");
        let mut read = Self { profiles: BTreeMap::new(), sso_sessions: BTreeMap::new(), files: [config, credentials] };
        for (name, keys) in sections(&read.files[0])? {
            let words: Vec<_> = name.split_whitespace().collect();
            match words[..] {
                ["default"] => read.profiles.entry("default".to_owned()).or_default().0.extend(keys),
                ["profile", name] => read.profiles.entry(unquoted(name)).or_default().0.extend(keys),
                ["sso-session", name] => read.sso_sessions.entry(unquoted(name)).or_default().0.extend(keys),
                // Other sections, such as `services NAME`, have no credentials.
                _ => {}
            }
        }
        for (name, keys) in sections(&read.files[1])? {
            read.profiles.entry(name).or_default().0.extend(keys);
        }
        Ok(read)
    }

    /// Returns a profile.
    pub(crate) fn get(&self, name: &str) -> Option<&Section> {
        self.profiles.get(name)
    }

    /// Returns a profile that a setting names.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if it does not exist.
    pub(crate) fn named(&self, name: &str, named_by: &str) -> Result<&Section> {
        self.profiles.get(name).ok_or_else(|| {
            let similar = nearest(name, self.profiles.keys().map(String::as_str));
            let hint = similar.map(|similar| format!("; did you mean `{similar}`?")).unwrap_or_default();
            let [config, credentials] = self.files.each_ref().map(|file| file.display());
            Error::invalid_parameter(format!(
                "the profile `{name}`, which {named_by} names, is neither in `{config}` nor in `{credentials}`{hint}"
            ))
        })
    }

    /// Returns a single sign-on session that a profile names.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if it does not exist.
    pub(crate) fn sso_session(&self, name: &str) -> Result<&Section> {
        self.sso_sessions.get(name).ok_or_else(|| {
            let file = self.files[0].display();
            Error::invalid_parameter(format!(
                "the section `sso-session {name}`, which a profile names, is not in `{file}`"
            ))
        })
    }
}

fn unquoted(name: &str) -> String {
    name.trim_matches(['"', '\'']).to_owned()
}

/// Returns the sections of a file, in its order.
fn sections(path: &Path) -> Result<Vec<(String, BTreeMap<String, Secret>)>> {
    let failed = |reason: &dyn std::fmt::Display| {
        Error::invalid_parameter(format!("failed to read the profiles in `{}`: {reason}", path.display()))
    };
    let text = match file::read_text(path, MAX_FILE) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(&error)),
    };
    let options = ParseOption { enabled_quote: false, enabled_escape: false, ..ParseOption::default() };
    // The parser's message is not shown: it may quote the line of a secret.
    let parsed = Ini::load_from_str_opt(&text, options)
        .map_err(|error| failed(&format!("line {} is neither a section nor `key = value`", error.line)))?;
    let section = |(name, keys): (Option<&str>, &ini::Properties)| {
        let keys = keys.iter().map(|(key, value)| (key.trim().to_lowercase(), Secret::new(value.trim()))).collect();
        Some((name?.trim().to_owned(), keys))
    };
    Ok(parsed.iter().filter_map(section).collect())
}
