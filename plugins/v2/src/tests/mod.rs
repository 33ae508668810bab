//! Tests the client with scripted servers, which send the answers of MLServer, Triton and KServe.

mod boundary;
mod credentials;
mod dtypes;
mod predictions;
mod repository;
mod settings;

use mlflow_deploy_http::Environment;
use mlflow_deploy_plugin_api::args::{
    CreateDeployment, DeleteDeployment, GetDeployment, Invoke, ListDeployments, Predict, UpdateDeployment,
};
use mlflow_deploy_plugin_api::{ClientOptions, Config, DeploymentClient, ErrorCode, JSON, Payload, Result, TargetUri};
use mlflow_deploy_test_support::server::{Answer, Server};
use mlflow_deploy_test_support::v2::{self, V2Kind};
use serde_json::{Value, json};

use crate::client::V2;

const QUICK: [(&str, &str); 3] = [
    ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"),
    ("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0"),
    ("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0"),
];

/// Creates a client for `target` with the given options and environment variables. The client does not wait between
/// retries.
fn client(target: &str, options: &Value, variables: &[(&str, &str)]) -> Result<V2> {
    let lookup = |name: &str| {
        let found = variables.iter().chain(&QUICK).find(|(each, _)| *each == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    V2::new(&TargetUri::parse(target)?, &ClientOptions::new(options)?, &Environment::new(&lookup))
}

/// Returns the target URI of a test server.
fn target(server: &Server) -> String {
    server.url().replace("http://", "v2://")
}

/// Creates a client for a test server, without options and environment variables.
fn plain(server: &Server) -> V2 {
    client(&target(server), &json!({}), &[]).unwrap()
}

/// Returns the method and the path of each request that a server received, such as `GET /path`.
fn request_lines(server: &Server) -> Vec<String> {
    server.requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
}

fn text(payload: &Payload) -> &str {
    str::from_utf8(payload.bytes()).unwrap()
}

/// The metadata of a server without extensions.
const BARE: &str = r#"{"name": "other", "version": "1", "extensions": []}"#;

/// The metadata of a server that reads tensors in binary.
const TRITON: &str = r#"{"name": "triton", "version": "2.51.0", "extensions": ["binary_tensor_data", "statistics"]}"#;
