//! The config of `run_local`: the address, the limits, the deployment's config and client options.

use std::env;
use std::num::NonZeroUsize;
use std::time::Duration;

use mlflow_deploy_plugin_api::{ClientOptions, Error, Result};
use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::limits::Limits;
use crate::config::{DeploymentConfig, EngineConfig};
use crate::engine::SessionOptions;

/// The default of `timeout` and `MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT`, in seconds.
const DEFAULT_TIMEOUT: &str = "60";

/// The config of `run_local`. `host`, `port` and `timeout` are those of `mlflow models serve`.
#[derive(Debug, Deserialize)]
pub(crate) struct ServeConfig {
    /// The name or address to listen at.
    #[serde(default = "loopback")]
    pub(super) host: String,
    /// Additional host names that requests may use; `*` allows any.
    #[serde(default)]
    pub(super) allowed_hosts: Vec<String>,
    /// The port to listen at; 0 for any free port.
    #[serde(default = "port")]
    pub(super) port: u16,
    /// The maximum time from the first byte of a request to the last byte of its response, in seconds.
    timeout: Option<Number>,
    /// The maximum length of a request's body, in bytes.
    #[serde(default = "max_request_bytes")]
    max_request_bytes: usize,
    /// The maximum number of concurrent requests: being read, waiting for a session, or predicted.
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
    /// Returns the client option `onnxruntime`, which the process of the model needs too.
    pub(super) fn onnxruntime(&self) -> Option<&Value> {
        self.options.get("onnxruntime")
    }

    /// Returns the remaining keys as client options, which are part of the config because `run_local` has no client.
    ///
    /// # Errors
    /// Does not fail in practice, because the keys form a JSON object.
    pub(crate) fn options(&self) -> Result<ClientOptions> {
        ClientOptions::new(&self.options)
    }

    /// Returns the config of the deployment that runs the model.
    pub(super) fn deployment(&self) -> DeploymentConfig {
        DeploymentConfig { engine: self.engine.clone(), onnx: self.settings.clone() }
    }

    /// Returns the limits. The default timeout is that of MLflow's environment variable.
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
