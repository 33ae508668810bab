//! Tests the client with a scripted server.

mod azure;
mod boundary;
mod credentials;
mod models;
mod predictions;
mod routes;
mod settings;
mod streams;

use mlflow_deploy_http::{Backoff, Environment};
use mlflow_deploy_plugin_api::args::{GetEndpoint, ListEndpoints, Predict, PredictStream};
use mlflow_deploy_plugin_api::testing::natively;
use mlflow_deploy_plugin_api::{ClientOptions, DeploymentClient, ErrorCode, Payload, Result, TargetUri};
use mlflow_deploy_test_support::server::{Answer, Server};
use serde_json::{Value, json};

use crate::client::OpenAi;

const REPLY: &str = r#"{"id": "c1", "choices": [{"index": 0, "message": {"content": "hi"}}], "n": 1.50}"#;

/// Creates a client for `target` with the given options and environment variables. The client does not wait between
/// retries.
fn openai(target: &str, options: &Value, variables: &[(&str, &str)]) -> Result<OpenAi> {
    let lookup = |name: &str| variables.iter().find(|(each, _)| *each == name).map(|(_, value)| (*value).to_owned());
    let target = TargetUri::parse(target)?;
    let mut client = OpenAi::new(&target, &ClientOptions::new(options)?, &Environment::new(&lookup))?;
    client.set_backoff(Backoff::OpenAi { first: 0.0 });
    Ok(client)
}

/// Creates a client for a test server. The client sends an API key.
fn plain(server: &Server) -> OpenAi {
    openai(&target(server), &json!({"api_key": "sk-test"}), &[]).unwrap()
}

fn target(server: &Server) -> String {
    server.url().replace("http://", "openai://") + "/v1"
}

fn predict(endpoint: &str, inputs: &str) -> Predict {
    Predict::endpoint(endpoint, inputs_of(inputs))
}

fn inputs_of(inputs: &str) -> Payload {
    Payload::new("application/json", inputs)
}

/// Returns the method and the path of each request that a server received, such as `GET /path`.
fn request_lines(server: &Server) -> Vec<String> {
    server.requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
}

fn text(payload: &Payload) -> &str {
    str::from_utf8(payload.bytes()).unwrap()
}
