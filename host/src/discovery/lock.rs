//! The lock file. It lists the plugins that may be loaded on each platform, with the SHA-256 of each file. Loads
//! nothing.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::manifest::Manifest;
use mlflow_deploy_plugin_api::{file, trust};
use serde::{Deserialize, Serialize};

use crate::discovery::candidate::Candidate;
use crate::discovery::digest::Measured;
use crate::discovery::locked_plugin::LockedPlugin;
use crate::discovery::plugin_file::PluginFile;
use crate::discovery::scan::Discovery;
use crate::discovery::search_path::setting;
use crate::{Error, LoadError};

/// The content of a lock file: the plugins that may be loaded, in alphabetical order.
///
/// ```
/// # let plugin = mlflow_deploy_test_support::cdylib::path("mlflow-deploy-example-echo");
/// use mlflow_deploy::{Host, Lock};
///
/// let discovery = Host::builder().search_path::<&str>([]).plugin(plugin).build().discover();
/// let lock = Lock::of(&discovery)?;
/// assert_eq!(lock.plugins()[0].name, "echo");
/// lock.check(&discovery.candidates[0]).unwrap();
/// # Ok::<(), mlflow_deploy::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    plugins: Vec<LockedPlugin>,
}

/// The structure of the lock file in TOML.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockFile {
    version: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    plugin: Vec<LockedPlugin>,
}

const VERSION: u32 = 1;

/// The environment variable that holds the path of the lock file.
const LOCK_VARIABLE: &str = "MLFLOW_DEPLOY_LOCK_FILE";

const HEADING: &str = "\
# The plugins that may be loaded. Written by `mlflow-deploy plugins lock`, checked by `plugins verify` and `--locked`.
# Keep it under version control.
";

impl Lock {
    /// The default name of the lock file.
    pub const FILE: &str = "mlflow-deploy.lock";

    /// Returns the path in the environment variable `MLFLOW_DEPLOY_LOCK_FILE`; `None` if it is not set.
    pub fn variable() -> Option<PathBuf> {
        setting(LOCK_VARIABLE).map(PathBuf::from)
    }

    /// Reads a lock file.
    ///
    /// # Errors
    /// [`Error::Lock`] if the file is missing, untrusted, or invalid.
    pub fn read(path: &Path) -> Result<Self, Error> {
        const MAX_BYTES: u64 = 4 << 20;
        let invalid = |why: String| {
            let is_variable = setting(LOCK_VARIABLE).is_some_and(|named| Path::new(&named) == path);
            let variable = if is_variable { format!("; `{LOCK_VARIABLE}` names it") } else { String::new() };
            Error::Lock { path: path.to_owned(), why: why + &variable }
        };
        let text = file::read_text(path, MAX_BYTES).map_err(|error| match error.kind() {
            ErrorKind::NotFound => invalid("no such file; create it with `mlflow-deploy plugins lock`".to_owned()),
            _ => invalid(error.to_string()),
        })?;
        trust::check(path).map_err(|distrust| invalid(distrust.to_string()))?;
        Self::parse(&text).map_err(invalid)
    }

    fn parse(text: &str) -> Result<Self, String> {
        /// The format version of a lock file. It is read before the other keys, because a later version may have other
        /// keys.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let fragment = |error: toml::de::Error| error.to_string().trim_end().to_owned();
        let Versioned { version } = toml::from_str(text).map_err(fragment)?;
        if version != VERSION {
            return Err(format!("unsupported format version {version}, expected {VERSION}; upgrade the host"));
        }
        let LockFile { plugin, .. } = toml::from_str(text).map_err(fragment)?;
        Ok(Self::from(plugin))
    }

    /// Returns the text of the lock file. Locks with equal entries give the same text.
    pub fn to_text(&self) -> String {
        let file = LockFile { version: VERSION, plugin: self.plugins.clone() };
        let body = toml::to_string(&file).expect("strings and numbers are valid TOML");
        format!("{HEADING}{body}")
    }

    /// Returns a lock with an entry for every plugin that is used for at least one scheme. Hashes the files of these
    /// plugins.
    ///
    /// # Errors
    /// [`Error::Load`] if a file cannot be read, or has changed since it was found.
    pub fn of(discovery: &Discovery) -> Result<Self, Error> {
        let used = discovery.used();
        let locked = used.map(|(candidate, manifest)| {
            let measured = measure(candidate).map_err(|error| load_error(candidate, error))?;
            Ok(LockedPlugin::new(manifest, &measured))
        });
        locked.collect::<Result<Vec<_>, Error>>().map(Self::from)
    }

    /// Returns the entries of the lock, ordered by name and platform.
    pub fn plugins(&self) -> &[LockedPlugin] {
        &self.plugins
    }

    /// Returns a lock with the entries of `found`, and with those entries of this lock that are for other platforms.
    #[must_use]
    pub fn refreshed(&self, found: &Self) -> Self {
        let others = self.plugins.iter().filter(|locked| !locked.is_for_this_platform());
        Self::from(others.chain(&found.plugins).cloned().collect::<Vec<_>>())
    }

