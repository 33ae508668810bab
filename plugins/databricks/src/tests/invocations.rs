//! Tests the operations that a caller runs with `invoke`.

use mlflow_deploy_plugin_api::manifest::Manifest;

use super::*;
use crate::invoke::OPERATIONS;

async fn ready(workspace: &databricks::Databricks) -> Databricks {
    let client = plain(&workspace.url());
    client.create_endpoint(create("chat", &json!({"wait": true}))).await.unwrap();
    client
}

#[tokio::test]
async fn each_part_of_an_endpoint_can_be_changed() {
    let workspace = databricks::Databricks::start();
    let client = ready(&workspace).await;
    let change = async |operation: &str, config: Value| -> Value {
        client.invoke(invoke(operation, "chat", &config)).await.unwrap().json().unwrap()
    };
    let tag = json!({"key": "team", "value": "a"});
    assert_eq!(change("update_endpoint_tags", json!({"add_tags": [tag]})).await, json!({"tags": [tag]}));
    let limits = json!({"rate_limits": [{"calls": 10, "key": "user", "renewal_period": "minute"}]});
    assert_eq!(change("update_endpoint_rate_limits", limits.clone()).await, limits);
    let gateway = json!({"usage_tracking_config": {"enabled": true}});
    assert_eq!(change("update_endpoint_ai_gateway", gateway.clone()).await, gateway);
    let mut two = served("m2");
    two["wait"] = json!(true);
    let changed = change("update_endpoint_config", two).await;
    assert_eq!(
        (&changed["config"]["served_entities"][0]["name"], &changed["tags"][0], &changed["ai_gateway"]),
        (&json!("m2"), &tag, &gateway)
    );
    assert_eq!(change("update_endpoint_tags", json!({"delete_tags": ["team"]})).await, json!({"tags": []}));
}

#[tokio::test]
async fn metrics_openapi_and_logs_are_returned() {
    let workspace = databricks::Databricks::start();
    let client = ready(&workspace).await;
    let metrics = client.invoke(invoke("get_metrics", "chat", &json!({}))).await.unwrap();
    assert_eq!(metrics.content_type(), "text/plain");
    assert!(text(&metrics).contains("request_count_total{endpoint=\"chat\"} 0"));
    let openapi = client.invoke(invoke("get_openapi", "chat", &json!({}))).await.unwrap();
    assert!(text(&openapi).contains("\"openapi\":\"3.1.0\""));
    for (operation, logs) in [("get_build_logs", "build-logs of m\n"), ("get_server_logs", "logs of m\n")] {
        let only: Value = client.invoke(invoke(operation, "chat", &json!({}))).await.unwrap().json().unwrap();
        assert_eq!(only, json!({"logs": logs}));
        let other = invoke(operation, "chat", &json!({"served_model_name": "x"}));
        assert_eq!(client.invoke(other).await.unwrap_err().code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST);
    }
}

#[tokio::test]
async fn logs_of_several_models_need_a_model_s_name() {
    let record = r#"{"name":"chat","config":{"served_entities":[{"name":"a"},{"name":"b"}]}}"#;
    let server = Server::start([Answer::new(200, record)]);
    let error = plain(&server.url()).invoke(invoke("get_build_logs", "chat", &json!({}))).await.unwrap_err();
    assert!(
        error.message().ends_with(r#"`chat` serves 2 models: set `served_model_name` to one of ["a", "b"]"#),
        "{error}"
    );
}

#[tokio::test]
async fn permissions_are_requested_by_the_endpoint_s_id() {
    let workspace = databricks::Databricks::start();
    let client = ready(&workspace).await;
    let call = async |operation: &str, config: &Value| -> Value {
        client.invoke(invoke(operation, "chat", config)).await.unwrap().json().unwrap()
    };
    let entry = |user: &str| json!({"user_name": user, "permission_level": "CAN_QUERY"});
    let list = |users: &[&str]| json!(users.iter().map(|user| entry(user)).collect::<Vec<_>>());
    let config = |users: &[&str]| json!({"access_control_list": list(users)});
    assert_eq!(call("set_permissions", &config(&["a"])).await["access_control_list"], list(&["a"]));
    assert_eq!(call("update_permissions", &config(&["b"])).await["access_control_list"], list(&["a", "b"]));
    assert_eq!(call("get_permissions", &json!({})).await["access_control_list"], list(&["a", "b"]));
    assert_eq!(call("set_permissions", &config(&["c"])).await["access_control_list"], list(&["c"]));
    let last = workspace.requests().pop().unwrap();
    assert!(last.path.starts_with("/api/2.0/permissions/serving-endpoints/0000"), "{}", last.path);
}

#[tokio::test]
async fn an_unknown_operation_or_a_missing_endpoint_is_an_error() {
    let server = Server::start([Answer::status(500)]);
    let client = plain(&server.url());
    let error = client.invoke(invoke("update_endpoint_tag", "chat", &json!({}))).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::NOT_IMPLEMENTED);
    assert!(error.message().contains("`update_endpoint_tags`"), "{error}");
    let no_endpoint = Invoke::new("get_metrics");
    assert_eq!(client.invoke(no_endpoint).await.unwrap_err().code(), &ErrorCode::INVALID_PARAMETER_VALUE);
    let no_config = client.invoke(invoke("update_endpoint_tags", "chat", &json!({}))).await.unwrap_err();
    assert_eq!(no_config.message(), "the config is empty: specify the new `tags`");
    assert!(server.requests().is_empty());
}

#[test]
fn manifest_and_help_list_every_operation() {
    let manifest = Manifest::parse(crate::PLUGIN.manifest().as_bytes()).unwrap();
    let listed: Vec<_> = manifest.invoke.iter().map(|operation| operation.name.as_str()).collect();
    assert_eq!(listed, OPERATIONS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for operation in &manifest.invoke {
        assert!(!operation.description.is_empty());
        assert!(Databricks::target_help().contains(&format!("`{}`", operation.name)), "{}", operation.name);
    }
    let operations = manifest.operations.iter().map(String::as_str).chain(listed).collect::<Vec<_>>();
    for name in manifest.config.keys() {
        assert!(operations.contains(&name.as_str()), "{name}");
    }
}
