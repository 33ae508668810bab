//! The contents of `state.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

use super::layout::{REBUILD, is_id};
use super::name::excerpt;
use crate::config::DeploymentConfig;

/// The version of the format. A file with a later version is neither read nor changed.
const FORMAT: u32 = 1;

/// All deployments and endpoints, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    format: u32,
    pub(crate) deployments: BTreeMap<String, Deployment>,
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
}

/// One deployed model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deployment {
    /// An id that changes with every update, so that a process drops the model that it has loaded.
    pub(crate) revision: String,
    /// The folder of the copy, in `models/`.
    pub(crate) folder: String,
    /// The model URI without a password.
    pub(crate) model_uri: String,
    /// The version of the registered model; `None` for other models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model_version: Option<String>,
    pub(crate) flavor: String,
    pub(crate) config: DeploymentConfig,
    /// The Python interpreter; `None` if ONNX Runtime runs the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) python: Option<PathBuf>,
    /// Milliseconds since 1970, as in MLflow's records.
    pub(crate) creation_timestamp: u64,
    pub(crate) last_updated_timestamp: u64,
}

/// A group of deployments, each of which gets a share of the requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// The weight of each deployment. The weights may have any sum.
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
    /// Parses the contents of the file. `path` is for messages.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` if the file is damaged, or a later version wrote it.
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

    /// Returns a deployment, which must be in the endpoint if one is specified.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` with the existing names.
    pub(crate) fn deployment(&self, name: &str, endpoint: Option<&str>) -> Result<&Deployment> {
        if let Some(endpoint) = endpoint
            && !self.endpoint(endpoint)?.traffic.contains_key(name)
        {
            return Err(missing(format!("the endpoint `{endpoint}` has no deployment `{}`", excerpt(name))));
        }
        self.deployments.get(name).ok_or_else(|| unknown("deployment", name, self.deployments.keys()))
    }

    /// Returns an endpoint.
    ///
    /// # Errors
    /// `RESOURCE_DOES_NOT_EXIST` with the existing names.
    pub(crate) fn endpoint(&self, name: &str) -> Result<&Endpoint> {
        self.endpoints.get(name).ok_or_else(|| unknown("endpoint", name, self.endpoints.keys()))
    }

    /// Returns an endpoint for a change.
    ///
    /// # Errors
    /// Fails as [`Self::endpoint`] does.
    pub(crate) fn endpoint_mut(&mut self, name: &str) -> Result<&mut Endpoint> {
        self.endpoint(name)?;
        Ok(self.endpoints.get_mut(name).expect("it was found above"))
    }
}

/// Returns the error for a name that exists already.
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

/// Returns the milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}
