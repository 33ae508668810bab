//! Creates and updates endpoints, and chooses the deployment that answers a request to an endpoint.

use std::collections::BTreeMap;

use mlflow_deploy_plugin_api::{Config, Error, ErrorCode, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::store::{Endpoint, State, check_name, now, taken};

/// The config of an operation that updates an endpoint.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EndpointConfig {
    traffic: Option<BTreeMap<String, u32>>,
}

/// The config of an operation that creates an endpoint. It may contain the endpoint's name, which is ignored.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NewEndpointConfig {
    #[serde(rename = "name")]
    _name: IgnoredAny,
    traffic: Option<BTreeMap<String, u32>>,
}

/// Creates the endpoint `name` in the state.
///
/// # Errors
/// `RESOURCE_ALREADY_EXISTS` if the endpoint exists. Also fails as [`check_name`] and [`check`] do.
pub(crate) fn create(state: &mut State, name: &str, config: &Config) -> Result<Endpoint> {
    check_name("an endpoint", name)?;
    let traffic = config.parse::<NewEndpointConfig>()?.traffic.unwrap_or_default();
    if state.endpoints.contains_key(name) {
        return Err(taken("endpoint", name));
    }
    check(state, &traffic)?;
    let endpoint = Endpoint { traffic, creation_timestamp: now(), last_updated_timestamp: now() };
    state.endpoints.insert(name.to_owned(), endpoint.clone());
    Ok(endpoint)
}

/// Replaces the traffic weights of the endpoint `name`.
///
/// # Errors
/// `RESOURCE_DOES_NOT_EXIST` if the endpoint does not exist. Also fails as [`check`] does.
pub(crate) fn update(state: &mut State, name: &str, config: &Config) -> Result<Endpoint> {
    state.endpoint(name)?;
    let Some(traffic) = config.parse::<EndpointConfig>()?.traffic else {
        return Err(Error::invalid_parameter("nothing to update: specify the config key `traffic`"));
    };
    check(state, &traffic)?;
    let endpoint = state.endpoint_mut(name)?;
    *endpoint = Endpoint { traffic, last_updated_timestamp: now(), ..*endpoint };
    Ok(endpoint.clone())
}

/// Chooses a deployment of the endpoint `name` at random. The probability of a deployment is proportional to its
/// traffic weight.
///
/// # Errors
/// `RESOURCE_DOES_NOT_EXIST` if the endpoint does not exist, or if all its weights are 0.
pub(crate) fn choose(state: &State, name: &str) -> Result<String> {
    let traffic = &state.endpoint(name)?.traffic;
    let total: u64 = traffic.values().map(|weight| u64::from(*weight)).sum();
    if total == 0 {
        return Err(Error::new(
            ErrorCode::RESOURCE_DOES_NOT_EXIST,
            format!(
                "the endpoint `{name}` has no deployment with a weight above 0: create a deployment with this \
                 endpoint, or update the endpoint with the config key `traffic`"
            ),
        ));
    }
    let mut point = fastrand::u64(..total);
    let chosen = traffic.iter().find(|(_, weight)| {
        let is_chosen = point < u64::from(**weight);
        point = point.saturating_sub(u64::from(**weight));
        is_chosen
    });
    Ok(chosen.expect("the point is below the total").0.clone())
}

/// Checks the traffic weights of an endpoint.
///
/// # Errors
/// `RESOURCE_DOES_NOT_EXIST` if a deployment in `traffic` does not exist, `INVALID_PARAMETER_VALUE` if all weights are
/// 0.
fn check(state: &State, traffic: &BTreeMap<String, u32>) -> Result<()> {
    for name in traffic.keys() {
        state.deployment(name, None)?;
    }
    if !traffic.is_empty() && traffic.values().all(|weight| *weight == 0) {
        return Err(Error::invalid_parameter("every weight in `traffic` is 0: expected at least one above 0"));
    }
    Ok(())
}
