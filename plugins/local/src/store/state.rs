//! What is deployed, as it is written down.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

use super::directory::REBUILD;
use super::folder::is_id;
use crate::engine_config::DeploymentConfig;
use crate::shown::shown;

/// The form of the file. One that is newer is not understood, and not touched.
const FORMAT: u32 = 1;

/// Every deployment and endpoint, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    format: u32,
    pub(crate) deployments: BTreeMap<String, Deployment>,
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
}

/// One deployed model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deployment {
    /// Changes with every update, so that who has loaded the model sees that it is not the same any more.
    pub(crate) revision: String,
    /// The folder of its copy, in `models/`.
    pub(crate) folder: String,
    /// As it was given, without a password.
    pub(crate) model_uri: String,
    /// The version of the registered model that an alias or `latest` meant, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model_version: Option<String>,
    pub(crate) flavor: String,
    pub(crate) config: DeploymentConfig,
    /// The interpreter that it was made with, where Python runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) python: Option<PathBuf>,
    /// Milliseconds since 1970, as MLflow has them.
    pub(crate) creation_timestamp: u64,
    pub(crate) last_updated_timestamp: u64,
}

/// Deployments that are asked together, each for its share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// The weight of each deployment; they need not add up to anything.
    pub(crate) traffic: BTreeMap<String, u32>,
    pub(crate) creation_timestamp: u64,
    pub(crate) last_updated_timestamp: u64,
}

impl Default for State {
    fn default() -> Self {
        Self { format: FORMAT, deployments: BTreeMap::new(), endpoints: BTreeMap::new() }
    }
}

impl State {
    /// Reads a file's bytes. `shown` is its path, for messages.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` where it is not what this plugin writes, or a later version wrote it.
    pub(crate) fn parse(bytes: &[u8], shown: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        // Without the file, every copy of a model would be garbage.
        let damaged = |why: String| {
            Error::internal(format!(
                "`{shown}` is damaged: {why}; bring back a copy of it, or move it away and make it anew from the copies of \
                 models with: {REBUILD}"
            ))
        };
        let parsed = |error: serde_json::Error| damaged(error.to_string());
        let Version { format } = serde_json::from_slice(bytes).map_err(parsed)?;
        if format > FORMAT {
            return Err(Error::internal(format!(
                "`{shown}` was written by a later version, in format {format}: update this plugin, or choose another \
                 directory with the option `state_dir`"
            )));
        }
        let state: Self = serde_json::from_slice(bytes).map_err(parsed)?;
        match state.deployments.iter().find(|(_, deployment)| !is_id(&deployment.folder)) {
            Some((name, Deployment { folder, .. })) => {
                Err(damaged(format!("the folder of `{name}` is `{}`", folder.escape_debug())))
            }
            None => Ok(state),
        }
    }

    /// The deployment of a name, in an endpoint where one is given.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST`, with the names that there are.
    pub(crate) fn deployment(&self, name: &str, endpoint: Option<&str>) -> Result<&Deployment> {
        if let Some(endpoint) = endpoint
            && !self.endpoint(endpoint)?.traffic.contains_key(name)
        {
            return Err(missing(format!("the endpoint `{endpoint}` has no deployment `{}`", shown(name))));
        }
        self.deployments.get(name).ok_or_else(|| none("deployment", name, self.deployments.keys()))
    }

    /// The endpoint of a name.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST`, with the names that there are.
    pub(crate) fn endpoint(&self, name: &str) -> Result<&Endpoint> {
        self.endpoints.get(name).ok_or_else(|| none("endpoint", name, self.endpoints.keys()))
    }

    /// As [`Self::endpoint`], to be changed.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn endpoint_mut(&mut self, name: &str) -> Result<&mut Endpoint> {
        self.endpoint(name)?;
        Ok(self.endpoints.get_mut(name).expect("it was found"))
    }
}

fn none<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> Error {
    /// More than a few help nobody.
    const SHOWN: usize = 10;
    let mut known: Vec<String> = known.map(|name| format!("`{name}`")).take(SHOWN + 1).collect();
    if let Some(last) = known.get_mut(SHOWN) {
        *last = "…".to_owned();
    }
    let known = if known.is_empty() { "there is none".to_owned() } else { format!("there is {}", known.join(", ")) };
    missing(format!("no {what} is called `{}`: {known}", shown(name)))
}

fn missing(message: String) -> Error {
    Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, message)
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}
