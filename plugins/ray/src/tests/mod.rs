//! Tests the client with a fake of a Ray cluster.

mod boundary;
mod changes;
mod concurrency;
mod credentials;
mod models;
mod predictions;
mod records;
mod settings;

use std::path::Path;

use mlflow_deploy_http::Environment;
use mlflow_deploy_plugin_api::args::{
    CreateDeployment, DeleteDeployment, GetDeployment, ListDeployments, UpdateDeployment,
};
use mlflow_deploy_plugin_api::{ClientOptions, Config, DeploymentClient, ErrorCode, Payload, Result, TargetUri};
use mlflow_deploy_test_support::ray;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Ray;

/// The variables that make a client not wait between retries.
const QUICK: [(&str, &str); 2] =
    [("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0"), ("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")];

/// Creates a client for `target` with the given options and environment variables.
fn client(target: &str, options: &Value, variables: &[(&str, &str)]) -> Result<Ray> {
    let lookup = |name: &str| {
        let found = variables.iter().chain(&QUICK).find(|(each, _)| *each == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Ray::new(&TargetUri::parse(target)?, &ClientOptions::new(options)?, &Environment::new(&lookup))
}

/// Creates a client that polls the cluster quickly.
fn plain(cluster: &ray::Ray) -> Ray {
    client(&cluster.target(), &json!({"poll_interval": 0.05}), &[]).unwrap()
}

/// Returns a folder with a model of this flavor, which Python 3.11 saved.
fn model_of(flavor: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("flavors:\n  {flavor}:\n    loader_module: mlflow.sklearn\n    python_version: 3.11.7\n");
    std::fs::write(folder.path().join("MLmodel"), text).unwrap();
    std::fs::write(folder.path().join("model.pkl"), "weights").unwrap();
    folder
}

fn model() -> TempDir {
    model_of("python_function")
}

fn create(name: &str, model: &Path, config: &Value) -> CreateDeployment {
    CreateDeployment::new(name, model.to_str().unwrap()).with_config(Config::new(config).unwrap())
}

fn update(name: &str, config: &Value) -> UpdateDeployment {
    UpdateDeployment::new(name).with_config(Config::new(config).unwrap())
}

/// Creates a deployment with a new model and the default config.
async fn deploy(client: &Ray, name: &str) -> Result<Value> {
    client.create_deployment(create(name, model().path(), &json!({}))).await?.json()
}

async fn get(client: &Ray, name: &str) -> Result<Value> {
    client.get_deployment(GetDeployment::new(name)).await?.json()
}

/// Returns the entry of an application that another writer makes.
fn foreign(name: &str) -> Value {
    json!({
        "name": name, "route_prefix": format!("/{name}"), "import_path": "other:app", "runtime_env": {"env_vars": {"A": "foreign-secret"}},
        "deployments": [{"name": "D", "num_replicas": 1}],
    })
}
