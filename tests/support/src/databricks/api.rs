//! The routes of the workspace, and how it says no.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::databricks::State;
use crate::databricks::tokens::discovery;
use crate::databricks::{endpoints, invocations};
use crate::server::Request;

/// Why an operation gives nothing.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
}

/// A refusal with this status, `error_code` and message.
pub(super) fn refusal(status: u16, code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { status, code, message: message.into() }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.status, json!({"error_code": refusal.code, "message": refusal.message}).to_string())
    }
}

/// What an operation gives, or why it does not.
pub(super) type Outcome = Result<Value, Refusal>;

pub(super) fn answer(state: &mut State, request: &Request) -> Answer {
    let path = request.path.split('?').next().unwrap_or_default();
    if path == "/oidc/v1/token" && request.method == "POST" {
        return state.tokens.give(request);
    }
    if path.starts_with("/.well-known/") || path.starts_with("/oidc/") {
        return discovery(request);
    }
    if !state.tokens.allow(request) {
        return refusal(401, "UNAUTHENTICATED", "The token is not valid").into();
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
                Err(no) => Err(no),
            }
        }
        ("GET", ["api", "2.0", "serving-endpoints", name, "served-models", model, logs]) => {
            state.endpoints.logs(name, model, logs)
        }
        (method, ["api", "2.0", "serving-endpoints", rest @ ..]) => {
            body(request).and_then(|body| state.endpoints.answer(method, rest, body))
        }
        _ => Err(refusal(404, "ENDPOINT_NOT_FOUND", format!("No API found for '{} {path}'", request.method))),
    };
    outcome.map_or_else(Answer::from, |value| Answer::new(200, value.to_string()))
}

/// The body of a request; an empty one is an empty object.
fn body(request: &Request) -> Outcome {
    if request.body.is_empty() {
        return Ok(json!({}));
    }
    let is_json = request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    serde_json::from_slice(&request.body)
        .ok()
        .filter(|_| is_json)
        .ok_or_else(|| refusal(400, "MALFORMED_REQUEST", "Could not parse request object: expected JSON"))
}
