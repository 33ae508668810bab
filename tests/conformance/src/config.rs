//! `conformance.toml`: what has to be known of a target before it can be asked for more than an error.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::file;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// What an author says of the target.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The target URIs to open; the first of them is used wherever one is enough. Without any: the first scheme.
    pub target_uris: Vec<String>,
    /// The client options that go with each of them.
    pub options: Map<String, Value>,
    /// Environment variables to set. Of the caller's, only what every program needs is passed on.
    pub environment: BTreeMap<String, String>,
    /// More variables of the caller's to pass on, by name.
    pub pass_environment: Vec<String>,
    /// A prediction that works.
    pub predict: Option<Question>,
    /// An explanation that works.
    pub explain: Option<Question>,
    /// An operation of the target's own that works.
    pub invoke: Option<Question>,
    /// A prediction that never ends by itself.
    pub slow: Option<Question>,
    /// A prediction that makes the plugin panic.
    pub panic: Option<Question>,
    /// What to deploy.
    pub deployment: Option<Deployment>,
    /// What endpoint to make, or which one is there.
    pub endpoint: Option<Endpoint>,
    /// What to serve on this machine.
    pub run_local: Option<RunLocal>,
    /// How much is asked of the target.
    pub limits: Limits,
}

/// A call with inputs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Question {
    /// The operation's name, for `invoke` alone.
    pub operation: Option<String>,
    /// The deployment.
    pub deployment_name: Option<String>,
    /// The deployment that an operation of the target's own concerns.
    pub name: Option<String>,
    /// The endpoint.
    pub endpoint: Option<String>,
    /// Settings of the target's own.
    pub config: Map<String, Value>,
    /// The format of the inputs; JSON where nothing else is said.
    pub content_type: Option<String>,
    /// The inputs as they are sent.
    pub inputs: String,
}

/// What to deploy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Deployment {
    /// Where the model is.
    pub model_uri: String,
    /// Its flavor.
    #[serde(default)]
    pub flavor: Option<String>,
    /// Another model to update it to; the same where none is given.
    #[serde(default)]
    pub update_model_uri: Option<String>,
    /// Settings of the target's own.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// The endpoint to deploy under.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Inputs that the model predicts on, where it can be asked.
    #[serde(default)]
    pub inputs: Option<String>,
    /// The format of the inputs.
    #[serde(default)]
    pub content_type: Option<String>,
}

/// An endpoint that is there, or how to make one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Endpoint {
    /// An endpoint that is there.
    pub existing: Option<String>,
    /// The config to make one with; none are made where it is left out.
    pub config: Option<Map<String, Value>>,
    /// The config to update one with.
    pub update_config: Map<String, Value>,
}

/// What to serve on this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RunLocal {
    /// Where the model is.
    pub model_uri: String,
    /// Its flavor.
    #[serde(default)]
    pub flavor: Option<String>,
    /// Settings of the target's own.
    #[serde(default)]
    pub config: Map<String, Value>,
}

/// How much is asked of the target.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// How many calls are made where memory must not grow.
    pub calls: u64,
    /// How many threads call at once.
    pub threads: usize,
    /// How large the largest body is, in MiB.
    pub body_mib: usize,
    /// How many inputs are made up in each case that makes them up.
    pub fuzz: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { calls: 10_000, threads: 64, body_mib: 64, fuzz: 256 }
    }
}

/// Why `conformance.toml` was not understood.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It could not be read.
    #[error("failed to read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no TOML, or says something that is not known.
    #[error("failed to understand `{}`: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where, and what was expected.
        source: Box<toml::de::Error>,
    },
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, or says something that is not known.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        /// Bytes, at most.
        const LARGEST: u64 = 4 << 20;
        let failed = |source| ConfigError::Read { path: path.to_owned(), source };
        // It may be a pipe, as the shell's `<(…)` is.
        let bytes = File::open(path).and_then(|file| file::read_up_to(file, LARGEST)).map_err(failed)?;
        let text = String::from_utf8(bytes).map_err(|error| failed(io::Error::other(error.utf8_error())))?;
        text.parse().map_err(|source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) })
    }
}

impl std::str::FromStr for Config {
    type Err = toml::de::Error;

    fn from_str(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let error = "[predict]\nendpont = 'a'".parse::<Config>().unwrap_err();
        assert!(error.to_string().contains("unknown field `endpont`"), "{error}");
        let nothing: Config = "".parse().unwrap();
        assert_eq!((nothing.limits.calls, nothing.target_uris.len()), (10_000, 0));
    }
}
