//! Waiting for an endpoint.

use std::time::Duration;

use mlflow_deploy_plugin_api::testing::start;

use super::*;

#[tokio::test]
async fn a_new_endpoint_is_waited_for() {
    let workspace = databricks::Databricks::start();
    let client = plain(&workspace.url());
    let made: Value = client.create_endpoint(create("chat", &json!({"wait": true}))).await.unwrap().json().unwrap();
    assert_eq!(made["state"], json!({"ready": "READY", "config_update": "NOT_UPDATING"}));
    let sent: Value = serde_json::from_slice(&workspace.requests()[0].body).unwrap();
    assert_eq!(sent, json!({"name": "chat", "config": served("m")}), "`wait` is not the server's to read");
    client.predict(predict("chat")).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_seen_yet_is_waited_for_too() {
    let gone = Answer::new(404, r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"no"}"#);
    let ready = Answer::new(200, r#"{"name":"chat","state":{"ready":"READY","config_update":"NOT_UPDATING"}}"#);
    let server = Server::start([Answer::new(200, "{}"), gone.clone(), ready]);
    plain(&server.url()).create_endpoint(create("chat", &json!({"wait": true}))).await.unwrap();
    assert_eq!(server.requests().len(), 3);
    let server = Server::start([Answer::new(200, "{}"), gone]);
    let update = invoke("update_endpoint_config", "chat", &json!({"served_entities": [], "wait": true}));
    let error = plain(&server.url()).invoke(update).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST, "it was there before");
}

#[tokio::test]
async fn an_update_that_fails_has_the_server_s_reason() {
    let failed = json!({
        "name": "chat",
        "state": {"ready": "READY", "config_update": "UPDATE_FAILED"},
        "pending_config": {"served_entities": [{"name": "m", "state": {"deployment_state_message": "no such model"}}]},
    });
    let server = Server::start([Answer::new(200, "{}"), Answer::new(200, failed.to_string())]);
    let update =
        UpdateEndpoint { endpoint: "chat".to_owned(), config: config(&json!({"served_entities": [], "wait": true})) };
    let error = plain(&server.url()).update_endpoint(update).await.unwrap_err();
    assert_eq!(
        (error.code().as_str(), error.message()),
        ("UPDATE_FAILED", "`chat` is not what it was asked to be: UPDATE_FAILED: `m`: no such model")
    );
}

#[tokio::test]
async fn a_wait_ends_when_its_time_is_over() {
    let workspace = databricks::Databricks::start();
    let options = json!({"host": workspace.url(), "token": TOKEN, "poll_interval": 600});
    let slow = client("databricks", &options, &[]).unwrap();
    let error = slow.create_endpoint(create("chat", &json!({"wait": true, "wait_timeout": 60}))).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (&ErrorCode::DEADLINE_EXCEEDED, true));
    assert!(error.message().starts_with("`chat` is not ready, and the time to wait is over: NOT_READY"), "{error}");
    plain(&workspace.url()).get_endpoint(get("chat")).await.unwrap();
}

#[tokio::test]
async fn a_wait_without_end_goes_on() {
    let workspace = databricks::Databricks::start();
    let client = plain(&workspace.url());
    client.create_endpoint(create("chat", &json!({"wait": true, "wait_timeout": 1e19}))).await.unwrap();
}

#[tokio::test]
async fn a_wait_says_how_far_it_is_and_keeps_the_caller_s_deadline() {
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
    let said = events.all().into_iter().filter(|(_, _, event)| event.progress.is_some()).map(|(_, _, event)| event);
    let said: Vec<_> = said.map(|event| (event.message, event.progress.unwrap())).collect();
    assert_eq!(said.last().unwrap(), &("`chat` is ready".to_owned(), 1.0));
    assert!(said.contains(&("`chat`: NOT_READY, IN_PROGRESS, `m`: creating".to_owned(), 0.0)), "{said:?}");
}
