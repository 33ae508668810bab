//! Endpoints: names that stand for several deployments, and share requests out among them.

use std::collections::BTreeMap;

use mlflow_deploy_plugin_api::{Config, Error, ErrorCode, Result};
use serde::Deserialize;

use crate::deployments::taken;
use crate::store::{Endpoint, State, check_name, now};

/// The config of an endpoint.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    traffic: Option<BTreeMap<String, u32>>,
}

/// Makes an endpoint.
///
/// # Errors
/// `RESOURCE_ALREADY_EXISTS` where the name is taken, and as [`check`].
pub(crate) fn create(state: &mut State, name: &str, config: &Config) -> Result<Endpoint> {
    check_name("an endpoint", name)?;
    let traffic = config.parse::<Settings>()?.traffic.unwrap_or_default();
    if state.endpoints.contains_key(name) {
        return Err(taken("endpoint", name));
    }
    check(state, &traffic)?;
    let endpoint = Endpoint { traffic, creation_timestamp: now(), last_updated_timestamp: now() };
    state.endpoints.insert(name.to_owned(), endpoint.clone());
    Ok(endpoint)
}

/// Splits the traffic of an endpoint anew.
///
/// # Errors
/// `RESOURCE_DOES_NOT_EXIST` where there is no such endpoint, and as [`check`].
pub(crate) fn update(state: &mut State, name: &str, config: &Config) -> Result<Endpoint> {
    state.endpoint(name)?;
    let Some(traffic) = config.parse::<Settings>()?.traffic else {
        return Err(Error::invalid_parameter("nothing to change was given: expected the config key `traffic`"));
    };
    check(state, &traffic)?;
    let endpoint = state.endpoint_mut(name)?;
    *endpoint = Endpoint { traffic, last_updated_timestamp: now(), ..*endpoint };
    Ok(endpoint.clone())
}

/// Chooses the deployment that answers one request.
///
/// # Errors
/// `RESOURCE_DOES_NOT_EXIST` where there is no such endpoint, or no deployment in it that gets requests.
pub(crate) fn choose(state: &State, name: &str) -> Result<String> {
    let traffic = &state.endpoint(name)?.traffic;
    let total: u64 = traffic.values().map(|weight| u64::from(*weight)).sum();
    if total == 0 {
        return Err(Error::new(
            ErrorCode::RESOURCE_DOES_NOT_EXIST,
            format!(
                "the endpoint `{name}` has no deployment that gets requests: deploy one with this endpoint, or split its \
                 traffic with the config key `traffic`"
            ),
        ));
    }
    let mut point = fastrand::u64(..total);
    let chosen = traffic.iter().find(|(_, weight)| {
        let is_here = point < u64::from(**weight);
        point = point.saturating_sub(u64::from(**weight));
        is_here
    });
    Ok(chosen.expect("the point is below the total").0.clone())
}

/// Refuses a split that cannot be meant.
///
/// # Errors
/// `RESOURCE_DOES_NOT_EXIST` for a deployment that is none, `INVALID_PARAMETER_VALUE` where nobody would get requests.
fn check(state: &State, traffic: &BTreeMap<String, u32>) -> Result<()> {
    for name in traffic.keys() {
        state.deployment(name, None)?;
    }
    if !traffic.is_empty() && traffic.values().all(|weight| *weight == 0) {
        return Err(Error::invalid_parameter(
            "`traffic` gives every deployment 0: expected at least one that gets requests",
        ));
    }
    Ok(())
}
