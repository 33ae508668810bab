//! Recognizes the errors that say that a model does not exist or is not loaded. Servers send them with different
//! statuses.

use mlflow_deploy_plugin_api::{Error, ErrorCode};
use serde_json::Value;

/// The parts of error messages that say that a model is not loaded: those of Triton with the status 400 or 503.
const NOT_LOADED: [&str; 4] =
    ["unknown model", "no available versions", "no version is available", "version not ready"];

/// Returns the error of a request about the model `name`, with the code `RESOURCE_DOES_NOT_EXIST` if the server says
/// that the model is not loaded.
pub(crate) fn explained(error: Error, name: &str) -> Error {
    let Some(http) = error.http() else { return error };
    if http.status == 404 {
        let is_of_server = serde_json::from_str::<Value>(&http.body).is_ok_and(|body| body["error"].is_string());
        let hint = match is_of_server {
            true => "",
            false => "; if the URL is wrong, set one of a server of the Open Inference Protocol, without `/v2`",
        };
        return missing(&error, format!("no model `{name}` is loaded: {}{hint}", error.message()));
    }
    if is_not_loaded(&error) {
        return missing(&error, format!("no model `{name}` is loaded: {}", error.message()));
    }
    error
}

/// Returns true if the server says that a model is not loaded.
pub(crate) fn is_not_loaded(error: &Error) -> bool {
    let Some(http) = error.http() else { return false };
    http.status == 404 || matches!(http.status, 400 | 503) && NOT_LOADED.iter().any(|text| http.body.contains(text))
}

fn missing(error: &Error, message: String) -> Error {
    let missing = Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, message);
    match error.http() {
        Some(http) => missing.with_http(http.clone()),
        None => missing,
    }
}
