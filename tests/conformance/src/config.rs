//! The configuration file `conformance.toml`, which describes the target of a plugin and calls that succeed on it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::file;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// The configuration of a conformance run: the target of the plugin, and calls that succeed on it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The URIs of the targets to open. Most cases use only the first one. If the list is empty, the first scheme of
    /// the plugin's manifest is used.
    pub target_uris: Vec<String>,
    /// The options with which a client is opened on each target.
    pub options: Map<String, Value>,
    /// The environment variables to set for each case, by name. Of the caller's variables, a case inherits only a few
    /// common ones.
    pub environment: BTreeMap<String, String>,
    /// The names of further environment variables that a case inherits from the caller.
    pub pass_environment: Vec<String>,
    /// A prediction that has to succeed.
    pub predict: Option<SampleCall>,
    /// An explanation that has to succeed.
    pub explain: Option<SampleCall>,
    /// A call of a custom operation that has to succeed.
    pub invoke: Option<SampleCall>,
    /// A prediction that ends only when it is cancelled.
    pub slow: Option<SampleCall>,
    /// A prediction that makes the plugin panic.
    pub panic: Option<SampleCall>,
    /// A model that cases can deploy.
    pub deployment: Option<Deployment>,
    /// An existing endpoint, or the config with which cases can create one.
    pub endpoint: Option<Endpoint>,
    /// A model that cases can serve on this machine.
    pub run_local: Option<RunLocal>,
    /// The number and size of the calls that the cases make.
    pub limits: Limits,
    /// The absolute path of the file from which the config was read.
    #[serde(skip)]
    pub(crate) file: Option<PathBuf>,
}

/// A call of an operation, with its arguments and inputs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SampleCall {
    /// The name of the custom operation to call. Only the call in the table `invoke` has one.
    pub operation: Option<String>,
    /// The name of the deployment for a prediction or an explanation.
    pub deployment_name: Option<String>,
    /// The name of the deployment on which a custom operation is called.
    pub name: Option<String>,
    /// The name of the endpoint on which the operation is called.
    pub endpoint: Option<String>,
    /// The target-specific settings to send with the call.
    pub config: Map<String, Value>,
    /// The media type of `inputs`. The default is JSON.
    pub content_type: Option<String>,
    /// The inputs of the call. They are sent unchanged.
    pub inputs: String,
}

/// A model that cases can deploy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Deployment {
    /// The URI of the model to deploy.
    pub model_uri: String,
    /// The flavor of the model, such as `onnx`.
    #[serde(default)]
    pub flavor: Option<String>,
    /// The URI of the model to which a deployment is updated. The default is `model_uri`.
    #[serde(default)]
    pub update_model_uri: Option<String>,
    /// The target-specific settings with which the deployment is created.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// The name of the endpoint on which the deployment is created.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The inputs of a prediction that the deployed model can make.
    #[serde(default)]
    pub inputs: Option<String>,
    /// The media type of `inputs`.
    #[serde(default)]
    pub content_type: Option<String>,
}

/// An existing endpoint, or the config with which cases can create one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Endpoint {
    /// The name of an endpoint that already exists on the target.
    pub existing: Option<String>,
    /// The config with which cases create an endpoint. If it is absent, no endpoint is created.
    pub config: Option<Map<String, Value>>,
    /// The config with which cases update the endpoint that they created.
    pub update_config: Map<String, Value>,
}

/// A model that cases can serve on this machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RunLocal {
    /// The URI of the model to serve.
    pub model_uri: String,
    /// The flavor of the model, such as `onnx`.
    #[serde(default)]
    pub flavor: Option<String>,
    /// The target-specific settings with which the model is served.
    #[serde(default)]
    pub config: Map<String, Value>,
}

/// The number and size of the calls that the cases make.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// The number of calls after which the memory of the process must not have grown.
    pub calls: u64,
    /// The number of threads that make calls at the same time.
    pub threads: usize,
    /// The size of the largest request body that the cases send, in MiB.
    pub body_mib: usize,
    /// The number of random inputs that each fuzzing case generates.
    pub fuzz: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { calls: 10_000, threads: 64, body_mib: 64, fuzz: 256 }
    }
}

/// The reason why a config file cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read `{}`: {source}", path.display())]
    Read {
        /// The path of the config file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is not valid TOML, or has an unknown key.
    #[error("failed to parse `{}`: {source}", path.display())]
    Parse {
        /// The path of the config file.
        path: PathBuf,
        /// The error of the TOML parser, with the position in the file.
        source: Box<toml::de::Error>,
    },
}

impl Config {
    /// Reads a config from the TOML file at `path`.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not TOML, or has an unknown key.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        /// The maximum size of a config file, in bytes.
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
