//! Checks the names in the arguments of operations.

use mlflow_deploy_plugin_api::{Error, Result, text};

/// The maximum length of a name, in characters.
const MAX_NAME: usize = 128;

/// Returns the name of the deployment of a prediction. An application is its own endpoint.
pub(crate) fn deployment(endpoint: Option<String>, deployment_name: Option<String>) -> Result<String> {
    match (deployment_name, endpoint) {
        (Some(name), Some(endpoint)) if name != endpoint => Err(Error::invalid_parameter(format!(
            "the deployment `{name}` and the endpoint `{endpoint}` are given: Ray Serve has no endpoints above its \
             deployments; give only the deployment"
        ))),
        (Some(name), _) | (None, Some(name)) => Ok(name),
        (None, None) => Err(Error::invalid_parameter("no deployment given: set `deployment_name` (`--name`)")),
    }
}

/// Checks the arguments that name an existing deployment. It may be an application with any name.
pub(crate) fn check_existing(name: &str, endpoint: Option<&str>) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid_parameter("no deployment given: set `name`"));
    }
    no_endpoint(endpoint)
}

/// Fails if an endpoint is given.
pub(crate) fn no_endpoint(endpoint: Option<&str>) -> Result<()> {
    match endpoint {
        None => Ok(()),
        Some(endpoint) => Err(Error::invalid_parameter(format!(
            "the endpoint `{endpoint}` cannot be used: Ray Serve has no endpoints above its deployments; omit it"
        ))),
    }
}

/// Checks a name, which becomes the route of the deployment.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let starts = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    let fits = name.chars().all(|each| each.is_ascii_alphanumeric() || "-_.".contains(each));
    if starts && fits && name.len() <= MAX_NAME {
        return Ok(());
    }
    let shown: String = name.chars().take(MAX_NAME).collect();
    Err(Error::invalid_parameter(format!(
        "invalid name `{}` for a deployment: expected at most {MAX_NAME} of the letters a to z and A to Z, digits, `-`, \
         `_` and `.`, with a letter or a digit first",
        text::line(&shown)
    )))
}
