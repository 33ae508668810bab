//! The HTTP routes of the fake Databricks workspace.

use serde_json::json;

use crate::answer::Answer;
use crate::databricks::api_error::{ApiError, ApiResult};
use crate::databricks::state::WorkspaceState;
use crate::databricks::tokens::discovery;
use crate::databricks::{endpoints, invocations};
use crate::server::Request;

pub(super) fn answer(state: &mut WorkspaceState, request: &Request) -> Answer {
    let path = request.path.split('?').next().unwrap_or_default();
    if path == "/oidc/v1/token" && request.method == "POST" {
        return state.tokens.issue(request);
    }
    if path.starts_with("/.well-known/") || path.starts_with("/oidc/") {
        return discovery(request);
    }
    if !state.tokens.allows(request) {
        return ApiError::new(401, "UNAUTHENTICATED", "The token is not valid").into();
    }
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let outcome = match (request.method.as_str(), segments.as_slice()) {
        ("POST", ["serving-endpoints", name, "invocations"]) => {
            return invocations::answer(&state.endpoints, name, request);
        }
        (method, ["api", "2.0", "permissions", "serving-endpoints", id]) => {
            body(request).and_then(|body| state.endpoints.permissions(method, id, &body))
        }
        ("GET", ["api", "2.0", "serving-endpoints", name, part @ ("metrics" | "openapi")]) => {
            match state.endpoints.find(name) {
                Ok(_) => {
                    return Answer::new(200, endpoints::text(name, part)).header("Content-Type", "text/plain");
                }
                Err(error) => Err(error),
            }
        }
        ("GET", ["api", "2.0", "serving-endpoints", name, "served-models", model, logs]) => {
            state.endpoints.logs(name, model, logs)
        }
        (method, ["api", "2.0", "serving-endpoints", rest @ ..]) => {
            body(request).and_then(|body| state.endpoints.answer(method, rest, body))
        }
        _ => Err(ApiError::new(404, "ENDPOINT_NOT_FOUND", format!("No API found for '{} {path}'", request.method))),
    };
    outcome.map_or_else(Answer::from, |value| Answer::new(200, value.to_string()))
}

/// Returns the body of a request as JSON, or an empty object if the body is empty.
fn body(request: &Request) -> ApiResult {
    if request.body.is_empty() {
        return Ok(json!({}));
    }
    let is_json = request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    serde_json::from_slice(&request.body)
        .ok()
        .filter(|_| is_json)
        .ok_or_else(|| ApiError::new(400, "MALFORMED_REQUEST", "Could not parse request object: expected JSON"))
}
