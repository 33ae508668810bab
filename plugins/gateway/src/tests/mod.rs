//! Tests the client with a scripted server, which sends the responses of MLflow 3.17.

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

/// The standalone gateway's response to a request for a missing route, and to a prediction for a missing endpoint.
const NO_ROUTE: &str = r#"{"detail":"Not Found"}"#;
/// The standalone gateway's response to a request for the record of a missing endpoint.
const NO_ENDPOINT: &str =
    r#"{"detail":"The endpoint 'nope' is not present or active on the server. Please verify the endpoint name."}"#;
/// The tracking server's response to a request for a missing route.
const NO_PAGE: &str = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>";
/// The tracking server's response to a request for the record of a missing endpoint.
const UNKNOWN: &str = r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"GatewayEndpoint not found (name='nope')"}"#;

const QUICK: [(&str, &str); 3] = [
    ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"),
    ("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0"),
    ("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0"),
];

/// Creates a client for `target` with the given options and environment variables. The client does not wait between
/// retries.
fn gateway(target: &str, options: &Value, variables: &[(&str, &str)]) -> Result<Gateway> {
    let lookup = |name: &str| {
        let found = variables.iter().chain(&QUICK).find(|(each, _)| *each == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Gateway::new(&TargetUri::parse(target)?, &ClientOptions::new(options)?, &Environment::new(&lookup))
}

/// Creates a client for a test server, without options and environment variables.
fn plain(server: &Server) -> Gateway {
    gateway(&server.url(), &json!({}), &[]).unwrap()
}

fn predict(endpoint: &str) -> Predict {
    Predict::endpoint(endpoint, chat())
}

/// Returns a chat request. Its JSON has spaces and a number that parsing and serializing would change.
fn chat() -> Payload {
    Payload::new("application/json", r#"{"messages": [ {"role":"user","content":"Hello"}],"temperature":1.0e0}"#)
}

/// Returns the method and the path of each request that a server received, such as `GET /path`.
fn request_lines(server: &Server) -> Vec<String> {
    server.requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
}

fn text(payload: &Payload) -> &str {
    str::from_utf8(payload.bytes()).unwrap()
}
