//! Tests of the current host with plugins that were built against version 1.0.0 of the plugin contract.

use std::path::Path;

use mlflow_deploy::Host;
use mlflow_deploy_plugin_api::Payload;
use mlflow_deploy_plugin_api::args::{Predict, PredictStream};
use mlflow_deploy_test_support::cdylib;

const LINES: &str = "[1]\n[2]\n[3]\n";

/// Loads a plugin into this process or, if `is_isolated` is true, into a separate one. Asserts that a prediction and a
/// stream succeed.
async fn check(plugin: &Path, scheme: &str, is_isolated: bool) {
    let builder = Host::builder().plugin(plugin);
    let host = if is_isolated {
        builder.isolate_all().plugin_host(cdylib::program("mlflow-deploy-plugin-host")).build()
    } else {
        builder.build()
    };
    let client = host.get_deploy_client(Some(scheme)).await.unwrap();
    let inputs = || Payload::new("application/json", LINES);
    let predicted = client.predict(Predict { inputs: inputs(), ..Predict::default() }).await.unwrap();
    assert_eq!(predicted.bytes(), LINES.as_bytes(), "{scheme}");
    let mut stream = client.predict_stream(&PredictStream { inputs: inputs(), ..PredictStream::default() }).unwrap();
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.next().await {
        chunks.push(String::from_utf8(chunk.unwrap().into_bytes()).unwrap());
    }
    assert_eq!(chunks, ["[1]\n", "[2]\n", "[3]\n"], "{scheme}");
}

#[tokio::test]
async fn plugins_of_contract_1_0_predict_and_stream() {
    let [in_rust, in_c] = cdylib::contract_1_0();
    for is_isolated in [false, true] {
        check(in_rust, "echo", is_isolated).await;
        check(in_c, "contract-c", is_isolated).await;
    }
}
