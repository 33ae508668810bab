//! The JSON record of an endpoint, as `get_endpoint` and `list_endpoints` return it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::store::Endpoint;

/// The JSON record of an endpoint. `traffic` contains the weight of each deployment.
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
