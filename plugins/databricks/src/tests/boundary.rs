//! The plugin through its table: what only a caller on the other side sees.

use mlflow_deploy_plugin_api::call::Level;
use mlflow_deploy_plugin_api::testing::start;

use super::*;

#[tokio::test]
async fn a_client_can_be_made_without_credentials_and_says_what_it_lacks() {
    let (plugin, _) = start(&crate::PLUGIN).unwrap();
    let target = TargetUri::parse("databricks://scope:prefix").unwrap();
    let client = plugin.open(&target, &ClientOptions::default(), None).await.unwrap();
    let error = client.call(ListEndpoints {}, None).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::NOT_IMPLEMENTED);
    assert!(error.message().contains("only inside Databricks"), "{error}");
}

#[tokio::test]
async fn what_is_deprecated_or_ignored_is_warned_of() {
    let server = Server::start([Answer::new(200, "{}")]);
    let (plugin, events) = start(&crate::PLUGIN).unwrap();
    let options = ClientOptions::new(&json!({"host": server.url(), "token": TOKEN})).unwrap();
    let client = plugin.open(&TargetUri::parse("databricks").unwrap(), &options, None).await.unwrap();
    let old = CreateEndpoint { name: "chat".to_owned(), config: config(&served("m")) };
    client.call(old, None).await.unwrap();
    let limits = UpdateEndpoint { endpoint: "chat".to_owned(), config: config(&json!({"rate_limits": []})) };
    client.call(limits, None).await.unwrap();
    client.call(Predict { deployment_name: Some("other".to_owned()), ..predict("chat") }, None).await.unwrap();
    let warnings = events.all().into_iter().filter(|(_, level, _)| *level == Level::Warn);
    let warnings: Vec<_> = warnings.map(|(_, _, event)| event.message).collect();
    assert!(warnings[0].contains("give the whole request, with `name` and `config`"), "{warnings:?}");
    assert!(warnings[1].contains("use `update_endpoint_rate_limits`"), "{warnings:?}");
    assert_eq!(warnings[2], "ignoring the deployment name `other`: Databricks is addressed by endpoint, here `chat`");
}
