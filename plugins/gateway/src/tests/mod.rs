//! The client against a scripted server. What the servers answer is what MLflow 3.17's own answer.

mod boundary;
mod credentials;
mod endpoints;
mod predictions;
mod real_servers;
mod settings;

use mlflow_deploy_http::Environment;
use mlflow_deploy_plugin_api::args::{GetEndpoint, ListEndpoints, Predict, PredictStream};
use mlflow_deploy_plugin_api::testing::natively;
use mlflow_deploy_plugin_api::{ClientOptions, DeploymentClient, ErrorCode, Payload, Result, TargetUri};
use mlflow_deploy_test_support::server::{Answer, Server};
use serde_json::{Value, json};

use crate::client::Gateway;

/// What the standalone gateway says of a route that it has not, and of an endpoint when a prediction is asked of it.
const NO_ROUTE: &str = r#"{"detail":"Not Found"}"#;
/// What it says of an endpoint that it is asked about.
const NO_ENDPOINT: &str =
    r#"{"detail":"The endpoint 'nope' is not present or active on the server. Please verify the endpoint name."}"#;
/// What a tracking server says of a route that it has not.
const NO_PAGE: &str = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>";
/// What a tracking server says of an endpoint that it has not.
const UNKNOWN: &str = r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"GatewayEndpoint not found (name='nope')"}"#;

const QUICK: [(&str, &str); 3] = [
    ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"),
    ("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0"),
    ("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0"),
];

/// A client with these options, in this environment and one without waits between retries.
fn gateway(target: &str, options: &Value, variables: &[(&str, &str)]) -> Result<Gateway> {
    let lookup = |name: &str| {
        let found = variables.iter().chain(&QUICK).find(|(each, _)| *each == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Gateway::new(&TargetUri::parse(target)?, &ClientOptions::new(options)?, &Environment::new(&lookup))
}

/// A client of the server, with nothing given.
fn plain(server: &Server) -> Gateway {
    gateway(&server.url(), &json!({}), &[]).unwrap()
}

fn predict(endpoint: &str) -> Predict {
    Predict { endpoint: Some(endpoint.to_owned()), inputs: chat(), ..Predict::default() }
}

/// Inputs whose bytes no JSON writer would write.
fn chat() -> Payload {
    Payload::new("application/json", r#"{"messages": [ {"role":"user","content":"Hello"}],"temperature":1.0e0}"#)
}

/// Methods and paths of what was asked.
fn asked(server: &Server) -> Vec<String> {
    server.requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
}

fn text(payload: &Payload) -> &str {
    str::from_utf8(payload.bytes()).unwrap()
}
