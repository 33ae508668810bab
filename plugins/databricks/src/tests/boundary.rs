//! Tests the plugin through its function table, as a host calls it.

use mlflow_deploy_plugin_api::call::Level;
use mlflow_deploy_plugin_api::testing::start;

use super::*;

#[tokio::test]
async fn a_client_without_credentials_opens_and_every_call_fails() {
    let (plugin, _) = start(&crate::PLUGIN).unwrap();
    let target = TargetUri::parse("databricks://scope:prefix").unwrap();
    let client = plugin.open(&target, &ClientOptions::default(), None).await.unwrap();
    let error = client.call(ListEndpoints::all(), None).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::NOT_IMPLEMENTED);
    assert!(error.message().contains("supported only inside Databricks"), "{error}");
}

#[tokio::test]
async fn deprecated_forms_and_ignored_names_cause_warnings() {
    let server = Server::start([Answer::new(200, r#"{"name": "chat"}"#)]);
    let (plugin, events) = start(&crate::PLUGIN).unwrap();
    let options = ClientOptions::new(&json!({"host": server.url(), "token": TOKEN})).unwrap();
    let client = plugin.open(&TargetUri::parse("databricks").unwrap(), &options, None).await.unwrap();
    let old = CreateEndpoint::new("chat").with_config(config(&served("m")));
    client.call(old, None).await.unwrap();
    let recommended = CreateEndpoint::from_config(config(&json!({"name": "chat", "config": served("m")})));
    client.call(recommended.clone(), None).await.unwrap();
    client.call(CreateEndpoint { name: "chat".to_owned(), ..recommended }, None).await.unwrap();
    let limits = UpdateEndpoint::new("chat").with_config(config(&json!({"rate_limits": []})));
    client.call(limits, None).await.unwrap();
    client.call(predict("chat").with_deployment_name("other"), None).await.unwrap();
    let warnings = events.all().into_iter().filter(|(_, level, _)| *level == Level::Warn);
    let warnings: Vec<_> = warnings.map(|(_, _, event)| event.message).collect();
    assert!(warnings[0].contains("pass the whole request, with `name` and `config`"), "{warnings:?}");
    assert!(warnings[1].contains("specify it only as `name` in the config"), "{warnings:?}");
    assert!(warnings[2].starts_with("`update_endpoint` is deprecated: use `update_endpoint_config`"), "{warnings:?}");
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert_eq!(warnings[3], "ignoring the deployment name `other`: Databricks is addressed by endpoint, here `chat`");
}

#[tokio::test]
async fn profile_named_almost_default_causes_a_warning() {
    let (plugin, events) = start(&crate::PLUGIN).unwrap();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("profiles");
    std::fs::write(&file, "[DEFAULT]\n[ DEFAULT ]\nhost = h").unwrap();
    let options = ClientOptions::new(&json!({"config_file": file})).unwrap();
    let client = plugin.open(&TargetUri::parse("databricks").unwrap(), &options, None).await;
    client.unwrap().call(ListEndpoints::all(), None).await.unwrap_err();
    let expected =
        format!("`{}` has the profile ` DEFAULT `, which is not used: its name is not `DEFAULT`", file.display());
    let warnings: Vec<_> = events.all().into_iter().map(|(_, _, event)| event.message).collect();
    assert_eq!(warnings, [expected]);
}
