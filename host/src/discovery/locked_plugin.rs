//! An entry of the lock file.

use mlflow_deploy_plugin_api::manifest::{Manifest, TARGET};
use serde::{Deserialize, Serialize};

use crate::discovery::digest::{Digest, Measured};

/// An entry of a [lock file](crate::Lock): the file of one plugin for one platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LockedPlugin {
    /// The name of the plugin.
    pub name: String,
    /// The target triple that the file is built for, such as `x86_64-unknown-linux-gnu`.
    pub platform: String,
    /// The version of the plugin.
    pub version: String,
    /// The version of the ABI that the plugin is built for.
    pub abi: u32,
    /// The target schemes that the plugin serves.
    pub schemes: Vec<String>,
    /// The SHA-256 of the plugin's file.
    pub sha256: Digest,
    /// The SHA-256 of the program and the files of a process plugin; `None` for a library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Digest>,
}

impl LockedPlugin {
    pub(crate) fn new(manifest: &Manifest, measured: &Measured) -> Self {
        Self {
            name: manifest.name.clone(),
            platform: manifest.target.clone(),
            version: manifest.version.clone(),
            abi: manifest.abi,
            schemes: manifest.schemes.clone(),
            sha256: measured.digest,
            files: measured.files,
        }
    }

    /// Returns true if both entries have the same hashes.
    pub(crate) fn has_hashes_of(&self, other: &Self) -> bool {
        (self.sha256, self.files) == (other.sha256, other.files)
    }

    /// Returns true if the file is built for the platform of this host.
    pub fn is_for_this_platform(&self) -> bool {
        self.platform == TARGET
    }
}
