//! The config of the operation `run_local`: the address and the limits of the server, the config of a deployment, and
//! client options.

use std::env;
use std::num::NonZeroUsize;
use std::time::Duration;

use mlflow_deploy_plugin_api::{ClientOptions, Error, Result};
use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::limits::Limits;
use crate::config::{DeploymentConfig, EngineConfig};
use crate::engine::SessionOptions;

/// The default request timeout in seconds, if neither the config key `timeout` nor
/// `MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT` is set.
const DEFAULT_TIMEOUT: &str = "60";

/// The config of the operation `run_local`. The keys `host`, `port` and `timeout` have the same meaning as the options
/// of `mlflow models serve`.
#[derive(Debug, Deserialize)]
pub(crate) struct ServeConfig {
    /// The host name or IP address at which the server listens.
    #[serde(default = "loopback")]
    pub(super) host: String,
    /// Additional host names that are accepted in requests. The name `*` allows all host names.
    #[serde(default)]
    pub(super) allowed_hosts: Vec<String>,
    /// The port at which the server listens. The port 0 selects any free port.
    #[serde(default = "port")]
    pub(super) port: u16,
    /// The maximum time from the first byte of a request to the last byte of its response, in seconds.
    timeout: Option<Number>,
    /// The maximum length of a request body, in bytes.
    #[serde(default = "max_request_bytes")]
    max_request_bytes: usize,
    /// The maximum number of prediction requests that the server handles at the same time. The count includes requests
    /// that are still being read and those that wait for a session of ONNX Runtime.
    #[serde(default = "max_requests")]
    max_requests: NonZeroUsize,
    #[serde(flatten)]
    engine: EngineConfig,
    #[serde(flatten)]
    pub(super) settings: SessionOptions,
    #[serde(flatten)]
    options: Map<String, Value>,
}

impl ServeConfig {
    /// Returns the client option `onnxruntime`. The separate process that runs the model also needs this option.
    pub(super) fn onnxruntime(&self) -> Option<&Value> {
        self.options.get("onnxruntime")
    }

    /// Returns the client options in the config. The config contains them, because `run_local` is called without a
    /// client.
    ///
    /// # Errors
    /// Never fails in practice, because the options are a JSON object.
    pub(crate) fn options(&self) -> Result<ClientOptions> {
        ClientOptions::new(&self.options)
    }

    /// Returns the config for the model, in the form of a deployment's config.
    pub(super) fn deployment(&self) -> DeploymentConfig {
        DeploymentConfig::new(self.engine.clone(), self.settings.clone())
    }

    /// Returns the limits for requests. If the config has no timeout, uses `MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT`.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the timeout is invalid.
    pub(super) fn limits(&self) -> Result<Limits> {
        const VARIABLE: &str = "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT";
        let variable = || env::var(VARIABLE).ok().filter(|value| !value.is_empty());
        let (origin, value) = match (&self.timeout, variable()) {
            (Some(timeout), _) => ("the config's `timeout`", timeout.to_string()),
            (None, Some(timeout)) => (VARIABLE, timeout),
            (None, None) => ("the default", DEFAULT_TIMEOUT.to_owned()),
        };
        let timeout = value.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let timeout = timeout.filter(|timeout| !timeout.is_zero()).ok_or_else(|| {
            Error::invalid_parameter(format!(
                "{origin} is `{value}`: expected a number of seconds, more than 0, such as {DEFAULT_TIMEOUT}"
            ))
        })?;
        Ok(Limits { timeout, max_request_bytes: self.max_request_bytes, max_requests: self.max_requests.get() })
    }
}

fn loopback() -> String {
    "127.0.0.1".to_owned()
}

fn port() -> u16 {
    5000
}

fn max_request_bytes() -> usize {
    128 << 20
}

fn max_requests() -> NonZeroUsize {
    NonZeroUsize::new(1024).expect("1024 is not zero")
}
