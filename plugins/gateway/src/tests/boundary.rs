//! The plugin through its table: what only a caller on the other side sees.

use std::time::Duration;

use mlflow_deploy_plugin_api::call::Level;
use mlflow_deploy_plugin_api::testing::start;

use super::*;

/// Asks through the table; gives the answer and the warnings.
async fn ask(server: &Server, request: Predict, timeout: Option<Duration>) -> (Result<Payload>, Vec<String>) {
    let (plugin, events) = start(&crate::PLUGIN).unwrap();
    let target = TargetUri::parse(&server.url()).unwrap();
    let client = plugin.open(&target, &ClientOptions::new(&json!({"max_retries": 1})).unwrap(), None).await.unwrap();
    let answer = client.call(request, timeout).await;
    let warnings = events.all().into_iter().filter(|(_, level, _)| *level == Level::Warn);
    (answer, warnings.map(|(_, _, event)| event.message).collect())
}

#[tokio::test]
async fn the_caller_s_deadline_is_kept() {
    let server = Server::start([Answer::status(200).after(Duration::from_secs(60))]);
    let (answer, _) = ask(&server, predict("chat"), Some(Duration::from_millis(100))).await;
    assert_eq!(answer.unwrap_err().code(), &ErrorCode::DEADLINE_EXCEEDED);
}

#[tokio::test]
async fn a_second_name_and_a_second_attempt_are_said() {
    let server = Server::start([Answer::status(503), Answer::new(200, "{}")]);
    let request = Predict { deployment_name: Some("other".to_owned()), ..predict("chat") };
    let (answer, warnings) = ask(&server, request, None).await;
    answer.unwrap();
    assert_eq!(warnings[0], "ignoring the deployment name `other`: a gateway is addressed by endpoint, here `chat`");
    assert!(warnings[1].contains("503 Server Error") && warnings[1].contains("; retrying now, up to "), "{warnings:?}");
}
