//! What `run_local` is told: where to listen, within which limits, and how the model is to run.

use std::env;
use std::num::NonZeroUsize;
use std::time::Duration;

use mlflow_deploy_plugin_api::{ClientOptions, Error, Result};
use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::limits::Limits;
use crate::engine::SessionOptions;
use crate::engine_config::{DeploymentConfig, EngineConfig};

/// Seconds, where neither the config nor `MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT` says otherwise.
const TIMEOUT: &str = "60";

/// The config. Its `host`, `port` and `timeout` are those of `mlflow models serve`.
#[derive(Debug, Deserialize)]
pub(crate) struct ServeConfig {
    /// A name or an address to listen at.
    #[serde(default = "loopback")]
    pub(super) host: String,
    /// Further names that requests may ask for; `*` is any.
    #[serde(default)]
    pub(super) allowed_hosts: Vec<String>,
    /// 0 for any that is free.
    #[serde(default = "port")]
    pub(super) port: u16,
    /// Seconds that a request may take, from its first byte to the last of its answer.
    timeout: Option<Number>,
    /// How long the body of a request may be.
    #[serde(default = "max_request_bytes")]
    max_request_bytes: usize,
    /// How many requests are taken on at once: being read, waiting for a session, or predicted.
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
    /// What of them a process with the model has to know.
    pub(super) fn onnxruntime(&self) -> Option<&Value> {
        self.options.get("onnxruntime")
    }

    /// The client options among the config, for there is no client here: what is nothing else.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE`, which does not happen: an object is an object.
    pub(crate) fn options(&self) -> Result<ClientOptions> {
        ClientOptions::new(&self.options)
    }

    /// How the model is to run: as a deployment.
    pub(super) fn deployment(&self) -> DeploymentConfig {
        DeploymentConfig { engine: self.engine.clone(), onnx: self.settings.clone() }
    }

    /// The limits, with MLflow's environment variable.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the timeout is none.
    pub(super) fn limits(&self) -> Result<Limits> {
        const VARIABLE: &str = "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT";
        let variable = || env::var(VARIABLE).ok().filter(|value| !value.is_empty());
        let (place, given) = match (&self.timeout, variable()) {
            (Some(timeout), _) => ("the config's `timeout`", timeout.to_string()),
            (None, Some(timeout)) => (VARIABLE, timeout),
            (None, None) => ("the default", TIMEOUT.to_owned()),
        };
        let timeout = given.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let timeout = timeout.filter(|timeout| !timeout.is_zero()).ok_or_else(|| {
            Error::invalid_parameter(format!("{place} is `{given}`: expected seconds, more than 0, such as {TIMEOUT}"))
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
    NonZeroUsize::new(1024).expect("it is not zero")
}
