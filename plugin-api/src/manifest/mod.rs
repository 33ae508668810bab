//! The manifest: what a plugin says of itself in a section of its file, to be read without running any of it.

#[cfg(feature = "host")]
mod bounded;
#[doc(hidden)]
pub mod embed;
#[cfg(feature = "host")]
mod read;

#[cfg(feature = "host")]
pub use bounded::Bounded;
#[cfg(feature = "host")]
pub use read::{ReadError, read, read_from};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{JSON, Operation};

/// The machine that this crate, and with it a plugin, is built for, such as `x86_64-unknown-linux-gnu`.
pub const TARGET: &str = env!("MLFLOW_DEPLOY_TARGET");

/// The largest manifest that is read: 64 KiB.
pub const LARGEST: usize = 64 * 1024;

/// The section that holds the manifest, in an ELF file and in a Mach-O file.
pub const SECTIONS: [&str; 2] = [".mlflow_deploy", "__mlflow_deploy"];

/// What a plugin says of itself. Unknown members are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The version of the manifest's own format: 1.
    pub manifest: u32,
    /// The version of the table's contract.
    pub abi: u32,
    /// The plugin's name, such as `openai`.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// The machine it is built for, such as `x86_64-unknown-linux-gnu`.
    pub target: String,
    /// The target schemes it serves, lower-case.
    pub schemes: Vec<String>,
    /// The operations it supports, by name; names that this version does not know are kept.
    pub operations: Vec<String>,
    /// The operations of the target's own, for `invoke`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invoke: Vec<InvokeOperation>,
    /// The media types of inputs that it takes.
    #[serde(default = "only_json")]
    pub accepts: Vec<String>,
    /// The client options: a JSON Schema subset.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
    /// The config of each operation, by the operation's name: JSON Schema subsets.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub config: Map<String, Value>,
    /// The environment variables that it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<EnvironmentVariable>,
    /// What a panic in it does.
    pub panic: Panic,
    /// Whether it must run in a process of its own.
    #[serde(default)]
    pub isolation: Isolation,
    /// What it is, in one line.
    #[serde(default)]
    pub description: String,
}

/// An operation of a target's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InvokeOperation {
    /// The name to invoke it by.
    pub name: String,
    /// What it does, in one line.
    #[serde(default)]
    pub description: String,
}

/// An environment variable that a plugin reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EnvironmentVariable {
    /// Its name.
    pub name: String,
    /// Whether its value must never be shown.
    #[serde(default)]
    pub secret: bool,
}

/// What a panic in a plugin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Panic {
    /// It ends the process.
    Abort,
    /// The plugin is not written in Rust.
    None,
    /// It is contained, and becomes an error.
    Unwind,
}

/// Whether a plugin must run in a process of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Isolation {
    /// It may run in the host's process.
    #[default]
    Optional,
    /// It must not.
    Required,
}

impl Manifest {
    /// Reads a manifest's JSON, and checks what hosts rely on.
    ///
    /// # Errors
    /// What is wrong with it, as a fragment for a person.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        // A C string brings its NUL along.
        let json = json.strip_suffix(b"\0").unwrap_or(json);
        let manifest: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let is_name = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || "+-.".contains(each))
        };
        if manifest.manifest != 1 {
            return Err(format!("its format is version {}, and only version 1 is known", manifest.manifest));
        }
        if !is_name(&manifest.name) {
            return Err(format!("`{}` is not a plugin's name: use a-z, 0-9, `+`, `-`, `.`", manifest.name));
        }
        if manifest.schemes.is_empty() {
            return Err("it names no scheme".to_owned());
        }
        match manifest.schemes.iter().find(|scheme| !is_name(scheme)) {
            Some(scheme) => Err(format!("`{scheme}` is not a scheme: use a-z, 0-9, `+`, `-`, `.`")),
            None => Ok(manifest),
        }
    }

    /// Whether the plugin says that it supports the operation.
    pub fn declares(&self, operation: Operation) -> bool {
        self.operations.iter().any(|declared| declared == operation.name())
    }
}

fn only_json() -> Vec<String> {
    vec![JSON.to_owned()]
}
