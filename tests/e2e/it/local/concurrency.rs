//! Checks concurrent predictions of one deployment, and cancelled predictions.

use std::time::Duration;

use mlflow_deploy::args::{CreateDeployment, Predict};
use mlflow_deploy::{ClientOptions, Config, DeployClient, ErrorCode, Host, Payload};
use mlflow_deploy_test_support::{cdylib, onnxruntime};
use serde_json::{Value, json};

use super::{LOCAL, Machine, sample};

/// A number so large that the counting model does not reach it in any test.
const FOREVER: u64 = 1 << 62;

/// Returns a prediction request that makes the counting model count to `to`.
fn count(to: u64) -> Predict {
    let inputs = Payload::new("application/json", json!({"inputs": [to]}).to_string());
    Predict { deployment_name: Some("counts".to_owned()), inputs, ..Predict::default() }
}

/// Deploys the counting model with this number of ONNX Runtime sessions. Returns a client.
async fn deployed(machine: &Machine, sessions: usize) -> DeployClient {
    let client = machine.client().await;
    let config = Config::new(&json!({"sessions": sessions})).unwrap();
    let (name, model_uri) = ("counts".to_owned(), sample("counts").display().to_string());
    client
        .create_deployment(CreateDeployment { name, model_uri, config, ..CreateDeployment::default() })
        .await
        .unwrap();
    client
}

async fn counts(client: &DeployClient) {
    let answer: Value = client.predict(count(7)).await.unwrap().json().unwrap();
    assert_eq!(answer, json!({"predictions": {"last": 7}}));
}

#[tokio::test]
async fn prediction_is_stopped_at_its_deadline() {
    let machine = Machine::new();
    let client = deployed(&machine, 1).await;
    let late = client.with_timeout(Some(Duration::from_millis(100))).predict(count(FOREVER)).await.unwrap_err();
    assert_eq!(late.code(), &ErrorCode::DEADLINE_EXCEEDED);
    // With one session, this waits until the other run has stopped.
    counts(&client).await;
}

#[tokio::test]
async fn dropped_prediction_is_stopped() {
    let machine = Machine::new();
    let client = deployed(&machine, 1).await;
    let given_up = tokio::time::timeout(Duration::from_millis(100), client.predict(count(FOREVER))).await;
    given_up.unwrap_err();
    counts(&client).await;
}

#[tokio::test]
async fn predictions_of_one_deployment_run_concurrently() {
    let machine = Machine::new();
    let client = deployed(&machine, 2).await;
    let forever = client.predict(count(FOREVER));
    tokio::pin!(forever);
    // The endless prediction starts first and still runs when the other prediction finishes.
    let is_first_done = tokio::select! {
        biased;
        _ = &mut forever => true,
        () = counts(&client) => false,
    };
    assert!(!is_first_done);
}

#[tokio::test]
async fn two_copies_of_the_plugin_work_in_one_process() {
    let (machine, folder) = (Machine::new(), tempfile::tempdir().unwrap());
    counts(&deployed(&machine, 1).await).await;
    let copy = folder.path().join(cdylib::path(LOCAL).file_name().unwrap());
    std::fs::copy(cdylib::path(LOCAL), &copy).unwrap();
    let options = json!({"state_dir": machine.state_dir(), "onnxruntime": onnxruntime::folder()});
    let options = ClientOptions::new(&options).unwrap();
    let host = Host::builder().plugin(copy).build();
    counts(&host.get_deploy_client_with(Some("local"), &options).await.unwrap()).await;
    counts(&machine.client().await).await;
}
