//! Tests the client with a scripted server and with a simulated workspace.

mod boundary;
mod credentials;
mod endpoints;
mod expiry;
mod invocations;
mod predictions;
mod selection;
mod settings;
mod waiting;

use mlflow_deploy_http::Environment;
use mlflow_deploy_plugin_api::args::{
    CreateEndpoint, DeleteEndpoint, GetEndpoint, Invoke, ListEndpoints, Predict, PredictStream, UpdateEndpoint,
};
use mlflow_deploy_plugin_api::testing::natively;
use mlflow_deploy_plugin_api::{ClientOptions, Config, DeploymentClient, ErrorCode, Payload, Result, TargetUri};
use mlflow_deploy_test_support::databricks::{self, TOKEN};
use mlflow_deploy_test_support::server::{Answer, Server};
use serde_json::{Value, json};

use crate::client::Databricks;

const QUICK: [(&str, &str); 3] = [
    ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"),
    ("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0"),
    ("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0"),
];

/// Creates a client for `target` with the given options and environment variables. The client does not wait between
/// retries.
fn client(target: &str, options: &Value, variables: &[(&str, &str)]) -> Result<Databricks> {
    let lookup = |name: &str| {
        let found = variables.iter().chain(&QUICK).find(|(each, _)| *each == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Databricks::new(&TargetUri::parse(target)?, &ClientOptions::new(options)?, &Environment::new(&lookup))
}

/// Creates a client for the server at `url`. The client sends a personal access token.
fn plain(url: &str) -> Databricks {
    client("databricks", &json!({"host": url, "token": TOKEN, "poll_interval": 0.1}), &[]).unwrap()
}

fn config(config: &Value) -> Config {
    Config::new(config).unwrap()
}

fn get(endpoint: &str) -> GetEndpoint {
    GetEndpoint::new(endpoint)
}

fn delete(endpoint: &str) -> DeleteEndpoint {
    DeleteEndpoint::new(endpoint)
}

/// Returns a request that creates an endpoint with one model. `more` contains further fields of the request.
fn create(name: &str, more: &Value) -> CreateEndpoint {
    let mut request = json!({"name": name, "config": served("m")});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    CreateEndpoint { config: config(&request), ..CreateEndpoint::default() }
}

fn served(model: &str) -> Value {
    json!({"served_entities": [{"name": model, "entity_name": "main.default.m", "entity_version": "1"}]})
}

fn predict(endpoint: &str) -> Predict {
    Predict::endpoint(endpoint, chat())
}

fn invoke(operation: &str, endpoint: &str, fields: &Value) -> Invoke {
    let config = config(fields);
    Invoke::new(operation).with_endpoint(endpoint).with_config(config)
}

/// Returns a chat request. Its JSON has spaces and a number that parsing and serializing would change.
fn chat() -> Payload {
    Payload::new("application/json", r#"{"messages": [ {"role":"user","content":"Hello"}],"temperature":1.0e0}"#)
}

/// Returns the method and the path of each request, such as `GET /path`.
fn request_lines(requests: &[mlflow_deploy_test_support::server::Request]) -> Vec<String> {
    requests.iter().map(|request| format!("{} {}", request.method, request.path)).collect()
}

fn text(payload: &Payload) -> &str {
    str::from_utf8(payload.bytes()).unwrap()
}
