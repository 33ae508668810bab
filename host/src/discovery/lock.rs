//! The lock file: which plugins may be loaded, by the SHA-256 of their files, for each platform. Loads nothing.

use std::io::ErrorKind;
use std::path::Path;

use mlflow_deploy_plugin_api::manifest::{Manifest, TARGET};
use mlflow_deploy_plugin_api::{file, trust};
use serde::{Deserialize, Serialize};

use crate::discovery::digest::{Digest, Measured};
use crate::discovery::plugin_file::PluginFile;
use crate::discovery::scan::{Candidate, Discovery};
use crate::{Error, LoadError};

/// Which plugins may be loaded, in alphabetical order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    plugins: Vec<LockedPlugin>,
}

/// One plugin's file for one platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LockedPlugin {
    /// The plugin's name.
    pub name: String,
    /// The machine that the file is built for, such as `x86_64-unknown-linux-gnu`.
    pub platform: String,
    /// The plugin's version.
    pub version: String,
    /// The version of the contract that it speaks.
    pub abi: u32,
    /// The target schemes that it serves.
    pub schemes: Vec<String>,
    /// The SHA-256 of the file.
    pub sha256: Digest,
}

/// The lock file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    plugin: Vec<LockedPlugin>,
}

const VERSION: u32 = 1;

const HEADING: &str = "\
# Which plugins may be loaded: made by `mlflow-deploy plugins lock`, checked by `plugins verify` and with `--locked`.
# Keep it under version control.
";

impl Lock {
    /// The name of the lock file where none is given.
    pub const FILE: &str = "mlflow-deploy.lock";

    /// Reads a lock file.
    ///
    /// # Errors
    /// [`Error::Lock`] where there is none, or it is not one that this version can read.
    pub fn read(path: &Path) -> Result<Self, Error> {
        /// More than thousands of plugins need.
        const MAX_BYTES: u64 = 4 << 20;
        let wrong = |why: String| Error::Lock { path: path.to_owned(), why };
        let text = file::read_text(path, MAX_BYTES).map_err(|error| match error.kind() {
            ErrorKind::NotFound => wrong("there is none: make it with `mlflow-deploy plugins lock`".to_owned()),
            _ => wrong(error.to_string()),
        })?;
        trust::check(path).map_err(|distrust| wrong(distrust.to_string()))?;
        Self::parse(&text).map_err(wrong)
    }

    fn parse(text: &str) -> Result<Self, String> {
        /// Asked first: what a later version adds may not be read as what it is not.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let fragment = |error: toml::de::Error| error.to_string().trim_end().to_owned();
        let Versioned { version } = toml::from_str(text).map_err(fragment)?;
        if version != VERSION {
            return Err(format!(
                "its format is version {version}, and only version {VERSION} is known: upgrade the host"
            ));
        }
        let Written { plugin, .. } = toml::from_str(text).map_err(fragment)?;
        Ok(Self::from(plugin))
    }

    /// The text of the lock file: the same for the same plugins.
    pub fn to_text(&self) -> String {
        let written = Written { version: VERSION, plugin: self.plugins.clone() };
        let body = toml::to_string(&written).expect("texts and numbers can be written as TOML");
        format!("{HEADING}{body}")
    }

    /// Hashes every plugin that was found and is used: that another one hides is not.
    ///
    /// # Errors
    /// [`Error::Load`] where a file cannot be read, or has changed since it was found.
    pub fn of(discovery: &Discovery) -> Result<Self, Error> {
        let used = discovery.used();
        let locked = used.map(|(candidate, manifest)| {
            let measured = measure(candidate).map_err(|refusal| load_error(candidate, refusal))?;
            Ok(LockedPlugin::new(manifest, measured.digest))
        });
        locked.collect::<Result<Vec<_>, Error>>().map(Self::from)
    }

    /// The plugins, by their name and platform.
    pub fn plugins(&self) -> &[LockedPlugin] {
        &self.plugins
    }

