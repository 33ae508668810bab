//! Tests the config key `wait`, which makes an operation wait until the endpoint is ready.

use std::time::Duration;

use mlflow_deploy_plugin_api::testing::start;

use super::*;

#[tokio::test]
async fn create_with_wait_returns_the_ready_endpoint() {
    let workspace = databricks::Databricks::start();
    let client = plain(&workspace.url());
    let created: Value = client.create_endpoint(create("chat", &json!({"wait": true}))).await.unwrap().json().unwrap();
    assert_eq!(created["state"], json!({"ready": "READY", "config_update": "NOT_UPDATING"}));
    let sent: Value = serde_json::from_slice(&workspace.requests()[0].body).unwrap();
    assert_eq!(sent, json!({"name": "chat", "config": served("m")}), "`wait` is not sent");
    client.predict(predict("chat")).await.unwrap();
}

#[tokio::test]
async fn a_404_is_retried_for_a_new_endpoint_only() {
    let gone = Answer::new(404, r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"no"}"#);
    let ready = Answer::new(200, r#"{"name":"chat","state":{"ready":"READY","config_update":"NOT_UPDATING"}}"#);
    let server = Server::start([Answer::new(200, "{}"), gone.clone(), ready]);
    plain(&server.url()).create_endpoint(create("chat", &json!({"wait": true}))).await.unwrap();
    assert_eq!(server.requests().len(), 3);
    let server = Server::start([Answer::new(200, "{}"), gone]);
    let update = invoke("update_endpoint_config", "chat", &json!({"served_entities": [], "wait": true}));
    let error = plain(&server.url()).invoke(update).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST, "an existing endpoint is missing");
}

#[tokio::test]
async fn a_failed_update_has_the_server_s_reason() {
    let failed = json!({
        "name": "chat",
        "state": {"ready": "READY", "config_update": "UPDATE_FAILED"},
        "pending_config": {"served_entities": [{"name": "m", "state": {"deployment_state_message": "no such model"}}]},
    });
    let server = Server::start([Answer::new(200, "{}"), Answer::new(200, failed.to_string())]);
    let update = UpdateEndpoint::new("chat").with_config(config(&json!({"served_entities": [], "wait": true})));
    let error = plain(&server.url()).update_endpoint(update).await.unwrap_err();
    assert_eq!(
        (error.code().as_str(), error.message()),
        ("UPDATE_FAILED", "the update of `chat` failed: UPDATE_FAILED: `m`: no such model")
    );
}

#[tokio::test]
async fn a_wait_ends_after_its_timeout() {
    let workspace = databricks::Databricks::start();
    let options = json!({"host": workspace.url(), "token": TOKEN, "poll_interval": 600});
    let slow = client("databricks", &options, &[]).unwrap();
    let error = slow.create_endpoint(create("chat", &json!({"wait": true, "wait_timeout": 60}))).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (&ErrorCode::DEADLINE_EXCEEDED, true));
    assert!(error.message().starts_with("stopped waiting for `chat`: NOT_READY"), "{error}");
    plain(&workspace.url()).get_endpoint(get("chat")).await.unwrap();
}

#[tokio::test]
async fn an_unrepresentable_wait_timeout_is_accepted() {
    let workspace = databricks::Databricks::start();
    let client = plain(&workspace.url());
    client.create_endpoint(create("chat", &json!({"wait": true, "wait_timeout": 1e19}))).await.unwrap();
}

#[tokio::test]
async fn a_wait_reports_progress_and_keeps_the_caller_s_deadline() {
    let workspace = databricks::Databricks::start();
    let (plugin, events) = start(&crate::PLUGIN).unwrap();
    let target = TargetUri::parse("databricks").unwrap();
    let open = async |interval: f64| {
        let options = json!({"host": workspace.url(), "token": TOKEN, "poll_interval": interval});
        plugin.open(&target, &ClientOptions::new(&options).unwrap(), None).await.unwrap()
    };
    let error = open(600.0).await.call(create("slow", &json!({"wait": true})), Some(Duration::from_secs(60))).await;
    assert_eq!(error.unwrap_err().code(), &ErrorCode::DEADLINE_EXCEEDED);
    open(0.1).await.call(create("chat", &json!({"wait": true})), None).await.unwrap();
    let progress = events.all().into_iter().filter(|(_, _, event)| event.progress.is_some()).map(|(_, _, event)| event);
    let progress: Vec<_> = progress.map(|event| (event.message, event.progress.unwrap())).collect();
    assert_eq!(progress.last().unwrap(), &("`chat` is ready".to_owned(), 1.0));
    assert!(
        progress.contains(&("`chat`: NOT_READY, update IN_PROGRESS; `m`: creating".to_owned(), 0.0)),
        "{progress:?}"
    );
}
