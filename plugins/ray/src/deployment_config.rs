//! The config of the operations that create and update a deployment.

use std::collections::BTreeMap;
use std::time::Duration;

use mlflow_deploy_plugin_api::{Config, Error, Result, Secret};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The default of the config key `timeout`. The packages of `pip` may be installed in this time.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20 * 60);

/// All keys of the config, in the order of the help.
const KEYS: [&str; 16] = [
    "num_replicas",
    "autoscaling",
    "num_cpus",
    "num_gpus",
    "memory",
    "max_ongoing_requests",
    "route_prefix",
    "pip",
    "env",
    "model_source",
    "check_python",
    "wait",
    "timeout",
    "application",
    "deployment",
    "serve",
];

/// The validated config of a deployment. A key that is not given changes nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DeploymentConfig {
    pub(crate) num_replicas: Option<u64>,
    pub(crate) autoscaling: Option<Map<String, Value>>,
    pub(crate) num_cpus: Option<f64>,
    pub(crate) num_gpus: Option<f64>,
    pub(crate) memory: Option<u64>,
    pub(crate) max_ongoing_requests: Option<u64>,
    pub(crate) route_prefix: Option<String>,
    pub(crate) pip: Option<Vec<String>>,
    pub(crate) env: Option<BTreeMap<String, Secret>>,
    pub(crate) model_source: ModelSource,
    pub(crate) check_python: Option<bool>,
    wait: Option<bool>,
    timeout: Option<f64>,
    /// Further keys of the application, as Ray names them.
    pub(crate) application: Map<String, Value>,
    /// Further keys of the deployment, as Ray names them.
    pub(crate) deployment: Map<String, Value>,
    /// The settings with which Serve starts, as Ray names them.
    pub(crate) serve: Map<String, Value>,
}

/// The place from which the replicas read the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ModelSource {
    /// The place that the model URI names, which the cluster can reach.
    Remote,
    /// The package that this plugin uploads.
    #[default]
    Upload,
}

impl DeploymentConfig {
    /// Parses and validates the config.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a key is unknown, a value is invalid, or two keys contradict each other.
    pub(crate) fn parse(config: &Config) -> Result<Self> {
        config.check_keys(&KEYS)?;
        let this: Self = config.parse()?;
        this.check()?;
        Ok(this)
    }

    /// Returns true if the operation returns when the deployment is ready.
    pub(crate) fn waits(&self) -> bool {
        self.wait.unwrap_or(true)
    }

    /// Returns the maximum time of the change.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(DEFAULT_TIMEOUT)
    }

    fn check(&self) -> Result<()> {
        let fails = |key: &str, value: &dyn std::fmt::Display, expected: &str| {
            Err(Error::invalid_parameter(format!("`{key}` is `{value}`: expected {expected}")))
        };
        if self.num_replicas.is_some() && self.autoscaling.is_some() {
            return Err(Error::invalid_parameter(
                "both `num_replicas` and `autoscaling` are given: a deployment has a fixed number of replicas, or one that \
                 follows its load",
            ));
        }
        for (key, value) in [("num_replicas", self.num_replicas), ("max_ongoing_requests", self.max_ongoing_requests)] {
            if value == Some(0) {
                return fails(key, &0, "1 or more");
            }
        }
        for (key, value) in [("num_cpus", self.num_cpus), ("num_gpus", self.num_gpus)] {
            if let Some(value) = value.filter(|value| !(value.is_finite() && *value >= 0.0)) {
                return fails(key, &value, "0 or more");
            }
        }
        if let Some(seconds) = self.timeout.filter(|seconds| seconds.is_nan() || *seconds <= 0.0) {
            return fails("timeout", &seconds, "a number of seconds, more than 0");
        }
        match &self.route_prefix {
            Some(route) if !is_route(route) => {
                fails("route_prefix", route, "a path such as `/iris`, without `/` at its end, `{`, `?`, `#` or blanks")
            }
            _ => Ok(()),
        }
    }
}

/// Returns true if a text is a route that Serve accepts.
fn is_route(route: &str) -> bool {
    let is_path = route == "/" || route.starts_with('/') && !route.ends_with('/');
    is_path
        && !route.contains(['{', '}', '?', '#', '%'])
        && !route.chars().any(|each| each.is_whitespace() || each.is_control())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(config: &Value) -> Result<DeploymentConfig> {
        DeploymentConfig::parse(&Config::new(config).unwrap())
    }

    #[test]
    fn every_key_is_read() {
        let config = json!({
            "num_replicas": 2, "num_cpus": 0.5, "num_gpus": 0, "memory": 1024, "max_ongoing_requests": 3,
            "route_prefix": "/a/b", "pip": ["x"], "env": {"A": "s3cret"}, "model_source": "remote", "check_python": false,
            "wait": false, "timeout": 1.5, "application": {"external_scaler_enabled": true}, "deployment": {}, "serve": {},
        });
        let parsed = parse(&config).unwrap();
        assert_eq!((parsed.num_replicas, parsed.memory, parsed.waits()), (Some(2), Some(1024), false));
        assert_eq!((parsed.timeout(), parsed.model_source), (Duration::from_millis(1500), ModelSource::Remote));
        assert!(!format!("{parsed:?}").contains("s3cret"));
        let default = parse(&json!({})).unwrap();
        assert_eq!(
            (default.waits(), default.timeout(), default.model_source),
            (true, DEFAULT_TIMEOUT, ModelSource::Upload)
        );
    }

    #[test]
    fn wrong_values_are_rejected() {
        for (config, said) in [
            (json!({"num_replica": 1}), "did you mean `num_replicas`?"),
            (json!({"num_replicas": 0}), "`num_replicas` is `0`: expected 1 or more"),
            (json!({"num_replicas": 1, "autoscaling": {}}), "both `num_replicas` and `autoscaling`"),
            (json!({"num_replicas": "two"}), "num_replicas"),
            (json!({"num_cpus": -1}), "`num_cpus` is `-1`: expected 0 or more"),
            (json!({"timeout": 0}), "`timeout` is `0`"),
            (json!({"route_prefix": "iris"}), "`route_prefix` is `iris`: expected a path"),
            (json!({"route_prefix": "/iris/"}), "`route_prefix` is `/iris/`"),
            (json!({"model_source": "disk"}), "model_source"),
            (json!({"env": {"A": 1}}), "env"),
        ] {
            let message = parse(&config).unwrap_err().message().to_owned();
            assert!(message.contains(said), "{message}");
        }
    }
}
