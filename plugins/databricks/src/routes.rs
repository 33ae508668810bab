//! The URL paths of Databricks' serving API. The name of an endpoint is one segment of a path.

use mlflow_deploy_http::encode_segment;
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};

/// The path of the list of endpoints, with the trailing slash that MLflow sends.
pub(crate) const ENDPOINTS: &str = "/api/2.0/serving-endpoints/";

/// Returns the path of an endpoint.
pub(crate) fn endpoint(name: &str) -> Result<String> {
    Ok(format!("{ENDPOINTS}{}", segment(name)?))
}

/// Returns the path of an endpoint's part, such as its `config`.
pub(crate) fn part(name: &str, part: &str) -> Result<String> {
    Ok(format!("{}/{part}", endpoint(name)?))
}

/// Returns the path of the logs of a served model. `logs` is `logs` or `build-logs`.
pub(crate) fn model_logs(name: &str, model: &str, logs: &str) -> Result<String> {
    Ok(format!("{}/served-models/{}/{logs}", endpoint(name)?, encode_segment(model)?))
}

/// Returns the path of an endpoint's permissions, which contains the endpoint's id instead of its name.
pub(crate) fn permissions(id: &str) -> Result<String> {
    Ok(format!("/api/2.0/permissions/serving-endpoints/{}", encode_segment(id)?))
}

/// Returns the path to which prediction requests for an endpoint are sent.
pub(crate) fn invocations(name: &str) -> Result<String> {
    Ok(format!("/serving-endpoints/{}/invocations", segment(name)?))
}

/// Adds a hint to `error`, the error of a request to `path`, if the server does not have the route. Returns all other
/// errors unchanged. A 404 means that the route is missing if `path` is [`ENDPOINTS`], or if the server's message says
/// so. Every other 404 means that the endpoint is missing.
pub(crate) fn explained(error: Error, path: &str) -> Error {
    match error.http() {
        Some(http) if http.status == 404 && (path == ENDPOINTS || is_missing_route(&error, &http.body)) => {
            let message = format!("{}; the server does not have this route: check `host`", error.message());
            Error::new(ErrorCode::new("ENDPOINT_NOT_FOUND"), message).with_http(http.clone())
        }
        _ => error,
    }
}

/// Returns true if a 404 comes from a server without this API: a workspace names the error, and a web server sends a page.
fn is_missing_route(error: &Error, body: &str) -> bool {
    let is_unnamed = !error.details().contains_key("error_code");
    let is_other = body.trim_start().starts_with('<') || body.contains("\"detail\"");
    error.message().contains("No API found") || is_unnamed && is_other
}

fn segment(name: &str) -> Result<String> {
    if name.is_empty() {
        return Err(Error::invalid_parameter("no endpoint is specified: set `endpoint` to its name"));
    }
    encode_segment(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_of_the_path() {
        assert_eq!(endpoint("a/b c?d#e%20f").unwrap(), "/api/2.0/serving-endpoints/a%2Fb%20c%3Fd%23e%2520f");
        assert_eq!(invocations("チ").unwrap(), "/serving-endpoints/%E3%83%81/invocations");
        assert_eq!(part("/etc", "config").unwrap(), "/api/2.0/serving-endpoints/%2Fetc/config");
        for name in ["", ".", ".."] {
            endpoint(name).unwrap_err();
        }
        model_logs("a", "..", "logs").unwrap_err();
    }
}
