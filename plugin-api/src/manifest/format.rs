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

/// The end of the name of a file that contains the manifest of a process plugin.
pub const PROCESS_SUFFIX: &str = ".plugin.json";

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
    #[serde(default)]
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
    #[serde(default = "no_panic")]
    pub panic: Panic,
    /// Tells if the plugin must run in a process of its own.
    #[serde(default)]
    pub isolation: Isolation,
    /// A description of the plugin in one line.
    #[serde(default)]
    pub description: String,
    /// The program of a process plugin and its arguments. Empty for a library.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exec: Vec<String>,
    /// The files and folders of a process plugin, besides the manifest, that belong to its code. Paths are relative to
    /// the folder of the manifest. Empty for the relative paths in `exec`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The time limit for a process plugin to start, in seconds. The default is 30.
    #[serde(default = "default_start_timeout", skip_serializing_if = "is_default_start_timeout")]
    pub start_timeout: u32,
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

    /// Parses the manifest of a library and checks the members that hosts rely on.
    ///
    /// # Errors
    /// A text that describes the fault.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        // A manifest that is a C string ends with a NUL. One that is included from a file may start with a byte order
        // mark.
        let json = file::without_byte_order_mark(json.strip_suffix(b"\0").unwrap_or(json));
        let manifest: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let members = check_kinds(json)?;
        if let Some(missing) = ["target", "panic"].iter().find(|name| !members.contains_key(**name)) {
            return Err(format!("missing field `{missing}`"));
        }
        if manifest.is_process() {
            return Err(format!("member `exec` in the manifest of a library: expected only in `NAME{PROCESS_SUFFIX}`"));
        }
        manifest.checked()
    }

    /// Parses the manifest of a process plugin, the content of a file `NAME.plugin.json`, and checks the members that
    /// hosts rely on. The members `target`, `panic` and `isolation` have the values of this host, `none` and
    /// `required`.
    ///
    /// # Errors
    /// A text that describes the fault.
    pub fn parse_process(json: &[u8]) -> Result<Self, String> {
        let json = file::without_byte_order_mark(json);
        let manifest: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        check_kinds(json)?;
        match manifest.exec.first().map(String::as_str) {
            None => return Err("missing program: `exec` is missing or empty".to_owned()),
            Some("") => return Err("missing program: the first element of `exec` is empty".to_owned()),
            Some(_) => {}
        }
        if let Some(text) = manifest.exec.iter().chain(&manifest.files).find(|text| text.contains('\0')) {
            return Err(format!("invalid element of `exec` or `files`: {text:?} contains a NUL"));
        }
        if manifest.start_timeout == 0 {
            return Err("invalid `start_timeout`: 0, expected at least 1 second".to_owned());
        }
        Self { target: TARGET.to_owned(), panic: Panic::None, isolation: Isolation::Required, ..manifest }.checked()
    }

    /// Returns true if the plugin is a program of its own, not a library.
    pub fn is_process(&self) -> bool {
        !self.exec.is_empty()
    }

    /// Checks the members that hosts rely on in both kinds of manifests.
    fn checked(self) -> Result<Self, String> {
        if self.manifest != 1 {
            return Err(format!("unsupported manifest format version `{}`: expected 1", self.manifest));
        }
        if !is_name(&self.name) {
            return Err(format!("invalid plugin name `{}`: expected a-z, then a-z, 0-9, `+`, `-`, `.`", self.name));
        }
        if self.schemes.is_empty() {
            return Err("missing scheme: `schemes` is empty".to_owned());
        }
        match self.schemes.iter().find(|scheme| !is_name(scheme)) {
            Some(scheme) => Err(format!("invalid scheme `{scheme}`: expected a-z, then a-z, 0-9, `+`, `-`, `.`")),
            None => Ok(self),
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
/// instead of a word. Returns the members of the manifest.
fn check_kinds(json: &[u8]) -> Result<Map<String, Value>, String> {
    let members: Map<String, Value> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let elements = |name| members.get(name).and_then(Value::as_array).into_iter().flatten();
    if let Some(element) = elements("invoke").chain(elements("environment")).find(|element| !element.is_object()) {
        return Err(format!("invalid element of `invoke` or `environment`: {element}, expected a JSON object"));
    }
    let is_word = |name: &&str| members.get(*name).is_none_or(Value::is_string);
    match ["panic", "isolation"].iter().find(|name| !is_word(name)) {
        Some(name) => Err(format!("invalid `{name}`: {}, expected a string", members[*name])),
        None => Ok(members),
    }
}

fn no_panic() -> Panic {
    Panic::None
}

const fn default_start_timeout() -> u32 {
    30
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_default_start_timeout(seconds: &u32) -> bool {
    *seconds == default_start_timeout()
}

fn only_json() -> Vec<String> {
    vec![JSON.to_owned()]
}
