//! Tests the client with a fake of AWS.

mod asynchronous;
mod boundary;
mod changes;
mod credentials;
mod predictions;
mod scaling;
mod settings;

use mlflow_deploy_http::Environment;
use mlflow_deploy_plugin_api::args::{
    CreateDeployment, DeleteDeployment, GetDeployment, ListDeployments, UpdateDeployment,
};
use mlflow_deploy_plugin_api::{ClientOptions, Config, DeploymentClient, Result, TargetUri};
use mlflow_deploy_test_support::aws::Aws;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::SageMaker;

/// The secret key of every test. No error may contain it.
const SECRET: &str = "secret-key-0123456789";

/// The role of models in tests.
const ROLE: &str = "arn:aws:iam::123456789012:role/model";

/// Creates a client for `target` with the given options and environment variables. It does not wait between retries.
fn client(target: &str, options: &Value, variables: &[(&str, &str)]) -> Result<SageMaker> {
    let plain = [
        ("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0"),
        ("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ];
    let lookup = |name: &str| {
        let found = variables.iter().chain(&plain).find(|(each, _)| *each == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    SageMaker::new(&TargetUri::parse(target)?, &ClientOptions::new(options)?, &Environment::new(&lookup))
}

/// Creates a client of a fake, which polls quickly.
fn plain(fake: &Aws) -> SageMaker {
    client("sagemaker:/eu-west-1", &json!({"poll_interval": 0.05}), &[("AWS_ENDPOINT_URL", &fake.url())]).unwrap()
}

/// Returns a folder with a model of this flavor, which MLflow 3.17.2 saved.
fn model_of(flavor: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("mlflow_version: 3.17.2\nflavors:\n  {flavor}:\n    loader_module: mlflow.sklearn\n");
    std::fs::write(folder.path().join("MLmodel"), text).unwrap();
    std::fs::create_dir(folder.path().join("code")).unwrap();
    std::fs::write(folder.path().join("code/model.pkl"), "weights").unwrap();
    folder
}

fn model() -> TempDir {
    model_of("python_function")
}

async fn create(client: &SageMaker, config: &Value) -> Result<Value> {
    let folder = model();
    let request = CreateDeployment::new("iris", folder.path().to_str().unwrap()).with_config(Config::new(config)?);
    client.create_deployment(request).await?.json()
}

async fn update(client: &SageMaker, config: &Value) -> Result<Value> {
    let folder = model();
    let request = UpdateDeployment::new("iris").with_model_uri(folder.path().to_str().unwrap());
    client.update_deployment(request.with_config(Config::new(config)?)).await?.json()
}

async fn delete(client: &SageMaker, config: &Value) -> Result<()> {
    client.delete_deployment(DeleteDeployment::new("iris").with_config(Config::new(config)?)).await.map(drop)
}

async fn get(client: &SageMaker, name: &str) -> Result<Value> {
    client.get_deployment(GetDeployment::new(name)).await?.json()
}
