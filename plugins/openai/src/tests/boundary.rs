//! The plugin through its table: what only a caller on the other side sees.

use std::time::Duration;

use mlflow_deploy_plugin_api::args::Arguments;
use mlflow_deploy_plugin_api::call::Level;
use mlflow_deploy_plugin_api::testing::start;

use super::*;

/// Asks through the table; gives the answer and the warnings.
async fn ask<A: Arguments>(server: &Server, request: A, timeout: Option<Duration>) -> (Result<Payload>, Vec<String>) {
    let (plugin, events) = start(&crate::PLUGIN).unwrap();
    let target = TargetUri::parse(&target(server)).unwrap();
    let options = ClientOptions::new(&json!({"api_key": "sk-test"})).unwrap();
    let client = plugin.open(&target, &options, None).await.unwrap();
    let answer = client.call(request, timeout).await;
    let warnings = events.all().into_iter().filter(|(_, level, _)| *level == Level::Warn);
    (answer, warnings.map(|(_, _, event)| event.message).collect())
}

#[tokio::test]
async fn the_caller_s_deadline_is_kept() {
    let server = Server::start([Answer::status(200).after(Duration::from_secs(60))]);
    let (answer, _) = ask(&server, predict("m", r#"{"prompt":1}"#), Some(Duration::from_millis(100))).await;
    assert_eq!(answer.unwrap_err().code(), &ErrorCode::DEADLINE_EXCEEDED);
}

#[tokio::test]
async fn a_second_name_and_a_second_attempt_are_said() {
    let server = Server::start([Answer::status(503).header("retry-after-ms", "1"), Answer::new(200, "{}")]);
    let request = Predict { deployment_name: Some("other".to_owned()), ..predict("m", r#"{"prompt":1}"#) };
    let (answer, warnings) = ask(&server, request, None).await;
    answer.unwrap();
    assert_eq!(warnings[0], "ignoring the deployment name `other`: a model is addressed by endpoint, here `m`");
    assert!(
        warnings[1].contains("503 Server Error")
            && warnings[1].contains("; retrying in 1 ms, up to 5 times; set `max_retries=0`"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn native_and_through_the_table_are_the_same() {
    let server = Server::start([Answer::new(200, REPLY)]);
    let (loaded, _) = ask(&server, predict("m", r#"{"prompt":1}"#), None).await;
    assert_eq!(loaded, plain(&server).predict(predict("m", r#"{"prompt":1}"#)).await);
    let [one, other] = [0, 1].map(|index| server.requests()[index].text());
    assert_eq!(one, other);
}
