//! The configuration file `conformance.toml`: the target, and calls that succeed on it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::file;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// The configuration of a target.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The target URIs to open. Most cases use only the first one. Default: the plugin's first scheme.
    pub target_uris: Vec<String>,
    /// The client options for each target URI.
    pub options: Map<String, Value>,
    /// Environment variables to set. A case inherits only a few common variables from the caller.
    pub environment: BTreeMap<String, String>,
    /// The names of more variables to inherit from the caller.
    pub pass_environment: Vec<String>,
    /// A prediction that succeeds.
    pub predict: Option<SampleCall>,
    /// An explanation that succeeds.
    pub explain: Option<SampleCall>,
    /// A custom operation that succeeds.
    pub invoke: Option<SampleCall>,
    /// A prediction that ends only when it is cancelled.
    pub slow: Option<SampleCall>,
    /// A prediction that makes the plugin panic.
    pub panic: Option<SampleCall>,
    /// A model to deploy.
    pub deployment: Option<Deployment>,
    /// An endpoint that exists, or the config with which to create one.
    pub endpoint: Option<Endpoint>,
    /// A model to serve on this machine.
    pub run_local: Option<RunLocal>,
    /// The limits of the load on the target.
    pub limits: Limits,
    /// The absolute path of the file that the config was read from.
    #[serde(skip)]
    pub(crate) file: Option<PathBuf>,
}

/// A sample call, with its inputs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SampleCall {
    /// The name of the custom operation. Only `invoke` has one.
    pub operation: Option<String>,
    /// The name of the deployment to predict or explain with.
    pub deployment_name: Option<String>,
    /// The name of the deployment to invoke a custom operation on.
    pub name: Option<String>,
    /// The name of the endpoint.
    pub endpoint: Option<String>,
    /// Target-specific settings.
    pub config: Map<String, Value>,
    /// The media type of the inputs. Default: JSON.
    pub content_type: Option<String>,
    /// The inputs, sent unchanged.
    pub inputs: String,
}

/// A model to deploy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Deployment {
    /// The URI of the model.
    pub model_uri: String,
    /// The flavor of the model.
    #[serde(default)]
    pub flavor: Option<String>,
    /// The URI of the model that an update deploys. Default: `model_uri`.
    #[serde(default)]
    pub update_model_uri: Option<String>,
    /// Target-specific settings.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// The name of the endpoint that the deployment belongs to.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The inputs of a prediction with the deployed model.
    #[serde(default)]
    pub inputs: Option<String>,
    /// The media type of the inputs.
    #[serde(default)]
    pub content_type: Option<String>,
}

/// An endpoint that exists, or the config with which to create one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Endpoint {
    /// The name of an endpoint that exists.
    pub existing: Option<String>,
    /// The config with which to create an endpoint. If absent, no endpoint is created.
    pub config: Option<Map<String, Value>>,
    /// The config with which to update the created endpoint.
    pub update_config: Map<String, Value>,
}

/// A model to serve on this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RunLocal {
    /// The URI of the model.
    pub model_uri: String,
    /// The flavor of the model.
    #[serde(default)]
    pub flavor: Option<String>,
    /// Target-specific settings.
    #[serde(default)]
    pub config: Map<String, Value>,
}

/// The limits of the load on the target.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// The number of calls during which the memory of the process must not grow.
    pub calls: u64,
    /// The number of threads that call in parallel.
    pub threads: usize,
    /// The size of the largest request body, in MiB.
    pub body_mib: usize,
    /// The number of generated inputs in each fuzzing case.
    pub fuzz: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { calls: 10_000, threads: 64, body_mib: 64, fuzz: 256 }
    }
}

/// The error returned if a config cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read `{}`: {source}", path.display())]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is not TOML, or has an unknown key.
    #[error("failed to parse `{}`: {source}", path.display())]
    Parse {
        /// The path of the file.
        path: PathBuf,
        /// The position in the file, and the cause.
        source: Box<toml::de::Error>,
    },
}

impl Config {
    /// Reads a config from a TOML file.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not TOML, or has an unknown key.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        /// The maximum size of the file, in bytes.
        const MAX_BYTES: u64 = 4 << 20;
        let failed = |source| ConfigError::Read { path: path.to_owned(), source };
        // The file may be a pipe, such as the shell's `<(…)`.
        let bytes = File::open(path).and_then(|file| file::read_up_to(file, MAX_BYTES)).map_err(failed)?;
        let text = String::from_utf8(bytes).map_err(|error| failed(io::Error::other(error.utf8_error())))?;
        let parsed = text.parse::<Self>();
        let config = parsed.map_err(|source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        // The path is part of the printed rerun command, which may run in another folder.
        let file = std::path::absolute(path).unwrap_or_else(|_empty| path.to_owned());
        Ok(Self { file: Some(file), ..config })
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
    fn an_unknown_key_is_an_error_with_its_name() {
        let error = "[predict]\nendpont = 'a'".parse::<Config>().unwrap_err();
        assert!(error.to_string().contains("unknown field `endpont`"), "{error}");
        let empty: Config = "".parse().unwrap();
        assert_eq!((empty.limits.calls, empty.target_uris.len()), (10_000, 0));
    }
}