    /// What other platforms have stays as it is; what this one has gives way to what was found now.
    #[must_use]
    pub fn refreshed(&self, found: &Self) -> Self {
        let others = self.plugins.iter().filter(|locked| !locked.is_for_this_platform());
        Self::from(others.chain(&found.plugins).cloned().collect::<Vec<_>>())
    }

    /// Whether a plugin's file is one of those that are locked.
    ///
    /// # Errors
    /// [`LoadError::NotLocked`] and [`LoadError::LockMismatch`]; [`LoadError::Changed`] and [`LoadError::Unreadable`] where the file
    /// is not what was found, or not there any more.
    pub fn check(&self, candidate: &Candidate) -> Result<(), LoadError> {
        match candidate.manifest() {
            Some(manifest) => self.check_measured(manifest, &measure(candidate)?),
            None => Ok(()),
        }
    }

    pub(crate) fn check_measured(&self, manifest: &Manifest, measured: &Measured) -> Result<(), LoadError> {
        let found = LockedPlugin::new(manifest, measured.digest);
        let is_namesake = |locked: &&LockedPlugin| locked.name == found.name && locked.is_for_this_platform();
        let namesakes: Vec<_> = self.plugins.iter().filter(is_namesake).collect();
        match namesakes.first() {
            None => Err(LoadError::NotLocked { plugin: found.name }),
            Some(_) if namesakes.contains(&&found) => Ok(()),
            Some(first) => {
                // With the same hash the file is the one that was locked, and its entry is wrong.
                let same = namesakes.iter().find(|locked| locked.sha256 == found.sha256);
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

impl LockedPlugin {
    fn new(manifest: &Manifest, sha256: Digest) -> Self {
        Self {
            name: manifest.name.clone(),
            platform: manifest.target.clone(),
            version: manifest.version.clone(),
            abi: manifest.abi,
            schemes: manifest.schemes.clone(),
            sha256,
        }
    }

    /// Whether this host could load the file.
    pub fn is_for_this_platform(&self) -> bool {
        self.platform == TARGET
    }
}

/// Hashes the file that was found, and no other that has taken its place.
fn measure(candidate: &Candidate) -> Result<Measured, LoadError> {
    let opened = PluginFile::open(&candidate.path)?;
    if candidate.identity != Some(opened.identity) {
        return Err(LoadError::Changed);
    }
    opened.measure()
}

fn load_error(candidate: &Candidate, refusal: LoadError) -> Error {
    Error::Load { path: candidate.path.clone(), refusal }
}

#[cfg(test)]
mod tests {
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
        }
    }

    #[test]
    fn the_text_is_stable_and_reads_back() {
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
    fn a_refresh_touches_this_platform_only() {
        let old = Lock::from(vec![locked("a", "elsewhere", "1"), locked("a", TARGET, "1"), locked("b", TARGET, "1")]);
        let new = old.refreshed(&Lock::from(vec![locked("a", TARGET, "2")]));
        assert_eq!(
            new.plugins(),
            [locked("a", "elsewhere", "1"), locked("a", TARGET, "2")].map(|each| each).as_slice()
        );
    }

    #[test]
    fn what_is_not_a_lock_file_is_said() {
        let with = |line: &str| Lock::default().to_text() + line;
        for (text, said) in [
            ("", "missing field `version`"),
            ("version = 2\nfuture = true", "only version 1 is known: upgrade the host"),
            (&with("surprise = 1\n"), "unknown field `surprise`"),
            (&with("[[plugin]]\nname = \"a\"\n"), "missing field `platform`"),
            (&Lock::from(vec![locked("a", TARGET, "1")]).to_text().replace(ABC, "abc"), "`abc` is not a SHA-256"),
        ] {
            let error = Lock::parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        let error = Lock::read(Path::new("/nowhere/x.lock")).unwrap_err().to_string();
        assert_eq!(
            error,
            "the lock file `/nowhere/x.lock` cannot be used: there is none: make it with `mlflow-deploy plugins lock`"
        );
    }
}
