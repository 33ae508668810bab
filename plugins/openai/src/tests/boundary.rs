//! Tests the plugin through its function table, as a host calls it.

use std::time::Duration;

use mlflow_deploy_plugin_api::args::Arguments;
use mlflow_deploy_plugin_api::call::Level;
use mlflow_deploy_plugin_api::testing::start;

use super::*;

/// Calls an operation through the plugin's function table. Returns the result and the warnings.
async fn call<A: Arguments>(server: &Server, request: A, timeout: Option<Duration>) -> (Result<Payload>, Vec<String>) {
    let (plugin, events) = start(&crate::PLUGIN).unwrap();
    let target = TargetUri::parse(&target(server)).unwrap();
    let options = ClientOptions::new(&json!({"api_key": "sk-test"})).unwrap();
    let client = plugin.open(&target, &options, None).await.unwrap();
    let answer = client.call(request, timeout).await;
    let warnings = events.all().into_iter().filter(|(_, level, _)| *level == Level::Warn);
    (answer, warnings.map(|(_, _, event)| event.message).collect())
}

#[tokio::test]
async fn a_call_ends_at_the_caller_s_deadline() {
    let server = Server::start([Answer::status(200).after(Duration::from_secs(60))]);
    let (answer, _) = call(&server, predict("m", r#"{"prompt":1}"#), Some(Duration::from_millis(100))).await;
    assert_eq!(answer.unwrap_err().code(), &ErrorCode::DEADLINE_EXCEEDED);
}

#[tokio::test]
async fn an_ignored_name_and_a_retry_cause_warnings() {
    let server = Server::start([Answer::status(503).header("retry-after-ms", "1"), Answer::new(200, "{}")]);
    let request = predict("m", r#"{"prompt":1}"#).with_deployment_name("other");
    let (answer, warnings) = call(&server, request, None).await;
    answer.unwrap();
    assert_eq!(warnings[0], "ignoring the deployment name `other`: a model is addressed by endpoint, here `m`");
    assert!(
        warnings[1].contains("503 Server Error")
            && warnings[1].contains("; retrying in 1 ms, up to 5 times; set `max_retries=0`"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn native_calls_and_calls_through_the_table_are_equal() {
    let server = Server::start([Answer::new(200, REPLY)]);
    let (loaded, _) = call(&server, predict("m", r#"{"prompt":1}"#), None).await;
    assert_eq!(loaded, plain(&server).predict(predict("m", r#"{"prompt":1}"#)).await);
    let [one, other] = [0, 1].map(|index| server.requests()[index].text());
    assert_eq!(one, other);
}
