//! The config of `create_deployment`, `update_deployment` and `delete_deployment`: the keys of MLflow's client, with its defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use mlflow_deploy_aws::check_region;
use mlflow_deploy_plugin_api::{Config, Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::check_role;
use crate::storage::check_bucket;

const INSTANCE_TYPE: &str = "ml.m4.xlarge";

/// The maximum time of a creation or an update, and of a deletion, in seconds.
const TIMEOUTS: [f64; 2] = [1200.0, 300.0];

/// The keys of a deletion, which a creation and an update have too.
pub(crate) const DELETE_KEYS: [&str; 5] =
    ["archive", "assume_role_arn", "region_name", "synchronous", "timeout_seconds"];

const DEPLOY_KEYS: [&str; 18] = [
    "archive",
    "assume_role_arn",
    "async_inference_config",
    "bucket",
    "data_capture_config",
    "env",
    "execution_role_arn",
    "image_url",
    "instance_count",
    "instance_type",
    "mode",
    "region_name",
    "serverless_config",
    "synchronous",
    "tags",
    "timeout_seconds",
    "variant_name",
    "vpc_config",
];

/// The tag that marks the resources of an endpoint. MLflow's client sets it.
pub(crate) const NAME_TAG: &str = "app_name";

/// The effect of an update on the variants that an endpoint has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Keeps them, and adds the new variant with the weight 0.
    Add,
    /// Removes them.
    Replace,
}

/// The config of an operation. `None` and `null` mean the default.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DeploymentConfig {
    pub(crate) archive: Option<bool>,
    pub(crate) assume_role_arn: Option<String>,
    pub(crate) async_inference_config: Option<Map<String, Value>>,
    pub(crate) bucket: Option<String>,
    pub(crate) data_capture_config: Option<Map<String, Value>>,
    env: Option<BTreeMap<String, Value>>,
    pub(crate) execution_role_arn: Option<String>,
    pub(crate) image_url: Option<String>,
    instance_count: Option<u32>,
    instance_type: Option<String>,
    mode: Option<String>,
    pub(crate) region_name: Option<String>,
    serverless_config: Option<Map<String, Value>>,
    synchronous: Option<bool>,
    tags: Option<BTreeMap<String, Value>>,
    timeout_seconds: Option<f64>,
    pub(crate) variant_name: Option<String>,
    pub(crate) vpc_config: Option<Map<String, Value>>,
}

impl DeploymentConfig {
    /// Reads the config of a creation or an update.
    pub(crate) fn of_change(config: &Config) -> Result<Self> {
        Self::read(config, &DEPLOY_KEYS)
    }

    /// Reads the config of a deletion.
    pub(crate) fn of_deletion(config: &Config) -> Result<Self> {
        Self::read(config, &DELETE_KEYS)
    }

    fn read(config: &Config, known: &[&str]) -> Result<Self> {
        config.check_keys(known)?;
        let read: Self = config.parse()?;
        for (name, role) in
            [("execution_role_arn", &read.execution_role_arn), ("assume_role_arn", &read.assume_role_arn)]
        {
            if let Some(role) = role {
                check_role(&format!("`{name}`"), role)?;
            }
        }
        read.region_name.as_deref().map_or(Ok(()), check_region)?;
        read.bucket.as_deref().map_or(Ok(()), check_bucket)?;
        if read.timeout_seconds.is_some_and(|seconds| Duration::try_from_secs_f64(seconds).is_err() || seconds == 0.0) {
            return Err(Error::invalid_parameter(
                "invalid `timeout_seconds`: expected a number of seconds, more than 0",
            ));
        }
        if !read.is_synchronous() && !read.archive() {
            return Err(Error::invalid_parameter(
                "`synchronous` is `false` and `archive` is not `true`: the replaced resources can only be deleted after the \
                 change is complete; set `archive` to `true`, or wait for the change",
            ));
        }
        if read.instance_count == Some(0) {
            return Err(Error::invalid_parameter("invalid `instance_count` `0`: expected 1 or more"));
        }
        if read.is_serverless() && (read.instance_type.is_some() || read.instance_count.is_some()) {
            return Err(Error::invalid_parameter(
                "`serverless_config` is set together with `instance_type` or `instance_count`: a serverless variant has no \
                 instances; set only one of both",
            ));
        }
        if read.tags.as_ref().is_some_and(|tags| tags.contains_key(NAME_TAG)) {
            return Err(Error::invalid_parameter(format!(
                "the tag `{NAME_TAG}` is set by this target: choose another name"
            )));
        }
        Ok(read)
    }

    /// Returns the mode of an update.
    pub(crate) fn update_mode(&self) -> Result<Mode> {
        match self.mode.as_deref() {
            None | Some("replace") => Ok(Mode::Replace),
            Some("add") => Ok(Mode::Add),
            Some(other) => Err(Error::invalid_parameter(format!(
                "invalid `mode` `{other}` for an update: expected `replace` or `add`"
            ))),
        }
    }

    /// Fails if the mode is not that of a creation.
    pub(crate) fn check_create_mode(&self) -> Result<()> {
        match self.mode.as_deref() {
            None | Some("create") => Ok(()),
            Some(other) => Err(Error::invalid_parameter(format!(
                "invalid `mode` `{other}` for a creation: expected `create`; `add` and `replace` are modes of `update`"
            ))),
        }
    }

