//! The members of a plugin's manifest, and the checks that hosts rely on.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{JSON, Operation, Payload, file};

/// The target triple that this crate is compiled for, such as `x86_64-unknown-linux-gnu`.
pub const TARGET: &str = env!("MLFLOW_DEPLOY_TARGET");

/// The maximum size of a manifest, in bytes: 64 KiB.
pub const MAX_BYTES: usize = 64 * 1024;

/// The names of the section that contains the manifest: the first in an ELF file, the second in a Mach-O file.
pub const SECTIONS: [&str; 2] = [".mlflow_deploy", "__mlflow_deploy"];

/// A plugin's description of itself. Unknown members are ignored. See the [example](crate::manifest).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The version of the manifest's format, which is 1.
    pub manifest: u32,
    /// The version of the contract that the plugin's table follows.
    pub abi: u32,
    /// The plugin's name, such as `openai`.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// The target triple that the plugin is built for, such as `x86_64-unknown-linux-gnu`.
    pub target: String,
    /// The schemes of the target URIs that the plugin serves, in lower case.
    pub schemes: Vec<String>,
    /// The names of the operations that the plugin supports. Names that this crate does not know are kept.
    pub operations: Vec<String>,
    /// The operations that only this plugin has. `invoke` runs them by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invoke: Vec<InvokeOperation>,
    /// The media types that the plugin accepts for inputs.
    #[serde(default = "only_json")]
    pub accepts: Vec<String>,
    /// The description of the client options, in a subset of JSON Schema.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
    /// The description of each operation's config, by the name of the operation, in a subset of JSON Schema.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub config: Map<String, Value>,
    /// The environment variables that the plugin reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<EnvironmentVariable>,
    /// The effect that a panic in the plugin has.
    pub panic: Panic,
    /// Tells if the plugin must run in a process of its own.
    #[serde(default)]
    pub isolation: Isolation,
    /// A description of the plugin in one line.
    #[serde(default)]
    pub description: String,
}

/// An operation that only one plugin has, run through `invoke`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InvokeOperation {
    /// The name by which `invoke` runs the operation.
    pub name: String,
    /// A description of the operation in one line.
    #[serde(default)]
    pub description: String,
}

/// An environment variable that a plugin reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EnvironmentVariable {
    /// The name of the environment variable.
    pub name: String,
    /// True if the value of the variable is a secret and must not be shown.
    #[serde(default)]
    pub secret: bool,
}

/// The effect that a panic in a plugin has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Panic {
    /// A panic ends the process.
    Abort,
    /// The plugin cannot panic, because it is not written in Rust.
    None,
    /// A panic is caught and becomes an error.
    Unwind,
}

/// Tells if a plugin must run in a process of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Isolation {
    /// The plugin may run in the host's process.
    #[default]
    Optional,
    /// The plugin must run in a process of its own.
    Required,
}

impl Manifest {
    /// Returns true if the plugin accepts inputs of a media type, such as `text/csv`. Ignores case and the parameters of
    /// the accepted types.
    pub fn accepts_type(&self, media_type: &str) -> bool {
        self.accepts.iter().any(|accepted| Payload::new(accepted, []).media_type() == media_type)
    }

    /// Parses a manifest and checks the members that hosts rely on.
    ///
    /// # Errors
    /// A text that describes the fault.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        // A manifest that is a C string ends with a NUL. One that is included from a file may start with a byte order
        // mark.
        let json = file::without_byte_order_mark(json.strip_suffix(b"\0").unwrap_or(json));
        let manifest: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        check_kinds(json)?;
        if manifest.manifest != 1 {
            return Err(format!("unsupported manifest format version `{}`: expected 1", manifest.manifest));
        }
        if !is_name(&manifest.name) {
            return Err(format!("invalid plugin name `{}`: expected a-z, then a-z, 0-9, `+`, `-`, `.`", manifest.name));
        }
        if manifest.schemes.is_empty() {
            return Err("missing scheme: `schemes` is empty".to_owned());
        }
        match manifest.schemes.iter().find(|scheme| !is_name(scheme)) {
            Some(scheme) => Err(format!("invalid scheme `{scheme}`: expected a-z, then a-z, 0-9, `+`, `-`, `.`")),
            None => Ok(manifest),
        }
    }

    /// Returns true if the manifest lists the operation.
    pub fn declares(&self, operation: Operation) -> bool {
        self.operations.iter().any(|declared| declared == operation.name())
    }
}

/// Returns true if the text can be the name of a plugin, or a scheme.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || "+-.".contains(each))
}

/// Fails for kinds of JSON that serde accepts in the place of another: a list instead of an object, and an object
/// instead of a word.
fn check_kinds(json: &[u8]) -> Result<(), String> {
    let members: Map<String, Value> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let elements = |name| members.get(name).and_then(Value::as_array).into_iter().flatten();
    if let Some(element) = elements("invoke").chain(elements("environment")).find(|element| !element.is_object()) {
        return Err(format!("invalid element of `invoke` or `environment`: {element}, expected a JSON object"));
    }
    let is_word = |name: &&str| members.get(*name).is_none_or(Value::is_string);
    match ["panic", "isolation"].iter().find(|name| !is_word(name)) {
        Some(name) => Err(format!("invalid `{name}`: {}, expected a string", members[*name])),
        None => Ok(()),
    }
}

fn only_json() -> Vec<String> {
    vec![JSON.to_owned()]
}
