//! Tests the plugin through its function table, as a host calls it.

use std::time::Duration;

use mlflow_deploy_plugin_api::call::Level;
use mlflow_deploy_plugin_api::testing::start;

use super::*;

#[tokio::test]
async fn a_call_ends_at_the_caller_s_deadline() {
    let server = v2::start(V2Kind::Triton);
    let (plugin, _events) = start(&crate::PLUGIN).unwrap();
    let target = TargetUri::parse(&target(&server)).unwrap();
    let client = plugin.open(&target, &ClientOptions::default(), None).await.unwrap();
    let inputs = Payload::new(JSON, r#"{"inputs": [[1, 2, 3, 4]]}"#);
    let slow = client.call(Predict::deployment("slow", inputs), Some(Duration::from_millis(300))).await;
    assert_eq!(slow.unwrap_err().code(), &ErrorCode::DEADLINE_EXCEEDED);
}

#[tokio::test]
async fn models_that_are_not_loaded_are_logged() {
    let server = v2::start(V2Kind::MlServer);
    let (plugin, events) = start(&crate::PLUGIN).unwrap();
    let target = TargetUri::parse(&target(&server)).unwrap();
    let client = plugin.open(&target, &ClientOptions::default(), None).await.unwrap();
    client.call(ListDeployments::all(), None).await.unwrap();
    let logged: Vec<_> = events.all().into_iter().filter(|(_, level, _)| *level == Level::Info).collect();
    let messages: Vec<_> = logged.iter().map(|(_, _, event)| event.message.as_str()).collect();
    assert_eq!(
        messages,
        ["the server's repository also has `second`, not loaded; `invoke repository-index` lists all models"]
    );
}