    /// Returns true if the replaced or deleted resources are kept.
    pub(crate) fn archive(&self) -> bool {
        self.archive.unwrap_or(false)
    }

    /// Returns true if the operation waits until the change is complete.
    pub(crate) fn is_synchronous(&self) -> bool {
        self.synchronous.unwrap_or(true)
    }

    fn is_serverless(&self) -> bool {
        self.serverless_config.as_ref().is_some_and(|config| !config.is_empty())
    }

    /// Returns the maximum time of a creation or an update.
    pub(crate) fn change_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout_seconds.unwrap_or(TIMEOUTS[0]))
    }

    /// Returns the maximum time of a deletion.
    pub(crate) fn delete_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout_seconds.unwrap_or(TIMEOUTS[1]))
    }

    /// Returns the production variant for a model.
    pub(crate) fn variant(&self, model: &str, weight: u32) -> Value {
        let name = self.variant_name.as_deref().unwrap_or(model);
        let mut variant = serde_json::json!({"VariantName": name, "ModelName": model, "InitialVariantWeight": weight});
        if self.is_serverless() {
            variant["ServerlessConfig"] = Value::from(self.serverless_config.clone().unwrap_or_default());
        } else {
            variant["InstanceType"] = self.instance_type.as_deref().unwrap_or(INSTANCE_TYPE).into();
            variant["InitialInstanceCount"] = self.instance_count.unwrap_or(1).into();
        }
        variant
    }

    /// Returns the variables for the container.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        self.env.iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
    }

    /// Returns the caller's tags.
    pub(crate) fn tags(&self) -> Vec<Value> {
        self.tags.iter().flatten().map(|(name, value)| tag(name, &text(value))).collect()
    }
}

/// Returns a tag as SageMaker writes it.
pub(crate) fn tag(name: &str, value: &str) -> Value {
    serde_json::json!({"Key": name, "Value": value})
}

/// Returns a value as text. Numbers are accepted in the place of their text, as in MLflow.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: &Value) -> Result<DeploymentConfig, String> {
        DeploymentConfig::of_change(&Config::new(config).unwrap()).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn defaults_are_those_of_mlflow() {
        for config in
            [json!({}), json!({"archive": null, "instance_type": null, "serverless_config": {}, "mode": null})]
        {
            let read = read(&config).unwrap();
            assert_eq!((read.archive(), read.is_synchronous(), read.change_timeout().as_secs()), (false, true, 1200));
            assert_eq!(read.delete_timeout().as_secs(), 300);
            assert_eq!(read.update_mode().unwrap(), Mode::Replace);
            read.check_create_mode().unwrap();
            let variant = json!({"VariantName": "m", "ModelName": "m", "InitialVariantWeight": 1, "InstanceType": "ml.m4.xlarge", "InitialInstanceCount": 1});
            assert_eq!(read.variant("m", 1), variant);
        }
    }

    #[test]
    fn a_serverless_variant_has_no_instances() {
        let config = json!({"serverless_config": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}, "variant_name": "v"});
        let variant = read(&config).unwrap().variant("m", 0);
        assert_eq!(
            variant,
            json!({"VariantName": "v", "ModelName": "m", "InitialVariantWeight": 0, "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}})
        );
    }

    #[test]
    fn faults_of_a_config_are_named() {
        for (config, message) in [
            (json!({"bucket_name": "b"}), "unknown config key `bucket_name`; did you mean `bucket`?"),
            (json!({"instance_typ": "b"}), "did you mean `instance_type`?"),
            (json!({"instance_count": "two"}), "`instance_count`"),
            (json!({"instance_count": 0}), "invalid `instance_count` `0`"),
            (json!({"archive": "yes"}), "`archive`"),
            (json!({"synchronous": false}), "`synchronous` is `false` and `archive` is not `true`"),
            (json!({"timeout_seconds": 0}), "invalid `timeout_seconds`"),
            (json!({"execution_role_arn": "role"}), "invalid role `role` in `execution_role_arn`"),
            (json!({"region_name": "EU/west"}), "invalid region `EU/west`"),
            (json!({"bucket": "s3://b"}), "invalid bucket `s3://b`"),
            (json!({"tags": {"app_name": "x"}}), "the tag `app_name` is set by this target"),
            (
                json!({"serverless_config": {"MaxConcurrency": 1}, "instance_count": 2}),
                "`serverless_config` is set together",
            ),
        ] {
            let error = read(&config).unwrap_err();
            assert!(error.contains(message), "{config}: {error}");
        }
        let of_mode = |mode: &str| read(&json!({"mode": mode})).unwrap();
        assert!(of_mode("create").update_mode().is_err() && of_mode("add").check_create_mode().is_err());
        assert_eq!(of_mode("add").update_mode().unwrap(), Mode::Add);
        let deletion = DeploymentConfig::of_deletion(&Config::new(&json!({"bucket": "bbb"})).unwrap());
        assert!(deletion.unwrap_err().message().contains("unknown config key `bucket`"));
    }
}
