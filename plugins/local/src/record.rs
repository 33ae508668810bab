//! Deployments and endpoints as records: what `get` and `list` answer.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::engine_config::{DeploymentConfig, Engine};
use crate::store::{Deployment, Endpoint, State};

/// A deployment, with the endpoints that it is in.
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

/// An endpoint, with the weight of each deployment.
#[derive(Serialize)]
pub(crate) struct EndpointRecord<'a> {
    name: &'a str,
    traffic: &'a BTreeMap<String, u32>,
    creation_timestamp: u64,
    last_updated_timestamp: u64,
}

impl<'a> EndpointRecord<'a> {
    pub(crate) fn new(name: &'a str, endpoint: &'a Endpoint) -> Self {
        Self {
            name,
            traffic: &endpoint.traffic,
            creation_timestamp: endpoint.creation_timestamp,
            last_updated_timestamp: endpoint.last_updated_timestamp,
        }
    }
}
