//! The JSON record of a deployment, as the operations that create, update, get and list deployments return it.

use std::path::Path;

use serde::Serialize;

use crate::config::{DeploymentConfig, Engine};
use crate::store::{Deployment, State};

/// The JSON record of a deployment. It lists the endpoints that the deployment belongs to.
#[derive(Serialize)]
pub(crate) struct DeploymentRecord<'a> {
    name: &'a str,
    flavor: &'a str,
    engine: Engine,
    #[serde(skip_serializing_if = "Option::is_none")]
    python: Option<&'a Path>,
    model_uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<&'a str>,
    config: &'a DeploymentConfig,
    endpoints: Vec<&'a str>,
    creation_timestamp: u64,
    last_updated_timestamp: u64,
}

impl<'a> DeploymentRecord<'a> {
    pub(crate) fn new(name: &'a str, deployment: &'a Deployment, state: &'a State) -> Self {
        let endpoints = state.endpoints.iter().filter(|(_, endpoint)| endpoint.traffic.contains_key(name));
        Self {
            name,
            flavor: &deployment.flavor,
            engine: Engine::of_flavor(&deployment.flavor),
            python: deployment.python.as_deref(),
            model_uri: &deployment.model_uri,
            model_version: deployment.model_version.as_deref(),
            config: &deployment.config,
            endpoints: endpoints.map(|(name, _)| name.as_str()).collect(),
            creation_timestamp: deployment.creation_timestamp,
            last_updated_timestamp: deployment.last_updated_timestamp,
        }
    }
}