    /// Checks that the file of a plugin matches its entry in the lock.
    ///
    /// # Errors
    /// [`LoadError::NotLocked`] if the plugin has no entry; [`LoadError::LockMismatch`] if the file does not match its
    /// entry; [`LoadError::Changed`] and [`LoadError::Unreadable`] if the file has changed since it was found.
    pub fn check(&self, candidate: &Candidate) -> Result<(), LoadError> {
        match candidate.manifest() {
            Some(manifest) => self.check_measured(manifest, &measure(candidate)?),
            None => Ok(()),
        }
    }

    pub(crate) fn check_measured(&self, manifest: &Manifest, measured: &Measured) -> Result<(), LoadError> {
        let found = LockedPlugin::new(manifest, measured);
        let is_namesake = |locked: &&LockedPlugin| locked.name == found.name && locked.is_for_this_platform();
        let namesakes: Vec<_> = self.plugins.iter().filter(is_namesake).collect();
        match namesakes.first() {
            None => Err(LoadError::NotLocked { plugin: found.name }),
            Some(_) if namesakes.contains(&&found) => Ok(()),
            Some(first) => {
                // If the hashes are the same, the file is the locked one, and only its entry is wrong.
                let same = namesakes.iter().find(|locked| locked.has_hashes_of(&found));
                let expected = same.unwrap_or(first);
                Err(LoadError::LockMismatch { expected: Box::new((*expected).clone()), found: Box::new(found) })
            }
        }
    }
}

impl From<Vec<LockedPlugin>> for Lock {
    fn from(mut plugins: Vec<LockedPlugin>) -> Self {
        plugins.sort();
        plugins.dedup();
        Self { plugins }
    }
}

/// Hashes the files of a candidate. Fails if a file has changed since it was found.
fn measure(candidate: &Candidate) -> Result<Measured, LoadError> {
    let opened = match candidate.manifest() {
        Some(manifest) => PluginFile::open_plugin(&candidate.path, manifest)?,
        None => PluginFile::open(&candidate.path)?,
    };
    if candidate.identity != Some(opened.identity) {
        return Err(LoadError::Changed);
    }
    if let Some(program) = opened.program.as_ref().filter(|_| !candidate.is_trusted) {
        program.check_trust()?;
    }
    opened.measure()
}

fn load_error(candidate: &Candidate, refusal: LoadError) -> Error {
    Error::Load { path: candidate.path.clone(), refusal }
}

#[cfg(test)]
mod tests {
    use mlflow_deploy_plugin_api::manifest::TARGET;

    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn locked(name: &str, platform: &str, version: &str) -> LockedPlugin {
        LockedPlugin {
            name: name.to_owned(),
            platform: platform.to_owned(),
            version: version.to_owned(),
            abi: 1,
            schemes: vec![name.to_owned()],
            sha256: ABC.parse().unwrap(),
            files: None,
        }
    }

    #[test]
    fn the_text_of_a_lock_is_stable_and_parses_back() {
        let lock = Lock::from(vec![locked("b", TARGET, "1"), locked("a", TARGET, "2\"\n"), locked("b", TARGET, "1")]);
        let text = lock.to_text();
        assert_eq!(Lock::parse(&text).unwrap(), lock);
        assert_eq!(Lock::parse(&text).unwrap().to_text(), text);
        let first = format!(
            "{HEADING}version = 1\n\n[[plugin]]\nname = \"a\"\nplatform = \"{TARGET}\"\nversion = \"\"\"\n2\"\n\"\"\"\nabi = 1\nschemes = [\"a\"]\nsha256 = \"{ABC}\"\n"
        );
        assert!(text.starts_with(&first), "{text}");
        assert_eq!(Lock::parse(&Lock::default().to_text()).unwrap(), Lock::default());
    }

    #[test]
    fn refreshed_replaces_the_entries_of_this_platform_only() {
        let old = Lock::from(vec![locked("a", "elsewhere", "1"), locked("a", TARGET, "1"), locked("b", TARGET, "1")]);
        let new = old.refreshed(&Lock::from(vec![locked("a", TARGET, "2")]));
        assert_eq!(
            new.plugins(),
            [locked("a", "elsewhere", "1"), locked("a", TARGET, "2")].map(|each| each).as_slice()
        );
    }

    #[test]
    fn an_invalid_lock_file_is_an_error() {
        let with = |line: &str| Lock::default().to_text() + line;
        for (text, message) in [
            ("", "missing field `version`"),
            ("version = 2\nfuture = true", "unsupported format version 2, expected 1; upgrade the host"),
            (&with("surprise = 1\n"), "unknown field `surprise`"),
            (&with("[[plugin]]\nname = \"a\"\n"), "missing field `platform`"),
            (&Lock::from(vec![locked("a", TARGET, "1")]).to_text().replace(ABC, "abc"), "`abc` is not a SHA-256"),
        ] {
            let error = Lock::parse(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
        let error = Lock::read(Path::new("/nowhere/x.lock")).unwrap_err().to_string();
        assert_eq!(
            error,
            "the lock file `/nowhere/x.lock` cannot be used: no such file; create it with `mlflow-deploy plugins lock`"
        );
    }
}
