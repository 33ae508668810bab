//! Tests of hosts and plugins of different versions of the plugin contract: plugins of version 1.0.0 and of a pretended
//! later version in the current host, and current plugins in a host of that later version.

use std::path::Path;
use std::process::Command;

use mlflow_deploy::Host;
use mlflow_deploy_plugin_api::Payload;
use mlflow_deploy_plugin_api::args::{Predict, PredictStream};
use mlflow_deploy_test_support::cdylib;

const LINES: &str = "[1]\n[2]\n[3]\n";

/// Returns a host that loads a plugin into this process or, if `is_isolated` is true, into a separate one.
fn host(plugin: &Path, is_isolated: bool) -> Host {
    let builder = Host::builder().plugin(plugin);
    if is_isolated {
        builder.isolate_all().plugin_host(cdylib::program("mlflow-deploy-plugin-host")).build()
    } else {
        builder.build()
    }
}

/// Loads a plugin into this process or, if `is_isolated` is true, into a separate one. Asserts that a prediction and a
/// stream succeed.
async fn check(plugin: &Path, scheme: &str, is_isolated: bool) {
    let client = host(plugin, is_isolated).get_deploy_client(Some(scheme)).await.unwrap();
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

#[tokio::test]
async fn plugin_of_a_later_contract_predicts() {
    let [plugin, _] = cdylib::contract_1_1();
    for is_isolated in [false, true] {
        let client = host(plugin, is_isolated).get_deploy_client(Some("contract-later")).await.unwrap();
        let inputs = Payload::new("application/json", LINES);
        let predicted = client.predict(Predict { inputs, ..Predict::default() }).await.unwrap();
        assert_eq!(predicted.bytes(), LINES.as_bytes(), "isolated: {is_isolated}");
    }
}

#[test]
fn plugins_of_this_contract_predict_in_a_later_host() {
    let [_, host] = cdylib::contract_1_1();
    let echo = cdylib::path("mlflow-deploy-example-echo");
    for (plugin, target) in [(echo, "echo"), (cdylib::c_plugin(), "c-echo")] {
        let output = Command::new(host).arg(plugin).args([target, "[1, 2]"]).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{target}: {stderr}");
        assert_eq!(stdout, "[1, 2]\n", "{target}");
    }
}
