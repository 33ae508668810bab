//! Predictions of one deployment beside each other, and those that nobody waits for any more.

use std::time::Duration;

use mlflow_deploy::args::{CreateDeployment, Predict};
use mlflow_deploy::{ClientOptions, Config, DeployClient, ErrorCode, Host, Payload};
use mlflow_deploy_test_support::{cdylib, onnxruntime};
use serde_json::{Value, json};

use super::{LOCAL, Machine, sample};

/// So often that no machine comes to the end of it.
const FOREVER: u64 = 1 << 62;

/// Has the model count.
fn count(to: u64) -> Predict {
    let inputs = Payload::new("application/json", json!({"inputs": [to]}).to_string());
    Predict { deployment_name: Some("counts".to_owned()), inputs, ..Predict::default() }
}

/// Deploys the model that counts, with so many sessions.
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
async fn a_prediction_whose_deadline_passes_is_stopped() {
    let machine = Machine::new();
    let client = deployed(&machine, 1).await;
    let late = client.with_timeout(Some(Duration::from_millis(100))).predict(count(FOREVER)).await.unwrap_err();
    assert_eq!(late.code(), &ErrorCode::DEADLINE_EXCEEDED);
    // There is one session, so that this waits until the other run has stopped.
    counts(&client).await;
}

#[tokio::test]
async fn a_prediction_that_is_given_up_is_stopped() {
    let machine = Machine::new();
    let client = deployed(&machine, 1).await;
    let given_up = tokio::time::timeout(Duration::from_millis(100), client.predict(count(FOREVER))).await;
    given_up.unwrap_err();
    counts(&client).await;
}

#[tokio::test]
async fn predictions_of_one_deployment_run_beside_each_other() {
    let machine = Machine::new();
    let client = deployed(&machine, 2).await;
    let forever = client.predict(count(FOREVER));
    tokio::pin!(forever);
    // The endless one is asked first, and is not done when the other is.
    let is_first_done = tokio::select! {
        biased;
        _ = &mut forever => true,
        () = counts(&client) => false,
    };
    assert!(!is_first_done);
}

#[tokio::test]
async fn two_copies_of_the_plugin_share_a_process() {
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
