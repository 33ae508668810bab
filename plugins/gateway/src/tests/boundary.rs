//! Tests the plugin through its function table, as a host calls it.

use std::time::Duration;

use mlflow_deploy_plugin_api::call::Level;
use mlflow_deploy_plugin_api::testing::start;

use super::*;

/// Requests a prediction through the plugin's function table. Returns the result and the warnings.
async fn call(server: &Server, request: Predict, timeout: Option<Duration>) -> (Result<Payload>, Vec<String>) {
    let (plugin, events) = start(&crate::PLUGIN).unwrap();
    let target = TargetUri::parse(&server.url()).unwrap();
    let client = plugin.open(&target, &ClientOptions::new(&json!({"max_retries": 1})).unwrap(), None).await.unwrap();
    let answer = client.call(request, timeout).await;
    let warnings = events.all().into_iter().filter(|(_, level, _)| *level == Level::Warn);
    (answer, warnings.map(|(_, _, event)| event.message).collect())
}

#[tokio::test]
async fn a_call_ends_at_the_caller_s_deadline() {
    let server = Server::start([Answer::status(200).after(Duration::from_secs(60))]);
    let (answer, _) = call(&server, predict("chat"), Some(Duration::from_millis(100))).await;
    assert_eq!(answer.unwrap_err().code(), &ErrorCode::DEADLINE_EXCEEDED);
}

#[tokio::test]
async fn an_ignored_name_and_a_retry_cause_warnings() {
    let server = Server::start([Answer::status(503), Answer::new(200, "{}")]);
    let request = predict("chat").with_deployment_name("other");
    let (answer, warnings) = call(&server, request, None).await;
    answer.unwrap();
    assert_eq!(warnings[0], "ignoring the deployment name `other`: a gateway is addressed by endpoint, here `chat`");
    assert!(warnings[1].contains("503 Server Error") && warnings[1].contains("; retrying now, up to "), "{warnings:?}");
}
