//! The contents of `state.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

use super::layout::{REBUILD, is_id};
use super::name::excerpt;
use crate::config::DeploymentConfig;

/// The version of the format of `state.json`. The plugin neither reads nor changes a file with a later version.
const FORMAT: u32 = 1;

/// The contents of `state.json`: all deployments and endpoints, with their names as keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    format: u32,
    pub(crate) deployments: BTreeMap<String, Deployment>,
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
}

/// A deployed model, as `state.json` stores it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deployment {
    /// A random id that changes with each update of the deployment. Processes detect by it that their loaded model is
    /// outdated.
    pub(crate) revision: String,
    /// The name of the copied model's folder in `models/`.
    pub(crate) folder: String,
    /// The URI of the model, without a password.
    pub(crate) model_uri: String,
    /// The version of the registered model; `None` if the URI does not name a registered model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model_version: Option<String>,
    pub(crate) flavor: String,
    pub(crate) config: DeploymentConfig,
    /// The path of the Python interpreter that runs the model; `None` if ONNX Runtime runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) python: Option<PathBuf>,
    /// The time of the creation, in milliseconds since 1970, as in MLflow's records.
    pub(crate) creation_timestamp: u64,
    pub(crate) last_updated_timestamp: u64,
}

/// An endpoint: a group of deployments that share its requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// The weight of each deployment. A deployment's share of the requests is proportional to its weight.
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
    /// Parses the contents of `state.json`. `path` is the path of the file, for error messages.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` if the file is damaged, or if a later version of this plugin wrote it.
    pub(crate) fn parse(bytes: &[u8], path: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        // The message does not advise removing the file: without the file, every copy of a model would be garbage.
        let damaged = |reason: String| {
            Error::internal(format!(
                "`{path}` is damaged: {reason}; restore it from a backup, or move it away and rebuild it from the \
                 copies of models with: {REBUILD}"
            ))
        };
        let parsed = |error: serde_json::Error| damaged(error.to_string());
        let Version { format } = serde_json::from_slice(bytes).map_err(parsed)?;
        if format > FORMAT {
            return Err(Error::internal(format!(
                "`{path}` was written by a later version, in format {format}: update this plugin, or choose another \
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

    /// Returns the deployment `name`. If `endpoint` is given, the deployment must belong to that endpoint.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` if the deployment or the endpoint does not exist, or if the deployment does not belong
    /// to the endpoint.
    pub(crate) fn deployment(&self, name: &str, endpoint: Option<&str>) -> Result<&Deployment> {
        if let Some(endpoint) = endpoint
            && !self.endpoint(endpoint)?.traffic.contains_key(name)
        {
            return Err(missing(format!("the endpoint `{endpoint}` has no deployment `{}`", excerpt(name))));
        }
        self.deployments.get(name).ok_or_else(|| unknown("deployment", name, self.deployments.keys()))
    }

    /// Returns the endpoint `name`.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` if the endpoint does not exist. The message lists the existing endpoints.
    pub(crate) fn endpoint(&self, name: &str) -> Result<&Endpoint> {
        self.endpoints.get(name).ok_or_else(|| unknown("endpoint", name, self.endpoints.keys()))
    }

    /// Returns the endpoint `name` as a mutable reference.
    ///
    /// # Errors
    /// Fails as [`Self::endpoint`] does.
    pub(crate) fn endpoint_mut(&mut self, name: &str) -> Result<&mut Endpoint> {
        self.endpoint(name)?;
        Ok(self.endpoints.get_mut(name).expect("it was found above"))
    }
}

/// Returns the error for creating a deployment or endpoint whose name already exists. `what` is `deployment` or
/// `endpoint`.
pub(crate) fn taken(what: &str, name: &str) -> Error {
    Error::new(
        ErrorCode::RESOURCE_ALREADY_EXISTS,
        format!("the {what} `{name}` exists already: update it, or delete it first"),
    )
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> Error {
    const MAX_NAMES: usize = 10;
    let mut known: Vec<String> = known.map(|name| format!("`{name}`")).take(MAX_NAMES + 1).collect();
    if let Some(last) = known.get_mut(MAX_NAMES) {
        *last = "…".to_owned();
    }
    let name = excerpt(name);
    missing(match known.as_slice() {
        [] => format!("the {what} `{name}` does not exist: no {what}s exist"),
        known => format!("the {what} `{name}` does not exist: expected one of {}", known.join(", ")),
    })
}

fn missing(message: String) -> Error {
    Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, message)
}

/// Returns the current time, in milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}
