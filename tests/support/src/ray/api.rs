//! The HTTP routes of the fake cluster.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::ray::applications::RECORDED;
use crate::ray::predictions;
use crate::ray::state::ClusterState;
use crate::server::Request;

pub(super) fn answer(state: &mut ClusterState, request: &Request) -> Answer {
    let path = request.path.split('?').next().unwrap_or_default();
    if !path.starts_with("/api/") {
        return predictions::answer(&state.applications, request);
    }
    let is_allowed = |token: &String| request.header("authorization") == Some(token);
    if !state.token.as_ref().is_none_or(is_allowed) {
        return text(401, "Unauthorized: Missing authentication token");
    }
    match (request.method.as_str(), path) {
        ("GET", "/api/version") => json_answer(&RECORDED["version"]),
        ("GET", "/api/v0/cluster_metadata") => match &state.python_version {
            Some(version) => json_answer(&json!({"result": true, "msg": "", "data": {"pythonVersion": version}})),
            None => text(404, "404: Not Found"),
        },
        ("GET", "/api/serve/applications/") => json_answer(&state.applications.answer()),
        ("PUT", "/api/serve/applications/") => replace(state, request),
        ("GET", _) if path.starts_with("/api/packages/gcs/") => match state.packages.contains_key(path) {
            true => Answer::status(200),
            false => {
                text(404, &format!("Package gcs://{} does not exist", path.trim_start_matches("/api/packages/gcs/")))
            }
        },
        ("PUT", _) if path.starts_with("/api/packages/gcs/") => {
            state.packages.insert(path.to_owned(), request.body.clone());
            Answer::status(200)
        }
        _ => text(404, "404: Not Found"),
    }
}

fn replace(state: &mut ClusterState, request: &Request) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if let Err(refusal) = state.applications.replace(&body) {
        return text(400, &refusal);
    }
    state.changes += 1;
    if let Some(writer) = &mut state.other_writer {
        writer(state.changes, &mut state.applications);
    }
    Answer::status(200)
}

fn json_answer(value: &Value) -> Answer {
    Answer::new(200, value.to_string()).header("Content-Type", "application/json; charset=utf-8")
}

fn text(status: u16, text: &str) -> Answer {
    Answer::new(status, text).header("Content-Type", "text/plain; charset=utf-8")
}
